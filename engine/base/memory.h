/* memory.h - allocation that says no, and buffers that are born with their maximum.
 *
 * Promise:  a product of count and size that overflows is refused like memory that is not there;
 *           a buffer never grows past the limit that it was given at birth.
 * Threads:  any; one buffer belongs to one thread at a time.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/text.h"

#include <stddef.h>

/* count * size zeroed bytes, or NULL (product overflows, or no memory).  free() it. */
void *memory_try(size_t count, size_t size);

/* The same, not zeroed by hand and aligned to 64 bytes (a cache line, a zmm).  free() it. */
void *memory_try_aligned(size_t count, size_t size);

/* Zeroed too, and a large one in huge pages where the kernel has them: for tables that are filled
 * in no order, where half of the time would go into page faults and address translation.  free()
 * it. */
void *memory_try_huge(size_t count, size_t size);

/* How many bytes that takes. */
size_t memory_huge_bytes(size_t count, size_t size);

/* Grow array *items of `size`-byte elements so that *capacity >= needed: at least doubled, never
 * past `limit` elements.  Returns 0, -ENOMEM, or -EMSGSIZE when needed > limit. */
int memory_grow(void **items, size_t *capacity, size_t needed, size_t size, size_t limit);

/* Bytes that grow at the end. */
struct buffer {
    char *bytes;
    size_t length;
    size_t capacity;
    size_t limit; /* length never passes it */
};

static inline struct buffer buffer_new(size_t limit)
{
    return (struct buffer){.limit = limit};
}

/* Append.  Returns 0, -ENOMEM, or -EMSGSIZE when the result would pass the limit (nothing is
 * appended then). */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);
int buffer_append_text(struct buffer *buffer, struct text text);
int buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drop the first `length` bytes. */
void buffer_consume(struct buffer *buffer, size_t length);

/* Free the bytes; the buffer is empty and keeps its limit. */
void buffer_free(struct buffer *buffer);

static inline struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){buffer->bytes, buffer->length};
}

#endif
