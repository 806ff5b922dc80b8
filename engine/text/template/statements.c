/* statements.c - statements and scopes; see render.h.
 *
 * A name is looked for in the scope it is used in, then in those around it; `set` writes to the
 * innermost.  A scope is opened by a loop's every round, a macro, a block that is captured, and
 * `with`; not by `if`. */
#include "text/template/render.h"

#include <errno.h>

/* ---- scopes ---- */

struct scope *scope_open(struct render *render, struct scope *parent)
{
    static struct scope nothing; /* never written: scope_set() allocates first */
    struct scope *scope = render->spare_scopes;
    if (render->status)
        return &nothing;
    if (scope)
        render->spare_scopes = scope->parent;
    else
        scope = render_allocate(render, 1, sizeof *scope);
    if (!scope)
        return &nothing;
    *scope = (struct scope){.parent = parent};
    return scope;
}

void scope_close(struct render *render, struct scope *scope)
{
    if (scope->is_kept || render->status)
        return;
    while (scope->bindings) {
        struct binding *binding = scope->bindings;
        scope->bindings = binding->next;
        binding->next = render->spare_bindings;
        render->spare_bindings = binding;
    }
    scope->parent = render->spare_scopes;
    render->spare_scopes = scope;
}

/* A macro is defined here: it sees this scope and those around it. */
static void keep_scopes(struct scope *scope)
{
    for (; scope && !scope->is_kept; scope = scope->parent)
        scope->is_kept = true;
}

static struct binding *new_binding(struct render *render)
{
    struct binding *binding = render->status ? NULL : render->spare_bindings;
    if (!binding)
        return render_allocate(render, 1, sizeof *binding);
    render->spare_bindings = binding->next;
    return binding;
}

static struct binding *find(struct render *render, const struct scope *scope, struct text name)
{
    enum { FREE = 16 }; /* a long list costs */
    size_t looked_at = 0;
    for (struct binding *at = scope->bindings; at; at = at->next) {
        if (++looked_at % FREE == 0 && !render_step(render, 1))
            break;
        if (text_equals(at->name, name))
            return at;
    }
    return NULL;
}

void scope_set(struct render *render, struct scope *scope, struct text name, struct value value)
{
    struct binding *found = find(render, scope, name);
    if (found) {
        found->value = value;
        return;
    }
    struct binding *binding = new_binding(render);
    if (!binding)
        return;
    *binding = (struct binding){name, value, scope->bindings};
    scope->bindings = binding;
}

bool scope_find(struct render *render, const struct scope *scope, struct text name,
                struct value *out)
{
    for (; scope; scope = scope->parent) {
        const struct binding *found = find(render, scope, name);
        if (found) {
            *out = found->value;
            return true;
        }
        if (!render_step(render, 1))
            break;
    }
    return false;
}

/* ---- assignment ---- */

static void assign(struct render *render, const struct node *target, struct value value);

static void unpack(struct render *render, const struct node *target, struct value value)
{
    const struct list *items = list_items_of(render, value);
    size_t count = 0;
    for (const struct node *at = target->list; at; at = at->next)
        count++;
    if (count != items->count)
        render_fail(render, ENOEXEC, "%zu values for %zu names", items->count, count);
    size_t i = 0;
    for (const struct node *at = target->list; at && !render->status; at = at->next)
        assign(render, at, items->items[i++]);
}

static void assign_attribute(struct render *render, const struct node *target, struct value value)
{
    struct value object = expressions_evaluate(render, target->first);
    if (object.kind != VALUE_NAMESPACE) {
        render_fail(render, ENOEXEC, "\"%.*s\" is no namespace: it has no attributes to set",
                    TEXT_ARGUMENTS(target->first->text));
        return;
    }
    if (target->text.bytes[0] == '_')
        render_fail(render, ENOEXEC, "an attribute of a namespace begins with \"_\"");
    dict_set(render, object.dict, value_string(rope_of(render, target->text, ROPE_TEMPLATE)),
             value);
}

static void assign(struct render *render, const struct node *target, struct value value)
{
    if (target->kind == NODE_NAME)
        scope_set(render, render->scope, target->text, value);
    else if (target->kind == NODE_ATTRIBUTE)
        assign_attribute(render, target, value);
    else
        unpack(render, target, value);
}

/* ---- what a statement writes ---- */

static void write_string(struct render *render, struct rope *string)
{
    render->output = rope_join(render, render->output, string);
}

struct rope *statements_capture(struct render *render, const struct node *list)
{
    struct rope *outside = render->output;
    render->output = rope_of(render, (struct text){0}, ROPE_TEMPLATE);
    statements_run(render, list);
    struct rope *written = render->output;
    render->output = outside;
    return written;
}

/* Back to the scope outside of the one in hand. */
static void leave_scope(struct render *render, struct scope *outside)
{
    struct scope *inside = render->scope;
    render->scope = outside;
    scope_close(render, inside);
}

static struct rope *capture_in_scope(struct render *render, const struct node *list)
{
    struct scope *outside = render->scope;
    render->scope = scope_open(render, outside);
    struct rope *written = statements_capture(render, list);
    leave_scope(render, outside);
    return written;
}

static struct value filtered(struct render *render, const struct node *filters,
                             struct rope *written)
{
    if (!filters)
        return value_string(written);
    render->filter_input = value_string(written);
    return expressions_evaluate(render, filters);
}

