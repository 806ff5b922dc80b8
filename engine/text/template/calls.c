/* calls.c - arguments, and the calling of macros; see render.h. */
#include "text/template/render.h"

#include <errno.h>

struct arguments calls_arguments(struct render *render, const struct node *list)
{
    struct arguments arguments = {0};
    size_t count = 0;
    for (const struct node *at = list; at; at = at->next)
        count++;
    if (count == 0)
        return arguments;
    arguments.values = render_allocate(render, count, sizeof *arguments.values);
    arguments.names = render_allocate(render, count, sizeof *arguments.names);
    if (!arguments.values || !arguments.names)
        return (struct arguments){0};
    for (const struct node *at = list; at && !render->status; at = at->next) {
        bool named = at->kind == NODE_KEYWORD;
        arguments.values[arguments.count] = expressions_evaluate(render, named ? at->first : at);
        arguments.names[arguments.count++] = named ? at->text : (struct text){0};
        arguments.positional += !named;
    }
    return arguments;
}

struct value calls_argument(const struct arguments *arguments, size_t index, const char *name,
                            struct value otherwise)
{
    if (index < arguments->positional)
        return arguments->values[index];
    for (size_t i = arguments->positional; i < arguments->count; i++)
        if (text_is(arguments->names[i], name))
            return arguments->values[i];
    return otherwise;
}

bool calls_check(struct render *render, const struct arguments *arguments, struct text what,
                 size_t min, size_t max)
{
    if (arguments->count < min || arguments->count > max)
        render_fail(render, ENOEXEC, "%zu arguments for \"%.*s\"", arguments->count,
                    TEXT_ARGUMENTS(what));
    return render->status == 0;
}

/* ---- macros ---- */

/* The argument for a parameter by name; which arguments were taken is noted. */
static bool named_argument(const struct arguments *arguments, struct text name, size_t *taken,
                           struct value *out)
{
    for (size_t i = arguments->positional; i < arguments->count; i++) {
        if (text_equals(arguments->names[i], name)) {
            *out = arguments->values[i];
            ++*taken;
            return true;
        }
    }
    return false;
}

/* Parameters, then defaults where nothing was given: they see those before them. */
static void bind_parameters(struct render *render, const struct node *node, struct scope *scope,
                            const struct arguments *arguments)
{
    size_t index = 0, taken = 0;
    struct value value;
    for (const struct node *at = node->parameters; at && !render->status; at = at->next) {
        bool given = index < arguments->positional;
        if (given)
            value = arguments->values[index++];
        else
            given = named_argument(arguments, at->text, &taken, &value);
        if (!given)
            value =
                at->first ? expressions_evaluate(render, at->first) : value_undefined(&at->text);
        scope_set(render, scope, at->text, value);
    }
    if (named_argument(arguments, text_of("caller"), &taken, &value))
        scope_set(render, scope, text_of("caller"), value);
    if (index < arguments->positional || taken < arguments->count - arguments->positional)
        render_fail(render, ENOEXEC, "an argument too many for macro \"%.*s\"",
                    TEXT_ARGUMENTS(node->text));
}

static struct value call_macro(struct render *render, const struct macro *macro,
                               const struct arguments *arguments)
{
    struct scope *outside = render->scope;
    uint32_t line = render->line;
    render->scope = scope_open(render, macro->scope);
    bind_parameters(render, macro->node, render->scope, arguments);
    struct rope *written = statements_capture(render, macro->node->list);
    struct scope *inside = render->scope;
    render->scope = outside;
    scope_close(render, inside);
    if (!render->status)
        render->line = line;
    return value_string(written);
}

struct value calls_run(struct render *render, struct value callee,
                       const struct arguments *arguments)
{
    struct text name = text_of("what is called");
    if (callee.kind == VALUE_MACRO)
        return call_macro(render, callee.macro, arguments);
    if (callee.kind == VALUE_METHOD)
        return method_call(render, callee.method, arguments);
    if (callee.kind == VALUE_GLOBAL)
        return global_call(render, callee.global, arguments);
    if (callee.kind == VALUE_UNDEFINED) {
        if (callee.name)
            name = *callee.name;
        return render_fail(render, ENOEXEC, "\"%.*s\" is undefined", TEXT_ARGUMENTS(name));
    }
    return render_fail(render, ENOEXEC, "%s can't be called", value_type_name(callee));
}
