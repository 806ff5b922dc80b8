/* test_config.c - what the files of MODEL/config/ accept, keep and print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/config.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int open_config(void **state)
{
    struct config *config = calloc(1, sizeof *config);
    assert_non_null(config);
    assert_int_equal(config_open(config), 0);
    *state = config;
    return 0;
}

static int close_config(void **state)
{
    config_close(*state);
    free(*state);
    return 0;
}

/* config_set() and config_check() must agree. */
static int set(struct config *config, enum config_key key, const char *value)
{
    struct error error = {0}, again = {0};
    int status = config_set(config, key, text_of(value), &error);
    assert_int_equal(config_check(key, text_of(value), &again), status);
    if (status) {
        assert_int_equal(error.code, -status);
        assert_true(error.text[0] && !strchr(error.text, '\n'));
        assert_string_equal(error.text, again.text);
    }
    return status;
}

static void expect_text(const struct config *config, enum config_key key, const char *expected)
{
    struct buffer buffer = buffer_new(2 * CONFIG_TEXT_BYTES_MAX);
    assert_int_equal(config_format(config, key, &buffer), 0);
    assert_int_equal(buffer.length, strlen(expected));
    if (buffer.length)
        assert_memory_equal(buffer.bytes, expected, buffer.length);
    buffer_free(&buffer);
}

static void expect_refused(struct config *config, enum config_key key, const char *value,
                           int status)
{
    if (set(config, key, value) != status)
        fail_msg("%s: \"%s\" was not refused with %d", config_key_name(key), value, -status);
}

static void defaults_are_printed(void **state)
{
    static const char *const expected[CONFIG_KEYS] = {
        [CONFIG_CONTEXT] = "0\n",
        [CONFIG_DRY_ALLOWED_LENGTH] = "2\n",
        [CONFIG_DRY_BASE] = "1.75\n",
        [CONFIG_DRY_MULTIPLIER] = "0\n",
        [CONFIG_FORMAT] = "json\n",
        [CONFIG_KV] = "f16\n",
        [CONFIG_FREQUENCY_PENALTY] = "0\n",
        [CONFIG_GRAMMAR] = "",
        [CONFIG_JSON_SCHEMA] = "",
        [CONFIG_LOGIT_BIAS] = "",
        [CONFIG_LOGPROBS] = "0\n",
        [CONFIG_MIROSTAT] = "0\n",
        [CONFIG_MIROSTAT_ETA] = "0.1\n",
        [CONFIG_MIROSTAT_TAU] = "5\n",
        [CONFIG_PRESENCE_PENALTY] = "0\n",
        [CONFIG_STOP_TOKENS] = "",
        [CONFIG_THINKING] = "auto\n",
        [CONFIG_TYPICAL_P] = "1\n",
        [CONFIG_MAX_TOKENS] = "0\n",
        [CONFIG_MIN_P] = "0.05\n",
        [CONFIG_RAW] = "0\n",
        [CONFIG_REPEAT_PENALTY] = "1\n",
        [CONFIG_SEED] = "0\n",
        [CONFIG_SPECULATE] = "1\n",
        [CONFIG_STOP] = "",
        [CONFIG_SYSTEM] = "",
        [CONFIG_TEMPERATURE] = "0.7\n",
        [CONFIG_TIMEOUT] = "0\n",
        [CONFIG_TOP_K] = "40\n",
        [CONFIG_TOP_P] = "0.95\n",
    };
    for (int key = 0; key < CONFIG_KEYS; key++)
        expect_text(*state, (enum config_key)key, expected[key]);
}

static void keys_have_names_of_their_own(void **state)
{
    (void)state;
    for (int key = 0; key < CONFIG_KEYS; key++) {
        for (int other = 0; other < key; other++)
            assert_string_not_equal(config_key_name((enum config_key)key),
                                    config_key_name((enum config_key)other));
        assert_int_equal(config_is_multiline((enum config_key)key),
                         key == CONFIG_STOP || key == CONFIG_SYSTEM || key == CONFIG_GRAMMAR ||
                             key == CONFIG_JSON_SCHEMA || key == CONFIG_LOGIT_BIAS ||
                             key == CONFIG_STOP_TOKENS);
    }
}

