/* special.h - the strings that become one token as a whole, before any merging.
 *
 * Most are looked for in the text as it is; those with TOKEN_NORMALIZED, and normalised like the
 * text, in what the vocabulary's normalizer makes of the parts between.
 *
 * Owns:     the sorted lists of them; the strings stay in the model file.
 * Promise:  finding is linear in the text.  Of matches that overlap the leftmost wins, of those
 *           that start together the longest; of tokens with the same string the last id.  A match
 *           takes the white space with it that its enum token_flag says; one that must be a single
 *           word and is not, is text.
 * Threads:  read-only after opening, any thread.
 * Limits:   a string longer than SPECIAL_BYTES_MAX is not matched: it bounds the work per byte of
 *           text, and no published vocabulary comes near it.
 */
#ifndef TEXT_SPECIAL_H
#define TEXT_SPECIAL_H

#include "text/vocabulary.h"

enum { SPECIAL_BYTES_MAX = 256 };

struct special;

/* Collect the CONTROL, UNKNOWN and USER_DEFINED tokens.  Returns 0 or -ENOMEM; -EMSGSIZE when a
 * string grows past what normalizer.h allows. */
int special_open(const struct vocabulary *vocabulary, struct special **out);
void special_close(struct special *special);

/* What its lists take. */
size_t special_bytes(const struct special *special);

/* What a text is looked through for. */
enum special_set {
    SPECIAL_RAW,        /* in a text as it is */
    SPECIAL_NORMALIZED, /* in a normalised part of it */
    SPECIAL_SETS,
    SPECIAL_VERBATIM = SPECIAL_SETS, /* for all strings as they are: what a template has written */
};

/* The next match at or after `from`: a USER_DEFINED token, or any if `control`.  Returns its id and
 * bounds, with the white space that it takes, or VOCABULARY_NONE. */
int32_t special_next(const struct special *special, enum special_set set, struct text text,
                     size_t from, bool control, size_t *begin, size_t *end);

/* The id of exactly this string, of any of the three kinds, or VOCABULARY_NONE. */
int32_t special_find(const struct special *special, struct text string);

#endif
