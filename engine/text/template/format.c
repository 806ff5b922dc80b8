/* format.c - "..." % values and "...".format(...): the conversions that templates use.
 *
 * The text between the fields keeps its marks, and so do strings put into it as they are. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WIDTH_MAX = 1000 };

/* A field: [fill] align sign 0 width .precision type; what is not given is 0 or -1. */
struct field {
    char align, sign, type, fill;
    int width, precision;
};

static struct rope *pad(struct render *render, struct rope *text, const struct field *field,
                        char align)
{
    int64_t missing = field->width - value_length(render, value_string(text));
    if (missing <= 0)
        return text;
    char fill[] = {field->fill ? field->fill : ' '};
    struct rope *one = rope_copy(render, (struct text){fill, 1}, ROPE_USER);
    int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    text = rope_join(render, rope_repeat(render, one, left), text);
    return rope_join(render, text, rope_repeat(render, one, missing - left));
}

/* Padding of a number with zeros goes behind its sign. */
static struct rope *pad_number(struct render *render, char *digits, const struct field *field)
{
    size_t sign = digits[0] == '-' || digits[0] == '+';
    if (field->align != '=' || !sign)
        return pad(render, rope_copy(render, text_of(digits), ROPE_USER), field,
                   field->align == '=' || !field->align ? '>' : field->align);
    struct field rest = *field;
    rest.width -= 1;
    struct rope *number = rope_copy(render, text_of(digits + 1), ROPE_USER);
    struct rope *mark = rope_copy(render, (struct text){digits, 1}, ROPE_USER);
    return rope_join(render, mark, pad(render, number, &rest, '>'));
}

static struct rope *format_whole(struct render *render, int64_t number, const struct field *field)
{
    char digits[32];
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    const char *sign = number < 0 ? "-" : field->sign == '+' ? "+" : "";
    if (field->type == 'x')
        snprintf(digits, sizeof digits, "%s%" PRIx64, sign, magnitude);
    else if (field->type == 'X')
        snprintf(digits, sizeof digits, "%s%" PRIX64, sign, magnitude);
    else if (field->type == 'o')
        snprintf(digits, sizeof digits, "%s%" PRIo64, sign, magnitude);
    else
        snprintf(digits, sizeof digits, "%s%" PRIu64, sign, magnitude);
    return pad_number(render, digits, field);
}

static struct rope *format_real(struct render *render, double real, const struct field *field)
{
    char digits[512];
    int precision = field->precision < 0 ? 6 : field->precision;
    if (precision > 100)
        precision = 100;
    int begin = field->sign == '+' && real >= 0;
    digits[0] = '+';
    switch (field->type) {
    case 'e':
        snprintf(digits + begin, sizeof digits - 1, "%.*e", precision, real);
        break;
    case 'g':
        snprintf(digits + begin, sizeof digits - 1, "%.*g", precision, real);
        break;
    default:
        snprintf(digits + begin, sizeof digits - 1, "%.*f", precision, real);
        break;
    }
    return pad_number(render, digits, field);
}

static struct rope *cut(struct render *render, struct rope *text, int precision)
{
    if (precision < 0)
        return text;
    struct text bytes = rope_text(render, text);
    return rope_slice(render, text, 0, characters_offset(bytes, (size_t)precision));
}

static struct rope *format_field(struct render *render, struct value value,
                                 const struct field *field)
{
    bool real = field->type && strchr("feg", field->type);
    bool whole = field->type && strchr("dixXo", field->type);
    if (real && value_is_number(value))
        return format_real(render, value_real(value), field);
    if (whole && value_is_whole(value))
        return format_whole(render, value_whole(value), field);
    if (real || whole)
        render_fail(render, ENOEXEC, "%s where a number is to be formatted",
                    value_type_name(value));
    struct rope *text =
        field->type == 'r' ? print_repr(render, value) : print_string(render, value);
    char align = field->align ? field->align : value_is_number(value) ? '>' : '<';
    return pad(render, cut(render, text, field->precision), field, align == '=' ? '>' : align);
}

/* Digits at *at; -1 when there are none. */
static int read_number(struct text text, size_t *at)
{
    int number = -1;
    for (; *at < text.length && characters_is_digit(text.bytes[*at]); ++*at) {
        number = (number < 0 ? 0 : number) * 10 + (text.bytes[*at] - '0');
        if (number > WIDTH_MAX)
            number = WIDTH_MAX;
    }
    return number;
}

