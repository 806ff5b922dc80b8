/* test_hf_vocabulary.c - what a tokenizer.json says, and what it may not say. */
#include "text/hf_vocabulary.h"
#include "text/jsonscan.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

#define MARK "\xE2\x96\x81"

#define BPE_MODEL                                                                                  \
    "\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,"      \
    "\"\\u0120\":3,\"\\u0120a\":"                                                                  \
    "4},"                                                                                          \
    "\"merges\":[\"a b\",[\"\\u0120\",\"a\"]]}"
#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define WORDPIECE                                                                                  \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                                           \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":"                         \
    "{\"[CLS]\":0,\"[SEP]\":1,\"[UNK]\":2,\"play\":3,\"##ing\":4,\"##\":5}}"
#define CLS_AND_SEP                                                                                \
    "\"added_tokens\":[{\"id\":0,\"content\":\"[CLS]\",\"special\":true},"                         \
    "{\"id\":1,\"content\":\"[SEP]\",\"special\":true},"                                           \
    "{\"id\":2,\"content\":\"[UNK]\",\"special\":true}],"
#define ADDED(members)                                                                             \
    "\"added_tokens\":[{\"id\":5,\"content\":\"<x>\"" members "}]," BYTE_LEVEL "," BPE_MODEL

#define UNIGRAM                                                                                    \
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],"                     \
    "[\"\\u2581a\",-1.5],[\"b\",-2],[\"\\u2581\",-3]]}"
#define METASPACE(scheme)                                                                          \
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"" scheme "\"},"                \
    "\"added_tokens\":[{\"id\":4,\"content\":\"<b c>\",\"normalized\":true}]," UNIGRAM

struct reading {
    struct vocabulary vocabulary;
    struct error error;
};

static int read_files(struct hf_files files, struct reading *out)
{
    *out = (struct reading){0};
    return hf_vocabulary_read(&files, &out->vocabulary, &out->error);
}

/* The members of tokenizer.json, without its braces. */
static int read_members(const char *members, struct reading *out)
{
    char file[4096];
    snprintf(file, sizeof file, "{%s}", members);
    return read_files((struct hf_files){.tokenizer = text_of(file)}, out);
}

static void assert_accepted(const char *members, struct reading *out)
{
    int status = read_members(members, out);
    if (status)
        print_error("%s\n", out->error.text);
    assert_int_equal(status, 0);
}

static void assert_refused(const char *members, const char *named)
{
    struct reading reading;
    assert_int_equal(read_members(members, &reading), -ENOEXEC);
    assert_int_equal(reading.error.code, ENOEXEC);
    if (!strstr(reading.error.text, named))
        print_error("\"%s\" does not name %s\n", reading.error.text, named);
    assert_non_null(strstr(reading.error.text, named));
    assert_null(reading.vocabulary.tokens);
    assert_null(reading.vocabulary.memory);
}

static void assert_ids(const struct vocabulary *vocabulary, const char *text,
                       enum tokenizer_text special, const char *want)
{
    struct tokenizer *tokenizer;
    struct tokens tokens = {0};
    char got[256] = "";
    assert_int_equal(tokenizer_open(vocabulary, &tokenizer, NULL), 0);
    assert_int_equal(tokenizer_encode(tokenizer, text_of(text), special, &tokens), 0);
    for (size_t i = 0; i < tokens.count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", tokens.ids[i]);
    assert_string_equal(got, want);
    tokens_free(&tokens);
    tokenizer_close(tokenizer);
}

static void test_byte_level_bpe(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(BYTE_LEVEL "," BPE_MODEL, &reading);
    const struct vocabulary *vocabulary = &reading.vocabulary;
    assert_int_equal(vocabulary->model, VOCABULARY_BPE);
    assert_int_equal(vocabulary->token_count, 5);
    assert_true(text_is(vocabulary->tokens[4], "\xC4\xA0"
                                               "a"));
    assert_int_equal(vocabulary->merge_count, 2);
    assert_true(text_is(vocabulary->merges[0], "a b"));
    assert_true(text_is(vocabulary->merges[1], "\xC4\xA0 a"));
    assert_false(vocabulary->rule->foreign);
    assert_string_equal(vocabulary->rule->stages[0].pattern,
                        pretokenizer_rule(text_of("gpt-2"))->stages[0].pattern);
    assert_int_equal(vocabulary->bos, VOCABULARY_NONE);
    assert_null(vocabulary->scores);
    assert_null(vocabulary->flags);
    assert_ids(vocabulary, "ab aab", TOKENIZER_PLAIN, "2 4 2");
    vocabulary_free(&reading.vocabulary);
}

/* The lists are read apart from the rest: they may stand before or after the other members. */
static void test_order_of_members_does_not_matter(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted("\"model\" : { \"merges\" : [ \"a b\" ] , \"ignore_merges\":true , \"vocab\" :"
                    " { \"a\" : 0 , \"b\" : 1 , \"ab\" : 2 } , \"type\":\"BPE\" } , " BYTE_LEVEL,
                    &reading);
    assert_int_equal(reading.vocabulary.token_count, 3);
    assert_int_equal(reading.vocabulary.merge_count, 1);
    assert_true(reading.vocabulary.rule->ignores_merges);
    vocabulary_free(&reading.vocabulary);
}

static void test_ids_with_holes(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(BYTE_LEVEL
                    ",\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}],"
                    "\"model\":{\"vocab\":{\"a\":4},\"merges\":[]}",
                    &reading);
    assert_int_equal(reading.vocabulary.token_count, 10);
    assert_int_equal(reading.vocabulary.kinds[3], TOKEN_UNUSED);
    assert_int_equal(reading.vocabulary.tokens[3].length, 0);
    assert_int_equal(reading.vocabulary.kinds[4], TOKEN_NORMAL);
    assert_int_equal(reading.vocabulary.kinds[8], TOKEN_UNUSED);
    assert_int_equal(reading.vocabulary.kinds[9], TOKEN_CONTROL);
    vocabulary_free(&reading.vocabulary);
}

static void test_wordpiece(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(CLS_AND_SEP WORDPIECE
                    ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                    "{\"SpecialToken\":{\"id\":\"[CLS]\"}},{\"Sequence\":{\"id\":\"A\"}},"
                    "{\"SpecialToken\":{\"id\":\"[SEP]\"}}],\"special_tokens\":{"
                    "\"[CLS]\":{\"ids\":[0]},\"[SEP]\":{\"ids\":[1]}}}",
                    &reading);
    const struct vocabulary *vocabulary = &reading.vocabulary;
    assert_int_equal(vocabulary->model, VOCABULARY_WORDPIECE);
    assert_true(text_is(vocabulary->tokens[0], "[CLS]"));
    assert_true(text_is(vocabulary->tokens[3], MARK "play"));
    assert_true(text_is(vocabulary->tokens[4], "ing"));
    assert_true(text_is(vocabulary->tokens[5], MARK "##")); /* nothing is left to continue with */
    assert_int_equal(vocabulary->unknown, 2);
    assert_int_equal(vocabulary->bos, 0);
    assert_true(vocabulary->add_bos);
    assert_int_equal(vocabulary->suffix, 1);
    assert_ids(vocabulary, "play playing [CLS]played", TOKENIZER_SPECIAL, "3 3 4 0 2");
    vocabulary_free(&reading.vocabulary);
}

static void test_unigram(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"always\"},"
                    "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0],"
                    "[\"\xE2\x96\x81"
                    "a\",-1.5],[\"b\",-2e0],[\"\\u2581\",-3]]}",
                    &reading);
    const struct vocabulary *vocabulary = &reading.vocabulary;
    assert_int_equal(vocabulary->model, VOCABULARY_UNIGRAM);
    assert_int_equal(vocabulary->token_count, 4);
    assert_int_equal(vocabulary->unknown, 0);
    assert_true(vocabulary->scores[1] == -1.5f);
    assert_true(vocabulary->add_space_prefix);
    assert_ids(vocabulary, "ab a", TOKENIZER_PLAIN, "1 2 1");
    vocabulary_free(&reading.vocabulary);
}

static void test_normalizers(void **state)
{
    static const enum normalizer_kind want[] = {
        NORMALIZE_NFC,           NORMALIZE_CLEAN,     NORMALIZE_SPACE_CJK,   NORMALIZE_NFD,
        NORMALIZE_STRIP_ACCENTS, NORMALIZE_LOWERCASE, NORMALIZE_STRIP_RIGHT, NORMALIZE_REPLACE_RUNS,
        NORMALIZE_REPLACE,       NORMALIZE_PREPEND,
    };
    struct reading reading;
    (void)state;
    assert_accepted("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
                    "{\"type\":\"BertNormalizer\",\"strip_accents\":null},"
                    "{\"type\":\"Sequence\",\"normalizers\":["
                    "{\"type\":\"Strip\",\"strip_left\":false},"
                    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},"
                    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"},\"content\":\"y\"},"
                    "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"},"
                    "{\"type\":\"Prepend\",\"prepend\":\"z\"}]}," BYTE_LEVEL "," BPE_MODEL,
                    &reading);
    assert_int_equal(reading.vocabulary.step_count, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(reading.vocabulary.steps[i].kind, want[i]);
    assert_true(text_is(reading.vocabulary.steps[8].from, "x"));
    assert_true(text_is(reading.vocabulary.steps[8].to, "y"));
    vocabulary_free(&reading.vocabulary);
}

