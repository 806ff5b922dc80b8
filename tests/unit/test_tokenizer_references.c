/* test_tokenizer_references.c - the ids that other implementations gave.
 *
 * INFERFS_SHARED names the folder of the reference vectors, INFERFS_SMOLLM2 the GGUF file of
 * SmolLM2-135M-Instruct; without them those tests are skipped. */
#include "base/memory.h"
#include "load/gguf.h"
#include "text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

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

/* The whole file and a NUL after it, or NULL; free() it. */
static char *read_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    struct buffer bytes = buffer_new(64 << 20);
    char chunk[65536];
    size_t count;
    while ((count = fread(chunk, 1, sizeof chunk, file)) > 0)
        assert_int_equal(buffer_append(&bytes, chunk, count), 0);
    fclose(file);
    assert_int_equal(buffer_append(&bytes, "", 1), 0);
    return bytes.bytes;
}

struct model {
    struct gguf *gguf;
    struct vocabulary vocabulary;
    struct tokenizer *tokenizer;
};

static void model_open(struct model *model, const char *path)
{
    struct error error = {0};
    int status = gguf_open(path, &model->gguf, &error);
    if (!status)
        status = vocabulary_from_gguf(model->gguf, &model->vocabulary, &error);
    if (!status)
        status = tokenizer_open(&model->vocabulary, &model->tokenizer, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, 0);
}

static void model_close(struct model *model)
{
    tokenizer_close(model->tokenizer);
    vocabulary_free(&model->vocabulary);
    gguf_close(model->gguf);
}

/* Compare with a line of ids separated by spaces; returns the start of the next line. */
static char *assert_line_of_ids(const struct tokens *tokens, char *line)
{
    char *end = strchr(line, '\n');
    assert_non_null(end);
    *end = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        char *after;
        assert_int_equal(tokens->ids[i], strtol(line, &after, 10));
        assert_true(after > line);
        line = after;
    }
    assert_int_equal(strspn(line, " "), strlen(line));
    return end + 1;
}

/* What SPM puts before a text comes back as a space; BERT's normalizer changes the text. */
static void assert_comes_back(const struct model *model, const struct tokens *tokens,
                              struct text text)
{
    struct buffer spaced = buffer_new(1 << 20);
    if (model->vocabulary.model == VOCABULARY_WORDPIECE)
        return;
    if (text.length && tokenizer_adds_space(model->tokenizer))
        assert_int_equal(buffer_append(&spaced, " ", 1), 0);
    assert_int_equal(buffer_append_text(&spaced, text), 0);
    assert_decodes_to(model->tokenizer, tokens, buffer_text(&spaced));
    buffer_free(&spaced);
}

static void assert_vectors(const char *folder, const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[4096], file[256];
    struct model model = {0};
    snprintf(path, sizeof path, "%s/vectors/tokenizers/ggml-vocab-%s.gguf", folder, name);
    model_open(&model, path);
    snprintf(file, sizeof file, "vectors/tokenizers/ggml-vocab-%s.gguf.inp", name);
    char *input = read_file(folder, file);
    snprintf(file, sizeof file, "vectors/tokenizers/ggml-vocab-%s.gguf.out", name);
    char *output = read_file(folder, file);
    assert_non_null(input);
    assert_non_null(output);
    int texts = 0;
    char *line = output;
    for (char *at = input, *end; (end = strstr(at, separator)); at = end + strlen(separator)) {
        struct tokens tokens = {0};
        struct text text = {at, (size_t)(end - at)};
        assert_int_equal(tokenizer_encode(model.tokenizer, text, TOKENIZER_PLAIN, &tokens), 0);
        line = assert_line_of_ids(&tokens, line);
        assert_comes_back(&model, &tokens, text);
        tokens_free(&tokens);
        texts++;
    }
    assert_int_equal(texts, 46);
    free(input);
    free(output);
    model_close(&model);
}

static const char *const vocabularies[] = {"gpt-2", "llama-bpe", "qwen2", "llama-spm", "bert-bge"};
enum { VOCABULARIES = sizeof vocabularies / sizeof *vocabularies };

static void gives_the_reference_ids_of_five_vocabularies(void **state)
{
    (void)state;
    const char *folder = getenv("INFERFS_SHARED");
    char *present = folder ? read_file(folder, "vectors/README.md") : NULL;
    if (!present)
        skip();
    free(present);
    for (int i = 0; i < VOCABULARIES; i++)
        assert_vectors(folder, vocabularies[i]);
}

