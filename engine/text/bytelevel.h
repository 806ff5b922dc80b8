/* bytelevel.h - GPT-2's alphabet: every byte as one printable character.
 *
 * Byte-level vocabularies write their tokens in it, so that a token string has no spaces or control
 * characters: 188 bytes stand for themselves (as code points), the other 68 are U+0100..U+0143 in
 * the order of their values.
 *
 * Threads:  pure functions.
 * Source:   bytes_to_unicode() of the GPT-2 release.
 */
#ifndef TEXT_BYTELEVEL_H
#define TEXT_BYTELEVEL_H

#include "base/text.h"

enum { BYTELEVEL_CHARACTER_BYTES_MAX = 2 };

/* Write the character of `byte` as UTF-8; returns its length, 1 or 2. */
size_t bytelevel_encode(unsigned char byte, char out[BYTELEVEL_CHARACTER_BYTES_MAX]);

/* Decode a token string: characters of the alphabet become their byte, anything else is copied.
 * Writes up to `capacity` bytes, returns the full length (at most token.length). */
size_t bytelevel_decode(struct text token, char *out, size_t capacity);

#endif
