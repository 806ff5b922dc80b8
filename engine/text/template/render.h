/* render.h - one rendering: its memory, its budget, its first error.
 *
 * Failing is sticky: the first error is kept, everything after it is quick and harmless, and who
 * loops looks at `status`.  So values can be returned as values, and no caller has to ask each
 * time.
 *
 *   statements.c   statements, scopes        filters.c lists.c tests.c methods.c globals.c
 *   expressions.c  expressions               print.c json.c format.c    values as text
 *   calls.c        arguments, macros         operators.c                arithmetic, comparison
 */
#ifndef TEXT_TEMPLATE_RENDER_H
#define TEXT_TEMPLATE_RENDER_H

#include "text/template.h"
#include "text/template/arena.h"
#include "text/template/node.h"
#include "text/template/value.h"

struct binding {
    struct text name;
    struct value value;
    struct binding *next;
};

struct scope {
    struct scope *parent;
    struct binding *bindings;
    bool is_kept; /* a macro may look into it later */
};

struct loop {
    struct list *items;
    size_t index; /* of the item in hand */
    struct value changed;
};

struct macro {
    const struct node *node; /* NODE_MACRO, or the NODE_CALL_BLOCK that caller() renders */
    struct scope *scope;     /* where it was defined: it sees what is there when it is called */
};

struct method {
    struct value self;
    struct text name;
};

/* The arguments of a call; names[i] is empty for a positional one, and those come first. */
struct arguments {
    struct value *values;
    struct text *names;
    size_t count, positional;
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct render {
    struct arena arena;
    struct template_limits limits;
    const struct template_inputs *inputs;
    uint64_t steps;
    int nesting;
    uint32_t line;
    int status; /* 0, or the first failure */
    struct error *error;

    struct scope *scope, *spare_scopes; /* spare: closed, linked by `parent` */
    struct binding *spare_bindings;
    struct rope *output;
    struct value filter_input; /* what a filter block has rendered */
    enum flow flow;
};

/* Note the first failure, with the line.  Returns an undefined value, to be returned. */
struct value render_fail(struct render *render, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Zeroed memory of this rendering; NULL after a failure. */
void *render_allocate(struct render *render, size_t count, size_t size);

/* Take steps from the budget; work: as many as `bytes` of text (or as many items) cost.  False
 * after a failure. */
bool render_step(struct render *render, uint64_t steps);
bool render_work(struct render *render, size_t bytes);

/* Enter and leave what may contain itself: false when that is too deep. */
bool render_enter(struct render *render);
void render_leave(struct render *render);

/* ---- statements.c ---- */

void statements_run(struct render *render, const struct node *list);

/* What they write, as a string. */
struct rope *statements_capture(struct render *render, const struct node *list);

/* Closing gives the memory to those that are opened later: a loop of any length needs one scope. */
struct scope *scope_open(struct render *render, struct scope *parent);
void scope_close(struct render *render, struct scope *scope);
void scope_set(struct render *render, struct scope *scope, struct text name, struct value value);
bool scope_find(struct render *render, const struct scope *scope, struct text name,
                struct value *out);

/* ---- expressions.c ---- */

struct value expressions_evaluate(struct render *render, const struct node *node);

/* object.name and object[key], undefined when there is none. */
struct value expressions_attribute(struct render *render, struct value object, struct text name);
struct value expressions_item(struct render *render, struct value object, struct value key);

/* ---- calls.c ---- */

struct value calls_run(struct render *render, struct value callee,
                       const struct arguments *arguments);
struct arguments calls_arguments(struct render *render, const struct node *list);

/* Argument number `index`, or the one of this name, or `otherwise`. */
struct value calls_argument(const struct arguments *arguments, size_t index, const char *name,
                            struct value otherwise);

/* Fails for fewer than `min` or more than `max` arguments; `what` is called. */
bool calls_check(struct render *render, const struct arguments *arguments, struct text what,
                 size_t min, size_t max);

/* ---- the library ---- */

/* Filters and tests by name; unknown ones fail. */
struct value filter_apply(struct render *render, struct text name, struct value input,
                          const struct arguments *arguments);
bool test_apply(struct render *render, struct text name, struct value input,
                const struct arguments *arguments);

/* Filters of sequences (lists.c); false for a name that is none of them. */
bool lists_apply_filter(struct render *render, struct text name, struct value input,
                        const struct arguments *arguments, struct value *out);

struct value method_call(struct render *render, const struct method *method,
                         const struct arguments *arguments);
bool method_exists(struct value self, struct text name);

const struct global *global_find(struct text name);
struct value global_call(struct render *render, const struct global *global,
                         const struct arguments *arguments);

/* ---- operators.c ---- */

struct value operators_apply(struct render *render, enum operation operation, struct value left,
                             struct value right);
bool operators_compare(struct render *render, enum operation operation, struct value left,
                       struct value right);
bool operators_equal(struct render *render, struct value left, struct value right);

/* -1, 0, 1; fails for values that have no order. */
int operators_order(struct render *render, struct value left, struct value right);
bool operators_contain(struct render *render, struct value haystack, struct value needle);
struct value operators_negate(struct render *render, struct value value);

/* ---- values (collections.c, print.c, json.c, format.c) ---- */

bool value_is_true(struct value value);
const char *value_type_name(struct value value);

struct list *list_new(struct render *render, enum list_kind kind, size_t capacity);
void list_append(struct render *render, struct list *list, struct value item);
struct value list_value(struct list *list);
struct value list_pair(struct render *render, struct value first, struct value second);

/* The items of what can be iterated; fails for the rest. */
struct list *list_items_of(struct render *render, struct value value);
bool value_is_iterable(struct value value);

/* len(); fails for what has none. */
int64_t value_length(struct render *render, struct value value);

struct dict *dict_new(struct render *render);
void dict_set(struct render *render, struct dict *dict, struct value key, struct value value);
struct value *dict_find(struct render *render, const struct dict *dict, struct value key);
struct value *dict_find_text(struct render *render, const struct dict *dict, struct text key);

/* str() and repr(). */
struct rope *print_string(struct render *render, struct value value);
struct rope *print_repr(struct render *render, struct value value);
void print_float(double real, char out[40]);

/* A string between quotes, untrusted.  escape() writes what stands for a character, or "" for the
 * character itself. */
enum { PRINT_ESCAPE_BYTES = 16 };
typedef void print_escape(uint32_t character, char quote, char out[PRINT_ESCAPE_BYTES]);
struct rope *print_quoted(struct render *render, struct rope *string, char quote,
                          print_escape *escape);

/* json.dumps(); `indent` below 0: on one line. */
struct json_style {
    bool ascii, sorted;
    struct text indent; /* of one level */
    bool lines;
    struct text item_separator, key_separator;
};
struct rope *json_print(struct render *render, struct value value, const struct json_style *style);

/* "..." % values, "...".format(...). */
struct value format_percent(struct render *render, struct rope *format, struct value values);
struct value format_braces(struct render *render, struct rope *format,
                           const struct arguments *arguments);

#endif
