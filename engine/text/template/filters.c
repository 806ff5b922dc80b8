/* filters.c - filters of single values; see render.h.  Those of sequences: lists.c. */
#include "text/template/characters.h"
#include "text/template/strings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct rope *string_of(struct render *render, struct value value)
{
    return print_string(render, value);
}

static struct value filter_string(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    (void)arguments;
    return value_string(string_of(render, input));
}

static struct value filter_upper(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(rope_map(render, string_of(render, input), characters_upper));
}

static struct value filter_lower(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(rope_map(render, string_of(render, input), characters_lower));
}

static struct value filter_title(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(strings_title(render, string_of(render, input), true));
}

static struct value filter_capitalize(struct render *render, struct value input,
                                      const struct arguments *arguments)
{
    (void)arguments;
    return value_string(strings_capitalize(render, string_of(render, input)));
}

static struct value filter_trim(struct render *render, struct value input,
                                const struct arguments *arguments)
{
    struct value set = calls_argument(arguments, 0, "chars", value_none());
    return value_string(strings_strip(render, string_of(render, input),
                                      set.kind == VALUE_NONE ? NULL : string_of(render, set),
                                      STRINGS_BOTH));
}

static struct value filter_replace(struct render *render, struct value input,
                                   const struct arguments *arguments)
{
    struct value limit = calls_argument(arguments, 2, "count", value_integer(-1));
    if (!calls_check(render, arguments, text_of("replace"), 2, 3))
        return value_undefined(NULL);
    return value_string(
        strings_replace(render, string_of(render, input),
                        string_of(render, calls_argument(arguments, 0, "old", value_none())),
                        string_of(render, calls_argument(arguments, 1, "new", value_none())),
                        value_is_whole(limit) ? value_whole(limit) : -1));
}

