/* parser.c - statements; see parser.h. */
#include "text/template/parser.h"

#include "text/template.h"

#include <errno.h>
#include <stdio.h>

static const struct lexer_token end_token = {.kind = LEXER_END};

/* ---- shared with parser_expressions.c ---- */

void parser_fail(struct parser *parser, const char *what, struct text found)
{
    if (found.length == 0)
        found = text_of("the end");
    if (!parser->status)
        parser->status =
            what ? error_set(parser->error, ENOEXEC, "chat template, line %u: %s \"%.*s\"",
                             parser->at->line, what, TEXT_ARGUMENTS(found))
                 : error_set(parser->error, ENOMEM, "no memory for a chat template");
    parser->at = &end_token;
}

bool parser_enter(struct parser *parser)
{
    if (parser->depth == TEMPLATE_DEPTH_MAX)
        parser_fail(parser, "nested too deeply at", parser->at->text);
    if (parser->status)
        return false;
    parser->depth++;
    return true;
}

void parser_leave(struct parser *parser)
{
    parser->depth--;
}

struct node *parser_node(struct parser *parser, enum node_kind kind)
{
    struct node *node = parser->status ? NULL : arena_allocate(parser->arena, 1, sizeof *node);
    if (!node) {
        parser_fail(parser, NULL, (struct text){0});
        parser->spare = (struct node){.kind = kind};
        return &parser->spare;
    }
    node->kind = kind;
    node->line = parser->at->line;
    return node;
}

bool parser_is_operator(const struct parser *parser, const char *text)
{
    return parser->at->kind == LEXER_OPERATOR && text_is(parser->at->text, text);
}

bool parser_is_name(const struct parser *parser, const char *text)
{
    return parser->at->kind == LEXER_NAME && text_is(parser->at->text, text);
}

void parser_next(struct parser *parser)
{
    if (parser->at->kind != LEXER_END)
        parser->at++;
}

bool parser_take_operator(struct parser *parser, const char *text)
{
    bool found = parser_is_operator(parser, text);
    if (found)
        parser_next(parser);
    return found;
}

bool parser_take_name(struct parser *parser, const char *text)
{
    bool found = parser_is_name(parser, text);
    if (found)
        parser_next(parser);
    return found;
}

void parser_expect_operator(struct parser *parser, const char *text)
{
    char what[40];
    snprintf(what, sizeof what, "\"%s\" is missing before", text);
    if (!parser_take_operator(parser, text))
        parser_fail(parser, what, parser->at->text);
}

struct text parser_expect_name(struct parser *parser)
{
    struct text name = parser->at->text;
    if (parser->at->kind != LEXER_NAME)
        parser_fail(parser, "a name is missing before", name);
    parser_next(parser);
    return name;
}

/* ---- statements ---- */

static struct node *statements_until(struct parser *parser, const char *const *ends);

static void expect_block_end(struct parser *parser)
{
    if (parser->at->kind != LEXER_BLOCK_END)
        parser_fail(parser, "the tag should end before", parser->at->text);
    parser_next(parser);
}

/* The statements up to `{% name`, the name taken and the tag's end too. */
static struct node *body_until(struct parser *parser, const char *name)
{
    const char *const ends[] = {name, NULL};
    expect_block_end(parser);
    struct node *list = statements_until(parser, ends);
    parser_next(parser);
    /* endmacro and its like may repeat the name */
    if (text_is(text_of(name), "endmacro") && parser->at->kind == LEXER_NAME)
        parser_next(parser);
    expect_block_end(parser);
    return list;
}

/* Behind `if` or `elif`. */
static struct node *parse_if(struct parser *parser)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct node *first = NULL, *node = NULL, **link = &first;
    do {
        node = parser_node(parser, NODE_IF);
        *link = node;
        link = &node->third;
        node->first = parser_tuple(parser, true);
        expect_block_end(parser);
        node->list = statements_until(parser, ends);
    } while (parser_take_name(parser, "elif"));
    if (parser_take_name(parser, "else")) {
        node->otherwise = body_until(parser, "endif");
    } else {
        parser_next(parser);
        expect_block_end(parser);
    }
    return first;
}

static struct node *parse_for(struct parser *parser)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    struct node *node = parser_node(parser, NODE_FOR);
    node->first = parser_target(parser, false);
    if (!parser_take_name(parser, "in"))
        parser_fail(parser, "\"in\" is missing before", parser->at->text);
    node->second = parser_tuple(parser, false);
    if (parser_take_name(parser, "if"))
        node->third = parser_expression(parser);
    if (parser_is_name(parser, "recursive"))
        parser_fail(parser, "not supported: a loop that is", parser->at->text);
    expect_block_end(parser);
    parser->loops++;
    node->list = statements_until(parser, ends);
    parser->loops--;
    if (parser_take_name(parser, "else")) {
        node->otherwise = body_until(parser, "endfor");
    } else {
        parser_next(parser);
        expect_block_end(parser);
    }
    return node;
}

static struct node *parse_set(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_SET);
    node->first = parser_target(parser, true);
    if (parser_take_operator(parser, "=")) {
        node->second = parser_tuple(parser, true);
        expect_block_end(parser);
        return node;
    }
    node->kind = NODE_SET_BLOCK;
    if (parser_take_operator(parser, "|"))
        node->second = parser_filters(parser);
    node->list = body_until(parser, "endset");
    return node;
}