/* ---- loops ---- */

/* The items for which the loop's condition holds. */
static struct list *chosen_items(struct render *render, const struct node *node, struct list *items)
{
    struct scope *outside = render->scope;
    struct list *chosen = list_new(render, LIST_PLAIN, 0);
    for (size_t i = 0; i < items->count && !render->status; i++) {
        render->scope = scope_open(render, outside);
        assign(render, node->first, items->items[i]);
        if (value_is_true(expressions_evaluate(render, node->third)))
            list_append(render, chosen, items->items[i]);
        leave_scope(render, outside);
    }
    return chosen;
}

static void run_rounds(struct render *render, const struct node *node, struct list *items)
{
    struct scope *outside = render->scope;
    struct loop *loop = render_allocate(render, 1, sizeof *loop);
    struct value loop_value = {.kind = VALUE_LOOP, .loop = loop};
    for (size_t i = 0; i < items->count && render_step(render, 1); i++) {
        *loop = (struct loop){items, i, loop->changed};
        render->scope = scope_open(render, outside);
        scope_set(render, render->scope, text_of("loop"), loop_value);
        assign(render, node->first, items->items[i]);
        statements_run(render, node->list);
        enum flow flow = render->flow;
        render->flow = FLOW_ON;
        leave_scope(render, outside);
        if (flow == FLOW_BREAK)
            break;
    }
}

static void run_for(struct render *render, const struct node *node)
{
    struct list *items = list_items_of(render, expressions_evaluate(render, node->second));
    struct scope *outside = render->scope;
    if (node->third)
        items = chosen_items(render, node, items);
    if (items->count) {
        run_rounds(render, node, items);
        return;
    }
    render->scope = scope_open(render, outside);
    statements_run(render, node->otherwise);
    leave_scope(render, outside);
}

/* ---- the rest ---- */

static void run_if(struct render *render, const struct node *node)
{
    for (; node; node = node->third) {
        bool holds = value_is_true(expressions_evaluate(render, node->first));
        if (holds || !node->third) {
            statements_run(render, holds ? node->list : node->otherwise);
            return;
        }
    }
}

static void define_macro(struct render *render, const struct node *node)
{
    struct macro *macro = render_allocate(render, 1, sizeof *macro);
    if (!macro)
        return;
    *macro = (struct macro){node, render->scope};
    keep_scopes(render->scope);
    scope_set(render, render->scope, node->text,
              (struct value){.kind = VALUE_MACRO, .macro = macro});
}

/* The call's arguments, and `caller`, which renders the block. */
static void run_call_block(struct render *render, const struct node *node)
{
    struct macro *caller = render_allocate(render, 1, sizeof *caller);
    struct value callee = expressions_evaluate(render, node->first->first);
    struct arguments arguments = calls_arguments(render, node->first->list);
    size_t count = arguments.count + 1;
    struct value *values = render_allocate(render, count, sizeof *values);
    struct text *names = render_allocate(render, count, sizeof *names);
    if (!caller || !values || !names)
        return;
    *caller = (struct macro){node, render->scope};
    keep_scopes(render->scope);
    for (size_t i = 0; i < arguments.count; i++) {
        values[i] = arguments.values[i];
        names[i] = arguments.names[i];
    }
    values[count - 1] = (struct value){.kind = VALUE_MACRO, .macro = caller};
    names[count - 1] = text_of("caller");
    arguments = (struct arguments){values, names, count, arguments.positional};
    write_string(render, print_string(render, calls_run(render, callee, &arguments)));
}

static void run_with(struct render *render, const struct node *node)
{
    struct scope *outside = render->scope, *inside = scope_open(render, outside);
    for (const struct node *at = node->parameters; at; at = at->next)
        scope_set(render, inside, at->text, expressions_evaluate(render, at->first));
    render->scope = inside;
    statements_run(render, node->list);
    leave_scope(render, outside);
}

static void run(struct render *render, const struct node *node)
{
    switch ((int)node->kind) {
    case NODE_DATA:
        write_string(render, node->constant.string);
        break;
    case NODE_OUTPUT:
        write_string(render, print_string(render, expressions_evaluate(render, node->first)));
        break;
    case NODE_IF:
        run_if(render, node);
        break;
    case NODE_FOR:
        run_for(render, node);
        break;
    case NODE_SET:
        assign(render, node->first, expressions_evaluate(render, node->second));
        break;
    case NODE_SET_BLOCK:
        assign(render, node->first,
               filtered(render, node->second, capture_in_scope(render, node->list)));
        break;
    case NODE_MACRO:
        define_macro(render, node);
        break;
    case NODE_CALL_BLOCK:
        run_call_block(render, node);
        break;
    case NODE_FILTER_BLOCK:
        write_string(render, print_string(render, filtered(render, node->first,
                                                           capture_in_scope(render, node->list))));
        break;
    case NODE_WITH:
        run_with(render, node);
        break;
    case NODE_SCOPE:
        write_string(render, capture_in_scope(render, node->list));
        break;
    default:
        render->flow = node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        break;
    }
}

void statements_run(struct render *render, const struct node *list)
{
    if (!list || !render_enter(render))
        return;
    for (const struct node *node = list; node && render->flow == FLOW_ON; node = node->next) {
        render->line = node->line;
        if (!render_step(render, 1))
            break;
        run(render, node);
    }
    render_leave(render);
}
