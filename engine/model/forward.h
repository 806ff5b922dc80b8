/* forward.h - one step of the model over a batch of tokens of any sequences.
 *
 * A step runs as one parallel region: each thread walks all layers and meets the others at
 * barriers, five a layer for a single token and nine otherwise; two more where a norm follows each
 * half, one more in the last layer where some tokens are not read, up to nine more where a router
 * chooses experts.
 *
 * Owns:     the scratch of a step, all of it allocated at opening for the largest batch.
 * Promise:  a token's logits depend on its sequence alone: every sum runs inside one function of
 *           math/, whose bits depend neither on the batch nor on the thread that calls it.
 * Threads:  one caller at a time; the team computes inside.
 * Limits:   the batch and the rows of logits that it was opened for.
 */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include "base/threads.h"
#include "math/attention.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>

struct forward;

/* The layers that see all of a text, and those that see a window of it: their parts of a page are
 * apart, as the latter's are not needed for long. */
enum forward_part { FORWARD_GLOBAL, FORWARD_WINDOW, FORWARD_PARTS };

/* The keys and values of KV_PAGE_TOKENS positions. */
struct forward_page {
    void *parts[FORWARD_PARTS]; /* NULL: the model has no such layers, or no token will read it */
};

struct forward_token {
    int32_t token;    /* below the vocabulary */
    int32_t position; /* in its sequence; all before are in the pages, or earlier in the batch */
    const struct forward_page *pages; /* of its sequence: position p in p / KV_PAGE_TOKENS */
    bool wants_logits;
    bool wants_state; /* without logits: forward_state() will be asked for it */
};

/* Bytes of a part of a page; 0 when the model has no such layers. */
size_t forward_part_bytes(const struct model_config *config, enum forward_part part,
                          enum kv_format format);

/* Positions, its own included, that a token sees of the window part; 0 when there is none.  Layers
 * whose window is no shorter than the model's context see all. */
int32_t forward_window(const struct model_config *config);

/* What the functions below allocate at most. */
size_t forward_bytes(const struct model_config *config, int32_t tokens_max, int32_t logits_max,
                     int32_t context, int threads);

/* Room for steps of up to `tokens_max` tokens, `logits_max` of which want logits (0: none may), at
 * positions below `context`, with pages of a format.  The model, the kernels and the team must
 * outlive it.  Returns 0 or -ENOMEM. */
int forward_open(const struct model *model, const struct kernels *kernels, struct threads *threads,
                 int32_t tokens_max, int32_t logits_max, int32_t context, enum kv_format format,
                 struct forward **out, struct error *error);
void forward_close(struct forward *forward);

/* Compute `count` tokens (1..tokens_max) on up to `threads` threads, fewer while other programs
 * keep their cores busy (pace.h); stores their keys and values.  What the last layer does behind
 * those is done only for the tokens that want something. */
void forward_run(struct forward *forward, int threads, const struct forward_token *tokens,
                 int32_t count);

/* The logits [vocabulary] of the index-th token of the last step that wanted them; the caller may
 * change them. */
float *forward_logits(struct forward *forward, int32_t index);

/* The state [width] behind the last norm, which the head reads, of the index-th token of the last
 * step that wanted logits or its state. */
void forward_state(const struct forward *forward, int32_t index, float *out);

#endif
