/* codepoint.h - a text as Unicode characters, one at a time.
 *
 * Threads:  pure functions.
 */
#ifndef TEXT_CODEPOINT_H
#define TEXT_CODEPOINT_H

#include "base/memory.h"

#include <stdint.h>
#include <utf8proc.h>

enum { CODEPOINT_REPLACEMENT = 0xFFFD };

/* The character at text.bytes[at], at < text.length, and its length.  A byte that is not part of
 * one counts as U+FFFD with length 1. */
static inline size_t codepoint_at(struct text text, size_t at, int32_t *point)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes + at;
    *point = *bytes;
    if (*point < 0x80)
        return 1;
    utf8proc_ssize_t length = utf8proc_iterate(bytes, (utf8proc_ssize_t)(text.length - at), point);
    if (length > 0)
        return (size_t)length;
    *point = CODEPOINT_REPLACEMENT;
    return 1;
}

/* Append a character's UTF-8; errors as buffer_append(). */
static inline int codepoint_append(struct buffer *out, int32_t point)
{
    uint8_t bytes[4] = {(uint8_t)point};
    size_t length = point < 0x80 ? 1 : (size_t)utf8proc_encode_char(point, bytes);
    return buffer_append(out, bytes, length);
}

#endif
