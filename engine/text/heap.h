/* heap.h - a binary heap of numbers: the smallest comes out first.
 *
 * BPE and SPM keep their possible merges in one, as rank << 32 | left symbol: the lowest rank comes
 * out first, and of equal ranks the leftmost.
 *
 * Owns:     nothing; `items` is the caller's and has room for all that is pushed.
 * Threads:  a plain value.
 */
#ifndef TEXT_HEAP_H
#define TEXT_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
    uint64_t *items;
    size_t count;
};

static inline void heap_push(struct heap *heap, uint64_t item)
{
    uint64_t *items = heap->items;
    size_t at = heap->count++;
    for (; at > 0 && items[(at - 1) / 2] > item; at = (at - 1) / 2)
        items[at] = items[(at - 1) / 2];
    items[at] = item;
}

/* The smallest item; the heap is not empty. */
static inline uint64_t heap_pop(struct heap *heap)
{
    uint64_t *items = heap->items, smallest = items[0];
    uint64_t item = items[--heap->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < heap->count) {
        if (child + 1 < heap->count && items[child + 1] < items[child])
            child++;
        if (items[child] >= item)
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = item;
    return smallest;
}

#endif
