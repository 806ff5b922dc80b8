/* test_wordpiece.c - words cut into their longest tokens, and what is a word. */
#include "tests/lib/sample_vocabulary.h"
#include "text/wordpiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct sample_token words[] = {
    {"[UNK]", TOKEN_UNKNOWN, 0},    {"_un", TOKEN_NORMAL, 0}, {"_unaff", TOKEN_NORMAL, 0},
    {"able", TOKEN_NORMAL, 0},      {"aff", TOKEN_NORMAL, 0}, {"a", TOKEN_NORMAL, 0},
    {"_a", TOKEN_NORMAL, 0},        {"_!", TOKEN_NORMAL, 0},  {"_^", TOKEN_NORMAL, 0},
    {"_\xC2\xBF", TOKEN_NORMAL, 0}, {"_[", TOKEN_NORMAL, 0},  {"_]", TOKEN_NORMAL, 0},
    {"_secret", TOKEN_CONTROL, 0},  {NULL, TOKEN_NORMAL, 0}};

struct fixture {
    struct vocabulary *vocabulary;
    struct wordpiece *wordpiece;
    struct tokens tokens;
};

static struct fixture fixture_open(int32_t word_characters_max)
{
    struct fixture fixture = {.vocabulary =
                                  sample_vocabulary_of(VOCABULARY_WORDPIECE, words, false)};
    fixture.vocabulary->word_characters_max = word_characters_max;
    assert_int_equal(wordpiece_open(fixture.vocabulary, &fixture.wordpiece, NULL), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    tokens_free(&fixture->tokens);
    wordpiece_close(fixture->wordpiece);
    sample_vocabulary_free(fixture->vocabulary);
}

/* `expected` ends with -1. */
static void assert_ids(struct fixture *fixture, struct text text, const int32_t *expected)
{
    size_t count = 0;
    while (expected[count] >= 0)
        count++;
    fixture->tokens.count = 0;
    assert_int_equal(wordpiece_encode(fixture->wordpiece, text, &fixture->tokens), 0);
    assert_int_equal(fixture->tokens.count, count);
    if (count)
        assert_memory_equal(fixture->tokens.ids, expected, count * sizeof *expected);
}
#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})

static void the_longest_prefix_is_taken(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture, text_of("unaffable"), IDS(2, 3));
    assert_ids(&fixture, text_of("unable"), IDS(1, 3));
    assert_ids(&fixture, text_of("aaa"), IDS(6, 5, 5));
    assert_ids(&fixture, text_of("unaffaffa"), IDS(2, 4, 5));
    fixture_close(&fixture);
}

static void a_word_that_can_not_be_cut_to_its_end_is_unknown_as_a_whole(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture, text_of("unz a zun"), IDS(0, 6, 0));
    assert_ids(&fixture, text_of("aff"), IDS(0)); /* "aff" only continues a word */
    fixture_close(&fixture);
}

static void punctuation_is_a_word_of_its_own(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture, text_of("a!a"), IDS(6, 7, 6));
    assert_ids(&fixture, text_of("^^"), IDS(8, 8)); /* a symbol, but ASCII */
    assert_ids(&fixture, text_of("un\xC2\xBF\xC2\xBFun"), IDS(1, 9, 9, 1));
    assert_ids(&fixture, text_of("[secret]"), IDS(10, 0, 11));
    fixture_close(&fixture);
}

static void white_space_is_dropped(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture,
               text_of(" \t\na\xE3\x80\x80\xC2\xA0"
                       "a\r\n\xC2\x85"),
               IDS(6, 6));
    assert_ids(&fixture, text_of("  \n "), IDS(-1));
    assert_ids(&fixture, text_of(""), IDS(-1));
    fixture_close(&fixture);
}

static void bad_bytes_are_letters_of_no_token(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture,
               text_of("a\xFF"
                       " a \xC3"),
               IDS(0, 6, 0));
    fixture_close(&fixture);
}

static void long_words_are_unknown_where_the_vocabulary_says_so(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(3);
    assert_ids(&fixture, text_of("aaa aaaa aa"), IDS(6, 5, 5, 0, 6, 5));
    assert_ids(&fixture, text_of("aaaa!"), IDS(0, 7));
    fixture_close(&fixture);
}

/* The vocabulary's mark in a text: llama.cpp takes what follows for a word of its own. */
static void a_mark_in_the_text_starts_a_token_only_by_llamas_rules(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(0);
    assert_ids(&fixture, text_of("a\xE2\x96\x81un"), IDS(6, 1));
    fixture_close(&fixture);
    fixture = fixture_open(100);
    assert_ids(&fixture, text_of("a\xE2\x96\x81un"), IDS(0));
    assert_ids(&fixture, text_of("a\xE2\x96"), IDS(0));
    fixture_close(&fixture);
}

static void without_an_unknown_token_words_are_dropped(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(4);
    wordpiece_close(fixture.wordpiece);
    fixture.vocabulary->unknown = VOCABULARY_NONE;
    fixture.vocabulary->word_characters_max = 4;
    assert_int_equal(wordpiece_open(fixture.vocabulary, &fixture.wordpiece, NULL), 0);
    assert_ids(&fixture, text_of("a unz aaaaa a"), IDS(6, 6));
    fixture_close(&fixture);
}

/* A megabyte without a space: each byte is read a bounded number of times. */
static void a_word_of_a_megabyte_is_cut(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'a', BYTES);
    struct fixture fixture = fixture_open(0);
    assert_int_equal(
        wordpiece_encode(fixture.wordpiece, (struct text){text, BYTES}, &fixture.tokens), 0);
    assert_int_equal(fixture.tokens.count, BYTES);
    text[BYTES - 1] = 'z';
    assert_ids(&fixture, (struct text){text, BYTES}, IDS(0));
    fixture_close(&fixture);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_is_taken),
        cmocka_unit_test(a_word_that_can_not_be_cut_to_its_end_is_unknown_as_a_whole),
        cmocka_unit_test(punctuation_is_a_word_of_its_own),
        cmocka_unit_test(white_space_is_dropped),
        cmocka_unit_test(bad_bytes_are_letters_of_no_token),
        cmocka_unit_test(long_words_are_unknown_where_the_vocabulary_says_so),
        cmocka_unit_test(a_mark_in_the_text_starts_a_token_only_by_llamas_rules),
        cmocka_unit_test(without_an_unknown_token_words_are_dropped),
        cmocka_unit_test(a_word_of_a_megabyte_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
