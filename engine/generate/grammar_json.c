/* grammar_json.c - see grammar_json.h. */
#include "generate/grammar_json.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdlib.h>

struct fragment grammar_json_words(struct grammar_builder *builder, const char *words)
{
    return grammar_literal(builder, text_of(words));
}

struct fragment grammar_json_space(struct grammar_builder *builder)
{
    return grammar_optional(builder, grammar_json_words(builder, " "));
}

static struct fragment one_of(struct grammar_builder *builder, const char *characters)
{
    struct code_range ranges[16];
    size_t count = strlen(characters);
    for (size_t i = 0; i < count; i++)
        ranges[i].first = ranges[i].last = (uint8_t)characters[i];
    return grammar_class(builder, ranges, count);
}

static struct fragment hex_digit(struct grammar_builder *builder)
{
    struct code_range ranges[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
    return grammar_class(builder, ranges, 3);
}

static struct fragment hex_digits(struct grammar_builder *builder, int count)
{
    struct fragment all = grammar_empty(builder);
    for (int i = 0; i < count; i++)
        all = grammar_sequence(builder, all, hex_digit(builder));
    return all;
}

/* ---- strings ---- */

/* \uXXXX of no surrogate and not of U+0000, which few programs can take:
 * 000[1-9a-f] | 00[1-9a-f]. | 0[1-9a-f].. | [1-9a-ce-f]... | d[0-7].. */
static struct fragment plain_unit(struct grammar_builder *builder)
{
    struct fragment all = {0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    for (int zeros = 0; zeros < 4; zeros++) {
        struct code_range ranges[] = {
            {'1', '9'}, {'A', zeros ? 'F' : 'C'}, {'a', zeros ? 'f' : 'c'}, {'E', 'F'}, {'e', 'f'}};
        struct fragment unit = grammar_literal(builder, (struct text){"000", (size_t)zeros});
        unit = grammar_sequence(builder, unit, grammar_class(builder, ranges, 5));
        unit = grammar_sequence(builder, unit, hex_digits(builder, 3 - zeros));
        all = grammar_either(builder, unit, all);
    }
    struct code_range low = {'0', '7'};
    struct fragment before = one_of(builder, "Dd");
    before = grammar_sequence(builder, before, grammar_class(builder, &low, 1));
    before = grammar_sequence(builder, before, hex_digits(builder, 2));
    return grammar_either(builder, before, all);
}

static struct fragment surrogate_pair(struct grammar_builder *builder)
{
    struct fragment all = one_of(builder, "Dd");
    all = grammar_sequence(builder, all, one_of(builder, "89ABab"));
    all = grammar_sequence(builder, all, hex_digits(builder, 2));
    all = grammar_sequence(builder, all, grammar_json_words(builder, "\\u"));
    all = grammar_sequence(builder, all, one_of(builder, "Dd"));
    all = grammar_sequence(builder, all, one_of(builder, "CDEFcdef"));
    return grammar_sequence(builder, all, hex_digits(builder, 2));
}

static struct fragment plain_character(struct grammar_builder *builder)
{
    struct code_range ranges[] = {{' ', '!'}, {'#', '['}, {']', CODE_POINT_MAX}};
    return grammar_class(builder, ranges, 3);
}

struct fragment grammar_json_character(struct grammar_builder *builder)
{
    struct fragment unit = grammar_either(builder, plain_unit(builder), surrogate_pair(builder));
    unit = grammar_sequence(builder, grammar_json_words(builder, "u"), unit);
    struct fragment escape = grammar_either(builder, one_of(builder, "\"\\/bfnrt"), unit);
    escape = grammar_sequence(builder, grammar_json_words(builder, "\\"), escape);
    return grammar_either(builder, plain_character(builder), escape);
}

static bool contains(const struct code_range *ranges, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

struct fragment grammar_json_characters(struct grammar_builder *builder, struct code_range *ranges,
                                        size_t count)
{
    static const struct {
        uint32_t code;
        const char *escape;
    } escapes[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};
    count = grammar_merge_ranges(ranges, count);
    struct fragment escaped = {0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (contains(ranges, count, escapes[i].code))
            escaped =
                grammar_either(builder, grammar_json_words(builder, escapes[i].escape), escaped);
    struct code_range *plain = memory_try(count + 3, sizeof *plain);
    size_t made = 0;
    if (!plain) {
        grammar_fail(builder, ENOMEM, "no memory");
        return escaped;
    }
    static const struct code_range legal[] = {{' ', '!'}, {'#', '['}, {']', CODE_POINT_MAX}};
    for (size_t i = 0, j = 0; i < count && j < 3;) {
        uint32_t first = ranges[i].first > legal[j].first ? ranges[i].first : legal[j].first;
        uint32_t last = ranges[i].last < legal[j].last ? ranges[i].last : legal[j].last;
        if (first <= last)
            plain[made++] = (struct code_range){first, last};
        if (ranges[i].last < legal[j].last)
            i++;
        else
            j++;
    }
    struct fragment class = grammar_class(builder, plain, made);
    free(plain);
    return grammar_either(builder, class, escaped);
}

static struct fragment quoted(struct grammar_builder *builder, struct fragment inside)
{
    inside = grammar_sequence(builder, grammar_json_words(builder, "\""), inside);
    return grammar_sequence(builder, inside, grammar_json_words(builder, "\""));
}

struct fragment grammar_json_string(struct grammar_builder *builder)
{
    return quoted(builder,
                  grammar_repeat(builder, grammar_json_character(builder), 0, GRAMMAR_UNBOUNDED));
}

/* ---- strings that are none of some ---- */

/* Names first..last - 1 begin alike in `length` bytes, and the text so far too; it goes on at the
 * node `at`. */
struct branch {
    size_t first, last, length;
    int32_t at;
};

/* Where the text has left all names, and where it may end. */
struct other {
    struct grammar_builder *builder;
    const struct text *names;
    struct branch *branches; /* to look at */
    size_t count, capacity;
    struct code_range *taken; /* the characters with which names go on here, then the others */
    size_t taken_capacity;
    int32_t free_loop, exit;
};

static uint32_t decode(const char *bytes, size_t *length)
{
    uint8_t lead = (uint8_t)bytes[0];
    size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t code = more ? lead & (0x3fu >> more) : lead;
    for (size_t i = 1; i <= more; i++)
        code = code << 6 | ((uint8_t)bytes[i] & 0x3f);
    *length = more + 1;
    return code;
}

static void push_branch(struct other *other, struct branch branch)
{
    void *branches = other->branches;
    if (memory_grow(&branches, &other->capacity, other->count + 1, sizeof branch, SIZE_MAX / 64))
        grammar_fail(other->builder, ENOMEM, "no memory");
    else
        ((struct branch *)branches)[other->count++] = branch;
    other->branches = branches;
}

static void add_way(struct other *other, int32_t *ways, int32_t entry)
{
    *ways = *ways ? grammar_node(other->builder, GRAMMAR_SPLIT, entry, *ways) : entry;
}

/* The characters that lead from here to other names, each to a branch of its own; returns how many.
 */
static size_t add_branches(struct other *other, const struct branch *branch, int32_t *ways)
{
    size_t taken = 0;
    for (size_t i = branch->first; i < branch->last && !other->builder->status;) {
        size_t length, first = i;
        const char *bytes = other->names[i].bytes + branch->length;
        uint32_t code = decode(bytes, &length);
        while (i < branch->last &&
               memcmp(other->names[i].bytes + branch->length, bytes, length) == 0)
            i++;
        struct code_range one = {code, code};
        struct fragment character = grammar_class(other->builder, &one, 1);
        add_way(other, ways, character.entry);
        push_branch(other, (struct branch){first, i, branch->length + length, character.exit});
        void *grown = other->taken;
        if (memory_grow(&grown, &other->taken_capacity, 2 * (taken + 4), sizeof one, SIZE_MAX / 64))
            grammar_fail(other->builder, ENOMEM, "no memory");
        else
            ((struct code_range *)grown)[taken++] = one;
        other->taken = grown;
    }
    return taken;
}

static void look_at(struct other *other, struct branch branch)
{
    static const struct code_range illegal[] = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
    int32_t ways = 0;
    bool is_name = other->names[branch.first].length == branch.length;
    branch.first += is_name;
    size_t taken = add_branches(other, &branch, &ways);
    void *grown = other->taken;
    if (!other->builder->status && memory_grow(&grown, &other->taken_capacity, 2 * (taken + 4),
                                               sizeof *other->taken, SIZE_MAX / 64))
        grammar_fail(other->builder, ENOMEM, "no memory");
    other->taken = grown;
    if (other->builder->status)
        return;
    memcpy(other->taken + taken, illegal, sizeof illegal);
    taken = grammar_merge_ranges(other->taken, taken + 3);
    struct code_range *rest = other->taken + taken;
    size_t count = grammar_invert_ranges(other->taken, taken, rest);
    struct fragment others = grammar_class(other->builder, rest, count);
    grammar_link(other->builder, others.exit, other->free_loop);
    add_way(other, &ways, others.entry);
    if (!is_name)
        add_way(other, &ways, other->exit);
    grammar_link(other->builder, branch.at, ways);
}

struct fragment grammar_json_other_string(struct grammar_builder *builder, const struct text *names,
                                          size_t count)
{
    struct other other = {.builder = builder, .names = names};
    struct fragment loop = grammar_repeat(builder, plain_character(builder), 0, GRAMMAR_UNBOUNDED);
    struct fragment start = grammar_empty(builder);
    other.free_loop = loop.entry;
    other.exit = loop.exit;
    if (count == 0)
        grammar_link(builder, start.exit, loop.entry);
    else
        push_branch(&other, (struct branch){0, count, 0, start.exit});
    while (other.count && !builder->status)
        look_at(&other, other.branches[--other.count]);
    free(other.branches);
    free(other.taken);
    return quoted(builder, (struct fragment){start.entry, other.exit});
}

/* ---- numbers ---- */

static struct fragment digits(struct grammar_builder *builder, char low, char high, int64_t minimum,
                              int64_t maximum)
{
    struct code_range range = {(uint8_t)low, (uint8_t)high};
    return grammar_repeat(builder, grammar_class(builder, &range, 1), minimum, maximum);
}

struct fragment grammar_json_number(struct grammar_builder *builder)
{
    struct fragment whole = grammar_sequence(builder, digits(builder, '1', '9', 1, 1),
                                             digits(builder, '0', '9', 0, GRAMMAR_DIGITS_MAX - 1));
    whole = grammar_either(builder, grammar_json_words(builder, "0"), whole);
    struct fragment all = grammar_optional(builder, grammar_json_words(builder, "-"));
    all = grammar_sequence(builder, all, whole);
    struct fragment fraction = grammar_sequence(builder, grammar_json_words(builder, "."),
                                                digits(builder, '0', '9', 1, GRAMMAR_DIGITS_MAX));
    all = grammar_sequence(builder, all, grammar_optional(builder, fraction));
    struct fragment exponent = grammar_sequence(builder, one_of(builder, "Ee"),
                                                grammar_optional(builder, one_of(builder, "+-")));
    exponent = grammar_sequence(builder, exponent, digits(builder, '0', '9', 1, 2));
    return grammar_sequence(builder, all, grammar_optional(builder, exponent));
}

/* ---- values of any kind ---- */

static struct fragment enclosed(struct grammar_builder *builder, const char *open,
                                struct fragment item, struct fragment more, const char *close)
{
    more = grammar_sequence(builder, grammar_json_space(builder), more);
    more = grammar_sequence(builder, grammar_json_words(builder, ","), more);
    more = grammar_repeat(builder, more, 0, GRAMMAR_UNBOUNDED);
    struct fragment items = grammar_sequence(builder, item, more);
    items = grammar_sequence(builder, items, grammar_json_space(builder));
    items = grammar_optional(builder, items);
    struct fragment all =
        grammar_sequence(builder, grammar_json_words(builder, open), grammar_json_space(builder));
    all = grammar_sequence(builder, all, items);
    return grammar_sequence(builder, all, grammar_json_words(builder, close));
}

struct fragment grammar_json_list(struct grammar_builder *builder, int32_t any)
{
    return enclosed(builder, "[", grammar_call(builder, any), grammar_call(builder, any), "]");
}

static struct fragment member(struct grammar_builder *builder, int32_t any)
{
    struct fragment all =
        grammar_sequence(builder, grammar_json_string(builder), grammar_json_words(builder, ":"));
    all = grammar_sequence(builder, all, grammar_json_space(builder));
    return grammar_sequence(builder, all, grammar_call(builder, any));
}

struct fragment grammar_json_members(struct grammar_builder *builder, int32_t any)
{
    return enclosed(builder, "{", member(builder, any), member(builder, any), "}");
}

int32_t grammar_json_any(struct grammar_builder *builder)
{
    int32_t rule = grammar_rule(builder);
    struct fragment all = grammar_json_words(builder, "null");
    all = grammar_either(builder, grammar_json_words(builder, "true"), all);
    all = grammar_either(builder, grammar_json_words(builder, "false"), all);
    all = grammar_either(builder, grammar_json_number(builder), all);
    all = grammar_either(builder, grammar_json_string(builder), all);
    all = grammar_either(builder, grammar_json_list(builder, rule), all);
    all = grammar_either(builder, grammar_json_members(builder, rule), all);
    grammar_define(builder, rule, all);
    return rule;
}
