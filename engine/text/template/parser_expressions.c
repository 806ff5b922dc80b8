/* parser_expressions.c - see parser.h.  The precedences are jinja2's: a filter binds closer than an
 * operator, `~` closer than `+`, a test as close as a filter. */
#include "text/template/parser.h"

#include "text/template/characters.h"

#include <errno.h>
#include <stdlib.h>

/* ---- literals ---- */

static uint32_t hex_value(struct text digits)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits.length; i++) {
        char digit = characters_lower(digits.bytes[i]);
        value =
            value * 16 + (uint32_t)(characters_is_digit(digit) ? digit - '0' : digit - 'a' + 10);
    }
    return value;
}

static bool is_hex(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!characters_is_digit(text.bytes[i]) &&
            (characters_lower(text.bytes[i]) < 'a' || characters_lower(text.bytes[i]) > 'f'))
            return false;
    return true;
}

/* \xHH, \uHHHH, \UHHHHHHHH: what is read of `text`, which stands behind the backslash; 0 when it is
 * no such escape. */
static size_t decode_hex(struct text text, char *out, size_t *written)
{
    size_t digits = text.bytes[0] == 'x' ? 2 : text.bytes[0] == 'u' ? 4 : 8;
    struct text number = {text.bytes + 1, digits};
    if (text.length < 1 + digits || !is_hex(number) || hex_value(number) > 0x10FFFF)
        return 0;
    *written = characters_encode(hex_value(number), out);
    return 1 + digits;
}

/* The same for octal digits. */
static size_t decode_octal(struct text text, char *out, size_t *written)
{
    uint32_t value = 0;
    size_t read = 0;
    while (read < 3 && read < text.length && text.bytes[read] >= '0' && text.bytes[read] <= '7')
        value = value * 8 + (uint32_t)(text.bytes[read++] - '0');
    if (read)
        *written = characters_encode(value, out);
    return read;
}

/* One escape as Python reads it; an unknown one stays as it is.  No result is longer than its
 * source. */
static size_t decode_escape(struct text text, char *out, size_t *written)
{
    static const char letters[] = "ntrabfv\\'\"", meanings[] = "\n\t\r\a\b\f\v\\'\"";
    *written = 0;
    char letter = text.bytes[0];
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (found) {
        out[(*written)++] = meanings[found - letters];
        return 1;
    }
    if (letter == '\n')
        return 1;
    size_t read = 0;
    if (letter == 'x' || letter == 'u' || letter == 'U')
        read = decode_hex(text, out, written);
    else if (letter >= '0' && letter <= '7')
        read = decode_octal(text, out, written);
    if (read == 0)
        out[(*written)++] = '\\';
    return read;
}

/* The text that a literal stands for; its length. */
static size_t decode_string(struct text text, char *out)
{
    size_t length = 0;
    for (size_t at = 0; at < text.length;) {
        if (text.bytes[at] == '\\' && at + 1 < text.length) {
            size_t written;
            struct text rest = {text.bytes + at + 1, text.length - at - 1};
            at += 1 + decode_escape(rest, out + length, &written);
            length += written;
        } else {
            out[length++] = text.bytes[at++];
        }
    }
    return length;
}

/* Neighbouring literals are one string. */
static struct node *string_literal(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_CONSTANT);
    size_t capacity = 0, length = 0;
    const struct lexer_token *token = parser->at;
    for (; token->kind == LEXER_STRING; token++)
        capacity += token->text.length;
    char *bytes = arena_allocate(parser->arena, capacity + 1, 1);
    struct rope *rope = arena_allocate(parser->arena, 1, sizeof *rope);
    for (; bytes && parser->at->kind == LEXER_STRING; parser_next(parser))
        length += decode_string(parser->at->text, bytes + length);
    if (!bytes || !rope) {
        parser_fail(parser, NULL, (struct text){0});
        return node;
    }
    *rope = (struct rope){.length = length, .origin = ROPE_TEMPLATE, .bytes = bytes};
    node->constant = value_string(rope);
    return node;
}

