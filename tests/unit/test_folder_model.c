/* test_folder_model.c - the tensors of Hugging Face folders under their GGUF names, the files they
 * come from, and what is refused, with a sentence that names the place. */
#include "base/threads.h"
#include "tests/lib/folder_bench.h"

#include <sys/stat.h>
#include <unistd.h>

/* What two threads find. */
static uint64_t resident_bytes(const struct gguf *gguf)
{
    struct threads *threads;
    bool proven;
    assert_int_equal(threads_open(2, &threads, NULL), 0);
    uint64_t bytes = gguf_resident_bytes(gguf, threads, &proven);
    threads_close(threads);
    return bytes;
}

/* ---- tensors ---- */

static void matrices_stay_in_the_file(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    for (size_t i = 0; i < 3; i++) {
        struct folder_texts texts = {.config = text_of("{" QWEN2 "}")};
        struct safetensors_writer writer = safetensors_writer_new();
        safetensors_writer_tensor(&writer, "model.layers.0.mlp.down_proj.weight", dtypes[i], 64,
                                  128);
        struct model model = open_with(&texts, writer);
        const struct tensor *tensor = need(&model, "blk.0.ffn_down.weight");
        assert_int_equal(tensor->type, types[i]);
        assert_int_equal(tensor->dimensions, 2);
        assert_int_equal(tensor->shape[0], 128);
        assert_int_equal(tensor->shape[1], 64);
        assert_int_equal(tensor->shape[2], 1);
        assert_false(tensor->transposed);
        assert_true(is_in_file(&model, tensor));
        close_model(&model);
    }
}

static void vectors_become_aligned_floats(void **state)
{
    (void)state;
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    for (size_t i = 0; i < 3; i++) {
        struct folder_texts texts = {.config = text_of("{" QWEN2 "}")};
        struct safetensors_writer writer = safetensors_writer_new();
        safetensors_writer_tensor(&writer, "model.norm.weight", dtypes[i], 0, 64);
        struct model model = open_with(&texts, writer);
        const struct tensor *tensor = need(&model, "output_norm.weight");
        const float *values = (const void *)tensor->data;
        assert_int_equal(tensor->type, TENSOR_F32);
        assert_int_equal(tensor->bytes, 256);
        for (size_t k = 0; k < 64; k++)
            assert_true(values[k] == (float)k / 64);
        assert_true(is_in_file(&model, tensor) == (i == 0));
        close_model(&model);
    }
}

static void a_vector_at_an_odd_address_is_copied(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" QWEN2 "}")};
    size_t length;
    uint8_t *bytes = safetensors_writer_raw(
        "{\"odd\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
        "\"norm.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[3,11]}}",
        11, &length);
    float values[] = {0.25F, -7};
    memcpy(bytes + length - 8, values, sizeof values);
    struct gguf *gguf = NULL;
    assert_int_equal(folder_translate_memory(&texts, bytes, length, &gguf, NULL), 0);
    const struct tensor *tensor = gguf_tensor(gguf, "output_norm.weight");
    assert_non_null(tensor);
    assert_int_equal((uintptr_t)tensor->data % _Alignof(float), 0);
    assert_memory_equal(tensor->data, values, sizeof values);
    gguf_close(gguf);
    free(bytes);
}

static void gemmas_norms_hold_the_sum(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" GEMMA3 "}")};
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "model.layers.1.self_attn.q_norm.weight", "F32", 0, 64);
    safetensors_writer_tensor(&writer, "model.layers.1.pre_feedforward_layernorm.weight", "BF16", 0,
                              64);
    struct model model = open_with(&texts, writer);
    const float *norm = (const void *)need(&model, "blk.1.attn_q_norm.weight")->data;
    const float *second = (const void *)need(&model, "blk.1.ffn_norm.weight")->data;
    assert_true(norm[0] == 1 && norm[32] == 1.5F && second[16] == 1.25F);
    assert_true(gguf_own_bytes(model.gguf) >= 2 * 256);
    close_model(&model);
}

static void gpt2_matrices_are_transposed_in_place(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" GPT2 "}")};
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "h.0.attn.c_attn.weight", "F32", 64, 192);
    safetensors_writer_tensor(&writer, "transformer.h.0.attn.c_attn.bias", "F32", 0, 192);
    safetensors_writer_tensor(&writer, "h.0.attn.bias", "F32", 128, 128); /* a mask */
    safetensors_writer_tensor(&writer, "wpe.weight", "F32", 128, 64);
    struct model model = open_with(&texts, writer);
    const struct tensor *tensor = need(&model, "blk.0.attn_qkv.weight");
    assert_true(tensor->transposed && is_in_file(&model, tensor));
    assert_int_equal(tensor->shape[0], 64);
    assert_int_equal(tensor->shape[1], 192);
    need(&model, "blk.0.attn_qkv.bias");
    assert_false(need(&model, "position_embd.weight")->transposed);
    assert_int_equal(gguf_tensor_count(model.gguf), 3);
    close_model(&model);
}

