/* test_safetensors.c - headers that tell the truth, and every lie that one can tell: each is
 * refused with -ENOEXEC and a sentence that names the place. */
#include "load/safetensors.h"

#include "load/gguf.h"
#include "load/jsonload.h"
#include "tests/lib/safetensors_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_bytes_refused(const void *bytes, size_t length, const char *place)
{
    struct safetensors *file = NULL;
    struct error error = {0};
    int status = safetensors_parse(bytes, length, &file, &error);
    if (status != -ENOEXEC)
        fail_msg("status %d, \"%s\", expected \"%s\"", status, error.text, place);
    assert_null(file);
    if (!strstr(error.text, place))
        fail_msg("\"%s\" does not say \"%s\"", error.text, place);
}

/* A file of that header and so many bytes of data. */
static void expect_refused(const char *header, size_t data_bytes, const char *place)
{
    size_t length;
    uint8_t *bytes = safetensors_writer_raw(header, data_bytes, &length);
    expect_bytes_refused(bytes, length, place);
    free(bytes);
}

static void expect_accepted(const char *header, size_t data_bytes, size_t count)
{
    size_t length;
    struct safetensors *file = NULL;
    struct error error = {0};
    uint8_t *bytes = safetensors_writer_raw(header, data_bytes, &length);
    if (safetensors_parse(bytes, length, &file, &error))
        fail_msg("%s", error.text);
    assert_int_equal(safetensors_count(file), count);
    safetensors_close(file);
    free(bytes);
}

/* ---- good files ---- */

static void views_point_at_the_bytes(void **state)
{
    (void)state;
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "a.weight", "F32", 3, 4);
    safetensors_writer_tensor(&writer, "b", "BF16", 0, 5);
    size_t length;
    uint8_t *bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    struct safetensors *file = NULL;
    assert_int_equal(safetensors_parse(bytes, length, &file, NULL), 0);
    assert_int_equal(safetensors_count(file), 2);
    const struct safetensors_tensor *a = safetensors_at(file, 0), *b = safetensors_at(file, 1);
    assert_string_equal(a->name, "a.weight");
    assert_string_equal(a->dtype, "F32");
    assert_int_equal(a->dimensions, 2);
    assert_int_equal(a->shape[0], 3);
    assert_int_equal(a->shape[1], 4);
    assert_int_equal(a->bytes, 48);
    assert_ptr_equal(a->data, bytes + length - 58);
    float fifth;
    memcpy(&fifth, a->data + 20, 4);
    assert_true(fifth == 5.0F / 64);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->dimensions, 1);
    assert_ptr_equal(b->data, bytes + length - 10);
    safetensors_close(file);
    free(bytes);
}

static void takes_tensors_in_any_order(void **state)
{
    (void)state;
    expect_accepted("{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]},"
                    "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                    6, 2);
}

static void takes_a_file_without_tensors(void **state)
{
    (void)state;
    expect_accepted("{}", 0, 0);
    expect_accepted("{\"__metadata__\":{\"a\":\"b\"}}", 0, 0);
}

static void takes_numbers_and_empty_tensors(void **state)
{
    (void)state;
    expect_accepted("{\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                    "\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[8,8]}}",
                    8, 2);
}

static void takes_a_dtype_that_nobody_knows(void **state)
{
    (void)state;
    expect_accepted("{\"x\":{\"dtype\":\"F4\",\"shape\":[16],\"data_offsets\":[0,8]}}", 8, 1);
}

/* ---- the length ---- */

static void refuses_a_file_of_no_bytes(void **state)
{
    (void)state;
    expect_bytes_refused(NULL, 0, "it is empty");
}

static void refuses_a_file_of_seven_bytes(void **state)
{
    (void)state;
    expect_bytes_refused("\1\0\0\0\0\0\0", 7, "fewer than 8 bytes");
}

