/* test_tokenizer.c - text to ids and back: merging against a naive reference, special strings, any
 * bytes, texts made to be slow. */
#include "base/memory.h"
#include "tests/lib/sample_vocabulary.h"
#include "text/normalizer.h"
#include "text/tokenizer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const letter_merges[] = {"b c",   "a b",       "a a",   "aa aa", "ab ab", "c a",
                                            "bc bc", "aaaa aaaa", "ca bc", "ab c",  NULL};

struct fixture {
    struct vocabulary *vocabulary;
    struct tokenizer *tokenizer;
    struct tokens tokens;
};

static struct fixture fixture_open(const char *pre, const char *const *merges,
                                   const struct sample_special *specials)
{
    struct fixture fixture = {.vocabulary = sample_vocabulary(pre, merges, specials)};
    assert_int_equal(tokenizer_open(fixture.vocabulary, &fixture.tokenizer, NULL), 0);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    tokens_free(&fixture->tokens);
    tokenizer_close(fixture->tokenizer);
    sample_vocabulary_free(fixture->vocabulary);
}

/* Decode all ids into a new string of *length bytes. */
static char *decode_all(const struct tokenizer *tokenizer, const struct tokens *tokens,
                        size_t *length)
{
    size_t piece = tokenizer_piece_bytes_max(tokenizer), capacity = tokens->count * piece + 1;
    char *text = malloc(capacity);
    assert_non_null(text);
    *length = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        long bytes =
            tokenizer_decode(tokenizer, tokens->ids[i], true, text + *length, capacity - *length);
        assert_in_range(bytes, 0, piece);
        *length += (size_t)bytes;
    }
    return text;
}

static void assert_decodes_to(const struct tokenizer *tokenizer, const struct tokens *tokens,
                              struct text text)
{
    size_t length;
    char *back = decode_all(tokenizer, tokens, &length);
    assert_int_equal(length, text.length);
    assert_memory_equal(back, text.bytes, length);
    free(back);
}

static void assert_round_trip(const struct tokenizer *tokenizer, struct text text)
{
    struct tokens tokens = {0};
    assert_int_equal(tokenizer_encode(tokenizer, text, TOKENIZER_PLAIN, &tokens), 0);
    assert_decodes_to(tokenizer, &tokens, text);
    tokens_free(&tokens);
}

/* The token strings of an encoded text, each in brackets. */
static void assert_encodes(struct fixture *fixture, const char *text, enum tokenizer_text special,
                           const char *expected)
{
    struct buffer shown = buffer_new(4096);
    fixture->tokens.count = 0;
    assert_int_equal(tokenizer_encode(fixture->tokenizer, text_of(text), special, &fixture->tokens),
                     0);
    for (size_t i = 0; i < fixture->tokens.count; i++) {
        struct text token = fixture->vocabulary->tokens[fixture->tokens.ids[i]];
        assert_int_equal(buffer_printf(&shown, "[%.*s]", TEXT_ARGUMENTS(token)), 0);
    }
    assert_int_equal(buffer_append(&shown, "", 1), 0);
    assert_string_equal(shown.bytes, expected);
    buffer_free(&shown);
}

static void merges_by_rank_then_from_the_left(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", letter_merges, NULL);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[a][bc]");
    assert_encodes(&fixture, "aaa", TOKENIZER_PLAIN, "[aa][a]");
    assert_encodes(&fixture, "abab", TOKENIZER_PLAIN, "[abab]");
    assert_encodes(&fixture, "", TOKENIZER_PLAIN, "");
    fixture_close(&fixture);
}