static struct value filter_escape(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    static const char *const pairs[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    struct rope *string = string_of(render, input);
    (void)arguments;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        string = strings_replace(render, string, rope_of(render, text_of(pairs[i][0]), ROPE_USER),
                                 rope_of(render, text_of(pairs[i][1]), ROPE_USER), -1);
    return value_string(string);
}

/* Every line but the first, and none that is empty, unless asked for. */
static struct value filter_indent(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    struct value width = calls_argument(arguments, 0, "width", value_integer(4));
    bool first = value_is_true(calls_argument(arguments, 1, "first", value_bool(false)));
    bool blank = value_is_true(calls_argument(arguments, 2, "blank", value_bool(false)));
    struct rope *newline = rope_of(render, text_of("\n"), ROPE_USER);
    struct rope *indent = rope_of(render, text_of(" "), ROPE_USER), *out = NULL;
    if (width.kind == VALUE_STRING)
        indent = width.string;
    else if (value_is_whole(width))
        indent = rope_repeat(render, indent, value_whole(width));
    else
        return render_fail(render, ENOEXEC, "indent of %s", value_type_name(width));
    struct rope *source = rope_join(render, string_of(render, input), newline);
    const struct list *lines = strings_lines(render, source, false);
    for (size_t i = 0; i < lines->count && render_step(render, 1); i++) {
        struct rope *line = lines->items[i].string;
        if (i > 0)
            out = rope_join(render, out, newline);
        if (i > 0 ? line->length || blank : first)
            line = rope_join(render, indent, line);
        out = out ? rope_join(render, out, line) : line;
    }
    return value_string(out ? out : rope_of(render, text_of(""), ROPE_USER));
}

static struct value filter_default(struct render *render, struct value input,
                                   const struct arguments *arguments)
{
    struct value otherwise = calls_argument(
        arguments, 0, "default_value", value_string(rope_of(render, (struct text){0}, ROPE_USER)));
    bool falsy = value_is_true(calls_argument(arguments, 1, "boolean", value_bool(false)));
    return input.kind == VALUE_UNDEFINED || (falsy && !value_is_true(input)) ? otherwise : input;
}

static struct value filter_length(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    (void)arguments;
    return value_integer(value_length(render, input));
}

static struct value filter_tojson(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    struct value indent = calls_argument(arguments, 1, "indent", value_none());
    struct value separators = calls_argument(arguments, 2, "separators", value_none());
    struct json_style style = {
        .ascii = value_is_true(calls_argument(arguments, 0, "ensure_ascii", value_bool(false))),
        .sorted = value_is_true(calls_argument(arguments, 3, "sort_keys", value_bool(false))),
        .lines = indent.kind != VALUE_NONE,
        .item_separator = text_of(indent.kind == VALUE_NONE ? ", " : ","),
        .key_separator = text_of(": "),
    };
    if (indent.kind == VALUE_STRING)
        style.indent = rope_text(render, indent.string);
    else if (value_is_whole(indent))
        style.indent =
            rope_text(render, rope_repeat(render, rope_of(render, text_of(" "), ROPE_USER),
                                          value_whole(indent)));
    if (separators.kind == VALUE_LIST && separators.list->count == 2 &&
        separators.list->items[0].kind == VALUE_STRING &&
        separators.list->items[1].kind == VALUE_STRING) {
        style.item_separator = rope_text(render, separators.list->items[0].string);
        style.key_separator = rope_text(render, separators.list->items[1].string);
    }
    return value_string(json_print(render, input, &style));
}

/* ---- numbers ---- */

/* A number in a string as int() and float() read it; false when it is none. */
static bool read_number(struct text text, bool whole, struct value *out)
{
    char digits[64], *end;
    size_t length = 0;
    while (text.length && characters_is_space((unsigned char)text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    while (text.length && characters_is_space((unsigned char)text.bytes[text.length - 1]))
        text.length--;
    if (text.length == 0 || text.length >= sizeof digits)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '_' && i > 0 && characters_is_digit(text.bytes[i - 1]) &&
            i + 1 < text.length && characters_is_digit(text.bytes[i + 1]))
            continue;
        if (!text.bytes[i])
            return false;
        if (!characters_is_digit(text.bytes[i]) &&
            !(i == 0 ? strchr("+-.", text.bytes[i]) != NULL
                     : !whole && strchr("+-.eE", text.bytes[i]) != NULL))
            return false;
        digits[length++] = text.bytes[i];
    }
    digits[length] = 0;
    errno = 0;
    *out = whole ? value_integer(strtoll(digits, &end, 10)) : value_float(strtod(digits, &end));
    return end != digits && *end == 0 && (!whole || errno == 0);
}

/* Towards zero. */
static bool whole_of(double real, struct value *out)
{
    if (!(real > -9.2e18 && real < 9.2e18))
        return false;
    *out = value_integer((int64_t)real);
    return true;
}

static struct value filter_int(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    struct value otherwise = calls_argument(arguments, 0, "default", value_integer(0)), number;
    if (!calls_check(render, arguments, text_of("int"), 0, 1))
        return value_undefined(NULL);
    if (value_is_whole(input))
        return value_integer(value_whole(input));
    if (input.kind == VALUE_UNDEFINED)
        return render_fail(render, ENOEXEC, "the int of an undefined value");
    if (input.kind == VALUE_STRING) {
        struct text text = rope_text(render, input.string);
        if (read_number(text, true, &number))
            return number;
        if (!read_number(text, false, &input))
            return otherwise;
    }
    return input.kind == VALUE_FLOAT && whole_of(input.real, &number) ? number : otherwise;
}

static struct value filter_float(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    struct value otherwise = calls_argument(arguments, 0, "default", value_float(0)), number;
    if (value_is_number(input))
        return value_float(value_real(input));
    if (input.kind == VALUE_UNDEFINED)
        return render_fail(render, ENOEXEC, "the float of an undefined value");
    return input.kind == VALUE_STRING &&
                   read_number(rope_text(render, input.string), false, &number)
               ? number
               : otherwise;
}

static struct value filter_abs(struct render *render, struct value input,
                               const struct arguments *arguments)
{
    (void)arguments;
    if (!value_is_number(input))
        return render_fail(render, ENOEXEC, "abs of %s", value_type_name(input));
    if (input.kind == VALUE_FLOAT)
        return value_float(fabs(input.real));
    return value_whole(input) < 0 ? operators_negate(render, input)
                                  : value_integer(value_whole(input));
}

static struct value filter_round(struct render *render, struct value input,
                                 const struct arguments *arguments)
{
    struct value digits = calls_argument(arguments, 0, "precision", value_integer(0));
    struct value method = calls_argument(arguments, 1, "method", value_none());
    char text[400];
    if (!value_is_number(input) || !value_is_whole(digits) || value_whole(digits) < 0 ||
        value_whole(digits) > 30)
        return render_fail(render, ENOEXEC, "round of %s to digits outside 0 to 30",
                           value_type_name(input));
    double scale = pow(10, (double)value_whole(digits)), real = value_real(input);
    if (method.kind == VALUE_STRING && text_is(rope_text(render, method.string), "ceil"))
        return value_float(ceil(real * scale) / scale);
    if (method.kind == VALUE_STRING && text_is(rope_text(render, method.string), "floor"))
        return value_float(floor(real * scale) / scale);
    if (value_is_whole(input))
        return value_integer(value_whole(input));
    snprintf(text, sizeof text, "%.*f", (int)value_whole(digits), real);
    return value_float(strtod(text, NULL));
}

static struct value filter_format(struct render *render, struct value input,
                                  const struct arguments *arguments)
{
    struct list *values = list_new(render, LIST_TUPLE, 0);
    if (arguments->positional < arguments->count) {
        struct dict *dict = dict_new(render);
        for (size_t i = arguments->positional; i < arguments->count; i++)
            dict_set(render, dict,
                     value_string(rope_of(render, arguments->names[i], ROPE_TEMPLATE)),
                     arguments->values[i]);
        return format_percent(render, string_of(render, input),
                              (struct value){.kind = VALUE_DICT, .dict = dict});
    }
    for (size_t i = 0; i < arguments->count; i++)
        list_append(render, values, arguments->values[i]);
    return format_percent(render, string_of(render, input), list_value(values));
}

struct value filter_apply(struct render *render, struct text name, struct value input,
                          const struct arguments *arguments)
{
    static const struct {
        const char *name;
        struct value (*function)(struct render *render, struct value input,
                                 const struct arguments *arguments);
    } rows[] = {
        {"string", filter_string}, {"safe", filter_string},     {"upper", filter_upper},
        {"lower", filter_lower},   {"title", filter_title},     {"capitalize", filter_capitalize},
        {"trim", filter_trim},     {"replace", filter_replace}, {"escape", filter_escape},
        {"e", filter_escape},      {"indent", filter_indent},   {"default", filter_default},
        {"d", filter_default},     {"length", filter_length},   {"count", filter_length},
        {"tojson", filter_tojson}, {"int", filter_int},         {"float", filter_float},
        {"abs", filter_abs},       {"round", filter_round},     {"format", filter_format},
    };
    struct value result;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (text_is(name, rows[i].name))
            return rows[i].function(render, input, arguments);
    if (lists_apply_filter(render, name, input, arguments, &result))
        return result;
    return render_fail(render, ENOEXEC, "there is no filter \"%.*s\"", TEXT_ARGUMENTS(name));
}
