/* expressions.c - the value of an expression; see render.h. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>

/* ---- attributes and items ---- */

static struct value loop_attribute(struct render *render, struct loop *loop,
                                   const struct text *name)
{
    int64_t index = (int64_t)loop->index, count = (int64_t)loop->items->count;
    const struct {
        const char *name;
        struct value value;
    } rows[] = {
        {"index", value_integer(index + 1)},
        {"index0", value_integer(index)},
        {"first", value_bool(index == 0)},
        {"last", value_bool(index == count - 1)},
        {"length", value_integer(count)},
        {"revindex", value_integer(count - index)},
        {"revindex0", value_integer(count - index - 1)},
        {"previtem", index > 0 ? loop->items->items[index - 1] : value_undefined(name)},
        {"nextitem", index + 1 < count ? loop->items->items[index + 1] : value_undefined(name)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (text_is(*name, rows[i].name))
            return rows[i].value;
    if (!text_is(*name, "cycle") && !text_is(*name, "changed"))
        return value_undefined(name);
    struct method *method = render_allocate(render, 1, sizeof *method);
    if (!method)
        return value_undefined(name);
    *method = (struct method){{.kind = VALUE_LOOP, .loop = loop}, *name};
    return (struct value){.kind = VALUE_METHOD, .method = method};
}

static struct value undefined_attribute(struct render *render, struct value object,
                                        struct text name)
{
    struct text missing = object.name ? *object.name : text_of("the value");
    return render_fail(render, ENOEXEC, "\"%.*s\" is undefined, so it has no \"%.*s\"",
                       missing.length > 60 ? 60 : (int)missing.length, missing.bytes,
                       name.length > 60 ? 60 : (int)name.length, name.bytes);
}

/* A copy of a name that lives as long as the rendering. */
static const struct text *name_of(struct render *render, struct text name)
{
    struct text *copy = render_allocate(render, 1, sizeof *copy);
    if (copy)
        *copy = name;
    return copy;
}

/* What Python's getattr() finds. */
static struct value own_attribute(struct render *render, struct value object, struct text name)
{
    if (object.kind == VALUE_LOOP) {
        const struct text *copy = name_of(render, name);
        return copy ? loop_attribute(render, object.loop, copy) : value_undefined(NULL);
    }
    if (object.kind == VALUE_NAMESPACE) {
        const struct value *found = dict_find_text(render, object.dict, name);
        return found ? *found : value_undefined(name_of(render, name));
    }
    struct method *method =
        method_exists(object, name) ? render_allocate(render, 1, sizeof *method) : NULL;
    if (!method)
        return value_undefined(name_of(render, name));
    *method = (struct method){object, name};
    return (struct value){.kind = VALUE_METHOD, .method = method};
}

struct value expressions_attribute(struct render *render, struct value object, struct text name)
{
    if (object.kind == VALUE_UNDEFINED)
        return undefined_attribute(render, object, name);
    struct value value = own_attribute(render, object, name);
    if (value.kind != VALUE_UNDEFINED || object.kind != VALUE_DICT)
        return value;
    const struct value *found = dict_find_text(render, object.dict, name);
    return found ? *found : value;
}

static struct value character_at(struct render *render, struct rope *string, int64_t index)
{
    struct text text = rope_text(render, string);
    int64_t count = value_length(render, value_string(string));
    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return value_undefined(NULL);
    size_t begin = characters_offset(text, (size_t)index), length;
    characters_first((struct text){text.bytes + begin, text.length - begin}, &length);
    return value_string(rope_slice(render, string, begin, length));
}

static struct value list_item(const struct list *list, int64_t index)
{
    int64_t count = (int64_t)list->count;
    if (index < 0)
        index += count;
    if (index < 0 || index >= count || list->kind >= LIST_VIEW)
        return value_undefined(NULL);
    return list->items[index];
}

struct value expressions_item(struct render *render, struct value object, struct value key)
{
    struct text name = key.kind == VALUE_STRING ? rope_text(render, key.string) : text_of("item");
    if (object.kind == VALUE_UNDEFINED)
        return undefined_attribute(render, object, name);
    if (object.kind == VALUE_DICT) {
        const struct value *found = key.kind == VALUE_STRING
                                        ? dict_find_text(render, object.dict, name)
                                        : dict_find(render, object.dict, key);
        if (found)
            return *found;
    }
    if (key.kind == VALUE_STRING)
        return own_attribute(render, object, name);
    if (value_is_whole(key) && object.kind == VALUE_LIST)
        return list_item(object.list, value_whole(key));
    if (value_is_whole(key) && object.kind == VALUE_STRING)
        return character_at(render, object.string, value_whole(key));
    return value_undefined(NULL);
}

/* ---- slices ---- */

/* A bound as Python clips it: for a negative step, -1 stands before the first. */
static int64_t clip(struct render *render, struct value bound, int64_t otherwise, int64_t step,
                    int64_t count)
{
    if (bound.kind == VALUE_NONE)
        return otherwise;
    if (!value_is_whole(bound)) {
        render_fail(render, ENOEXEC, "%s as a bound of a slice", value_type_name(bound));
        return 0;
    }
    int64_t at = value_whole(bound), lowest = step < 0 ? -1 : 0;
    if (at < 0)
        at = at < -count ? lowest : at + count;
    if (at < lowest)
        at = lowest;
    return at >= count ? (step < 0 ? count - 1 : count) : at;
}

static struct value slice_list(struct render *render, const struct list *list, int64_t begin,
                               int64_t end, int64_t step)
{
    struct list *slice = list_new(render, list->kind, 0);
    while (!render->status && (step > 0 ? begin < end : begin > end)) {
        list_append(render, slice, list->items[begin]);
        if (__builtin_add_overflow(begin, step, &begin))
            break;
    }
    return list_value(slice);
}

static struct value slice_string(struct render *render, struct rope *string, int64_t begin,
                                 int64_t end, int64_t step)
{
    struct text text = rope_text(render, string);
    struct rope *result = rope_of(render, (struct text){0}, ROPE_TEMPLATE);
    if (step == 1) {
        if (begin >= end)
            return value_string(result);
        size_t from = characters_offset(text, (size_t)begin);
        struct text rest = {text.bytes + from, text.length - from};
        return value_string(
            rope_slice(render, string, from, characters_offset(rest, (size_t)(end - begin))));
    }
    const struct list *characters = list_items_of(render, value_string(string));
    struct value chosen = slice_list(render, characters, begin, end, step);
    for (size_t i = 0; i < chosen.list->count; i++)
        result = rope_join(render, result, chosen.list->items[i].string);
    return value_string(result);
}

static struct value slice_of(struct render *render, const struct node *node)
{
    struct value object = expressions_evaluate(render, node->first), bounds[3] = {{0}};
    const struct node *bound = node->list;
    for (int i = 0; i < 3; i++, bound = bound->next)
        bounds[i] = bound->kind == NODE_ABSENT ? value_none() : expressions_evaluate(render, bound);
    if (object.kind == VALUE_UNDEFINED)
        return undefined_attribute(render, object, text_of("slice"));
    bool is_list = object.kind == VALUE_LIST && object.list->kind < LIST_VIEW;
    if (render->status || (!is_list && object.kind != VALUE_STRING))
        return value_undefined(NULL);
    int64_t count = value_length(render, object), step = 1;
    if (value_is_whole(bounds[2]))
        step = value_whole(bounds[2]);
    if (step == 0 || (bounds[2].kind != VALUE_NONE && !value_is_whole(bounds[2])))
        return render_fail(render, ENOEXEC, "a slice needs a step that is a number but 0");
    int64_t begin = clip(render, bounds[0], step < 0 ? count - 1 : 0, step, count);
    int64_t end = clip(render, bounds[1], step < 0 ? -1 : count, step, count);
    if (render->status)
        return value_undefined(NULL);
    return is_list ? slice_list(render, object.list, begin, end, step)
                   : slice_string(render, object.string, begin, end, step);
}

/* ---- expressions ---- */

static struct value name_value(struct render *render, const struct node *node)
{
    struct value value;
    if (scope_find(render, render->scope, node->text, &value))
        return value;
    const struct global *global = global_find(node->text);
    if (global)
        return (struct value){.kind = VALUE_GLOBAL, .global = global};
    return value_undefined(&node->text);
}

static struct value list_of(struct render *render, const struct node *node)
{
    struct list *list = list_new(render, node->kind == NODE_TUPLE ? LIST_TUPLE : LIST_PLAIN, 0);
    for (const struct node *at = node->list; at && !render->status; at = at->next)
        list_append(render, list, expressions_evaluate(render, at));
    return list_value(list);
}

static struct value dict_of(struct render *render, const struct node *node)
{
    struct dict *dict = dict_new(render);
    for (const struct node *at = node->list; at && !render->status; at = at->next->next) {
        struct value key = expressions_evaluate(render, at);
        dict_set(render, dict, key, expressions_evaluate(render, at->next));
    }
    return (struct value){.kind = VALUE_DICT, .dict = dict};
}

static struct value call_of(struct render *render, const struct node *node)
{
    struct value callee = expressions_evaluate(render, node->first);
    struct arguments arguments = calls_arguments(render, node->list);
    return render->status ? value_undefined(NULL) : calls_run(render, callee, &arguments);
}

static struct value filter_of(struct render *render, const struct node *node)
{
    struct value input =
        node->first ? expressions_evaluate(render, node->first) : render->filter_input;
    struct arguments arguments = calls_arguments(render, node->list);
    return render->status ? value_undefined(NULL)
                          : filter_apply(render, node->text, input, &arguments);
}

static struct value test_of(struct render *render, const struct node *node)
{
    struct value input = expressions_evaluate(render, node->first);
    struct arguments arguments = calls_arguments(render, node->list);
    return value_bool(!render->status && test_apply(render, node->text, input, &arguments));
}

static struct value concat_of(struct render *render, const struct node *node)
{
    struct rope *result = rope_of(render, (struct text){0}, ROPE_TEMPLATE);
    for (const struct node *at = node->list; at && !render->status; at = at->next)
        result = rope_join(render, result, print_string(render, expressions_evaluate(render, at)));
    return value_string(result);
}

/* a < b < c is (a < b) and (b < c). */
static struct value comparison_of(struct render *render, const struct node *node)
{
    struct value left = expressions_evaluate(render, node->first);
    for (const struct node *at = node->list; at && !render->status; at = at->next) {
        struct value right = expressions_evaluate(render, at->first);
        if (!operators_compare(render, at->operation, left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

static struct value condition_of(struct render *render, const struct node *node)
{
    if (value_is_true(expressions_evaluate(render, node->first)))
        return expressions_evaluate(render, node->second);
    return node->third ? expressions_evaluate(render, node->third) : value_undefined(NULL);
}

static struct value compound(struct render *render, const struct node *node)
{
    struct value value;
    switch ((int)node->kind) {
    case NODE_AND:
        value = expressions_evaluate(render, node->first);
        return value_is_true(value) ? expressions_evaluate(render, node->second) : value;
    case NODE_OR:
        value = expressions_evaluate(render, node->first);
        return value_is_true(value) ? value : expressions_evaluate(render, node->second);
    case NODE_NOT:
        return value_bool(!value_is_true(expressions_evaluate(render, node->first)));
    case NODE_NEGATIVE:
        return operators_negate(render, expressions_evaluate(render, node->first));
    case NODE_POSITIVE:
        return operators_apply(render, OPERATION_ADD, value_integer(0),
                               expressions_evaluate(render, node->first));
    case NODE_OPERATION:
        value = expressions_evaluate(render, node->first);
        return operators_apply(render, node->operation, value,
                               expressions_evaluate(render, node->second));
    case NODE_ITEM:
        value = expressions_evaluate(render, node->first);
        return expressions_item(render, value, expressions_evaluate(render, node->second));
    default:
        return expressions_attribute(render, expressions_evaluate(render, node->first), node->text);
    }
}

struct value expressions_evaluate(struct render *render, const struct node *node)
{
    static struct value (*const functions[NODE_DATA])(struct render *, const struct node *) = {
        [NODE_NAME] = name_value,        [NODE_LIST] = list_of,       [NODE_TUPLE] = list_of,
        [NODE_DICT] = dict_of,           [NODE_ATTRIBUTE] = compound, [NODE_ITEM] = compound,
        [NODE_SLICE] = slice_of,         [NODE_CALL] = call_of,       [NODE_FILTER] = filter_of,
        [NODE_TEST] = test_of,           [NODE_OPERATION] = compound, [NODE_CONCAT] = concat_of,
        [NODE_COMPARE] = comparison_of,  [NODE_AND] = compound,       [NODE_OR] = compound,
        [NODE_NOT] = compound,           [NODE_NEGATIVE] = compound,  [NODE_POSITIVE] = compound,
        [NODE_CONDITION] = condition_of,
    };
    if (node->kind == NODE_CONSTANT)
        return node->constant;
    if (node->kind >= NODE_DATA || !functions[node->kind] || !render_enter(render))
        return value_undefined(NULL);
    render->line = node->line;
    struct value value = functions[node->kind](render, node);
    render_leave(render);
    return value;
}
