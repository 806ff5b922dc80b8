/* grammar_parse.c - GBNF, the notation of llama.cpp's grammars; docs/GRAMMARS.md describes it.
 *
 * A recursive descent whose depth is bounded; rules are called by number, so their order and their
 * recursion do not matter here. */
#include "generate/grammar_build.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdlib.h>

struct parser {
    struct grammar_builder builder;
    const char *at, *end;
    int depth;               /* of parentheses */
    int32_t *names;          /* [names_mask + 1]: rule + 1 by the hash of its name; 0: free */
    size_t names_mask;       /* at most half of the places are ever taken */
    struct code_range *work; /* of the class that is read */
    size_t work_capacity;
};

static struct fragment parse_alternatives(struct parser *parser);

/* ---- characters ---- */

static bool at_end(const struct parser *parser)
{
    return parser->at == parser->end || parser->builder.status;
}

static bool at_character(const struct parser *parser, char character)
{
    return !at_end(parser) && *parser->at == character;
}

static bool take(struct parser *parser, char character)
{
    bool is = at_character(parser, character);
    parser->at += is;
    return is;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static struct text take_name(struct parser *parser)
{
    const char *start = parser->at;
    while (!at_end(parser) && is_name(*parser->at))
        parser->at++;
    return (struct text){start, (size_t)(parser->at - start)};
}

/* White space and comments; across lines if `lines`. */
static void skip_space(struct parser *parser, bool lines)
{
    while (!at_end(parser)) {
        if (*parser->at == '#') {
            while (!at_end(parser) && *parser->at != '\n')
                parser->at++;
        } else if (*parser->at == '\n' && lines) {
            parser->builder.line++;
            parser->at++;
        } else if (*parser->at == ' ' || *parser->at == '\t' || *parser->at == '\r') {
            parser->at++;
        } else {
            break;
        }
    }
}

static uint32_t take_hex(struct parser *parser, int digits)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++) {
        char c = at_end(parser) ? 0 : *parser->at;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) {
            grammar_fail(&parser->builder, EINVAL, "an escape has fewer than %d hex digits",
                         digits);
            return 0;
        }
        code = code << 4 | digit;
        parser->at++;
    }
    if (code > CODE_POINT_MAX || (code >= 0xd800 && code <= 0xdfff))
        grammar_fail(&parser->builder, EINVAL, "an escape stands for U+%X, which is no character",
                     (unsigned)code);
    return code;
}

static uint32_t take_escape(struct parser *parser)
{
    char c = at_end(parser) ? 0 : *parser->at;
    parser->at += !at_end(parser);
    switch (c) {
    case 'x':
        return take_hex(parser, 2);
    case 'u':
        return take_hex(parser, 4);
    case 'U':
        return take_hex(parser, 8);
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
    case '^':
        return (uint8_t)c;
    default:
        grammar_fail(&parser->builder, EINVAL, "unknown escape \\%c", c > ' ' && c < 127 ? c : '?');
        return 0;
    }
}

/* The source is whole UTF-8. */
static uint32_t take_code(struct parser *parser)
{
    uint8_t lead = (uint8_t)*parser->at++;
    if (lead == '\\')
        return take_escape(parser);
    int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t code = more ? lead & (0x3fu >> more) : lead;
    while (more--)
        code = code << 6 | ((uint8_t)*parser->at++ & 0x3f);
    return code;
}

/* ---- what matches a text ---- */

static struct fragment parse_literal(struct parser *parser)
{
    struct fragment all = grammar_empty(&parser->builder);
    while (!at_end(parser) && *parser->at != '"' && *parser->at != '\n') {
        struct code_range one;
        one.first = one.last = take_code(parser);
        all = grammar_sequence(&parser->builder, all, grammar_class(&parser->builder, &one, 1));
    }
    if (!take(parser, '"'))
        grammar_fail(&parser->builder, EINVAL, "a literal has no closing '\"' in its line");
    return all;
}

static void add_range(struct parser *parser, size_t *count, struct code_range range)
{
    void *work = parser->work;
    int status = memory_grow(&work, &parser->work_capacity, *count + 2, sizeof *parser->work,
                             GRAMMAR_RANGES_MAX);
    parser->work = work;
    if (range.first > range.last)
        grammar_fail(&parser->builder, EINVAL, "a range from U+%04X down to U+%04X",
                     (unsigned)range.first, (unsigned)range.last);
    else if (status == -ENOMEM)
        grammar_fail(&parser->builder, ENOMEM, "no memory");
    else if (status)
        grammar_fail(&parser->builder, EINVAL, "a class of more than %d ranges",
                     GRAMMAR_RANGES_MAX);
    else
        parser->work[(*count)++] = range;
}

