/* test_kv.c - KV pages stay within their grant and are used again. */
#include "generate/kv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE_BYTES = 16384, WINDOW_BYTES = 3 * PAGE_BYTES };

static struct kv open_whole(uint64_t granted_bytes)
{
    return kv_open((const size_t[]){PAGE_BYTES, 0}, granted_bytes);
}

static void pages_are_whole_pages_of_the_system(void **state)
{
    (void)state;
    assert_int_equal(kv_round(0), 0);
    assert_int_equal(kv_round(1) % 4096, 0);
    assert_true(kv_round(1) >= 4096);
    assert_int_equal(kv_round(65536), 65536);
    assert_true(kv_round(65537) > 65537);
}

static void nothing_is_taken_beyond_the_grant(void **state)
{
    (void)state;
    struct kv kv = open_whole(2 * PAGE_BYTES + PAGE_BYTES - 1);
    struct forward_page pages[3], none;
    assert_int_equal(kv_available(&kv), 2);
    assert_true(kv_take(&kv, &pages[0]) && kv_take(&kv, &pages[1]));
    assert_int_equal(kv_available(&kv), 0);
    assert_false(kv_take(&kv, &none));
    assert_null(none.parts[FORWARD_GLOBAL]);
    kv_grant(&kv, 1); /* completes the third page */
    assert_true(kv_take(&kv, &pages[2]));
    for (int i = 0; i < 3; i++)
        kv_give(&kv, &pages[i]);
    assert_int_equal(kv.used_bytes, 0);
    kv_close(&kv);
}

static void pages_are_distinct_and_writable_to_their_end(void **state)
{
    (void)state;
    struct kv kv =
        kv_open((const size_t[]){PAGE_BYTES, WINDOW_BYTES}, 3 * (PAGE_BYTES + WINDOW_BYTES));
    struct forward_page pages[3];
    for (int i = 0; i < 3; i++) {
        assert_true(kv_take(&kv, &pages[i]));
        memset(pages[i].parts[FORWARD_GLOBAL], i + 1, PAGE_BYTES);
        memset(pages[i].parts[FORWARD_WINDOW], i + 11, WINDOW_BYTES);
    }
    for (int i = 0; i < 3; i++) {
        const unsigned char *global = pages[i].parts[FORWARD_GLOBAL];
        const unsigned char *window = pages[i].parts[FORWARD_WINDOW];
        assert_true(global[0] == i + 1 && global[PAGE_BYTES - 1] == i + 1);
        assert_true(window[0] == i + 11 && window[WINDOW_BYTES - 1] == i + 11);
        kv_give(&kv, &pages[i]);
        assert_null(pages[i].parts[FORWARD_GLOBAL]);
    }
    kv_close(&kv);
}

static void pages_given_back_are_used_again(void **state)
{
    (void)state;
    struct kv kv = open_whole(2 * PAGE_BYTES);
    struct forward_page first, second, again, other;
    assert_true(kv_take(&kv, &first) && kv_take(&kv, &second));
    const void *one = first.parts[FORWARD_GLOBAL], *two = second.parts[FORWARD_GLOBAL];
    for (int round = 0; round < 100; round++) {
        kv_give(&kv, &first);
        kv_give(&kv, &second);
        assert_true(kv_take(&kv, &again) && kv_take(&kv, &other));
        const void *three = again.parts[FORWARD_GLOBAL], *four = other.parts[FORWARD_GLOBAL];
        assert_true((three == one && four == two) || (three == two && four == one));
        first = again;
        second = other;
    }
    assert_int_equal(kv.mapped_bytes, 2 * PAGE_BYTES);
    kv_give(&kv, &first);
    kv_give(&kv, &second);
    kv_close(&kv);
}

/* Window parts come back one by one; their memory becomes whole pages again. */
static void free_parts_of_one_kind_make_room_for_the_other(void **state)
{
    (void)state;
    enum { WHOLE = PAGE_BYTES + WINDOW_BYTES, PAGES = 4, MORE = 3 };
    struct kv kv = kv_open((const size_t[]){PAGE_BYTES, WINDOW_BYTES}, PAGES * WHOLE);
    struct forward_page pages[PAGES + MORE];
    for (int i = 0; i < PAGES; i++)
        assert_true(kv_take(&kv, &pages[i]));
    assert_false(kv_take(&kv, &pages[PAGES]));
    for (int i = 0; i < PAGES; i++)
        kv_give_part(&kv, &pages[i], FORWARD_WINDOW);
    for (int i = 0; i < PAGES; i++)
        kv_give_part(&kv, &pages[i], FORWARD_WINDOW); /* which is not there any more */
    assert_int_equal(kv.used_bytes, PAGES * PAGE_BYTES);
    assert_int_equal(kv_available(&kv), MORE); /* 4 windows of 3 are 3 of 4 */
    for (int i = PAGES; i < PAGES + MORE; i++) {
        assert_true(kv_take(&kv, &pages[i]));
        memset(pages[i].parts[FORWARD_WINDOW], 1, WINDOW_BYTES);
        memset(pages[i].parts[FORWARD_GLOBAL], 1, PAGE_BYTES);
        assert_true(kv.mapped_bytes <= kv.granted_bytes);
    }
    assert_int_equal(kv_available(&kv), 0);
    for (int i = 0; i < PAGES + MORE; i++)
        kv_give(&kv, &pages[i]);
    assert_int_equal(kv.used_bytes, 0);
    kv_close(&kv);
}

static void missing_bytes_complete_the_pages_that_are_wanted(void **state)
{
    (void)state;
    struct kv kv = open_whole(PAGE_BYTES + 100);
    struct forward_page page;
    assert_true(kv_take(&kv, &page));
    assert_int_equal(kv_missing_bytes(&kv, 0), 0);
    uint64_t missing = kv_missing_bytes(&kv, 3 * PAGE_BYTES);
    assert_int_equal(missing, 3 * PAGE_BYTES - 100);
    kv_grant(&kv, missing);
    assert_int_equal(kv_available(&kv), 3);
    kv_give(&kv, &page);
    assert_int_equal(kv_missing_bytes(&kv, 4 * PAGE_BYTES), 0);
    kv_close(&kv);
}

static void endless_grants_do_not_wrap(void **state)
{
    (void)state;
    struct kv kv = open_whole(UINT64_MAX - 5);
    kv_grant(&kv, 100);
    assert_true(kv.granted_bytes == UINT64_MAX);
    assert_int_equal(kv_missing_bytes(&kv, UINT64_MAX), 0);
    kv_close(&kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_whole_pages_of_the_system),
        cmocka_unit_test(nothing_is_taken_beyond_the_grant),
        cmocka_unit_test(pages_are_distinct_and_writable_to_their_end),
        cmocka_unit_test(pages_given_back_are_used_again),
        cmocka_unit_test(free_parts_of_one_kind_make_room_for_the_other),
        cmocka_unit_test(missing_bytes_complete_the_pages_that_are_wanted),
        cmocka_unit_test(endless_grants_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
