/* schema.c - see schema.h.
 *
 * References are only followed inside of the document.  A schema that is merged is a copy; what it
 * holds is shared with the document. */
#include "generate/schema.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum keyword_kind schema_keyword(const char *key)
{
    static const char *const notes[] = {
        "$schema",  "$id",      "$comment",   "$defs",         "definitions",      "$anchor",
        "title",    "examples", "deprecated", "description",   "contentMediaType", "default",
        "readOnly", "example",  "writeOnly",  "discriminator", "contentEncoding",  "$vocabulary",
    };
    static const char *const rules[] = {
        "type",        "const",       "enum",
        "properties",  "required",    "additionalProperties",
        "items",       "minItems",    "maxItems",
        "prefixItems", "pattern",     "additionalItems",
        "minLength",   "maxLength",   "format",
        "minimum",     "maximum",     "exclusiveMinimum",
        "nullable",    "uniqueItems", "exclusiveMaximum",
    };
    static const char *const joins[] = {"$ref", "allOf", "anyOf", "oneOf"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (strcmp(key, notes[i]) == 0)
            return KEYWORD_NOTE;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(key, rules[i]) == 0)
            return KEYWORD_RULE;
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++)
        if (strcmp(key, joins[i]) == 0)
            return KEYWORD_JOINS;
    return KEYWORD_UNKNOWN;
}

static const json_t *keep(struct schema_set *set, json_t *made)
{
    if (!made || json_array_append_new(set->made, made)) {
        grammar_fail(set->builder, ENOMEM, "no memory");
        return NULL;
    }
    return made;
}

/* Account for work in proportion to what is looked at.  Returns whether there may be more. */
static bool charge(struct schema_set *set, size_t steps)
{
    if (steps > (size_t)(SCHEMA_STEPS_MAX - set->steps))
        grammar_fail(set->builder, EINVAL, "merging or comparing schemas takes over %d steps",
                     SCHEMA_STEPS_MAX);
    else
        set->steps += (int)steps;
    return !set->builder->status;
}

static size_t size_of(const json_t *schema)
{
    return 1 + json_object_size(schema) + json_object_size(json_object_get(schema, "properties")) +
           json_array_size(json_object_get(schema, "required"));
}

static json_t *borrow(const json_t *value)
{
    return (json_t *)(uintptr_t)value; /* jansson counts references in what is constant to us */
}

/* ---- references ---- */

/* One step of a JSON pointer (RFC 6901, percent-encoded as in a URI) in place; false when it is
 * none. */
static bool decode_step(char *step)
{
    char *to = step;
    for (const char *from = step; *from; from++) {
        unsigned code = (unsigned char)*from;
        if (*from == '~') {
            if (from[1] != '0' && from[1] != '1')
                return false;
            code = *++from == '0' ? '~' : '/';
        } else if (*from == '%') {
            char digits[3] = {from[1], from[1] ? from[2] : 0, 0};
            char *end;
            code = (unsigned)strtoul(digits, &end, 16);
            if (end != digits + 2 || code == 0)
                return false;
            from += 2;
        }
        *to++ = (char)code;
    }
    *to = 0;
    return true;
}

static const json_t *follow(const json_t *at, char *path)
{
    char *rest = NULL;
    for (char *step = strtok_r(path, "/", &rest); step && at; step = strtok_r(NULL, "/", &rest)) {
        char *end;
        if (!decode_step(step))
            return NULL;
        unsigned long index = strtoul(step, &end, 10);
        at = json_is_array(at) ? (*end || end == step ? NULL : json_array_get(at, index))
                               : json_object_get(at, step);
    }
    return at;
}

const json_t *schema_resolve(struct schema_set *set, const char *reference)
{
    const json_t *found = NULL;
    if (strcmp(reference, "#") == 0)
        return set->document;
    if (strncmp(reference, "#/", 2) == 0) {
        char *path = strdup(reference + 2);
        if (!path) {
            grammar_fail(set->builder, ENOMEM, "no memory");
            return NULL;
        }
        found = follow(set->document, path);
        free(path);
    }
    if (!found)
        grammar_fail(set->builder, EINVAL, "$ref \"%.100s\" leads nowhere in this document",
                     reference);
    return found;
}

/* ---- types ---- */

static const char *const type_names[SCHEMA_TYPES] = {
    [SCHEMA_OBJECT] = "object", [SCHEMA_ARRAY] = "array",     [SCHEMA_STRING] = "string",
    [SCHEMA_NUMBER] = "number", [SCHEMA_INTEGER] = "integer", [SCHEMA_BOOLEAN] = "boolean",
    [SCHEMA_NULL] = "null",
};

