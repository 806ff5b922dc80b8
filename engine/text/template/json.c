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

static void escape(uint32_t character, char quote, char out[PRINT_ESCAPE_BYTES])
{
    static const char letters[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
    const char *found = character && character < 0x80 ? strchr(letters, (int)character) : NULL;
    (void)quote;
    out[0] = 0;
    if (found)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\%c", names[found - letters]);
    else if (character < ' ')
        snprintf(out, PRINT_ESCAPE_BYTES, "\\u%04" PRIx32, character);
}

/* And what is not ASCII as UTF-16. */
static void escape_all(uint32_t character, char quote, char out[PRINT_ESCAPE_BYTES])
{
    if (character < 0x80)
        escape(character, quote, out);
    else if (character < 0x10000)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\u%04" PRIx32, character);
    else
        snprintf(out, PRINT_ESCAPE_BYTES, "\\u%04" PRIx32 "\\u%04" PRIx32,
                 0xD800 + ((character - 0x10000) >> 10), 0xDC00 + ((character - 0x10000) & 0x3FF));
}

static struct rope *print_text(struct render *render, struct rope *string, bool ascii)
{
    return print_quoted(render, string, '"', ascii ? escape_all : escape);
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