/* Digits without their underscores, for strtod() and strtoll(). */
static void plain_number(struct text text, char out[64])
{
    size_t length = 0;
    for (size_t i = 0; i < text.length && length < 63; i++)
        if (text.bytes[i] != '_')
            out[length++] = text.bytes[i];
    out[length] = 0;
}

static struct node *number_literal(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_CONSTANT);
    struct text text = parser->at->text;
    char digits[64], *end = NULL;
    plain_number(text, digits);
    if (parser->at->kind == LEXER_FLOAT) {
        node->constant = value_float(strtod(digits, &end));
    } else {
        char second = digits[0] == '0' ? characters_lower(digits[1]) : '\0';
        int base = second == 'x' ? 16 : second == 'o' ? 8 : second == 'b' ? 2 : 10;
        errno = 0;
        node->constant = value_integer(strtoll(digits + (base == 10 ? 0 : 2), &end, base));
        if (errno)
            end = NULL;
    }
    if (!end || *end || text.length >= sizeof digits)
        parser_fail(parser, "no number that can be used:", text);
    parser_next(parser);
    return node;
}

static struct node *name_or_constant(struct parser *parser)
{
    static const struct {
        const char *name;
        struct value value;
    } constants[] = {
        {"true", {.kind = VALUE_BOOL, .truth = true}},
        {"True", {.kind = VALUE_BOOL, .truth = true}},
        {"false", {.kind = VALUE_BOOL}},
        {"False", {.kind = VALUE_BOOL}},
        {"none", {.kind = VALUE_NONE}},
        {"None", {.kind = VALUE_NONE}},
    };
    struct node *node = parser_node(parser, NODE_NAME);
    node->text = parser->at->text;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (text_is(node->text, constants[i].name)) {
            node->kind = NODE_CONSTANT;
            node->constant = constants[i].value;
        }
    }
    parser_next(parser);
    return node;
}

/* ---- what brackets hold ---- */

/* Expressions with commas up to `close`, which is taken. */
static struct node *items_until(struct parser *parser, const char *close)
{
    struct node *first = NULL, **link = &first;
    while (!parser->status && !parser_is_operator(parser, close)) {
        *link = parser_expression(parser);
        link = &(*link)->next;
        if (!parser_take_operator(parser, ","))
            break;
    }
    parser_expect_operator(parser, close);
    return first;
}

static struct node *dict_literal(struct parser *parser)
{
    struct node *node = parser_node(parser, NODE_DICT), **link = &node->list;
    while (!parser->status && !parser_is_operator(parser, "}")) {
        struct node *key = parser_expression(parser);
        parser_expect_operator(parser, ":");
        *link = key;
        key->next = parser_expression(parser);
        link = &key->next->next;
        if (!parser_take_operator(parser, ","))
            break;
    }
    parser_expect_operator(parser, "}");
    return node;
}

static struct node *parenthesized(struct parser *parser)
{
    if (parser_take_operator(parser, ")"))
        return parser_node(parser, NODE_TUPLE);
    struct node *node = parser_tuple(parser, true);
    parser_expect_operator(parser, ")");
    return node;
}

static struct node *primary(struct parser *parser)
{
    struct node *node = NULL;
    if (!parser_enter(parser))
        return parser_node(parser, NODE_ABSENT);
    if (parser->at->kind == LEXER_NAME) {
        node = name_or_constant(parser);
    } else if (parser->at->kind == LEXER_STRING) {
        node = string_literal(parser);
    } else if (parser->at->kind == LEXER_INTEGER || parser->at->kind == LEXER_FLOAT) {
        node = number_literal(parser);
    } else if (parser_take_operator(parser, "(")) {
        node = parenthesized(parser);
    } else if (parser_take_operator(parser, "[")) {
        node = parser_node(parser, NODE_LIST);
        node->list = items_until(parser, "]");
    } else if (parser_take_operator(parser, "{")) {
        node = dict_literal(parser);
    } else {
        parser_fail(parser, "an expression is missing at", parser->at->text);
        node = parser_node(parser, NODE_ABSENT);
    }
    parser_leave(parser);
    return node;
}

/* ---- what follows a value ---- */

