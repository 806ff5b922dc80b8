/* memory.c - see memory.h. */
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { CACHE_LINE_BYTES = 64, HUGE_PAGE_BYTES = 2 << 20, BUFFER_BYTES_MIN = 64 };

void *memory_try(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

void *memory_try_aligned(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - CACHE_LINE_BYTES)
        return NULL;
    bytes = (bytes + CACHE_LINE_BYTES) / CACHE_LINE_BYTES * CACHE_LINE_BYTES; /* never 0 */
    return aligned_alloc(CACHE_LINE_BYTES, bytes);
}

size_t memory_huge_bytes(size_t count, size_t size)
{
    size_t bytes = count * size;
    return bytes < HUGE_PAGE_BYTES
               ? bytes
               : (bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
}

void *memory_try_huge(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE_BYTES)
        return NULL;
    if (bytes < HUGE_PAGE_BYTES)
        return memory_try(count, size);
    bytes = memory_huge_bytes(count, size);
    void *memory = aligned_alloc(HUGE_PAGE_BYTES, bytes);
    if (memory) {
        madvise(memory, bytes, MADV_HUGEPAGE); /* where it cannot, it is slower */
        memset(memory, 0, bytes);
    }
    return memory;
}

int memory_grow(void **items, size_t *capacity, size_t needed, size_t size, size_t limit)
{
    if (needed <= *capacity)
        return 0;
    if (needed > limit)
        return -EMSGSIZE;
    size_t grown = *capacity > limit / 2 ? limit : *capacity * 2;
    if (grown < needed)
        grown = needed;
    void *moved = reallocarray(*items, grown, size);
    if (!moved)
        return -ENOMEM;
    *items = moved;
    *capacity = grown;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length > buffer->limit - buffer->length)
        return -EMSGSIZE;
    if (length == 0)
        return 0;
    size_t needed = buffer->length + length;
    if (needed < BUFFER_BYTES_MIN && buffer->limit >= BUFFER_BYTES_MIN)
        needed = BUFFER_BYTES_MIN;
    int status = memory_grow((void **)&buffer->bytes, &buffer->capacity, needed, 1, buffer->limit);
    if (status)
        return status;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return 0;
}

int buffer_append_text(struct buffer *buffer, struct text text)
{
    return buffer_append(buffer, text.bytes, text.length);
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    char small[512];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    int status = -ENOMEM;
    if (length >= 0 && (size_t)length < sizeof small) {
        status = buffer_append(buffer, small, (size_t)length);
    } else if (length >= 0) {
        char *large = memory_try((size_t)length + 1, 1);
        if (large) {
            vsnprintf(large, (size_t)length + 1, format, again);
            status = buffer_append(buffer, large, (size_t)length);
            free(large);
        }
    }
    va_end(again);
    return status;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    buffer->length -= length;
    if (length && buffer->length)
        memmove(buffer->bytes, buffer->bytes + length, buffer->length);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = buffer_new(buffer->limit);
}
