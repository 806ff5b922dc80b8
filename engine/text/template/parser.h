/* parser.h - tokens → tree.  parser.c has the statements, parser_expressions.c the expressions.
 *
 * Owns:     nothing; nodes are made in the arena.
 * Promise:  failing is sticky: the first error is kept, and all tokens after it are LEXER_END, so
 *           that every loop ends.  A node is never NULL: after a failure it is any node.
 * Threads:  one parser, one thread.
 * Limits:   TEMPLATE_DEPTH_MAX expressions and statements inside each other.
 */
#ifndef TEXT_TEMPLATE_PARSER_H
#define TEXT_TEMPLATE_PARSER_H

#include "text/template/lexer.h"
#include "text/template/node.h"

struct parser {
    const struct lexer_token *at; /* the last one is LEXER_END */
    struct arena *arena;
    int depth, loops; /* of what is being parsed; loops around it in its macro */
    int status;
    struct error *error;
    struct node spare; /* what is built after a failure: thrown away */
};

/* The statements of a whole template. */
struct node *parser_template(struct parser *parser);

/* ---- shared by the two files ---- */

void parser_fail(struct parser *parser, const char *what, struct text found);
bool parser_enter(struct parser *parser);
void parser_leave(struct parser *parser);

struct node *parser_node(struct parser *parser, enum node_kind kind);
bool parser_is_operator(const struct parser *parser, const char *text);
bool parser_is_name(const struct parser *parser, const char *text);
bool parser_take_operator(struct parser *parser, const char *text);
bool parser_take_name(struct parser *parser, const char *text);
void parser_expect_operator(struct parser *parser, const char *text);
struct text parser_expect_name(struct parser *parser);
void parser_next(struct parser *parser);

struct node *parser_expression(struct parser *parser);

/* An expression, or several with commas, which make a tuple.  Without conditions: what stands
 * before the `if` of a loop. */
struct node *parser_tuple(struct parser *parser, bool with_conditions);

/* The filters of a filter block: name|name(...)|...; the innermost has no input. */
struct node *parser_filters(struct parser *parser);

/* Names to assign to: one, or several with commas. */
struct node *parser_target(struct parser *parser, bool with_namespace);

#endif