static struct node *call_arguments(struct parser *parser)
{
    struct node *first = NULL, **link = &first;
    bool named = false;
    while (!parser->status && !parser_is_operator(parser, ")")) {
        const struct lexer_token *token = parser->at;
        if (token->kind == LEXER_NAME && token[1].kind == LEXER_OPERATOR &&
            text_is(token[1].text, "=")) {
            *link = parser_node(parser, NODE_KEYWORD);
            (*link)->text = parser_expect_name(parser);
            parser_next(parser);
            (*link)->first = parser_expression(parser);
            named = true;
        } else {
            if (named)
                parser_fail(parser, "an argument without a name behind one with:", token->text);
            *link = parser_expression(parser);
        }
        link = &(*link)->next;
        if (!parser_take_operator(parser, ","))
            break;
    }
    parser_expect_operator(parser, ")");
    return first;
}

/* A bound of a slice, before `:`, `,` or `]`. */
static struct node *slice_bound(struct parser *parser)
{
    if (parser_is_operator(parser, ":") || parser_is_operator(parser, "]"))
        return parser_node(parser, NODE_ABSENT);
    return parser_expression(parser);
}

static struct node *subscript(struct parser *parser, struct node *object)
{
    struct node *node = parser_node(parser, NODE_ITEM);
    node->first = object;
    struct node *start = slice_bound(parser);
    if (parser_is_operator(parser, ":")) {
        parser_next(parser);
        node->kind = NODE_SLICE;
        node->list = start;
        start->next = slice_bound(parser);
        struct node *step = parser_take_operator(parser, ":") ? slice_bound(parser)
                                                              : parser_node(parser, NODE_ABSENT);
        start->next->next = step;
    } else if (start->kind == NODE_ABSENT) {
        parser_fail(parser, "an index is missing at", parser->at->text);
    }
    node->second = start;
    parser_expect_operator(parser, "]");
    return node;
}

static struct node *attribute(struct parser *parser, struct node *object)
{
    struct node *node;
    if (parser->at->kind == LEXER_INTEGER) {
        node = parser_node(parser, NODE_ITEM);
        node->second = number_literal(parser);
    } else {
        node = parser_node(parser, NODE_ATTRIBUTE);
        node->text = parser_expect_name(parser);
    }
    node->first = object;
    return node;
}

static struct node *called(struct parser *parser, struct node *callee)
{
    struct node *node = parser_node(parser, NODE_CALL);
    node->first = callee;
    node->list = call_arguments(parser);
    return node;
}

static struct node *postfix(struct parser *parser, struct node *node)
{
    while (!parser->status) {
        if (parser_take_operator(parser, "."))
            node = attribute(parser, node);
        else if (parser_take_operator(parser, "["))
            node = subscript(parser, node);
        else if (parser_take_operator(parser, "("))
            node = called(parser, node);
        else
            break;
    }
    return node;
}

static struct node *filter(struct parser *parser, struct node *input)
{
    struct node *node = parser_node(parser, NODE_FILTER);
    node->text = parser_expect_name(parser);
    node->first = input;
    if (parser_take_operator(parser, "("))
        node->list = call_arguments(parser);
    return node;
}

/* Can a test's argument without parentheses begin here? */
static bool argument_begins(const struct parser *parser)
{
    static const char *const words[] = {"else", "or", "and", "if", "in", "not", "is"};
    if (parser->at->kind == LEXER_NAME) {
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (parser_is_name(parser, words[i]))
                return false;
        return true;
    }
    return parser->at->kind == LEXER_STRING || parser->at->kind == LEXER_INTEGER ||
           parser->at->kind == LEXER_FLOAT || parser_is_operator(parser, "[") ||
           parser_is_operator(parser, "{");
}

static struct node *tested(struct parser *parser, struct node *input)
{
    bool negated = parser_take_name(parser, "not");
    struct node *node = parser_node(parser, NODE_TEST);
    node->text = parser_expect_name(parser);
    node->first = input;
    if (parser_take_operator(parser, "("))
        node->list = call_arguments(parser);
    else if (argument_begins(parser))
        node->list = postfix(parser, primary(parser));
    if (!negated)
        return node;
    struct node *negation = parser_node(parser, NODE_NOT);
    negation->first = node;
    return negation;
}

