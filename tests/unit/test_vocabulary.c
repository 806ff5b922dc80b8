/* test_vocabulary.c - what a model file may claim about its tokens, and what not. */
#include "tests/lib/gguf_writer.h"
#include "text/normalizer.h"
#include "text/vocabulary.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct text four[] = {{"a", 1}, {"b", 1}, {"ab", 2}, {"<|im_end|>", 10}};
static const struct text one_merge[] = {{"a b", 3}};

/* A vocabulary that is right, in parts that a test can leave out or replace. */
static struct gguf_writer writer_with(bool tokens, bool merges)
{
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "tokenizer.ggml.model", text_of("gpt2"));
    gguf_writer_string(&writer, "tokenizer.ggml.pre", text_of("smollm"));
    if (tokens)
        gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 4, four);
    if (merges)
        gguf_writer_strings(&writer, "tokenizer.ggml.merges", 1, one_merge);
    return writer;
}

struct reading {
    struct vocabulary vocabulary;
    struct gguf *gguf;
    uint8_t *file;
    struct error error;
};

static int read_back(struct gguf_writer *writer, struct reading *out)
{
    size_t bytes;
    *out = (struct reading){.file = gguf_writer_finish(writer, &bytes)};
    gguf_writer_free(writer);
    assert_int_equal(gguf_open_memory(out->file, bytes, &out->gguf, &out->error), 0);
    return vocabulary_from_gguf(out->gguf, &out->vocabulary, &out->error);
}

static void reading_free(struct reading *reading)
{
    vocabulary_free(&reading->vocabulary);
    gguf_close(reading->gguf);
    free(reading->file);
}

static void assert_refused(struct gguf_writer *writer, const char *named)
{
    struct reading reading;
    assert_int_equal(read_back(writer, &reading), -ENOEXEC);
    assert_int_equal(reading.error.code, ENOEXEC);
    assert_non_null(strstr(reading.error.text, named));
    assert_null(reading.vocabulary.tokens);
    reading_free(&reading);
}

static void reads_tokens_merges_ids_and_flags(void **state)
{
    (void)state;
    struct gguf_writer writer = writer_with(true, true);
    const int32_t kinds[] = {TOKEN_NORMAL, 0, TOKEN_NORMAL, TOKEN_CONTROL};
    gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_INT32, 4, kinds, sizeof kinds);
    gguf_writer_u32(&writer, "tokenizer.ggml.bos_token_id", 0);
    gguf_writer_u32(&writer, "tokenizer.ggml.eos_token_id", 3);
    gguf_writer_integer(&writer, "tokenizer.ggml.padding_token_id", GGUF_UINT32, 0xFFFFFFFF);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_bos_token", true);
    gguf_writer_string(&writer, "tokenizer.chat_template", text_of("{{ x }}"));
    struct reading reading;
    assert_int_equal(read_back(&writer, &reading), 0);
    const struct vocabulary *vocabulary = &reading.vocabulary;
    assert_int_equal(vocabulary->model, VOCABULARY_BPE);
    assert_true(text_is(vocabulary->pre, "smollm"));
    assert_int_equal(vocabulary->token_count, 4);
    assert_true(text_is(vocabulary->tokens[2], "ab"));
    assert_int_equal(vocabulary->kinds[1], TOKEN_NORMAL);
    assert_int_equal(vocabulary->kinds[3], TOKEN_CONTROL);
    assert_int_equal(vocabulary->merge_count, 1);
    assert_true(text_is(vocabulary->merges[0], "a b"));
    assert_int_equal(vocabulary->bos, 0);
    assert_int_equal(vocabulary->eos, 3);
    assert_int_equal(vocabulary->eot, VOCABULARY_NONE);
    assert_int_equal(vocabulary->padding, VOCABULARY_NONE); /* -1 is how some files say "none" */
    assert_true(vocabulary->add_bos);
    assert_true(text_is(vocabulary->chat_template, "{{ x }}"));
    reading_free(&reading);
}