static void refuses_a_header_longer_than_the_file(void **state)
{
    (void)state;
    uint8_t bytes[16] = {9, [8] = '{'};
    expect_bytes_refused(bytes, sizeof bytes, "claims a header of 9 bytes, where 8 are left");
    memset(bytes, 0xff, 8);
    expect_bytes_refused(bytes, sizeof bytes, "claims a header of 18446744073709551615 bytes");
}

static void refuses_a_header_over_the_limit(void **state)
{
    (void)state;
    size_t length = (size_t)SAFETENSORS_HEADER_BYTES_MAX + 100;
    uint8_t *bytes = calloc(1, length); /* never touched beyond the first page */
    assert_non_null(bytes);
    uint64_t claim = SAFETENSORS_HEADER_BYTES_MAX + 1;
    memcpy(bytes, &claim, sizeof claim);
    expect_bytes_refused(bytes, length, "at most 100000000 are read");
    free(bytes);
}

static void refuses_an_empty_header(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    expect_bytes_refused(bytes, sizeof bytes, "its header is no JSON object");
}

static void refuses_a_header_cut_at_any_byte(void **state)
{
    (void)state;
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "a", "F32", 2, 2);
    size_t length;
    uint8_t *bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    for (size_t cut = 0; cut < length; cut++) {
        struct safetensors *file = NULL;
        struct error error = {0};
        uint8_t *copy = malloc(cut ? cut : 1); /* its own size: an overrun is seen */
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        assert_int_equal(safetensors_parse(copy, cut, &file, &error), -ENOEXEC);
        assert_true(error.text[0] != 0);
        free(copy);
    }
    free(bytes);
}

/* ---- the JSON ---- */

static void refuses_what_is_no_json(void **state)
{
    (void)state;
    expect_refused("GGUF", 0, "no JSON object");
    expect_refused("[]", 0, "no JSON object");
    expect_refused("{\"a\"", 0, "not valid JSON");
    expect_refused("{} {}", 0, "not valid JSON");
    expect_refused("{\"\xff\":{}}", 0, "not valid JSON");
    expect_refused("{\"a\\u0000b\":{}}", 0, "not valid JSON");
}

static void refuses_a_name_that_appears_twice(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                   "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
                   4, "duplicate object key");
}

static void refuses_nesting_without_end(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *header = malloc(DEPTH + 16);
    assert_non_null(header);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', DEPTH);
    header[5 + DEPTH] = 0;
    expect_refused(header, 0, "nested deeper than 32");
    free(header);
}

static void refuses_more_values_than_there_can_be(void **state)
{
    (void)state;
    size_t length = 8 + 2 * (size_t)JSONLOAD_VALUES_MAX;
    char *header = malloc(length + 16);
    assert_non_null(header);
    memcpy(header, "{\"a\":[0", 7);
    for (size_t i = 7; i < length; i += 2)
        memcpy(header + i, ",0", 3);
    expect_refused(header, 0, "holds more than 1048576 values");
    free(header);
}

static void refuses_too_many_tensors(void **state)
{
    (void)state;
    struct buffer header = buffer_new(16 << 20);
    assert_int_equal(buffer_append(&header, "{", 1), 0);
    for (int i = 0; i <= GGUF_TENSORS_MAX; i++)
        assert_int_equal(buffer_printf(&header, "%s\"%d\":{}", i ? "," : "", i), 0);
    assert_int_equal(buffer_append(&header, "}", 2), 0);
    expect_refused(header.bytes, 0, "names 65537 tensors, more than 65536");
    buffer_free(&header);
}

/* ---- a tensor ---- */

static void refuses_fields_of_another_type(void **state)
{
    (void)state;
    expect_refused("{\"a\":[]}", 0, "tensor a is not an object");
    expect_refused("{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, "tensor a has no dtype");
    expect_refused("{\"a\":{\"dtype\":7,\"shape\":[],\"data_offsets\":[0,0]}}", 0, "has no dtype");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, "has no shape");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":3,\"data_offsets\":[0,0]}}", 0,
                   "has no shape");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "no data_offsets");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0]}}", 0,
                   "no data_offsets");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,\"0\"]}}", 0,
                   "no data_offsets");
}