static struct node *filtered(struct parser *parser, struct node *node)
{
    while (!parser->status) {
        if (parser_take_operator(parser, "|"))
            node = filter(parser, node);
        else if (parser_take_name(parser, "is"))
            node = tested(parser, node);
        else if (parser_take_operator(parser, "("))
            node = called(parser, node);
        else
            break;
    }
    return node;
}

struct node *parser_filters(struct parser *parser)
{
    struct node *node = filter(parser, NULL);
    while (parser_take_operator(parser, "|"))
        node = filter(parser, node);
    return node;
}

/* ---- operators, those that bind closest first ---- */

static struct node *unary(struct parser *parser, bool with_filters)
{
    enum node_kind kind = NODE_ABSENT;
    struct node *node;
    if (!parser_enter(parser))
        return parser_node(parser, NODE_ABSENT);
    if (parser_take_operator(parser, "-"))
        kind = NODE_NEGATIVE;
    else if (parser_take_operator(parser, "+"))
        kind = NODE_POSITIVE;
    if (kind == NODE_ABSENT) {
        node = postfix(parser, primary(parser));
    } else {
        node = parser_node(parser, kind);
        node->first = unary(parser, false);
    }
    if (with_filters)
        node = filtered(parser, node);
    parser_leave(parser);
    return node;
}

struct operator_row {
    const char *text;
    enum operation operation;
};

/* Left-associative operators of one precedence. */
static struct node *binary(struct parser *parser, const struct operator_row *rows,
                           struct node *(*operand)(struct parser *))
{
    struct node *left = operand(parser);
    for (const struct operator_row *row = rows; row->text && !parser->status;) {
        if (!parser_take_operator(parser, row->text)) {
            row++;
            continue;
        }
        struct node *node = parser_node(parser, NODE_OPERATION);
        node->operation = row->operation;
        node->first = left;
        node->second = operand(parser);
        left = node;
        row = rows;
    }
    return left;
}

static struct node *signed_value(struct parser *parser)
{
    return unary(parser, true);
}

static struct node *power(struct parser *parser)
{
    static const struct operator_row rows[] = {{"**", OPERATION_POWER}, {0}};
    return binary(parser, rows, signed_value);
}

static struct node *product(struct parser *parser)
{
    static const struct operator_row rows[] = {{"*", OPERATION_MULTIPLY},
                                               {"/", OPERATION_DIVIDE},
                                               {"//", OPERATION_FLOOR},
                                               {"%", OPERATION_MODULO},
                                               {0}};
    return binary(parser, rows, power);
}

static struct node *concatenation(struct parser *parser)
{
    struct node *first = product(parser);
    if (!parser_is_operator(parser, "~"))
        return first;
    struct node *node = parser_node(parser, NODE_CONCAT);
    node->list = first;
    for (struct node *last = first; parser_take_operator(parser, "~"); last = last->next)
        last->next = product(parser);
    return node;
}

static struct node *sum(struct parser *parser)
{
    static const struct operator_row rows[] = {
        {"+", OPERATION_ADD}, {"-", OPERATION_SUBTRACT}, {0}};
    return binary(parser, rows, concatenation);
}

/* Take a comparison, if one is here. */
static bool take_comparison(struct parser *parser, enum operation *out)
{
    static const struct operator_row rows[] = {
        {"==", OPERATION_EQUAL},         {"!=", OPERATION_UNEQUAL}, {"<=", OPERATION_LESS_EQUAL},
        {">=", OPERATION_GREATER_EQUAL}, {"<", OPERATION_LESS},     {">", OPERATION_GREATER}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (parser_take_operator(parser, rows[i].text)) {
            *out = rows[i].operation;
            return true;
        }
    }
    *out = OPERATION_IN;
    if (parser_take_name(parser, "in"))
        return true;
    if (!parser_is_name(parser, "not") || parser->at[1].kind != LEXER_NAME ||
        !text_is(parser->at[1].text, "in"))
        return false;
    *out = OPERATION_NOT_IN;
    parser_next(parser);
    parser_next(parser);
    return true;
}

