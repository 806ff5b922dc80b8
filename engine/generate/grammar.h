/* grammar.h - what an answer must look like: GBNF or a JSON schema, compiled.
 *
 * Both become the same thing, a network of byte ranges with calls between rules (a recursive
 * transition network); matcher.h walks it.  Characters are compiled to their UTF-8 bytes, so that a
 * token may begin and end anywhere and bytes that are no UTF-8 never match.
 *
 * Owns:     the compiled network; nothing of the source is kept.
 * Promise:  a source that is not understood completely is refused, never taken for less than it
 *           says.  Time and memory are linear in the source and what its counts stand for; nesting
 *           is bounded.  In what was accepted every beginning of a text can be completed.
 * Threads:  read-only after compiling, any thread.
 * Limits:   GRAMMAR_* below; docs/GRAMMARS.md says what is supported.
 */
#ifndef GENERATE_GRAMMAR_H
#define GENERATE_GRAMMAR_H

#include "base/error.h"
#include "base/text.h"

enum {
    GRAMMAR_SOURCE_BYTES_MAX = 1 << 20,
    GRAMMAR_NODES_MAX = 1 << 18,
    GRAMMAR_RULES_MAX = 1 << 16,   /* with those that repeated groups become */
    GRAMMAR_REPEATS_MAX = 1 << 16, /* the numbers in {m,n}, minLength, maxItems ... */
    GRAMMAR_DEPTH_MAX = 200,       /* groups in groups, schemas in schemas */
    GRAMMAR_RANGES_MAX = 1 << 16,  /* of one character class */
};

struct grammar;

/* Compile GBNF.  Returns 0, -ENOMEM, or -EINVAL: what is wrong and in which line, also that a limit
 * was passed, a rule begins with itself (left recursion), or nothing can match. */
int grammar_parse(struct text source, struct grammar **out, struct error *error);

/* Compile a JSON schema.  Returns 0, -ENOMEM, or -EINVAL: the keyword or value that is wrong, or
 * that is not supported and would change what is valid. */
int grammar_from_schema(struct text source, struct grammar **out, struct error *error);

void grammar_close(struct grammar *grammar);

#endif
