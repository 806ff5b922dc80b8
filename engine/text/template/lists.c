/* lists.c - filters of sequences; see render.h.
 *
 * Where jinja2 gives a generator, this gives a list that has no length and gives its items once. */
#include "text/template/characters.h"
#include "text/template/strings.h"

#include <errno.h>
#include <stdlib.h>

/* ---- attributes and keys ---- */

enum { INDEX_DIGITS = 9 }; /* no list is longer */

/* "a.b.0" of an item. */
static struct value path_of(struct render *render, struct value item, struct value path)
{
    if (path.kind != VALUE_STRING)
        return expressions_item(render, item, path);
    struct text text = rope_text(render, path.string);
    for (size_t at = 0; at <= text.length && !render->status;) {
        size_t end = at;
        int64_t index = 0;
        bool is_index = true;
        for (; end < text.length && text.bytes[end] != '.'; end++) {
            is_index = is_index && characters_is_digit(text.bytes[end]) && end - at < INDEX_DIGITS;
            index = is_index ? index * 10 + (text.bytes[end] - '0') : 0;
        }
        struct value key = is_index && end > at
                               ? value_integer(index)
                               : value_string(rope_slice(render, path.string, at, end - at));
        item = expressions_item(render, item, key);
        at = end + 1;
    }
    return item;
}

/* What an item is sorted or compared by: an attribute, letters all small. */
static struct value key_of(struct render *render, struct value item, struct value path,
                           bool exact_case)
{
    if (path.kind != VALUE_NONE)
        item = path_of(render, item, path);
    if (item.kind == VALUE_STRING && !exact_case)
        item = value_string(rope_map(render, item.string, characters_lower));
    return item;
}

struct entry {
    struct render *render;
    struct value key, item;
    size_t index;
    int sign;
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int result = a->render->status ? 0 : operators_order(a->render, a->key, b->key) * a->sign;
    return result ? result : (a->index > b->index) - (a->index < b->index);
}

