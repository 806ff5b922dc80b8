/* gguf_index.c - names in sorted order: finding one takes a binary search, finding a duplicate one
 * look at each neighbour.
 *
 * Sorted rather than hashed: nothing to tune, and no file can be made that degrades it.  Shorter
 * names come first, since a length is cheaper to compare than bytes.
 */
#include "load/gguf_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

static int compare_texts(struct text a, struct text b)
{
    if (a.length != b.length)
        return a.length < b.length ? -1 : 1;
    return memcmp(a.bytes, b.bytes, a.length);
}

static int compare_names(const void *first, const void *second)
{
    const struct gguf_name *a = first, *b = second;
    int order = compare_texts(a->text, b->text);
    if (order)
        return order;
    return a->position < b->position ? -1 : a->position > b->position;
}

int gguf_index_new(struct gguf_index *index, size_t count, struct error *error)
{
    *index = (struct gguf_index){.names = memory_try(count, sizeof *index->names), .count = count};
    if (!index->names)
        return error_set(error, ENOMEM, "no memory for an index of %zu names", count);
    return 0;
}

void gguf_index_free(struct gguf_index *index)
{
    free(index->names);
    *index = (struct gguf_index){0};
}

const struct gguf_name *gguf_index_sort(struct gguf_index *index)
{
    qsort(index->names, index->count, sizeof *index->names, compare_names);
    for (size_t i = 1; i < index->count; i++)
        if (text_equals(index->names[i - 1].text, index->names[i].text))
            return &index->names[i];
    return NULL;
}

bool gguf_index_find(const struct gguf_index *index, struct text text, size_t *position)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_texts(text, index->names[middle].text);
        if (order == 0) {
            *position = index->names[middle].position;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