static void a_default_id_out_of_range_is_none(void **state)
{
    (void)state;
    struct gguf_writer writer = writer_with(true, true);
    struct reading reading;
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.bos, VOCABULARY_NONE); /* 11 of 4 tokens */
    assert_int_equal(reading.vocabulary.eos, VOCABULARY_NONE);
    reading_free(&reading);

    struct text many[12];
    for (size_t i = 0; i < 12; i++)
        many[i] = text_of("same");
    writer = writer_with(false, true);
    gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 12, many);
    assert_int_equal(read_back(&writer, &reading), 0); /* equal tokens are no error */
    assert_int_equal(reading.vocabulary.bos, 11);
    assert_int_equal(reading.vocabulary.eos, 11);
    reading_free(&reading);
}

static void the_pretokenizer_decides_about_bos_when_the_file_does_not(void **state)
{
    (void)state;
    for (int says = 0; says < 2; says++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_string(&writer, "tokenizer.ggml.model", text_of("gpt2"));
        gguf_writer_string(&writer, "tokenizer.ggml.pre", text_of("llama-bpe"));
        gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 4, four);
        gguf_writer_strings(&writer, "tokenizer.ggml.merges", 1, one_merge);
        if (says)
            gguf_writer_bool(&writer, "tokenizer.ggml.add_bos_token", false);
        struct reading reading;
        assert_int_equal(read_back(&writer, &reading), 0);
        assert_int_equal(reading.vocabulary.add_bos, !says);
        reading_free(&reading);
    }
}

static void turn_markers_are_control_whatever_the_file_says(void **state)
{
    (void)state;
    static const struct text tokens[] = {{"</s>", 4}, {"<|im_start|>", 12}, {"<|im_end|>", 10}};
    const int32_t kinds[] = {TOKEN_NORMAL, TOKEN_USER_DEFINED, TOKEN_USER_DEFINED};
    for (int has_kinds = 0; has_kinds < 2; has_kinds++) {
        struct gguf_writer writer = writer_with(false, true);
        gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 3, tokens);
        if (has_kinds)
            gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_INT32, 3, kinds,
                              sizeof kinds);
        struct reading reading;
        assert_int_equal(read_back(&writer, &reading), 0);
        assert_int_equal(reading.vocabulary.kinds[0], has_kinds ? TOKEN_NORMAL : TOKEN_CONTROL);
        assert_int_equal(reading.vocabulary.kinds[1], TOKEN_CONTROL);
        assert_int_equal(reading.vocabulary.kinds[2], TOKEN_CONTROL);
        reading_free(&reading);
    }
}

static void refuses_names_that_it_does_not_know(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "tokenizer.ggml.model", text_of("gpt-9"));
    assert_refused(&writer, "gpt-9");
    writer = gguf_writer_new();
    gguf_writer_string(&writer, "tokenizer.ggml.model", text_of("gpt2"));
    gguf_writer_string(&writer, "tokenizer.ggml.pre", text_of("gpt-5000"));
    assert_refused(&writer, "gpt-5000");
}

static void refuses_missing_keys(void **state)
{
    (void)state;
    struct gguf_writer writer = gguf_writer_new();
    assert_refused(&writer, "tokenizer.ggml.model");
    writer = writer_with(false, true);
    assert_refused(&writer, "tokenizer.ggml.tokens");
    writer = writer_with(true, false);
    assert_refused(&writer, "tokenizer.ggml.merges");
    writer = writer_with(false, true);
    gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 0, NULL);
    assert_refused(&writer, "tokenizer.ggml.tokens");
}

static void refuses_wrong_types_and_counts(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    struct gguf_writer writer = writer_with(false, true);
    gguf_writer_array(&writer, "tokenizer.ggml.tokens", GGUF_UINT8, 4, zeros, 4);
    assert_refused(&writer, "tokenizer.ggml.tokens");
    writer = writer_with(true, false);
    gguf_writer_array(&writer, "tokenizer.ggml.merges", GGUF_FLOAT32, 4, zeros, 16);
    assert_refused(&writer, "tokenizer.ggml.merges");
    writer = writer_with(true, true);
    gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_UINT8, 4, zeros, 4);
    assert_refused(&writer, "tokenizer.ggml.token_type");
    writer = writer_with(true, true);
    gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_INT32, 3, zeros, 12);
    assert_refused(&writer, "tokenizer.ggml.token_type");
    writer = writer_with(true, true);
    gguf_writer_bool(&writer, "tokenizer.chat_template", true);
    assert_refused(&writer, "tokenizer.chat_template");
}

