/* test_utf8.c - where a byte stream may be cut, checked against every two-byte start. */
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void holds_back_an_unfinished_character(void **state)
{
    (void)state;
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\x99z";
    static const size_t shown[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t length = 0; length < sizeof shown / sizeof *shown; length++)
        assert_int_equal(utf8_complete_length(text, length), shown[length]);
}

static void shows_bytes_that_can_never_become_a_character(void **state)
{
    (void)state;
    static const char *const hopeless[] = {
        "\x80",     "\xBF\xBF\xBF",      "\xC0",         "\xC1",     "\xF5",
        "\xFF",     "\xE0\x80",          "\xE0\x9F",     "\xED\xA0", "\xF0\x8F",
        "\xF4\x90", "a\x80\x80\x80\x80", "\xC3\xA9\xA9", "\xE2\x28", "\xF0\x9F\x28",
    };
    for (size_t i = 0; i < sizeof hopeless / sizeof *hopeless; i++)
        assert_int_equal(utf8_complete_length(hopeless[i], strlen(hopeless[i])),
                         strlen(hopeless[i]));
}

static void holds_back_only_well_formed_starts(void **state)
{
    (void)state;
    assert_int_equal(utf8_complete_length("\xE0\xA0", 2), 0);
    assert_int_equal(utf8_complete_length("\xED\x9F", 2), 0);
    assert_int_equal(utf8_complete_length("\xF0\x90\x80", 3), 0);
    assert_int_equal(utf8_complete_length("\xF4\x8F\xBF", 3), 0);
    assert_int_equal(utf8_complete_length("\xE2\x82\xF0\x9F", 4), 2);
}

static void finds_where_valid_text_ends(void **state)
{
    (void)state;
    static const char text[] = "0123456789abcdef\xC3\xA9\xED\xA0\x80 after";
    assert_int_equal(utf8_valid_length(text, sizeof text - 1), 18);
    assert_int_equal(utf8_invalid_length(text + 18, sizeof text - 1 - 18), 3);
    assert_int_equal(utf8_valid_length("\xC3", 1), 0);
    assert_int_equal(utf8_invalid_length("\xC3", 1), 1);
    assert_int_equal(utf8_invalid_length("a", 1), 0);
    assert_int_equal(utf8_valid_length(NULL, 0), 0);
}

/* The number of code points that can be written in `length` bytes, by table 3-7. */
static void accepts_exactly_the_characters_of_unicode(void **state)
{
    (void)state;
    size_t two = 0, three = 0;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0x80; b < 0xC0; b++) {
            const char pair[] = {(char)a, (char)b};
            two += a >= 0x80 && utf8_valid_length(pair, 2) == 2;
            for (unsigned c = 0x80; c < 0xC0; c++) {
                const char triple[] = {(char)a, (char)b, (char)c};
                three += a >= 0xE0 && utf8_valid_length(triple, 3) == 3;
            }
        }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800); /* but the surrogates */
}

static void invalid_and_valid_runs_cover_any_text(void **state)
{
    (void)state;
    unsigned random = 1;
    char text[64];
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof text; i++) {
            random = random * 1103515245 + 12345;
            static const unsigned char likely[] = {0xF0, 0x9F, 0xA6, 0x99, 0xC3, 0xA9, 'a', 0xED};
            text[i] = (char)likely[random >> 16 & 7];
        }
        size_t at = 0;
        while (at < sizeof text) {
            size_t valid = utf8_valid_length(text + at, sizeof text - at);
            size_t invalid = utf8_invalid_length(text + at + valid, sizeof text - at - valid);
            assert_true(valid + invalid > 0);
            at += valid + invalid;
        }
        assert_int_equal(at, sizeof text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_back_an_unfinished_character),
        cmocka_unit_test(shows_bytes_that_can_never_become_a_character),
        cmocka_unit_test(holds_back_only_well_formed_starts),
        cmocka_unit_test(finds_where_valid_text_ends),
        cmocka_unit_test(accepts_exactly_the_characters_of_unicode),
        cmocka_unit_test(invalid_and_valid_runs_cover_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