static unsigned type_bit(struct schema_set *set, const json_t *name)
{
    for (int i = 0; json_is_string(name) && i < SCHEMA_TYPES; i++)
        if (strcmp(json_string_value(name), type_names[i]) == 0)
            return i == SCHEMA_NUMBER ? 1u << SCHEMA_NUMBER | 1u << SCHEMA_INTEGER : 1u << i;
    grammar_fail(set->builder, EINVAL, "type \"%.60s\" is none",
                 json_is_string(name) ? json_string_value(name) : "");
    return 0;
}

/* What only one type can have says that this type is meant: no other is generated then. */
static unsigned implied_types(const json_t *schema)
{
    static const struct {
        const char *key;
        enum schema_type type;
    } implied[] = {
        {"properties", SCHEMA_OBJECT},
        {"required", SCHEMA_OBJECT},
        {"additionalProperties", SCHEMA_OBJECT},
        {"items", SCHEMA_ARRAY},
        {"prefixItems", SCHEMA_ARRAY},
        {"minItems", SCHEMA_ARRAY},
        {"maxItems", SCHEMA_ARRAY},
        {"additionalItems", SCHEMA_ARRAY},
        {"uniqueItems", SCHEMA_ARRAY},
        {"minLength", SCHEMA_STRING},
        {"maxLength", SCHEMA_STRING},
        {"pattern", SCHEMA_STRING},
        {"format", SCHEMA_STRING},
    };
    unsigned types = 0;
    for (size_t i = 0; i < sizeof implied / sizeof *implied; i++)
        if (json_object_get(schema, implied[i].key))
            types |= 1u << implied[i].type;
    return types ? types : SCHEMA_ANY_TYPE;
}

unsigned schema_types(struct schema_set *set, const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    unsigned types = 0;
    if (!type && (json_object_get(schema, "enum") || json_object_get(schema, "const")))
        return SCHEMA_ANY_TYPE;
    if (!type)
        types = implied_types(schema);
    else if (!json_is_array(type))
        types = type_bit(set, type);
    for (size_t i = 0; i < json_array_size(type); i++)
        types |= type_bit(set, json_array_get(type, i));
    if (json_is_true(json_object_get(schema, "nullable")))
        types |= 1u << SCHEMA_NULL;
    return types;
}

static json_t *types_json(unsigned types)
{
    json_t *list = json_array();
    if (types & 1u << SCHEMA_NUMBER)
        types &= ~(1u << SCHEMA_INTEGER);
    for (int i = 0; i < SCHEMA_TYPES; i++)
        if (types & 1u << i)
            json_array_append_new(list, json_string(type_names[i]));
    return list;
}

/* ---- values ---- */

bool schema_same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && !(json_is_integer(a) && json_is_integer(b)))
        return !(json_number_value(a) < json_number_value(b)) &&
               !(json_number_value(a) > json_number_value(b));
    return json_equal(a, b); /* whole numbers and other numbers inside of objects count as unlike */
}

/* The values of enum or const as a list; NULL: it has neither. */
const json_t *schema_values(struct schema_set *set, const json_t *schema)
{
    const json_t *values = json_object_get(schema, "enum");
    const json_t *value = json_object_get(schema, "const");
    if (values && !json_is_array(values)) {
        grammar_fail(set->builder, EINVAL, "enum is no list");
        return NULL;
    }
    return value ? keep(set, json_pack("[O]", borrow(value))) : values;
}

/* ---- merging ---- */

/* A part of both: what is in one and not forbidden by the other. */
static json_t *common_values(const json_t *first, const json_t *second)
{
    json_t *common = json_array();
    size_t i, j;
    json_t *a, *b;
    json_array_foreach(borrow(first), i, a)
    {
        json_array_foreach(borrow(second), j, b)
        {
            if (schema_same_value(a, b)) {
                json_array_append(common, a);
                break;
            }
        }
    }
    return common;
}

static json_t *joined_properties(const json_t *first, const json_t *second)
{
    json_t *joined = json_copy(borrow(first)), *value;
    const char *key;
    json_object_foreach(borrow(second), key, value)
    {
        json_t *present = json_object_get(joined, key);
        if (!present)
            json_object_set(joined, key, value);
        else if (!json_equal(present, value))
            json_object_set_new(joined, key, json_pack("{s:[O,O]}", "allOf", present, value));
    }
    return joined;
}