/* Merge by the definition, on ids: the lowest-ranked pair, leftmost, until none is left. */
static size_t merge_naively(const struct vocabulary *vocabulary, const char *text, size_t length,
                            int32_t *ids)
{
    for (size_t i = 0; i < length; i++) {
        char letter[] = {text[i], 0};
        ids[i] = sample_vocabulary_id(vocabulary, letter);
    }
    for (int32_t rank = 0; rank < vocabulary->merge_count; rank++) {
        char pair[64], whole[64];
        for (size_t i = 0; i + 1 < length; i++) {
            struct text left = vocabulary->tokens[ids[i]], right = vocabulary->tokens[ids[i + 1]];
            snprintf(pair, sizeof pair, "%.*s %.*s", TEXT_ARGUMENTS(left), TEXT_ARGUMENTS(right));
            snprintf(whole, sizeof whole, "%.*s%.*s", TEXT_ARGUMENTS(left), TEXT_ARGUMENTS(right));
            if (!text_is(vocabulary->merges[rank], pair))
                continue;
            ids[i] = sample_vocabulary_id(vocabulary, whole);
            memmove(ids + i + 1, ids + i + 2, (length - i - 2) * sizeof *ids);
            length--;
            rank = -1; /* a lower rank may have become possible */
            break;
        }
    }
    return length;
}

static void short_and_long_pieces_merge_as_defined(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", letter_merges, NULL);
    unsigned random = 7;
    for (size_t length = 1; length < 200; length++) {
        char text[200];
        int32_t expected[200];
        for (size_t i = 0; i < length; i++) {
            random = random * 1103515245 + 12345;
            text[i] = "aaabbc"[(random >> 16) % 6];
        }
        size_t count = merge_naively(fixture.vocabulary, text, length, expected);
        fixture.tokens.count = 0;
        assert_int_equal(tokenizer_encode(fixture.tokenizer, (struct text){text, length},
                                          TOKENIZER_PLAIN, &fixture.tokens),
                         0);
        assert_int_equal(fixture.tokens.count, count);
        assert_memory_equal(fixture.tokens.ids, expected, count * sizeof *expected);
    }
    fixture_close(&fixture);
}

static void the_first_of_equal_merges_counts(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b", "b c", "x y", "a b", NULL};
    struct fixture fixture = fixture_open("gpt-2", merges, NULL);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[ab][c]");
    fixture_close(&fixture);
}

static void the_last_of_equal_tokens_counts(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b", "ab c", NULL};
    static const struct sample_special twice[] = {
        {"ab", TOKEN_NORMAL}, {"", TOKEN_CONTROL},    {"", TOKEN_NORMAL},
        {"ab", TOKEN_NORMAL}, {"<x>", TOKEN_CONTROL}, {"<x>", TOKEN_USER_DEFINED},
        {NULL, TOKEN_NORMAL}};
    struct fixture fixture = fixture_open("gpt-2", merges, twice);
    assert_encodes(&fixture, "ab", TOKENIZER_PLAIN, "[ab]");
    assert_int_equal(fixture.tokens.ids[0], 256 + 3);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[abc]");
    assert_encodes(&fixture, "<x>", TOKENIZER_PLAIN, "[<x>]");
    assert_int_equal(fixture.tokens.ids[0], 256 + 5);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("<x>")), 256 + 5);
    fixture_close(&fixture);
}

static void llama3_takes_a_whole_piece_without_merging(void **state)
{
    (void)state;
    static const char *const merges[] = {"b c", NULL};
    static const struct sample_special words[] = {{"abc", TOKEN_NORMAL},
                                                  {"\xC4\xA0"
                                                   "abc",
                                                   TOKEN_NORMAL},
                                                  {NULL, TOKEN_NORMAL}};
    struct fixture fixture = fixture_open("llama-bpe", merges, words);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[abc]");
    assert_encodes(&fixture, " abc", TOKENIZER_PLAIN,
                   "[\xC4\xA0"
                   "abc]");
    assert_encodes(&fixture, "abcd", TOKENIZER_PLAIN, "[a][bc][d]");
    fixture_close(&fixture);
    fixture = fixture_open("gpt-2", merges, words);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[a][bc]");
    fixture_close(&fixture);
}

