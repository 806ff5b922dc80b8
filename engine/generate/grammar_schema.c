/* grammar_schema.c - a JSON schema becomes a network; docs/GRAMMARS.md says which keywords do.
 *
 * Each schema inside of another becomes a rule of its own, made later from a list, so that neither
 * depth nor recursion of the document becomes recursion here.  Every value that the result accepts
 * is valid; not every valid value is accepted (members come in the schema's order, for one). */
#include "generate/grammar_json.h"
#include "generate/schema.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A rule that is called already, to be made of this schema. */
struct task {
    const json_t *schema;
    int32_t rule;
    struct text label;
};

struct compiler {
    struct grammar_builder builder;
    struct schema_set set;
    json_t *references; /* "#/...": rule */
    struct task *tasks;
    size_t task_count, task_capacity;
    int32_t any; /* the rule of any value; -1: not made yet */
};

enum { WHOLE_DIGITS = 15 }; /* of a whole number without limits: exact in every program */
#define WHOLE_LARGEST INT64_C(999999999999999)

/* ---- rules ---- */

static int32_t any_rule(struct compiler *compiler)
{
    if (compiler->any < 0)
        compiler->any = grammar_json_any(&compiler->builder);
    return compiler->any;
}

/* A rule for a schema; `label` is what errors call it, NULL: as what is around it. */
static int32_t rule_for(struct compiler *compiler, const json_t *schema, const char *label)
{
    struct grammar_builder *builder = &compiler->builder;
    if (!schema || json_is_true(schema) ||
        (json_is_object(schema) && json_object_size(schema) == 0))
        return any_rule(compiler);
    struct text outer = builder->label;
    if (label)
        builder->label = text_of(label);
    struct task task = {schema, grammar_rule(builder), builder->label};
    builder->label = outer;
    void *tasks = compiler->tasks;
    if (memory_grow(&tasks, &compiler->task_capacity, compiler->task_count + 1, sizeof task,
                    GRAMMAR_RULES_MAX))
        grammar_fail(builder, ENOMEM, "no memory");
    else
        ((struct task *)tasks)[compiler->task_count++] = task;
    compiler->tasks = tasks;
    return task.rule;
}

static struct fragment value_of(struct compiler *compiler, const json_t *schema, const char *label)
{
    return grammar_call(&compiler->builder, rule_for(compiler, schema, label));
}

static struct fragment reference(struct compiler *compiler, const char *pointer)
{
    const json_t *known = json_object_get(compiler->references, pointer);
    if (known)
        return grammar_call(&compiler->builder, (int32_t)json_integer_value(known));
    const json_t *target = schema_resolve(&compiler->set, pointer);
    if (!target)
        return grammar_empty(&compiler->builder);
    int32_t rule = rule_for(compiler, target, pointer);
    if (json_object_set_new(compiler->references, pointer, json_integer(rule)))
        grammar_fail(&compiler->builder, ENOMEM, "no memory");
    return grammar_call(&compiler->builder, rule);
}

/* ---- keywords ---- */

static void check_keywords(struct compiler *compiler, const json_t *schema)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (schema_keyword(key) == KEYWORD_UNKNOWN)
            grammar_fail(&compiler->builder, EINVAL, "the keyword \"%.100s\" is not supported",
                         key);
    }
    if (json_is_true(json_object_get(schema, "uniqueItems")))
        grammar_fail(&compiler->builder, EINVAL, "uniqueItems is not supported");
}

/* A count; `otherwise` when there is none. */
static int64_t count_of(struct compiler *compiler, const json_t *schema, const char *key,
                        int64_t otherwise)
{
    const json_t *value = json_object_get(schema, key);
    double number = json_number_value(value);
    if (!value)
        return otherwise;
    if (json_is_number(value) && number >= 0 && number <= GRAMMAR_REPEATS_MAX &&
        !(number > floor(number)))
        return (int64_t)number;
    grammar_fail(&compiler->builder, EINVAL, "%s is no whole number from 0 to %d", key,
                 GRAMMAR_REPEATS_MAX);
    return 0;
}

