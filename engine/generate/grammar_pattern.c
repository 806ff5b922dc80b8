/* grammar_pattern.c - regular expressions of `pattern`, as far as they are regular.
 *
 * ECMA-262 without look-around, back references and word boundaries.  What is matched is the text,
 * what is generated its JSON form: a quote in the text is \" in the answer. */
#include "generate/grammar_json.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { CLASS_RANGES_MAX = 256 };

struct pattern {
    struct grammar_builder *builder;
    const char *at, *end;
    int depth;
};

/* Ranges of one class, in the making. */
struct ranges {
    struct code_range items[CLASS_RANGES_MAX];
    size_t count;
};

static struct fragment alternatives(struct pattern *pattern);

static int refuse(struct pattern *pattern, const char *what)
{
    return grammar_fail(pattern->builder, EINVAL, "pattern: %s", what);
}

static bool at_end(const struct pattern *pattern)
{
    return pattern->at == pattern->end || pattern->builder->status;
}

static bool take(struct pattern *pattern, char character)
{
    bool is = !at_end(pattern) && *pattern->at == character;
    pattern->at += is;
    return is;
}

static void add(struct pattern *pattern, struct ranges *ranges, uint32_t first, uint32_t last)
{
    if (first > last)
        refuse(pattern, "a range is upside down");
    else if (ranges->count == CLASS_RANGES_MAX)
        refuse(pattern, "a class has too many ranges");
    else
        ranges->items[ranges->count++] = (struct code_range){first, last};
}

static void invert(struct pattern *pattern, struct ranges *ranges)
{
    struct code_range inverted[CLASS_RANGES_MAX + 1];
    size_t count = grammar_merge_ranges(ranges->items, ranges->count);
    count = grammar_invert_ranges(ranges->items, count, inverted);
    ranges->count = 0;
    for (size_t i = 0; i < count; i++)
        add(pattern, ranges, inverted[i].first, inverted[i].last);
}

/* ---- escapes ---- */

/* \d, \w, \s and their opposites.  The white space of ECMA-262 and what other dialects call a
 * letter or digit is on neither side: what is generated is valid in all of them. */
static bool named_class(struct pattern *pattern, char name, struct ranges *out)
{
    struct ranges named = {.count = 0};
    static const struct code_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    if (name == 'd' || name == 'D')
        add(pattern, &named, '0', '9');
    else if (name == 'w' || name == 'W')
        for (size_t i = 0; i < 4; i++)
            add(pattern, &named, words[i].first, words[i].last);
    else if (name == 's' || name == 'S')
        add(pattern, &named, '\t', '\r'), add(pattern, &named, ' ', ' ');
    else
        return false;
    if (name < 'a') {
        add(pattern, &named, 0x80, CODE_POINT_MAX);
        if (name == 'S')
            add(pattern, &named, 0x1c, 0x1f);
        invert(pattern, &named);
    }
    for (size_t i = 0; i < named.count; i++)
        add(pattern, out, named.items[i].first, named.items[i].last);
    return true;
}

static uint32_t hex(struct pattern *pattern, int digits)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        char c = at_end(pattern) ? 0 : *pattern->at++;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            refuse(pattern, "an escape has too few hex digits");
        code = code << 4 | digit;
    }
    return code;
}

static uint32_t escaped_character(struct pattern *pattern, char c)
{
    static const char letters[] = "nrtfv", codes[] = "\n\r\t\f\v";
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter)
        return (uint8_t)codes[letter - letters];
    if (c == 'x' || c == 'u')
        return hex(pattern, c == 'x' ? 2 : 4);
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (c <= ' ' || c == 127 || alphanumeric)
        refuse(pattern, "an escape that is not supported");
    return (uint8_t)c;
}

/* One character, or a named class, in which case the result is false. */
static bool take_character(struct pattern *pattern, struct ranges *ranges, uint32_t *code)
{
    uint8_t lead = (uint8_t)*pattern->at++;
    if (lead == '\\') {
        char c = at_end(pattern) ? 0 : *pattern->at++;
        if (named_class(pattern, c, ranges))
            return false;
        *code = escaped_character(pattern, c);
        return true;
    }
    int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    *code = more ? lead & (0x3fu >> more) : lead;
    while (more-- && !at_end(pattern))
        *code = *code << 6 | ((uint8_t)*pattern->at++ & 0x3f);
    return true;
}

/* ---- items ---- */

static struct fragment characters(struct pattern *pattern, struct ranges *ranges)
{
    return grammar_json_characters(pattern->builder, ranges->items, ranges->count);
}