static void merging_never_makes_a_control_token(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b", "b c", NULL};
    static const struct sample_special specials[] = {
        {"ab", TOKEN_CONTROL}, {"xyz", TOKEN_CONTROL}, {NULL, TOKEN_NORMAL}};
    struct fixture fixture = fixture_open("llama-bpe", merges, specials);
    assert_encodes(&fixture, "abc", TOKENIZER_PLAIN, "[a][bc]");
    assert_encodes(&fixture, "xyz", TOKENIZER_PLAIN, "[x][y][z]");
    assert_encodes(&fixture, "xyz", TOKENIZER_SPECIAL, "[xyz]");
    fixture_close(&fixture);
}

static void incomplete_vocabularies_are_tolerated(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b", NULL};
    struct fixture fixture = {.vocabulary = sample_vocabulary("gpt-2", merges, NULL)};
    fixture.vocabulary->kinds[sample_vocabulary_id(fixture.vocabulary, "c")] = TOKEN_CONTROL;
    fixture.vocabulary->kinds[sample_vocabulary_id(fixture.vocabulary, "ab")] = TOKEN_UNKNOWN;
    assert_int_equal(tokenizer_open(fixture.vocabulary, &fixture.tokenizer, NULL), 0);
    assert_encodes(&fixture, "abcd", TOKENIZER_PLAIN, "[a][b][d]"); /* c has no token: dropped */
    fixture_close(&fixture);
}

static const struct sample_special markers[] = {
    {"<|im_start|>", TOKEN_CONTROL}, {"<|im_end|>", TOKEN_CONTROL},
    {"<unk>", TOKEN_UNKNOWN},        {"<|im", TOKEN_USER_DEFINED},
    {"<think>", TOKEN_USER_DEFINED}, {"<think>x", TOKEN_CONTROL},
    {"\n\n\n", TOKEN_USER_DEFINED},  {"\n\n", TOKEN_USER_DEFINED},
    {"</s>", TOKEN_NORMAL},          {NULL, TOKEN_NORMAL}};

static void special_strings_match_longest_first_from_the_left(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, markers);
    assert_encodes(&fixture, "a<|im_end|>", TOKENIZER_SPECIAL, "[a][<|im_end|>]");
    assert_encodes(&fixture, "<|im_en", TOKENIZER_SPECIAL, "[<|im][_][e][n]");
    assert_encodes(&fixture, "<think>x<unk>", TOKENIZER_SPECIAL, "[<think>x][<unk>]");
    assert_encodes(&fixture, "\n\n\n\n\n", TOKENIZER_SPECIAL, "[\n\n\n][\n\n]");
    fixture_close(&fixture);
}

static void user_text_matches_only_user_defined_strings(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, markers);
    assert_encodes(&fixture, "<|im_e", TOKENIZER_PLAIN, "[<|im][_][e]");
    assert_encodes(&fixture, "<think>x", TOKENIZER_PLAIN, "[<think>][x]");
    assert_encodes(&fixture, "<unk>", TOKENIZER_PLAIN, "[<][u][n][k][>]");
    fixture_close(&fixture);
}

static void finds_special_ids_by_string(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, markers);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("<|im_end|>")), 257);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("<think>")), 260);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("</s>")), VOCABULARY_NONE);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("<|im_")), VOCABULARY_NONE);
    assert_int_equal(tokenizer_special_id(fixture.tokenizer, text_of("")), VOCABULARY_NONE);
    fixture_close(&fixture);
}

