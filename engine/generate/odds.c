/* odds.c - see odds.h. */
#include "generate/odds.h"

#include "base/memory.h"
#include "math/vector.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* The shortest run whose maximum is looked at. */
enum { RUN_MIN = 16 };

static size_t runs_of(int32_t count)
{
    return (size_t)(count + RUN_MIN - 1) / RUN_MIN;
}

bool odds_room_open(struct odds_room *room, int32_t count)
{
    room->candidates = memory_try((size_t)count, sizeof *room->candidates);
    room->runs = memory_try(runs_of(count), sizeof *room->runs);
    return room->candidates && room->runs;
}

void odds_room_close(struct odds_room *room)
{
    free(room->candidates);
    free(room->runs);
    *room = (struct odds_room){0};
}

size_t odds_room_bytes(int32_t count)
{
    return (size_t)count * sizeof(struct candidate) + runs_of(count) * sizeof(float);
}

/* A temperature near nothing leaves the best alone, also where its inverse would be infinite. */
struct odds odds_of(const struct kernels *kernels, const float *logits, int32_t count, float most,
                    float temperature, struct odds_room room)
{
    return (struct odds){.kernels = kernels,
                         .logits = logits,
                         .count = count,
                         .most = most,
                         .factor = 1 / fmaxf(temperature, FLT_MIN),
                         .room = room};
}

static int32_t length_of(const struct odds *odds, int32_t begin, int32_t run)
{
    return odds->count - begin < run ? odds->count - begin : run;
}

/* The weights of the run that begins at `begin`; returns how many they are. */
static int32_t weigh_run(const struct odds *odds, int32_t begin, float *weights, float *sum)
{
    const int32_t length = length_of(odds, begin, VECTOR_RUN);
    *sum = vector_weigh(odds->kernels, weights, odds->logits + begin, length, odds->most,
                        odds->factor);
    return length;
}

double odds_sum(const struct odds *odds)
{
    float weights[VECTOR_RUN];
    double total = 0;
    for (int32_t begin = 0; begin < odds->count; begin += VECTOR_RUN) {
        float *sum = &odds->room.runs[begin / VECTOR_RUN];
        weigh_run(odds, begin, weights, sum);
        total += (double)*sum;
    }
    return total;
}

/* A run's sum, a float, is not quite that of its weights: what is left of `at` is stretched to it,
 * so that no weight is cut off and none grows. */
int32_t odds_pick(const struct odds *odds, double at)
{
    float weights[VECTOR_RUN], run_sum;
    const float *runs = odds->room.runs;
    int32_t run = 0, last = (odds->count - 1) / VECTOR_RUN, picked = 0;
    double sum = 0;
    while (last > 0 && runs[last] == 0) /* rounding may leave a rest behind the last one */
        last--;
    while (run < last && at >= (double)runs[run])
        at -= (double)runs[run++];
    const int32_t length = weigh_run(odds, run * VECTOR_RUN, weights, &run_sum);
    for (int32_t i = 0; i < length; i++)
        sum += (double)weights[i];
    at *= sum / (double)run_sum;
    for (int32_t i = 0; i < length && at >= 0; i++)
        if (weights[i] > 0) {
            at -= (double)weights[i];
            picked = i;
        }
    return run * VECTOR_RUN + picked;
}

/* Append those of the tokens from `begin` on whose values are at least `least`. */
static void append(const struct odds *odds, int32_t begin, int32_t length, const float *values,
                   float least, struct candidates *out)
{
    int32_t found[VECTOR_RUN];
    const int32_t hits = vector_find(odds->kernels, found, values, length, least);
    struct candidate *items = out->items + out->count;
    for (int32_t i = 0; i < hits; i++)
        items[i] = (struct candidate){.order = odds->logits[begin + found[i]],
                                      .token = begin + found[i],
                                      .weight = values[found[i]]};
    out->count += hits;
}