static void sort_entries(struct render *render, struct entry *entries, struct list *list,
                         bool reversed)
{
    for (size_t i = 0; i < list->count; i++) {
        entries[i].render = render;
        entries[i].item = list->items[i];
        entries[i].index = i;
        entries[i].sign = reversed ? -1 : 1;
    }
    qsort(entries, list->count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = entries[i].item;
}

static struct list *copy_items(struct render *render, struct value input, enum list_kind kind)
{
    const struct list *items = list_items_of(render, input);
    struct list *copy = list_new(render, kind, items->count);
    for (size_t i = 0; i < items->count; i++)
        list_append(render, copy, items->items[i]);
    return copy;
}

static struct value filter_sort(struct render *render, struct value input,
                                const struct arguments *arguments)
{
    bool reversed = value_is_true(calls_argument(arguments, 0, "reverse", value_bool(false)));
    bool exact = value_is_true(calls_argument(arguments, 1, "case_sensitive", value_bool(false)));
    struct value path = calls_argument(arguments, 2, "attribute", value_none());
    struct list *list = copy_items(render, input, LIST_PLAIN);
    struct entry *entries = render_allocate(render, list->count + 1, sizeof *entries);
    for (size_t i = 0; i < list->count && !render->status; i++)
        entries[i].key = key_of(render, list->items[i], path, exact);
    if (!render->status)
        sort_entries(render, entries, list, reversed);
    return list_value(list);
}

static struct list *pairs_of(struct render *render, struct value input, enum list_kind kind)
{
    struct list *pairs = list_new(render, kind, 0);
    if (input.kind == VALUE_DICT)
        for (size_t i = 0; i < input.dict->count && !render->status; i++)
            list_append(render, pairs,
                        list_pair(render, input.dict->keys[i], input.dict->values[i]));
    else if (input.kind != VALUE_UNDEFINED)
        render_fail(render, ENOEXEC, "the items of %s", value_type_name(input));
    return pairs;
}

static struct value filter_items(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return list_value(pairs_of(render, input, LIST_GENERATOR));
}

static struct value filter_dictsort(struct render *render, struct value input,
                                    const struct arguments *arguments)
{
    bool exact = value_is_true(calls_argument(arguments, 0, "case_sensitive", value_bool(false)));
    struct value by = calls_argument(arguments, 1, "by", value_none());
    bool reversed = value_is_true(calls_argument(arguments, 2, "reverse", value_bool(false)));
    bool by_value = by.kind == VALUE_STRING && text_is(rope_text(render, by.string), "value");
    if (input.kind != VALUE_DICT)
        return render_fail(render, ENOEXEC, "dictsort of %s", value_type_name(input));
    struct list *list = pairs_of(render, input, LIST_PLAIN);
    struct entry *entries = render_allocate(render, list->count + 1, sizeof *entries);
    for (size_t i = 0; i < list->count && !render->status; i++)
        entries[i].key = key_of(render, by_value ? input.dict->values[i] : input.dict->keys[i],
                                value_none(), exact);
    if (!render->status)
        sort_entries(render, entries, list, reversed);
    return list_value(list);
}

/* ---- choosing ---- */

/* These filters take what is false (none, 0) for an empty sequence. */
static struct list *items_or_none(struct render *render, struct value input)
{
    return value_is_true(input) ? list_items_of(render, input) : list_new(render, LIST_PLAIN, 0);
}

/* Does an item pass a test (named by argument `at`, with those behind it), or is it true? */
static bool passes(struct render *render, struct value item, const struct arguments *arguments,
                   size_t at)
{
    if (at >= arguments->positional)
        return value_is_true(item);
    if (arguments->values[at].kind != VALUE_STRING) {
        render_fail(render, ENOEXEC, "%s as the name of a test",
                    value_type_name(arguments->values[at]));
        return false;
    }
    struct arguments rest = {arguments->values + at + 1, arguments->names + at + 1,
                             arguments->count - at - 1, arguments->positional - at - 1};
    return test_apply(render, rope_text(render, arguments->values[at].string), item, &rest);
}

static struct value choose(struct render *render, struct value input,
                           const struct arguments *arguments, bool by_attribute, bool wanted)
{
    const struct list *items = items_or_none(render, input);
    struct list *chosen = list_new(render, LIST_GENERATOR, 0);
    if (by_attribute && arguments->positional == 0)
        return render_fail(render, ENOEXEC, "the name of an attribute is missing");
    for (size_t i = 0; i < items->count && render_step(render, 1); i++) {
        struct value item = items->items[i];
        if (by_attribute)
            item = path_of(render, item, arguments->values[0]);
        if (passes(render, item, arguments, by_attribute) == wanted)
            list_append(render, chosen, items->items[i]);
    }
    return list_value(chosen);
}

static struct value filter_select(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    return choose(render, input, arguments, false, true);
}

static struct value filter_reject(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    return choose(render, input, arguments, false, false);
}

static struct value filter_selectattr(struct render *render, struct value input,
                                      const struct arguments *arguments)
{
    return choose(render, input, arguments, true, true);
}

static struct value filter_rejectattr(struct render *render, struct value input,
                                      const struct arguments *arguments)
{
    return choose(render, input, arguments, true, false);
}

static struct value map_item(struct render *render, struct value item, struct value path,
                             const struct arguments *arguments)
{
    if (path.kind == VALUE_NONE) {
        struct arguments rest = {arguments->values + 1, arguments->names + 1, arguments->count - 1,
                                 arguments->positional - 1};
        return filter_apply(render, rope_text(render, arguments->values[0].string), item, &rest);
    }
    struct value found = path_of(render, item, path);
    struct value otherwise = calls_argument(arguments, arguments->count, "default", value_none());
    return found.kind == VALUE_UNDEFINED && otherwise.kind != VALUE_NONE ? otherwise : found;
}

/* Of each item an attribute, or what a filter makes of it. */
static struct value filter_map(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    struct value path = calls_argument(arguments, arguments->count, "attribute", value_none());
    const struct list *items = items_or_none(render, input);
    struct list *mapped = list_new(render, LIST_GENERATOR, 0);
    if (path.kind == VALUE_NONE &&
        (arguments->positional == 0 || arguments->values[0].kind != VALUE_STRING))
        return render_fail(render, ENOEXEC, "map needs an attribute or the name of a filter");
    if (!render_enter(render))
        return list_value(mapped);
    for (size_t i = 0; i < items->count && render_step(render, 1); i++)
        list_append(render, mapped, map_item(render, items->items[i], path, arguments));
    render_leave(render);
    return list_value(mapped);
}

static struct value filter_unique(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    bool exact = value_is_true(calls_argument(arguments, 0, "case_sensitive", value_bool(false)));
    struct value path = calls_argument(arguments, 1, "attribute", value_none());
    const struct list *items = list_items_of(render, input);
    struct list *unique = list_new(render, LIST_GENERATOR, 0);
    struct dict *seen = dict_new(render);
    for (size_t i = 0; i < items->count && !render->status; i++) {
        struct value key = key_of(render, items->items[i], path, exact);
        if (dict_find(render, seen, key))
            continue;
        dict_set(render, seen, key, value_none());
        list_append(render, unique, items->items[i]);
    }
    return list_value(unique);
}

static struct value extreme(struct render *render, struct value input,
                            const struct arguments *arguments, int sign)
{
    bool exact = value_is_true(calls_argument(arguments, 0, "case_sensitive", value_bool(false)));
    struct value path = calls_argument(arguments, 1, "attribute", value_none());
    const struct list *items = list_items_of(render, input);
    struct value best = value_undefined(NULL), best_key = best;
    for (size_t i = 0; i < items->count && render_step(render, 1); i++) {
        struct value key = key_of(render, items->items[i], path, exact);
        if (i == 0 || operators_order(render, key, best_key) * sign > 0) {
            best = items->items[i];
            best_key = key;
        }
    }
    return best;
}

static struct value filter_min(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    return extreme(render, input, arguments, -1);
}

static struct value filter_max(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    return extreme(render, input, arguments, 1);
}

/* ---- whole sequences ---- */

static struct value filter_sum(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    struct value path = calls_argument(arguments, 0, "attribute", value_none());
    struct value total = calls_argument(arguments, 1, "start", value_integer(0));
    const struct list *items = list_items_of(render, input);
    for (size_t i = 0; i < items->count && render_step(render, 1); i++) {
        struct value item = items->items[i];
        if (path.kind != VALUE_NONE)
            item = path_of(render, item, path);
        total = operators_apply(render, OPERATION_ADD, total, item);
    }
    return total;
}

static struct value filter_list(struct render *render, struct value input,
                                const struct arguments *arguments)
{
    (void)arguments;
    return list_value(copy_items(render, input, LIST_PLAIN));
}

static struct value filter_first(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    (void)arguments;
    if (input.kind == VALUE_STRING)
        return expressions_item(render, input, value_integer(0));
    const struct list *items = list_items_of(render, input);
    return items->count ? items->items[0] : value_undefined(NULL);
}

static struct value filter_last(struct render *render, struct value input,
                                const struct arguments *arguments)
{
    (void)arguments;
    if (input.kind == VALUE_STRING)
        return expressions_item(render, input, value_integer(-1));
    const struct list *items = list_items_of(render, input);
    return items->count ? items->items[items->count - 1] : value_undefined(NULL);
}

static struct value filter_reverse(struct render *render, struct value input,
                                   const struct arguments *arguments)
{
    (void)arguments;
    const struct list *items = list_items_of(render, input);
    struct list *reversed = list_new(render, LIST_GENERATOR, items->count);
    for (size_t i = items->count; i > 0; i--)
        list_append(render, reversed, items->items[i - 1]);
    if (input.kind != VALUE_STRING)
        return list_value(reversed);
    return value_string(
        strings_join(render, rope_of(render, (struct text){0}, ROPE_TEMPLATE), reversed));
}

static struct value filter_join(struct render *render, struct value input,
                                const struct arguments *arguments)
{
    struct value separator = calls_argument(arguments, 0, "d", value_undefined(NULL));
    struct value path = calls_argument(arguments, 1, "attribute", value_none());
    struct list *items = list_items_of(render, input);
    if (path.kind != VALUE_NONE) {
        const struct list *source = items;
        items = list_new(render, LIST_PLAIN, source->count);
        for (size_t i = 0; i < source->count && !render->status; i++)
            list_append(render, items, path_of(render, source->items[i], path));
    }
    return value_string(strings_join(render, print_string(render, separator), items));
}

bool lists_apply_filter(struct render *render, struct text name, struct value input,
                        const struct arguments *arguments, struct value *out)
{
    static const struct {
        const char *name;
        struct value (*function)(struct render *render, struct value input,
                                 const struct arguments *arguments);
    } rows[] = {
        {"sort", filter_sort},       {"items", filter_items},   {"dictsort", filter_dictsort},
        {"select", filter_select},   {"reject", filter_reject}, {"selectattr", filter_selectattr},
        {"map", filter_map},         {"unique", filter_unique}, {"rejectattr", filter_rejectattr},
        {"min", filter_min},         {"max", filter_max},       {"sum", filter_sum},
        {"list", filter_list},       {"first", filter_first},   {"last", filter_last},
        {"reverse", filter_reverse}, {"join", filter_join},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (text_is(name, rows[i].name)) {
            *out = rows[i].function(render, input, arguments);
            return true;
        }
    }
    return false;
}