static void refuses_numbers_out_of_range(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",
        "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct gguf_writer writer = writer_with(true, true);
        gguf_writer_u32(&writer, ids[i], 4);
        assert_refused(&writer, ids[i]);
    }
    static const int32_t bad_kinds[] = {-1, 7, INT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        const int32_t kinds[] = {1, 1, bad_kinds[i], 1};
        struct gguf_writer writer = writer_with(true, true);
        gguf_writer_array(&writer, "tokenizer.ggml.token_type", GGUF_INT32, 4, kinds, sizeof kinds);
        assert_refused(&writer, "tokenizer.ggml.token_type");
    }
}

static void refuses_a_token_of_more_than_64_kib(void **state)
{
    (void)state;
    size_t longest = VOCABULARY_TOKEN_BYTES_MAX;
    char *bytes = calloc(longest + 1, 1);
    assert_non_null(bytes);
    for (size_t extra = 0; extra < 2; extra++) {
        struct text token = {bytes, longest + extra};
        struct gguf_writer writer = writer_with(false, true);
        gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 1, &token);
        struct reading reading;
        assert_int_equal(read_back(&writer, &reading), extra ? -ENOEXEC : 0);
        reading_free(&reading);
    }
    free(bytes);
}

/* --- the models beside byte-level BPE -----------------------------------------------------------
 */

enum { MANY = 104 }; /* as many tokens as BERT's default ids need */

static struct gguf_writer writer_of(const char *model, bool scores)
{
    struct text tokens[MANY];
    float numbers[MANY];
    for (size_t i = 0; i < MANY; i++) {
        tokens[i] = text_of("same");
        numbers[i] = -(float)i / 4;
    }
    struct gguf_writer writer = gguf_writer_new();
    gguf_writer_string(&writer, "tokenizer.ggml.model", text_of(model));
    gguf_writer_strings(&writer, "tokenizer.ggml.tokens", MANY, tokens);
    if (scores)
        gguf_writer_array(&writer, "tokenizer.ggml.scores", GGUF_FLOAT32, MANY, numbers,
                          sizeof numbers);
    return writer;
}

static void models_have_their_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum vocabulary_model model;
        int32_t bos, eos, unknown, padding, separator, suffix;
        bool add_bos, add_space_prefix;
        size_t steps;
    } rows[] = {
        {"llama", VOCABULARY_SPM, 1, 2, 0, -1, -1, -1, true, true, 0},
        {"bert", VOCABULARY_WORDPIECE, 101, -1, 100, 0, 102, 102, true, false, 6},
        {"t5", VOCABULARY_UNIGRAM, -1, 1, 2, 0, -1, 1, false, false, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gguf_writer writer = writer_of(rows[i].name, true);
        struct reading reading;
        assert_int_equal(read_back(&writer, &reading), 0);
        const struct vocabulary *vocabulary = &reading.vocabulary;
        assert_int_equal(vocabulary->model, rows[i].model);
        assert_int_equal(vocabulary->bos, rows[i].bos);
        assert_int_equal(vocabulary->eos, rows[i].eos);
        assert_int_equal(vocabulary->unknown, rows[i].unknown);
        assert_int_equal(vocabulary->padding, rows[i].padding);
        assert_int_equal(vocabulary->separator, rows[i].separator);
        assert_int_equal(vocabulary->suffix, rows[i].suffix);
        assert_int_equal(vocabulary->add_bos, rows[i].add_bos);
        assert_int_equal(vocabulary->add_space_prefix, rows[i].add_space_prefix);
        assert_int_equal(vocabulary->step_count, rows[i].steps);
        assert_null(vocabulary->rule);
        assert_int_equal(vocabulary->scores != NULL, i != 1);
        reading_free(&reading);
    }
}