static void decodes_one_token_at_a_time(void **state)
{
    (void)state;
    static const char *const merges[] = {"\xC4\xA0 \xC4\xB1", "\xC4\xA0\xC4\xB1 a", NULL};
    struct fixture fixture = fixture_open("gpt-2", merges, markers);
    const struct tokenizer *tokenizer = fixture.tokenizer;
    int32_t whole = sample_vocabulary_id(fixture.vocabulary, "\xC4\xA0\xC4\xB1"
                                                             "a");
    char out[16] = "????";
    assert_int_equal(tokenizer_decode(tokenizer, whole, false, out, sizeof out), 3);
    assert_memory_equal(out,
                        " \x8F"
                        "a?",
                        4);
    memset(out, '?', sizeof out);
    assert_int_equal(tokenizer_decode(tokenizer, whole, false, out, 1), 3);
    assert_memory_equal(out, " ?", 2);
    assert_int_equal(tokenizer_decode(tokenizer, whole, false, NULL, 0), 3);
    assert_int_equal(tokenizer_decode(tokenizer, 257, false, out, sizeof out), 0);
    assert_int_equal(tokenizer_decode(tokenizer, 258, false, out, sizeof out), 0);
    assert_int_equal(tokenizer_decode(tokenizer, 257, true, out, sizeof out), 10);
    assert_int_equal(tokenizer_decode(tokenizer, 260, false, out, sizeof out), 7);
    assert_int_equal(tokenizer_decode(tokenizer, -1, true, out, sizeof out), -EINVAL);
    int32_t count = tokenizer_vocabulary_size(tokenizer);
    assert_int_equal(count, fixture.vocabulary->token_count);
    assert_int_equal(tokenizer_decode(tokenizer, count, true, out, sizeof out), -EINVAL);
    assert_int_equal(tokenizer_piece_bytes_max(tokenizer), strlen("<|im_start|>"));
    fixture_close(&fixture);
}

static void characters_outside_the_alphabet_decode_as_they_are(void **state)
{
    (void)state;
    static const struct sample_special words[] = {{"\xE4\xBD\xA0 x\xC5\x84", TOKEN_NORMAL},
                                                  {NULL, TOKEN_NORMAL}};
    struct fixture fixture = fixture_open("gpt-2", NULL, words);
    char out[16];
    assert_int_equal(tokenizer_decode(fixture.tokenizer, 256, false, out, sizeof out), 7);
    assert_memory_equal(out, "\xE4\xBD\xA0 x\xC5\x84", 7); /* U+0144: one past the alphabet */
    fixture_close(&fixture);
}

static void knows_what_ends_a_generation(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, markers);
    fixture.vocabulary->eos = 3;
    fixture.vocabulary->eot = 4;
    fixture.vocabulary->eom = 5;
    assert_true(tokenizer_is_end(fixture.tokenizer, 3));
    assert_true(tokenizer_is_end(fixture.tokenizer, 4));
    assert_true(tokenizer_is_end(fixture.tokenizer, 5));
    assert_true(tokenizer_is_end(fixture.tokenizer, 257));  /* <|im_end|> */
    assert_false(tokenizer_is_end(fixture.tokenizer, 256)); /* <|im_start|> */
    assert_false(tokenizer_is_end(fixture.tokenizer,
                                  sample_vocabulary_id(fixture.vocabulary, "</s>"))); /* NORMAL */
    assert_false(tokenizer_is_end(fixture.tokenizer, -1));
    assert_false(tokenizer_is_end(fixture.tokenizer, INT32_MAX));
    fixture_close(&fixture);
}

static void names_the_id_before_a_prompt(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, NULL);
    fixture.vocabulary->bos = 1;
    assert_int_equal(tokenizer_bos(fixture.tokenizer), VOCABULARY_NONE);
    fixture.vocabulary->add_bos = true;
    assert_int_equal(tokenizer_bos(fixture.tokenizer), 1);
    fixture_close(&fixture);
}

static void assert_not_opened(struct vocabulary *vocabulary, const char *named)
{
    struct tokenizer *tokenizer = (struct tokenizer *)(uintptr_t)1;
    struct error error;
    assert_int_equal(tokenizer_open(vocabulary, &tokenizer, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, named));
    assert_null(tokenizer);
    sample_vocabulary_free(vocabulary);
}

static void refuses_a_merge_that_is_not_two_strings(void **state)
{
    (void)state;
    static const char *const merges[] = {"a b", NULL};
    static const char *const bad_merges[] = {"", " ", "ab", "a ", " b", "  "};
    for (size_t i = 0; i < sizeof bad_merges / sizeof *bad_merges; i++) {
        struct vocabulary *vocabulary = sample_vocabulary("gpt-2", merges, NULL);
        memcpy((char *)(uintptr_t)vocabulary->merges[0].bytes, bad_merges[i],
               strlen(bad_merges[i]));
        vocabulary->merges[0].length = strlen(bad_merges[i]);
        assert_not_opened(vocabulary, "merge 0");
    }
}

