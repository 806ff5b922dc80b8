/* grammar_json.h - the parts of JSON texts that schemas are made of.
 *
 * Texts are compact: at most one space stands after `{`, `[`, `,` and `:`, and before `}` and `]`.
 * Numbers have at most GRAMMAR_DIGITS_MAX digits before and after the point, so that a model can't
 * go on with one forever.
 *
 * Threads:  one a builder (see grammar_build.h, also for how failures are told).
 * Source:   RFC 8259.
 */
#ifndef GENERATE_GRAMMAR_JSON_H
#define GENERATE_GRAMMAR_JSON_H

#include "generate/grammar_build.h"

enum { GRAMMAR_DIGITS_MAX = 16 };

/* An optional space. */
struct fragment grammar_json_space(struct grammar_builder *builder);

struct fragment grammar_json_words(struct grammar_builder *builder, const char *words);

/* One character inside of a string, escaped or not (never U+0000, never half a pair). */
struct fragment grammar_json_character(struct grammar_builder *builder);

/* The same, of the ranges only, escaped only where it must be. */
struct fragment grammar_json_characters(struct grammar_builder *builder, struct code_range *ranges,
                                        size_t count);

struct fragment grammar_json_string(struct grammar_builder *builder);

/* A string that is none of the names and has no escapes.  The names are in the order of their
 * bytes, and stay what they are. */
struct fragment grammar_json_other_string(struct grammar_builder *builder, const struct text *names,
                                          size_t count);

struct fragment grammar_json_number(struct grammar_builder *builder);

/* A whole number in minimum..maximum. */
struct fragment grammar_json_integer(struct grammar_builder *builder, int64_t minimum,
                                     int64_t maximum);

/* Any value; a rule. */
int32_t grammar_json_any(struct grammar_builder *builder);

/* `any` of these between the brackets, none or more; members have a string and a colon before
 * them. */
struct fragment grammar_json_list(struct grammar_builder *builder, int32_t any);
struct fragment grammar_json_members(struct grammar_builder *builder, int32_t any);

/* A string that an ECMA-262 expression matches from its beginning (^) to its end ($); without the
 * quotes. */
struct fragment grammar_json_pattern(struct grammar_builder *builder, struct text pattern);

#endif
