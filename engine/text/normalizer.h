/* normalizer.h - what happens to a text before it is cut into pieces: a list of steps.
 *
 * A GGUF implies its steps by its tokenizer model, a folder states them in tokenizer.json; both
 * become the same list.
 *
 * Owns:     nothing; the texts of a step belong to the vocabulary.
 * Promise:  linear in the text.  Bytes that are not UTF-8 are passed on as U+FFFD, one for each
 *           byte, before the first step.
 * Threads:  pure functions.
 * Limits:   NORMALIZER_STEPS_MAX steps; a text grows to at most NORMALIZER_GROWTH_MAX times its
 *           bytes plus 1 KiB.
 * Source:   Unicode Standard Annex 15 (by utf8proc); BertNormalizer and the other components of
 *           tokenizer.json; the precompiled character map of SentencePiece (a Darts trie).
 */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { NORMALIZER_STEPS_MAX = 16, NORMALIZER_GROWTH_MAX = 32 };

enum normalizer_kind {
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_STRIP_ACCENTS, /* BERT: removes nonspacing marks (Mn); NFD comes before it */
    NORMALIZE_STRIP_MARKS,   /* removes all marks (M) */
    NORMALIZE_BASE_LETTERS,  /* each character becomes the first one of its NFD: what llama.cpp does
                              * before it strips marks; other than NFD for Korean */
    NORMALIZE_SPACES,        /* each white space character becomes " " */
    NORMALIZE_CLEAN,         /* BERT: drops control characters but tab, line feed and carriage
                              * return, drops 0 and U+FFFD; then NORMALIZE_SPACES */
    NORMALIZE_SPACE_CJK,     /* BERT: a space before and after each CJK ideograph */
    NORMALIZE_STRIP_LEFT,    /* white space at the start */
    NORMALIZE_STRIP_RIGHT,   /* and at the end */
    NORMALIZE_COLLAPSE_SPACES, /* runs of " " become one; none at the start and the end */
    NORMALIZE_PREPEND,         /* `to` before a text that is not empty */
    NORMALIZE_PREPEND_ONCE,    /* the same, unless the text begins with `to` */
    NORMALIZE_REPLACE,         /* each `from` becomes `to` */
    NORMALIZE_REPLACE_RUNS,    /* each run of two or more `from` becomes one `to` */
    NORMALIZE_CHARSMAP,        /* `from` is a precompiled character map; untrusted */
};

struct normalizer_step {
    enum normalizer_kind kind;
    struct text from, to;
};

/* White_Space of Unicode. */
bool normalizer_is_space(int32_t point);

/* Are the steps sound (a character map that can be walked without leaving it, a `from` that is not
 * empty)?  Returns 0 or -ENOEXEC. */
int normalizer_check(const struct normalizer_step *steps, size_t count, struct error *error);

/* Append the normalised text to *out.  The steps must have been checked.  Returns 0, -ENOMEM or
 * -EMSGSIZE; *out keeps what it had on failure. */
int normalizer_apply(const struct normalizer_step *steps, size_t count, struct text text,
                     struct buffer *out);

#endif
