/* schema.h - questions about JSON schemas: what a reference means, several that must all hold as
 * one, which exclude each other.
 *
 * Owns:     what it makes: results are valid as long as `made` and the document.
 * Promise:  no result allows what one of the schemas forbids; what can't be merged is an error.
 *           At most SCHEMA_STEPS_MAX members and values are merged or compared for one document:
 *           references can stand for exponentially many.
 * Threads:  one.
 */
#ifndef GENERATE_SCHEMA_H
#define GENERATE_SCHEMA_H

#include "generate/grammar_build.h"

#include <jansson.h>

enum { SCHEMA_STEPS_MAX = 100000, SCHEMA_DEPTH_MAX = 64 };

struct schema_set {
    struct grammar_builder *builder;
    json_t *document;
    json_t *made; /* an array that keeps what was made */
    int steps;
};

/* What a keyword says. */
enum keyword_kind {
    KEYWORD_UNKNOWN,
    KEYWORD_NOTE,  /* nothing about what is valid */
    KEYWORD_RULE,  /* of some kind of value, or all */
    KEYWORD_JOINS, /* $ref, allOf, anyOf, oneOf */
};

enum keyword_kind schema_keyword(const char *key);

/* Where "#/..." leads; NULL with the builder's failure when it leads nowhere. */
const json_t *schema_resolve(struct schema_set *set, const char *reference);

/* A schema without $ref and allOf at its top; NULL with the builder's failure. */
const json_t *schema_flatten(struct schema_set *set, const json_t *schema);

/* Both schemas, which are flat. */
const json_t *schema_both(struct schema_set *set, const json_t *first, const json_t *second);

/* A copy without one keyword. */
const json_t *schema_without(struct schema_set *set, const json_t *schema, const char *key);

/* Can no value be valid for both?  False when that is not obvious. */
bool schema_excludes(struct schema_set *set, const json_t *first, const json_t *second);

/* The bits of the types that a flat schema allows: 1 << enum schema_type. */
enum schema_type {
    SCHEMA_OBJECT,
    SCHEMA_ARRAY,
    SCHEMA_STRING,
    SCHEMA_NUMBER,
    SCHEMA_INTEGER,
    SCHEMA_BOOLEAN,
    SCHEMA_NULL,
    SCHEMA_TYPES,
};
enum { SCHEMA_ANY_TYPE = (1 << SCHEMA_TYPES) - 1 };

unsigned schema_types(struct schema_set *set, const json_t *schema);

/* Is the value of one of the types? */
bool schema_has_type(const json_t *value, unsigned types);

/* As JSON schemas compare: 1 and 1.0 are the same. */
bool schema_same_value(const json_t *a, const json_t *b);

/* The values of enum or const as a list; NULL: it has neither, or the builder has failed. */
const json_t *schema_values(struct schema_set *set, const json_t *schema);

#endif
