/* test_grammar.c - GBNF: what is refused and why, what is accepted, what is hostile. */
#include "generate/matcher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct matcher *open_grammar(const char *source, struct grammar **grammar)
{
    struct matcher *matcher;
    struct error error;
    if (grammar_parse(text_of(source), grammar, &error) || matcher_open(*grammar, &matcher, &error))
        fail_msg("%s: %s", source, error.text);
    return matcher;
}

/* How a text stands: '+' accepted, '~' the beginning of something accepted, '-' neither. */
static char verdict(struct matcher *matcher, const char *text)
{
    int32_t state = matcher_start(matcher);
    for (; *text && state > 0; text++)
        state = matcher_step(matcher, state, (uint8_t)*text, NULL);
    assert_true(state >= 0);
    return state == MATCHER_DEAD ? '-' : matcher_is_complete(matcher, state) ? '+' : '~';
}

struct sample {
    const char *grammar;
    const char *texts[12]; /* the first character is the verdict */
};

static void texts_are_accepted_and_refused(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"root ::= \"ab\"", {"~", "~a", "+ab", "-abc", "-b"}},
        {"root ::= \"\"", {"+", "-a"}},
        {"root ::= ", {"+", "-a"}},
        {"root ::= |\"a\"", {"+", "+a", "-aa"}},
        {"root ::= [a-c]* \"x\"?", {"+", "+abcabc", "+abx", "-abxx", "-d"}},
        {"root ::= [a-c]+", {"~", "+a", "+ccc"}},
        {"root ::= [^a-c\\n]", {"-a", "+d", "-\n", "+\xC3\xA9", "~\xC3", "-\xFF", "-\xC0"}},
        {"root ::= [\\u00e0-\\u00ef]", {"+\xC3\xA9", "-\xC3\xB0", "~\xC3", "-e"}},
        {"root ::= [\xC3\xA9\xE2\x82\xAC]", {"+\xC3\xA9", "+\xE2\x82\xAC", "~\xE2\x82", "-\xE3"}},
        {"root ::= \"\\x41\\u00e9\\U0001F600\"", {"+A\xC3\xA9\xF0\x9F\x98\x80", "~A\xC3"}},
        {"root ::= .", {"+a", "+\n", "+\xF0\x9F\x98\x80", "-\xED\xA0\x80", "-\xF4\x90", "-\x80"}},
        {"root ::= [^\\x00-\\U0010FFFD]", {"+\xF4\x8F\xBF\xBF", "-\xF4\x8F\xBF\xBD", "-a"}},
        {"root ::= \"a\"{3}", {"~aa", "+aaa", "-aaaa"}},
        {"root ::= \"a\"{2,}", {"~a", "+aa", "+aaaaaa"}},
        {"root ::= \"a\"{1,3}", {"~", "+a", "+aaa", "-aaaa"}},
        {"root ::= \"a\"{,2}", {"+", "+aa", "-aaa"}},
        {"root ::= \"a\"{0}", {"+", "-a"}},
        {"root ::= (\"ab\" | \"c\"){2} \"!\"", {"+abab!", "+cab!", "+cc!", "~ab", "-ab!"}},
        {"root ::= (\"a\"{2}){2}{1,2}", {"~aaa", "+aaaa", "~aaaaa", "+aaaaaaaa", "-aaaaaaaaa"}},
        {"root ::= (\"a\"?){3}", {"+", "+a", "+aaa", "-aaaa"}},
        {"root ::= (\"a\"*)*", {"+", "+aaaa", "-b"}},
        {"root ::= \"a\" |\n  \"b\"\n", {"+a", "+b"}},
        {"# c\nroot ::= (\n \"a\" # d\n \"b\" )\n\n", {"+ab"}},
        {"root ::= a-b c_d\na-b ::= \"1\"\r\nc_d ::= \"2\" # end", {"+12"}},
        {"root ::= \"(\" root \")\" | \"x\"", {"+x", "+((x))", "~((x)", "-((x)))"}},
        {"root ::= \"a\" root | \"b\"", {"+b", "+aab", "~aaa"}},
        {"root ::= \"a\" root \"b\" | \"\"", {"+", "+ab", "+aabb", "~aab", "-abb"}},
        {"root ::= w w w\nw ::= [ ]*", {"+", "+     ", "-x"}},
        {"root ::= x | y\nx ::= \"a\" [\\]\\-x]\ny ::= \"a\" \"b\"", {"+a]", "+a-", "+ab", "~a"}},
        {"root ::= [a-]", {"+a", "+-", "-b"}},
        {"root ::= dead | \"a\"\ndead ::= \"b\" dead", {"+a", "-b"}},
        {"root ::= [] | \"a\"", {"+a", "-b"}},
        {"root ::= \"a\" n \"b\"\nn ::= m m\nm ::= \"x\"?", {"+ab", "+axb", "+axxb", "-axxx"}},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct grammar *grammar;
        struct matcher *matcher = open_grammar(samples[i].grammar, &grammar);
        for (const char *const *text = samples[i].texts; *text; text++)
            if (verdict(matcher, *text + 1) != **text)
                fail_msg("%s: %s is not so", samples[i].grammar, *text);
        matcher_close(matcher);
        grammar_close(grammar);
    }
}