static void a_text_that_is_too_long_leaves_the_ids_alone(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open("gpt-2", NULL, NULL);
    assert_encodes(&fixture, "x", TOKENIZER_PLAIN, "[x]");
    struct text text = {"never read", TOKENIZER_TEXT_BYTES_MAX + (size_t)1};
    assert_int_equal(tokenizer_encode(fixture.tokenizer, text, TOKENIZER_PLAIN, &fixture.tokens),
                     -EMSGSIZE);
    assert_int_equal(fixture.tokens.count, 1);
    fixture_close(&fixture);
}

static const char *const pres[] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"};

static const char *const busy_merges[] = {"a a",
                                          "aa aa",
                                          "aaaa aaaa",
                                          "\xC4\xA0 \xC4\xA0",
                                          "\xC4\xA0\xC4\xA0 \xC4\xA0\xC4\xA0",
                                          "\xC4\x8A \xC4\x8A",
                                          "0 0",
                                          "\xC3\xBF \xC3\xBE",
                                          "\xC3\xB0 \xC4\xB2",
                                          "\xC4\xA0 a",
                                          NULL};

static void any_bytes_come_back(void **state)
{
    (void)state;
    for (size_t rule = 0; rule < sizeof pres / sizeof *pres; rule++) {
        struct fixture fixture = fixture_open(pres[rule], busy_merges, markers);
        unsigned random = 99;
        char text[512];
        for (int round = 0; round < 300; round++) {
            static const char likely[] = "aa  \n00\xFF\xFE\xF0\x9F\xA6\x99<|im_end|>'s";
            for (size_t i = 0; i < sizeof text; i++) {
                random = random * 1103515245 + 12345;
                text[i] =
                    round % 2 ? (char)(random >> 16) : likely[(random >> 16) % (sizeof likely - 1)];
            }
            assert_round_trip(fixture.tokenizer, (struct text){text, (size_t)round});
            assert_round_trip(fixture.tokenizer, (struct text){text, sizeof text});
        }
        fixture_close(&fixture);
    }
}

static void a_megabyte_of_anything_comes_back(void **state)
{
    (void)state;
    static const char *const units[] = {
        "a",          " ",          "7",        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
        "\xFF\xFE",   "\n",         " \n",      "!",
        "ab\xF0\x9F", "\n        ", "\xC2\xA0", "<|im_",
        "'",          "\tx",        "\xFFy"};
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t rule = 0; rule < sizeof pres / sizeof *pres; rule++) {
        struct fixture fixture = fixture_open(pres[rule], busy_merges, markers);
        for (size_t unit = 0; unit < sizeof units / sizeof *units; unit++) {
            for (size_t i = 0; i < BYTES; i++)
                text[i] = units[unit][i % strlen(units[unit])];
            assert_round_trip(fixture.tokenizer, (struct text){text, BYTES});
        }
        fixture_close(&fixture);
    }
    free(text);
}

/* A piece past BPE_PIECE_BYTES_MAX is cut, not refused. */
static void a_word_of_several_megabytes_comes_back(void **state)
{
    (void)state;
    enum { BYTES = (2 << 20) + 17 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'a', BYTES);
    struct fixture fixture = fixture_open("gpt-2", busy_merges, NULL);
    assert_round_trip(fixture.tokenizer, (struct text){text, BYTES});
    fixture_close(&fixture);
    free(text);
}

/* --- the other models --------------------------------------------------------------------------
 */

static const struct sample_token spm_tokens[] = {
    {"<unk>", TOKEN_UNKNOWN, 0}, {"<s>", TOKEN_CONTROL, 0}, {"_", TOKEN_NORMAL, -3},
    {"a", TOKEN_NORMAL, -4},     {"_a", TOKEN_NORMAL, -1},  {"<x>", TOKEN_USER_DEFINED, 0},
    {"__", TOKEN_NORMAL, -2},    {NULL, TOKEN_NORMAL, 0}};

