/* test_gguf.c - good GGUF files in memory: every getter, every type of tensor.  Files on disk are
 * in test_gguf_files.c, bad ones in test_gguf_evil.c. */
#include "base/threads.h"
#include "load/gguf.h"

#include "tests/lib/gguf_writer.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct opened {
    uint8_t *bytes;
    struct gguf *gguf;
};

/* Open what was written, which must be fine; the writer is freed. */
static struct opened open_written(struct gguf_writer *writer)
{
    struct opened opened = {0};
    struct error error = {0};
    size_t length;
    opened.bytes = gguf_writer_finish(writer, &length);
    gguf_writer_free(writer);
    if (gguf_open_memory(opened.bytes, length, &opened.gguf, &error))
        fail_msg("refused: %s", error.text);
    assert_int_equal(gguf_file_bytes(opened.gguf), length);
    return opened;
}

/* What two threads find. */
static uint64_t resident_bytes(const struct gguf *gguf)
{
    struct threads *threads;
    bool proven;
    assert_int_equal(threads_open(2, &threads, NULL), 0);
    uint64_t bytes = gguf_resident_bytes(gguf, threads, &proven);
    threads_close(threads);
    return bytes;
}

static void close_opened(struct opened opened)
{
    gguf_close(opened.gguf);
    free(opened.bytes);
}

/* ---- keys ---- */

static void opens_a_file_with_nothing_in_it(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    struct opened opened = open_written(&writer);
    assert_int_equal(gguf_version(opened.gguf), 3);
    assert_int_equal(gguf_file_bytes(opened.gguf), 24);
    assert_int_equal(gguf_key_count(opened.gguf), 0);
    assert_int_equal(gguf_tensor_count(opened.gguf), 0);
    assert_null(gguf_find(opened.gguf, "general.name"));
    assert_null(gguf_tensor(opened.gguf, "output.weight"));
    close_opened(opened);
}

static void counts_memory_as_resident(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "a", 1);
    struct opened opened = open_written(&writer);
    assert_int_equal(gguf_populate(opened.gguf, NULL), 0);
    assert_int_equal(resident_bytes(opened.gguf), gguf_file_bytes(opened.gguf));
    close_opened(opened);
}

static void opens_version_2(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    writer.version = 2;
    gguf_writer_u32(&writer, "a.block_count", 7);
    struct opened opened = open_written(&writer);
    uint32_t count = 0;
    assert_int_equal(gguf_version(opened.gguf), 2);
    assert_int_equal(gguf_get_u32(opened.gguf, "a.block_count", &count, NULL), 0);
    assert_int_equal(count, 7);
    close_opened(opened);
}

static void reads_every_integer_type_whose_value_fits(void **state)
{
    (void)state;
    static const struct {
        enum gguf_type type;
        int64_t value;
    } fitting[] = {
        {GGUF_UINT8, 255},         {GGUF_INT8, 127},          {GGUF_UINT16, 65535},
        {GGUF_INT16, 32767},       {GGUF_UINT32, UINT32_MAX}, {GGUF_INT32, INT32_MAX},
        {GGUF_UINT64, UINT32_MAX}, {GGUF_INT64, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof fitting / sizeof *fitting; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_integer(&writer, "number", fitting[i].type, fitting[i].value);
        struct opened opened = open_written(&writer);
        uint32_t number = 0;
        assert_int_equal(gguf_get_u32(opened.gguf, "number", &number, NULL), 0);
        assert_int_equal(number, fitting[i].value);
        close_opened(opened);
    }
}

static void refuses_integers_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        enum gguf_type type;
        int64_t value;
    } unfitting[] = {
        {GGUF_INT8, -1},   {GGUF_INT16, -1},        {GGUF_INT32, -1},
        {GGUF_INT64, -1},  {GGUF_INT64, 1ll << 32}, {GGUF_UINT64, 1ll << 32},
        {GGUF_UINT64, -1}, {GGUF_INT64, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof unfitting / sizeof *unfitting; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_integer(&writer, "number", unfitting[i].type, unfitting[i].value);
        struct opened opened = open_written(&writer);
        struct error error = {0};
        uint32_t number = 5;
        assert_int_equal(gguf_get_u32(opened.gguf, "number", &number, &error), -ENOEXEC);
        assert_non_null(strstr(error.text, "key number holds a number that is not in 0 to"));
        assert_non_null(strstr(error.text, "(at byte 42)")); /* 24 + 8 + 6 + 4 */
        assert_int_equal(number, 5);
        close_opened(opened);
    }
}