static void defaults_of_other_models_are_checked_too(void **state)
{
    (void)state;
    static const char *const models[] = {"llama", "bert", "t5"};
    static const struct text one = {"x", 1};
    static const float score = 0;
    for (size_t i = 0; i < 3; i++) {
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_string(&writer, "tokenizer.ggml.model", text_of(models[i]));
        gguf_writer_strings(&writer, "tokenizer.ggml.tokens", 1, &one);
        gguf_writer_array(&writer, "tokenizer.ggml.scores", GGUF_FLOAT32, 1, &score, sizeof score);
        struct reading reading;
        assert_int_equal(read_back(&writer, &reading), 0);
        assert_int_equal(reading.vocabulary.bos, VOCABULARY_NONE);
        assert_int_equal(reading.vocabulary.eos, VOCABULARY_NONE);
        assert_int_equal(reading.vocabulary.separator, VOCABULARY_NONE);
        assert_int_equal(reading.vocabulary.suffix, VOCABULARY_NONE);
        assert_int_equal(reading.vocabulary.unknown, i == 0 ? 0 : VOCABULARY_NONE);
        reading_free(&reading);
    }
}

static void flags_change_what_stands_around_a_text(void **state)
{
    (void)state;
    struct reading reading;
    struct gguf_writer writer = writer_of("llama", true);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_bos_token", false);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_eos_token", true);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_space_prefix", false);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_false(reading.vocabulary.add_bos);
    assert_int_equal(reading.vocabulary.suffix, 2);
    assert_false(reading.vocabulary.add_space_prefix);
    reading_free(&reading);
    writer = writer_of("t5", true);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_eos_token", false);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_space_prefix", true);
    gguf_writer_bool(&writer, "tokenizer.ggml.remove_extra_whitespaces", true);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.suffix, VOCABULARY_NONE);
    assert_int_equal(reading.vocabulary.step_count, 3);
    assert_int_equal(reading.vocabulary.steps[0].kind, NORMALIZE_COLLAPSE_SPACES);
    assert_int_equal(reading.vocabulary.steps[1].kind, NORMALIZE_PREPEND);
    reading_free(&reading);
    writer = writer_with(true, true);
    gguf_writer_u32(&writer, "tokenizer.ggml.seperator_token_id", 3);
    gguf_writer_bool(&writer, "tokenizer.ggml.add_sep_token", true);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.suffix, 3);
    reading_free(&reading);
}

static void bert_names_its_first_token_and_its_normalizer(void **state)
{
    (void)state;
    struct reading reading;
    struct gguf_writer writer = writer_of("bert", false);
    gguf_writer_u32(&writer, "tokenizer.ggml.cls_token_id", 7);
    gguf_writer_u32(&writer, "tokenizer.ggml.seperator_token_id", 8);
    gguf_writer_bool(&writer, "tokenizer.ggml.normalizer.lowercase", false);
    gguf_writer_bool(&writer, "tokenizer.ggml.normalizer.strip_accents", false);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.bos, 7);
    assert_int_equal(reading.vocabulary.suffix, 8);
    assert_int_equal(reading.vocabulary.step_count, 3);
    reading_free(&reading);
    writer = writer_of("bert", false);
    gguf_writer_u32(&writer, "tokenizer.ggml.cls_token_id", 7);
    gguf_writer_u32(&writer, "tokenizer.ggml.bos_token_id", 9);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.bos, 9);
    reading_free(&reading);
    writer = writer_of("bert", false);
    gguf_writer_u32(&writer, "tokenizer.ggml.cls_token_id", MANY);
    assert_refused(&writer, "cls_token_id");
    writer = writer_of("bert", false);
    gguf_writer_u32(&writer, "tokenizer.ggml.normalizer.lowercase", 1);
    assert_refused(&writer, "normalizer.lowercase");
}

