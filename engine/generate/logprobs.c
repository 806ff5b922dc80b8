/* logprobs.c - see logprobs.h. */
#include "generate/logprobs.h"

#include "math/vector.h"

#include <math.h>

struct logprobs logprobs_read(const struct kernels *kernels, const float *logits, int32_t count,
                              int32_t chosen, int32_t top_count, struct odds_room room)
{
    const int32_t best = vector_argmax(kernels, logits, count);
    const float most = best < 0 ? NAN : logits[best]; /* a grammar may have hidden what is none */
    const struct odds odds = odds_of(kernels, logits, count, most, 1, room);
    const double normaliser = (double)most + log(odds_sum(&odds));
    struct logprobs out = {.chosen = {chosen, (float)((double)logits[chosen] - normaliser)}};
    if (top_count == 0)
        return out;

    struct candidates top = odds_best(&odds, -INFINITY, top_count);
    candidates_sort(&top);
    out.top_count = top.count;
    for (int32_t i = 0; i < top.count; i++)
        out.top[i] =
            (struct logprob){top.items[i].token, (float)((double)top.items[i].order - normaliser)};
    return out;
}