struct candidates odds_gather(const struct odds *odds, float least, double total)
{
    float weights[VECTOR_RUN], sum;
    struct candidates out = {.items = odds->room.candidates, .total = total};
    for (int32_t begin = 0; begin < odds->count; begin += VECTOR_RUN) {
        if (odds->room.runs[begin / VECTOR_RUN] < least) /* a rounded sum is no less than a term */
            continue;
        const int32_t length = weigh_run(odds, begin, weights, &sum);
        append(odds, begin, length, weights, least, &out);
    }
    return out;
}

/* The lighter ones of a run have no more together than all of it, and no more than its length says.
 */
static double most_below(const struct odds *odds, double weight)
{
    const int32_t runs = (odds->count + VECTOR_RUN - 1) / VECTOR_RUN;
    const double limit = weight * VECTOR_RUN;
    double sum = 0;
    for (int32_t i = 0; i < runs; i++)
        sum += (double)odds->room.runs[i] < limit ? (double)odds->room.runs[i] : limit;
    return sum;
}

float odds_tail(const struct odds *odds, double budget)
{
    double weight = budget / odds->count;
    while (most_below(odds, 2 * weight) <= budget)
        weight *= 2;
    return (float)weight;
}

/* The maxima of runs, of which there are more than `limit` if possible; returns their length. */
static int32_t find_maxima(const struct odds *odds, int32_t limit)
{
    int32_t run = VECTOR_RUN;
    while (run > RUN_MIN && odds->count / run / 4 < limit)
        run /= 2;
    for (int32_t begin = 0; begin < odds->count; begin += run)
        odds->room.runs[begin / run] =
            vector_largest(odds->kernels, odds->logits + begin, length_of(odds, begin, run));
    return run;
}

/* So many maxima are no less than what this returns, hence so many logits. */
static float limiting_maximum(const struct odds *odds, int32_t run, int32_t limit)
{
    const int32_t count = (odds->count + run - 1) / run;
    struct candidate *items = odds->room.candidates;
    float least = INFINITY;
    if (limit > count)
        return -INFINITY;
    for (int32_t i = 0; i < count; i++) {
        const float most = odds->room.runs[i];
        items[i] =
            (struct candidate){.order = isnan(most) ? -INFINITY : most, .token = i, .weight = 1};
    }
    const int32_t kept = candidates_keep_best(items, count, limit);
    for (int32_t i = 0; i < kept; i++)
        least = fminf(least, items[i].order);
    return least;
}

struct candidates odds_best(const struct odds *odds, float floor, int32_t limit)
{
    struct candidates out = {.items = odds->room.candidates};
    const int32_t run = find_maxima(odds, limit);
    const float least = fmaxf(floor, limiting_maximum(odds, run, limit));
    for (int32_t begin = 0; begin < odds->count; begin += run) {
        const float most = odds->room.runs[begin / run];
        if (!(most < least))
            append(odds, begin, length_of(odds, begin, run), odds->logits + begin, least, &out);
    }
    for (int32_t i = 0; i < out.count; i++)
        out.items[i].weight = 1;
    out.count = candidates_keep_best(out.items, out.count, limit);
    return out;
}

void odds_weigh(const struct odds *odds, struct candidates *candidates)
{
    float logits[VECTOR_RUN], weights[VECTOR_RUN];
    candidates->total = 0;
    for (int32_t begin = 0; begin < candidates->count; begin += VECTOR_RUN) {
        struct candidate *items = candidates->items + begin;
        const int32_t left = candidates->count - begin;
        const int32_t length = left < VECTOR_RUN ? left : VECTOR_RUN;
        for (int32_t i = 0; i < length; i++)
            logits[i] = odds->logits[items[i].token];
        vector_weigh(odds->kernels, weights, logits, length, odds->most, odds->factor);
        for (int32_t i = 0; i < length; i++) {
            items[i].weight = weights[i];
            candidates->total += (double)weights[i];
        }
    }
}