/* ---- values that are listed ---- */

static struct fragment constant(struct compiler *compiler, const json_t *value)
{
    char *text = NULL;
    /* The shortest form that means the same number. */
    for (int digits = 15; digits <= 17; digits++) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(digits));
        if (!json_is_real(value) || !text || fabs(strtod(text, NULL) - json_real_value(value)) <= 0)
            break;
    }
    if (!text)
        grammar_fail(&compiler->builder, ENOMEM, "no memory");
    struct fragment all = grammar_literal(&compiler->builder, text_of(text ? text : ""));
    free(text);
    return all;
}

static struct fragment listed(struct compiler *compiler, const json_t *schema, const json_t *values)
{
    static const char *const harmless[] = {"enum", "const", "type", "nullable"};
    struct grammar_builder *builder = &compiler->builder;
    unsigned types = schema_types(&compiler->set, schema);
    const json_t *allowed = json_object_get(schema, "enum");
    const char *key;
    json_t *beside;
    json_object_foreach((json_t *)(uintptr_t)schema, key, beside)
    {
        bool known = schema_keyword(key) == KEYWORD_NOTE;
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            known |= strcmp(key, harmless[i]) == 0;
        if (!known)
            grammar_fail(builder, EINVAL, "%.60s beside enum or const is not supported", key);
    }
    struct fragment all = {0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    for (size_t i = json_array_size(values); i-- > 0 && !builder->status;) {
        const json_t *value = json_array_get(values, i);
        bool is_allowed = schema_has_type(value, types) && values == allowed;
        for (size_t j = 0; j < json_array_size(allowed) && values != allowed; j++)
            is_allowed |= schema_same_value(value, json_array_get(allowed, j));
        if (is_allowed || (!allowed && schema_has_type(value, types)))
            all = grammar_either(builder, constant(compiler, value), all);
    }
    return all;
}

/* ---- strings ---- */

static const char *format_pattern(const char *format)
{
#define DATE                                                                                       \
    "[12]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|"   \
    "30)"                                                                                          \
    "|02-(?:0[1-9]|1\\d|2[0-8]))"
#define TIME                                                                                       \
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:0\\d|1[0-4]):[0-5]\\d)"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
    static const struct {
        const char *format, *pattern;
    } formats[] = {
        {"date", "^" DATE "$"},
        {"time", "^" TIME "$"},
        {"date-time", "^" DATE "T" TIME "$"},
        {"uuid", "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
        {"ipv4", "^(?:" BYTE "\\.){3}" BYTE "$"},
        {"email", "^[A-Za-z0-9_%+-]{1,64}(?:\\.[A-Za-z0-9_%+-]{1,64}){0,4}@"
                  "(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.){1,5}[a-z]{2,24}$"},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i].format) == 0)
            return formats[i].pattern;
    return NULL;
}

/* The text of a string with neither pattern nor format. */
static struct fragment any_text(struct compiler *compiler, const json_t *schema)
{
    struct grammar_builder *builder = &compiler->builder;
    int64_t minimum = count_of(compiler, schema, "minLength", 0);
    int64_t maximum = count_of(compiler, schema, "maxLength", GRAMMAR_UNBOUNDED);
    if (maximum != GRAMMAR_UNBOUNDED && minimum > maximum) {
        grammar_fail(builder, EINVAL, "minLength is above maxLength");
        return grammar_empty(builder);
    }
    return grammar_repeat(builder, grammar_json_character(builder), minimum, maximum);
}

