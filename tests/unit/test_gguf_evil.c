/* test_gguf_evil.c - files that broke other readers of GGUF, or could: each is refused with
 * -ENOEXEC and a sentence that names the place.  Sources: the published advisories and bug reports
 * against GGUF readers, and this project's own fuzzer. */
#include "load/gguf.h"

#include "tests/lib/gguf_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_bytes_refused(const void *bytes, size_t length, const char *place)
{
    struct gguf *gguf = NULL;
    struct error error = {0};
    int status = gguf_open_memory(bytes, length, &gguf, &error);
    if (status != -ENOEXEC)
        fail_msg("status %d, \"%s\", expected \"%s\"", status, error.text, place);
    assert_null(gguf);
    assert_int_equal(error.code, ENOEXEC);
    if (!strstr(error.text, place))
        fail_msg("\"%s\" does not say \"%s\"", error.text, place);
    assert_int_equal(gguf_open_memory(bytes, length, &gguf, NULL), -ENOEXEC);
}

/* The same for what was written; the writer is freed. */
static void expect_refused(struct gguf_writer *writer, const char *place)
{
    size_t length;
    uint8_t *bytes = gguf_writer_finish(writer, &length);
    gguf_writer_free(writer);
    expect_bytes_refused(bytes, length, place);
    free(bytes);
}

/* A file with one row in the tensor table and `data_bytes` of data. */
static struct gguf_writer one_row(uint32_t dimensions, const uint64_t *shape, uint32_t type,
                                  uint64_t offset, size_t data_bytes)
{
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_row(&writer, text_of("blk.0.ffn_up.weight"), dimensions, shape, type, offset);
    uint8_t *data = calloc(1, data_bytes + 1);
    assert_non_null(data);
    assert_int_equal(buffer_append(&writer.data, data, data_bytes), 0);
    free(data);
    return writer;
}

/* ---- the header ---- */

static void refuses_a_file_of_no_bytes(void **state)
{
    (void)state;
    expect_bytes_refused("", 0, "it is empty");
}

static void refuses_a_file_of_four_bytes(void **state)
{
    (void)state;
    expect_bytes_refused("GGUF", 4, "the file ends at byte 4, inside the header");
}

static void refuses_a_header_cut_at_any_byte(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    size_t length;
    uint8_t *bytes = gguf_writer_finish(&writer, &length);
    gguf_writer_free(&writer);
    for (size_t cut = 4; cut < length; cut++)
        expect_bytes_refused(bytes, cut, "inside the header");
    free(bytes);
}

static void refuses_another_magic(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    memcpy(writer.magic, "GGML", 4);
    expect_refused(&writer, "not a GGUF file");
    expect_bytes_refused("GG", 2, "not a GGUF file");
}

static void refuses_versions_1_and_4(void **state)
{
    (void)state;
    static const uint32_t versions[] = {0, 1, 4, UINT32_MAX};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct gguf_writer writer = gguf_writer_new();
        char place[48];
        writer.version = versions[i];
        snprintf(place, sizeof place, "says GGUF version %u, ", versions[i]);
        expect_refused(&writer, place);
    }
}

static void refuses_a_big_endian_file(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    writer.version = 3u << 24;
    expect_refused(&writer, "the header is big-endian, but only little-endian");
}

static void refuses_more_keys_than_the_file_has_room_for(void **state)
{
    (void)state;
    static const uint64_t counts[] = {2, 1000, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_u32(&writer, "a", 1);
        writer.key_count = counts[i];
        expect_refused(&writer, "keys, but there is room for 1 at most (at byte 16)");
    }
}

static void refuses_a_key_count_that_wraps(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    writer.key_count = UINT64_MAX / 16;
    expect_refused(&writer, "keys, where at most 65536 are read (at byte 16)");
}

static void refuses_more_tensors_than_the_file_has_room_for(void **state)
{
    (void)state;
    static const uint64_t counts[] = {2, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct gguf_writer writer = one_row(1, (uint64_t[]){1}, TENSOR_F32, 0, 0);
        writer.tensor_count = counts[i];
        expect_refused(&writer, "tensors, but there is room for 1 at most (at byte 8)");
    }
}

static void refuses_a_tensor_count_that_wraps(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    writer.tensor_count = UINT64_MAX;
    expect_refused(&writer, "18446744073709551615 tensors, where at most 65536");
}

