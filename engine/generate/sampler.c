/* sampler.c - see sampler.h. */
#include "generate/sampler.h"

#include "math/vector.h"

#include <float.h>
#include <math.h>

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

/* Draw among tokens whose surprise is at most mu, or take the best; then move mu by what the drawn
 * one surprised. */
static int32_t choose_by_mirostat(struct sampler *sampler, const struct odds *odds, int32_t best)
{
    const struct sampling *sampling = &sampler->sampling;
    const double total = odds_sum(odds), at = draw(sampler->random);
    const double least = fmax(total * exp2(-sampler->mirostat_mu), (double)FLT_MIN);
    double surprise = 0;
    if (least <= 1) {
        struct candidates candidates = odds_gather(odds, (float)least, total);
        candidates_keep_probable(&candidates, 0); /* now their total is their own */
        const struct candidate *chosen = candidates_pick(&candidates, at * candidates.total);
        surprise = -log2((double)chosen->weight / candidates.total);
        best = chosen->token;
    }
    sampler->mirostat_mu -=
        (double)sampling->mirostat_eta * (surprise - (double)sampling->mirostat_tau);
    return best;
}

/* The weight below which no token comes through top-p and min-p, or even at all.  A little less
 * than 1 - p may be missing: equal tokens must not all fall below their own rounded mean. */
static float least_weight(const struct sampling *sampling, const struct odds *odds, double total)
{
    float least = FLT_MIN;
    if (is_share(sampling->typical_p))
        return least;
    if (sampling->top_p < 1)
        least = fmaxf(least, odds_tail(odds, 0.999 * (1 - (double)sampling->top_p) * total));
    return fmaxf(least, sampling->min_p);
}

/* The candidates that top-k leaves, or all that the next rules may leave. */
static struct candidates first_candidates(const struct sampling *sampling, const struct odds *odds,
                                          bool limited)
{
    if (!limited) {
        const double total = odds_sum(odds);
        return odds_gather(odds, least_weight(sampling, odds, total), total);
    }
    const double floor = (double)odds->most + VECTOR_EXPONENT_MIN * (double)sampling->temperature;
    struct candidates best = odds_best(odds, (float)floor, sampling->top_k);
    odds_weigh(odds, &best);
    return best;
}

int32_t sampler_choose(struct sampler *sampler, const struct kernels *kernels, const float *logits,
                       int32_t count, struct odds_room room)
{
    const struct sampling *sampling = &sampler->sampling;
    const int32_t best = vector_argmax(kernels, logits, count);
    if (best < 0 || !isfinite(logits[best]))
        return -1;
    if (sampling->temperature == 0)
        return best;

    const struct odds odds =
        odds_of(kernels, logits, count, logits[best], sampling->temperature, room);
    if (sampling->mirostat)
        return choose_by_mirostat(sampler, &odds, best);
    const bool limited = sampling->top_k > 0 && sampling->top_k < count;
    const bool typical = is_share(sampling->typical_p);
    if (!limited && !typical && sampling->top_p >= 1 && sampling->min_p <= 0) {
        const double total = odds_sum(&odds);
        return odds_pick(&odds, draw(sampler->random) * total);
    }
    struct candidates candidates = first_candidates(sampling, &odds, limited);
    if (typical)
        candidates_keep_typical(&candidates, (double)sampling->typical_p);
    if (sampling->top_p < 1)
        candidates_keep_nucleus(&candidates, (double)sampling->top_p);
    if (sampling->min_p > 0)
        candidates_keep_probable(&candidates, (double)sampling->min_p);
    return candidates_pick(&candidates, draw(sampler->random) * candidates.total)->token;
}
