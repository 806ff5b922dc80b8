/* test_normalizer.c - each step on texts whose result the standard or the definition gives, long
 * runs of marks, and character maps that lie. */
#include "text/charsmap.h"
#include "text/normalizer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OUT_BYTES = 64 << 20 };

static const struct text none = {"", 0};

static struct buffer normalise(const struct normalizer_step *steps, size_t count, struct text text)
{
    struct buffer out = buffer_new(OUT_BYTES);
    assert_int_equal(normalizer_check(steps, count, NULL), 0);
    assert_int_equal(normalizer_apply(steps, count, text, &out), 0);
    return out;
}

static void assert_step(struct normalizer_step step, const char *text, const char *expected)
{
    struct buffer out = normalise(&step, 1, text_of(text));
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal(out.bytes, expected);
    buffer_free(&out);
}

static void assert_kind(enum normalizer_kind kind, const char *text, const char *expected)
{
    assert_step((struct normalizer_step){kind, none, none}, text, expected);
}

/* Figures 3 to 6 of Unicode Standard Annex 15, and what its rules say about the rest. */
static void normal_forms_are_unicode(void **state)
{
    (void)state;
    static const struct {
        const char *text, *nfd, *nfc, *nfkd, *nfkc;
    } rows[] = {
        {"plain", "plain", "plain", "plain", "plain"},
        /* ANGSTROM SIGN, a with ring */
        {"\xE2\x84\xAB", "A\xCC\x8A", "\xC3\x85", "A\xCC\x8A", "\xC3\x85"},
        /* OHM SIGN */
        {"\xE2\x84\xA6", "\xCE\xA9", "\xCE\xA9", "\xCE\xA9", "\xCE\xA9"},
        /* s with dot below and above, in both orders */
        {"\xE1\xB9\xA9", "s\xCC\xA3\xCC\x87", "\xE1\xB9\xA9", "s\xCC\xA3\xCC\x87", "\xE1\xB9\xA9"},
        {"s\xCC\x87\xCC\xA3", "s\xCC\xA3\xCC\x87", "\xE1\xB9\xA9", "s\xCC\xA3\xCC\x87",
         "\xE1\xB9\xA9"},
        /* d with dot above, then dot below: composes across the order */
        {"\xE1\xB8\x8B\xCC\xA3", "d\xCC\xA3\xCC\x87", "\xE1\xB8\x8D\xCC\x87", "d\xCC\xA3\xCC\x87",
         "\xE1\xB8\x8D\xCC\x87"},
        /* ligature fi, two to the fifth */
        {"\xEF\xAC\x81", "\xEF\xAC\x81", "\xEF\xAC\x81", "fi", "fi"},
        {"2\xE2\x81\xB5", "2\xE2\x81\xB5", "2\xE2\x81\xB5", "25", "25"},
        /* Hangul: a syllable of three, and its letters */
        {"\xEA\xB0\x81", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81",
         "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81"},
        {"\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8",
         "\xEA\xB0\x81", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81"},
        /* DEVANAGARI QA is excluded from composition */
        {"\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC", "\xE0\xA4\x95\xE0\xA4\xBC",
         "\xE0\xA4\x95\xE0\xA4\xBC", "\xE0\xA4\x95\xE0\xA4\xBC"},
        /* a composition of two starters: BENGALI VOWEL SIGN O */
        {"\xE0\xA7\x87\xE0\xA6\xBE", "\xE0\xA7\x87\xE0\xA6\xBE", "\xE0\xA7\x8B",
         "\xE0\xA7\x87\xE0\xA6\xBE", "\xE0\xA7\x8B"},
        /* a mark at the start, and after a letter that it does not join */
        {"\xCC\x81x\xCC\x81", "\xCC\x81x\xCC\x81", "\xCC\x81x\xCC\x81", "\xCC\x81x\xCC\x81",
         "\xCC\x81x\xCC\x81"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_kind(NORMALIZE_NFD, rows[i].text, rows[i].nfd);
        assert_kind(NORMALIZE_NFC, rows[i].text, rows[i].nfc);
        assert_kind(NORMALIZE_NFKD, rows[i].text, rows[i].nfkd);
        assert_kind(NORMALIZE_NFKC, rows[i].text, rows[i].nfkc);
    }
}

/* A million marks in a row, of classes that alternate: sorted, and each class in its old order. */
static void a_run_of_a_million_marks_is_ordered(void **state)
{
    (void)state;
    enum { PAIRS = 250000 };
    static const char above[][3] = {"\xCC\x81", "\xCC\x80"}, below[] = "\xCC\xA3";
    char *text = malloc(4 * PAIRS);
    assert_non_null(text);
    for (size_t i = 0; i < PAIRS; i++) {
        memcpy(text + 4 * i, above[i % 2], 2);
        memcpy(text + 4 * i + 2, below, 2);
    }
    const struct normalizer_step step = {NORMALIZE_NFC, none, none};
    struct buffer out = normalise(&step, 1, (struct text){text, 4 * PAIRS});
    assert_int_equal(out.length, 4 * PAIRS);
    for (size_t i = 0; i < PAIRS; i++) {
        assert_memory_equal(out.bytes + 2 * i, below, 2);
        assert_memory_equal(out.bytes + 2 * (PAIRS + i), above[i % 2], 2);
    }
    buffer_free(&out);
    free(text);
}

/* Short runs and long ones are sorted in two ways, which agree. */
static void runs_of_any_length_are_ordered(void **state)
{
    (void)state;
    const struct normalizer_step step = {NORMALIZE_NFD, none, none};
    for (size_t count = 1; count < 40; count++) {
        char text[1 + 2 * 40];
        text[0] = 'x';
        for (size_t i = 0; i < count; i++)
            memcpy(text + 1 + 2 * i, i % 3 ? "\xCC\x81" : "\xCC\xA3", 2); /* 230 and 220 */
        struct buffer out = normalise(&step, 1, (struct text){text, 1 + 2 * count});
        assert_int_equal(out.length, 1 + 2 * count);
        size_t lows = (count + 2) / 3;
        for (size_t i = 0; i < count; i++)
            assert_memory_equal(out.bytes + 1 + 2 * i, i < lows ? "\xCC\xA3" : "\xCC\x81", 2);
        buffer_free(&out);
    }
}

static void characters_are_mapped(void **state)
{
    (void)state;
    assert_kind(NORMALIZE_LOWERCASE, "ABC\xC3\x84\xCE\xA3z\xC4\xB0",
                "abc\xC3\xA4\xCF\x83zi\xCC\x87");
    /* acute; KHMER VOWEL SIGN AA is a spacing mark, ENCLOSING KEYCAP an enclosing one */
    assert_kind(NORMALIZE_STRIP_ACCENTS, "e\xCC\x81\xE1\x9E\xB6\xE2\x83\xA3",
                "e\xE1\x9E\xB6\xE2\x83\xA3");
    assert_kind(NORMALIZE_STRIP_MARKS, "e\xCC\x81\xE1\x9E\xB6\xE2\x83\xA3", "e");
    assert_kind(NORMALIZE_BASE_LETTERS, "\xC3\xA9\xEA\xB0\x81x", "e\xE1\x84\x80x");
    assert_kind(NORMALIZE_SPACES, "a\tb\xC2\xA0\xE3\x80\x80\xC2\x85\xE2\x80\x8B",
                "a b   \xE2\x80\x8B");
    assert_kind(NORMALIZE_CLEAN, "a\tb\x01\x7F\xC2\x85\xE2\x80\x8B\xEF\xBF\xBD\xE3\x80\x80z",
                "a b z");
    assert_kind(NORMALIZE_SPACE_CJK, "a\xE4\xBD\xA0z\xE3\x81\x82", "a \xE4\xBD\xA0 z\xE3\x81\x82");
}

static void texts_are_stripped_collapsed_and_replaced(void **state)
{
    (void)state;
    assert_kind(NORMALIZE_STRIP_LEFT, " \n\xE3\x80\x80 a b ", "a b ");
    assert_kind(NORMALIZE_STRIP_RIGHT, " a b \n\xE3\x80\x80", " a b");
    assert_kind(NORMALIZE_STRIP_RIGHT, " \xE3\x80\x80", "");
    assert_kind(NORMALIZE_COLLAPSE_SPACES, "  a   b c\t  ", "a b c\t");
    assert_kind(NORMALIZE_COLLAPSE_SPACES, "   ", "");
    const struct normalizer_step prepend = {NORMALIZE_PREPEND, none, {">>", 2}};
    assert_step(prepend, "a", ">>a");
    assert_step(prepend, "", "");
    const struct normalizer_step replace = {NORMALIZE_REPLACE, {"aa", 2}, {"b", 1}};
    assert_step(replace, "aaaxaa", "baxb");
    assert_step(replace, "", "");
    const struct normalizer_step remove = {NORMALIZE_REPLACE, {"a", 1}, {"", 0}};
    assert_step(remove, "banana", "bnn");
}

static void bad_bytes_become_replacement_characters(void **state)
{
    (void)state;
    struct buffer out = normalise(NULL, 0, text_of("a\xFF\xC3(\xE2\x82"));
    assert_int_equal(out.length, strlen("a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD"));
    assert_memory_equal(out.bytes, "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD",
                        out.length);
    buffer_free(&out);
}

static void steps_follow_each_other_and_append(void **state)
{
    (void)state;
    const struct normalizer_step steps[] = {{NORMALIZE_NFD, none, none},
                                            {NORMALIZE_STRIP_ACCENTS, none, none},
                                            {NORMALIZE_LOWERCASE, none, none}};
    struct buffer out = buffer_new(OUT_BYTES);
    assert_int_equal(buffer_append(&out, "=", 1), 0);
    assert_int_equal(normalizer_apply(steps, 3, text_of("\xC3\x89T\xC3\x89"), &out), 0);
    assert_int_equal(out.length, 4);
    assert_memory_equal(out.bytes, "=ete", 4);
    buffer_free(&out);
}

static void a_text_that_a_step_empties_stays_empty(void **state)
{
    (void)state;
    const struct normalizer_step steps[] = {{NORMALIZE_CLEAN, none, none},
                                            {NORMALIZE_REPLACE, {" ", 1}, {"_", 1}},
                                            {NORMALIZE_PREPEND, none, {"_", 1}},
                                            {NORMALIZE_COLLAPSE_SPACES, none, none}};
    struct buffer out = normalise(steps, 4, text_of("\x1D"));
    assert_int_equal(out.length, 0);
    buffer_free(&out);
}

static void a_text_that_grows_too_much_is_refused(void **state)
{
    (void)state;
    char long_string[4096];
    memset(long_string, 'x', sizeof long_string);
    const struct normalizer_step step = {
        NORMALIZE_REPLACE, {"a", 1}, {long_string, sizeof long_string}};
    struct buffer out = buffer_new(OUT_BYTES);
    assert_int_equal(buffer_append(&out, "kept", 4), 0);
    assert_int_equal(normalizer_apply(&step, 1, text_of("aaaa"), &out), -EMSGSIZE);
    assert_int_equal(out.length, 4);
    buffer_free(&out);
}

static void unsound_steps_are_refused(void **state)
{
    (void)state;
    struct error error;
    struct normalizer_step steps[NORMALIZER_STEPS_MAX + 1] = {{NORMALIZE_REPLACE, none, {"x", 1}}};
    assert_int_equal(normalizer_check(steps, 1, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "empty"));
    steps[0].kind = NORMALIZE_NFC;
    assert_int_equal(normalizer_check(steps, NORMALIZER_STEPS_MAX, &error), 0);
    assert_int_equal(normalizer_check(steps, NORMALIZER_STEPS_MAX + 1, &error), -ENOEXEC);
    static const char *const maps[] = {"",
                                       "\0\0\0",
                                       "\0\0\0\0x",
                                       "\3\0\0\0xxxx",
                                       "\4\0\0\0xxxx",
                                       "\xFF\xFF\xFF\xFFxxxx",
                                       "\xFC\xFF\xFF\xFFxxxx"};
    static const size_t lengths[] = {0, 3, 5, 8, 8, 8, 8};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        steps[0] = (struct normalizer_step){NORMALIZE_CHARSMAP, {maps[i], lengths[i]}, none};
        assert_int_equal(normalizer_check(steps, 1, &error), -ENOEXEC);
        assert_non_null(strstr(error.text, "character map"));
    }
}

/* --- a character map: "a" becomes "xy", "ab" nothing -------------------------------------------
 */

enum { UNITS = 0x400, POOL_BYTES = 4, ENDS = 1 << 8, LEAVES = 10 };

struct map {
    uint32_t trie_bytes;
    uint32_t units[UNITS];
    char pool[POOL_BYTES];
};

static struct map map_of_two(void)
{
    struct map map = {.trie_bytes = UNITS * 4, .pool = "xy"};
    map.units['a'] = 'a' | ENDS | 0x100 << LEAVES;
    map.units['a' ^ 0x100] = 0x80000000u; /* offset 0 */
    map.units['a' ^ 0x100 ^ 'b'] = 'b' | ENDS | 0x200 << LEAVES;
    map.units['a' ^ 0x100 ^ 'b' ^ 0x200] = 0x80000002u; /* offset 2: the empty string */
    return map;
}

static struct normalizer_step step_of(const struct map *map)
{
    size_t length = sizeof map->trie_bytes + sizeof map->units + sizeof map->pool;
    return (struct normalizer_step){NORMALIZE_CHARSMAP, {(const char *)map, length}, none};
}

static void a_character_map_replaces_the_longest_prefix(void **state)
{
    (void)state;
    struct map map = map_of_two();
    assert_step(step_of(&map), "a", "xy");
    assert_step(step_of(&map), "caabbz\xC3\xA9", "cxybz\xC3\xA9");
    assert_step(step_of(&map), "", "");
}

static void a_character_map_that_lies_is_not_followed(void **state)
{
    (void)state;
    struct map map = map_of_two();
    map.units['a' ^ 0x100] = 0x80000000u | POOL_BYTES; /* past the pool */
    assert_step(step_of(&map), "a", "a");
    map = map_of_two();
    memset(map.pool, 'x', sizeof map.pool); /* no end: the pool's end */
    assert_step(step_of(&map), "a", "xxxx");
    map = map_of_two();
    map.units['a'] = 'a' | ENDS | 0x1FFFFFu << LEAVES; /* children outside */
    assert_step(step_of(&map), "a", "a");
    map = map_of_two();
    map.units['a'] |= 1 << 9; /* the same, further */
    assert_step(step_of(&map), "a", "a");
    map = map_of_two();
    map.units[0] = 0xFFFFFFFFu;
    assert_step(step_of(&map), "a", "a");
    map = map_of_two();
    map.units['a'] = 'a' | ENDS | 'a' << LEAVES; /* its own child: a walk has to stop by itself */
    char text[1000];
    memset(text, 'a', sizeof text);
    struct text to;
    assert_int_equal(charsmap_find(step_of(&map).from, (struct text){text, sizeof text}, &to),
                     CHARSMAP_PREFIX_BYTES_MAX);
}

/* "a" becomes the whole pool, "ab" its last byte's string, which is empty: only what is taken may
 * cost, or each "ab" would cost the pool. */
static void an_endless_string_of_a_character_map_costs_nothing(void **state)
{
    enum { POOL = 8 << 20, PAIRS = 1 << 20 }; /* else 8 TiB are read, which does not end */
    (void)state;
    struct map map = map_of_two();
    map.units['a' ^ 0x100 ^ 'b' ^ 0x200] = 0x80000000u | (POOL - 1);
    char *bytes = malloc(sizeof map + POOL), *text = malloc(2 * PAIRS);
    assert_non_null(bytes);
    assert_non_null(text);
    memcpy(bytes, &map, sizeof map - sizeof map.pool);
    memset(bytes + sizeof map - sizeof map.pool, 'x', POOL - 1);
    bytes[sizeof map - sizeof map.pool + POOL - 1] = 0;
    for (size_t i = 0; i < 2 * PAIRS; i++)
        text[i] = i % 2 ? 'b' : 'a';
    struct text whole = {bytes, sizeof map - sizeof map.pool + POOL};
    struct normalizer_step step = {NORMALIZE_CHARSMAP, whole, none};
    struct buffer out = buffer_new(1 << 20);
    assert_int_equal(normalizer_apply(&step, 1, (struct text){text, 2 * PAIRS}, &out), 0);
    assert_int_equal(out.length, 0);
    buffer_free(&out);
    free(text);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms_are_unicode),
        cmocka_unit_test(a_run_of_a_million_marks_is_ordered),
        cmocka_unit_test(runs_of_any_length_are_ordered),
        cmocka_unit_test(characters_are_mapped),
        cmocka_unit_test(texts_are_stripped_collapsed_and_replaced),
        cmocka_unit_test(bad_bytes_become_replacement_characters),
        cmocka_unit_test(steps_follow_each_other_and_append),
        cmocka_unit_test(a_text_that_a_step_empties_stays_empty),
        cmocka_unit_test(a_text_that_grows_too_much_is_refused),
        cmocka_unit_test(unsound_steps_are_refused),
        cmocka_unit_test(a_character_map_replaces_the_longest_prefix),
        cmocka_unit_test(a_character_map_that_lies_is_not_followed),
        cmocka_unit_test(an_endless_string_of_a_character_map_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
