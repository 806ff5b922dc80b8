/* sampler.c - see sampler.h. */
#include "generate/sampler.h"

#include "math/vector.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

/* exp(-50) times the largest vocabulary is below what a double can tell from nothing. */
#define WEIGHT_EXPONENT_MIN (-50.0)

int sampler_check(const struct sampling *sampling, struct error *error)
{
    const double temperature = (double)sampling->temperature;
    const double penalty = (double)sampling->repeat_penalty;
    if (!(temperature >= 0 && temperature <= SAMPLING_TEMPERATURE_MAX))
        return error_set(error, EINVAL, "temperature is %g, not 0 to %g", temperature,
                         SAMPLING_TEMPERATURE_MAX);
    if (sampling->top_k < 0)
        return error_set(error, EINVAL, "top_k is %d, below 0", sampling->top_k);
    if (!(sampling->top_p >= 0 && sampling->top_p <= 1))
        return error_set(error, EINVAL, "top_p is %g, not 0 to 1", (double)sampling->top_p);
    if (!(sampling->min_p >= 0 && sampling->min_p <= 1))
        return error_set(error, EINVAL, "min_p is %g, not 0 to 1", (double)sampling->min_p);
    if (!(penalty >= SAMPLING_REPEAT_PENALTY_MIN && penalty <= SAMPLING_REPEAT_PENALTY_MAX))
        return error_set(error, EINVAL, "repeat_penalty is %g, not %g to %g", penalty,
                         SAMPLING_REPEAT_PENALTY_MIN, SAMPLING_REPEAT_PENALTY_MAX);
    return 0;
}

/* ---- random numbers ---- */

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
    return sampler;
}

/* ---- repetition penalty ---- */

void sampler_saw(struct sampler *sampler, int32_t token)
{
    sampler->recent[sampler->seen++ % SAMPLING_REPEAT_TOKENS] = token;
}

/* Each recent token once, however often it was seen. */
static void penalise(const struct sampler *sampler, float *logits, int32_t count)
{
    const float penalty = sampler->sampling.repeat_penalty;
    uint32_t recent =
        sampler->seen < SAMPLING_REPEAT_TOKENS ? sampler->seen : SAMPLING_REPEAT_TOKENS;
    if (penalty == 1)
        return;
    for (uint32_t i = 0; i < recent; i++) {
        int32_t token = sampler->recent[i];
        bool earlier = false;
        for (uint32_t j = 0; j < i && !earlier; j++)
            earlier = sampler->recent[j] == token;
        if (!earlier && token >= 0 && token < count)
            logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
    }
}

/* ---- candidates ---- */

/* A total order, so that equal logits do not make the choice depend on how we got here. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Restore a heap whose root is its worst candidate, below `at`. */
static void sift_down(struct candidate *heap, int32_t count, int32_t at)
{
    struct candidate moved = heap[at];
    for (int32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_better(&heap[child], &heap[child + 1]))
            child++;
        if (!is_better(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void make_heap(struct candidate *heap, int32_t count)
{
    for (int32_t at = count / 2 - 1; at >= 0; at--)
        sift_down(heap, count, at);
}

/* The best first. */
static void sort(struct candidate *candidates, int32_t count)
{
    make_heap(candidates, count);
    for (int32_t last = count - 1; last > 0; last--) {
        struct candidate worst = candidates[0];
        candidates[0] = candidates[last];
        candidates[last] = worst;
        sift_down(candidates, last, 0);
    }
}

/* The `limit` best of the tokens whose logit is at least `floor`: a heap of the best so far, whose
 * root is what a token has to beat.  Most tokens lose that one comparison. */
static int32_t gather_best(const float *logits, int32_t count, float floor, int32_t limit,
                           struct candidate *room)
{
    int32_t kept = 0, token = 0;
    for (; token < count && kept < limit; token++)
        if (logits[token] >= floor)
            room[kept++] = (struct candidate){.logit = logits[token], .token = token};
    if (token == count) /* all of them, in the order of the vocabulary */
        return kept;
    make_heap(room, kept);
    for (; token < count; token++)
        if (logits[token] > room[0].logit) { /* an equal one comes later in the order */
            room[0] = (struct candidate){.logit = logits[token], .token = token};
            sift_down(room, kept, 0);
        }
    return kept;
}

static double weigh(struct candidate *candidates, int32_t count, float best, float temperature)
{
    double total = 0;
    for (int32_t i = 0; i < count; i++) {
        double exponent = ((double)candidates[i].logit - (double)best) / (double)temperature;
        candidates[i].weight = exp(exponent);
        total += candidates[i].weight;
    }
    return total;
}

/* The fewest of the best whose share of `total` reaches top_p; what remains is sorted. */
static int32_t keep_nucleus(struct candidate *candidates, int32_t count, double top_p,
                            double *total)
{
    /* Of n candidates, those below (1 - p) / n have less than 1 - p together: none is needed. */
    double least = *total * (1 - top_p) / count;
    int32_t possible = 0;
    for (int32_t i = 0; i < count; i++)
        if (candidates[i].weight >= least)
            candidates[possible++] = candidates[i];
    sort(candidates, possible);
    double sum = 0;
    int32_t kept = 0;
    while (kept < possible && (kept == 0 || sum < top_p * *total))
        sum += candidates[kept++].weight;
    *total = sum;
    return kept;
}

/* Those with at least min_p of the best one's probability, whose weight is 1. */
static int32_t keep_probable(struct candidate *candidates, int32_t count, double min_p,
                             double *total)
{
    int32_t kept = 0;
    double sum = 0;
    for (int32_t i = 0; i < count; i++)
        if (candidates[i].weight >= min_p) {
            sum += candidates[i].weight;
            candidates[kept++] = candidates[i];
        }
    *total = sum;
    return kept;
}

static int32_t pick(const struct candidate *candidates, int32_t count, double at)
{
    for (int32_t i = 0; i < count; i++) {
        at -= candidates[i].weight;
        if (at < 0)
            return candidates[i].token;
    }
    return candidates[count - 1].token; /* rounding left a rest */
}

int32_t sampler_choose(struct sampler *sampler, const struct kernels *kernels, float *logits,
                       int32_t count, struct candidate *room)
{
    const struct sampling *sampling = &sampler->sampling;
    penalise(sampler, logits, count);
    int32_t best = vector_argmax(kernels, logits, count);
    if (best < 0 || !isfinite(logits[best]))
        return -1;
    if (sampling->temperature == 0)
        return best;

    float highest = logits[best];
    float floor = (float)((double)highest + WEIGHT_EXPONENT_MIN * (double)sampling->temperature);
    bool limited = sampling->top_k > 0 && sampling->top_k < count;
    int32_t kept = gather_best(logits, count, floor, limited ? sampling->top_k : count, room);
    double total = weigh(room, kept, highest, sampling->temperature);
    if (sampling->top_p < 1)
        kept = keep_nucleus(room, kept, (double)sampling->top_p, &total);
    if (sampling->min_p > 0)
        kept = keep_probable(room, kept, (double)sampling->min_p, &total);
    return pick(room, kept, draw(sampler->random) * total);
}