/* ---- keys ---- */

static void refuses_a_string_whose_length_wraps(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    uint8_t length[8];
    memset(length, 0xff, sizeof length);
    gguf_writer_raw_key(&writer, text_of("general.name"), GGUF_STRING, length, sizeof length);
    expect_refused(&writer, "key general.name has a string of 18446744073709551615 bytes");
}

static void refuses_a_string_that_claims_a_gigabyte(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of("general.name"), GGUF_STRING, "\0\0\0\100\0\0\0\0", 8);
    expect_refused(&writer, "1073741824 bytes, where at most 16777216 are read (at byte 48)");
}

static void refuses_a_string_that_passes_the_end_by_one(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of("general.name"), GGUF_STRING, "\3\0\0\0\0\0\0\0ab", 10);
    expect_refused(&writer, "the file ends at byte 58, inside key general.name");
}

static void refuses_a_key_longer_than_the_file(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    writer.key_count = 1;
    gguf_writer_put_u64(&writer.keys, 60000);
    gguf_writer_put_u64(&writer.keys, 0);
    expect_refused(&writer, "the file ends at byte 40, inside key 1");
}

static void refuses_a_key_of_more_than_65535_bytes(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    char *key = malloc(65536);
    assert_non_null(key);
    memset(key, 'k', 65536);
    gguf_writer_raw_key(&writer, (struct text){key, 65536}, GGUF_UINT8, "1", 1);
    free(key);
    expect_refused(&writer, "key 1 has a string of 65536 bytes");
}

static void refuses_an_empty_key(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "a", 1);
    gguf_writer_u32(&writer, "", 1);
    expect_refused(&writer, "key 2 has an empty name (at byte 41)");
}

static void refuses_a_key_with_a_zero_byte(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, (struct text){"a\0b", 3}, GGUF_UINT8, "1", 1);
    expect_refused(&writer, "key 1 has a zero byte in its name");
}

static void refuses_a_duplicate_key(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_u32(&writer, "general.alignment", 32);
    gguf_writer_u32(&writer, "b", 1);
    gguf_writer_u32(&writer, "general.alignment", 64);
    expect_refused(&writer, "key general.alignment appears twice (at byte 82)");
}

static void refuses_an_unknown_value_type(void **state)
{
    (void)state;
    static const uint32_t types[] = {13, UINT32_MAX};
    for (size_t i = 0; i < 2; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_raw_key(&writer, text_of("odd"), types[i], "12345678", 8);
        expect_refused(&writer, "key odd has the unknown type ");
    }
}

static void refuses_a_bool_that_is_neither(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of("flag"), GGUF_BOOL, "\2", 1);
    expect_refused(&writer, "key flag holds 2 where a BOOL is 0 or 1 (at byte 40)");
    writer = gguf_writer_new();
    gguf_writer_array(&writer, "flags", GGUF_BOOL, 3, "\0\1\xff", 3);
    expect_refused(&writer, "key flags holds 255 where a BOOL is 0 or 1 (at byte 55)");
}

static void refuses_an_array_of_arrays(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    uint8_t nest[12 * 1000];
    for (size_t i = 0; i < sizeof nest; i += 12)
        memcpy(nest + i, "\t\0\0\0\1\0\0\0\0\0\0\0", 12);
    gguf_writer_array(&writer, "deep", GGUF_ARRAY, 1, nest, sizeof nest);
    expect_refused(&writer, "key deep is an array of arrays");
}

static void refuses_an_array_of_unknown_items(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of("list"), GGUF_ARRAY, "\x0d\0\0\0\1\0\0\0\0\0\0\0x", 13);
    expect_refused(&writer, "key list has the unknown item type 13 (at byte 40)");
}

static void refuses_an_array_whose_bytes_wrap(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_array(&writer, "list", GGUF_UINT64, 1ull << 61, "12345678", 8);
    expect_refused(&writer, "key list claims 2305843009213693952 items, where at most 67108864");
}

static void refuses_an_array_longer_than_the_file(void **state)
{
    (void)state;
    static const enum gguf_type types[] = {GGUF_UINT8, GGUF_UINT16, GGUF_FLOAT32, GGUF_FLOAT64,
                                           GGUF_STRING};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_array(&writer, "list", types[i], 17, "0123456789abcdef", 16);
        expect_refused(&writer, "key list claims 17 items, but there is room for");
    }
}

