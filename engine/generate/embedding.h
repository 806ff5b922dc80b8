/* embedding.h - requests to a model that embeds: texts in, one vector for each out.
 *
 * A step takes as many of the next texts of one request as fit a batch, and hands out their
 * vectors; requests take turns, so that a long one does not keep the others waiting.  Texts of
 * different requests are never in one batch: what a request gets depends on itself alone.
 *
 * Owns:     copies of the texts, the encoder (or the KV pages of a decoder) and the batch.
 * Promise:  a text longer than the model reads is cut and counted, its end token stays; every
 *           vector has the length 1, but for one of zeros.
 * Threads:  one.
 * Limits:   ENGINE_REQUESTS_MAX requests, EMBEDDING_BATCH_TEXTS_MAX texts in a batch.
 */
#ifndef GENERATE_EMBEDDING_H
#define GENERATE_EMBEDDING_H

#include "engine.h"

enum { EMBEDDING_BATCH_TEXTS_MAX = 512, EMBEDDING_BATCH_TOKENS = 1024 };

struct embedder;

/* Does a model of this shape embed? */
struct model_config;
bool embedding_is_for(const struct model_config *config);

/* What embedding_open() allocates. */
size_t embedding_bytes(const struct model_config *config, int32_t context, int threads);

/* The engine's model, kernels and threads are there already.  Returns 0, -ENOMEM or -ENOEXEC (no
 * OpenBLAS). */
int embedding_open(struct engine *engine, struct error *error);
void embedding_close(struct embedder *embedder);

/* As engine_submit(), engine_cancel() and engine_step(). */
int embedding_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                     struct error *error);
void embedding_cancel(struct engine *engine, uint64_t id);
bool embedding_step(struct engine *engine, const struct engine_sink *sink);

#endif