static void scores_are_floats_or_integers(void **state)
{
    (void)state;
    int32_t integers[MANY];
    for (int32_t i = 0; i < MANY; i++)
        integers[i] = -i;
    struct reading reading;
    struct gguf_writer writer = writer_of("t5", false);
    gguf_writer_array(&writer, "tokenizer.ggml.scores", GGUF_INT32, MANY, integers,
                      sizeof integers);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_true(reading.vocabulary.scores[3] == -3.0f);
    reading_free(&reading);
    writer = writer_of("llama", true);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_true(reading.vocabulary.scores[3] == -0.75f);
    reading_free(&reading);
}

static void refuses_scores_that_can_not_be_compared(void **state)
{
    (void)state;
    static const char key[] = "tokenizer.ggml.scores";
    float numbers[MANY] = {0};
    struct gguf_writer writer = writer_of("llama", false);
    assert_refused(&writer, key);
    writer = writer_of("llama", false);
    gguf_writer_array(&writer, key, GGUF_FLOAT32, MANY - 1, numbers, sizeof numbers - 4);
    assert_refused(&writer, key);
    writer = writer_of("t5", false);
    gguf_writer_array(&writer, key, GGUF_UINT8, MANY, numbers, MANY);
    assert_refused(&writer, key);
    writer = writer_of("t5", false);
    gguf_writer_f32(&writer, key, 1);
    assert_refused(&writer, key);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        numbers[5] = bad[i];
        writer = writer_of("llama", false);
        gguf_writer_array(&writer, key, GGUF_FLOAT32, MANY, numbers, sizeof numbers);
        assert_refused(&writer, "token 5");
    }
}

static void refuses_a_character_map_that_is_none(void **state)
{
    (void)state;
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    static const uint8_t map[] = {4, 0, 0, 0, 0, 0, 0, 0, 'x', 0},
                         lying[] = {8, 0, 0, 0, 0, 0, 0, 0, 0};
    struct reading reading;
    struct gguf_writer writer = writer_of("t5", true);
    gguf_writer_array(&writer, key, GGUF_INT8, sizeof map, map, sizeof map);
    assert_int_equal(read_back(&writer, &reading), 0);
    assert_int_equal(reading.vocabulary.steps[0].kind, NORMALIZE_CHARSMAP);
    assert_int_equal(reading.vocabulary.steps[0].from.length, sizeof map);
    reading_free(&reading);
    writer = writer_of("t5", true);
    gguf_writer_array(&writer, key, GGUF_UINT8, sizeof lying, lying, sizeof lying);
    assert_refused(&writer, "character map");
    writer = writer_of("t5", true);
    gguf_writer_string(&writer, key, text_of("a string"));
    assert_refused(&writer, key);
    writer = writer_of("t5", true);
    gguf_writer_array(&writer, key, GGUF_UINT32, 2, map, 8);
    assert_refused(&writer, key);
}

static void models_that_are_not_run_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"rwkv", "plamo2", "none", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct gguf_writer writer = writer_of(names[i], true);
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
        assert_refused(&writer, quoted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tokens_merges_ids_and_flags),
        cmocka_unit_test(a_default_id_out_of_range_is_none),
        cmocka_unit_test(the_pretokenizer_decides_about_bos_when_the_file_does_not),
        cmocka_unit_test(turn_markers_are_control_whatever_the_file_says),
        cmocka_unit_test(refuses_names_that_it_does_not_know),
        cmocka_unit_test(refuses_missing_keys),
        cmocka_unit_test(refuses_wrong_types_and_counts),
        cmocka_unit_test(refuses_numbers_out_of_range),
        cmocka_unit_test(refuses_a_token_of_more_than_64_kib),
        cmocka_unit_test(models_have_their_defaults),
        cmocka_unit_test(defaults_of_other_models_are_checked_too),
        cmocka_unit_test(flags_change_what_stands_around_a_text),
        cmocka_unit_test(bert_names_its_first_token_and_its_normalizer),
        cmocka_unit_test(scores_are_floats_or_integers),
        cmocka_unit_test(refuses_scores_that_can_not_be_compared),
        cmocka_unit_test(refuses_a_character_map_that_is_none),
        cmocka_unit_test(models_that_are_not_run_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