static const struct sample_token wordpiece_tokens[] = {
    {"[UNK]", TOKEN_UNKNOWN, 0}, {"[CLS]", TOKEN_CONTROL, 0}, {"_a", TOKEN_NORMAL, 0},
    {"b", TOKEN_NORMAL, 0},      {"_[", TOKEN_NORMAL, 0},     {"_]", TOKEN_NORMAL, 0},
    {"_cls", TOKEN_NORMAL, 0},   {NULL, TOKEN_NORMAL, 0}};

static const struct sample_token unigram_tokens[] = {
    {"<unk>", TOKEN_UNKNOWN, 0}, {"</s>", TOKEN_CONTROL, 0}, {"_", TOKEN_NORMAL, -3},
    {"a", TOKEN_NORMAL, -4},     {"_a", TOKEN_NORMAL, -1},   {NULL, TOKEN_NORMAL, 0}};

static struct fixture fixture_of(enum vocabulary_model model, const struct sample_token *tokens,
                                 bool bytes)
{
    struct fixture fixture = {.vocabulary = sample_vocabulary_of(model, tokens, bytes)};
    assert_int_equal(tokenizer_open(fixture.vocabulary, &fixture.tokenizer, NULL), 0);
    return fixture;
}

static void add_step(struct vocabulary *vocabulary, enum normalizer_kind kind, struct text from,
                     struct text to)
{
    if (!vocabulary->steps)
        vocabulary->steps = calloc(NORMALIZER_STEPS_MAX, sizeof *vocabulary->steps);
    assert_non_null(vocabulary->steps);
    vocabulary->steps[vocabulary->step_count++] = (struct normalizer_step){kind, from, to};
}

static void assert_decodes(const struct fixture *fixture, int32_t id, bool special,
                           const char *expected)
{
    char out[64];
    long length = tokenizer_decode(fixture->tokenizer, id, special, out, sizeof out);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, strlen(expected));
}

static void spm_puts_a_space_first_and_after_special_tokens(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(VOCABULARY_SPM, spm_tokens, true);
    assert_false(tokenizer_adds_space(fixture.tokenizer));
    assert_encodes(&fixture, "a<x>a", TOKENIZER_PLAIN, "[a][<x>][a]");
    fixture.vocabulary->add_space_prefix = true;
    assert_true(tokenizer_adds_space(fixture.tokenizer));
    assert_encodes(&fixture, "a<x>a", TOKENIZER_PLAIN, "[\u2581a][<x>][\u2581a]");
    assert_encodes(&fixture, "<x>", TOKENIZER_PLAIN, "[<x>]");
    assert_encodes(&fixture, "<s>a", TOKENIZER_SPECIAL, "[<s>][\u2581a]");
    assert_encodes(&fixture, "<s>", TOKENIZER_PLAIN, "[\u2581][<0x3C>][<0x73>][<0x3E>]");
    fixture_close(&fixture);
}

static void spm_tokens_decode_one_by_one(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(VOCABULARY_SPM, spm_tokens, true);
    assert_decodes(&fixture, 4, false, " a");
    assert_decodes(&fixture, 6, false, "  ");
    assert_decodes(&fixture, 5, false, "<x>");
    assert_decodes(&fixture, 1, false, "");
    assert_decodes(&fixture, 1, true, "<s>");
    assert_decodes(&fixture, 7 + 0xE2, false, "\xE2");
    char out[2] = "??";
    assert_int_equal(tokenizer_decode(fixture.tokenizer, 6, false, out, 1), 2);
    assert_memory_equal(out, " ?", 2);
    assert_int_equal(tokenizer_decode(fixture.tokenizer, 7, false, NULL, 0), 1);
    assert_int_equal(tokenizer_piece_bytes_max(fixture.tokenizer), strlen("<0xE2>"));
    assert_round_trip(fixture.tokenizer, text_of("a  a \xFF\xE2\x82 \x01"));
    fixture_close(&fixture);
}

