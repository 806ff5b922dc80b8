/* candidates.c - see candidates.h. */
#include "generate/candidates.h"

#include <math.h>
#include <stdbool.h>

enum {
    SORTED_MAX = 32,     /* candidates that are sorted, not divided any more */
    DIVISIONS_MAX = 100, /* far more than an honest row needs; then all that is left is sorted */
};

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->order > b->order || (a->order == b->order && a->token < b->token);
}

static void swap(struct candidate *a, struct candidate *b)
{
    const struct candidate moved = *a;
    *a = *b;
    *b = moved;
}

/* Restore a heap whose root is the last of the order, below `at`. */
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

static void sort(struct candidate *items, int32_t count)
{
    for (int32_t at = count / 2 - 1; at >= 0; at--)
        sift_down(items, count, at);
    for (int32_t last = count - 1; last > 0; last--) {
        swap(&items[0], &items[last]);
        sift_down(items, last, 0);
    }
}

void candidates_sort(struct candidates *candidates)
{
    sort(candidates->items, candidates->count);
}

/* Put the median of the first, the middle and the last one at the end. */
static void place_pivot(struct candidate *items, int32_t count)
{
    struct candidate *first = items, *middle = items + count / 2, *last = items + count - 1;
    if (is_better(middle, first))
        swap(first, middle);
    if (is_better(last, first))
        swap(first, last);
    if (is_better(middle, last))
        swap(middle, last);
}

/* Divide three or more into those up to a pivot, which is among these, and those behind it (Hoare's
 * scheme).  Returns how many the first ones are, not all, and their weight. */
static int32_t divide(struct candidate *items, int32_t count, double *weight)
{
    place_pivot(items, count);
    const struct candidate pivot = items[count - 1];
    int32_t left = 0, right = count - 1;
    for (;; left++) {
        while (is_better(&items[left], &pivot)) /* the pivot ends it */
            left++;
        do
            right--;
        while (right > left && is_better(&pivot, &items[right]));
        if (right <= left)
            break;
        swap(&items[left], &items[right]);
    }
    swap(&items[left], &items[count - 1]);
    *weight = 0;
    for (int32_t i = 0; i <= left; i++)
        *weight += (double)items[i].weight;
    return left + 1;
}

/* Bring the fewest of the best, at least one, whose weights reach `enough` to the front.  Returns
 * how many they are. */
static int32_t cut(struct candidate *items, int32_t count, double enough, double *sum)
{
    int32_t begin = 0, end = count;
    *sum = 0;
    for (int i = 0; i < DIVISIONS_MAX && end - begin > SORTED_MAX; i++) {
        double weight;
        const int32_t middle = begin + divide(items + begin, end - begin, &weight);
        if (*sum + weight >= enough) {
            end = middle;
        } else {
            *sum += weight;
            begin = middle;
        }
    }
    sort(items + begin, end - begin);
    while (begin < end && (begin == 0 || *sum < enough))
        *sum += (double)items[begin++].weight;
    return begin;
}

int32_t candidates_keep_best(struct candidate *items, int32_t count, int32_t limit)
{
    double sum;
    return count <= limit ? count : cut(items, count, limit, &sum);
}

void candidates_keep_nucleus(struct candidates *candidates, double top_p)
{
    candidates->count =
        cut(candidates->items, candidates->count, top_p * candidates->total, &candidates->total);
}

/* The surprise is (best - logit) / temperature + log(total), and the entropy its mean; so they are
 * as far apart as the logit and its mean, but for the temperature. */
void candidates_keep_typical(struct candidates *candidates, double typical_p)
{
    struct candidate *items = candidates->items;
    double sum = 0, product = 0;
    for (int32_t i = 0; i < candidates->count; i++) {
        sum += (double)items[i].weight;
        product += (double)items[i].weight * (double)items[i].order;
    }
    for (int32_t i = 0; i < candidates->count; i++)
        items[i].order = -(float)fabs((double)items[i].order - product / sum);
    candidates_keep_nucleus(candidates, typical_p);
    for (int32_t i = 0; i < candidates->count; i++)
        items[i].order = items[i].weight;
}

void candidates_keep_probable(struct candidates *candidates, double min_p)
{
    double highest = 0, sum = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < candidates->count; i++)
        if ((double)candidates->items[i].weight > highest)
            highest = (double)candidates->items[i].weight;
    for (int32_t i = 0; i < candidates->count; i++)
        if ((double)candidates->items[i].weight >= min_p * highest) {
            sum += (double)candidates->items[i].weight;
            candidates->items[kept++] = candidates->items[i];
        }
    candidates->count = kept;
    candidates->total = sum;
}

const struct candidate *candidates_pick(const struct candidates *candidates, double at)
{
    const struct candidate *picked = candidates->items;
    for (int32_t i = 0; i < candidates->count && at >= 0; i++)
        if (candidates->items[i].weight > 0) { /* rounding may leave a rest behind the last one */
            picked = &candidates->items[i];
            at -= (double)picked->weight;
        }
    return picked;
}
