/* test_spm.c - merging by score, against the definition, and what happens to characters that are no
 * token. */
#include "tests/lib/sample_vocabulary.h"
#include "text/spm.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct sample_token letters[] = {
    {"<unk>", TOKEN_UNKNOWN, 0},     {"<s>", TOKEN_CONTROL, 0},  {"_", TOKEN_NORMAL, -20},
    {"a", TOKEN_NORMAL, -21},        {"b", TOKEN_NORMAL, -22},   {"c", TOKEN_NORMAL, -23},
    {"s", TOKEN_NORMAL, -24},        {"<", TOKEN_NORMAL, -25},   {">", TOKEN_NORMAL, -26},
    {"ab", TOKEN_NORMAL, -2},        {"bc", TOKEN_NORMAL, -1},   {"aa", TOKEN_NORMAL, -3},
    {"aaaa", TOKEN_NORMAL, -3},      {"ca", TOKEN_NORMAL, -2},   {"_a", TOKEN_NORMAL, -4},
    {"abc", TOKEN_NORMAL, -5},       {"__", TOKEN_NORMAL, -6},   {"bb", TOKEN_NORMAL, 3},
    {"s>", TOKEN_NORMAL, 1},         {"<s", TOKEN_NORMAL, 0.5f}, {"bbb", TOKEN_NORMAL, 2},
    {"\xC3\xA9", TOKEN_NORMAL, -30}, {NULL, TOKEN_NORMAL, 0}};

struct fixture {
    struct vocabulary *vocabulary;
    struct spm *spm;
    struct spm_scratch scratch;
    struct tokens tokens;
};

static struct fixture fixture_open(const struct sample_token *tokens, bool bytes)
{
    struct fixture fixture = {.vocabulary = sample_vocabulary_of(VOCABULARY_SPM, tokens, bytes)};
    assert_int_equal(spm_open(fixture.vocabulary, &fixture.spm), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    tokens_free(&fixture->tokens);
    spm_scratch_free(&fixture->scratch);
    spm_close(fixture->spm);
    sample_vocabulary_free(fixture->vocabulary);
}

static void encode(struct fixture *fixture, struct text text)
{
    fixture->tokens.count = 0;
    assert_int_equal(spm_encode(fixture->spm, text, &fixture->scratch, &fixture->tokens), 0);
}

/* The token strings, each in brackets, "_" for U+2581. */
static void assert_encodes(struct fixture *fixture, const char *text, const char *expected)
{
    struct buffer shown = buffer_new(4096);
    encode(fixture, text_of(text));
    for (size_t i = 0; i < fixture->tokens.count; i++) {
        struct text token = fixture->vocabulary->tokens[fixture->tokens.ids[i]];
        assert_int_equal(buffer_append(&shown, "[", 1), 0);
        for (; token.length >= 3 && memcmp(token.bytes, "\xE2\x96\x81", 3) == 0;
             token = (struct text){token.bytes + 3, token.length - 3})
            assert_int_equal(buffer_append(&shown, "_", 1), 0);
        assert_int_equal(buffer_printf(&shown, "%.*s]", TEXT_ARGUMENTS(token)), 0);
    }
    assert_int_equal(buffer_append(&shown, "", 1), 0);
    assert_string_equal(shown.bytes, expected);
    buffer_free(&shown);
}

static void the_highest_score_is_merged_first(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, true);
    assert_encodes(&fixture, "abc", "[abc]"); /* a+bc: "bc" came before "ab" */
    assert_encodes(&fixture, "abca", "[abc][a]");
    assert_encodes(&fixture, "bbb", "[bbb]");
    assert_encodes(&fixture, "", "");
    fixture_close(&fixture);
}

static void the_leftmost_of_equal_scores_is_merged_first(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, true);
    assert_encodes(&fixture, "aaa", "[aa][a]");
    assert_encodes(&fixture, "aaaaaaa", "[aaaa][aa][a]");
    fixture_close(&fixture);
}

