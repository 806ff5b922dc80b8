/* words.h - cutting a text in which U+2581 stands for spaces where no token can cross.
 *
 * Almost every SentencePiece vocabulary has U+2581 only at the start of a token.  A text can then
 * be cut before each U+2581 that follows another character, and every word be done on its own with
 * the result of the whole: small tables instead of large ones.
 *
 * Threads:  pure functions.
 */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include "text/vocabulary.h"

#include <stddef.h>

#define WORDS_SPACE "\xE2\x96\x81" /* U+2581, lower one eighth block */
enum { WORDS_SPACE_BYTES = 3 };
enum { WORDS_PIECE_BYTES_MAX = 1 << 20 };

/* Does no token that text can become have U+2581 after another character? */
bool words_are_separate(const struct vocabulary *vocabulary);

/* Where the word ends that starts at `from` < text.length: before the next word if they are
 * separate, else with the text; at most WORDS_PIECE_BYTES_MAX bytes on, at a character's end. */
size_t words_end(struct text text, size_t from, bool separate);

/* The bytes of a token with " " for each U+2581.  Writes up to `capacity`, returns all. */
size_t words_unescape(struct text token, char *out, size_t capacity);

/* The byte that a token "<0x41>" stands for, or -1. */
int words_byte(struct text token);

#endif