static struct fragment string(struct compiler *compiler, const json_t *schema)
{
    struct grammar_builder *builder = &compiler->builder;
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    const char *expression = NULL;
    if (format && json_is_string(format))
        expression = format_pattern(json_string_value(format));
    if (format && !expression)
        grammar_fail(builder, EINVAL, "the format \"%.60s\" is not supported",
                     json_is_string(format) ? json_string_value(format) : "");
    if (pattern && !json_is_string(pattern))
        grammar_fail(builder, EINVAL, "pattern is no string");
    if (pattern && format)
        grammar_fail(builder, EINVAL, "pattern beside format is not supported");
    if ((pattern || format) &&
        (json_object_get(schema, "minLength") || json_object_get(schema, "maxLength")))
        grammar_fail(builder, EINVAL,
                     "minLength or maxLength beside pattern or format is not supported");
    if (builder->status)
        return grammar_empty(builder);
    if (pattern)
        expression = json_string_value(pattern);
    struct fragment text = expression ? grammar_json_pattern(builder, text_of(expression))
                                      : any_text(compiler, schema);
    text = grammar_sequence(builder, grammar_json_words(builder, "\""), text);
    return grammar_sequence(builder, text, grammar_json_words(builder, "\""));
}

/* ---- numbers ---- */

/* The limit that a keyword sets to whole numbers; `otherwise` when it is not there. */
static int64_t limit_of(struct compiler *compiler, const json_t *schema, const char *key,
                        bool is_minimum, int64_t otherwise)
{
    const json_t *value = json_object_get(schema, key);
    bool exclusive = key[0] == 'e';
    if (!value)
        return otherwise;
    if (json_is_integer(value)) {
        int64_t number = json_integer_value(value), moved = number;
        if (exclusive &&
            __builtin_add_overflow(number, is_minimum ? INT64_C(1) : INT64_C(-1), &moved))
            grammar_fail(&compiler->builder, EINVAL, "%s leaves no number", key);
        return moved;
    }
    double number = json_number_value(value);
    if (!json_is_real(value) || fabs(number) > 9e15) {
        grammar_fail(&compiler->builder, EINVAL, "%s is no number that can be compared exactly",
                     key);
        return otherwise;
    }
    double whole = is_minimum ? ceil(number) : floor(number);
    bool moves = exclusive && !(whole > number) && !(whole < number);
    return (int64_t)whole + (moves ? (is_minimum ? 1 : -1) : 0);
}

static struct fragment integer(struct compiler *compiler, const json_t *schema)
{
    int64_t low = limit_of(compiler, schema, "minimum", true, INT64_MIN);
    int64_t low2 = limit_of(compiler, schema, "exclusiveMinimum", true, INT64_MIN);
    int64_t high = limit_of(compiler, schema, "maximum", false, INT64_MAX);
    int64_t high2 = limit_of(compiler, schema, "exclusiveMaximum", false, INT64_MAX);
    low = low > low2 ? low : low2;
    high = high < high2 ? high : high2;
    if (low == INT64_MIN)
        low = high < -WHOLE_LARGEST ? INT64_MIN : -WHOLE_LARGEST;
    if (high == INT64_MAX)
        high = low > WHOLE_LARGEST ? INT64_MAX : WHOLE_LARGEST;
    if (low > high)
        grammar_fail(&compiler->builder, EINVAL, "no whole number is from %lld to %lld",
                     (long long)low, (long long)high);
    if (compiler->builder.status)
        return grammar_empty(&compiler->builder);
    return grammar_json_integer(&compiler->builder, low, high);
}

