/* json.c - json.dumps(), as transformers' `tojson` calls it: no HTML is escaped.  What it writes is
 * untrusted. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct rope *print(struct render *render, struct value value, const struct json_style *style,
                          int level);

static struct rope *literal(struct render *render, const char *text)
{
    return rope_of(render, text_of(text), ROPE_USER);
}

/* How a character is escaped, or "" for not at all. */
static void escape(uint32_t character, bool ascii, char out[16])
{
    static const char letters[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
    const char *found = character && character < 0x80 ? strchr(letters, (int)character) : NULL;
    out[0] = 0;
    if (found)
        snprintf(out, 16, "\\%c", names[found - letters]);
    else if (character < ' ' ||
             (ascii && character > '~' && character < 0x10000 && character != 0x7F))
        snprintf(out, 16, "\\u%04" PRIx32, character);
    else if (ascii && character >= 0x10000)
        snprintf(out, 16, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xD800 + ((character - 0x10000) >> 10),
                 0xDC00 + ((character - 0x10000) & 0x3FF));
}

static struct rope *print_text(struct render *render, struct rope *string, bool ascii)
{
    struct text text = rope_text(render, string);
    struct rope *quote = literal(render, "\""), *out = quote;
    char escaped[16];
    size_t plain = 0;
    for (size_t at = 0, length; at < text.length && render_work(render, 0); at += length) {
        escape(characters_first((struct text){text.bytes + at, text.length - at}, &length), ascii,
               escaped);
        if (!*escaped)
            continue;
        out = rope_join(render, out,
                        rope_of(render, (struct text){text.bytes + plain, at - plain}, ROPE_USER));
        out = rope_join(render, out, rope_copy(render, text_of(escaped), ROPE_USER));
        plain = at + length;
    }
    struct text rest = {text.bytes + plain, text.length - plain};
    return rope_join(render, rope_join(render, out, rope_of(render, rest, ROPE_USER)), quote);
}

/* A line end and the indent of a level, where the style has lines. */
static struct rope *line_break(struct render *render, struct rope *out,
                               const struct json_style *style, int level)
{
    if (!style->lines)
        return out;
    struct rope *indent = rope_of(render, style->indent, ROPE_USER);
    return rope_join(render, rope_join(render, out, literal(render, "\n")),
                     rope_repeat(render, indent, level));
}

static struct rope *separated(struct render *render, struct rope *out, size_t index,
                              const struct json_style *style, int level)
{
    if (index > 0)
        out = rope_join(render, out, rope_of(render, style->item_separator, ROPE_USER));
    return line_break(render, out, style, level);
}

static struct rope *print_list(struct render *render, const struct list *list,
                               const struct json_style *style, int level)
{
    struct rope *out = literal(render, "[");
    for (size_t i = 0; i < list->count && !render->status; i++) {
        out = separated(render, out, i, style, level + 1);
        out = rope_join(render, out, print(render, list->items[i], style, level + 1));
    }
    if (list->count)
        out = line_break(render, out, style, level);
    return rope_join(render, out, literal(render, "]"));
}

static struct rope *print_scalar(struct render *render, struct value value)
{
    char text[40];
    if (value.kind == VALUE_NONE)
        return literal(render, "null");
    if (value.kind == VALUE_BOOL)
        return literal(render, value.truth ? "true" : "false");
    if (value.kind == VALUE_INTEGER)
        snprintf(text, sizeof text, "%" PRId64, value.integer);
    else if (isfinite(value.real))
        print_float(value.real, text);
    else
        snprintf(text, sizeof text, "%s",
                 isnan(value.real) ? "NaN"
                 : value.real < 0  ? "-Infinity"
                                   : "Infinity");
    return rope_copy(render, text_of(text), ROPE_USER);
}

static struct rope *print_key(struct render *render, struct value key,
                              const struct json_style *style)
{
    bool scalar = key.kind >= VALUE_NONE && key.kind <= VALUE_FLOAT;
    if (key.kind != VALUE_STRING && !scalar)
        render_fail(render, ENOEXEC, "%s can't be a key in JSON", value_type_name(key));
    if (render->status)
        return literal(render, "");
    return print_text(render, scalar ? print_scalar(render, key) : key.string, style->ascii);
}

struct entry {
    struct render *render;
    struct value key, value;
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return operators_order(a->render, a->key, b->key);
}

static struct rope *print_dict(struct render *render, const struct dict *dict,
                               const struct json_style *style, int level)
{
    struct entry *entries = render_allocate(render, dict->count + 1, sizeof *entries);
    struct rope *out = literal(render, "{");
    if (!entries)
        return out;
    for (size_t i = 0; i < dict->count; i++)
        entries[i] = (struct entry){render, dict->keys[i], dict->values[i]};
    if (style->sorted)
        qsort(entries, dict->count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < dict->count && !render->status; i++) {
        out = separated(render, out, i, style, level + 1);
        out = rope_join(render, out, print_key(render, entries[i].key, style));
        out = rope_join(render, out, rope_of(render, style->key_separator, ROPE_USER));
        out = rope_join(render, out, print(render, entries[i].value, style, level + 1));
    }
    if (dict->count)
        out = line_break(render, out, style, level);
    return rope_join(render, out, literal(render, "}"));
}

static struct rope *print(struct render *render, struct value value, const struct json_style *style,
                          int level)
{
    struct rope *out = literal(render, "");
    if (!render_enter(render))
        return out;
    if (value.kind == VALUE_STRING)
        out = print_text(render, value.string, style->ascii);
    else if (value.kind == VALUE_LIST && value.list->kind <= LIST_TUPLE)
        out = print_list(render, value.list, style, level);
    else if (value.kind == VALUE_DICT)
        out = print_dict(render, value.dict, style, level);
    else if (value.kind >= VALUE_NONE && value.kind <= VALUE_FLOAT)
        out = print_scalar(render, value);
    else
        render_fail(render, ENOEXEC, "%s can't be written as JSON",
                    value.kind == VALUE_LIST ? "an iterator" : value_type_name(value));
    render_leave(render);
    return out;
}

struct rope *json_print(struct render *render, struct value value, const struct json_style *style)
{
    return print(render, value, style, 0);
}
