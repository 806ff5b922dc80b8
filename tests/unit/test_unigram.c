/* test_unigram.c - the best segmentation, against trying them all, and what no token covers. */
#include "tests/lib/sample_vocabulary.h"
#include "text/unigram.h"
#include "text/words.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct sample_token pieces[] = {{"<unk>", TOKEN_UNKNOWN, 0},
                                             {"</s>", TOKEN_CONTROL, 0},
                                             {"_", TOKEN_NORMAL, -4},
                                             {"a", TOKEN_NORMAL, -3},
                                             {"b", TOKEN_NORMAL, -3.5f},
                                             {"ab", TOKEN_NORMAL, -5},
                                             {"ba", TOKEN_NORMAL, -4},
                                             {"bab", TOKEN_NORMAL, -9},
                                             {"_a", TOKEN_NORMAL, -4.5f},
                                             {"aab", TOKEN_NORMAL, -6.25f},
                                             {"user", TOKEN_USER_DEFINED, -100},
                                             {"s", TOKEN_NORMAL, -1},
                                             {"u", TOKEN_NORMAL, -1},
                                             {"e", TOKEN_NORMAL, -1},
                                             {"r", TOKEN_NORMAL, -1},
                                             {"bb", TOKEN_UNUSED, -3},
                                             {NULL, TOKEN_NORMAL, 0}};

struct fixture {
    struct vocabulary *vocabulary;
    struct unigram *unigram;
    struct unigram_scratch scratch;
    struct tokens tokens;
};

static struct fixture fixture_open(const struct sample_token *tokens, bool bytes)
{
    struct fixture fixture = {.vocabulary =
                                  sample_vocabulary_of(VOCABULARY_UNIGRAM, tokens, bytes)};
    assert_int_equal(unigram_open(fixture.vocabulary, &fixture.unigram, NULL), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    tokens_free(&fixture->tokens);
    unigram_scratch_free(&fixture->scratch);
    unigram_close(fixture->unigram);
    sample_vocabulary_free(fixture->vocabulary);
}

static void encode(struct fixture *fixture, struct text text)
{
    fixture->tokens.count = 0;
    assert_int_equal(unigram_encode(fixture->unigram, text, &fixture->scratch, &fixture->tokens),
                     0);
}

static void assert_ids(struct fixture *fixture, struct text text, const int32_t *expected)
{
    size_t count = 0;
    while (expected[count] >= 0)
        count++;
    encode(fixture, text);
    assert_int_equal(fixture->tokens.count, count);
    if (count)
        assert_memory_equal(fixture->tokens.ids, expected, count * sizeof *expected);
}
#define IDS(...) ((const int32_t[]){__VA_ARGS__, -1})

static void the_highest_sum_wins(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(pieces, false);
    assert_ids(&fixture, text_of("ab"), IDS(5));     /* -5 against -6.5 */
    assert_ids(&fixture, text_of("aab"), IDS(9));    /* -6.25 against -8 */
    assert_ids(&fixture, text_of("aba"), IDS(3, 6)); /* -7 against -8 */
    assert_ids(&fixture, text_of("bb"), IDS(15));    /* UNUSED may be used */
    assert_ids(&fixture, text_of("user"), IDS(10));  /* scores 0, whatever the file says */
    assert_ids(&fixture, text_of(WORDS_SPACE "aa"), IDS(8, 3));
    assert_ids(&fixture, text_of(""), IDS(-1));
    fixture_close(&fixture);
}

static void what_no_token_covers_is_one_unknown_token(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(pieces, false);
    assert_ids(&fixture, text_of("zzza\xE2\x82\xACz"), IDS(0, 3, 0));
    assert_ids(&fixture, text_of("\xFF\xFE"), IDS(0));
    fixture.vocabulary->unknown = VOCABULARY_NONE;
    assert_ids(&fixture, text_of("za\xE2\x82\xAC"), IDS(3));
    fixture_close(&fixture);
}

static void or_its_bytes(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(pieces, true);
    assert_ids(&fixture, text_of("a\xE2\x82\xAC"), IDS(3, 16 + 0xE2, 16 + 0x82, 16 + 0xAC));
    fixture_close(&fixture);
}

static void text_never_becomes_a_control_token(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(pieces, false);
    assert_ids(&fixture, text_of("</s>"), IDS(0, 11, 0));
    fixture_close(&fixture);
}

static void the_last_of_equal_tokens_counts(void **state)
{
    (void)state;
    static const struct sample_token twice[] = {
        {"a", TOKEN_NORMAL, -1}, {"a", TOKEN_NORMAL, -2}, {"", TOKEN_NORMAL, 0}, {NULL, 0, 0}};
    struct fixture fixture = fixture_open(twice, false);
    assert_ids(&fixture, text_of("a"), IDS(1));
    fixture_close(&fixture);
}

/* The best sum from `at` on, by trying every token there. */
static double best_sum(const struct vocabulary *vocabulary, struct text text, size_t at)
{
    if (at == text.length)
        return 0;
    double best = -INFINITY;
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        struct text token = vocabulary->tokens[id];
        if (vocabulary->kinds[id] != TOKEN_CONTROL && vocabulary->kinds[id] != TOKEN_UNKNOWN &&
            token.length <= text.length - at &&
            memcmp(token.bytes, text.bytes + at, token.length) == 0)
            best = fmax(best, (double)vocabulary->scores[id] +
                                  best_sum(vocabulary, text, at + token.length));
    }
    return best;
}

static void no_segmentation_is_better(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open(pieces, false);
    unsigned random = 3;
    for (int round = 0; round < 300; round++) {
        char letters[12];
        size_t length = 1 + (size_t)round % sizeof letters;
        for (size_t i = 0; i < length; i++) {
            random = random * 1103515245 + 12345;
            letters[i] = "aabs"[(random >> 16) % 4];
        }
        struct text text = {letters, length};
        encode(&fixture, text);
        double sum = 0;
        size_t at = 0;
        for (size_t i = 0; i < fixture.tokens.count; i++) {
            struct text token = fixture.vocabulary->tokens[fixture.tokens.ids[i]];
            assert_memory_equal(token.bytes, letters + at, token.length);
            at += token.length;
            sum += (double)fixture.vocabulary->scores[fixture.tokens.ids[i]];
        }
        assert_int_equal(at, length);
        assert_true(fabs(sum - best_sum(fixture.vocabulary, text, 0)) < 1e-9);
    }
    fixture_close(&fixture);
}

/* Past WORDS_PIECE_BYTES_MAX a word is cut. */
static void a_word_of_several_megabytes_is_cut(void **state)
{
    (void)state;
    enum { BYTES = (2 << 20) + 4 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'b', BYTES);
    struct fixture fixture = fixture_open(pieces, false);
    encode(&fixture, (struct text){text, BYTES});
    assert_int_equal(fixture.tokens.count, BYTES / 2);
    memset(text, '\xFF', BYTES);
    encode(&fixture, (struct text){text, BYTES});
    assert_in_range(fixture.tokens.count, 1, 3); /* an unknown token for each part */
    fixture_close(&fixture);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_sum_wins),
        cmocka_unit_test(what_no_token_covers_is_one_unknown_token),
        cmocka_unit_test(or_its_bytes),
        cmocka_unit_test(text_never_becomes_a_control_token),
        cmocka_unit_test(the_last_of_equal_tokens_counts),
        cmocka_unit_test(no_segmentation_is_better),
        cmocka_unit_test(a_word_of_several_megabytes_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