static struct fragment class(struct pattern *pattern)
{
    struct ranges ranges = {.count = 0};
    bool inverted = take(pattern, '^');
    while (!at_end(pattern) && *pattern->at != ']') {
        uint32_t first, last;
        bool is_single = take_character(pattern, &ranges, &first);
        if (at_end(pattern))
            break;
        if (*pattern->at == '-' && pattern->end - pattern->at > 1 && pattern->at[1] != ']') {
            pattern->at++;
            if (!is_single || !take_character(pattern, &ranges, &last))
                refuse(pattern, "a range of classes");
            else
                add(pattern, &ranges, first, last);
        } else if (is_single) {
            add(pattern, &ranges, first, first);
        }
    }
    if (!take(pattern, ']'))
        refuse(pattern, "a class has no closing ']'");
    if (inverted)
        invert(pattern, &ranges);
    return characters(pattern, &ranges);
}

static struct fragment group(struct pattern *pattern)
{
    if (take(pattern, '?') && !take(pattern, ':'))
        refuse(pattern, "only (...) and (?:...) are supported");
    if (++pattern->depth > GRAMMAR_DEPTH_MAX)
        refuse(pattern, "groups nest too deep");
    if (pattern->builder->status)
        return grammar_empty(pattern->builder);
    struct fragment inside = alternatives(pattern);
    if (!take(pattern, ')'))
        refuse(pattern, "a group has no closing ')'");
    pattern->depth--;
    return inside;
}

static struct fragment item(struct pattern *pattern)
{
    struct ranges ranges = {.count = 0};
    uint32_t code;
    if (take(pattern, '('))
        return group(pattern);
    if (take(pattern, '['))
        return class(pattern);
    if (take(pattern, '.')) {
        add(pattern, &ranges, '\n', '\n');
        add(pattern, &ranges, '\r', '\r');
        add(pattern, &ranges, 0x2028, 0x2029);
        invert(pattern, &ranges);
        return characters(pattern, &ranges);
    }
    if (strchr("^$*+?{}])", *pattern->at))
        refuse(pattern, "one of ^ $ * + ? { } ] ) is not where it can be");
    if (take_character(pattern, &ranges, &code))
        add(pattern, &ranges, code, code);
    return characters(pattern, &ranges);
}

static int64_t number(struct pattern *pattern)
{
    int64_t value = 0;
    if (at_end(pattern) || *pattern->at < '0' || *pattern->at > '9')
        refuse(pattern, "a repetition is not {m}, {m,} or {m,n}");
    while (!at_end(pattern) && *pattern->at >= '0' && *pattern->at <= '9') {
        value = value * 10 + (*pattern->at++ - '0');
        value = value > INT32_MAX ? INT32_MAX : value;
    }
    return value;
}

static struct fragment repetition(struct pattern *pattern, struct fragment repeated)
{
    int64_t minimum, maximum;
    if (take(pattern, '*')) {
        minimum = 0, maximum = GRAMMAR_UNBOUNDED;
    } else if (take(pattern, '+')) {
        minimum = 1, maximum = GRAMMAR_UNBOUNDED;
    } else if (take(pattern, '?')) {
        minimum = 0, maximum = 1;
    } else if (take(pattern, '{')) {
        minimum = maximum = number(pattern);
        if (take(pattern, ','))
            maximum = !at_end(pattern) && *pattern->at == '}' ? GRAMMAR_UNBOUNDED : number(pattern);
        if (!take(pattern, '}'))
            refuse(pattern, "a repetition is not {m}, {m,} or {m,n}");
    } else {
        return repeated;
    }
    take(pattern, '?'); /* as few as possible: the same texts */
    return grammar_repeat(pattern->builder, repeated, minimum, maximum);
}

static struct fragment sequence(struct pattern *pattern)
{
    struct fragment all = grammar_empty(pattern->builder);
    while (!at_end(pattern) && *pattern->at != '|' && *pattern->at != ')') {
        struct fragment next = item(pattern);
        all = grammar_sequence(pattern->builder, all, repetition(pattern, next));
    }
    return all;
}

static struct fragment alternatives(struct pattern *pattern)
{
    struct fragment all = sequence(pattern);
    while (take(pattern, '|'))
        all = grammar_either(pattern->builder, all, sequence(pattern));
    return all;
}

struct fragment grammar_json_pattern(struct grammar_builder *builder, struct text source)
{
    struct pattern pattern = {.builder = builder};
    size_t slashes = 0;
    while (source.length > 1 && slashes < source.length - 1 &&
           source.bytes[source.length - 2 - slashes] == '\\')
        slashes++;
    if (source.length < 2 || source.bytes[0] != '^' || source.bytes[source.length - 1] != '$' ||
        slashes % 2) {
        refuse(&pattern, "it must begin with ^ and end with $");
        return grammar_empty(builder);
    }
    pattern.at = source.bytes + 1;
    pattern.end = source.bytes + source.length - 1;
    struct fragment all = sequence(&pattern);
    if (!at_end(&pattern))
        refuse(&pattern, *pattern.at == '|' ? "a | outside of a group" : "a ) without its (");
    return all;
}
