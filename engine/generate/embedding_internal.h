/* embedding_internal.h - what the files behind embedding.h share; nobody else includes it.
 *
 *   embedding.c          requests, their turns, memory
 *   embedding_batch.c    from texts to tokens, from states to vectors
 *   embedding_decoder.c  the states of a decoder
 */
#ifndef GENERATE_EMBEDDING_INTERNAL_H
#define GENERATE_EMBEDDING_INTERNAL_H

#include "generate/embedding.h"
#include "generate/engine_internal.h"
#include "model/encoder.h"

/* One request. */
struct embedding {
    struct embedding *next;
    uint64_t id;
    char *bytes;        /* of all texts */
    struct text *texts; /* [text_count] */
    size_t text_count;
    size_t position; /* texts whose vectors are out */
    enum engine_format format;
    bool cancelled;
    bool starved; /* its next text needs more pages than are granted */
    bool asked;   /* and they were asked for */
    struct engine_usage usage;
};

/* The texts that are being computed, all of one request.  Between batches there are none. */
struct embedding_batch {
    struct tokens tokens;
    struct encoder_text texts[EMBEDDING_BATCH_TEXTS_MAX];
    int32_t text_count;
    int32_t computed; /* tokens whose states were taken in */
};

struct embedder {
    struct embedding *first, **last; /* that wait for their turn */
    struct embedding *running;       /* whose turn it is, or NULL */
    int count;                       /* of all */

    int32_t tokens_max; /* of a batch */
    int32_t text_max;   /* tokens of a text */
    struct embedding_batch batch;
    struct tokens spare;  /* of a text that is being read */
    float *vector;        /* [width]: of the text whose states are being taken in */
    struct buffer answer; /* the vectors of a batch, written out */

    struct encoder *encoder; /* of an encoder */

    float *state;               /* of a decoder: [width], of one token */
    struct forward_page *pages; /* of its batch: each text's behind those of the one before */
    int32_t page_count;
    int32_t pages_wanted; /* by a text that is alone and needs more than are granted */
};

static inline bool embedding_is_encoder(const struct engine *engine)
{
    return engine->model.config.family->encoder;
}

/* ---- embedding_batch.c ---- */

/* Put the next texts of the running request into the empty batch.  Returns 0, -EDQUOT when the
 * first one must wait for `pages_wanted` pages, -ENODATA, -EMSGSIZE, -EINVAL or -ENOMEM. */
int embedding_fill(struct engine *engine);

/* Compute the next part of the batch.  Returns 0, -EIO (not finite), -ENOMEM or -EMSGSIZE. */
int embedding_compute(struct engine *engine);

/* Take in a token's state; the states of a text come in order.  Returns as embedding_compute(). */
int embedding_take_state(struct engine *engine, const struct encoder_text *text, int32_t index,
                         const float *state);

/* Forget the batch, and what it has answered. */
void embedding_clear(struct engine *engine);

/* ---- embedding_decoder.c ---- */

size_t embedding_decoder_bytes(const struct model_config *config,
                               const struct engine_options *options);

/* What embedding_open() does for a decoder.  Returns 0 or -ENOMEM. */
int embedding_decoder_open(struct engine *engine, const struct engine_options *options,
                           struct error *error);
void embedding_decoder_close(struct engine *engine);

/* Take the pages of one more text of `count` tokens.  Returns 0; or, with none taken, -EDQUOT when
 * they are not granted and -ENOMEM when the system has none. */
int embedding_decoder_reserve(struct engine *engine, int32_t count);

/* Give back all pages. */
void embedding_decoder_release(struct engine *engine);

/* Compute the batch's next chunk.  Returns as embedding_compute(). */
int embedding_decoder_compute(struct engine *engine);

#endif