static void test_pre_tokenizers(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[aeiou]\"},"
        "\"behavior\":\"MergedWithNext\",\"invert\":true},"
        "{\"type\":\"Split\",\"pattern\":{\"String\":\"a.b\"},"
        "\"behavior\":\"Removed\"},"
        "{\"type\":\"Digits\",\"individual_digits\":true},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}," BPE_MODEL,
        &reading);
    const struct pretokenizer_stage *stages = reading.vocabulary.rule->stages;
    assert_true(reading.vocabulary.rule->foreign);
    assert_string_equal(stages[0].pattern, "[aeiou]");
    assert_int_equal(stages[0].match, PRETOKENIZER_MERGE_NEXT);
    assert_true(stages[0].inverted);
    assert_string_equal(stages[1].pattern, "a\\.b");
    assert_int_equal(stages[1].match, PRETOKENIZER_REMOVE);
    assert_string_equal(stages[2].pattern, "\\p{N}");
    assert_null(stages[3].pattern);
    vocabulary_free(&reading.vocabulary);
}

static void test_unknown_components_are_named(void **state)
{
    (void)state;
    assert_refused("\"normalizer\":{\"type\":\"Nmt\"}," BYTE_LEVEL "," BPE_MODEL, "Nmt");
    assert_refused("\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}," BPE_MODEL, "UnicodeScripts");
    assert_refused(BYTE_LEVEL ",\"post_processor\":{\"type\":\"Other\"}," BPE_MODEL, "Other");
    assert_refused("\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}", "WordLevel");
    assert_refused("\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a|b\"},"
                   "\"content\":\"\"}," BYTE_LEVEL "," BPE_MODEL,
                   "a|b");
    assert_refused(
        "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"}," BYTE_LEVEL
        "," BPE_MODEL,
        "base64");
    assert_refused("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},"
                   "\"behavior\":\"Melted\"}," BPE_MODEL,
                   "Melted");
}

