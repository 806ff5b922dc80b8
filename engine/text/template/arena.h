/* arena.h - memory of one compiled template, or of one rendering: given back all at once.
 *
 * Owns:     the blocks.
 * Promise:  never holds more than its limit.
 * Threads:  one at a time.
 */
#ifndef TEXT_TEMPLATE_ARENA_H
#define TEXT_TEMPLATE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *last;
    size_t used, size;   /* of the last block */
    size_t total, limit; /* bytes of all blocks */
    int status;          /* 0; after a refusal -ENOMEM, or -EMSGSIZE for the limit */
};

static inline struct arena arena_new(size_t limit)
{
    return (struct arena){.limit = limit};
}

/* `count` * `size` zeroed bytes, aligned for anything; NULL sets arena->status. */
void *arena_allocate(struct arena *arena, size_t count, size_t size);

void arena_free(struct arena *arena);

#endif
