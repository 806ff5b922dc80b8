/* node.h - the tree of a template.
 *
 * Owns:     nothing: nodes live in the template's arena.
 * Threads:  read-only after compiling.
 */
#ifndef TEXT_TEMPLATE_NODE_H
#define TEXT_TEMPLATE_NODE_H

#include "text/template/value.h"

enum node_kind {
    /* expressions */
    NODE_CONSTANT,  /* constant */
    NODE_NAME,      /* text */
    NODE_LIST,      /* list: items */
    NODE_TUPLE,     /* list: items */
    NODE_DICT,      /* list: key, value, key, value ... */
    NODE_ATTRIBUTE, /* first.text */
    NODE_ITEM,      /* first[second] */
    NODE_SLICE,     /* first[list], NODE_ABSENT for a bound that is not given */
    NODE_ABSENT,
    NODE_CALL,      /* first(list) */
    NODE_KEYWORD,   /* text=first, in the list of a call */
    NODE_FILTER,    /* first|text(list); first NULL: what the block has rendered */
    NODE_TEST,      /* first is text(list) */
    NODE_OPERATION, /* first operation second */
    NODE_CONCAT,    /* list: a ~ b ~ c */
    NODE_COMPARE,   /* first, then list of NODE_OPERAND */
    NODE_OPERAND,   /* operation first */
    NODE_AND,
    NODE_OR,
    NODE_NOT,       /* first */
    NODE_NEGATIVE,  /* -first */
    NODE_POSITIVE,  /* +first */
    NODE_CONDITION, /* second if first else third; third NULL: undefined */

    /* statements */
    NODE_DATA,         /* constant */
    NODE_OUTPUT,       /* first */
    NODE_IF,           /* first; list; third: elif, a NODE_IF; otherwise: else, of the last */
    NODE_FOR,          /* first (target) in second if third; list; otherwise */
    NODE_SET,          /* first (target) = second */
    NODE_SET_BLOCK,    /* first (target), second: filters or NULL; list */
    NODE_MACRO,        /* text, parameters; list */
    NODE_PARAMETER,    /* text, first: default or NULL */
    NODE_CALL_BLOCK,   /* first (call), parameters; list */
    NODE_FILTER_BLOCK, /* first (filters); list */
    NODE_WITH,         /* parameters; list */
    NODE_SCOPE,        /* list: a generation block */
    NODE_BREAK,
    NODE_CONTINUE,
};

enum operation {
    OPERATION_ADD,
    OPERATION_SUBTRACT,
    OPERATION_MULTIPLY,
    OPERATION_DIVIDE,
    OPERATION_FLOOR,
    OPERATION_MODULO,
    OPERATION_POWER,
    OPERATION_EQUAL,
    OPERATION_UNEQUAL,
    OPERATION_LESS,
    OPERATION_LESS_EQUAL,
    OPERATION_GREATER,
    OPERATION_GREATER_EQUAL,
    OPERATION_IN,
    OPERATION_NOT_IN,
};

struct node {
    enum node_kind kind;
    enum operation operation;
    uint32_t line;
    struct text text;
    struct value constant;
    struct node *first, *second, *third;
    struct node *list, *otherwise, *parameters;
    struct node *next; /* in the list that it is an item of */
};

#endif
