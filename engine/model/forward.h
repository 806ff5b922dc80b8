/* forward.h - one step of the model over a batch of tokens of any sequences.
 *
 * A step runs as one parallel region: each thread walks all layers and meets the others at
 * barriers, five a layer for a single token and nine otherwise; two more where a norm follows each
 * half, up to nine more where a router chooses experts.
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

struct forward_token {
    int32_t token;      /* below the vocabulary */
    int32_t position;   /* in its sequence; all before are in the pages, or earlier in the batch */
    void *const *pages; /* of its sequence: position p in pages[p / KV_PAGE_TOKENS], all layers */
    bool wants_logits;
};

/* Bytes of one KV page: KV_PAGE_TOKENS positions of all layers. */
size_t forward_page_bytes(const struct model_config *config, enum kv_format format);

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
 * keep their cores busy (pace.h); stores their keys and values. */
void forward_run(struct forward *forward, int threads, const struct forward_token *tokens,
                 int32_t count);

/* The logits [vocabulary] of the index-th token of the last step that wanted them; the caller may
 * change them. */
float *forward_logits(struct forward *forward, int32_t index);

/* What the head would read of the index-th token of the last step, whether or not it wanted logits:
 * its state [width] behind the last norm. */
void forward_state(const struct forward *forward, int32_t index, float *out);

#endif
