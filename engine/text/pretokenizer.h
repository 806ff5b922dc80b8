/* pretokenizer.h - cutting a text into the pieces inside which BPE may merge.
 *
 * A rule is a list of stages: regular expressions, applied in sequence, each to the pieces that the
 * previous one left.  Bytes that are not UTF-8 are cut out first: a run of them is one piece, and
 * to the expressions the text ends before it and starts after it.
 *
 * Owns:     the compiled expressions.
 * Promise:  linear in the text, whatever the expressions: those of the table are, foreign ones run
 *           under a budget (pattern.h).  All bytes of the text are in exactly one piece, in order,
 *           but for what a stage removes.
 * Threads:  read-only after opening, any thread.
 */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>

enum { PRETOKENIZER_STAGES_MAX = 8 };

/* What becomes of the matches of a stage, and of what lies between them.  An empty match is a place
 * to cut. */
enum pretokenizer_match {
    PRETOKENIZER_ISOLATE,        /* a match is a piece, and so is what lies between matches */
    PRETOKENIZER_REMOVE,         /* a match is dropped */
    PRETOKENIZER_MERGE_PREVIOUS, /* a match ends the piece before it, unless that is a match */
    PRETOKENIZER_MERGE_NEXT,     /* a match begins the piece after it, unless that is a match */
    PRETOKENIZER_CONTIGUOUS,     /* matches that touch are one piece */
};

struct pretokenizer_stage {
    const char *pattern; /* PCRE2; NULL ends the list */
    enum pretokenizer_match match;
    bool inverted; /* what lies between the matches is the match */
};

struct pretokenizer_rule {
    struct pretokenizer_stage stages[PRETOKENIZER_STAGES_MAX];
    bool foreign;        /* the patterns come from a model file: they run under a budget of steps */
    bool characters;     /* pieces are merged from characters, not from bytes in GPT-2's alphabet */
    bool ignores_merges; /* a piece that is a token as a whole is not built by merging */
    bool adds_space;     /* a text that does not begin with a space gets one (add_prefix_space) */
    bool adds_bos;       /* unless the file says otherwise */
    bool marks_spaces;   /* every space becomes U+2581 first */
    bool whole_lines;    /* a piece of newlines is a token as a whole where there is one */
};

/* The rule of a `tokenizer.ggml.pre` (empty: a file that names none), or NULL for an unknown name:
 * a wrong guess would give subtly wrong text. */
const struct pretokenizer_rule *pretokenizer_rule(struct text pre);

struct pretokenizer;

/* Returns 0, -ENOMEM, or -ENOEXEC for a foreign expression that pattern_open() refuses. */
int pretokenizer_open(const struct pretokenizer_rule *rule, struct pretokenizer **out,
                      struct error *error);
void pretokenizer_close(struct pretokenizer *pretokenizer);

/* Give every piece to take(), for as long as that runs; it returns 0 or an error that ends the
 * walk.  Returns that error, 0, -ENOMEM, or -EMSGSIZE when foreign expressions need more steps or
 * memory than they may. */
int pretokenizer_split(const struct pretokenizer *pretokenizer, struct text text,
                       int (*take)(void *context, struct text piece), void *context);

#endif