static void reads_floats_of_both_widths(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_f32(&writer, "narrow", 1e-5f);
    gguf_writer_number(&writer, "wide", GGUF_FLOAT64, 0.25);
    gguf_writer_number(&writer, "large", GGUF_FLOAT64, 1e300);
    gguf_writer_f32(&writer, "infinite", INFINITY);
    gguf_writer_f32(&writer, "nan", NAN);
    gguf_writer_number(&writer, "wide_nan", GGUF_FLOAT64, (double)NAN);
    struct opened opened = open_written(&writer);
    float number = 0;
    assert_int_equal(gguf_get_f32(opened.gguf, "narrow", &number, NULL), 0);
    assert_true(number == 1e-5f);
    assert_int_equal(gguf_get_f32(opened.gguf, "wide", &number, NULL), 0);
    assert_true(number == 0.25f);
    static const char *const bad[] = {"large", "infinite", "nan", "wide_nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {0};
        assert_int_equal(gguf_get_f32(opened.gguf, bad[i], &number, &error), -ENOEXEC);
        assert_non_null(strstr(error.text, bad[i]));
        assert_true(number == 0.25f);
    }
    close_opened(opened);
}

static void reads_booleans_and_strings(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_bool(&writer, "yes", true);
    gguf_writer_bool(&writer, "no", false);
    gguf_writer_string(&writer, "name", text_of("SmolLM"));
    gguf_writer_string(&writer, "empty", text_of(""));
    gguf_writer_string(&writer, "bytes", (struct text){"a\0b", 3});
    struct opened opened = open_written(&writer);
    bool flag = false;
    assert_int_equal(gguf_get_bool(opened.gguf, "yes", &flag, NULL), 0);
    assert_true(flag);
    assert_int_equal(gguf_get_bool(opened.gguf, "no", &flag, NULL), 0);
    assert_false(flag);
    struct text text;
    assert_int_equal(gguf_get_string(opened.gguf, "name", &text, NULL), 0);
    assert_true(text_is(text, "SmolLM"));
    assert_int_equal(gguf_get_string(opened.gguf, "empty", &text, NULL), 0);
    assert_int_equal(text.length, 0);
    assert_int_equal(gguf_get_string(opened.gguf, "bytes", &text, NULL), 0);
    assert_true(text_equals(text, (struct text){"a\0b", 3}));
    close_opened(opened);
}

static void tells_an_absent_key_from_one_of_another_type(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "text", text_of("7"));
    gguf_writer_u32(&writer, "number", 7);
    struct opened opened = open_written(&writer);
    struct gguf *gguf = opened.gguf;
    uint32_t number;
    float real;
    bool flag;
    struct text text;
    const struct gguf_value *array;
    struct error error = {0};
    assert_int_equal(gguf_get_u32(gguf, "none", &number, &error), -ENOENT);
    assert_int_equal(gguf_get_f32(gguf, "none", &real, &error), -ENOENT);
    assert_int_equal(gguf_get_bool(gguf, "none", &flag, &error), -ENOENT);
    assert_int_equal(gguf_get_string(gguf, "none", &text, &error), -ENOENT);
    assert_int_equal(gguf_get_array(gguf, "none", GGUF_INT32, &array, &error), -ENOENT);
    assert_int_equal(error.code, 0);
    assert_string_equal(error.text, "");
    assert_int_equal(gguf_get_u32(gguf, "text", &number, &error), -ENOEXEC);
    assert_string_equal(error.text, "key text is of type STRING, not an integer (at byte 40)");
    assert_int_equal(gguf_get_f32(gguf, "number", &real, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "key number is of type UINT32, not a float"));
    assert_int_equal(gguf_get_bool(gguf, "number", &flag, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "not BOOL"));
    assert_int_equal(gguf_get_string(gguf, "number", &text, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "not STRING"));
    assert_int_equal(gguf_get_array(gguf, "number", GGUF_INT32, &array, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "not ARRAY"));
    close_opened(opened);
}

