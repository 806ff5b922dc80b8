/* jsonscan.h - reading the two long lists of a tokenizer.json without a tree of them.
 *
 * A vocabulary of 152,000 tokens and its merges are 9 MB of JSON.  A tree of that takes jansson
 * 400 ms to make and 130 ms to free; the lists hold nothing but strings and numbers in a known
 * order, so they are read where they lie, and jansson gets the rest of the file.
 *
 * Owns:     nothing; `at` moves through bytes that the caller keeps.
 * Promise:  never reads past `end`; linear; no recursion.  What it accepts is what RFC 8259 allows,
 *           but jsonscan_skip() only finds where a value ends.
 * Threads:  a plain value.
 */
#ifndef TEXT_JSONSCAN_H
#define TEXT_JSONSCAN_H

#include "base/text.h"

#include <stdint.h>

struct jsonscan {
    const char *at, *end;
};

/* After white space: is the next byte `byte`?  It is taken then. */
bool jsonscan_take(struct jsonscan *scan, char byte);

/* Is nothing but white space left? */
bool jsonscan_is_done(struct jsonscan *scan);

/* Go past one value of any kind; *value becomes its bytes. */
bool jsonscan_skip(struct jsonscan *scan, struct text *value);

/* Decode a string into `out`, which must have room for as many bytes as are left: decoding never
 * makes it longer.  Returns its length, or -1. */
long jsonscan_string(struct jsonscan *scan, char *out);

/* An integer without fraction and exponent, of up to 18 digits. */
bool jsonscan_integer(struct jsonscan *scan, int64_t *out);

/* Any number of up to 63 bytes. */
bool jsonscan_number(struct jsonscan *scan, double *out);

#endif
