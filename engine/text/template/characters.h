/* characters.h - the characters of a string, as Python counts and sorts them.
 *
 * A byte that belongs to no well-formed UTF-8 character counts as a character of its own.
 *
 * Source:   Python's str.isspace(), str.isprintable(); the Unicode Standard 15.0.
 * Threads:  pure functions.
 */
#ifndef TEXT_TEMPLATE_CHARACTERS_H
#define TEXT_TEMPLATE_CHARACTERS_H

#include "base/text.h"

#include <stdint.h>

/* The character that `text` (not empty) begins with, and its bytes.  0xDC00 + byte for a bad one,
 * which is no character that well-formed text can hold. */
uint32_t characters_first(struct text text, size_t *length);

/* How many bytes the character has that ends at `end` (at least 1). */
size_t characters_length_before(struct text text, size_t end);

/* How many characters a text has; where character number `index` begins (text.length for one
 * past the end). */
size_t characters_count(struct text text);
size_t characters_offset(struct text text, size_t index);

/* UTF-8 of a code point up to 0x10FFFF: 1 to 4 bytes. */
size_t characters_encode(uint32_t character, char out[4]);

bool characters_is_space(uint32_t character);

/* Does repr() show it as it is?  Known for the common blocks of what is not printable: controls,
 * separators, formats, surrogates, private use. */
bool characters_is_printable(uint32_t character);

static inline bool characters_is_line_end(uint32_t character)
{
    return (character >= '\n' && character <= '\r') || (character >= 0x1C && character <= 0x1E) ||
           character == 0x85 || character == 0x2028 || character == 0x2029;
}

/* ASCII only: other letters keep their case. */
static inline char characters_upper(char byte)
{
    return byte >= 'a' && byte <= 'z' ? (char)(byte - 32) : byte;
}

static inline char characters_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
}

static inline bool characters_is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static inline bool characters_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

#endif