static void values_are_set_and_read_back(void **state)
{
    static const struct {
        enum config_key key;
        const char *written, *read;
    } cases[] = {
        {CONFIG_TEMPERATURE, "0\n", "0\n"},
        {CONFIG_TEMPERATURE, "10", "10\n"},
        {CONFIG_TEMPERATURE, " \t 1.25 \r\n", "1.25\n"},
        {CONFIG_TEMPERATURE, "-0.0", "0\n"},
        {CONFIG_TEMPERATURE, ".5", "0.5\n"},
        {CONFIG_TEMPERATURE, "1.", "1\n"},
        {CONFIG_TEMPERATURE, "12e-1", "1.2\n"},
        {CONFIG_TEMPERATURE, "0.333333343", "0.33333334\n"},
        {CONFIG_MIN_P, "1e-05", "1e-05\n"},
        {CONFIG_TOP_P, "1e-40", "9.99995e-41\n"},
        {CONFIG_TOP_P, "1", "1\n"},
        {CONFIG_REPEAT_PENALTY, "0.1", "0.1\n"},
        {CONFIG_TIMEOUT, "1000000", "1000000\n"},
        {CONFIG_TIMEOUT, "1e9", "1000000000\n"},
        {CONFIG_TIMEOUT, "1234567.5", "1234567.5\n"},
        {CONFIG_TIMEOUT, "0.1", "0.1\n"},
        {CONFIG_CONTEXT, "0", "0\n"},
        {CONFIG_CONTEXT, "16", "16\n"},
        {CONFIG_CONTEXT, "16777216", "16777216\n"},
        {CONFIG_MAX_TOKENS, "007", "7\n"},
        {CONFIG_TOP_K, "2147483647", "2147483647\n"},
        {CONFIG_SEED, "18446744073709551615", "18446744073709551615\n"},
        {CONFIG_RAW, "1\n", "1\n"},
        {CONFIG_RAW, "0", "0\n"},
        {CONFIG_SYSTEM, "You are\nbrief.\n", "You are\nbrief.\n"},
        {CONFIG_SYSTEM, "two newlines\n\n", "two newlines\n\n"},
        {CONFIG_SYSTEM, "  kept  ", "  kept  \n"},
        {CONFIG_SYSTEM, "\n", ""},
        {CONFIG_SYSTEM, "%n %s \xff", "%n %s \xff\n"},
        {CONFIG_STOP, "User:\n\\n\\n\n", "User:\n\\n\\n\n"},
        {CONFIG_STOP, "", ""},
        {CONFIG_LOGIT_BIAS, "5 -100\n 7\t0.5\n", "5 -100\n7 0.5\n"},
        {CONFIG_LOGIT_BIAS, "\n", ""},
        {CONFIG_STOP_TOKENS, "1 2\n3", "1\n2\n3\n"},
        {CONFIG_THINKING, " off\n", "off\n"},
        {CONFIG_FORMAT, "f32\n", "f32\n"},
        {CONFIG_KV, "q8_0\n", "q8_0\n"},
        {CONFIG_MIROSTAT, "2", "2\n"},
        {CONFIG_GRAMMAR, "root ::= \"a\"\n", "root ::= \"a\"\n"},
    };
    struct config *config = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(set(config, cases[i].key, cases[i].written), 0);
        expect_text(config, cases[i].key, cases[i].read);
        assert_int_equal(set(config, cases[i].key, cases[i].read), 0);
        expect_text(config, cases[i].key, cases[i].read);
    }
    assert_true(config->sampling.seed == UINT64_MAX);
    assert_true(config->timeout_s == 0.1);
    assert_false(config->raw);
}

