/* sample_vocabulary.h - small vocabularies, written by the test that uses them.
 *
 * Of a byte-level one, ids 0..255 are the bytes; then come the special strings in the given order,
 * then one token for each merge whose whole is not there yet.
 *
 * Owns:     its strings; sample_vocabulary_free().
 * Promise:  out of memory aborts the test program.
 */
#ifndef TESTS_LIB_SAMPLE_VOCABULARY_H
#define TESTS_LIB_SAMPLE_VOCABULARY_H

#include "text/vocabulary.h"

struct sample_special {
    const char *string;
    enum token_kind kind;
};

/* `merges` ("left right", byte-level characters) and `specials` end with a NULL string; either may
 * be NULL. */
struct vocabulary *sample_vocabulary(const char *pre, const char *const *merges,
                                     const struct sample_special *specials);

struct sample_token {
    const char *string;
    enum token_kind kind;
    float score;
};

/* A vocabulary of another model: the tokens in this order, ended by a NULL string; each "_" at
 * the start of one stands for U+2581.  The first UNKNOWN token is the unknown one.  With `bytes`
 * the 256 byte tokens follow. */
struct vocabulary *sample_vocabulary_of(enum vocabulary_model model,
                                        const struct sample_token *tokens, bool bytes);
void sample_vocabulary_free(struct vocabulary *vocabulary);

/* The last id of this token string; aborts when there is none. */
int32_t sample_vocabulary_id(const struct vocabulary *vocabulary, const char *token);

#endif
