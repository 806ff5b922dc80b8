/* test_pretokenizer.c - where texts are cut: by the rule of each family, by the ways to treat a
 * match, and by expressions of model files, hostile ones among them. */
#include "text/pretokenizer.h"

#include "base/memory.h"
#include "text/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#define MARK "\xE2\x96\x81" /* U+2581 */

static int collect(void *context, struct text piece)
{
    struct buffer *pieces = context;
    int status = buffer_append_text(pieces, piece);
    return status ? status : buffer_append(pieces, "|", 1);
}

static void assert_rule_pieces(const struct pretokenizer_rule *rule, const char *text,
                               const char *expected)
{
    struct pretokenizer *pretokenizer;
    assert_non_null(rule);
    assert_int_equal(pretokenizer_open(rule, &pretokenizer, NULL), 0);
    struct buffer pieces = buffer_new(4096);
    assert_int_equal(pretokenizer_split(pretokenizer, text_of(text), collect, &pieces), 0);
    assert_int_equal(buffer_append(&pieces, "", 1), 0);
    assert_string_equal(pieces.bytes, expected);
    buffer_free(&pieces);
    pretokenizer_close(pretokenizer);
}

static void assert_pieces(const char *pre, const char *text, const char *expected)
{
    assert_rule_pieces(pretokenizer_rule(text_of(pre)), text, expected);
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

/* --- the original expressions ----------------------------------------------------------------- */

static int collect_length(void *context, struct text piece)
{
    return json_array_append_new(context, json_integer((json_int_t)piece.length));
}

static void assert_cases(const struct pretokenizer_rule *rule, const json_t *texts,
                         const json_t *cases)
{
    struct pretokenizer *pretokenizer;
    assert_int_equal(pretokenizer_open(rule, &pretokenizer, NULL), 0);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *item = json_array_get(texts, i);
        struct text text = {json_string_value(item), json_string_length(item)};
        json_t *lengths = json_array();
        assert_int_equal(pretokenizer_split(pretokenizer, text, collect_length, lengths), 0);
        if (!json_equal(lengths, json_array_get(cases, i)))
            fail_msg("text %zu: %s", i, json_dumps(item, JSON_ENCODE_ANY));
        json_decref(lengths);
    }
    pretokenizer_close(pretokenizer);
}

static json_t *load_cases(void)
{
    json_t *file = json_load_file(SOURCE_ROOT "/tests/golden/pretokenizer_cases.json", 0, NULL);
    assert_non_null(file);
    assert_true(json_array_size(json_object_get(file, "texts")) > 100);
    return file;
}

/* Of the expressions alone: spaces are not marked. */
static void every_rule_cuts_as_its_original_expressions_do(void **state)
{
    (void)state;
    json_t *file = load_cases(), *cases;
    const char *pre;
    size_t count = 0;
    json_object_foreach(json_object_get(file, "rules"), pre, cases)
    {
        const struct pretokenizer_rule *rule = pretokenizer_rule(text_of(pre));
        assert_non_null(rule);
        struct pretokenizer_rule expressions = *rule;
        expressions.marks_spaces = false;
        assert_cases(&expressions, json_object_get(file, "texts"), cases);
        count++;
    }
    assert_true(count >= 30);
    json_decref(file);
}

/* As they stand in tokenizer.json of llama 3 (its (?i:) also takes U+017F for an s, which the texts
 * do not tell), tekken-like case folding, and digits in threes from the right. */
static void original_expressions_of_a_file_cut_alike(void **state)
{
    (void)state;
    static const struct {
        const char *pre;
        struct pretokenizer_rule rule;
    } originals[] = {
        {"llama-bpe",
         {.foreign = true,
          .stages = {{"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                      "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)"
                      "|\\s+"}}}},
        {"smollm",
         {.foreign = true,
          .stages = {{"\\p{N}"},
                     {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                      "|\\s+(?!\\S)"}}}},
        {"deepseek-coder",
         {.foreign = true,
          .stages = {{"[\\r\\n]"},
                     {"\\s?\\p{L}+"},
                     {"\\s?\\p{P}+"},
                     {"[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-"
                      "\xED\x9F\xBF]+"},
                     {"\\p{N}"}}}},
        {"superbpe", {.foreign = true, .stages = {{"\\p{N}+"}, {"(?=(\\d{3})+(?!\\d))"}}}},
    };
    json_t *file = load_cases();
    for (size_t i = 0; i < sizeof originals / sizeof *originals; i++)
        assert_cases(&originals[i].rule, json_object_get(file, "texts"),
                     json_object_get(json_object_get(file, "rules"), originals[i].pre));
    json_decref(file);
}

/* --- what becomes of a match ------------------------------------------------------------------ */

