/* text.h - a borrowed run of bytes: a pointer and a length, no terminator, any encoding.
 *
 * Owns:     nothing; it points into a mapping or a buffer that must outlive it.
 * Threads:  a plain value.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t length;
};

static inline struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static inline bool text_equals(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

static inline bool text_is(struct text text, const char *string)
{
    return text_equals(text, text_of(string));
}

/* printf("%.*s", TEXT_ARGUMENTS(text)), cut at 200 bytes: names from files go into errors. */
#define TEXT_ARGUMENTS(text) ((text).length > 200 ? 200 : (int)(text).length), (text).bytes

#endif