static void assert_refused(const char *source, size_t length, const char *sentence)
{
    struct grammar *grammar = NULL;
    struct error error = {0};
    assert_int_equal(grammar_parse((struct text){source, length}, &grammar, &error), -EINVAL);
    assert_int_equal(error.code, EINVAL);
    if (!strstr(error.text, sentence))
        fail_msg("\"%.100s\": \"%s\", not \"%s\"", source, error.text, sentence);
    assert_null(grammar);
}

static void errors_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *source, *sentence;
    } refused[] = {
        {"", "line 1: there is no rule root"},
        {"\n\nrule ::= \"a\"\n", "line 4: there is no rule root"},
        {"root ::= \"a\"\nroot ::= \"b\"", "line 2: root is defined twice"},
        {"root ::= a\n\na ::= b", "line 3: there is no rule b"},
        {"root ::= \"a\"\nx := \"b\"", "line 2: no ::= after x"},
        {"root ::= \"a\"\nx", "line 2: no ::= after x"},
        {"root ::= \"a", "line 1: a literal has no closing '\"'"},
        {"root ::= (\n\"a\nb\")", "line 2: a literal has no closing '\"'"},
        {"root ::= \"a\\", "line 1: unknown escape"},
        {"root ::= \"\\q\"", "line 1: unknown escape \\q"},
        {"root ::= \"\\x1", "fewer than 2 hex digits"},
        {"root ::= \"\\uD800\"", "U+D800, which is no character"},
        {"root ::= \"\\U00110000\"", "U+110000, which is no character"},
        {"root ::= [a", "line 1: a character class has no closing ']'"},
        {"root ::= [a-", "line 1: a character class has no closing ']'"},
        {"root ::= [a-\n]", "line 1: a character class has no closing ']'"},
        {"root ::= [\\", "line 1: unknown escape"},
        {"root ::= [z-a]", "line 1: a range from U+007A down to U+0061"},
        {"root ::= (\n\n\"a\"", "line 1: a group has no closing ')'"},
        {"root ::= \"a\")", "line 1: unexpected ')'"},
        {"root ::= *", "line 1: unexpected '*'"},
        {"root ::= \"a\"{", "line 1: a number is missing"},
        {"root ::= \"a\"{1", "line 1: a repetition is not"},
        {"root ::= \"a\"{1,2,3}", "line 1: a repetition is not"},
        {"root ::= \"a\"{x}", "line 1: a number is missing"},
        {"root ::= \"a\"{3,2}", "line 1: a minimum of 3 above a maximum of 2"},
        {"root ::= <think>", "line 1: tokens (<...>) are not supported"},
        {"root ::= \"a\" ::= \"b\"", "line 1: unexpected ':'"},
        {"root ::= \"a\"\n\xFF", "line 2: byte 0xff is no UTF-8"},
        {"root ::= \"a\" root", "line 1: nothing can match root: it never ends"},
        {"root ::= []", "line 1: nothing can match root"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_refused(refused[i].source, strlen(refused[i].source), refused[i].sentence);
    assert_refused("root ::= \"a\0", 12, "a literal has no closing");
    assert_refused("root ::= \0", 10, "unexpected byte 0x00");
}

static void left_recursion_is_refused(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "root ::= root",
        "root ::= root \"a\" | \"b\"",
        "root ::= a\na ::= b \"x\" | \"y\"\nb ::= a",
        "root ::= e root \"a\" | \"b\"\ne ::= \"x\"?",
        "root ::= e e2 root | \"b\"\ne ::= \"x\"*\ne2 ::= e | \"\"",
        "root ::= (\"x\"? root){2,3} | \"b\"",
        "root ::= \"a\"\nunused ::= unused",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        assert_refused(sources[i], strlen(sources[i]), "begins with itself (left recursion)");
}

static char *repeated(const char *before, const char *unit, size_t count, const char *after)
{
    size_t length = strlen(unit);
    char *text = malloc(strlen(before) + length * count + strlen(after) + 1);
    assert_non_null(text);
    char *at = stpcpy(text, before);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, unit);
    stpcpy(at, after);
    return text;
}

