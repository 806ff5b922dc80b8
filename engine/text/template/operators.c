/* operators.c - arithmetic, comparison, membership, as Python does them. */
#include "text/template/render.h"

#include <errno.h>
#include <math.h>

static struct value unsupported(struct render *render, const char *symbol, struct value left,
                                struct value right)
{
    return render_fail(render, ENOEXEC, "\"%s\" between %s and %s", symbol, value_type_name(left),
                       value_type_name(right));
}

static struct value overflow(struct render *render)
{
    return render_fail(render, ENOEXEC, "a number of more than 64 bits");
}

/* ---- arithmetic ---- */

/* Rounded towards minus infinity; the remainder has the sign of the divisor. */
static struct value floor_divide(struct render *render, int64_t left, int64_t right, bool modulo)
{
    if (right == 0)
        return render_fail(render, ENOEXEC, "division by zero");
    if (right == -1) {
        int64_t negated;
        if (modulo)
            return value_integer(0);
        return __builtin_sub_overflow(0, left, &negated) ? overflow(render)
                                                         : value_integer(negated);
    }
    int64_t quotient = left / right, remainder = left % right;
    if (remainder && (remainder < 0) != (right < 0)) {
        quotient--;
        remainder += right;
    }
    return value_integer(modulo ? remainder : quotient);
}

static struct value whole_power(struct render *render, int64_t base, int64_t exponent)
{
    int64_t result = 1;
    if (exponent < 0)
        return base ? value_float(pow((double)base, (double)exponent))
                    : render_fail(render, ENOEXEC, "division by zero");
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return overflow(render);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            return overflow(render);
    }
    return value_integer(result);
}

static struct value whole_operation(struct render *render, enum operation operation, int64_t left,
                                    int64_t right)
{
    int64_t result;
    bool failed;
    switch ((int)operation) {
    case OPERATION_ADD:
        failed = __builtin_add_overflow(left, right, &result);
        break;
    case OPERATION_SUBTRACT:
        failed = __builtin_sub_overflow(left, right, &result);
        break;
    case OPERATION_MULTIPLY:
        failed = __builtin_mul_overflow(left, right, &result);
        break;
    case OPERATION_DIVIDE:
        return right ? value_float((double)left / (double)right)
                     : render_fail(render, ENOEXEC, "division by zero");
    case OPERATION_POWER:
        return whole_power(render, left, right);
    default:
        return floor_divide(render, left, right, operation == OPERATION_MODULO);
    }
    return failed ? overflow(render) : value_integer(result);
}

static double real_modulo(double left, double right)
{
    double remainder = fmod(left, right);
    return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder;
}

static struct value real_operation(struct render *render, enum operation operation, double left,
                                   double right)
{
    switch ((int)operation) {
    case OPERATION_ADD:
        return value_float(left + right);
    case OPERATION_SUBTRACT:
        return value_float(left - right);
    case OPERATION_MULTIPLY:
        return value_float(left * right);
    case OPERATION_POWER:
        return value_float(pow(left, right));
    default:
        break;
    }
    if (right == 0)
        return render_fail(render, ENOEXEC, "division by zero");
    if (operation == OPERATION_DIVIDE)
        return value_float(left / right);
    return value_float(operation == OPERATION_MODULO ? real_modulo(left, right)
                                                     : floor(left / right));
}

static struct value join_lists(struct render *render, const struct list *left,
                               const struct list *right)
{
    struct list *joined = list_new(render, left->kind, left->count + right->count);
    for (size_t i = 0; i < left->count; i++)
        list_append(render, joined, left->items[i]);
    for (size_t i = 0; i < right->count; i++)
        list_append(render, joined, right->items[i]);
    return list_value(joined);
}

static struct value repeat(struct render *render, struct value value, int64_t count)
{
    if (value.kind == VALUE_STRING)
        return value_string(rope_repeat(render, value.string, count));
    struct list *result = list_new(render, value.list->kind, 0);
    for (; count > 0 && value.list->count && !render->status; count--)
        for (size_t i = 0; i < value.list->count; i++)
            list_append(render, result, value.list->items[i]);
    return list_value(result);
}

static bool is_sequence(struct value value)
{
    return value.kind == VALUE_STRING ||
           (value.kind == VALUE_LIST && value.list->kind < LIST_RANGE);
}