static struct node *comparison(struct parser *parser)
{
    struct node *first = sum(parser), *node = NULL, **link = NULL;
    enum operation operation;
    while (take_comparison(parser, &operation)) {
        if (!node) {
            node = parser_node(parser, NODE_COMPARE);
            node->first = first;
            link = &node->list;
        }
        struct node *operand = parser_node(parser, NODE_OPERAND);
        operand->operation = operation;
        operand->first = sum(parser);
        *link = operand;
        link = &operand->next;
    }
    return node ? node : first;
}

static struct node *negation(struct parser *parser)
{
    if (!parser_is_name(parser, "not"))
        return comparison(parser);
    if (!parser_enter(parser))
        return parser_node(parser, NODE_ABSENT);
    struct node *node = parser_node(parser, NODE_NOT);
    parser_next(parser);
    node->first = negation(parser);
    parser_leave(parser);
    return node;
}

static struct node *conjunction(struct parser *parser)
{
    struct node *left = negation(parser);
    while (parser_take_name(parser, "and")) {
        struct node *node = parser_node(parser, NODE_AND);
        node->first = left;
        node->second = negation(parser);
        left = node;
    }
    return left;
}

static struct node *disjunction(struct parser *parser)
{
    struct node *left = conjunction(parser);
    while (parser_take_name(parser, "or")) {
        struct node *node = parser_node(parser, NODE_OR);
        node->first = left;
        node->second = conjunction(parser);
        left = node;
    }
    return left;
}

struct node *parser_expression(struct parser *parser)
{
    if (!parser_enter(parser))
        return parser_node(parser, NODE_ABSENT);
    struct node *value = disjunction(parser);
    while (parser_take_name(parser, "if")) {
        struct node *node = parser_node(parser, NODE_CONDITION);
        node->first = disjunction(parser);
        node->second = value;
        if (parser_take_name(parser, "else"))
            node->third = parser_expression(parser);
        value = node;
    }
    parser_leave(parser);
    return value;
}

/* ---- tuples, targets ---- */

static bool ends_tuple(const struct parser *parser)
{
    return parser->at->kind == LEXER_VARIABLE_END || parser->at->kind == LEXER_BLOCK_END ||
           parser_is_operator(parser, ")") || parser_is_operator(parser, "=") ||
           parser->at->kind == LEXER_END;
}

struct node *parser_tuple(struct parser *parser, bool with_conditions)
{
    struct node *(*item)(struct parser *) = with_conditions ? parser_expression : disjunction;
    struct node *first = item(parser), *last = first;
    if (!parser_is_operator(parser, ","))
        return first;
    struct node *tuple = parser_node(parser, NODE_TUPLE);
    tuple->list = first;
    while (parser_take_operator(parser, ",") && !ends_tuple(parser)) {
        last->next = item(parser);
        last = last->next;
    }
    return tuple;
}

static struct node *target_name(struct parser *parser, bool with_namespace)
{
    struct node *node = parser_node(parser, NODE_NAME);
    if (parser_take_operator(parser, "(")) {
        node = parser_target(parser, with_namespace);
        parser_expect_operator(parser, ")");
        return node;
    }
    node->text = parser_expect_name(parser);
    if (with_namespace && parser_take_operator(parser, ".")) {
        struct node *attribute_node = parser_node(parser, NODE_ATTRIBUTE);
        attribute_node->first = node;
        attribute_node->text = parser_expect_name(parser);
        return attribute_node;
    }
    return node;
}

struct node *parser_target(struct parser *parser, bool with_namespace)
{
    if (!parser_enter(parser))
        return parser_node(parser, NODE_ABSENT);
    struct node *first = target_name(parser, with_namespace), *last = first;
    if (parser_is_operator(parser, ",")) {
        struct node *tuple = parser_node(parser, NODE_TUPLE);
        tuple->list = first;
        while (parser_take_operator(parser, ",") && !ends_tuple(parser) &&
               !parser_is_name(parser, "in")) {
            last->next = target_name(parser, with_namespace);
            last = last->next;
        }
        first = tuple;
    }
    parser_leave(parser);
    return first;
}