static struct fragment inverted_class(struct parser *parser, size_t count)
{
    struct grammar_builder *builder = &parser->builder;
    struct code_range *inverted = memory_try(count + 1, sizeof *inverted);
    if (!inverted) {
        grammar_fail(builder, ENOMEM, "no memory");
        return grammar_empty(builder);
    }
    count = grammar_merge_ranges(parser->work, count);
    count = grammar_invert_ranges(parser->work, count, inverted);
    struct fragment class = grammar_class(builder, inverted, count);
    free(inverted);
    return class;
}

static struct fragment parse_class(struct parser *parser)
{
    size_t count = 0;
    bool inverted = take(parser, '^');
    while (!at_end(parser) && *parser->at != ']' && *parser->at != '\n') {
        struct code_range range;
        range.first = range.last = take_code(parser);
        if (at_character(parser, '-') && parser->end - parser->at > 1 && parser->at[1] != ']') {
            parser->at++;
            if (!at_character(parser, '\n'))
                range.last = take_code(parser);
        }
        add_range(parser, &count, range);
    }
    if (!take(parser, ']'))
        grammar_fail(&parser->builder, EINVAL, "a character class has no closing ']' in its line");
    if (inverted)
        return inverted_class(parser, count);
    return grammar_class(&parser->builder, parser->work, count);
}

static struct fragment parse_group(struct parser *parser)
{
    int32_t opened = parser->builder.line;
    if (++parser->depth > GRAMMAR_DEPTH_MAX) {
        grammar_fail(&parser->builder, EINVAL, "groups nest deeper than %d", GRAMMAR_DEPTH_MAX);
        return grammar_empty(&parser->builder);
    }
    skip_space(parser, true);
    struct fragment group = parse_alternatives(parser);
    if (!parser->builder.status && !take(parser, ')')) {
        if (at_end(parser))
            parser->builder.line = opened;
        grammar_fail(&parser->builder, EINVAL, "a group has no closing ')'");
    }
    parser->depth--;
    return group;
}

/* ---- rules ---- */

static int32_t *place_of(struct parser *parser, struct text name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a (Fowler, Noll, Vo) */
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (uint8_t)name.bytes[i]) * 0x100000001b3u;
    size_t place = (hash ^ hash >> 32) & parser->names_mask;
    while (parser->names[place] &&
           !text_equals(parser->builder.rules[parser->names[place] - 1].label, name))
        place = (place + 1) & parser->names_mask;
    return &parser->names[place];
}

static int32_t rule_of(struct parser *parser, struct text name)
{
    int32_t *place = place_of(parser, name);
    if (*place)
        return *place - 1;
    struct text outer = parser->builder.label;
    parser->builder.label = name;
    int32_t rule = grammar_rule(&parser->builder);
    parser->builder.label = outer;
    if (!parser->builder.status)
        *place = rule + 1;
    return rule;
}

/* ---- repetition ---- */

static int64_t take_number(struct parser *parser)
{
    int64_t number = 0;
    if (at_end(parser) || *parser->at < '0' || *parser->at > '9')
        grammar_fail(&parser->builder, EINVAL, "a number is missing in {}");
    while (!at_end(parser) && *parser->at >= '0' && *parser->at <= '9') {
        number = number * 10 + (*parser->at++ - '0');
        if (number > INT32_MAX)
            number = INT32_MAX; /* far above what is allowed */
    }
    skip_space(parser, false);
    return number;
}

static struct fragment parse_counts(struct parser *parser, struct fragment item)
{
    skip_space(parser, false);
    int64_t minimum = at_character(parser, ',') ? 0 : take_number(parser), maximum = minimum;
    if (take(parser, ',')) {
        skip_space(parser, false);
        maximum = at_character(parser, '}') ? GRAMMAR_UNBOUNDED : take_number(parser);
    }
    if (!take(parser, '}'))
        grammar_fail(&parser->builder, EINVAL, "a repetition is not {m}, {m,} or {m,n}");
    return grammar_repeat(&parser->builder, item, minimum, maximum);
}

static struct fragment parse_repetitions(struct parser *parser, struct fragment item)
{
    for (;;) {
        skip_space(parser, parser->depth > 0);
        if (take(parser, '*'))
            item = grammar_repeat(&parser->builder, item, 0, GRAMMAR_UNBOUNDED);
        else if (take(parser, '+'))
            item = grammar_repeat(&parser->builder, item, 1, GRAMMAR_UNBOUNDED);
        else if (take(parser, '?'))
            item = grammar_optional(&parser->builder, item);
        else if (take(parser, '{'))
            item = parse_counts(parser, item);
        else
            return item;
    }
}

/* ---- sequences and alternatives ---- */

static bool begins_item(const struct parser *parser)
{
    if (at_end(parser))
        return false;
    char c = *parser->at;
    return c == '"' || c == '[' || c == '(' || c == '.' || is_name(c);
}

