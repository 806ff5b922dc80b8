/* grammar_build.h - how the network behind grammar.h looks, and how it is put together.
 *
 * A node matches a byte of a range, splits in two, calls a rule and goes on behind it, or ends its
 * rule.  A fragment is a piece under construction: one way in, one way out (a JUMP that leads
 * nowhere yet).
 *
 * Promise:  after the first failure a builder only says so again: its functions return something
 *           harmless, and the caller looks at `status` when it is convenient, at least once in each
 *           loop over the source.
 * Threads:  one a builder.
 */
#ifndef GENERATE_GRAMMAR_BUILD_H
#define GENERATE_GRAMMAR_BUILD_H

#include "generate/grammar.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grammar_kind {
    GRAMMAR_FAIL,  /* matches nothing; node 0 is one */
    GRAMMAR_BYTES, /* low..high, then next */
    GRAMMAR_SPLIT, /* next or other */
    GRAMMAR_JUMP,  /* next; none is reached in a finished grammar */
    GRAMMAR_CALL,  /* rule `other`, then next */
    GRAMMAR_END,   /* of a rule */
};

struct grammar_node {
    uint8_t kind;
    uint8_t low, high;
    int32_t next, other;
};

struct grammar_rule {
    int32_t start; /* its first node; 0 until it is defined */
    bool nullable; /* matches the empty string */
    bool defined;
    int32_t line;      /* for errors; 0 for a schema */
    struct text label; /* the same: its name in the source, which lives until the end of building */
};

struct grammar {
    struct grammar_node *nodes;
    size_t node_count;
    struct grammar_rule *rules;
    size_t rule_count;
    int32_t root;           /* a rule */
    uint8_t class_of[256];  /* bytes of one class are in the same ranges, everywhere */
    int32_t class_count;    /* at most 256 */
    uint8_t sample_of[256]; /* [class_count]: one byte of each */
};

struct grammar_builder {
    struct grammar_node *nodes;
    size_t node_count, node_capacity;
    struct grammar_rule *rules;
    size_t rule_count, rule_capacity;
    int32_t line; /* of what is built now; for errors and new rules */
    struct text label;
    int status; /* 0, or what went wrong first */
    struct error *error;
};

struct fragment {
    int32_t entry, exit;
};

/* Code points first..last. */
struct code_range {
    uint32_t first, last;
};

enum { CODE_POINT_MAX = 0x10ffff, GRAMMAR_UNBOUNDED = -1 };

void grammar_builder_open(struct grammar_builder *builder, struct error *error);
void grammar_builder_close(struct grammar_builder *builder);

/* Note a failure, unless there was one; the line is put before the sentence. */
int grammar_fail(struct grammar_builder *builder, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int32_t grammar_node(struct grammar_builder *builder, enum grammar_kind kind, int32_t next,
                     int32_t other);
void grammar_link(struct grammar_builder *builder, int32_t from, int32_t to);

struct fragment grammar_empty(struct grammar_builder *builder);
struct fragment grammar_literal(struct grammar_builder *builder, struct text bytes);
struct fragment grammar_call(struct grammar_builder *builder, int32_t rule);
struct fragment grammar_sequence(struct grammar_builder *builder, struct fragment first,
                                 struct fragment second);
struct fragment grammar_either(struct grammar_builder *builder, struct fragment first,
                               struct fragment second);
struct fragment grammar_optional(struct grammar_builder *builder, struct fragment fragment);

/* minimum to maximum times (GRAMMAR_UNBOUNDED: no end). */
struct fragment grammar_repeat(struct grammar_builder *builder, struct fragment fragment,
                               int64_t minimum, int64_t maximum);

/* One character of the ranges, which are sorted and merged here; none at all matches nothing.
 * Surrogates are left out. */
struct fragment grammar_class(struct grammar_builder *builder, struct code_range *ranges,
                              size_t count);

/* Sort and merge; returns how many are left. */
size_t grammar_merge_ranges(struct code_range *ranges, size_t count);

/* What merged ranges leave out, at most count + 1 ranges; returns how many. */
size_t grammar_invert_ranges(const struct code_range *ranges, size_t count, struct code_range *out);

/* A rule to be called now and defined later. */
int32_t grammar_rule(struct grammar_builder *builder);
void grammar_define(struct grammar_builder *builder, int32_t rule, struct fragment body);

/* Check everything and hand over.  Returns 0 or the builder's status. */
int grammar_finish(struct grammar_builder *builder, int32_t root, struct grammar **out);

/* What grammar_finish() checks and prepares (grammar_check.c). */
int grammar_check(struct grammar_builder *builder, int32_t root);

#endif