static void bert_under_its_old_and_new_names(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" BERT "}")};
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "bert.embeddings.LayerNorm.gamma", "F32", 0, 64);
    safetensors_writer_tensor(&writer, "bert.embeddings.LayerNorm.beta", "F32", 0, 64);
    safetensors_writer_tensor(&writer, "encoder.layer.0.attention.self.query.weight", "F32", 64,
                              64);
    safetensors_writer_tensor(&writer, "bert.pooler.dense.weight", "F32", 64, 64);
    safetensors_writer_tensor(&writer, "cls.predictions.bias", "F32", 0, 32);
    struct model model = open_with(&texts, writer);
    need(&model, "token_embd_norm.weight");
    need(&model, "token_embd_norm.bias");
    need(&model, "blk.0.attn_q.weight");
    assert_int_equal(gguf_tensor_count(model.gguf), 3);
    close_model(&model);
}

static void a_tied_head_is_the_embedding(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        bool head;
    } cases[] = {
        {"{" QWEN2 ",\"tie_word_embeddings\":true}", false},
        {"{" QWEN2 ",\"tie_word_embeddings\":false}", true},
        {"{" QWEN2 "}", true},
        {"{" GPT2 "}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct folder_texts texts = {.config = text_of(cases[i].config)};
        struct safetensors_writer writer = safetensors_writer_new();
        safetensors_writer_tensor(&writer, "lm_head.weight", "F32", 32, 64);
        struct model model = open_with(&texts, writer);
        assert_true(cases[i].head == (gguf_tensor(model.gguf, "output.weight") != NULL));
        close_model(&model);
    }
}

static void names_that_are_nearly_right_are_left_out(void **state)
{
    (void)state;
    static const char *const names[] = {
        "model.layers.00.self_attn.q_proj.weight",
        "model.layers..self_attn.q_proj.weight",
        "model.layers.-1.self_attn.q_proj.weight",
        "model.layers.0.self_attn.q_proj.weight2",
        "model.layers.0.self_attn.q_proj",
        "model.layers.123456.self_attn.q_proj.weight",
        "layers.0.self_attn.q_proj.x.weight",
        "model.model.layers.0.self_attn.q_proj.weight",
        "weight",
        ".weight",
    };
    struct folder_texts texts = {.config = text_of("{" QWEN2 "}")};
    struct safetensors_writer writer = safetensors_writer_new();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        safetensors_writer_tensor(&writer, names[i], "F32", 0, 4);
    struct model model = open_with(&texts, writer);
    assert_int_equal(gguf_tensor_count(model.gguf), 0);
    close_model(&model);
}

static void refuses_two_tensors_for_one_place(void **state)
{
    (void)state;
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "model.norm.weight", "F32", 0, 64);
    safetensors_writer_tensor(&writer, "norm.weight", "F32", 0, 64);
    expect_tensors_refused("{" QWEN2 "}", writer, "tensor output_norm.weight appears twice");
}

static void refuses_a_dtype_only_where_it_is_needed(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" BERT "}")};
    size_t length;
    uint8_t *bytes = safetensors_writer_raw(
        "{\"embeddings.position_ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}",
        16, &length);
    struct gguf *gguf = NULL;
    assert_int_equal(folder_translate_memory(&texts, bytes, length, &gguf, NULL), 0);
    gguf_close(gguf);
    free(bytes);
    bytes = safetensors_writer_raw("{\"embeddings.LayerNorm.weight\":{\"dtype\":\"F8_E4M3\","
                                   "\"shape\":[16],\"data_offsets\":[0,16]}}",
                                   16, &length);
    struct error error = {0};
    assert_int_equal(folder_translate_memory(&texts, bytes, length, &gguf, &error), -ENOEXEC);
    assert_string_equal(error.text, "model.safetensors: tensor embeddings.LayerNorm.weight has "
                                    "dtype F8_E4M3, which is not supported");
    free(bytes);
}

static void refuses_shapes_that_gguf_can_not_have(void **state)
{
    (void)state;
    static const struct {
        const char *shape, *place;
    } cases[] = {
        {"", "has 0 dimensions, not 1 to 4"},
        {"1,1,1,1,1", "has 5 dimensions, not 1 to 4"},
    };
    struct folder_texts texts = {.config = text_of("{" BERT "}")};
    for (size_t i = 0; i < 2; i++) {
        char header[200];
        size_t length;
        struct gguf *gguf = NULL;
        struct error error = {0};
        snprintf(header, sizeof header,
                 "{\"embeddings.LayerNorm.weight\":{\"dtype\":\"F32\",\"shape\":[%s],"
                 "\"data_offsets\":[0,4]}}",
                 cases[i].shape);
        uint8_t *bytes = safetensors_writer_raw(header, 4, &length);
        assert_int_equal(folder_translate_memory(&texts, bytes, length, &gguf, &error), -ENOEXEC);
        assert_non_null(strstr(error.text, cases[i].place));
        free(bytes);
    }
}

