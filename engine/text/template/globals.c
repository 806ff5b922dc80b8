/* globals.c - the functions that every template has; see render.h. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>
#include <stdlib.h>

struct global {
    const char *name;
    struct value (*call)(struct render *render, const struct arguments *arguments);
};

static struct value call_raise(struct render *render, const struct arguments *arguments)
{
    struct text text = rope_text(
        render, print_string(render, calls_argument(arguments, 0, "message", value_none())));
    if (!render->status)
        render->status = error_set(render->error, EINVAL, "%.*s", TEXT_ARGUMENTS(text));
    return value_undefined(NULL);
}

static struct value call_range(struct render *render, const struct arguments *arguments)
{
    int64_t bounds[3] = {0, 0, 1};
    if (!calls_check(render, arguments, text_of("range"), 1, 3))
        return value_undefined(NULL);
    for (size_t i = 0; i < arguments->count; i++) {
        if (!value_is_whole(arguments->values[i]))
            return render_fail(render, ENOEXEC, "range() of %s",
                               value_type_name(arguments->values[i]));
        bounds[arguments->count == 1 ? 1 : i] = value_whole(arguments->values[i]);
    }
    int64_t at = bounds[0], step = bounds[2];
    if (step == 0)
        return render_fail(render, ENOEXEC, "range() with step 0");
    struct list *list = list_new(render, LIST_RANGE, 0);
    while ((step > 0 ? at < bounds[1] : at > bounds[1]) && !render->status) {
        if (list->count == TEMPLATE_RANGE_MAX)
            return render_fail(render, ENOEXEC, "range() of more than %d", TEMPLATE_RANGE_MAX);
        list_append(render, list, value_integer(at));
        if (__builtin_add_overflow(at, step, &at))
            break;
    }
    return list_value(list);
}

/* A dict of pairs or another dict, then names. */
static struct dict *dict_of(struct render *render, const struct arguments *arguments)
{
    struct dict *dict = dict_new(render);
    if (arguments->positional && arguments->values[0].kind == VALUE_DICT) {
        const struct dict *source = arguments->values[0].dict;
        for (size_t i = 0; i < source->count && !render->status; i++)
            dict_set(render, dict, source->keys[i], source->values[i]);
    } else if (arguments->positional) {
        const struct list *pairs = list_items_of(render, arguments->values[0]);
        for (size_t i = 0; i < pairs->count && !render->status; i++) {
            const struct list *pair = list_items_of(render, pairs->items[i]);
            if (pair->count != 2)
                render_fail(render, ENOEXEC, "dict() of what is no pair");
            else
                dict_set(render, dict, pair->items[0], pair->items[1]);
        }
    }
    for (size_t i = arguments->positional; i < arguments->count; i++)
        dict_set(render, dict, value_string(rope_of(render, arguments->names[i], ROPE_TEMPLATE)),
                 arguments->values[i]);
    return dict;
}

static struct value call_dict(struct render *render, const struct arguments *arguments)
{
    return (struct value){.kind = VALUE_DICT, .dict = dict_of(render, arguments)};
}

static struct value call_namespace(struct render *render, const struct arguments *arguments)
{
    struct dict *dict = dict_of(render, arguments);
    for (size_t i = 0; i < dict->count; i++) {
        struct value key = dict->keys[i];
        if (key.kind == VALUE_STRING && key.string->length &&
            rope_text(render, key.string).bytes[0] == '_')
            render_fail(render, ENOEXEC, "an attribute of a namespace begins with \"_\"");
    }
    return (struct value){.kind = VALUE_NAMESPACE, .dict = dict};
}

static struct value call_strftime(struct render *render, const struct arguments *arguments)
{
    char format[256], out[1024];
    struct value given = calls_argument(arguments, 0, "format", value_none());
    if (given.kind != VALUE_STRING)
        return render_fail(render, ENOEXEC, "strftime_now() of %s", value_type_name(given));
    struct text text = rope_text(render, given.string);
    if (text.length >= sizeof format || (text.length && memchr(text.bytes, 0, text.length)))
        return render_fail(render, ENOEXEC, "strftime_now() of a format that is too long");
    if (text.length)
        memcpy(format, text.bytes, text.length);
    format[text.length] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* it reads nothing but a struct tm */
    size_t length = strftime(out, sizeof out, format, &render->inputs->now);
#pragma GCC diagnostic pop
    bool trusted = given.string->origin == ROPE_TEMPLATE;
    return value_string(
        rope_copy(render, (struct text){out, length}, trusted ? ROPE_TEMPLATE : ROPE_USER));
}

static const struct global globals[] = {
    {"raise_exception", call_raise}, {"range", call_range},           {"dict", call_dict},
    {"namespace", call_namespace},   {"strftime_now", call_strftime},
};

const struct global *global_find(struct text name)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (text_is(name, globals[i].name))
            return &globals[i];
    return NULL;
}

struct value global_call(struct render *render, const struct global *global,
                         const struct arguments *arguments)
{
    return global->call(render, arguments);
}
