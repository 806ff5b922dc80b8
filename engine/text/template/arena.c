/* arena.c - see arena.h.  Blocks double, so that a small template costs a small allocation. */
#include "text/template/arena.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { BLOCK_BYTES_FIRST = 16 << 10, BLOCK_BYTES_LARGEST = 1 << 20, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *before;
    _Alignas(ALIGNMENT) char bytes[];
};

static int add_block(struct arena *arena, size_t needed)
{
    size_t size = arena->size ? arena->size * 2 : BLOCK_BYTES_FIRST;
    if (size > BLOCK_BYTES_LARGEST)
        size = BLOCK_BYTES_LARGEST;
    if (size > arena->limit - arena->total)
        size = arena->limit - arena->total;
    if (size < needed)
        size = needed;
    if (size > arena->limit - arena->total)
        return -EMSGSIZE;
    struct arena_block *block = malloc(sizeof *block + size);
    if (!block)
        return -ENOMEM;
    block->before = arena->last;
    arena->last = block;
    arena->used = 0;
    arena->size = size;
    arena->total += size;
    return 0;
}

void *arena_allocate(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > arena->limit) {
        arena->status = -EMSGSIZE;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > arena->size - arena->used) {
        int status = add_block(arena, bytes);
        if (status) {
            arena->status = status;
            return NULL;
        }
    }
    char *taken = arena->last->bytes + arena->used;
    arena->used += bytes;
    memset(taken, 0, bytes);
    return taken;
}

void arena_free(struct arena *arena)
{
    while (arena->last) {
        struct arena_block *before = arena->last->before;
        free(arena->last);
        arena->last = before;
    }
    *arena = arena_new(arena->limit);
}