static const char *symbol_of(enum operation operation)
{
    static const char *const symbols[] = {
        "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
    return symbols[operation];
}

struct value operators_apply(struct render *render, enum operation operation, struct value left,
                             struct value right)
{
    if (value_is_whole(left) && value_is_whole(right))
        return whole_operation(render, operation, value_whole(left), value_whole(right));
    if (value_is_number(left) && value_is_number(right))
        return real_operation(render, operation, value_real(left), value_real(right));
    if (operation == OPERATION_MODULO && left.kind == VALUE_STRING)
        return format_percent(render, left.string, right);
    if (operation == OPERATION_ADD && left.kind == VALUE_STRING && right.kind == VALUE_STRING)
        return value_string(rope_join(render, left.string, right.string));
    if (operation == OPERATION_ADD && is_sequence(left) && is_sequence(right) &&
        left.kind == right.kind && left.list->kind == right.list->kind)
        return join_lists(render, left.list, right.list);
    if (operation == OPERATION_MULTIPLY && is_sequence(left) && value_is_whole(right))
        return repeat(render, left, value_whole(right));
    if (operation == OPERATION_MULTIPLY && is_sequence(right) && value_is_whole(left))
        return repeat(render, right, value_whole(left));
    return unsupported(render, symbol_of(operation), left, right);
}

struct value operators_negate(struct render *render, struct value value)
{
    int64_t negated;
    if (value.kind == VALUE_FLOAT)
        return value_float(-value.real);
    if (!value_is_whole(value))
        return render_fail(render, ENOEXEC, "\"-\" before %s", value_type_name(value));
    return __builtin_sub_overflow(0, value_whole(value), &negated) ? overflow(render)
                                                                   : value_integer(negated);
}

/* ---- comparison ---- */

static bool lists_equal(struct render *render, const struct list *left, const struct list *right)
{
    bool comparable = left->kind == right->kind && left->kind != LIST_GENERATOR;
    if (!comparable || left->count != right->count)
        return left == right;
    for (size_t i = 0; i < left->count && render_step(render, 1); i++)
        if (!operators_equal(render, left->items[i], right->items[i]))
            return false;
    return true;
}

static bool dicts_equal(struct render *render, const struct dict *left, const struct dict *right)
{
    if (left->count != right->count)
        return false;
    for (size_t i = 0; i < left->count; i++) {
        const struct value *found = dict_find(render, right, left->keys[i]);
        if (!found || !operators_equal(render, left->values[i], *found))
            return false;
    }
    return true;
}

static bool strings_equal(struct render *render, struct rope *left, struct rope *right)
{
    if (left->length != right->length)
        return false;
    render_work(render, left->length);
    return text_equals(rope_text(render, left), rope_text(render, right));
}

static bool same_kind_equal(struct render *render, struct value left, struct value right)
{
    switch (left.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return true;
    case VALUE_STRING:
        return strings_equal(render, left.string, right.string);
    case VALUE_LIST:
        return lists_equal(render, left.list, right.list);
    case VALUE_DICT:
        return dicts_equal(render, left.dict, right.dict);
    case VALUE_NAMESPACE:
        return left.dict == right.dict;
    case VALUE_LOOP:
        return left.loop == right.loop;
    case VALUE_MACRO:
        return left.macro == right.macro;
    case VALUE_METHOD:
        return left.method == right.method;
    case VALUE_GLOBAL:
        return left.global == right.global;
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
        break;
    }
    return false;
}

bool operators_equal(struct render *render, struct value left, struct value right)
{
    if (value_is_whole(left) && value_is_whole(right))
        return value_whole(left) == value_whole(right);
    if (value_is_number(left) && value_is_number(right))
        return value_real(left) == value_real(right);
    if (left.kind != right.kind || !render_enter(render))
        return false;
    bool equal = same_kind_equal(render, left, right);
    render_leave(render);
    return equal;
}

static int order_texts(struct text left, struct text right)
{
    size_t common = left.length < right.length ? left.length : right.length;
    int result = common ? memcmp(left.bytes, right.bytes, common) : 0;
    if (result)
        return result < 0 ? -1 : 1;
    return (left.length > right.length) - (left.length < right.length);
}

static int order_lists(struct render *render, const struct list *left, const struct list *right)
{
    for (size_t i = 0; i < left->count && i < right->count && render_step(render, 1); i++)
        if (!operators_equal(render, left->items[i], right->items[i]))
            return operators_order(render, left->items[i], right->items[i]);
    return (left->count > right->count) - (left->count < right->count);
}

int operators_order(struct render *render, struct value left, struct value right)
{
    int result = 0;
    if (value_is_whole(left) && value_is_whole(right))
        return (value_whole(left) > value_whole(right)) - (value_whole(left) < value_whole(right));
    if (value_is_number(left) && value_is_number(right))
        return (value_real(left) > value_real(right)) - (value_real(left) < value_real(right));
    if (!render_enter(render))
        return 0;
    if (left.kind == VALUE_STRING && right.kind == VALUE_STRING) {
        render_work(render, left.string->length);
        result = order_texts(rope_text(render, left.string), rope_text(render, right.string));
    } else if (left.kind == VALUE_LIST && right.kind == VALUE_LIST &&
               left.list->kind == right.list->kind && is_sequence(left)) {
        result = order_lists(render, left.list, right.list);
    } else {
        unsupported(render, "<", left, right);
    }
    render_leave(render);
    return result;
}

static bool is_nan(struct value value)
{
    return value.kind == VALUE_FLOAT && isnan(value.real);
}

bool operators_contain(struct render *render, struct value haystack, struct value needle)
{
    if (haystack.kind == VALUE_STRING) {
        if (needle.kind != VALUE_STRING) {
            unsupported(render, "in", needle, haystack);
            return false;
        }
        struct text inside = rope_text(render, needle.string);
        struct text text = rope_text(render, haystack.string);
        render_work(render, text.length);
        return inside.length == 0 ||
               (text.length && memmem(text.bytes, text.length, inside.bytes, inside.length));
    }
    if (haystack.kind == VALUE_DICT)
        return dict_find(render, haystack.dict, needle) != NULL;
    const struct list *items = list_items_of(render, haystack);
    for (size_t i = 0; i < items->count && render_step(render, 1); i++)
        if (operators_equal(render, items->items[i], needle))
            return true;
    return false;
}

bool operators_compare(struct render *render, enum operation operation, struct value left,
                       struct value right)
{
    if (operation == OPERATION_EQUAL || operation == OPERATION_UNEQUAL)
        return operators_equal(render, left, right) == (operation == OPERATION_EQUAL);
    if (operation == OPERATION_IN || operation == OPERATION_NOT_IN)
        return operators_contain(render, right, left) == (operation == OPERATION_IN);
    if (value_is_number(left) && value_is_number(right) && (is_nan(left) || is_nan(right)))
        return false;
    int result = operators_order(render, left, right);
    switch ((int)operation) {
    case OPERATION_LESS:
        return result < 0;
    case OPERATION_LESS_EQUAL:
        return result <= 0;
    case OPERATION_GREATER:
        return result > 0;
    default:
        return result >= 0;
    }
}