static void refuses_an_empty_tensor_that_is_needed(void **state)
{
    (void)state;
    struct folder_texts texts = {.config = text_of("{" BERT "}")};
    size_t length;
    struct gguf *gguf = NULL;
    struct error error = {0};
    uint8_t *bytes = safetensors_writer_raw("{\"embeddings.LayerNorm.weight\":{\"dtype\":\"F32\","
                                            "\"shape\":[0],\"data_offsets\":[0,0]}}",
                                            0, &length);
    assert_int_equal(folder_translate_memory(&texts, bytes, length, &gguf, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "has a dimension of 0"));
    free(bytes);
}

/* ---- files ---- */

static int make_folder(void **state)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/test_folder_model.XXXXXX");
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

static int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", (const char *)*state);
    return system(command);
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *folder, const char *name, const char *text)
{
    write_file(folder, name, text, strlen(text));
}

static void write_tensors(const char *folder, const char *name, const char *tensor)
{
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, tensor, "F16", 32, 64);
    size_t length;
    uint8_t *bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    write_file(folder, name, bytes, length);
    free(bytes);
}

static void expect_folder_refused(const char *folder, int code, const char *place)
{
    struct gguf *gguf = NULL;
    struct error error = {0};
    assert_int_equal(gguf_open(folder, &gguf, &error), -code);
    assert_null(gguf);
    if (!strstr(error.text, place))
        fail_msg("\"%s\" does not say \"%s\"", error.text, place);
}

static void opens_a_folder_of_one_file(void **state)
{
    const char *folder = *state;
    expect_folder_refused(folder, ENOEXEC, "no config.json");
    write_text(folder, "config.json", "{" QWEN2 "}");
    expect_folder_refused(folder, ENOEXEC, "neither model.safetensors nor");
    write_tensors(folder, "model.safetensors", "model.embed_tokens.weight");
    struct gguf *gguf;
    assert_int_equal(gguf_open(folder, &gguf, NULL), 0);
    assert_non_null(gguf_tensor(gguf, "token_embd.weight"));
    assert_int_equal(gguf_tensor_bytes(gguf), 32 * 64 * 2);
    assert_int_equal(gguf_populate(gguf, NULL), 0);
    assert_int_equal(resident_bytes(gguf), gguf_file_bytes(gguf));
    gguf_close(gguf);
}

static void opens_the_files_that_the_index_names(void **state)
{
    const char *folder = *state;
    write_text(folder, "config.json", "{" QWEN2 "}");
    write_text(folder, "model.safetensors.index.json",
               "{\"metadata\":{},\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
               "\"b\":\"model-00002-of-00002.safetensors\","
               "\"c\":\"model-00001-of-00002.safetensors\"}}");
    write_tensors(folder, "model-00001-of-00002.safetensors", "model.embed_tokens.weight");
    expect_folder_refused(folder, ENOENT, "model-00002-of-00002.safetensors: cannot be opened");
    write_tensors(folder, "model-00002-of-00002.safetensors", "lm_head.weight");
    struct gguf *gguf;
    assert_int_equal(gguf_open(folder, &gguf, NULL), 0);
    assert_non_null(gguf_tensor(gguf, "token_embd.weight"));
    assert_non_null(gguf_tensor(gguf, "output.weight"));
    assert_int_equal(gguf_tensor_bytes(gguf), 2 * 32 * 64 * 2);
    gguf_close(gguf);
    write_tensors(folder, "model-00002-of-00002.safetensors", "embed_tokens.weight");
    expect_folder_refused(folder, ENOEXEC, "token_embd.weight appears twice");
    write_text(folder, "model-00002-of-00002.safetensors", "short");
    expect_folder_refused(folder, ENOEXEC, "model-00002-of-00002.safetensors: not a safetensors");
}

static void refuses_an_index_that_leads_out_of_the_folder(void **state)
{
    static const char *const names[] = {"\"../model.safetensors\"",
                                        "\"/etc/passwd\"",
                                        "\"sub/model.safetensors\"",
                                        "\"..\"",
                                        "\".\"",
                                        "\".hidden\"",
                                        "\"\"",
                                        "7",
                                        "null"};
    const char *folder = *state;
    write_text(folder, "config.json", "{" QWEN2 "}");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char index[128];
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":%s}}", names[i]);
        write_text(folder, "model.safetensors.index.json", index);
        expect_folder_refused(folder, ENOEXEC, "tensor a is in no file of this folder");
    }
    write_text(folder, "model.safetensors.index.json", "{\"weight_map\":{}}");
    expect_folder_refused(folder, ENOEXEC, "has no weight_map");
    write_text(folder, "model.safetensors.index.json", "[]");
    expect_folder_refused(folder, ENOEXEC, "has no weight_map");
}

