/* test_embedding.c - texts out of a prompt, vectors out of states, and their bytes. */
#include "base/half.h"
#include "generate/texts.h"
#include "generate/vectors.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_texts(struct text input, char end, size_t count, const char *const *expected)
{
    struct texts texts;
    assert_int_equal(texts_split(input, end, false, &texts, NULL), 0);
    assert_int_equal(texts.count, count);
    for (size_t i = 0; i < count; i++)
        if (!text_is(texts.items[i], expected[i]))
            fail_msg("text %zu is \"%.*s\"", i, TEXT_ARGUMENTS(texts.items[i]));
    texts_free(&texts);
}

static void each_line_is_a_text(void **state)
{
    (void)state;
    assert_texts(text_of("one\ntwo\n"), '\n', 2, (const char *const[]){"one", "two"});
    assert_texts(text_of("one\ntwo"), '\n', 2, (const char *const[]){"one", "two"});
    assert_texts(text_of("a\r\n\nb\n"), '\n', 3, (const char *const[]){"a", "", "b"});
    assert_texts(text_of("\n"), '\n', 1, (const char *const[]){""});
    assert_texts(text_of(""), '\n', 0, NULL);
    assert_texts((struct text){"a\nb\0c", 5}, 0, 2, (const char *const[]){"a\nb", "c"});
}

static void the_last_line_may_have_lost_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t count;
    } cases[] = {{"", 0}, {"a", 1}, {"a\n", 2}, {"\n", 2}, {"a\n\n", 3}, {"a\nb", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct texts texts;
        assert_int_equal(texts_split(text_of(cases[i].input), '\n', true, &texts, NULL), 0);
        assert_int_equal(texts.count, cases[i].count);
        texts_free(&texts);
    }
}

static void a_json_string_stands_for_its_value(void **state)
{
    (void)state;
    assert_texts(text_of("\"a\\nb\"\n\"\\u00e9\"\n\"\"\n"), '\n', 3,
                 (const char *const[]){"a\nb", "\xc3\xa9", ""});
    /* these are none, or stand between NULs: the text is what is written */
    assert_texts(text_of("\"open\n\"a\" and \"b\"\n[1]\n\""), '\n', 4,
                 (const char *const[]){"\"open", "\"a\" and \"b\"", "[1]", "\""});
    assert_texts(text_of("\"a\""), 0, 1, (const char *const[]){"\"a\""});
    struct texts texts;
    assert_int_equal(texts_split(text_of("\"x\\u0000y\""), '\n', false, &texts, NULL), 0);
    assert_int_equal(texts.items[0].length, 3);
    texts_free(&texts);
}

static void too_many_texts_are_refused(void **state)
{
    (void)state;
    struct texts texts;
    struct error error;
    char *lines = malloc(TEXTS_MAX + 1);
    assert_non_null(lines);
    memset(lines, '\n', TEXTS_MAX + 1);
    assert_int_equal(texts_split((struct text){lines, TEXTS_MAX}, '\n', false, &texts, &error), 0);
    assert_int_equal(texts.count, TEXTS_MAX);
    texts_free(&texts);
    assert_int_equal(texts_split((struct text){lines, TEXTS_MAX + 1}, '\n', false, &texts, &error),
                     -EMSGSIZE);
    assert_int_equal(texts.count, 0);
    assert_null(texts.items);
    free(lines);
}

static void assert_pooled(enum config_pooling pooling, float first, float second)
{
    const float states[][2] = {{1, 2}, {3, 4}, {8, 0}};
    float out[2] = {NAN, NAN};
    for (int32_t i = 0; i < 3; i++)
        vectors_pool(pooling, states[i], i, 3, 2, out);
    assert_true(out[0] == first && out[1] == second);
    vectors_pool(pooling, states[1], 0, 1, 2, out); /* a text of one token */
    assert_true(out[0] == 3 && out[1] == 4);
}

