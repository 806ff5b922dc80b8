/* test_kv.c - KV pages stay within their grant and are used again. */
#include "generate/kv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE_BYTES = 16384 };

static void pages_are_whole_pages_of_the_system(void **state)
{
    (void)state;
    assert_int_equal(kv_round(1) % 4096, 0);
    assert_true(kv_round(1) >= 4096);
    assert_int_equal(kv_round(65536), 65536);
    assert_true(kv_round(65537) > 65537);
}

static void nothing_is_taken_beyond_the_grant(void **state)
{
    (void)state;
    struct kv kv = kv_open(PAGE_BYTES, 2 * PAGE_BYTES + PAGE_BYTES - 1);
    assert_int_equal(kv_available(&kv), 2);
    void *first = kv_take(&kv), *second = kv_take(&kv);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(kv_available(&kv), 0);
    assert_null(kv_take(&kv));
    kv_grant(&kv, 1); /* completes the third page */
    void *third = kv_take(&kv);
    assert_non_null(third);
    kv_give(&kv, first);
    kv_give(&kv, second);
    kv_give(&kv, third);
    kv_close(&kv);
}

static void pages_are_distinct_and_writable_to_their_end(void **state)
{
    (void)state;
    struct kv kv = kv_open(PAGE_BYTES, 3 * PAGE_BYTES);
    unsigned char *pages[3];
    for (int i = 0; i < 3; i++) {
        pages[i] = kv_take(&kv);
        assert_non_null(pages[i]);
        memset(pages[i], i + 1, PAGE_BYTES);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pages[i][0], i + 1);
        assert_int_equal(pages[i][PAGE_BYTES - 1], i + 1);
        kv_give(&kv, pages[i]);
    }
    kv_close(&kv);
}

static void pages_given_back_are_used_again(void **state)
{
    (void)state;
    struct kv kv = kv_open(PAGE_BYTES, 2 * PAGE_BYTES);
    void *first = kv_take(&kv), *second = kv_take(&kv);
    for (int round = 0; round < 100; round++) {
        kv_give(&kv, first);
        kv_give(&kv, second);
        void *again = kv_take(&kv), *other = kv_take(&kv);
        assert_true((again == first && other == second) || (again == second && other == first));
    }
    assert_int_equal(kv.pages, 2);
    kv_give(&kv, first);
    kv_give(&kv, second);
    kv_close(&kv);
}

static void missing_bytes_complete_the_pages_that_are_wanted(void **state)
{
    (void)state;
    struct kv kv = kv_open(PAGE_BYTES, PAGE_BYTES + 100);
    void *page = kv_take(&kv);
    assert_int_equal(kv_missing_bytes(&kv, 0), 0);
    uint64_t missing = kv_missing_bytes(&kv, 3);
    assert_int_equal(missing, 3 * PAGE_BYTES - 100);
    kv_grant(&kv, missing);
    assert_int_equal(kv_available(&kv), 3);
    kv_give(&kv, page);
    assert_int_equal(kv_missing_bytes(&kv, 4), 0);
    kv_close(&kv);
}

static void endless_grants_do_not_wrap(void **state)
{
    (void)state;
    struct kv kv = kv_open(PAGE_BYTES, UINT64_MAX - 5);
    kv_grant(&kv, 100);
    assert_true(kv.granted_bytes == UINT64_MAX);
    assert_int_equal(kv_missing_bytes(&kv, UINT64_MAX / PAGE_BYTES), 0);
    kv_close(&kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_whole_pages_of_the_system),
        cmocka_unit_test(nothing_is_taken_beyond_the_grant),
        cmocka_unit_test(pages_are_distinct_and_writable_to_their_end),
        cmocka_unit_test(pages_given_back_are_used_again),
        cmocka_unit_test(missing_bytes_complete_the_pages_that_are_wanted),
        cmocka_unit_test(endless_grants_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