static json_t *joined_lists(const json_t *first, const json_t *second)
{
    json_t *joined = json_copy(borrow(first));
    json_array_extend(joined, borrow(second));
    return joined;
}

static json_t *stricter_number(const json_t *first, const json_t *second, bool larger)
{
    bool second_is_larger = json_number_value(second) > json_number_value(first);
    return json_incref(borrow(second_is_larger == larger ? second : first));
}

static bool begins(const char *key, const char *with)
{
    return strncmp(key, with, strlen(with)) == 0;
}

/* The value of a keyword that both have and that differs; NULL: it can't be said in one. */
static json_t *merged_keyword(const char *key, const json_t *first, const json_t *second)
{
    if (strcmp(key, "properties") == 0 && json_is_object(first) && json_is_object(second))
        return joined_properties(first, second);
    if (json_is_array(first) && json_is_array(second) && strcmp(key, "required") == 0)
        return joined_lists(first, second);
    if (json_is_array(first) && json_is_array(second) && strcmp(key, "enum") == 0)
        return common_values(first, second);
    if (!json_is_number(first) || !json_is_number(second))
        return NULL;
    if (begins(key, "min") || strcmp(key, "exclusiveMinimum") == 0)
        return stricter_number(first, second, true);
    if (begins(key, "max") || strcmp(key, "exclusiveMaximum") == 0)
        return stricter_number(first, second, false);
    return NULL;
}

/* May `other` name properties that this one does not know and may forbid? */
static bool is_closed_to(const json_t *schema, const json_t *other)
{
    const json_t *additional = json_object_get(schema, "additionalProperties");
    const json_t *own = json_object_get(schema, "properties");
    const char *key;
    json_t *value;
    if (!additional || json_is_true(additional))
        return false;
    json_object_foreach(borrow(json_object_get(other, "properties")), key, value)
    {
        if (!json_object_get(own, key))
            return true;
    }
    return false;
}

static void merge_keywords(struct schema_set *set, json_t *into, const json_t *second)
{
    const char *key;
    json_t *value;
    json_object_foreach(borrow(second), key, value)
    {
        json_t *present = json_object_get(into, key);
        if (schema_keyword(key) == KEYWORD_NOTE || strcmp(key, "type") == 0 ||
            strcmp(key, "nullable") == 0 || (present && json_equal(present, value)))
            continue;
        json_t *merged = present ? merged_keyword(key, present, value) : json_incref(value);
        if (!merged || json_object_set_new(into, key, merged)) {
            grammar_fail(set->builder, EINVAL, "two schemas that must both hold disagree in %.60s",
                         key);
            return;
        }
    }
}

static bool has_type(const json_t *schema)
{
    return json_object_get(schema, "type") || json_object_get(schema, "nullable");
}

/* Not those that are only implied by other keywords, which leave other types valid. */
static unsigned stated_types(struct schema_set *set, const json_t *schema)
{
    return has_type(schema) ? schema_types(set, schema) : SCHEMA_ANY_TYPE;
}

const json_t *schema_both(struct schema_set *set, const json_t *first, const json_t *second)
{
    size_t values = json_array_size(json_object_get(first, "enum")) *
                    json_array_size(json_object_get(second, "enum"));
    if (!charge(set, size_of(first) + size_of(second) + values))
        return NULL;
    if (json_is_true(first) || json_is_false(second))
        return second;
    if (json_is_true(second) || json_is_false(first))
        return first;
    if (is_closed_to(first, second) || is_closed_to(second, first)) {
        grammar_fail(set->builder, EINVAL,
                     "additionalProperties beside properties of another schema that must hold");
        return NULL;
    }
    json_t *both = json_copy(borrow(first));
    if (!keep(set, both))
        return NULL;
    unsigned types = stated_types(set, first) & stated_types(set, second);
    merge_keywords(set, both, second);
    if (has_type(first) || has_type(second)) {
        json_object_del(both, "nullable");
        json_object_set_new(both, "type", types_json(types));
    }
    return both;
}

const json_t *schema_without(struct schema_set *set, const json_t *schema, const char *key)
{
    if (!charge(set, json_object_size(schema)))
        return NULL;
    json_t *copy = json_copy(borrow(schema));
    json_object_del(copy, key);
    return keep(set, copy);
}