static void assert_refused_text(char *source, const char *sentence)
{
    assert_refused(source, strlen(source), sentence);
    free(source);
}

static void nesting_and_counts_have_limits(void **state)
{
    (void)state;
    assert_refused_text(repeated("root ::= ", "(", 60000, ""), "groups nest deeper than 200");
    assert_refused_text(repeated("root ::= ", "(", 201, "\"a\""), "groups nest deeper than 200");
    assert_refused_text(repeated("root ::= \"", "a", GRAMMAR_SOURCE_BYTES_MAX, "\""),
                        "bytes, more");
    assert_refused_text(repeated("root ::= \"", "a", 200000, "\""), "more than 262144 nodes");
    assert_refused_text(repeated("root ::= [", "ac", 70000, "]"), "a class of more than 65536");
    const char *million = "root ::= \"a\"{0,1000000}";
    assert_refused(million, strlen(million), "a count of 1000000, more than 65536");
    const char *huge = "root ::= \"a\"{99999999999999999999}";
    assert_refused(huge, strlen(huge), "more than 65536");
}

static void counts_inside_of_counts_add_up(void **state)
{
    (void)state;
    struct grammar *grammar;
    struct matcher *matcher =
        open_grammar("root ::= ((((\"ab\"{1000}){1000}){1000}){1000}){1000}", &grammar);
    assert_true(grammar->node_count < 20000);
    int32_t at = matcher_start(matcher);
    for (int i = 0; i < 5000; i++)
        at = matcher_step(matcher, at, i % 2 ? 'b' : 'a', NULL);
    assert_true(at > MATCHER_DEAD);
    assert_false(matcher_is_complete(matcher, at));
    matcher_close(matcher);
    grammar_close(grammar);
}

/* The matcher keeps no more than a few places of a text that can be read in 2^n ways: else this
 * does not end. */
static void ambiguity_does_not_explode(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "root ::= \"a\" root | \"a\" \"\" root | \"a\" root \"b\"? | \"\"",
        "root ::= s\ns ::= x s \"z\" | y s \"z\" | \"e\"\nx ::= \"a\"\ny ::= \"a\" | \"aa\"",
        "root ::= \"a\" root root | \"\"",
        "root ::= ((\"a\"*)*)* \"a\"* (\"a\"? \"a\"? \"a\"?)*",
        "root ::= w w w w w w w w \"!\"\nw ::= \"a\" w | \"\"",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct grammar *grammar;
        struct matcher *matcher = open_grammar(sources[i], &grammar);
        int32_t at = matcher_start(matcher);
        for (int j = 0; j < 300 && at > 0; j++) {
            assert_true(matcher_trim(matcher, &at, NULL) >= 0);
            at = matcher_step(matcher, at, 'a', NULL);
        }
        assert_true(at > MATCHER_DEAD);
        matcher_close(matcher);
        grammar_close(grammar);
    }
}

