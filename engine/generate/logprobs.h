/* logprobs.h - how probable the model itself held a token and its best alternatives.
 *
 * Threads:  pure functions.
 */
#ifndef GENERATE_LOGPROBS_H
#define GENERATE_LOGPROBS_H

#include "base/sampling.h"
#include "generate/odds.h"

struct logprob {
    int32_t token;
    float logprob; /* natural logarithm of its probability; may be -infinity */
};

struct logprobs {
    struct logprob chosen;
    struct logprob top[SAMPLING_LOGPROBS_MAX]; /* the best first */
    int32_t top_count;
};

/* The log softmax of logits[count], as they left the model, at `chosen` and at the `top_count` (at
 * most SAMPLING_LOGPROBS_MAX) best; to 1e-6.  At least one logit must be a number and none
 * +infinity. */
struct logprobs logprobs_read(const struct kernels *kernels, const float *logits, int32_t count,
                              int32_t chosen, int32_t top_count, struct odds_room room);

#endif
