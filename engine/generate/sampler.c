/* sampler.c - see sampler.h. */
#include "generate/sampler.h"

#include "math/vector.h"

#include <math.h>

/* exp(-50) times the largest vocabulary is below what a double can tell from nothing. */
#define WEIGHT_EXPONENT_MIN (-50.0)

static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* xoshiro256**, the upper 53 bits as a number in [0, 1). */
static double draw(uint64_t s[4])
{
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

struct sampler sampler_new(const struct sampling *sampling)
{
    struct sampler sampler = {.sampling = *sampling};
    uint64_t state = sampling->seed;
    for (int i = 0; i < 4; i++)
        sampler.random[i] = split_mix(&state);
    sampler.mirostat_mu = 2 * (double)sampling->mirostat_tau;
    return sampler;
}

void sampler_saw(struct sampler *sampler, int32_t token)
{
    history_add(&sampler->history, token);
}

void sampler_penalise(const struct sampler *sampler, float *logits, int32_t count)
{
    penalties_bias(sampler->biases, sampler->bias_count, logits, count);
    penalties_repeat(&sampler->history, &sampler->sampling, logits, count);
    penalties_dry(&sampler->history, &sampler->sampling, sampler->breakers, logits, count);
}

static bool is_share(float share)
{
    return share > 0 && share < 1;
}

/* Draw among tokens whose surprise is at most mu, then move mu by what the drawn one surprised. */
static int32_t choose_by_mirostat(struct sampler *sampler, struct candidates *candidates)
{
    const struct sampling *sampling = &sampler->sampling;
    candidates_keep_unsurprising(candidates, sampler->mirostat_mu);
    const struct candidate *chosen =
        candidates_pick(candidates, draw(sampler->random) * candidates->total);
    double surprise = -log2(chosen->weight / candidates->total);
    sampler->mirostat_mu -=
        (double)sampling->mirostat_eta * (surprise - (double)sampling->mirostat_tau);
    return chosen->token;
}

int32_t sampler_choose(struct sampler *sampler, const struct kernels *kernels, const float *logits,
                       int32_t count, struct candidate *room)
{
    const struct sampling *sampling = &sampler->sampling;
    const int32_t best = vector_argmax(kernels, logits, count);
    if (best < 0 || !isfinite(logits[best]))
        return -1;
    if (sampling->temperature == 0)
        return best;

    const float highest = logits[best];
    float floor = (float)((double)highest + WEIGHT_EXPONENT_MIN * (double)sampling->temperature);
    bool limited = sampling->mirostat == 0 && sampling->top_k > 0 && sampling->top_k < count;
    struct candidates candidates = {.items = room};
    candidates.count =
        candidates_gather(logits, count, floor, limited ? sampling->top_k : count, room);
    candidates_weigh(&candidates, highest, sampling->temperature);
    if (sampling->mirostat)
        return choose_by_mirostat(sampler, &candidates);
    if (is_share(sampling->typical_p))
        candidates_keep_typical(&candidates, (double)sampling->typical_p);
    if (sampling->top_p < 1)
        candidates_keep_nucleus(&candidates, (double)sampling->top_p);
    if (sampling->min_p > 0)
        candidates_keep_probable(&candidates, (double)sampling->min_p);
    return candidates_pick(&candidates, draw(sampler->random) * candidates.total)->token;
}