static void assert_match(enum pretokenizer_match match, bool inverted, const char *expected)
{
    struct pretokenizer_rule rule = {.stages = {{"[-.]", match, inverted}}};
    assert_rule_pieces(&rule, "-a--b.c", expected);
    rule.foreign = true;
    assert_rule_pieces(&rule, "-a--b.c", expected);
}

/* What the library `tokenizers` gives for Split with these behaviours. */
static void a_match_is_isolated_removed_or_joined(void **state)
{
    (void)state;
    assert_match(PRETOKENIZER_ISOLATE, false, "-|a|-|-|b|.|c|");
    assert_match(PRETOKENIZER_REMOVE, false, "a|b|c|");
    assert_match(PRETOKENIZER_REMOVE, true, "-|-|-|.|");
    assert_match(PRETOKENIZER_MERGE_PREVIOUS, false, "-|a-|-|b.|c|");
    assert_match(PRETOKENIZER_MERGE_NEXT, false, "-a|-|-b|.c|");
    assert_match(PRETOKENIZER_CONTIGUOUS, false, "-|a|--|b|.|c|");
    assert_match(PRETOKENIZER_MERGE_PREVIOUS, true, "-a|-|-b|.c|");
}

static void an_empty_match_is_a_cut(void **state)
{
    (void)state;
    const struct pretokenizer_rule rule = {.stages = {{"(?=[A-Z])"}}};
    assert_rule_pieces(&rule, "aBcDD", "a|Bc|D|D|");
    const struct pretokenizer_rule all = {.stages = {{"x*"}}};
    assert_rule_pieces(&all, "axxb\xC3\xA9", "a|xx|b|\xC3\xA9|");
}

static void a_rule_may_put_a_space_first(void **state)
{
    (void)state;
    const struct pretokenizer_rule rule = {.stages = {{" ?[a-z]+"}}, .adds_space = true};
    assert_rule_pieces(&rule, "ab cd", " ab| cd|");
    assert_rule_pieces(&rule, " ab", " ab|");
    assert_rule_pieces(&rule, "", "");
}

static void a_rule_may_mark_spaces(void **state)
{
    (void)state;
    assert_pieces("gemma4", " a b\n\nc", MARK "a" MARK "b|\n\n|c|");
    assert_pieces("gemma4", "ab", "ab|");
    assert_pieces("sarvam-moe", "  ", MARK MARK "|");
    assert_pieces("whitespace", "a b", "a| |b|");
    const struct pretokenizer_rule both = {.adds_space = true, .marks_spaces = true};
    assert_rule_pieces(&both, "a b", MARK "a" MARK "b|");
}

/* --- time ------------------------------------------------------------------------------------- */

static int ignore(void *context, struct text piece)
{
    *(size_t *)context += piece.length;
    return 0;
}

/* Returns what the split returned.  One that is quadratic in the text does not end here. */
static int split_all(const struct pretokenizer_rule *rule, struct text text)
{
    struct pretokenizer *pretokenizer;
    size_t bytes = 0;
    assert_int_equal(pretokenizer_open(rule, &pretokenizer, NULL), 0);
    int status = pretokenizer_split(pretokenizer, text, ignore, &bytes);
    pretokenizer_close(pretokenizer);
    if (!status && !rule->marks_spaces)
        assert_int_equal(bytes, text.length);
    return status;
}

/* `count` times `unit`, then `end`. */
static struct buffer repeated(const char *unit, size_t count, const char *end)
{
    struct buffer text = buffer_new(8 << 20);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buffer_append_text(&text, text_of(unit)), 0);
    assert_int_equal(buffer_append_text(&text, text_of(end)), 0);
    return text;
}

static void every_rule_is_linear(void **state)
{
    (void)state;
    static const char *const units[] = {"a",
                                        "A",
                                        " ",
                                        "\t",
                                        "1",
                                        "\n",
                                        "!",
                                        " 1",
                                        " a",
                                        "\r ",
                                        "'",
                                        "\xC3\xA9",
                                        "\xCC\x81",
                                        "aA",
                                        "/",
                                        " \n",
                                        "\xC3\xA9"
                                        "A",
                                        "\xE4\xB8\xAD",
                                        "\xEF\xBC\x8C",
                                        "\xF0\x9F\x98\x80",
                                        "1 "};
    json_t *file = load_cases(), *cases;
    const char *pre;
    json_object_foreach(json_object_get(file, "rules"), pre, cases)
    {
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            struct buffer text = repeated(units[i], 40000, "x");
            assert_int_equal(split_all(pretokenizer_rule(text_of(pre)), buffer_text(&text)), 0);
            buffer_free(&text);
        }
    }
    json_decref(file);
}

/* --- hostile expressions ---------------------------------------------------------------------- */

static int run_foreign(const char *pattern, const char *unit, size_t count)
{
    const struct pretokenizer_rule rule = {.stages = {{pattern}}, .foreign = true};
    struct buffer text = repeated(unit, count, "!");
    int status = split_all(&rule, buffer_text(&text));
    buffer_free(&text);
    return status;
}