static void pooling_takes_the_mean_the_first_or_the_last(void **state)
{
    (void)state;
    assert_pooled(CONFIG_POOLING_NONE, 4, 2);
    assert_pooled(CONFIG_POOLING_MEAN, 4, 2);
    assert_pooled(CONFIG_POOLING_FIRST, 1, 2);
    assert_pooled(CONFIG_POOLING_LAST, 8, 0);
    assert_true(vectors_needs(CONFIG_POOLING_MEAN, 1, 3));
    assert_false(vectors_needs(CONFIG_POOLING_FIRST, 1, 3));
    assert_false(vectors_needs(CONFIG_POOLING_LAST, 1, 3));
}

static void vectors_have_length_1_or_are_refused(void **state)
{
    (void)state;
    float vector[] = {3, -4}, zeros[] = {0, 0}, odd[] = {1, NAN}, huge[] = {3e38f, 3e38f};
    assert_true(vectors_normalise(vector, 2));
    assert_true(fabsf(vector[0] - 0.6f) < 1e-7f && fabsf(vector[1] + 0.8f) < 1e-7f);
    assert_true(vectors_normalise(zeros, 2));
    assert_true(zeros[0] == 0 && zeros[1] == 0);
    assert_false(vectors_normalise(odd, 2));
    assert_true(vectors_normalise(huge, 2)); /* the squares are summed in double */
    assert_true(fabsf(huge[0] - 0.70710678f) < 1e-6f);
}

static void json_gives_back_the_same_floats(void **state)
{
    (void)state;
    const float vector[] = {0.1f, -1e-20f, 0, 0x1.fffffep-1f, 1};
    float back[5];
    struct buffer out = buffer_new(1000), raw = buffer_new(1000), small = buffer_new(10);
    assert_int_equal(vectors_write_json(vector, 5, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    char *at = out.bytes;
    for (int i = 0; i < 5; i++) {
        assert_true(*at == (i ? ',' : '['));
        back[i] = strtof(at + 1, &at);
    }
    assert_string_equal(at, "]\n");
    assert_memory_equal(back, vector, sizeof vector);
    assert_int_equal(vectors_write_f32(vector, 5, &raw), 0);
    assert_int_equal(raw.length, sizeof vector);
    assert_memory_equal(raw.bytes, vector, sizeof vector);
    assert_int_equal(vectors_write_json(vector, 5, &small), -EMSGSIZE);
    buffer_free(&out);
    buffer_free(&raw);
    buffer_free(&small);
}

static void expect_printed(float value)
{
    char expected[32];
    struct buffer out = buffer_new(100);
    assert_int_equal(vectors_write_json(&value, 1, &out), 0);
    int length = snprintf(expected, sizeof expected, "[%.9g]\n", (double)value);
    if (out.length != (size_t)length || memcmp(out.bytes, expected, out.length) != 0)
        fail_msg("%.*s instead of %s", (int)out.length, out.bytes, expected);
    buffer_free(&out);
}

/* Numbers of every size, and those beside the powers of ten and of two and half-way between digits,
 * where a rounding could go wrong. */
static void json_numbers_are_those_of_printf(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525u + 1013904223u;
        expect_printed(float_of_bits((seed & 0x807fffff) | (100 + (seed >> 23) % 30) << 23));
    }
    for (float middle = 1e-6f; middle < 20; middle *= 10)
        for (uint32_t i = 0; i < 2000; i++)
            expect_printed(float_of_bits(float_bits(middle) - 1000 + i));
    for (uint32_t exponent = 0; exponent < 256; exponent++)
        for (uint32_t i = 0; i < 16; i++)
            expect_printed(float_of_bits((exponent << 23) + i * 0x80000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_text),
        cmocka_unit_test(the_last_line_may_have_lost_its_end),
        cmocka_unit_test(a_json_string_stands_for_its_value),
        cmocka_unit_test(too_many_texts_are_refused),
        cmocka_unit_test(pooling_takes_the_mean_the_first_or_the_last),
        cmocka_unit_test(vectors_have_length_1_or_are_refused),
        cmocka_unit_test(json_gives_back_the_same_floats),
        cmocka_unit_test(json_numbers_are_those_of_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