static void test_broken_files_are_refused(void **state)
{
    struct reading reading;
    (void)state;
    assert_int_equal(read_files((struct hf_files){.tokenizer = {"", 0}}, &reading), -ENOEXEC);
    assert_int_equal(read_files((struct hf_files){.tokenizer = text_of("[]")}, &reading), -ENOEXEC);
    assert_int_equal(
        read_files((struct hf_files){.tokenizer = text_of("{\"a\":\"\xFF\"}")}, &reading),
        -ENOEXEC);
    assert_refused("\"model\":", "JSON");
    assert_refused("\"a\":1}{", "JSON");
    assert_refused("\"a\":nul", "vocab");
    assert_refused("\"model\":{\"type\":\"BPE\"}", "vocab");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}",
                   "not an object");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{},\"merges\":{}}",
                   "not an array");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":0}}",
                   "not an array");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}",
                   "empty");
    assert_refused(
        "\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}",
        "id -1");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":1048576},"
                   "\"merges\":[]}",
                   "1048576");
    assert_refused(
        "\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":1e2},\"merges\":[]}",
        "malformed");
    assert_refused(
        "\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[1]}",
        "merges");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"\\ud800\":0},"
                   "\"merges\":[]}",
                   "malformed");
    assert_refused("\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":0},"
                   "\"merges\":[[\"a b\",\"c\"]]}",
                   "space");
    assert_refused("\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"model\":{\"type\":\"Unigram\","
                   "\"vocab\":[[\"a\",-1],[\"b\",1e999]]}",
                   "score of token 1 is not finite");
    assert_refused("\"added_tokens\":[{\"id\":-3,\"content\":\"x\"}]," BPE_MODEL, "added");
    assert_refused("\"added_tokens\":[{\"id\":1e99,\"content\":\"x\"}]," BPE_MODEL, "added");
    assert_refused("\"added_tokens\":[{\"id\":99999999999,\"content\":\"x\"}]," BPE_MODEL,
                   "1048576");
}