static void what_is_not_a_number_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",    " ",     "\n",  "nan",  "-nan", "inf",      "-inf", "infinity", "0x1",   "0x1p3",
        "+1",  "--1",   "1,5", "1 2",  "1x",   "1e",       "1e+",  ".",        "-",     "e1",
        ".e1", "1.2.3", "one", "1\n2", "1_0",  "\xd9\xa1", "1d0",  "0b1",      "1'000", "1f",
    };
    static const enum config_key keys[] = {CONFIG_TEMPERATURE, CONFIG_TIMEOUT, CONFIG_CONTEXT,
                                           CONFIG_SEED,        CONFIG_RAW,     CONFIG_TOP_P};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
            expect_refused(*state, keys[j], wrong[i], -EINVAL);
    expect_refused(*state, CONFIG_CONTEXT, "64.0", -EINVAL);
    expect_refused(*state, CONFIG_SEED, "1e3", -EINVAL);
    expect_refused(*state, CONFIG_RAW, "true", -EINVAL);
    struct text zero = {"1\0002", 3};
    assert_int_equal(config_check(CONFIG_TEMPERATURE, zero, NULL), -EINVAL);
    assert_int_equal(config_check(CONFIG_SEED, zero, NULL), -EINVAL);
    assert_int_equal(config_check(CONFIG_SEED, (struct text){NULL, 0}, NULL), -EINVAL);
}

static void what_is_out_of_range_is_refused_and_the_old_value_stays(void **state)
{
    static const struct {
        enum config_key key;
        const char *value;
    } cases[] = {
        {CONFIG_TEMPERATURE, "-0.1"},
        {CONFIG_TEMPERATURE, "10.001"},
        {CONFIG_TEMPERATURE, "1e999"},
        {CONFIG_TEMPERATURE, "1e-999"},
        {CONFIG_MIROSTAT, "1"},
        {CONFIG_MIROSTAT, "3"},
        {CONFIG_LOGPROBS, "21"},
        {CONFIG_PRESENCE_PENALTY, "-11"},
        {CONFIG_TOP_P, "1.0001"},
        {CONFIG_MIN_P, "-1"},
        {CONFIG_MIN_P, "2"},
        {CONFIG_REPEAT_PENALTY, "0"},
        {CONFIG_REPEAT_PENALTY, "0.09"},
        {CONFIG_TIMEOUT, "-1"},
        {CONFIG_TIMEOUT, "1000000001"},
        {CONFIG_CONTEXT, "-1"},
        {CONFIG_CONTEXT, "1"},
        {CONFIG_CONTEXT, "15"},
        {CONFIG_CONTEXT, "16777217"},
        {CONFIG_CONTEXT, "4294967312"}, /* 16 in 32 bits */
        {CONFIG_MAX_TOKENS, "-1"},
        {CONFIG_TOP_K, "2147483648"},
        {CONFIG_SEED, "-1"},
        {CONFIG_SEED, "18446744073709551616"},
        {CONFIG_SEED, "99999999999999999999999999999999999999999999999999999999999999999999999"},
        {CONFIG_RAW, "2"},
    };
    struct config *config = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(config, cases[i].key, cases[i].value, -ERANGE);
    defaults_are_printed(state);
}

static void every_float_survives_reading_back(void **state)
{
    struct config *config = *state;
    uint32_t bits = 12345;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 1664525 + 1013904223;
        float value = ldexpf((float)(bits >> 8), -24 - (int)(bits & 15));
        config->sampling.min_p = value;
        struct buffer buffer = buffer_new(64);
        assert_int_equal(config_format(config, CONFIG_MIN_P, &buffer), 0);
        config->sampling.min_p = -1;
        assert_int_equal(config_set(config, CONFIG_MIN_P, buffer_text(&buffer), NULL), 0);
        assert_true(config->sampling.min_p == value);
        buffer_free(&buffer);
    }
}