/* Two hexadecimal digits a byte, in place.  Returns the length. */
static size_t from_hexadecimal(char *digits)
{
    size_t length = 0;
    for (unsigned byte; sscanf(digits + 2 * length, "%2x", &byte) == 1; length++)
        digits[length] = (char)byte;
    return length;
}

/* The columns of tokenizer_strings.txt after the text are in the order of `vocabularies`. */
static void assert_string(struct model *models, char *row, int line)
{
    char *rest = row, *hexadecimal = strsep(&rest, "\t");
    struct text text = {hexadecimal, from_hexadecimal(hexadecimal)};
    for (int i = 0; i < VOCABULARIES; i++) {
        struct tokens tokens = {0};
        char *ids = strsep(&rest, "\t");
        if (!ids)
            fail_msg("line %d has too few columns", line);
        assert_int_equal(tokenizer_encode(models[i].tokenizer, text, TOKENIZER_PLAIN, &tokens), 0);
        for (size_t n = 0; n < tokens.count; n++) {
            char *after = ids;
            long id = strtol(ids, &after, 10);
            if (after == ids || tokens.ids[n] != id)
                fail_msg("line %d, %s, token %zu: %d, not %ld", line, vocabularies[i], n,
                         tokens.ids[n], id);
            ids = after;
        }
        if (*ids)
            fail_msg("line %d, %s: tokens are missing", line, vocabularies[i]);
        tokens_free(&tokens);
    }
}

static void gives_the_reference_ids_of_nasty_strings(void **state)
{
    (void)state;
    const char *folder = getenv("INFERFS_SHARED");
    char *present = folder ? read_file(folder, "vectors/README.md") : NULL;
    if (!present)
        skip();
    free(present);
    struct model models[VOCABULARIES] = {0};
    for (int i = 0; i < VOCABULARIES; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/vectors/tokenizers/ggml-vocab-%s.gguf", folder,
                 vocabularies[i]);
        model_open(&models[i], path);
    }
    char *file = read_file(SOURCE_ROOT, "tests/golden/tokenizer_strings.txt");
    assert_non_null(file);
    char *rest = file;
    int line = 1;
    for (char *row = strsep(&rest, "\n"); (row = strsep(&rest, "\n")) && *row;)
        assert_string(models, row, ++line);
    assert_int_equal(line, 501);
    free(file);
    for (int i = 0; i < VOCABULARIES; i++)
        model_close(&models[i]);
}

static void assert_json_ids(const struct tokenizer *tokenizer, const json_t *item)
{
    struct tokens tokens = {0};
    const json_t *text = json_object_get(item, "text"), *ids = json_object_get(item, "tokens");
    struct text bytes = {json_string_value(text), json_string_length(text)};
    assert_int_equal(tokenizer_encode(tokenizer, bytes, TOKENIZER_PLAIN, &tokens), 0);
    assert_int_equal(tokens.count, json_array_size(ids));
    for (size_t i = 0; i < tokens.count; i++)
        assert_int_equal(tokens.ids[i], json_integer_value(json_array_get(ids, i)));
    tokens_free(&tokens);
}

static void gives_the_reference_ids_of_smollm2(void **state)
{
    (void)state;
    const char *folder = getenv("INFERFS_SHARED"), *path = getenv("INFERFS_SMOLLM2");
    char *source = folder && path ? read_file(folder, "vectors/smollm2.json") : NULL;
    if (!source)
        skip();
    json_t *vectors = json_loads(source, 0, NULL);
    assert_non_null(vectors);
    struct model model = {0};
    model_open(&model, path);
    /* The list "nll" is left out: its ids were made without cutting digits first, and so have two
     * newlines before "1." as two tokens, where the model's own tokenizer has one. */
    const json_t *items = json_object_get(vectors, "raw");
    assert_true(json_array_size(items) > 0);
    for (size_t i = 0; i < json_array_size(items); i++)
        assert_json_ids(model.tokenizer, json_array_get(items, i));
    assert_int_equal(tokenizer_bos(model.tokenizer), VOCABULARY_NONE);
    assert_true(tokenizer_is_end(model.tokenizer, 2));
    model_close(&model);
    json_decref(vectors);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_reference_ids_of_five_vocabularies),
        cmocka_unit_test(gives_the_reference_ids_of_nasty_strings),
        cmocka_unit_test(gives_the_reference_ids_of_smollm2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
