/* test_pretokenizer.c - where texts are cut, by the rule of each family. */
#include "text/pretokenizer.h"

#include "base/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int collect(void *context, struct text piece)
{
    struct buffer *pieces = context;
    int status = buffer_append_text(pieces, piece);
    return status ? status : buffer_append(pieces, "|", 1);
}

static void assert_pieces(const char *pre, const char *text, const char *expected)
{
    struct pretokenizer *pretokenizer;
    const struct pretokenizer_rule *rule = pretokenizer_rule(text_of(pre));
    assert_non_null(rule);
    assert_int_equal(pretokenizer_open(rule, &pretokenizer, NULL), 0);
    struct buffer pieces = buffer_new(4096);
    assert_int_equal(pretokenizer_split(pretokenizer, text_of(text), collect, &pieces), 0);
    assert_int_equal(buffer_append(&pieces, "", 1), 0);
    assert_string_equal(pieces.bytes, expected);
    buffer_free(&pieces);
    pretokenizer_close(pretokenizer);
}

static void gpt2_keeps_a_space_with_its_word(void **state)
{
    (void)state;
    assert_pieces("gpt-2", "Hello  world's 123 !?", "Hello| | world|'s| 123| !?|");
    assert_pieces("gpt-2", "it'S", "it|'|S|");
    assert_pieces("gpt-2", "a\tb", "a|\t|b|");
    assert_pieces("gpt-2", "a   ", "a|   |");
    assert_pieces("gpt-2", "\n\n\nx", "\n\n|\n|x|");
    assert_pieces("gpt-2", "", "");
}

static void smollm_cuts_digits_first(void **state)
{
    (void)state;
    assert_pieces("smollm", "in 2024, ok", "in| |2|0|2|4|,| ok|");
    assert_pieces("starcoder", "x12", "x|1|2|");
}

static void llama3_takes_three_digits_and_newlines_after_symbols(void **state)
{
    (void)state;
    assert_pieces("llama-bpe", "12345", "123|45|");
    assert_pieces("llama-bpe", "IT'S we'Ll", "IT|'S| we|'Ll|");
    assert_pieces("llama-bpe", "a.\n\n  b", "a|.\n\n| | b|");
    assert_pieces("llama-bpe", "a \n \n  b", "a| \n \n| | b|");
    assert_pieces("llama-bpe", "\tfoo(bar)", "\tfoo|(bar|)|");
    assert_pieces("dbrx", "12345", "123|45|");
}

static void qwen2_takes_one_digit(void **state)
{
    (void)state;
    assert_pieces("qwen2", "a 123", "a| |1|2|3|");
    assert_pieces("deepseek-r1-qwen", "12", "1|2|");
}

static void an_unnamed_rule_cuts_punctuation_then_digits(void **state)
{
    (void)state;
    assert_pieces("", "a+b, 12345", "a|+|b|,| |123|45|");
    assert_pieces("default", "(x)", "(|x|)|");
}

static void white_space_is_that_of_unicode(void **state)
{
    (void)state;
    assert_pieces("gpt-2",
                  "a\xC2\xA0\xE3\x80\x80"
                  "b",
                  "a|\xC2\xA0|\xE3\x80\x80|b|");
    assert_pieces("gpt-2", "\xE1\xA0\x8E!", "\xE1\xA0\x8E!|"); /* U+180E is not white space */
}

static void bytes_that_are_not_utf8_are_a_piece_of_their_own(void **state)
{
    (void)state;
    assert_pieces("gpt-2",
                  "ab\xFF\xFE"
                  "cd",
                  "ab|\xFF\xFE|cd|");
    assert_pieces("qwen2", "  \xC3", "  |\xC3|"); /* to the expressions the text ended there */
    assert_pieces("smollm", "\xED\xA0\x80", "\xED\xA0\x80|");
}

static void unknown_names_have_no_rule(void **state)
{
    (void)state;
    assert_null(pretokenizer_rule(text_of("gpt-5000")));
    assert_null(pretokenizer_rule(text_of("qwen")));
    assert_ptr_equal(pretokenizer_rule(text_of("llama3")), pretokenizer_rule(text_of("llama-bpe")));
    assert_true(pretokenizer_rule(text_of("llama-v3"))->adds_bos);
    assert_true(pretokenizer_rule(text_of("llama-v3"))->ignores_merges);
    assert_false(pretokenizer_rule(text_of("smaug-bpe"))->ignores_merges);
}

static int refuse(void *context, struct text piece)
{
    (void)piece;
    return ++*(int *)context == 2 ? -EXDEV : 0;
}

static void an_error_of_the_taker_ends_the_walk(void **state)
{
    (void)state;
    struct pretokenizer *pretokenizer;
    int calls = 0;
    assert_int_equal(pretokenizer_open(pretokenizer_rule(text_of("smollm")), &pretokenizer, NULL),
                     0);
    assert_int_equal(pretokenizer_split(pretokenizer, text_of("a b 1 c"), refuse, &calls), -EXDEV);
    assert_int_equal(calls, 2);
    pretokenizer_close(pretokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_keeps_a_space_with_its_word),
        cmocka_unit_test(smollm_cuts_digits_first),
        cmocka_unit_test(llama3_takes_three_digits_and_newlines_after_symbols),
        cmocka_unit_test(qwen2_takes_one_digit),
        cmocka_unit_test(an_unnamed_rule_cuts_punctuation_then_digits),
        cmocka_unit_test(white_space_is_that_of_unicode),
        cmocka_unit_test(bytes_that_are_not_utf8_are_a_piece_of_their_own),
        cmocka_unit_test(unknown_names_have_no_rule),
        cmocka_unit_test(an_error_of_the_taker_ends_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
