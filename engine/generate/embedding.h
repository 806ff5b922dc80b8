/* embedding.h - requests to a model that embeds: texts in, one vector for each out.
 *
 * A batch is as many of the next texts of one request as fit; requests take turns with batches, so
 * that a long one does not keep the others waiting.  Texts of different requests are never in one
 * batch: what a request gets depends on itself alone.
 *
 * An encoder computes a batch in one step.  A decoder, whose file says how its tokens' states make
 * a vector, needs KV pages for a batch and gives them back behind it.  It computes a prefill chunk
 * in a step; a text that is longer makes a batch of its own.  A batch takes no more pages than are
 * granted; only for one text that needs more, more are asked for, and meanwhile other requests run.
 *
 * Owns:     copies of the texts, the encoder (or the KV pages of a decoder) and the batch.
 * Promise:  a text longer than the model reads is cut and counted, its end token stays; every
 *           vector has the length 1, but for one of zeros.  A decoder's vectors do not depend on
 *           what is in the batch or on how it is cut: see forward.h.
 * Threads:  one.
 * Limits:   ENGINE_REQUESTS_MAX requests; a batch of EMBEDDING_BATCH_TEXTS_MAX texts and of
 *           EMBEDDING_BATCH_TOKENS tokens (a decoder's: of a prefill chunk).
 */
#ifndef GENERATE_EMBEDDING_H
#define GENERATE_EMBEDDING_H

#include "engine.h"

enum { EMBEDDING_BATCH_TEXTS_MAX = 128, EMBEDDING_BATCH_TOKENS = 1024 };

struct model_config;

/* Does a model of this shape embed?  Encoders do, and decoders whose file names a pooling. */
bool embedding_is_for(const struct model_config *config);

/* What embedding_open() and the vectors of a batch allocate at most, with settled options; the KV
 * pages come on top. */
size_t embedding_bytes(const struct model_config *config, const struct engine_options *options);

/* The engine's model, kernels, threads and plan are there already.  Returns 0 or -ENOMEM. */
int embedding_open(struct engine *engine, const struct engine_options *options,
                   struct error *error);
void embedding_close(struct engine *engine);

/* As engine_submit(), engine_cancel() and engine_step(). */
int embedding_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                     struct error *error);
void embedding_cancel(struct engine *engine, uint64_t id);
bool embedding_step(struct engine *engine, const struct engine_sink *sink);

/* More pages were granted; or none, and the request that they were asked for ends with ENOMEM. */
void embedding_granted(struct engine *engine);
void embedding_refuse(struct engine *engine, const struct engine_sink *sink, const char *text);

#endif