static void lists_of_tokens_are_checked(void **state)
{
    struct config *config = *state;
    assert_int_equal(set(config, CONFIG_LOGIT_BIAS, "1 2\n3 -4.5\n"), 0);
    expect_refused(config, CONFIG_LOGIT_BIAS, "1", -EINVAL);
    expect_refused(config, CONFIG_LOGIT_BIAS, "1 x", -EINVAL);
    expect_refused(config, CONFIG_LOGIT_BIAS, "-1 1", -EINVAL);
    expect_refused(config, CONFIG_LOGIT_BIAS, "2147483648 1", -EINVAL);
    expect_refused(config, CONFIG_LOGIT_BIAS, "1 1e39", -ERANGE);
    expect_refused(config, CONFIG_STOP_TOKENS, "1 two", -EINVAL);
    expect_refused(config, CONFIG_STOP_TOKENS, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
                   -EMSGSIZE);
    expect_refused(config, CONFIG_THINKING, "yes", -EINVAL);
    expect_refused(config, CONFIG_FORMAT, "text", -EINVAL);
    expect_refused(config, CONFIG_KV, "q4_0", -EINVAL);
    assert_int_equal(config->bias_count, 2);
    assert_int_equal(config->biases[1].token, 3);
    assert_true(config->biases[1].bias == -4.5f);

    char *lines = calloc(SAMPLING_BIASES_MAX + 1, 4);
    assert_non_null(lines);
    for (int i = 0; i < SAMPLING_BIASES_MAX; i++)
        memcpy(lines + 4 * i, "1 2\n", 4);
    assert_int_equal(set(config, CONFIG_LOGIT_BIAS, lines), 0);
    memcpy(lines + (size_t)4 * SAMPLING_BIASES_MAX, "1 2", 3);
    expect_refused(config, CONFIG_LOGIT_BIAS, lines, -EMSGSIZE);
    free(lines);
}

/* The keys of the sampling parameters are their places in the table. */
static void sampling_parameters_have_their_files(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLING_PARAMETERS; i++)
        assert_string_equal(config_key_name((enum config_key)i), sampling_parameters[i].name);
    assert_string_equal(config_key_name(CONFIG_MIROSTAT_ETA), "mirostat_eta");
    assert_string_equal(config_key_name(CONFIG_CONTEXT), "context");
    assert_string_equal(config_key_name(CONFIG_TIMEOUT), "timeout");
}

static void stops_are_lines_with_escapes(void **state)
{
    struct config *config = *state;
    assert_int_equal(set(config, CONFIG_STOP, "\n\n</s>\n\n\\n\\nUser:\\t\n a b \n\\\\n\n"), 0);
    assert_int_equal(config->stop_count, 4);
    assert_true(text_is(config->stops[0], "</s>"));
    assert_true(text_is(config->stops[1], "\n\nUser:\t"));
    assert_true(text_is(config->stops[2], " a b "));
    assert_true(text_is(config->stops[3], "\\n"));
    expect_refused(config, CONFIG_STOP, "a\\x", -EINVAL);
    expect_refused(config, CONFIG_STOP, "ends with \\", -EINVAL);
    expect_refused(config, CONFIG_STOP, "ends with \\\nnext", -EINVAL);
    assert_int_equal(config->stop_count, 4);
    assert_true(text_is(config->stops[0], "</s>"));
    assert_int_equal(set(config, CONFIG_STOP, "\n\n"), 0);
    assert_int_equal(config->stop_count, 0);
}

static void stops_have_limits(void **state)
{
    struct config *config = *state;
    char line[2 * CONFIG_STOP_BYTES_MAX + 2] = {0};
    memset(line, 'x', CONFIG_STOP_BYTES_MAX);
    assert_int_equal(set(config, CONFIG_STOP, line), 0);
    assert_int_equal(config->stops[0].length, CONFIG_STOP_BYTES_MAX);
    line[CONFIG_STOP_BYTES_MAX] = 'x';
    expect_refused(config, CONFIG_STOP, line, -EMSGSIZE);
    for (size_t i = 0; i < CONFIG_STOP_BYTES_MAX; i++)
        memcpy(line + 2 * i, "\\t", 2); /* counted as what it stands for */
    assert_int_equal(set(config, CONFIG_STOP, line), 0);
    assert_int_equal(config->stops[0].length, CONFIG_STOP_BYTES_MAX);

    assert_int_equal(set(config, CONFIG_STOP, "1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\nd\ne\nf\ng\n"),
                     0);
    assert_int_equal(config->stop_count, CONFIG_STOPS_MAX);
    expect_refused(config, CONFIG_STOP, "1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\nd\ne\nf\ng\nh",
                   -EMSGSIZE);
    assert_int_equal(config->stop_count, CONFIG_STOPS_MAX);
}