/* name, name=default, ... up to `)`. */
static struct node *parse_parameters(struct parser *parser)
{
    struct node *first = NULL, **link = &first;
    while (!parser->status && !parser_is_operator(parser, ")")) {
        *link = parser_node(parser, NODE_PARAMETER);
        (*link)->text = parser_expect_name(parser);
        if (parser_take_operator(parser, "="))
            (*link)->first = parser_expression(parser);
        link = &(*link)->next;
        if (!parser_take_operator(parser, ","))
            break;
    }
    parser_expect_operator(parser, ")");
    return first;
}

/* What is rendered when it is called, in no loop of its surroundings. */
static struct node *callable_body(struct parser *parser, const char *end)
{
    int loops = parser->loops;
    parser->loops = 0;
    struct node *list = body_until(parser, end);
    parser->loops = loops;
    return list;
}

static struct node *parse_macro(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_MACRO);
    node->text = parser_expect_name(parser);
    parser_expect_operator(parser, "(");
    node->parameters = parse_parameters(parser);
    node->list = callable_body(parser, "endmacro");
    return node;
}

static struct node *parse_call(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_CALL_BLOCK);
    if (parser_take_operator(parser, "("))
        node->parameters = parse_parameters(parser);
    node->first = parser_expression(parser);
    if (node->first->kind != NODE_CALL)
        parser_fail(parser, "a call is missing before", parser->at->text);
    node->list = callable_body(parser, "endcall");
    return node;
}

static struct node *parse_filter_block(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_FILTER_BLOCK);
    node->first = parser_filters(parser);
    node->list = callable_body(parser, "endfilter");
    return node;
}

static struct node *parse_with(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_WITH), **link = &node->parameters;
    while (!parser->status && parser->at->kind == LEXER_NAME) {
        *link = parser_node(parser, NODE_PARAMETER);
        (*link)->text = parser_expect_name(parser);
        parser_expect_operator(parser, "=");
        (*link)->first = parser_expression(parser);
        link = &(*link)->next;
        if (!parser_take_operator(parser, ","))
            break;
    }
    node->list = body_until(parser, "endwith");
    return node;
}

static struct node *parse_generation(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_SCOPE);
    node->list = callable_body(parser, "endgeneration");
    return node;
}

static struct node *parse_jump(struct parser *parser, enum node_kind kind)
{
    struct node *node = parser_node(parser, kind);
    if (parser->loops == 0)
        parser_fail(parser, "no loop around", text_of(kind == NODE_BREAK ? "break" : "continue"));
    expect_block_end(parser);
    return node;
}

static struct node *parse_break(struct parser *parser)
{
    return parse_jump(parser, NODE_BREAK);
}

static struct node *parse_continue(struct parser *parser)
{
    return parse_jump(parser, NODE_CONTINUE);
}

static struct node *parse_statement(struct parser *parser)
{
    static const struct {
        const char *name;
        struct node *(*parse)(struct parser *);
    } rows[] = {
        {"if", parse_if},       {"for", parse_for},
        {"set", parse_set},     {"macro", parse_macro},
        {"call", parse_call},   {"filter", parse_filter_block},
        {"with", parse_with},   {"generation", parse_generation},
        {"break", parse_break}, {"continue", parse_continue},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (parser_take_name(parser, rows[i].name))
            return rows[i].parse(parser);
    parser_fail(parser, "an unknown tag or one out of place:", parser->at->text);
    return parser_node(parser, NODE_DATA);
}

static struct node *parse_data(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_DATA);
    struct rope *rope = arena_allocate(parser->arena, 1, sizeof *rope);
    struct text text = parser->at->text;
    if (!rope) {
        parser_fail(parser, NULL, (struct text){0});
        return node;
    }
    *rope = (struct rope){.length = text.length, .origin = ROPE_TEMPLATE, .bytes = text.bytes};
    node->constant = value_string(rope);
    parser_next(parser);
    return node;
}

static struct node *parse_output(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_OUTPUT);
    parser_next(parser);
    node->first = parser_tuple(parser, true);
    if (parser->at->kind != LEXER_VARIABLE_END)
        parser_fail(parser, "the expression should end before", parser->at->text);
    parser_next(parser);
    return node;
}

/* Is `{% name` of one of these names here? */
static bool is_end(const struct parser *parser, const char *const *ends)
{
    if (parser->at->kind != LEXER_BLOCK_BEGIN || parser->at[1].kind != LEXER_NAME)
        return false;
    for (; ends && *ends; ends++)
        if (text_is(parser->at[1].text, *ends))
            return true;
    return false;
}

/* Up to a tag of one of these names, which is in hand then (its `{%` is taken); without names: to
 * the end of the template. */
static struct node *statements_until(struct parser *parser, const char *const *ends)
{
    struct node *first = NULL, **link = &first;
    if (!parser_enter(parser))
        return NULL;
    while (parser->at->kind != LEXER_END && !is_end(parser, ends)) {
        if (parser->at->kind == LEXER_DATA) {
            *link = parse_data(parser);
        } else if (parser->at->kind == LEXER_VARIABLE_BEGIN) {
            *link = parse_output(parser);
        } else {
            parser_next(parser);
            *link = parse_statement(parser);
        }
        link = &(*link)->next;
    }
    if (ends && parser->at->kind == LEXER_END && !parser->status)
        parser_fail(parser, "the template ends before", text_of(ends[0]));
    parser_next(parser);
    parser_leave(parser);
    return first;
}

struct node *parser_template(struct parser *parser)
{
    return statements_until(parser, NULL);
}