static void test_deep_sequences_are_refused(void **state)
{
    char members[4096] = "\"normalizer\":";
    (void)state;
    for (int i = 0; i < HF_NESTING_MAX + 1; i++)
        strcat(members, "{\"type\":\"Sequence\",\"normalizers\":[");
    for (int i = 0; i < HF_NESTING_MAX + 1; i++)
        strcat(members, "]}");
    strcat(members, "," BYTE_LEVEL "," BPE_MODEL);
    assert_refused(members, "nested");
}

/* A merge of strings that GPT-2's alphabet does not have can never happen: it is left out. */
static void test_merge_with_spaces_in_bytes(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(
        BYTE_LEVEL
        ",\"model\":{\"byte_fallback\":true,\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
        "\"merges\":[\"#version: 0.2\",[\"a b\",\"c\"],[\"a\",\"b\"]]}",
        &reading);
    assert_int_equal(reading.vocabulary.merge_count, 1);
    assert_true(text_is(reading.vocabulary.merges[0], "a b"));
    vocabulary_free(&reading.vocabulary);
}

static void test_flags_of_added_tokens(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(ADDED(",\"lstrip\":true,\"special\":true"), &reading);
    assert_ids(&reading.vocabulary, "a \t <x> a", TOKENIZER_SPECIAL, "0 5 4");
    assert_ids(&reading.vocabulary, " <x>", TOKENIZER_SPECIAL, "5");
    vocabulary_free(&reading.vocabulary);
    assert_accepted(ADDED(",\"rstrip\":true,\"special\":true"), &reading);
    assert_ids(&reading.vocabulary, "a<x> \xE3\x80\x80 <x>  ab", TOKENIZER_SPECIAL, "0 5 5 2");
    vocabulary_free(&reading.vocabulary);
    assert_accepted(ADDED(",\"single_word\":true,\"special\":true"), &reading);
    assert_ids(&reading.vocabulary, "<x>a a<x> <x>", TOKENIZER_SPECIAL, "0 4 3 5");
    vocabulary_free(&reading.vocabulary);
    assert_accepted("\"normalizer\":{\"type\":\"Lowercase\"},"
                    "\"added_tokens\":[{\"id\":5,\"content\":\"<X>\",\"normalized\":true},"
                    "{\"id\":6,\"content\":\"<Y>\"}]," BYTE_LEVEL "," BPE_MODEL,
                    &reading);
    assert_ids(&reading.vocabulary, "<x>A<X><Y><y>", TOKENIZER_PLAIN, "5 0 5 6");
    vocabulary_free(&reading.vocabulary);
}