static void texts_have_limits(void **state)
{
    struct config *config = *state;
    char *text = calloc(1, CONFIG_TEXT_BYTES_MAX + 2);
    assert_non_null(text);
    memset(text, 'x', CONFIG_TEXT_BYTES_MAX);
    assert_int_equal(set(config, CONFIG_SYSTEM, text), 0);
    assert_int_equal(strlen(config->system), CONFIG_TEXT_BYTES_MAX);
    text[CONFIG_TEXT_BYTES_MAX] = '\n'; /* not part of the text */
    assert_int_equal(set(config, CONFIG_SYSTEM, text), 0);
    text[CONFIG_TEXT_BYTES_MAX] = 'x';
    expect_refused(config, CONFIG_SYSTEM, text, -EMSGSIZE);
    expect_refused(config, CONFIG_STOP, text, -EMSGSIZE);
    free(text);
    struct text zero = {"a\0b", 3};
    assert_int_equal(config_set(config, CONFIG_SYSTEM, zero, NULL), -EINVAL);
    assert_int_equal(config_set(config, CONFIG_STOP, zero, NULL), -EINVAL);
    assert_int_equal(strlen(config->system), CONFIG_TEXT_BYTES_MAX);
}

static void a_copy_does_not_follow_its_original(void **state)
{
    struct config *config = *state, copy;
    assert_int_equal(set(config, CONFIG_SYSTEM, "be brief"), 0);
    assert_int_equal(set(config, CONFIG_STOP, "one\n\\ntwo"), 0);
    assert_int_equal(set(config, CONFIG_SEED, "7"), 0);
    assert_int_equal(config_copy(config, &copy), 0);
    assert_int_equal(set(config, CONFIG_SYSTEM, "be long"), 0);
    assert_int_equal(set(config, CONFIG_STOP, "three"), 0);
    assert_int_equal(set(config, CONFIG_SEED, "8"), 0);
    expect_text(&copy, CONFIG_SYSTEM, "be brief\n");
    expect_text(&copy, CONFIG_STOP, "one\n\\ntwo\n");
    expect_text(&copy, CONFIG_SEED, "7\n");
    assert_int_equal(copy.stop_count, 2);
    assert_true(text_is(copy.stops[0], "one"));
    assert_true(text_is(copy.stops[1], "\ntwo"));
    config_close(&copy);
    assert_int_equal(set(config, CONFIG_STOP, ""), 0);
    assert_int_equal(config_copy(config, &copy), 0);
    assert_int_equal(copy.stop_count, 0);
    config_close(&copy);
}

static void a_full_buffer_takes_nothing(void **state)
{
    struct config *config = *state;
    assert_int_equal(set(config, CONFIG_SEED, "123456"), 0);
    struct buffer buffer = buffer_new(6);
    assert_int_equal(config_format(config, CONFIG_SEED, &buffer), -EMSGSIZE);
    assert_int_equal(buffer.length, 0);
    buffer_free(&buffer);
}

static void numbers_are_the_same_in_a_locale_with_a_decimal_comma(void **state)
{
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        skip();
    struct config *config = *state;
    assert_int_equal(set(config, CONFIG_TEMPERATURE, "0.25"), 0);
    expect_text(config, CONFIG_TEMPERATURE, "0.25\n");
    expect_refused(config, CONFIG_TEMPERATURE, "0,25", -EINVAL);
    setlocale(LC_ALL, "C");
}

#define CONFIG_TEST(function) cmocka_unit_test_setup_teardown(function, open_config, close_config)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(defaults_are_printed),
        CONFIG_TEST(keys_have_names_of_their_own),
        CONFIG_TEST(values_are_set_and_read_back),
        CONFIG_TEST(what_is_not_a_number_is_refused),
        CONFIG_TEST(what_is_out_of_range_is_refused_and_the_old_value_stays),
        CONFIG_TEST(every_float_survives_reading_back),
        CONFIG_TEST(lists_of_tokens_are_checked),
        cmocka_unit_test(sampling_parameters_have_their_files),
        CONFIG_TEST(stops_are_lines_with_escapes),
        CONFIG_TEST(stops_have_limits),
        CONFIG_TEST(texts_have_limits),
        CONFIG_TEST(a_copy_does_not_follow_its_original),
        CONFIG_TEST(a_full_buffer_takes_nothing),
        CONFIG_TEST(numbers_are_the_same_in_a_locale_with_a_decimal_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
