/* utf8.h - cutting a byte stream at whole UTF-8 characters.
 *
 * Threads:  pure functions.
 * Source:   The Unicode Standard 15.0, table 3-7 (well-formed byte sequences).
 */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stddef.h>

/* Of `length` bytes that continue a stream cut anywhere, how many can be shown now: all of them but
 * an unfinished (so far well-formed) character of at most 3 bytes at the end. */
size_t utf8_complete_length(const char *bytes, size_t length);

/* The length of the longest well-formed run at the start (0 when the first byte is bad). */
size_t utf8_valid_length(const char *bytes, size_t length);

/* The length of the longest run at the start that holds no well-formed character. */
size_t utf8_invalid_length(const char *bytes, size_t length);

#endif