static void refuses_dimensions_that_are_no_sizes(void **state)
{
    (void)state;
    static const char *const sizes[] = {"-1", "1.0", "\"1\"", "null", "true"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}", sizes[i]);
        expect_refused(header, 1, "not a whole number from 0");
    }
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[99999999999999999999],"
                   "\"data_offsets\":[0,1]}}",
                   1, "not valid JSON");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],"
                   "\"data_offsets\":[0,1]}}",
                   1, "has 9 dimensions, more than 8");
}

static void refuses_a_product_that_wraps(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],"
                   "\"data_offsets\":[0,0]}}",
                   0, "2^64 bytes or more");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
                   "\"data_offsets\":[0,0]}}",
                   0, "2^64 bytes or more");
}

static void refuses_a_size_that_is_not_the_shapes(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
                   "has 4 bytes, but its shape and dtype F32 take 8");
    expect_refused("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
                   "has 8 bytes, but its shape and dtype F16 take 4");
}

static void refuses_a_name_without_letters_or_without_end(void **state)
{
    (void)state;
    expect_refused("{\"\":{}}", 0, "name has 0 bytes");
    char header[400];
    snprintf(header, sizeof header, "{\"%0300d\":{}}", 0);
    expect_refused(header, 0, "name has 300 bytes, not 1 to 255");
}

/* ---- where the bytes lie ---- */

static void refuses_offsets_outside_of_the_file(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 8,
                   "tensor a ends at 9 of the data, but there are 8 bytes");
    expect_refused("{\"a\":{\"dtype\":\"F4\",\"shape\":[],"
                   "\"data_offsets\":[0,9223372036854775807]}}",
                   8, "tensor a ends at 9223372036854775807");
}

static void refuses_an_end_before_the_beginning(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,0]}}", 4,
                   "with begin <= end");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[-4,-4]}}", 4,
                   "with begin <= end");
}

static void refuses_tensors_that_overlap(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
                   6, "tensor b begins at 2 of the data, not where the one before ends, at 4");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                   "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
                   4, "begins at 0 of the data, not where the one before ends, at 4");
}

static void refuses_holes(void **state)
{
    (void)state;
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}", 5,
                   "tensor a begins at 1");
    expect_refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5,
                   "1 bytes after the last tensor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_point_at_the_bytes),
        cmocka_unit_test(takes_tensors_in_any_order),
        cmocka_unit_test(takes_a_file_without_tensors),
        cmocka_unit_test(takes_numbers_and_empty_tensors),
        cmocka_unit_test(takes_a_dtype_that_nobody_knows),
        cmocka_unit_test(refuses_a_file_of_no_bytes),
        cmocka_unit_test(refuses_a_file_of_seven_bytes),
        cmocka_unit_test(refuses_a_header_longer_than_the_file),
        cmocka_unit_test(refuses_a_header_over_the_limit),
        cmocka_unit_test(refuses_an_empty_header),
        cmocka_unit_test(refuses_a_header_cut_at_any_byte),
        cmocka_unit_test(refuses_what_is_no_json),
        cmocka_unit_test(refuses_a_name_that_appears_twice),
        cmocka_unit_test(refuses_nesting_without_end),
        cmocka_unit_test(refuses_more_values_than_there_can_be),
        cmocka_unit_test(refuses_too_many_tensors),
        cmocka_unit_test(refuses_fields_of_another_type),
        cmocka_unit_test(refuses_dimensions_that_are_no_sizes),
        cmocka_unit_test(refuses_a_product_that_wraps),
        cmocka_unit_test(refuses_a_size_that_is_not_the_shapes),
        cmocka_unit_test(refuses_a_name_without_letters_or_without_end),
        cmocka_unit_test(refuses_offsets_outside_of_the_file),
        cmocka_unit_test(refuses_an_end_before_the_beginning),
        cmocka_unit_test(refuses_tensors_that_overlap),
        cmocka_unit_test(refuses_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
