/* value.h - what a template computes with: Python's values, as far as templates know them.
 *
 * All of them but namespaces are immutable, as in jinja2's ImmutableSandboxedEnvironment; so they
 * are shared freely, and can't contain themselves.
 *
 * Owns:     nothing: values live in an arena.
 * Threads:  constants of a template are read-only; the rest belongs to one rendering.
 */
#ifndef TEXT_TEMPLATE_VALUE_H
#define TEXT_TEMPLATE_VALUE_H

#include "base/text.h"
#include "text/template/rope.h"

#include <stdint.h>

struct loop;
struct macro;
struct method;
struct global;

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_METHOD, /* a name bound to a value: `text.strip` */
    VALUE_GLOBAL, /* range, namespace, ... */
};

/* Sequences that Python tells apart. */
enum list_kind {
    LIST_PLAIN,
    LIST_TUPLE,
    LIST_RANGE,
    LIST_VIEW,      /* of a dict: it has a length, but no indices */
    LIST_GENERATOR, /* of a filter: it has neither, and gives its items once */
};

struct value {
    enum value_kind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        struct rope *string;
        struct list *list;
        struct dict *dict; /* of VALUE_NAMESPACE too */
        struct loop *loop;
        const struct macro *macro;
        const struct method *method;
        const struct global *global;
        const struct text *name; /* of what is undefined; may be NULL */
    };
};

struct list {
    struct value *items;
    size_t count, capacity;
    enum list_kind kind;
};

/* In the order of insertion; few enough entries to look at each. */
struct dict {
    struct value *keys, *values;
    size_t count, capacity;
};

static inline struct value value_none(void)
{
    return (struct value){.kind = VALUE_NONE};
}

static inline struct value value_undefined(const struct text *name)
{
    return (struct value){.kind = VALUE_UNDEFINED, .name = name};
}

static inline struct value value_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .truth = truth};
}

static inline struct value value_integer(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static inline struct value value_float(double real)
{
    return (struct value){.kind = VALUE_FLOAT, .real = real};
}

static inline struct value value_string(struct rope *string)
{
    return (struct value){.kind = VALUE_STRING, .string = string};
}

static inline bool value_is_string(struct value value)
{
    return value.kind == VALUE_STRING;
}

/* An integer, or a bool, which counts as one. */
static inline bool value_is_whole(struct value value)
{
    return value.kind == VALUE_INTEGER || value.kind == VALUE_BOOL;
}

static inline bool value_is_number(struct value value)
{
    return value_is_whole(value) || value.kind == VALUE_FLOAT;
}

static inline int64_t value_whole(struct value value)
{
    return value.kind == VALUE_BOOL ? value.truth : value.integer;
}

static inline double value_real(struct value value)
{
    return value.kind == VALUE_FLOAT ? value.real : (double)value_whole(value);
}

#endif