/* No text of a user can open or end a turn, whatever the file calls its markers. */
static void test_turn_markers_are_special(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted("\"added_tokens\":[{\"id\":5,\"content\":\"<|im_end|>\",\"special\":false},"
                    "{\"id\":6,\"content\":\"<think>\"},{\"id\":7,\"content\":\"<|\"},"
                    "{\"id\":8,\"content\":\"<\uFF5CUser\uFF5C>\",\"normalized\":false},"
                    "{\"id\":9,\"content\":\"<|tool|>\",\"special\":false}]," BYTE_LEVEL
                    "," BPE_MODEL,
                    &reading);
    assert_int_equal(reading.vocabulary.kinds[5], TOKEN_CONTROL);
    assert_int_equal(reading.vocabulary.kinds[6], TOKEN_USER_DEFINED);
    assert_int_equal(reading.vocabulary.kinds[7], TOKEN_USER_DEFINED);
    assert_int_equal(reading.vocabulary.kinds[8], TOKEN_CONTROL);
    assert_int_equal(reading.vocabulary.kinds[9], TOKEN_CONTROL);
    assert_ids(&reading.vocabulary, "a<\uFF5CUser\uFF5C>b", TOKENIZER_PLAIN, "0 1");
    assert_ids(&reading.vocabulary, "a<\uFF5CUser\uFF5C>b", TOKENIZER_SPECIAL, "0 8 1");
    vocabulary_free(&reading.vocabulary);
}

/* Metaspace is no normalizer: it sees what stands between the added tokens, as `tokenizers` does
 * it. */
static void test_metaspace_between_added_tokens(void **state)
{
    struct reading reading;
    (void)state;
    assert_accepted(METASPACE("always"), &reading);
    assert_ids(&reading.vocabulary, "a<b c>a b", TOKENIZER_PLAIN, "1 4 1 3 2");
    assert_ids(&reading.vocabulary, "a <b c> a", TOKENIZER_PLAIN, "1 3 4 1");
    assert_ids(&reading.vocabulary, "a", TOKENIZER_CONTINUES, "1");
    vocabulary_free(&reading.vocabulary);
    assert_accepted(METASPACE("first"), &reading);
    assert_ids(&reading.vocabulary, "a<b c>b a", TOKENIZER_PLAIN, "1 4 2 1");
    assert_ids(&reading.vocabulary, "<b c>b", TOKENIZER_PLAIN, "4 2");
    assert_ids(&reading.vocabulary, "b", TOKENIZER_PLAIN, "3 2");
    assert_ids(&reading.vocabulary, "b", TOKENIZER_CONTINUES, "2");
    vocabulary_free(&reading.vocabulary);
    assert_refused("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                   "{\"type\":\"WhitespaceSplit\"},"
                   "{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\"}]}," UNIGRAM,
                   "after another");
}

static void test_side_files(void **state)
{
    static const char tokenizer[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":6,\"content\":\"<e>\",\"special\":true},"
        "{\"id\":7,\"content\":\"<p>\",\"special\":true}]," BYTE_LEVEL "," BPE_MODEL "}";
    struct reading reading;
    struct hf_files files = {
        .tokenizer = text_of(tokenizer),
        .tokenizer_config =
            text_of("{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"<e>\","
                    "\"add_bos_token\":true,\"chat_template\":[{\"name\":\"tool\","
                    "\"template\":\"T\"},{\"name\":\"default\",\"template\":\"D\"}]}"),
        .special_tokens_map = text_of("{\"pad_token\":\"<p>\",\"bos_token\":\"<p>\"}"),
        .generation_config = text_of("{\"eos_token_id\":[6,7,99,-1,\"x\"]}"),
    };
    (void)state;
    assert_int_equal(read_files(files, &reading), 0);
    assert_int_equal(reading.vocabulary.bos, 5);
    assert_int_equal(reading.vocabulary.eos, 6);
    assert_int_equal(reading.vocabulary.padding, 7);
    assert_true(reading.vocabulary.add_bos);
    assert_true(text_is(reading.vocabulary.chat_template, "D"));
    assert_int_equal(reading.vocabulary.end_count, 2);
    struct tokenizer *opened;
    assert_int_equal(tokenizer_open(&reading.vocabulary, &opened, NULL), 0);
    assert_true(tokenizer_is_end(opened, 6));
    assert_true(tokenizer_is_end(opened, 7));
    assert_false(tokenizer_is_end(opened, 5));
    tokenizer_close(opened);
    vocabulary_free(&reading.vocabulary);

    files.chat_template = text_of("file");
    assert_int_equal(read_files(files, &reading), 0);
    assert_true(text_is(reading.vocabulary.chat_template, "file"));
    vocabulary_free(&reading.vocabulary);
    files.tokenizer_config = text_of("{");
    assert_int_equal(read_files(files, &reading), -ENOEXEC);
    assert_non_null(strstr(reading.error.text, "tokenizer_config.json"));
}

/* Anonymous memory of this process. */
static long anonymous_kilobytes(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "RssAnon: %ld", &kilobytes) == 1)
            break;
    if (status)
        fclose(status);
    return kilobytes;
}