static void spaces_are_marks_and_one_may_come_first(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, true);
    assert_encodes(&fixture, "a a  a", "[a][_a][_][_a]");
    assert_encodes(&fixture, "   ", "[__][_]");
    fixture.vocabulary->add_space_prefix = true;
    assert_encodes(&fixture, "a", "[_a]");
    assert_encodes(&fixture, " a", "[_][_a]");
    assert_encodes(&fixture, "", "");
    fixture_close(&fixture);
}

/* "_ _" would be one token here, "x _" too: then a text must not be cut between words. */
static void a_token_may_cross_words(void **state)
{
    (void)state;
    static const struct sample_token crossing[] = {{"_", TOKEN_NORMAL, -9},
                                                   {"a", TOKEN_NORMAL, -9},
                                                   {"a\xE2\x96\x81", TOKEN_NORMAL, -1},
                                                   {"_a", TOKEN_NORMAL, -2},
                                                   {"a\xE2\x96\x81"
                                                    "a",
                                                    TOKEN_NORMAL, -3},
                                                   {NULL, TOKEN_NORMAL, 0}};
    struct fixture fixture = fixture_open(crossing, false);
    encode(&fixture, text_of("a a"));
    assert_int_equal(fixture.tokens.count, 1);
    assert_int_equal(fixture.tokens.ids[0], 4);
    fixture_close(&fixture);
}

static void what_is_no_token_becomes_its_bytes(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, true);
    assert_encodes(&fixture, "a\xC3\xA9z\xE2\x82\xAC",
                   "[a][\xC3\xA9][<0x7A>][<0xE2>][<0x82>][<0xAC>]");
    assert_encodes(&fixture,
                   "\xFF"
                   "a\xC3",
                   "[<0xFF>][a][<0xC3>]");
    fixture_close(&fixture);
}

static void a_byte_without_a_token_is_unknown_or_dropped(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, false);
    assert_encodes(&fixture,
                   "az\xE2\x82\xAC"
                   "a",
                   "[a][<unk>][<unk>][<unk>][<unk>][a]");
    fixture_close(&fixture);
    fixture = fixture_open(letters + 1, false);
    assert_encodes(&fixture,
                   "az\xE2\x82\xAC"
                   "a",
                   "[a][a]");
    fixture_close(&fixture);
}

static void text_never_becomes_a_control_or_byte_token(void **state)
{
    (void)state;
    static const struct sample_token steps_to_a_byte[] = {
        {"<", TOKEN_NORMAL, -9},     {"0", TOKEN_NORMAL, -9},   {"x", TOKEN_NORMAL, -9},
        {"4", TOKEN_NORMAL, -9},     {"1", TOKEN_NORMAL, -9},   {">", TOKEN_NORMAL, -9},
        {"<0", TOKEN_NORMAL, -1},    {"<0x", TOKEN_NORMAL, -1}, {"<0x4", TOKEN_NORMAL, -1},
        {"<0x41", TOKEN_NORMAL, -1}, {NULL, TOKEN_NORMAL, 0}};
    struct fixture fixture = fixture_open(letters, true);
    assert_encodes(&fixture, "<s>", "[<][s>]");
    fixture_close(&fixture);
    fixture = fixture_open(steps_to_a_byte, true);
    assert_encodes(&fixture, "<0x41>", "[<0x41][>]");
    fixture_close(&fixture);
}