static void reads_arrays_of_numbers_and_strings(void **state)
{
    (void)state;
    static const int32_t types[] = {1, -3, INT32_MIN};
    static const float scores[] = {0.5f, -1e10f};
    const struct text tokens[] = {text_of("<s>"), text_of(""), {"\0\xff", 2}};
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "x", text_of("odd")); /* nothing after it is aligned */
    gguf_writer_array(&writer, "types", GGUF_INT32, 3, types, sizeof types);
    gguf_writer_array(&writer, "scores", GGUF_FLOAT32, 2, scores, sizeof scores);
    gguf_writer_strings(&writer, "tokens", 3, tokens);
    gguf_writer_array(&writer, "none", GGUF_STRING, 0, NULL, 0);
    struct opened opened = open_written(&writer);
    const struct gguf_value *array = NULL;
    assert_int_equal(gguf_get_array(opened.gguf, "types", GGUF_INT32, &array, NULL), 0);
    assert_int_equal(array->count, 3);
    assert_int_equal(array->bytes, 12);
    for (uint64_t i = 0; i < array->count; i++)
        assert_int_equal(gguf_item_i32(array, i), types[i]);
    assert_int_equal(gguf_get_array(opened.gguf, "scores", GGUF_FLOAT32, &array, NULL), 0);
    assert_true(gguf_item_f32(array, 0) == 0.5f && gguf_item_f32(array, 1) == -1e10f);
    assert_int_equal(gguf_get_array(opened.gguf, "tokens", GGUF_STRING, &array, NULL), 0);
    assert_int_equal(array->count, 3);
    const uint8_t *at = array->data;
    for (uint64_t i = 0; i < array->count; i++)
        assert_true(text_equals(gguf_next_string(&at), tokens[i]));
    assert_ptr_equal(at, array->data + array->bytes);
    assert_int_equal(gguf_get_array(opened.gguf, "none", GGUF_STRING, &array, NULL), 0);
    assert_int_equal(array->count, 0);
    close_opened(opened);
}

/* llama.cpp read scores stored as INT8 as floats. */
static void refuses_an_array_of_other_items(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_array(&writer, "tokenizer.ggml.scores", GGUF_INT8, 4, "abcd", 4);
    struct opened opened = open_written(&writer);
    const struct gguf_value *array;
    struct error error = {0};
    assert_int_equal(
        gguf_get_array(opened.gguf, "tokenizer.ggml.scores", GGUF_FLOAT32, &array, &error),
        -ENOEXEC);
    assert_non_null(
        strstr(error.text, "tokenizer.ggml.scores is an array of INT8, not of FLOAT32"));
    close_opened(opened);
}

static void keeps_keys_in_file_order_and_finds_each(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct gguf_writer writer = gguf_writer_new();
    char key[16];
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "k%u", i * 7919 % COUNT);
        gguf_writer_u32(&writer, key, i);
    }
    struct opened opened = open_written(&writer);
    assert_int_equal(gguf_key_count(opened.gguf), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "k%u", i * 7919 % COUNT);
        assert_true(text_is(gguf_key(opened.gguf, i)->key, key));
        assert_ptr_equal(gguf_find(opened.gguf, key), gguf_key(opened.gguf, i));
    }
    assert_null(gguf_find(opened.gguf, "k"));
    assert_null(gguf_find(opened.gguf, "k2000"));
    close_opened(opened);
}

/* ---- tensors ---- */

static void views_tensors_of_every_type(void **state)
{
    (void)state;
    static const uint32_t types[] = {
        TENSOR_F32,    TENSOR_F16,   TENSOR_BF16,  TENSOR_Q4_0,  TENSOR_Q4_1,
        TENSOR_Q5_0,   TENSOR_Q5_1,  TENSOR_Q8_0,  TENSOR_Q2_K,  TENSOR_Q3_K,
        TENSOR_Q4_K,   TENSOR_Q5_K,  TENSOR_Q6_K,  TENSOR_Q8_K,  TENSOR_IQ4_NL,
        TENSOR_IQ4_XS, TENSOR_TQ1_0, TENSOR_TQ2_0, TENSOR_MXFP4,
    };
    enum { COUNT = sizeof types / sizeof *types, WEIGHTS = 512 };
    const uint64_t shape[] = {WEIGHTS, 3};
    static uint8_t bytes[WEIGHTS * 3 * 4];
    struct gguf_writer writer = gguf_writer_new();
    uint64_t total = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct tensor_format *format = tensor_format(types[i]);
        size_t length = WEIGHTS * 3 / format->block * format->block_bytes;
        memset(bytes, (int)i + 1, length);
        gguf_writer_tensor(&writer, format->name, types[i], 2, shape, bytes, length);
        total += length;
    }
    struct opened opened = open_written(&writer);
    assert_int_equal(gguf_tensor_count(opened.gguf), COUNT);
    assert_int_equal(gguf_tensor_bytes(opened.gguf), total);
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct tensor_format *format = tensor_format(types[i]);
        const struct tensor *tensor = gguf_tensor(opened.gguf, format->name);
        assert_ptr_equal(tensor, gguf_tensor_at(opened.gguf, i));
        assert_string_equal(tensor->name, format->name);
        assert_int_equal(tensor->type, types[i]);
        assert_int_equal(tensor->bytes, WEIGHTS * 3 / format->block * format->block_bytes);
        assert_int_equal(tensor->data[0], i + 1);
        assert_int_equal(tensor->data[tensor->bytes - 1], i + 1);
    }
    close_opened(opened);
}

