/* pretokenizer.h - cutting a text into the pieces inside which BPE may merge.
 *
 * A rule is a list of regular expressions, applied in sequence, each to the pieces that the
 * previous one left; what an expression does not match stays as a piece of its own.  Bytes that are
 * not UTF-8 are cut out first: a run of them is one piece, and to the expressions the text ends
 * before it and starts after it.
 *
 * Owns:     the compiled expressions.
 * Promise:  linear in the text; all bytes of the text are in exactly one piece, in order.
 * Threads:  read-only after opening, any thread.
 */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>

enum { PRETOKENIZER_PATTERNS_MAX = 4 };

struct pretokenizer_rule {
    const char *patterns[PRETOKENIZER_PATTERNS_MAX]; /* PCRE2; unused ones are NULL */
    bool ignores_merges; /* a piece that is a token as a whole is not built by merging */
    bool adds_bos;       /* unless the file says otherwise */
};

/* The rule of a `tokenizer.ggml.pre` (empty: a file that names none), or NULL for an unknown name:
 * a wrong guess would give subtly wrong text. */
const struct pretokenizer_rule *pretokenizer_rule(struct text pre);

struct pretokenizer;

/* Returns 0 or -ENOMEM. */
int pretokenizer_open(const struct pretokenizer_rule *rule, struct pretokenizer **out,
                      struct error *error);
void pretokenizer_close(struct pretokenizer *pretokenizer);

/* Give every piece to take(), which returns 0 or an error that ends the walk.  Returns that error,
 * 0 or -ENOMEM. */
int pretokenizer_split(const struct pretokenizer *pretokenizer, struct text text,
                       int (*take)(void *context, struct text piece), void *context);

#endif
