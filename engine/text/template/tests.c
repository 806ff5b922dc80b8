/* tests.c - `is ...`; see render.h. */
#include "text/template/characters.h"
#include "text/template/render.h"

#include <errno.h>

/* Tests that compare with their argument. */
static bool comparison_of(struct text name, enum operation *out)
{
    static const struct {
        const char *name;
        enum operation operation;
    } rows[] = {
        {"eq", OPERATION_EQUAL},
        {"equalto", OPERATION_EQUAL},
        {"==", OPERATION_EQUAL},
        {"ne", OPERATION_UNEQUAL},
        {"!=", OPERATION_UNEQUAL},
        {"lt", OPERATION_LESS},
        {"<", OPERATION_LESS},
        {"lessthan", OPERATION_LESS},
        {"le", OPERATION_LESS_EQUAL},
        {"<=", OPERATION_LESS_EQUAL},
        {"gt", OPERATION_GREATER},
        {">", OPERATION_GREATER},
        {"greaterthan", OPERATION_GREATER},
        {"ge", OPERATION_GREATER_EQUAL},
        {">=", OPERATION_GREATER_EQUAL},
        {"in", OPERATION_IN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (text_is(name, rows[i].name)) {
            *out = rows[i].operation;
            return true;
        }
    }
    return false;
}

static bool is_defined(struct value value)
{
    return value.kind != VALUE_UNDEFINED;
}

static bool is_undefined(struct value value)
{
    return value.kind == VALUE_UNDEFINED;
}

static bool is_none(struct value value)
{
    return value.kind == VALUE_NONE;
}

static bool is_boolean(struct value value)
{
    return value.kind == VALUE_BOOL;
}

static bool is_the_true(struct value value)
{
    return value.kind == VALUE_BOOL && value.truth;
}

static bool is_the_false(struct value value)
{
    return value.kind == VALUE_BOOL && !value.truth;
}

static bool is_integer(struct value value)
{
    return value.kind == VALUE_INTEGER;
}

static bool is_float(struct value value)
{
    return value.kind == VALUE_FLOAT;
}

static bool is_mapping(struct value value)
{
    return value.kind == VALUE_DICT;
}

/* What has a length and items: undefined values and dicts too. */
static bool is_sequence(struct value value)
{
    return value.kind == VALUE_UNDEFINED || value.kind == VALUE_STRING ||
           value.kind == VALUE_DICT || (value.kind == VALUE_LIST && value.list->kind < LIST_VIEW);
}

static bool is_callable(struct value value)
{
    return value.kind >= VALUE_MACRO || value.kind == VALUE_UNDEFINED;
}

static const struct plain_test {
    const char *name;
    bool (*holds)(struct value value);
} plain_tests[] = {
    {"defined", is_defined},         {"undefined", is_undefined}, {"none", is_none},
    {"boolean", is_boolean},         {"true", is_the_true},       {"false", is_the_false},
    {"integer", is_integer},         {"float", is_float},         {"number", value_is_number},
    {"string", value_is_string},     {"mapping", is_mapping},     {"sequence", is_sequence},
    {"iterable", value_is_iterable}, {"callable", is_callable},
};

static const struct plain_test *find_plain(struct text name)
{
    for (size_t i = 0; i < sizeof plain_tests / sizeof *plain_tests; i++)
        if (text_is(name, plain_tests[i].name))
            return &plain_tests[i];
    return NULL;
}

/* Has the string letters, and all of this case? */
static bool has_case(struct render *render, struct value value, char (*to_other)(char byte))
{
    struct text text = rope_text(render, print_string(render, value));
    bool letters = false;
    render_work(render, text.length);
    for (size_t i = 0; i < text.length; i++) {
        if (to_other(text.bytes[i]) != text.bytes[i])
            letters = true;
        else if (characters_is_letter(text.bytes[i]))
            return false;
    }
    return letters;
}

static bool is_same(struct render *render, struct value left, struct value right)
{
    if (left.kind == VALUE_LIST || left.kind == VALUE_DICT)
        return left.kind == right.kind && left.list == right.list;
    return left.kind == right.kind && operators_equal(render, left, right);
}

static int64_t remainder_of(struct render *render, struct value value, struct value divisor)
{
    struct value remainder = operators_apply(render, OPERATION_MODULO, value, divisor);
    return value_is_number(remainder) ? value_real(remainder) != 0 : 0;
}

bool test_apply(struct render *render, struct text name, struct value input,
                const struct arguments *arguments)
{
    enum operation operation;
    const struct plain_test *plain = find_plain(name);
    if (plain)
        return calls_check(render, arguments, name, 0, 0) && plain->holds(input);
    struct value first = calls_argument(arguments, 0, "other", value_none());
    if (comparison_of(name, &operation))
        return calls_check(render, arguments, name, 1, 1) &&
               operators_compare(render, operation, input, first);
    if (text_is(name, "upper"))
        return has_case(render, input, characters_lower);
    if (text_is(name, "lower"))
        return has_case(render, input, characters_upper);
    if (text_is(name, "odd"))
        return remainder_of(render, input, value_integer(2)) != 0;
    if (text_is(name, "even"))
        return remainder_of(render, input, value_integer(2)) == 0;
    if (text_is(name, "divisibleby"))
        return remainder_of(render, input, calls_argument(arguments, 0, "num", value_none())) == 0;
    if (text_is(name, "sameas"))
        return is_same(render, input, first);
    render_fail(render, ENOEXEC, "there is no test \"%.*s\"", TEXT_ARGUMENTS(name));
    return false;
}