static void refuses_an_array_of_strings_that_ends_early(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    const struct text strings[] = {text_of("a long enough string"), text_of("")};
    gguf_writer_strings(&writer, "tokens", 2, strings);
    writer.keys.bytes[8 + 6 + 4 + 4] =
        3; /* the count: there is room for three, but not the third */
    expect_refused(&writer, "inside key tokens");
}

static void refuses_a_file_cut_at_any_byte(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_f32(&writer, "number", 1);
    gguf_writer_strings(&writer, "tokens", 2, (struct text[]){text_of("a"), text_of("bc")});
    gguf_writer_array(&writer, "list", GGUF_INT16, 2, "1234", 4);
    gguf_writer_tensor(&writer, "t", TENSOR_F32, 2, (uint64_t[]){2, 2}, "0123456789abcdef", 16);
    size_t length;
    uint8_t *bytes = gguf_writer_finish(&writer, &length);
    gguf_writer_free(&writer);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1); /* so that the address sanitizer guards the end */
        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        expect_bytes_refused(exact, cut, "");
        free(exact);
    }
    free(bytes);
}

/* ---- alignment ---- */

static void refuses_an_alignment_that_is_no_power_of_two_in_range(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {0, 1, 4, 24, 33, 131072, 1u << 30, UINT32_MAX};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        struct gguf_writer writer = gguf_writer_new();
        char place[64];
        gguf_writer_u32(&writer, "general.alignment", alignments[i]);
        snprintf(place, sizeof place, "general.alignment is %u, not a power of two", alignments[i]);
        expect_refused(&writer, place);
    }
}

static void refuses_an_alignment_of_another_type(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "general.alignment", text_of("32"));
    expect_refused(&writer, "key general.alignment is of type STRING, not an integer (at byte 53)");
    writer = gguf_writer_new();
    gguf_writer_f32(&writer, "general.alignment", 32);
    expect_refused(&writer, "key general.alignment is of type FLOAT32, not an integer");
    writer = gguf_writer_new();
    gguf_writer_integer(&writer, "general.alignment", GGUF_INT32, -32);
    expect_refused(&writer, "key general.alignment holds a number that is not in 0 to");
}

/* ---- the tensor table ---- */

static void refuses_a_tensor_name_of_64_bytes(void **state)
{
    (void)state;
    char name[64];
    memset(name, 'n', sizeof name);
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_row(&writer, (struct text){name, 64}, 1, (uint64_t[]){1}, TENSOR_F32, 0);
    expect_refused(&writer, "tensor 1 has a string of 64 bytes, where at most 63 are read");
}

