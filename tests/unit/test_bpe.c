/* test_bpe.c - merging from characters: what is a token, what becomes bytes, newlines as a whole,
 * long pieces.  Merging from bytes is tested with the whole tokenizer (test_tokenizer.c). */
#include "text/bpe.h"

#include "base/memory.h"
#include "text/pretokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define E_ACUTE "\xC3\xA9"
#define MARK    "\xE2\x96\x81" /* U+2581 */

enum { BYTES = 255 }; /* <0x00> to <0xFE>: the last one has no token */

static const char *const strings[] = {"a",       "b",         E_ACUTE, MARK, "ab",
                                      MARK "ab", E_ACUTE "a", "\n\n",  "\n", MARK MARK};
enum { A = BYTES, B, ACUTE, SPACE, AB, SPACE_AB, ACUTE_A, LINES, LINE, SPACES, TOKENS };

static struct text merges[] = {
    {"a b", 3}, {MARK " ab", 6}, {E_ACUTE " a", 4}, {MARK " " MARK, 7}, {"x y", 3}};

struct fixture {
    struct vocabulary vocabulary;
    struct text tokens[TOKENS];
    uint8_t kinds[TOKENS];
    char bytes[BYTES][8];
    struct bpe *bpe;
};

static struct fixture *fixture_open(const char *pre)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    for (int id = 0; id < TOKENS; id++) {
        if (id < BYTES)
            snprintf(fixture->bytes[id], sizeof fixture->bytes[id], "<0x%02X>", (unsigned)id);
        fixture->tokens[id] = text_of(id < BYTES ? fixture->bytes[id] : strings[id - BYTES]);
        fixture->kinds[id] = id < BYTES ? TOKEN_BYTE : TOKEN_NORMAL;
    }
    fixture->vocabulary = (struct vocabulary){.rule = pretokenizer_rule(text_of(pre)),
                                              .tokens = fixture->tokens,
                                              .kinds = fixture->kinds,
                                              .token_count = TOKENS,
                                              .merges = merges,
                                              .merge_count = 5};
    assert_int_equal(bpe_open(&fixture->vocabulary, &fixture->bpe, NULL), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    bpe_close(fixture->bpe);
    free(fixture);
}

static struct tokens encode(const struct fixture *fixture, struct text piece)
{
    struct bpe_scratch scratch = {0};
    struct tokens tokens = {0};
    assert_int_equal(bpe_encode(fixture->bpe, piece, &scratch, &tokens), 0);
    bpe_scratch_free(&scratch);
    return tokens;
}

static void assert_ids(const struct fixture *fixture, const char *piece, size_t count,
                       const int32_t *ids)
{
    struct tokens tokens = encode(fixture, text_of(piece));
    assert_int_equal(tokens.count, count);
    assert_memory_equal(tokens.ids, ids, count * sizeof *ids);
    tokens_free(&tokens);
}

#define IDS(...)                                                                                   \
    sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), (int32_t[])                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void characters_merge_and_others_become_bytes(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open("gemma4");
    assert_ids(fixture, "ab" E_ACUTE "a", IDS(AB, ACUTE_A));
    assert_ids(fixture, MARK "abb", IDS(SPACE_AB, B));
    assert_ids(fixture, MARK MARK "ab", IDS(SPACE, SPACE_AB)); /* by rank, not from the left */
    assert_ids(fixture, "xy", IDS('x', 'y'));                  /* their merge is of no tokens */
    assert_ids(fixture,
               "a\xE4\xB8\xAD"
               "b",
               IDS(A, 0xE4, 0xB8, 0xAD, B));
    assert_ids(fixture, "\xFE\xFF\x80", IDS(0xFE, 0x80)); /* FF has no token */
    assert_ids(fixture, "a\xC3", IDS(A, 0xC3));
    fixture_close(fixture);
}

static void newlines_are_taken_whole_by_the_rule_of_gemma(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open("gemma4");
    assert_ids(fixture, "\n\n", IDS(LINES));
    assert_ids(fixture, "\n\n\n", IDS(LINE, LINE, LINE));
    fixture_close(fixture);
    fixture = fixture_open("sarvam-moe");
    assert_ids(fixture, "\n\n", IDS(LINE, LINE));
    fixture_close(fixture);
}

/* Long pieces take another way through the code; it must not show. */
static void long_pieces_give_what_short_ones_give(void **state)
{
    (void)state;
    static const char unit[] = MARK "ab" E_ACUTE "a\xE4\xB8\xAD\xFE";
    static const int32_t ids[] = {SPACE_AB, ACUTE_A, 0xE4, 0xB8, 0xAD, 0xFE};
    enum { UNITS = 1000, UNIT_IDS = sizeof ids / sizeof *ids };
    struct fixture *fixture = fixture_open("gemma4");
    struct buffer text = buffer_new(1 << 20);
    for (int i = 0; i < UNITS; i++)
        assert_int_equal(buffer_append_text(&text, text_of(unit)), 0);
    struct tokens tokens = encode(fixture, buffer_text(&text));
    assert_int_equal(tokens.count, UNITS * UNIT_IDS);
    for (size_t i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], ids[i % UNIT_IDS]);
    tokens_free(&tokens);
    buffer_free(&text);
    fixture_close(fixture);
}

/* A piece is cut at BPE_PIECE_BYTES_MAX, between characters; and bytes that belong to none do not
 * make it slow. */
static void pieces_without_end_are_cut_between_characters(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_open("gemma4");
    size_t length = 3 * (size_t)BPE_PIECE_BYTES_MAX;
    char *bytes = malloc(length);
    assert_non_null(bytes);
    bytes[0] = 'a';
    for (size_t i = 1; i + 1 < length; i += 2)
        memcpy(bytes + i, E_ACUTE, 2);
    struct tokens tokens = encode(fixture, (struct text){bytes, length - 1});
    assert_int_equal(tokens.count, length / 2);
    for (size_t i = 1; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], ACUTE);
    tokens_free(&tokens);
    memset(bytes, 0x80, length);
    tokens = encode(fixture, (struct text){bytes, length});
    assert_int_equal(tokens.count, length);
    tokens_free(&tokens);
    free(bytes);
    fixture_close(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_merge_and_others_become_bytes),
        cmocka_unit_test(newlines_are_taken_whole_by_the_rule_of_gemma),
        cmocka_unit_test(long_pieces_give_what_short_ones_give),
        cmocka_unit_test(pieces_without_end_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
