/* logprobs.c - see logprobs.h. */
#include "generate/logprobs.h"

#include "generate/candidates.h"

#include <math.h>

struct logprobs logprobs_read(const float *logits, int32_t count, int32_t chosen, int32_t top_count)
{
    struct candidate best[SAMPLING_LOGPROBS_MAX] = {0};
    struct candidates top = {.items = best};
    top.count = candidates_gather(logits, count, -INFINITY, top_count > 0 ? top_count : 1, best);
    candidates_sort(&top);

    const double highest = (double)best[0].logit;
    double sum = 0;
    for (int32_t token = 0; token < count; token++)
        sum += exp((double)logits[token] - highest);
    const double normaliser = highest + log(sum);

    struct logprobs out = {
        .chosen = {chosen, (float)((double)logits[chosen] - normaliser)},
        .top_count = top_count < top.count ? top_count : top.count,
    };
    for (int32_t i = 0; i < out.top_count; i++)
        out.top[i] = (struct logprob){best[i].token, (float)((double)best[i].logit - normaliser)};
    return out;
}