/* Merge by the definition. */
static size_t merge_naively(const struct vocabulary *vocabulary, struct text text, int32_t *ids)
{
    struct text symbols[200];
    size_t count = 0;
    for (; count < text.length; count++)
        symbols[count] = (struct text){text.bytes + count, 1};
    for (;;) {
        size_t best = count;
        float best_score = -1e30f;
        for (size_t i = 0; i + 1 < count; i++) {
            struct text both = {symbols[i].bytes, symbols[i].length + symbols[i + 1].length};
            for (int32_t id = 0; id < vocabulary->token_count; id++)
                if (vocabulary->kinds[id] == TOKEN_NORMAL &&
                    text_equals(vocabulary->tokens[id], both) &&
                    vocabulary->scores[id] > best_score) {
                    best = i;
                    best_score = vocabulary->scores[id];
                }
        }
        if (best == count)
            break;
        symbols[best].length += symbols[best + 1].length;
        memmove(symbols + best + 1, symbols + best + 2, (count - best - 2) * sizeof *symbols);
        count--;
    }
    for (size_t i = 0; i < count; i++)
        for (int32_t id = 0; id < vocabulary->token_count; id++)
            if (text_equals(vocabulary->tokens[id], symbols[i]))
                ids[i] = id;
    return count;
}

static void words_merge_as_defined(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(letters, true);
    unsigned random = 5;
    for (size_t length = 1; length < 200; length++) {
        char text[200];
        int32_t expected[200];
        for (size_t i = 0; i < length; i++) {
            random = random * 1103515245 + 12345;
            text[i] = "aaabbcs<>"[(random >> 16) % 9];
        }
        size_t count = merge_naively(fixture.vocabulary, (struct text){text, length}, expected);
        encode(&fixture, (struct text){text, length});
        assert_int_equal(fixture.tokens.count, count);
        assert_memory_equal(fixture.tokens.ids, expected, count * sizeof *expected);
    }
    fixture_close(&fixture);
}

/* Past WORDS_PIECE_BYTES_MAX a word is cut, at a character's end. */
static void a_word_of_several_megabytes_is_cut(void **state)
{
    (void)state;
    enum { CHARACTERS = 1500000 };
    char *text = malloc(2 * CHARACTERS);
    assert_non_null(text);
    for (size_t i = 0; i < CHARACTERS; i++)
        memcpy(text + 2 * i, "\xC3\xA9", 2);
    struct fixture fixture = fixture_open(letters, true);
    encode(&fixture, (struct text){text, 2 * CHARACTERS});
    assert_int_equal(fixture.tokens.count, CHARACTERS);
    encode(&fixture, (struct text){text + 1, 2 * CHARACTERS - 1});
    assert_int_equal(fixture.tokens.count, CHARACTERS);
    fixture_close(&fixture);
    free(text);
}

static void a_token_of_more_than_512_bytes_is_not_merged_to(void **state)
{
    (void)state;
    enum { DOUBLINGS = 11 }; /* 1, 2, 4 ... 1024 letters */
    char strings[DOUBLINGS][1025];
    struct sample_token tokens[DOUBLINGS + 1] = {0};
    for (size_t i = 0; i < DOUBLINGS; i++) {
        memset(strings[i], 'a', (size_t)1 << i);
        strings[i][(size_t)1 << i] = 0;
        tokens[i] = (struct sample_token){strings[i], TOKEN_NORMAL, -1};
    }
    struct fixture fixture = fixture_open(tokens, false);
    encode(&fixture, text_of(strings[DOUBLINGS - 1]));
    assert_int_equal(fixture.tokens.count, 2);
    assert_int_equal(fixture.tokens.ids[0], DOUBLINGS - 2);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_score_is_merged_first),
        cmocka_unit_test(the_leftmost_of_equal_scores_is_merged_first),
        cmocka_unit_test(spaces_are_marks_and_one_may_come_first),
        cmocka_unit_test(a_token_may_cross_words),
        cmocka_unit_test(what_is_no_token_becomes_its_bytes),
        cmocka_unit_test(a_byte_without_a_token_is_unknown_or_dropped),
        cmocka_unit_test(text_never_becomes_a_control_or_byte_token),
        cmocka_unit_test(words_merge_as_defined),
        cmocka_unit_test(a_word_of_several_megabytes_is_cut),
        cmocka_unit_test(a_token_of_more_than_512_bytes_is_not_merged_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