static struct fragment number(struct compiler *compiler, const json_t *schema)
{
    static const char *const limits[] = {"minimum", "maximum", "exclusiveMinimum",
                                         "exclusiveMaximum"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (json_object_get(schema, limits[i]))
            grammar_fail(&compiler->builder, EINVAL, "%s is only supported with the type integer",
                         limits[i]);
    return grammar_json_number(&compiler->builder);
}

/* ---- arrays ---- */

static struct fragment comma(struct grammar_builder *builder)
{
    return grammar_sequence(builder, grammar_json_words(builder, ","), grammar_json_space(builder));
}

/* What closes a list (or object) that is not empty. */
static struct fragment closing(struct grammar_builder *builder, const char *bracket)
{
    return grammar_sequence(builder, grammar_json_space(builder),
                            grammar_json_words(builder, bracket));
}

/* The elements after those of prefixItems; with `first`, none stands before them. */
static struct fragment more_items(struct compiler *compiler, const json_t *items, bool first,
                                  int64_t minimum, int64_t maximum)
{
    struct grammar_builder *builder = &compiler->builder;
    int32_t rule = rule_for(compiler, items, NULL);
    struct fragment item = grammar_call(builder, rule);
    struct fragment next = grammar_sequence(builder, comma(builder), grammar_call(builder, rule));
    if (!first)
        return grammar_repeat(builder, next, minimum, maximum);
    int64_t fewer = minimum > 0 ? minimum - 1 : 0;
    int64_t more = maximum == GRAMMAR_UNBOUNDED ? GRAMMAR_UNBOUNDED : maximum - 1;
    struct fragment all = grammar_repeat(builder, next, fewer, more);
    return grammar_sequence(builder, item, all);
}

/* From the last element to the first: entry[i] is where a list goes on that has i elements. */
static struct fragment array_of(struct compiler *compiler, const json_t *prefix,
                                const json_t *items, int64_t minimum, int64_t maximum)
{
    struct grammar_builder *builder = &compiler->builder;
    const int64_t first = (int64_t)json_array_size(prefix);
    int64_t fixed = maximum != GRAMMAR_UNBOUNDED && maximum < first ? maximum : first;
    struct fragment open =
        grammar_sequence(builder, grammar_json_words(builder, "["), grammar_json_space(builder));
    struct fragment close = closing(builder, "]"), bare = grammar_json_words(builder, "]");
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    grammar_link(builder, close.exit, exit);
    grammar_link(builder, bare.exit, exit);
    int32_t at = fixed == 0 ? bare.entry : close.entry;
    if (!json_is_false(items) && fixed == first && (maximum < 0 || maximum > first)) {
        int64_t left = maximum < 0 ? GRAMMAR_UNBOUNDED : maximum - first;
        struct fragment more =
            more_items(compiler, items, first == 0, minimum > first ? minimum - first : 0, left);
        grammar_link(builder, more.exit, close.entry);
        at = first > 0 ? more.entry
                       : grammar_node(builder, GRAMMAR_SPLIT, more.entry, minimum ? 0 : at);
    } else if (minimum > fixed) {
        at = 0;
    }
    for (int64_t i = fixed - 1; i >= 0 && !builder->status; i--) {
        struct fragment item = value_of(compiler, json_array_get(prefix, (size_t)i), NULL);
        if (i > 0)
            item = grammar_sequence(builder, comma(builder), item);
        grammar_link(builder, item.exit, at);
        int32_t end = i < minimum ? 0 : i == 0 ? bare.entry : close.entry;
        at = grammar_node(builder, GRAMMAR_SPLIT, item.entry, end);
    }
    grammar_link(builder, open.exit, at);
    return (struct fragment){open.entry, exit};
}

static struct fragment array(struct compiler *compiler, const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *prefix = json_object_get(schema, "prefixItems");
    int64_t minimum = count_of(compiler, schema, "minItems", 0);
    int64_t maximum = count_of(compiler, schema, "maxItems", GRAMMAR_UNBOUNDED);
    if (json_is_array(items) && !prefix) { /* as it was written before 2020 */
        prefix = items;
        items = json_object_get(schema, "additionalItems");
    }
    if ((prefix && !json_is_array(prefix)) || json_is_array(items))
        grammar_fail(&compiler->builder, EINVAL, "prefixItems or items is not what it can be");
    if (maximum != GRAMMAR_UNBOUNDED && minimum > maximum)
        grammar_fail(&compiler->builder, EINVAL, "minItems is above maxItems");
    if (compiler->builder.status)
        return grammar_empty(&compiler->builder);
    return array_of(compiler, prefix, items, minimum, maximum);
}

/* ---- objects ---- */

/* The members that a schema names, in order. */
struct member {
    const char *name;
    const json_t *schema;
    bool required;
};

struct object {
    struct member *members;
    size_t count;
    const json_t *additional; /* the schema of others; NULL: there are none */
};

static bool is_listed(const json_t *list, const char *name)
{
    return json_object_get(list, name) != NULL;
}

/* {name: true} of what is required; it lives as long as the schemas, since labels point to names.
 */
static json_t *required_names(struct compiler *compiler, const json_t *schema)
{
    const json_t *required = json_object_get(schema, "required");
    json_t *names = json_object(), *value;
    size_t i;
    if (!names || json_array_append_new(compiler->set.made, names))
        grammar_fail(&compiler->builder, ENOMEM, "no memory");
    if (required && !json_is_array(required))
        grammar_fail(&compiler->builder, EINVAL, "required is no list");
    if (compiler->builder.status)
        return NULL;
    json_array_foreach((json_t *)(uintptr_t)required, i, value)
    {
        if (!json_is_string(value) ||
            json_object_set_new(names, json_string_value(value), json_true()))
            grammar_fail(&compiler->builder, EINVAL, "required has what is no name");
    }
    return names;
}

/* What is required without being described comes last. */
static void read_members(struct compiler *compiler, const json_t *schema, const json_t *required,
                         struct object *object)
{
    json_t *properties = json_object_get(schema, "properties"), *value;
    const char *key;
    object->members = memory_try(json_object_size(properties) + json_object_size(required),
                                 sizeof *object->members);
    if (!object->members) {
        grammar_fail(&compiler->builder, ENOMEM, "no memory");
        return;
    }
    json_object_foreach(properties, key, value)
    {
        object->members[object->count++] = (struct member){key, value, is_listed(required, key)};
    }
    json_object_foreach((json_t *)(uintptr_t)required, key, value)
    {
        if (is_listed(properties, key))
            continue;
        if (properties && !object->additional)
            grammar_fail(&compiler->builder, EINVAL,
                         "\"%.60s\" is required, but not among the properties", key);
        object->members[object->count++] = (struct member){key, object->additional, true};
    }
}

static struct fragment member_fragment(struct compiler *compiler, const struct member *member)
{
    struct grammar_builder *builder = &compiler->builder;
    json_t *name = json_string(member->name);
    struct fragment all = constant(compiler, name);
    json_decref(name);
    all = grammar_sequence(builder, all, grammar_json_words(builder, ":"));
    all = grammar_sequence(builder, all, grammar_json_space(builder));
    all = grammar_sequence(builder, all, value_of(compiler, member->schema, member->name));
    int32_t rule = grammar_rule(builder);
    grammar_define(builder, rule, all);
    return grammar_call(builder, rule);
}

static int compare_names(const void *a, const void *b)
{
    const struct text *x = a, *y = b;
    return strcmp(x->bytes, y->bytes);
}

/* A rule for a member with any other name. */
static int32_t other_member(struct compiler *compiler, const struct object *object)
{
    struct grammar_builder *builder = &compiler->builder;
    int32_t rule = grammar_rule(builder);
    struct text *names = memory_try(object->count, sizeof *names);
    size_t count = 0;
    if (!names) {
        grammar_fail(builder, ENOMEM, "no memory");
        return rule;
    }
    /* Names that would need an escape are none of the others already. */
    for (size_t i = 0; i < object->count; i++) {
        bool plain = true;
        for (const char *c = object->members[i].name; *c; c++)
            plain &= (unsigned char)*c >= ' ' && *c != '"' && *c != '\\';
        if (plain)
            names[count++] = text_of(object->members[i].name);
    }
    qsort(names, count, sizeof *names, compare_names);
    struct fragment all = grammar_json_other_string(builder, names, count);
    free(names);
    all = grammar_sequence(builder, all, grammar_json_words(builder, ":"));
    all = grammar_sequence(builder, all, grammar_json_space(builder));
    all = grammar_sequence(builder, all, value_of(compiler, object->additional, NULL));
    grammar_define(builder, rule, all);
    return rule;
}

/* Two tracks from the last member to the first: `at_first` while none has been written, `at_next`
 * when the next one needs a comma. */
static struct fragment object_of(struct compiler *compiler, const struct object *object)
{
    struct grammar_builder *builder = &compiler->builder;
    struct fragment open =
        grammar_sequence(builder, grammar_json_words(builder, "{"), grammar_json_space(builder));
    struct fragment close = closing(builder, "}"), bare = grammar_json_words(builder, "}");
    int32_t exit = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    grammar_link(builder, close.exit, exit);
    grammar_link(builder, bare.exit, exit);
    int32_t at_first = bare.entry, at_next = close.entry;
    if (object->additional) {
        int32_t rule = other_member(compiler, object);
        struct fragment first = grammar_call(builder, rule);
        struct fragment next =
            grammar_sequence(builder, comma(builder), grammar_call(builder, rule));
        at_next = grammar_node(builder, GRAMMAR_SPLIT, next.entry, at_next);
        at_first = grammar_node(builder, GRAMMAR_SPLIT, first.entry, at_first);
        grammar_link(builder, next.exit, at_next);
        grammar_link(builder, first.exit, at_next);
    }
    for (size_t i = object->count; i-- > 0 && !builder->status;) {
        const struct member *member = &object->members[i];
        struct fragment first = member_fragment(compiler, member);
        struct fragment next = grammar_sequence(
            builder, comma(builder),
            grammar_call(builder, builder->status ? 0 : builder->nodes[first.entry].other));
        grammar_link(builder, first.exit, at_next);
        grammar_link(builder, next.exit, at_next);
        at_first =
            grammar_node(builder, GRAMMAR_SPLIT, first.entry, member->required ? 0 : at_first);
        at_next = grammar_node(builder, GRAMMAR_SPLIT, next.entry, member->required ? 0 : at_next);
    }
    grammar_link(builder, open.exit, at_first);
    return (struct fragment){open.entry, exit};
}

static struct fragment object(struct compiler *compiler, const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties");
    struct object object = {.additional = json_object_get(schema, "additionalProperties")};
    if (properties && !json_is_object(properties))
        grammar_fail(&compiler->builder, EINVAL, "properties is no object");
    /* Members that nobody described: only where nothing else says what an object is. */
    if (!object.additional && !properties)
        object.additional = json_true();
    if (json_is_false(object.additional))
        object.additional = NULL;
    const json_t *required = required_names(compiler, schema);
    if (!compiler->builder.status)
        read_members(compiler, schema, required, &object);
    struct fragment all = {0, 0};
    if (!compiler->builder.status)
        all = object_of(compiler, &object);
    free(object.members);
    return all;
}

/* ---- a schema ---- */

static struct fragment typed(struct compiler *compiler, const json_t *schema)
{
    struct grammar_builder *builder = &compiler->builder;
    unsigned types = schema_types(&compiler->set, schema);
    struct fragment all = {0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    if (types & 1u << SCHEMA_NULL)
        all = grammar_either(builder, grammar_json_words(builder, "null"), all);
    if (types & 1u << SCHEMA_BOOLEAN) {
        all = grammar_either(builder, grammar_json_words(builder, "false"), all);
        all = grammar_either(builder, grammar_json_words(builder, "true"), all);
    }
    if (types & 1u << SCHEMA_NUMBER)
        all = grammar_either(builder, number(compiler, schema), all);
    else if (types & 1u << SCHEMA_INTEGER)
        all = grammar_either(builder, integer(compiler, schema), all);
    if (types & 1u << SCHEMA_STRING)
        all = grammar_either(builder, string(compiler, schema), all);
    if (types & 1u << SCHEMA_ARRAY)
        all = grammar_either(builder, array(compiler, schema), all);
    if (types & 1u << SCHEMA_OBJECT)
        all = grammar_either(builder, object(compiler, schema), all);
    return all;
}

static bool says_something(const json_t *schema)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        if (schema_keyword(key) != KEYWORD_NOTE)
            return true;
    }
    return false;
}

