/* grammar_integer.c - the whole numbers of a range, digit by digit.
 *
 * Numbers of one length are compared from the left: while the digits so far are those of the lower
 * (or upper) end, the next one has that end as its limit. */
#include "generate/grammar_json.h"

#include <errno.h>
#include <stdio.h>

enum { DECIMAL_DIGITS_MAX = 20 };

static struct fragment digit(struct grammar_builder *builder, char low, char high)
{
    struct code_range range = {(uint8_t)low, (uint8_t)high};
    return grammar_class(builder, &range, 1); /* nothing, when low is above high */
}

static struct fragment nothing(struct grammar_builder *builder)
{
    return (struct fragment){0, grammar_node(builder, GRAMMAR_JUMP, 0, 0)};
}

/* A digit in low..high and then any. */
static struct fragment free_tail(struct grammar_builder *builder, char low, char high, int left)
{
    if (low > high)
        return nothing(builder);
    struct fragment all = digit(builder, low, high);
    struct fragment rest = grammar_repeat(builder, digit(builder, '0', '9'), left - 1, left - 1);
    return left > 1 ? grammar_sequence(builder, all, rest) : all;
}

/* Strings of `left` digits that are at least (or at most) these, in one way through the digits. */
static struct fragment bounded(struct grammar_builder *builder, const char *bound, int left,
                               bool upper)
{
    struct fragment all = digit(builder, bound[left - 1], bound[left - 1]);
    for (int i = left - 1; i >= 0; i--) {
        struct fragment free = upper ? free_tail(builder, '0', (char)(bound[i] - 1), left - i)
                                     : free_tail(builder, (char)(bound[i] + 1), '9', left - i);
        if (i < left - 1)
            all = grammar_sequence(builder, digit(builder, bound[i], bound[i]), all);
        all = grammar_either(builder, all, free);
    }
    return all;
}

/* Numbers from low to high, which have the same count of digits. */
static struct fragment same_length(struct grammar_builder *builder, const char *low,
                                   const char *high, int length)
{
    int shared = 0;
    while (shared < length && low[shared] == high[shared])
        shared++;
    struct fragment all = grammar_literal(builder, (struct text){low, (size_t)shared});
    int left = length - shared - 1; /* behind the first digit that differs */
    if (left < 0)
        return all;
    low += shared;
    high += shared;
    struct fragment middle = free_tail(builder, (char)(*low + 1), (char)(*high - 1), left + 1);
    struct fragment lower = digit(builder, *low, *low), upper = digit(builder, *high, *high);
    if (left > 0) {
        lower = grammar_sequence(builder, lower, bounded(builder, low + 1, left, false));
        upper = grammar_sequence(builder, upper, bounded(builder, high + 1, left, true));
    }
    struct fragment ends = grammar_either(builder, lower, upper);
    return grammar_sequence(builder, all, grammar_either(builder, middle, ends));
}

/* 0 <= low <= high */
static struct fragment natural(struct grammar_builder *builder, uint64_t low, uint64_t high)
{
    struct fragment all = nothing(builder);
    char first[DECIMAL_DIGITS_MAX + 1], last[DECIMAL_DIGITS_MAX + 1];
    uint64_t smallest = 1; /* of this length */
    for (int length = 1; length < DECIMAL_DIGITS_MAX; length++, smallest *= 10) {
        uint64_t largest = smallest * 10 - 1;
        uint64_t from = length == 1 ? 0 : smallest;
        from = from < low ? low : from;
        largest = largest > high ? high : largest;
        if (from > largest)
            continue;
        snprintf(first, sizeof first, "%llu", (unsigned long long)from);
        snprintf(last, sizeof last, "%llu", (unsigned long long)largest);
        all = grammar_either(builder, same_length(builder, first, last, length), all);
    }
    return all;
}

struct fragment grammar_json_integer(struct grammar_builder *builder, int64_t minimum,
                                     int64_t maximum)
{
    struct fragment all = nothing(builder);
    if (maximum >= 0)
        all = natural(builder, minimum > 0 ? (uint64_t)minimum : 0, (uint64_t)maximum);
    if (minimum < 0) {
        uint64_t low = maximum < 0 ? 0 - (uint64_t)maximum : 1;
        struct fragment negative = natural(builder, low, 0 - (uint64_t)minimum);
        negative = grammar_sequence(builder, grammar_json_words(builder, "-"), negative);
        all = grammar_either(builder, negative, all);
    }
    return all;
}