static void a_limit_of_the_matcher_is_an_error(void **state)
{
    (void)state;
    struct grammar *grammar;
    struct error error = {0};
    struct matcher *matcher = open_grammar("root ::= \"(\" root \")\" | \"x\"", &grammar);
    int32_t at = matcher_start(matcher);
    long depth = 0;
    while (at >= 0 && depth < 10000000) {
        int status = matcher_trim(matcher, &at, &error);
        at = status < 0 ? status : matcher_step(matcher, at, '(', &error);
        assert_int_not_equal(at, MATCHER_DEAD);
        depth++;
    }
    assert_int_equal(at, -EMSGSIZE);
    assert_int_equal(error.code, EMSGSIZE);
    assert_non_null(strstr(error.text, "nests too deep"));
    assert_true(depth > 100000);
    matcher_close(matcher);
    grammar_close(grammar);
}

/* Trimming forgets states; the text goes on as if it had not. */
static void a_trimmed_matcher_goes_on(void **state)
{
    (void)state;
    struct grammar *grammar;
    struct matcher *matcher =
        open_grammar("root ::= \"[\" (root (\",\" root)*)? \"]\" | [a-z]{1,2000}", &grammar);
    int32_t at = matcher_start(matcher);
    int trims = 0;
    for (int round = 0; round < 40000; round++) {
        const char *text = round == 0 ? "[[" : round % 3 ? "a,[],[" : "[b],[[c]],[";
        for (; *text; text++) {
            int status = matcher_trim(matcher, &at, NULL);
            assert_true(status >= 0);
            trims += status;
            at = matcher_step(matcher, at, (uint8_t)*text, NULL);
            assert_true(at > MATCHER_DEAD);
        }
    }
    assert_true(trims > 0);
    for (int depth = 0; depth < 40000; depth++) {
        assert_true(matcher_trim(matcher, &at, NULL) >= 0);
        at = matcher_step(matcher, at, ']', NULL);
    }
    assert_false(matcher_is_complete(matcher, at));
    at = matcher_step(matcher, at, ']', NULL);
    assert_true(matcher_is_complete(matcher, at));
    assert_false(matcher_can_go_on(matcher, at));
    matcher_close(matcher);
    grammar_close(grammar);
}

static void long_chains_of_rules_do_not_recurse(void **state)
{
    (void)state;
    char *source = malloc(60000 * 24), *at = source;
    struct grammar *grammar;
    assert_non_null(source);
    at += sprintf(at, "root ::= r0 \"!\"\n");
    for (int i = 0; i < 30000; i++)
        at += sprintf(at, "r%d ::= r%d \"\"\n", i, i + 1);
    at += sprintf(at, "r30000 ::= \"a\"?\n");
    struct matcher *matcher = open_grammar(source, &grammar);
    assert_int_equal(verdict(matcher, "a!"), '+');
    assert_int_equal(verdict(matcher, "!"), '+');
    matcher_close(matcher);
    grammar_close(grammar);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_and_refused),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(left_recursion_is_refused),
        cmocka_unit_test(nesting_and_counts_have_limits),
        cmocka_unit_test(counts_inside_of_counts_add_up),
        cmocka_unit_test(ambiguity_does_not_explode),
        cmocka_unit_test(a_limit_of_the_matcher_is_an_error),
        cmocka_unit_test(a_trimmed_matcher_goes_on),
        cmocka_unit_test(long_chains_of_rules_do_not_recurse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