static void fills_missing_dimensions_with_one(void **state)
{
    (void)state;
    static const float values[24] = {0};
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_tensor(&writer, "one", TENSOR_F32, 1, (uint64_t[]){5}, values, 20);
    gguf_writer_tensor(&writer, "four", TENSOR_F32, 4, (uint64_t[]){2, 3, 1, 4}, values, 96);
    struct opened opened = open_written(&writer);
    const struct tensor *one = gguf_tensor(opened.gguf, "one");
    const struct tensor *four = gguf_tensor(opened.gguf, "four");
    assert_int_equal(one->dimensions, 1);
    assert_memory_equal(one->shape, ((uint64_t[]){5, 1, 1, 1}), 32);
    assert_int_equal(one->bytes, 20);
    assert_int_equal(four->dimensions, 4);
    assert_memory_equal(four->shape, ((uint64_t[]){2, 3, 1, 4}), 32);
    assert_int_equal(four->bytes, 96);
    close_opened(opened);
}

static void takes_tensors_stored_in_any_order_and_with_gaps(void **state)
{
    (void)state;
    const uint64_t shape[] = {8};
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_row(&writer, text_of("last"), 1, shape, TENSOR_F32, 128);
    gguf_writer_row(&writer, text_of("first"), 1, shape, TENSOR_F32, 0);
    uint8_t data[160] = {[0] = 1, [128] = 2};
    assert_int_equal(buffer_append(&writer.data, data, sizeof data), 0);
    struct opened opened = open_written(&writer);
    assert_int_equal(gguf_tensor(opened.gguf, "first")->data[0], 1);
    assert_int_equal(gguf_tensor(opened.gguf, "last")->data[0], 2);
    close_opened(opened);
}

static void obeys_the_alignment_of_the_file(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {8, 16, 64, 65536};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_align(&writer, alignments[i]);
        gguf_writer_tensor(&writer, "a", TENSOR_F16, 1, (uint64_t[]){1}, "aa", 2);
        gguf_writer_tensor(&writer, "b", TENSOR_F16, 1, (uint64_t[]){1}, "bb", 2);
        struct opened opened = open_written(&writer);
        const struct tensor *a = gguf_tensor(opened.gguf, "a"), *b = gguf_tensor(opened.gguf, "b");
        assert_int_equal((uint64_t)(a->data - opened.bytes) % alignments[i], 0);
        assert_int_equal(b->data - a->data, alignments[i]);
        assert_int_equal(b->data[1], 'b');
        close_opened(opened);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_a_file_with_nothing_in_it),
        cmocka_unit_test(counts_memory_as_resident),
        cmocka_unit_test(opens_version_2),
        cmocka_unit_test(reads_every_integer_type_whose_value_fits),
        cmocka_unit_test(refuses_integers_that_do_not_fit),
        cmocka_unit_test(reads_floats_of_both_widths),
        cmocka_unit_test(reads_booleans_and_strings),
        cmocka_unit_test(tells_an_absent_key_from_one_of_another_type),
        cmocka_unit_test(reads_arrays_of_numbers_and_strings),
        cmocka_unit_test(refuses_an_array_of_other_items),
        cmocka_unit_test(keeps_keys_in_file_order_and_finds_each),
        cmocka_unit_test(views_tensors_of_every_type),
        cmocka_unit_test(fills_missing_dimensions_with_one),
        cmocka_unit_test(takes_tensors_stored_in_any_order_and_with_gaps),
        cmocka_unit_test(obeys_the_alignment_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
