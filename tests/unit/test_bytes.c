/* test_bytes.c - the checked cursor: what fits is read, what does not changes nothing. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t digits[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0x8a, 0xff};

static void reads_little_endian_numbers_at_any_address(void **state)
{
    (void)state;
    assert_int_equal(bytes_u16(digits + 9), 0xff8a);
    assert_int_equal(bytes_u32(digits + 1), 0x05040302);
    assert_int_equal(bytes_u64(digits + 3), 0xff8a090807060504);
}

static void takes_numbers_in_order(void **state)
{
    (void)state;
    struct bytes_cursor cursor = bytes_cursor_of(digits, sizeof digits);
    uint32_t small;
    uint64_t large = 77;
    assert_true(bytes_take_u32(&cursor, &small));
    assert_int_equal(small, 0x04030201);
    assert_int_equal(bytes_offset(&cursor), 4);
    assert_false(bytes_take_u64(&cursor, &large)); /* 7 left */
    assert_int_equal(large, 77);
    assert_int_equal(bytes_left(&cursor), 7);
}

static void refuses_more_than_is_left(void **state)
{
    (void)state;
    struct bytes_cursor cursor = bytes_cursor_of(digits, 8);
    assert_null(bytes_take(&cursor, 9));
    assert_null(bytes_take(&cursor, UINT64_MAX));
    assert_ptr_equal(bytes_take(&cursor, 8), digits);
    assert_int_equal(bytes_left(&cursor), 0);
    assert_ptr_equal(bytes_take(&cursor, 0), digits + 8);
    assert_null(bytes_take(&cursor, 1));
}

static void looks_ahead_without_moving(void **state)
{
    (void)state;
    struct bytes_cursor cursor = bytes_cursor_of(digits, 8);
    bytes_take(&cursor, 2);
    assert_ptr_equal(bytes_ahead(&cursor, 1, 5), digits + 3);
    assert_ptr_equal(bytes_ahead(&cursor, 6, 0), digits + 8);
    assert_null(bytes_ahead(&cursor, 1, 6));
    assert_null(bytes_ahead(&cursor, 7, 0));
    assert_null(bytes_ahead(&cursor, UINT64_MAX, 2)); /* the sum wraps */
    assert_null(bytes_ahead(&cursor, 2, UINT64_MAX));
    assert_int_equal(bytes_offset(&cursor), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_little_endian_numbers_at_any_address),
        cmocka_unit_test(takes_numbers_in_order),
        cmocka_unit_test(refuses_more_than_is_left),
        cmocka_unit_test(looks_ahead_without_moving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