/* A vocabulary of `count` words of letters, and a merge for each but the first 26. */
static int write_large_file(struct buffer *out, int count)
{
    char word[16], *end = word;
    int status = buffer_printf(out, "{" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int pass = 0; pass < 2 && !status; pass++) {
        for (int id = pass ? 26 : 0; id < count && !status; id++) {
            end = word;
            for (int rest = id; rest >= 0; rest = rest / 26 - 1)
                *end++ = (char)('a' + rest % 26);
            *end = 0;
            status = pass ? buffer_printf(out, "%s\"%.*s %c\"", id > 26 ? "," : "",
                                          (int)strlen(word) - 1, word, end[-1])
                          : buffer_printf(out, "%s\"%s\":%d", id ? "," : "", word, id);
        }
        if (!status)
            status = buffer_printf(out, pass ? "]}}" : "},\"merges\":[");
    }
    return status;
}

/* In a process of its own: 0 if what is held is counted. */
static int measure_large_file(void)
{
    enum { TOKENS = 100000, SLACK_KILOBYTES = 1024 };
    struct buffer file = buffer_new(64 << 20);
    struct reading reading;
    struct tokenizer *tokenizer;
    setenv("INFERFS_CACHE", "", 1); /* the tables are built */
    mallopt(M_PERTURB, 0);          /* what meson sets fills memory that nobody uses */
    if (write_large_file(&file, TOKENS))
        return 1;
    long before = anonymous_kilobytes();
    if (read_files((struct hf_files){.tokenizer = buffer_text(&file)}, &reading) ||
        tokenizer_open(&reading.vocabulary, &tokenizer, NULL))
        return 2;
    malloc_trim(0);
    long held = anonymous_kilobytes() - before;
    long counted = (long)(vocabulary_bytes(&reading.vocabulary) + tokenizer_bytes(tokenizer)) >> 10;
    fprintf(stderr, "counted %ld KiB, held %ld KiB\n", counted, held);
    tokenizer_close(tokenizer);
    vocabulary_free(&reading.vocabulary);
    buffer_free(&file);
    return held > counted + SLACK_KILOBYTES || counted > held + 4 * SLACK_KILOBYTES ? 3 : 0;
}