static void refuses_an_index_of_too_many_files(void **state)
{
    const char *folder = *state;
    struct buffer index = buffer_new(1 << 20);
    write_text(folder, "config.json", "{" QWEN2 "}");
    assert_int_equal(buffer_printf(&index, "{\"weight_map\":{\"t\":\"t\""), 0);
    for (int i = 0; i < GGUF_SPLITS_MAX; i++)
        assert_int_equal(buffer_printf(&index, ",\"%d\":\"%d\"", i, i), 0);
    assert_int_equal(buffer_printf(&index, "}}"), 0);
    write_file(folder, "model.safetensors.index.json", index.bytes, index.length);
    expect_folder_refused(folder, ENOEXEC, "more than 1024 files");
    buffer_free(&index);
}

static void refuses_files_that_are_too_long_or_no_files(void **state)
{
    const char *folder = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(5); /* an open that waits for a writer would wait for ever */
    expect_folder_refused(folder, ENOEXEC, "config.json is not a regular file");
    alarm(0);
    assert_int_equal(unlink(path), 0);
    write_text(folder, "config.json", "");
    assert_int_equal(truncate(path, (off_t)1 << 42), 0);
    expect_folder_refused(folder, ENOEXEC, "where at most 4194304 are read");
}

static void a_side_file_is_read_whole_or_not_at_all(void **state)
{
    const char *folder = *state;
    struct buffer buffer = buffer_new(1 << 20);
    char path[256];
    write_text(folder, "chat_template.jinja", "{{ messages }}");
    assert_int_equal(folder_read_file(folder, "absent.json", 100, &buffer, NULL), -ENOENT);
    assert_int_equal(folder_read_file(folder, "chat_template.jinja", 13, &buffer, NULL), -ENOEXEC);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(folder_read_file(folder, "chat_template.jinja", 14, &buffer, NULL), 0);
    assert_true(text_is(buffer_text(&buffer), "{{ messages }}"));
    buffer_free(&buffer);
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("chat_template.jinja", path), 0); /* as download caches have them */
    assert_int_equal(folder_read_file(folder, "link", 14, &buffer, NULL), 0);
    assert_int_equal(buffer.length, 14);
    buffer_free(&buffer);
    assert_int_equal(folder_read_file(path, "link", 14, &buffer, NULL), -ENOTDIR);
}

/* all-MiniLM-L6-v2: 5 tensors of the embedding and 16 in each of 6 layers. */
static void opens_a_real_sentence_encoder(void **state)
{
    (void)state;
    const char *folder = getenv("INFERFS_MINILM");
    if (!folder || !*folder)
        skip();
    struct model model = {0};
    struct error error = {0};
    if (gguf_open(folder, &model.gguf, &error))
        fail_msg("%s", error.text);
    assert_int_equal(gguf_tensor_count(model.gguf), 5 + 6 * 16);
    expect_u32(&model, "bert.block_count", 6);
    expect_u32(&model, "bert.pooling_type", 1);
    expect_u32(&model, "inferfs.embedding.tokens_max", 256);
    assert_int_equal(need(&model, "token_embd.weight")->shape[1], 30522);
    need(&model, "blk.5.layer_output_norm.bias");
    close_model(&model);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_stay_in_the_file),
        cmocka_unit_test(vectors_become_aligned_floats),
        cmocka_unit_test(a_vector_at_an_odd_address_is_copied),
        cmocka_unit_test(gemmas_norms_hold_the_sum),
        cmocka_unit_test(gpt2_matrices_are_transposed_in_place),
        cmocka_unit_test(bert_under_its_old_and_new_names),
        cmocka_unit_test(a_tied_head_is_the_embedding),
        cmocka_unit_test(names_that_are_nearly_right_are_left_out),
        cmocka_unit_test(refuses_two_tensors_for_one_place),
        cmocka_unit_test(refuses_a_dtype_only_where_it_is_needed),
        cmocka_unit_test(refuses_shapes_that_gguf_can_not_have),
        cmocka_unit_test(refuses_an_empty_tensor_that_is_needed),
        WITH_FOLDER(opens_a_folder_of_one_file),
        WITH_FOLDER(opens_the_files_that_the_index_names),
        WITH_FOLDER(refuses_an_index_that_leads_out_of_the_folder),
        WITH_FOLDER(refuses_an_index_of_too_many_files),
        WITH_FOLDER(refuses_files_that_are_too_long_or_no_files),
        WITH_FOLDER(a_side_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(opens_a_real_sentence_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