static struct fragment parse_item(struct parser *parser)
{
    struct code_range any = {0, CODE_POINT_MAX};
    if (take(parser, '"'))
        return parse_literal(parser);
    if (take(parser, '['))
        return parse_class(parser);
    if (take(parser, '('))
        return parse_group(parser);
    if (take(parser, '.'))
        return grammar_class(&parser->builder, &any, 1);
    return grammar_call(&parser->builder, rule_of(parser, take_name(parser)));
}

static struct fragment parse_sequence(struct parser *parser)
{
    struct fragment all = grammar_empty(&parser->builder);
    while (begins_item(parser)) {
        struct fragment item = parse_item(parser);
        all = grammar_sequence(&parser->builder, all, parse_repetitions(parser, item));
    }
    return all;
}

static struct fragment parse_alternatives(struct parser *parser)
{
    struct fragment all = parse_sequence(parser);
    while (take(parser, '|')) {
        skip_space(parser, true);
        all = grammar_either(&parser->builder, all, parse_sequence(parser));
    }
    return all;
}

static void refuse_here(struct parser *parser)
{
    char c = *parser->at;
    if (c == '<' || c == '!')
        grammar_fail(&parser->builder, EINVAL, "tokens (<...>) are not supported");
    else if (c > ' ' && c < 127)
        grammar_fail(&parser->builder, EINVAL, "unexpected '%c'", c);
    else
        grammar_fail(&parser->builder, EINVAL, "unexpected byte 0x%02x", (uint8_t)c);
}

static void parse_rule(struct parser *parser)
{
    struct grammar_builder *builder = &parser->builder;
    int32_t line = builder->line;
    struct text name = take_name(parser);
    if (name.length == 0) {
        refuse_here(parser);
        return;
    }
    skip_space(parser, false);
    if (parser->end - parser->at < 3 || memcmp(parser->at, "::=", 3) != 0) {
        grammar_fail(builder, EINVAL, "no ::= after %.*s", TEXT_ARGUMENTS(name));
        return;
    }
    parser->at += 3;
    int32_t rule = rule_of(parser, name);
    if (!builder->status && builder->rules[rule].defined)
        grammar_fail(builder, EINVAL, "%.*s is defined twice", TEXT_ARGUMENTS(name));
    if (builder->status)
        return;
    builder->rules[rule].line = line;
    builder->label = name;
    skip_space(parser, true);
    grammar_define(builder, rule, parse_alternatives(parser));
    if (!at_end(parser) && *parser->at != '\n')
        refuse_here(parser);
}

static int check_names(struct parser *parser, int32_t *root)
{
    struct grammar_builder *builder = &parser->builder;
    for (size_t i = 0; i < builder->rule_count && !builder->status; i++)
        if (!builder->rules[i].defined) {
            builder->line = builder->rules[i].line;
            grammar_fail(builder, EINVAL, "there is no rule %.*s",
                         TEXT_ARGUMENTS(builder->rules[i].label));
        }
    if (builder->status)
        return builder->status;
    int32_t place = *place_of(parser, text_of("root"));
    if (!place)
        return grammar_fail(builder, EINVAL, "there is no rule root up to here");
    *root = place - 1;
    return 0;
}

/* In a line of its own, so that the error can name it. */
static int check_encoding(struct parser *parser, struct text source)
{
    size_t good = utf8_valid_length(source.bytes, source.length);
    if (source.length > GRAMMAR_SOURCE_BYTES_MAX)
        return grammar_fail(&parser->builder, EINVAL, "it has %zu bytes, more than %d",
                            source.length, GRAMMAR_SOURCE_BYTES_MAX);
    if (good == source.length)
        return 0;
    for (size_t i = 0; i < good; i++)
        parser->builder.line += source.bytes[i] == '\n';
    return grammar_fail(&parser->builder, EINVAL, "byte 0x%02x is no UTF-8",
                        (uint8_t)source.bytes[good]);
}

static int parse_all(struct parser *parser, struct text source, struct grammar **out)
{
    int32_t root = 0;
    size_t places = 16;
    while (places < source.length + 1 && places < 2 * (size_t)GRAMMAR_RULES_MAX)
        places *= 2;
    parser->names_mask = places - 1;
    parser->names = memory_try(places, sizeof *parser->names);
    if (!parser->names)
        return grammar_fail(&parser->builder, ENOMEM, "no memory");
    skip_space(parser, true);
    while (!at_end(parser)) {
        parse_rule(parser);
        skip_space(parser, true);
    }
    int status = check_names(parser, &root);
    return status ? status : grammar_finish(&parser->builder, root, out);
}

int grammar_parse(struct text source, struct grammar **out, struct error *error)
{
    struct parser parser = {.at = source.bytes, .end = source.bytes + source.length};
    grammar_builder_open(&parser.builder, error);
    parser.builder.line = 1;
    int status = check_encoding(&parser, source);
    if (!status)
        status = parse_all(&parser, source, out);
    free(parser.names);
    free(parser.work);
    grammar_builder_close(&parser.builder);
    return status;
}