static void nested_repeats_run_out_of_steps(void **state)
{
    (void)state;
    assert_int_equal(run_foreign("(a+)+$", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("(a|a)*c", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("(?:a|aa)+b", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("(.*)*x", "ab", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("((((a?){30}){30}){3})b", "a", 20000), -EMSGSIZE);
}

static void looking_to_the_end_at_every_place_runs_out_of_steps(void **state)
{
    (void)state;
    assert_int_equal(run_foreign("a(?=.*+x)", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign(".*x", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("(?>a+)x", "a", 20000), -EMSGSIZE);
    assert_int_equal(run_foreign("\\d{1,3}(?=(?:\\d{3})*\\b)", "1", 20000), -EMSGSIZE);
}

/* A repeat by number fails inside one step. */
static void long_repeats_in_vain_run_out_of_steps(void **state)
{
    (void)state;
    struct buffer pattern = buffer_new(PATTERN_BYTES_MAX);
    for (int i = 0; i < 300; i++)
        assert_int_equal(buffer_append_text(&pattern, text_of("a{1024}x|")), 0);
    assert_int_equal(buffer_append(&pattern, "y", 2), 0);
    assert_int_equal(run_foreign(pattern.bytes, "a", 20000), -EMSGSIZE);
    buffer_free(&pattern);
}

static void a_plain_expression_has_steps_to_spare(void **state)
{
    (void)state;
    static const char *const units[] = {"a", " ", "1", "\n", " a", "!", "'", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        assert_int_equal(run_foreign("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                                     "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                                     "|\\s+(?!\\S)|\\s+",
                                     units[i], 20000),
                         0);
}

static void what_has_no_bound_or_another_meaning_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "(a",
        "[a",
        "a)",
        "(a)\\1",
        "(?<x>a)\\k<x>",
        "(?R)",
        "(?1)(a)",
        "(?&x)",
        "(?P>x)",
        "(?C1)a",
        "(*ACCEPT)",
        "(*NO_JIT)a",
        "\\X+",
        "\\Qa\\E",
        "\\h",
        "[a[bc]]",
        "[a-z&&[^b]]",
        "a{1,2}+",
        "a{,3}",
        "a{1025}",
        "(?(1)a|b)",
        "(?x)a",
        "(?m:.)",
        "\\C",
        "a{65536}",
        "(?<=.{17})a",
        "((((((((((((((((((a))))))))))))))))))",
        "\\g{1}(a)",
        "(((a{1000}){1000}){1000}){1000}",
        "\\p{Nonsense}",
        "\\",
        "[\\",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct error error = {0};
        struct pattern *pattern;
        if (pattern_open(refused[i], true, &pattern, &error) != -ENOEXEC)
            fail_msg("\"%s\" is not refused", refused[i]);
        assert_null(pattern);
        assert_true(error.text[0] != 0);
    }
    struct buffer pattern = repeated("a", PATTERN_BYTES_MAX + 1, "");
    struct pattern *opened;
    assert_int_equal(buffer_append(&pattern, "", 1), 0);
    assert_int_equal(pattern_open(pattern.bytes, true, &opened, NULL), -ENOEXEC);
    buffer_free(&pattern);
}

static void what_looks_alike_is_not_refused(void **state)
{
    (void)state;
    static const char *const taken[] = {
        "\\[\\(\\*", "[(*?]",   "[]a]", "[^]a]",   "a\\{1,2}+",  "&&",    "\\p{L}+",  "(?i:a)",
        "(?i)a",     "(?<!a)b", "[{,]", "a{1024}", "(?<name>a)", "(?>a)", "[\\s\\d]", "[^\\S\\n]"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct error error = {0};
        struct pattern *pattern;
        if (pattern_open(taken[i], true, &pattern, &error))
            fail_msg("\"%s\": %s", taken[i], error.text);
        pattern_close(pattern);
    }
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
        cmocka_unit_test(every_rule_cuts_as_its_original_expressions_do),
        cmocka_unit_test(original_expressions_of_a_file_cut_alike),
        cmocka_unit_test(a_match_is_isolated_removed_or_joined),
        cmocka_unit_test(an_empty_match_is_a_cut),
        cmocka_unit_test(a_rule_may_put_a_space_first),
        cmocka_unit_test(a_rule_may_mark_spaces),
        cmocka_unit_test(every_rule_is_linear),
        cmocka_unit_test(nested_repeats_run_out_of_steps),
        cmocka_unit_test(looking_to_the_end_at_every_place_runs_out_of_steps),
        cmocka_unit_test(long_repeats_in_vain_run_out_of_steps),
        cmocka_unit_test(a_plain_expression_has_steps_to_spare),
        cmocka_unit_test(what_has_no_bound_or_another_meaning_is_refused),
        cmocka_unit_test(what_looks_alike_is_not_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