/* ---- "%" ---- */

struct percent {
    struct text format;
    size_t at;
    struct value values;
    size_t used;
    bool named; /* values is a dict */
};

/* The value for the field in hand; a name in parentheses is read. */
static struct value next_value(struct render *render, struct percent *percent)
{
    struct text format = percent->format;
    if (percent->at < format.length && format.bytes[percent->at] == '(') {
        const char *begin = format.bytes + percent->at + 1;
        const char *close = memchr(begin, ')', format.length - percent->at - 1);
        if (close && percent->values.kind == VALUE_DICT) {
            struct text name = {begin, (size_t)(close - begin)};
            const struct value *found = dict_find_text(render, percent->values.dict, name);
            percent->at += name.length + 2;
            percent->named = true;
            if (found)
                return *found;
        }
        return render_fail(render, ENOEXEC, "a name that the format does not find");
    }
    return value_none();
}

static struct value positional_value(struct render *render, struct percent *percent)
{
    bool tuple = percent->values.kind == VALUE_LIST && percent->values.list->kind == LIST_TUPLE;
    size_t index = percent->used++;
    if (tuple && index < percent->values.list->count)
        return percent->values.list->items[index];
    if (!tuple && index == 0)
        return percent->values;
    return render_fail(render, ENOEXEC, "too few values for the format");
}

static struct rope *percent_field(struct render *render, struct percent *percent)
{
    struct text format = percent->format;
    struct value value = next_value(render, percent);
    struct field field = {.precision = -1, .fill = ' '};
    for (; percent->at < format.length && format.bytes[percent->at] &&
           strchr("-+ 0#", format.bytes[percent->at]);
         percent->at++) {
        char flag = format.bytes[percent->at];
        if (flag == '-')
            field.align = '<';
        else if (flag == '+')
            field.sign = '+';
        else if (flag == '0' && !field.align)
            field.align = '=', field.fill = '0';
    }
    field.width = read_number(format, &percent->at);
    if (percent->at < format.length && format.bytes[percent->at] == '.') {
        percent->at++;
        field.precision = read_number(format, &percent->at);
        field.precision = field.precision < 0 ? 0 : field.precision;
    }
    field.type = percent->at < format.length ? format.bytes[percent->at++] : '\0';
    if (field.type == '%')
        return rope_of(render, text_of("%"), ROPE_USER);
    if (!field.type || !strchr("sdifegxXor", field.type)) {
        render_fail(render, ENOEXEC, "a conversation that the format does not know");
        return rope_of(render, text_of(""), ROPE_USER);
    }
    if (!percent->named)
        value = positional_value(render, percent);
    if (strchr("di", field.type) && value.kind == VALUE_FLOAT && value.real > -9e18 &&
        value.real < 9e18)
        value = value_integer((int64_t)value.real);
    if (!field.align)
        field.align = '>';
    return format_field(render, value, &field);
}

struct value format_percent(struct render *render, struct rope *format, struct value values)
{
    struct percent percent = {.format = rope_text(render, format), .values = values};
    struct rope *out = rope_of(render, (struct text){0}, ROPE_TEMPLATE);
    while (percent.at < percent.format.length && render_step(render, 1)) {
        const char *begin = percent.format.bytes + percent.at;
        const char *sign = memchr(begin, '%', percent.format.length - percent.at);
        size_t plain = sign ? (size_t)(sign - begin) : percent.format.length - percent.at;
        out = rope_join(render, out, rope_slice(render, format, percent.at, plain));
        percent.at += plain + (sign != NULL);
        if (sign)
            out = rope_join(render, out, percent_field(render, &percent));
    }
    bool tuple = values.kind == VALUE_LIST && values.list->kind == LIST_TUPLE;
    size_t given = tuple ? values.list->count : 1;
    if (percent.used < given && !percent.named && values.kind != VALUE_DICT)
        render_fail(render, ENOEXEC, "too many values for the format");
    return value_string(out);
}

/* ---- format() ---- */

struct braces {
    const struct arguments *arguments;
    size_t used; /* fields without a name so far */
};