static void wordpiece_reads_normalised_text(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(VOCABULARY_WORDPIECE, wordpiece_tokens, false);
    assert_encodes(&fixture, "ab a AB", TOKENIZER_PLAIN, "[\u2581a][b][\u2581a][[UNK]]");
    add_step(fixture.vocabulary, NORMALIZE_LOWERCASE, text_of(""), text_of(""));
    assert_encodes(&fixture, "AB\xFF", TOKENIZER_PLAIN, "[[UNK]]");
    add_step(fixture.vocabulary, NORMALIZE_CLEAN, text_of(""), text_of(""));
    assert_encodes(&fixture, "AB\xFF", TOKENIZER_PLAIN, "[\u2581a][b]");
    assert_encodes(&fixture, "[CLS]a", TOKENIZER_PLAIN, "[\u2581[][\u2581cls][\u2581]][\u2581a]");
    assert_encodes(&fixture, "[CLS]a", TOKENIZER_SPECIAL, "[[CLS]][\u2581a]");
    assert_decodes(&fixture, 2, false, " a");
    assert_decodes(&fixture, 3, false, "b");
    fixture_close(&fixture);
}

static void unigram_reads_normalised_text(void **state)
{
    (void)state;
    struct fixture fixture = fixture_of(VOCABULARY_UNIGRAM, unigram_tokens, false);
    add_step(fixture.vocabulary, NORMALIZE_COLLAPSE_SPACES, text_of(""), text_of(""));
    add_step(fixture.vocabulary, NORMALIZE_PREPEND, text_of(""), text_of(" "));
    add_step(fixture.vocabulary, NORMALIZE_REPLACE, text_of(" "), text_of("\u2581"));
    assert_encodes(&fixture, "a  aa ", TOKENIZER_PLAIN, "[\u2581a][\u2581a][a]");
    assert_encodes(&fixture, "  ", TOKENIZER_PLAIN, "");
    assert_encodes(&fixture, "z\xFF", TOKENIZER_PLAIN, "[\u2581][<unk>]");
    assert_decodes(&fixture, 4, false, " a");
    fixture_close(&fixture);
}

static void a_text_that_a_normalizer_refuses_leaves_the_ids_alone(void **state)
{
    (void)state;
    char long_string[8192];
    memset(long_string, 'x', sizeof long_string);
    struct fixture fixture = fixture_of(VOCABULARY_UNIGRAM, unigram_tokens, false);
    add_step(fixture.vocabulary, NORMALIZE_REPLACE, text_of("z"),
             (struct text){long_string, sizeof long_string});
    assert_encodes(&fixture, "a", TOKENIZER_PLAIN, "[a]");
    assert_int_equal(
        tokenizer_encode(fixture.tokenizer, text_of("az"), TOKENIZER_PLAIN, &fixture.tokens),
        -EMSGSIZE);
    assert_int_equal(fixture.tokens.count, 1);
    fixture_close(&fixture);
}

/* Nothing here is quadratic, or this test does not end. */
static void a_megabyte_of_anything_is_encoded_by_every_model(void **state)
{
    (void)state;
    static const char *const units[] = {"a",
                                        " ",
                                        "7",
                                        "\xF0\x9F\x91\xA9\xE2\x80\x8D",
                                        "\xFF\xFE",
                                        "\n",
                                        "\xCC\x81\xCC\xA3",
                                        "a ",
                                        "<",
                                        "!",
                                        "\xEA\xB0\x81"};
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES);
    assert_non_null(text);
    struct fixture fixtures[] = {fixture_of(VOCABULARY_SPM, spm_tokens, true),
                                 fixture_of(VOCABULARY_WORDPIECE, wordpiece_tokens, false),
                                 fixture_of(VOCABULARY_UNIGRAM, unigram_tokens, true)};
    add_step(fixtures[1].vocabulary, NORMALIZE_NFD, text_of(""), text_of(""));
    add_step(fixtures[2].vocabulary, NORMALIZE_NFKC, text_of(""), text_of(""));
    for (size_t unit = 0; unit < sizeof units / sizeof *units; unit++) {
        for (size_t i = 0; i < BYTES; i++)
            text[i] = units[unit][i % strlen(units[unit])];
        assert_round_trip(fixtures[0].tokenizer, (struct text){text, BYTES});
        for (size_t i = 1; i < 3; i++) {
            fixtures[i].tokens.count = 0;
            assert_int_equal(tokenizer_encode(fixtures[i].tokenizer, (struct text){text, BYTES},
                                              TOKENIZER_PLAIN, &fixtures[i].tokens),
                             0);
        }
    }
    for (size_t i = 0; i < 3; i++)
        fixture_close(&fixtures[i]);
    free(text);
}

