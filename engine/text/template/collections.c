/* collections.c - lists and dicts, what can be iterated, what is true. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>

bool value_is_true(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return value.truth;
    case VALUE_INTEGER:
        return value.integer != 0;
    case VALUE_FLOAT:
        return value.real != 0;
    case VALUE_STRING:
        return value.string->length != 0;
    case VALUE_LIST:
        return value.list->kind == LIST_GENERATOR || value.list->count != 0;
    case VALUE_DICT:
        return value.dict->count != 0;
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_METHOD:
    case VALUE_GLOBAL:
        break;
    }
    return true;
}

const char *value_type_name(struct value value)
{
    static const char *const names[] = {"an undefined value",
                                        "none",
                                        "a bool",
                                        "an integer",
                                        "a float",
                                        "a string",
                                        "a list",
                                        "a dict",
                                        "a namespace",
                                        "a loop",
                                        "a macro",
                                        "a method",
                                        "a function"};
    return names[value.kind];
}

/* ---- lists ---- */

struct list *list_new(struct render *render, enum list_kind kind, size_t capacity)
{
    static struct list nothing; /* never written: its capacity stays 0 */
    struct list *list = render_allocate(render, 1, sizeof *list);
    if (!list)
        return &nothing;
    list->kind = kind;
    list->items = capacity ? render_allocate(render, capacity, sizeof *list->items) : NULL;
    list->capacity = list->items ? capacity : 0;
    return list;
}

void list_append(struct render *render, struct list *list, struct value item)
{
    if (!render_step(render, 1))
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct value *items = render_allocate(render, capacity, sizeof *items);
        if (!items)
            return;
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
}

struct value list_value(struct list *list)
{
    return (struct value){.kind = VALUE_LIST, .list = list};
}

struct value list_pair(struct render *render, struct value first, struct value second)
{
    struct list *pair = list_new(render, LIST_TUPLE, 2);
    list_append(render, pair, first);
    list_append(render, pair, second);
    return list_value(pair);
}

/* ---- dicts ---- */

struct dict *dict_new(struct render *render)
{
    static struct dict nothing; /* never written: nothing is added after a failure */
    struct dict *dict = render_allocate(render, 1, sizeof *dict);
    return dict ? dict : &nothing;
}

struct value *dict_find(struct render *render, const struct dict *dict, struct value key)
{
    for (size_t i = 0; i < dict->count && render_step(render, 1); i++)
        if (operators_equal(render, dict->keys[i], key))
            return &dict->values[i];
    return NULL;
}

struct value *dict_find_text(struct render *render, const struct dict *dict, struct text key)
{
    render_work(render, dict->count);
    for (size_t i = 0; i < dict->count; i++)
        if (dict->keys[i].kind == VALUE_STRING && dict->keys[i].string->length == key.length &&
            render_work(render, key.length) &&
            text_equals(rope_text(render, dict->keys[i].string), key))
            return &dict->values[i];
    return NULL;
}

static bool is_hashable(struct value value)
{
    return value.kind != VALUE_DICT && (value.kind != VALUE_LIST || value.list->kind != LIST_PLAIN);
}

static bool grow(struct render *render, struct dict *dict)
{
    size_t capacity = dict->capacity ? dict->capacity * 2 : 4;
    struct value *keys = render_allocate(render, capacity, sizeof *keys);
    struct value *values = render_allocate(render, capacity, sizeof *values);
    if (!keys || !values)
        return false;
    if (dict->count) {
        memcpy(keys, dict->keys, dict->count * sizeof *keys);
        memcpy(values, dict->values, dict->count * sizeof *values);
    }
    dict->keys = keys;
    dict->values = values;
    dict->capacity = capacity;
    return true;
}

void dict_set(struct render *render, struct dict *dict, struct value key, struct value value)
{
    if (!is_hashable(key))
        render_fail(render, ENOEXEC, "%s can't be a key", value_type_name(key));
    struct value *found = dict_find(render, dict, key);
    if (found)
        *found = value;
    if (found || render->status || (dict->count == dict->capacity && !grow(render, dict)))
        return;
    dict->keys[dict->count] = key;
    dict->values[dict->count++] = value;
}

/* ---- iteration ---- */

bool value_is_iterable(struct value value)
{
    return value.kind == VALUE_UNDEFINED || value.kind == VALUE_STRING ||
           value.kind == VALUE_LIST || value.kind == VALUE_DICT;
}

static struct list *characters_of(struct render *render, struct rope *string)
{
    struct text text = rope_text(render, string);
    struct list *list = list_new(render, LIST_PLAIN, 0);
    for (size_t at = 0, length; at < text.length && !render->status; at += length) {
        characters_first((struct text){text.bytes + at, text.length - at}, &length);
        list_append(render, list, value_string(rope_slice(render, string, at, length)));
    }
    return list;
}

struct list *list_items_of(struct render *render, struct value value)
{
    struct list *items = list_new(render, LIST_PLAIN, 0);
    if (value.kind == VALUE_STRING)
        return characters_of(render, value.string);
    if (value.kind == VALUE_DICT)
        for (size_t i = 0; i < value.dict->count; i++)
            list_append(render, items, value.dict->keys[i]);
    else if (value.kind == VALUE_LIST && value.list->kind != LIST_GENERATOR)
        return value.list;
    else if (value.kind == VALUE_LIST && !render->status) { /* it gives its items once */
        *items = *value.list;
        value.list->count = value.list->capacity = 0;
    } else if (value.kind != VALUE_UNDEFINED) {
        render_fail(render, ENOEXEC, "%s can't be iterated", value_type_name(value));
    }
    return items;
}

int64_t value_length(struct render *render, struct value value)
{
    if (value.kind == VALUE_STRING) {
        struct text text = rope_text(render, value.string);
        render_work(render, text.length);
        return (int64_t)characters_count(text);
    }
    if (value.kind == VALUE_DICT)
        return (int64_t)value.dict->count;
    if (value.kind == VALUE_LIST && value.list->kind != LIST_GENERATOR)
        return (int64_t)value.list->count;
    if (value.kind == VALUE_LOOP)
        return (int64_t)value.loop->items->count;
    if (value.kind != VALUE_UNDEFINED)
        render_fail(render, ENOEXEC, "%s has no length", value_type_name(value));
    return 0;
}