/* anyOf, or oneOf, whose branches must exclude each other; what stands beside it holds for each. */
static struct fragment branches(struct compiler *compiler, const json_t *schema, const char *key)
{
    struct grammar_builder *builder = &compiler->builder;
    const json_t *list = json_object_get(schema, key);
    struct fragment all = {0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    const json_t *base = schema_without(&compiler->set, schema, key);
    json_t *merged = json_array();
    const bool joins = says_something(base);
    if (!json_is_array(list) || json_array_size(list) == 0)
        grammar_fail(builder, EINVAL, "%s is no list of schemas", key);
    if (!merged)
        grammar_fail(builder, ENOMEM, "no memory");
    for (size_t i = 0; i < json_array_size(list) && !builder->status; i++) {
        const json_t *own = json_array_get(list, i);
        const json_t *branch = schema_flatten(&compiler->set, own);
        if (branch && joins)
            own = branch = schema_both(&compiler->set, base, branch);
        for (size_t j = 0; branch && key[0] == 'o' && j < i; j++)
            if (!schema_excludes(&compiler->set, json_array_get(merged, j), branch))
                grammar_fail(builder, EINVAL,
                             "oneOf: %zu and %zu may both hold, which can't be excluded here; "
                             "anyOf can be used",
                             j + 1, i + 1);
        if (branch && !builder->status) {
            json_array_append(merged, (json_t *)(uintptr_t)branch);
            all = grammar_either(builder, all, value_of(compiler, own, NULL));
        }
    }
    json_decref(merged);
    return all;
}

/* A schema that only refers to another is a call; in any other the parts that must hold together
 * are merged first. */
static struct fragment compile(struct compiler *compiler, const json_t *schema)
{
    struct grammar_builder *builder = &compiler->builder;
    const json_t *pointer = json_object_get(schema, "$ref");
    bool alone = json_is_string(pointer);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        alone &= value == pointer || schema_keyword(key) == KEYWORD_NOTE;
    }
    if (alone)
        return reference(compiler, json_string_value(pointer));
    schema = schema_flatten(&compiler->set, schema);
    if (!schema || json_is_false(schema))
        return (struct fragment){0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    if (json_is_true(schema))
        return grammar_call(builder, any_rule(compiler));
    check_keywords(compiler, schema);
    if (json_object_get(schema, "anyOf"))
        return branches(compiler, schema, "anyOf");
    if (json_object_get(schema, "oneOf"))
        return branches(compiler, schema, "oneOf");
    const json_t *values = schema_values(&compiler->set, schema);
    if (values)
        return listed(compiler, schema, values);
    return typed(compiler, schema);
}

static int compile_all(struct compiler *compiler, struct grammar **out)
{
    struct grammar_builder *builder = &compiler->builder;
    int32_t root = rule_for(compiler, compiler->set.document, "the root");
    while (compiler->task_count && !builder->status) {
        struct task task = compiler->tasks[--compiler->task_count];
        builder->label = task.label;
        grammar_define(builder, task.rule, compile(compiler, task.schema));
    }
    return builder->status ? builder->status : grammar_finish(builder, root, out);
}

int grammar_from_schema(struct text source, struct grammar **out, struct error *error)
{
    struct compiler compiler = {.any = -1};
    struct grammar_builder *builder = &compiler.builder;
    json_error_t place;
    grammar_builder_open(builder, error);
    compiler.set = (struct schema_set){.builder = builder, .made = json_array()};
    compiler.references = json_object();
    if (source.length > GRAMMAR_SOURCE_BYTES_MAX)
        grammar_fail(builder, EINVAL, "it has %zu bytes, more than %d", source.length,
                     GRAMMAR_SOURCE_BYTES_MAX);
    else
        compiler.set.document = json_loadb(source.bytes ? source.bytes : "", source.length,
                                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &place);
    if (!builder->status && !compiler.set.document)
        grammar_fail(builder, EINVAL, "line %d: %s", place.line, place.text);
    if (!compiler.references || !compiler.set.made)
        grammar_fail(builder, ENOMEM, "no memory");
    int status = builder->status ? builder->status : compile_all(&compiler, out);
    json_decref(compiler.references);
    json_decref(compiler.set.made);
    json_decref(compiler.set.document);
    free(compiler.tasks);
    grammar_builder_close(builder);
    return status;
}