/* Every place in the text could begin any of them, for 250 bytes. */
static void many_special_strings_with_one_start_are_told_apart(void **state)
{
    enum { COUNT = 700, START = 250, TEXT = 1 << 19 };
    (void)state;
    char(*strings)[START + 8] = calloc(COUNT, sizeof *strings);
    struct sample_special *specials = calloc(COUNT + 1, sizeof *specials);
    char *bytes = malloc(TEXT);
    struct tokenizer *tokenizer;
    struct tokens tokens = {0};
    assert_non_null(strings);
    assert_non_null(specials);
    assert_non_null(bytes);
    memset(bytes, 'a', TEXT);
    for (size_t i = 0; i < COUNT; i++) {
        memset(strings[i], 'a', START);
        snprintf(strings[i] + START, 8, "%05zu", i);
        specials[i] = (struct sample_special){strings[i], TOKEN_USER_DEFINED};
    }
    struct vocabulary *vocabulary = sample_vocabulary("smollm", NULL, specials);
    assert_int_equal(tokenizer_open(vocabulary, &tokenizer, NULL), 0);
    const struct text last = text_of(strings[42]);
    memcpy(bytes + TEXT - last.length, last.bytes, last.length);
    assert_int_equal(
        tokenizer_encode(tokenizer, (struct text){bytes, TEXT}, TOKENIZER_PLAIN, &tokens), 0);
    assert_int_equal(tokens.count, TEXT - last.length + 1);
    assert_true(text_equals(vocabulary->tokens[tokens.ids[tokens.count - 1]], last));
    tokens_free(&tokens);
    tokenizer_close(tokenizer);
    sample_vocabulary_free(vocabulary);
    free(bytes);
    free(specials);
    free(strings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_by_rank_then_from_the_left),
        cmocka_unit_test(short_and_long_pieces_merge_as_defined),
        cmocka_unit_test(the_first_of_equal_merges_counts),
        cmocka_unit_test(the_last_of_equal_tokens_counts),
        cmocka_unit_test(llama3_takes_a_whole_piece_without_merging),
        cmocka_unit_test(merging_never_makes_a_control_token),
        cmocka_unit_test(incomplete_vocabularies_are_tolerated),
        cmocka_unit_test(special_strings_match_longest_first_from_the_left),
        cmocka_unit_test(user_text_matches_only_user_defined_strings),
        cmocka_unit_test(finds_special_ids_by_string),
        cmocka_unit_test(decodes_one_token_at_a_time),
        cmocka_unit_test(characters_outside_the_alphabet_decode_as_they_are),
        cmocka_unit_test(knows_what_ends_a_generation),
        cmocka_unit_test(names_the_id_before_a_prompt),
        cmocka_unit_test(refuses_a_merge_that_is_not_two_strings),
        cmocka_unit_test(a_text_that_is_too_long_leaves_the_ids_alone),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(a_megabyte_of_anything_comes_back),
        cmocka_unit_test(a_word_of_several_megabytes_comes_back),
        cmocka_unit_test(spm_puts_a_space_first_and_after_special_tokens),
        cmocka_unit_test(spm_tokens_decode_one_by_one),
        cmocka_unit_test(wordpiece_reads_normalised_text),
        cmocka_unit_test(unigram_reads_normalised_text),
        cmocka_unit_test(a_text_that_a_normalizer_refuses_leaves_the_ids_alone),
        cmocka_unit_test(a_megabyte_of_anything_is_encoded_by_every_model),
        cmocka_unit_test(many_special_strings_with_one_start_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