static void test_what_is_held_is_counted(void **state)
{
    int status = 0;
    (void)state;
    if (SANITIZED)
        skip(); /* their own memory is larger than ours */
    pid_t child = fork();
    if (child == 0)
        _exit(measure_large_file());
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_more_ends_than_kept(void **state)
{
    char ids[512] = "{\"eos_token_id\":[";
    static const char tokenizer[] = "{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":40},"
                                    "\"merges\":[]}}";
    struct reading reading;
    (void)state;
    for (int i = 0; i < 30; i++)
        snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%d", i ? "," : "", i);
    strcat(ids, "]}");
    assert_int_equal(read_files((struct hf_files){.tokenizer = text_of(tokenizer),
                                                  .generation_config = text_of(ids)},
                                &reading),
                     0);
    assert_int_equal(reading.vocabulary.end_count, VOCABULARY_ENDS_MAX);
    assert_int_equal(reading.vocabulary.eos, 0);
    vocabulary_free(&reading.vocabulary);
}

static void test_scan(void **state)
{
    static const char json[] = " \"a\\u00e9\\n\\ud83d\\ude00\\\\\" , -12 , 1.5e1, [{\"x\":\"]\"}] ";
    struct jsonscan scan = {json, json + sizeof json - 1};
    char out[64];
    int64_t integer;
    double number;
    struct text value;
    (void)state;
    long length = jsonscan_string(&scan, out);
    assert_int_equal(length, 9);
    assert_memory_equal(out, "a\xC3\xA9\n\xF0\x9F\x98\x80\\", 9);
    assert_true(jsonscan_take(&scan, ','));
    assert_true(jsonscan_integer(&scan, &integer));
    assert_int_equal(integer, -12);
    assert_true(jsonscan_take(&scan, ','));
    assert_true(jsonscan_number(&scan, &number));
    assert_true(number == 15);
    assert_true(jsonscan_take(&scan, ','));
    assert_false(jsonscan_is_done(&scan));
    assert_true(jsonscan_skip(&scan, &value));
    assert_true(text_is(value, "[{\"x\":\"]\"}]"));
    assert_true(jsonscan_is_done(&scan));
    assert_false(jsonscan_skip(&scan, &value));
}

static void test_scan_refuses(void **state)
{
    static const char *const strings[] = {"\"",
                                          "\"\\",
                                          "\"\\u12",
                                          "\"\\uD83D\"",
                                          "\"\\uDE00\"",
                                          "\"\\x\"",
                                          "\"\n\"",
                                          "\"\\uD83D\\u0041\"",
                                          "a"};
    static const char *const values[] = {"", "\"a", "[1", "{\"a\":[}", "]", ","};
    char out[64];
    struct text value;
    (void)state;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        struct jsonscan scan = {strings[i], strings[i] + strlen(strings[i])};
        assert_int_equal(jsonscan_string(&scan, out), -1);
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct jsonscan scan = {values[i], values[i] + strlen(values[i])};
        assert_false(jsonscan_skip(&scan, &value));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level_bpe),
        cmocka_unit_test(test_order_of_members_does_not_matter),
        cmocka_unit_test(test_ids_with_holes),
        cmocka_unit_test(test_wordpiece),
        cmocka_unit_test(test_unigram),
        cmocka_unit_test(test_normalizers),
        cmocka_unit_test(test_pre_tokenizers),
        cmocka_unit_test(test_unknown_components_are_named),
        cmocka_unit_test(test_broken_files_are_refused),
        cmocka_unit_test(test_deep_sequences_are_refused),
        cmocka_unit_test(test_merge_with_spaces_in_bytes),
        cmocka_unit_test(test_flags_of_added_tokens),
        cmocka_unit_test(test_turn_markers_are_special),
        cmocka_unit_test(test_metaspace_between_added_tokens),
        cmocka_unit_test(test_side_files),
        cmocka_unit_test(test_what_is_held_is_counted),
        cmocka_unit_test(test_more_ends_than_kept),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