static const json_t *flatten(struct schema_set *set, const json_t *schema, int depth)
{
    const json_t *reference = json_object_get(schema, "$ref");
    const json_t *all = json_object_get(schema, "allOf");
    if (depth > SCHEMA_DEPTH_MAX)
        grammar_fail(set->builder, EINVAL, "$ref and allOf lead to each other without end");
    if (reference && !json_is_string(reference))
        grammar_fail(set->builder, EINVAL, "$ref is no string");
    if (all && !json_is_array(all))
        grammar_fail(set->builder, EINVAL, "allOf is no list");
    if (!json_is_object(schema) && !json_is_boolean(schema))
        grammar_fail(set->builder, EINVAL, "a schema is neither an object nor true or false");
    if (set->builder->status || (!reference && !all))
        return schema;
    const json_t *flat = schema_without(set, schema, "$ref");
    flat = flat ? schema_without(set, flat, "allOf") : NULL;
    if (reference && flat) {
        const json_t *target = schema_resolve(set, json_string_value(reference));
        target = target ? flatten(set, target, depth + 1) : NULL;
        flat = target ? schema_both(set, flat, target) : NULL;
    }
    for (size_t i = 0; i < json_array_size(all) && flat && !set->builder->status; i++) {
        const json_t *one = flatten(set, json_array_get(all, i), depth + 1);
        flat = one ? schema_both(set, flat, one) : NULL;
    }
    return flat;
}

const json_t *schema_flatten(struct schema_set *set, const json_t *schema)
{
    const json_t *flat = flatten(set, schema, 0);
    return set->builder->status ? NULL : flat;
}

/* ---- do two schemas exclude each other? ---- */

static bool no_value_in_common(struct schema_set *set, const json_t *first, const json_t *second)
{
    if (!charge(set, json_array_size(first) * json_array_size(second)))
        return false;
    json_t *common = common_values(first, second);
    bool none = common && json_array_size(common) == 0;
    json_decref(common);
    return none;
}

static bool requires(const json_t *schema, const char *name)
{
    size_t i;
    json_t *value;
    json_array_foreach(json_object_get(schema, "required"), i, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), name) == 0)
            return true;
    }
    return false;
}

/* Objects with a property that both must have, with values of which none is in both. */
static bool told_apart(struct schema_set *set, const json_t *first, const json_t *second)
{
    const json_t *others = json_object_get(second, "properties");
    const char *key;
    json_t *value;
    json_object_foreach(borrow(json_object_get(first, "properties")), key, value)
    {
        const json_t *other = json_object_get(others, key);
        if (!other || !requires(first, key) || !requires(second, key))
            continue;
        const json_t *one_flat = schema_flatten(set, value);
        const json_t *other_flat = schema_flatten(set, other);
        const json_t *one_values = one_flat ? schema_values(set, one_flat) : NULL;
        const json_t *other_values = other_flat ? schema_values(set, other_flat) : NULL;
        if (one_values && other_values && no_value_in_common(set, one_values, other_values))
            return true;
    }
    return false;
}

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return 1u << SCHEMA_OBJECT;
    case JSON_ARRAY:
        return 1u << SCHEMA_ARRAY;
    case JSON_STRING:
        return 1u << SCHEMA_STRING;
    case JSON_INTEGER:
        return 1u << SCHEMA_INTEGER | 1u << SCHEMA_NUMBER;
    case JSON_REAL: /* 1.0 is a whole number too */
        return fabs(json_real_value(value) - nearbyint(json_real_value(value))) > 0
                   ? 1u << SCHEMA_NUMBER
                   : 1u << SCHEMA_INTEGER | 1u << SCHEMA_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return 1u << SCHEMA_BOOLEAN;
    case JSON_NULL:
        return 1u << SCHEMA_NULL;
    }
    return 0;
}

bool schema_has_type(const json_t *value, unsigned types)
{
    return (type_of(value) & types) != 0;
}

bool schema_excludes(struct schema_set *set, const json_t *first, const json_t *second)
{
    if (!charge(set, size_of(first)) || json_is_boolean(first) || json_is_boolean(second))
        return json_is_false(first) || json_is_false(second);
    const json_t *values = schema_values(set, first), *others = schema_values(set, second);
    if (values && others)
        return no_value_in_common(set, values, others);
    unsigned types = stated_types(set, first), other = stated_types(set, second);
    for (size_t i = 0; i < json_array_size(values ? values : others); i++) {
        const json_t *value = json_array_get(values ? values : others, i);
        if (schema_has_type(value, values ? other : types))
            return false;
    }
    if (values || others || (types & other) == 0)
        return true;
    return (types & other) == 1u << SCHEMA_OBJECT && told_apart(set, first, second);
}
