/* candidates.c - see candidates.h. */
#include "generate/candidates.h"

#include <math.h>
#include <stdbool.h>

/* Does `a` come before `b` in an order? */
typedef bool before(const struct candidate *a, const struct candidate *b);

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* For the time of candidates_keep_typical() a logit holds the distance from the typical. */
static bool is_nearer(const struct candidate *a, const struct candidate *b)
{
    return a->logit < b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Restore a heap whose root is the last of the order, below `at`. */
static void sift_down(struct candidate *heap, int32_t count, int32_t at, before *comes_first)
{
    struct candidate moved = heap[at];
    for (int32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && comes_first(&heap[child], &heap[child + 1]))
            child++;
        if (!comes_first(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void make_heap(struct candidate *heap, int32_t count, before *comes_first)
{
    for (int32_t at = count / 2 - 1; at >= 0; at--)
        sift_down(heap, count, at, comes_first);
}

static void sort(struct candidate *items, int32_t count, before *comes_first)
{
    make_heap(items, count, comes_first);
    for (int32_t last = count - 1; last > 0; last--) {
        struct candidate moved = items[0];
        items[0] = items[last];
        items[last] = moved;
        sift_down(items, last, 0, comes_first);
    }
}

void candidates_sort(struct candidates *candidates)
{
    sort(candidates->items, candidates->count, is_better);
}

/* A heap of the best so far, whose root is what a token has to beat.  Most tokens lose that one
 * comparison. */
int32_t candidates_gather(const float *logits, int32_t count, float floor, int32_t limit,
                          struct candidate *room)
{
    int32_t kept = 0, token = 0;
    for (; token < count && kept < limit; token++)
        if (logits[token] >= floor)
            room[kept++] = (struct candidate){.logit = logits[token], .token = token};
    if (token == count) /* all of them, in the order of the vocabulary */
        return kept;
    make_heap(room, kept, is_better);
    for (; token < count; token++)
        if (logits[token] > room[0].logit) { /* an equal one comes later in the order */
            room[0] = (struct candidate){.logit = logits[token], .token = token};
            sift_down(room, kept, 0, is_better);
        }
    return kept;
}

void candidates_weigh(struct candidates *candidates, float best, float temperature)
{
    candidates->total = 0;
    for (int32_t i = 0; i < candidates->count; i++) {
        struct candidate *item = &candidates->items[i];
        item->weight = exp(((double)item->logit - (double)best) / (double)temperature);
        candidates->total += item->weight;
    }
}

/* The first ones whose weights reach `share` of the total, at least one. */
static void keep_share(struct candidates *candidates, double share)
{
    const double enough = share * candidates->total;
    double sum = 0;
    int32_t kept = 0;
    while (kept < candidates->count && (kept == 0 || sum < enough))
        sum += candidates->items[kept++].weight;
    candidates->count = kept;
    candidates->total = sum;
}

void candidates_keep_nucleus(struct candidates *candidates, double top_p)
{
    /* Of n candidates, those below (1 - p) / n have less than 1 - p together: none is needed.  A
     * little less than that, so that equal ones do not all fall below their own rounded mean. */
    const double least = 0.999 * candidates->total * (1 - top_p) / candidates->count;
    int32_t possible = 0;
    for (int32_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].weight >= least)
            candidates->items[possible++] = candidates->items[i];
    candidates->count = possible;
    candidates_sort(candidates);
    keep_share(candidates, top_p);
}

static double surprise(const struct candidates *candidates, int32_t index)
{
    return -log(candidates->items[index].weight / candidates->total);
}

void candidates_keep_typical(struct candidates *candidates, double typical_p)
{
    double entropy = 0;
    for (int32_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].weight > 0)
            entropy += candidates->items[i].weight / candidates->total * surprise(candidates, i);
    for (int32_t i = 0; i < candidates->count; i++)
        candidates->items[i].logit = (float)fabs(surprise(candidates, i) - entropy);
    sort(candidates->items, candidates->count, is_nearer);
    keep_share(candidates, typical_p);
    for (int32_t i = 0; i < candidates->count; i++) /* an order that the next rule can read */
        candidates->items[i].logit = (float)log(candidates->items[i].weight);
}

void candidates_keep_probable(struct candidates *candidates, double min_p)
{
    double highest = 0, sum = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < candidates->count; i++)
        highest = fmax(highest, candidates->items[i].weight);
    for (int32_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].weight >= min_p * highest) {
            sum += candidates->items[i].weight;
            candidates->items[kept++] = candidates->items[i];
        }
    candidates->count = kept;
    candidates->total = sum;
}

void candidates_keep_unsurprising(struct candidates *candidates, double bits)
{
    candidates_sort(candidates);
    double sum = candidates->items[0].weight;
    int32_t kept = 1;
    while (kept < candidates->count && surprise(candidates, kept) <= bits * log(2))
        sum += candidates->items[kept++].weight;
    candidates->count = kept;
    candidates->total = sum;
}

const struct candidate *candidates_pick(const struct candidates *candidates, double at)
{
    for (int32_t i = 0; i < candidates->count; i++) {
        at -= candidates->items[i].weight;
        if (at < 0)
            return &candidates->items[i];
    }
    return &candidates->items[candidates->count - 1]; /* rounding left a rest */
}