/* The value of a field's name: "", "0" or "name", then ".attribute" or "[item]". */
static struct value field_value(struct render *render, struct braces *braces, struct text name)
{
    size_t at = 0, end;
    int index = read_number(name, &at);
    struct value value = value_none();
    for (end = 0; end < name.length && name.bytes[end] != '.' && name.bytes[end] != '[';)
        end++;
    if (end == 0)
        index = (int)braces->used++;
    if (end == 0 || (index >= 0 && at == end)) {
        if ((size_t)index >= braces->arguments->positional)
            return render_fail(render, ENOEXEC, "too few values for the format");
        value = braces->arguments->values[index];
    } else {
        size_t i = braces->arguments->positional;
        while (i < braces->arguments->count &&
               !text_equals(braces->arguments->names[i], (struct text){name.bytes, end}))
            i++;
        if (i == braces->arguments->count)
            return render_fail(render, ENOEXEC, "no value for \"%.*s\"", TEXT_ARGUMENTS(name));
        value = braces->arguments->values[i];
    }
    if (end < name.length)
        return render_fail(render, ENOEXEC, "attributes in a format are not supported");
    return value;
}

/* ":" and what follows it. */
static struct field read_specification(struct text text)
{
    struct field field = {.precision = -1};
    size_t at = 0;
    if (text.length > 1 && text.bytes[1] && strchr("<>^=", text.bytes[1])) {
        field.fill = text.bytes[0];
        field.align = text.bytes[1];
        at = 2;
    } else if (text.length && text.bytes[0] && strchr("<>^=", text.bytes[0])) {
        field.align = text.bytes[at++];
    }
    if (at < text.length && (text.bytes[at] == '+' || text.bytes[at] == '-'))
        field.sign = text.bytes[at++];
    if (at < text.length && text.bytes[at] == '0' && !field.align) {
        field.fill = '0';
        field.align = '=';
    }
    field.width = read_number(text, &at);
    if (at < text.length && text.bytes[at] == '.') {
        at++;
        field.precision = read_number(text, &at);
    }
    field.type = at < text.length ? text.bytes[at++] : '\0';
    if (at < text.length)
        field.type = '?';
    return field;
}

static struct rope *brace_field(struct render *render, struct braces *braces, struct text inside)
{
    size_t end = 0;
    while (end < inside.length && inside.bytes[end] != ':' && inside.bytes[end] != '!')
        end++;
    struct value value = field_value(render, braces, (struct text){inside.bytes, end});
    if (end + 1 < inside.length && inside.bytes[end] == '!') {
        value = value_string(inside.bytes[end + 1] == 'r' ? print_repr(render, value)
                                                          : print_string(render, value));
        end += 2;
    }
    if (end == inside.length)
        return print_string(render, value);
    struct field field =
        read_specification((struct text){inside.bytes + end + 1, inside.length - end - 1});
    bool known = !field.type || strchr("sdfegxXo", field.type);
    if (inside.bytes[end] != ':' || !known) {
        render_fail(render, ENOEXEC, "a format that is not supported: \"{%.*s}\"",
                    TEXT_ARGUMENTS(inside));
        return rope_of(render, text_of(""), ROPE_USER);
    }
    return format_field(render, value, &field);
}

/* The next brace in [at, end), or the end. */
static size_t next_brace(struct text text, size_t at)
{
    while (at < text.length && text.bytes[at] != '{' && text.bytes[at] != '}')
        at++;
    return at;
}

struct value format_braces(struct render *render, struct rope *format,
                           const struct arguments *arguments)
{
    struct text text = rope_text(render, format);
    struct braces braces = {.arguments = arguments};
    struct rope *out = rope_of(render, (struct text){0}, ROPE_TEMPLATE);
    for (size_t at = 0; at < text.length && render_step(render, 1);) {
        size_t brace = next_brace(text, at);
        bool doubled = brace + 1 < text.length && text.bytes[brace + 1] == text.bytes[brace];
        out = rope_join(render, out, rope_slice(render, format, at, brace - at + doubled));
        at = brace + 1 + doubled;
        if (brace == text.length || doubled)
            continue;
        const char *close = memchr(text.bytes + brace, '}', text.length - brace);
        if (text.bytes[brace] == '}' || !close)
            return render_fail(render, ENOEXEC, "a brace of the format is alone");
        struct text inside = {text.bytes + at, (size_t)(close - text.bytes) - at};
        out = rope_join(render, out, brace_field(render, &braces, inside));
        at += inside.length + 1;
    }
    return value_string(out);
}