static void accepts_a_tensor_name_of_63_bytes(void **state)
{
    (void)state;
    char name[64] = {0};
    memset(name, 'n', 63);
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_tensor(&writer, name, TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    size_t length;
    uint8_t *bytes = gguf_writer_finish(&writer, &length);
    gguf_writer_free(&writer);
    struct gguf *gguf = NULL;
    assert_int_equal(gguf_open_memory(bytes, length, &gguf, NULL), 0);
    assert_string_equal(gguf_tensor_at(gguf, 0)->name, name);
    assert_non_null(gguf_tensor(gguf, name));
    gguf_close(gguf);
    free(bytes);
}

static void refuses_an_empty_tensor_name(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_tensor(&writer, "", TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    expect_refused(&writer, "tensor 1 has an empty name");
}

static void refuses_a_tensor_name_with_a_zero_byte(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_row(&writer, (struct text){"t\0u", 3}, 1, (uint64_t[]){1}, TENSOR_F32, 0);
    expect_refused(&writer, "tensor 1 has a zero byte in its name (at byte 24)");
}

static void refuses_a_duplicate_tensor_name(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_tensor(&writer, "t", TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    gguf_writer_tensor(&writer, "u", TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    gguf_writer_tensor(&writer, "t", TENSOR_F32, 1, (uint64_t[]){1}, "1234", 4);
    expect_refused(&writer, "tensor t appears twice");
}

static void refuses_a_tensor_of_no_or_too_many_dimensions(void **state)
{
    (void)state;
    const uint64_t shape[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t counts[] = {0, 5, 9};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct gguf_writer writer = one_row(counts[i], shape, TENSOR_F32, 0, 4);
        expect_refused(&writer, "dimensions, not 1 to 4 (at byte 51)");
    }
    struct gguf_writer writer = one_row(1, shape, TENSOR_F32, 0, 4);
    memset(writer.table.bytes + 8 + 19, 0xff, 4);
    expect_refused(&writer, "tensor blk.0.ffn_up.weight has 4294967295 dimensions");
}

static void refuses_a_tensor_with_a_dimension_of_zero(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(2, (uint64_t[]){0, 4}, TENSOR_F32, 0, 32);
    expect_refused(&writer, "tensor blk.0.ffn_up.weight has a dimension of 0, not 1");
    writer = one_row(2, (uint64_t[]){4, 0}, TENSOR_F32, 0, 32);
    expect_refused(&writer, "tensor blk.0.ffn_up.weight has a dimension of 0, not 1");
}

static void refuses_a_tensor_with_a_dimension_of_2_to_the_42(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(2, (uint64_t[]){4, (1ull << 42) + 1}, TENSOR_F32, 0, 32);
    expect_refused(&writer, "has a dimension of 4398046511105, not 1 to 2147483647");
}

static void refuses_a_tensor_whose_product_wraps(void **state)
{
    (void)state;
    static const uint64_t shapes[][4] = {
        {1 << 20, 1 << 20, 1 << 20, 1 << 20},
        {1 << 30, 1 << 30, 4, 1},       /* exactly 2^64 bytes: wraps to none */
        {8, (1 << 30) + 1, 1 << 29, 1}, /* 2^64 + 2^34 */
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct gguf_writer writer = one_row(4, shapes[i], TENSOR_F32, 0, 32);
        expect_refused(&writer, "tensor blk.0.ffn_up.weight has 2^64 bytes or more");
    }
}

static void refuses_a_tensor_of_an_unknown_type(void **state)
{
    (void)state;
    static const uint32_t types[] = {4, 5, 9, 16, 40, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct gguf_writer writer = one_row(1, (uint64_t[]){256}, types[i], 0, 1024);
        char place[96];
        snprintf(place, sizeof place, "weight has type %u (%s), which is not supported", types[i],
                 tensor_type_name(types[i]));
        expect_refused(&writer, place);
    }
}

static void refuses_rows_that_are_not_whole_blocks(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(2, (uint64_t[]){48, 2}, TENSOR_Q4_0, 0, 1024);
    expect_refused(&writer, "rows of 48 weights, not a multiple of the 32 in a block of Q4_0");
    writer = one_row(2, (uint64_t[]){128, 2}, TENSOR_Q6_K, 0, 1024);
    expect_refused(&writer, "rows of 128 weights, not a multiple of the 256 in a block of Q6_K");
}

static void refuses_an_offset_that_is_not_aligned(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(1, (uint64_t[]){4}, TENSOR_F32, 16, 64);
    expect_refused(&writer, "weight starts at 16 of the data section, not a multiple of 32");
}

/* "Bleeding Llama": the memory behind the file was read as weights. */
static void refuses_a_tensor_that_ends_behind_the_file(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(1, (uint64_t[]){9}, TENSOR_F32, 0, 35);
    expect_refused(&writer, "tensor blk.0.ffn_up.weight ends at byte 132 but the file has 131");
    writer = one_row(1, (uint64_t[]){4}, TENSOR_F32, 32, 32);
    expect_refused(&writer, "ends at byte 144 but the file has 128");
    writer = one_row(1, (uint64_t[]){4}, TENSOR_F32, 0, 0);
    expect_refused(&writer, "ends at byte 112 but the file has 75");
}

static void refuses_an_offset_whose_sum_wraps(void **state)
{
    (void)state;
    struct gguf_writer writer = one_row(1, (uint64_t[]){16}, TENSOR_F32, UINT64_MAX - 31, 64);
    expect_refused(&writer, "ends at byte 18446744073709551615 but the file has 160");
}

/* Each tensor fits the file, but all together would wrap a sum of sizes. */
static void refuses_tensors_that_overlap(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    const uint64_t shape[] = {16};
    gguf_writer_row(&writer, text_of("behind"), 1, shape, TENSOR_F32, 32);
    gguf_writer_row(&writer, text_of("before"), 1, shape, TENSOR_F32, 0);
    uint8_t data[96] = {0};
    assert_int_equal(buffer_append(&writer.data, data, sizeof data), 0);
    expect_refused(&writer, "tensor behind overlaps tensor before (at byte");
}

static void refuses_two_tensors_in_one_place(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_row(&writer, text_of("a"), 1, (uint64_t[]){8}, TENSOR_F32, 0);
    gguf_writer_row(&writer, text_of("b"), 1, (uint64_t[]){8}, TENSOR_F32, 0);
    assert_int_equal(buffer_append(&writer.data, "01234567890123456789012345678901", 32), 0);
    expect_refused(&writer, "overlaps tensor");
}

static void writes_names_with_control_characters_on_one_line(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of("a\nb%n"), 99, "1", 1);
    expect_refused(&writer, "key a?b%n has the unknown type 99");
}

static void cuts_long_names_but_not_the_place(void **state)
{
    (void)state;
    char key[301] = {0};
    memset(key, 'k', 300);
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_raw_key(&writer, text_of(key), 99, "1", 1);
    expect_refused(&writer, " has the unknown type 99 (at byte 332)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_a_file_of_no_bytes),
        cmocka_unit_test(refuses_a_file_of_four_bytes),
        cmocka_unit_test(refuses_a_header_cut_at_any_byte),
        cmocka_unit_test(refuses_another_magic),
        cmocka_unit_test(refuses_versions_1_and_4),
        cmocka_unit_test(refuses_a_big_endian_file),
        cmocka_unit_test(refuses_more_keys_than_the_file_has_room_for),
        cmocka_unit_test(refuses_a_key_count_that_wraps),
        cmocka_unit_test(refuses_more_tensors_than_the_file_has_room_for),
        cmocka_unit_test(refuses_a_tensor_count_that_wraps),
        cmocka_unit_test(refuses_a_string_whose_length_wraps),
        cmocka_unit_test(refuses_a_string_that_claims_a_gigabyte),
        cmocka_unit_test(refuses_a_string_that_passes_the_end_by_one),
        cmocka_unit_test(refuses_a_key_longer_than_the_file),
        cmocka_unit_test(refuses_a_key_of_more_than_65535_bytes),
        cmocka_unit_test(refuses_an_empty_key),
        cmocka_unit_test(refuses_a_key_with_a_zero_byte),
        cmocka_unit_test(refuses_a_duplicate_key),
        cmocka_unit_test(refuses_an_unknown_value_type),
        cmocka_unit_test(refuses_a_bool_that_is_neither),
        cmocka_unit_test(refuses_an_array_of_arrays),
        cmocka_unit_test(refuses_an_array_of_unknown_items),
        cmocka_unit_test(refuses_an_array_whose_bytes_wrap),
        cmocka_unit_test(refuses_an_array_longer_than_the_file),
        cmocka_unit_test(refuses_an_array_of_strings_that_ends_early),
        cmocka_unit_test(refuses_a_file_cut_at_any_byte),
        cmocka_unit_test(refuses_an_alignment_that_is_no_power_of_two_in_range),
        cmocka_unit_test(refuses_an_alignment_of_another_type),
        cmocka_unit_test(refuses_a_tensor_name_of_64_bytes),
        cmocka_unit_test(accepts_a_tensor_name_of_63_bytes),
        cmocka_unit_test(refuses_an_empty_tensor_name),
        cmocka_unit_test(refuses_a_tensor_name_with_a_zero_byte),
        cmocka_unit_test(refuses_a_duplicate_tensor_name),
        cmocka_unit_test(refuses_a_tensor_of_no_or_too_many_dimensions),
        cmocka_unit_test(refuses_a_tensor_with_a_dimension_of_zero),
        cmocka_unit_test(refuses_a_tensor_with_a_dimension_of_2_to_the_42),
        cmocka_unit_test(refuses_a_tensor_whose_product_wraps),
        cmocka_unit_test(refuses_a_tensor_of_an_unknown_type),
        cmocka_unit_test(refuses_rows_that_are_not_whole_blocks),
        cmocka_unit_test(refuses_an_offset_that_is_not_aligned),
        cmocka_unit_test(refuses_a_tensor_that_ends_behind_the_file),
        cmocka_unit_test(refuses_an_offset_whose_sum_wraps),
        cmocka_unit_test(refuses_tensors_that_overlap),
        cmocka_unit_test(refuses_two_tensors_in_one_place),
        cmocka_unit_test(writes_names_with_control_characters_on_one_line),
        cmocka_unit_test(cuts_long_names_but_not_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
