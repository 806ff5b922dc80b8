/* bytes.h - a cursor over bytes that nobody has checked yet.
 *
 * Why:      every length in a file is a claim.  All pointer arithmetic on such bytes happens here,
 *           behind one comparison with what is left, so that a parser cannot step outside.
 * Owns:     nothing; the bytes must outlive the cursor.
 * Promise:  start <= at <= end always; a read that does not fit changes nothing.
 * Threads:  a plain value.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes_cursor {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
};

/* `start` must not be NULL, even for no bytes. */
static inline struct bytes_cursor bytes_cursor_of(const void *start, size_t length)
{
    const uint8_t *first = start;
    return (struct bytes_cursor){first, first, first + length};
}

static inline size_t bytes_offset(const struct bytes_cursor *cursor)
{
    return (size_t)(cursor->at - cursor->start);
}

static inline size_t bytes_left(const struct bytes_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* The next `length` bytes, now behind the cursor; NULL when fewer are left. */
static inline const uint8_t *bytes_take(struct bytes_cursor *cursor, uint64_t length)
{
    if (length > bytes_left(cursor))
        return NULL;
    const uint8_t *taken = cursor->at;
    cursor->at += length;
    return taken;
}

/* The `length` bytes that lie `offset` bytes ahead, without moving; NULL when they are not all
 * there. */
static inline const uint8_t *bytes_ahead(const struct bytes_cursor *cursor, uint64_t offset,
                                         uint64_t length)
{
    size_t left = bytes_left(cursor);
    return offset <= left && length <= left - offset ? cursor->at + offset : NULL;
}

/* Little-endian numbers at any address: the caller knows that the bytes are there. */
static inline uint16_t bytes_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t bytes_u32(const uint8_t *at)
{
    return bytes_u16(at) | (uint32_t)bytes_u16(at + 2) << 16;
}

static inline uint64_t bytes_u64(const uint8_t *at)
{
    return bytes_u32(at) | (uint64_t)bytes_u32(at + 4) << 32;
}

/* The next number; false when it does not fit. */
static inline bool bytes_take_u32(struct bytes_cursor *cursor, uint32_t *out)
{
    const uint8_t *at = bytes_take(cursor, sizeof *out);
    if (at)
        *out = bytes_u32(at);
    return at != NULL;
}

static inline bool bytes_take_u64(struct bytes_cursor *cursor, uint64_t *out)
{
    const uint8_t *at = bytes_take(cursor, sizeof *out);
    if (at)
        *out = bytes_u64(at);
    return at != NULL;
}

#endif
