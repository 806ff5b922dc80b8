/* print.c - str() and repr() of values, as Python writes them.  Strings keep their marks in str();
 * everything else is written as untrusted text. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct rope *literal(struct render *render, const char *text)
{
    return rope_of(render, text_of(text), ROPE_USER);
}

/* Python's repr(): the fewest digits that read back as the same number; with an exponent below
 * 1e-4 and from 1e16 on. */
void print_float(double real, char out[40])
{
    char digits[32];
    if (isnan(real) || isinf(real)) {
        snprintf(out, 40, "%s", isnan(real) ? "nan" : real < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 1;
    do {
        snprintf(digits, sizeof digits, "%.*e", precision - 1, real);
    } while (strtod(digits, NULL) != real && precision++ < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - 1 - exponent;
        snprintf(out, 40, "%.*f", decimals > 1 ? decimals : 1, real);
    } else {
        snprintf(out, 40, "%s", digits); /* C and Python write exponents alike */
    }
}

/* ---- repr() ---- */

struct rope *print_quoted(struct render *render, struct rope *string, char quote,
                          print_escape *escape)
{
    struct text text = rope_text(render, string);
    struct rope *mark = rope_copy(render, (struct text){&quote, 1}, ROPE_USER), *out = mark;
    char escaped[PRINT_ESCAPE_BYTES];
    size_t plain = 0;
    for (size_t at = 0, length; at < text.length && render_work(render, 0); at += length) {
        uint32_t character =
            characters_first((struct text){text.bytes + at, text.length - at}, &length);
        escape(character, quote, escaped);
        if (!*escaped)
            continue;
        out = rope_join(render, out,
                        rope_of(render, (struct text){text.bytes + plain, at - plain}, ROPE_USER));
        out = rope_join(render, out, rope_copy(render, text_of(escaped), ROPE_USER));
        plain = at + length;
    }
    struct text rest = {text.bytes + plain, text.length - plain};
    return rope_join(render, rope_join(render, out, rope_of(render, rest, ROPE_USER)), mark);
}

static void escape_for_repr(uint32_t character, char quote, char out[PRINT_ESCAPE_BYTES])
{
    static const char letters[] = "\\\n\r\t", names[] = "\\nrt";
    const char *found = character && character < 0x80 ? strchr(letters, (int)character) : NULL;
    out[0] = 0;
    if (found)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\%c", names[found - letters]);
    else if (character == (uint32_t)quote)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\%c", quote);
    else if (characters_is_printable(character))
        return;
    else if (character < 0x100)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\x%02" PRIx32, character);
    else if (character < 0x10000)
        snprintf(out, PRINT_ESCAPE_BYTES, "\\u%04" PRIx32, character);
    else
        snprintf(out, PRINT_ESCAPE_BYTES, "\\U%08" PRIx32, character);
}

static struct rope *string_repr(struct render *render, struct rope *string)
{
    struct text text = rope_text(render, string);
    bool has_single = text.length && memchr(text.bytes, '\'', text.length);
    bool has_double = text.length && memchr(text.bytes, '"', text.length);
    return print_quoted(render, string, has_single && !has_double ? '"' : '\'', escape_for_repr);
}

static struct rope *list_repr(struct render *render, const struct list *list)
{
    bool is_tuple = list->kind == LIST_TUPLE;
    struct rope *out = literal(render, is_tuple ? "(" : "[");
    for (size_t i = 0; i < list->count && !render->status; i++) {
        if (i > 0)
            out = rope_join(render, out, literal(render, ", "));
        out = rope_join(render, out, print_repr(render, list->items[i]));
    }
    return rope_join(render, out, literal(render, !is_tuple ? "]" : list->count == 1 ? ",)" : ")"));
}

static struct rope *dict_repr(struct render *render, const struct dict *dict)
{
    struct rope *out = literal(render, "{");
    for (size_t i = 0; i < dict->count && !render->status; i++) {
        if (i > 0)
            out = rope_join(render, out, literal(render, ", "));
        out = rope_join(render, out, print_repr(render, dict->keys[i]));
        out = rope_join(render, out, literal(render, ": "));
        out = rope_join(render, out, print_repr(render, dict->values[i]));
    }
    return rope_join(render, out, literal(render, "}"));
}

static struct rope *scalar_repr(struct render *render, struct value value)
{
    char text[40];
    if (value.kind == VALUE_NONE)
        return literal(render, "None");
    if (value.kind == VALUE_BOOL)
        return literal(render, value.truth ? "True" : "False");
    if (value.kind == VALUE_UNDEFINED)
        return literal(render, "Undefined");
    if (value.kind == VALUE_INTEGER)
        snprintf(text, sizeof text, "%" PRId64, value.integer);
    else
        print_float(value.real, text);
    return rope_copy(render, text_of(text), ROPE_USER);
}

struct rope *print_repr(struct render *render, struct value value)
{
    struct rope *out = literal(render, "");
    if (!render_enter(render))
        return out;
    if (value.kind == VALUE_STRING)
        out = string_repr(render, value.string);
    else if (value.kind == VALUE_LIST && value.list->kind <= LIST_TUPLE)
        out = list_repr(render, value.list);
    else if (value.kind == VALUE_DICT)
        out = dict_repr(render, value.dict);
    else if (value.kind <= VALUE_FLOAT)
        out = scalar_repr(render, value);
    else
        render_fail(render, ENOEXEC, "%s can't be written as text",
                    value.kind == VALUE_LIST ? "an iterator" : value_type_name(value));
    render_leave(render);
    return out;
}

struct rope *print_string(struct render *render, struct value value)
{
    if (value.kind == VALUE_STRING)
        return value.string;
    return value.kind == VALUE_UNDEFINED ? literal(render, "") : print_repr(render, value);
}
