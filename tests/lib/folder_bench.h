/* folder_bench.h - Hugging Face folders in memory: configurations to start from, opening, and what
 * is expected of the view.
 */
#ifndef TESTS_FOLDER_BENCH_H
#define TESTS_FOLDER_BENCH_H

#include "load/folder.h"

#include "load/gguf.h"
#include "tests/lib/safetensors_writer.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define QWEN2                                                                                      \
    "\"architectures\":[\"Qwen2ForCausalLM\"],\"num_hidden_layers\":1,\"hidden_size\":64,"         \
    "\"intermediate_size\":128,\"max_position_embeddings\":256,\"num_attention_heads\":4,"         \
    "\"num_key_value_heads\":2,\"rms_norm_eps\":1e-06,\"vocab_size\":32"
#define LLAMA                                                                                      \
    "\"architectures\":[\"LlamaForCausalLM\"],\"num_hidden_layers\":1,\"hidden_size\":64,"         \
    "\"intermediate_size\":128,\"max_position_embeddings\":256,\"num_attention_heads\":4,"         \
    "\"rms_norm_eps\":1e-06,\"vocab_size\":32"
#define GEMMA3                                                                                     \
    "\"architectures\":[\"Gemma3ForCausalLM\"],\"num_hidden_layers\":2,\"hidden_size\":64,"        \
    "\"intermediate_size\":128,\"sliding_window\":16"
#define GPT2                                                                                       \
    "\"architectures\":[\"GPT2LMHeadModel\"],\"n_layer\":1,\"n_embd\":64,\"n_positions\":128,"     \
    "\"n_head\":4,\"vocab_size\":32"
#define BERT                                                                                       \
    "\"architectures\":[\"BertModel\"],\"num_hidden_layers\":1,\"hidden_size\":64,"                \
    "\"intermediate_size\":128,\"max_position_embeddings\":512,\"num_attention_heads\":4,"         \
    "\"type_vocab_size\":2,\"vocab_size\":32"
#define PHI3                                                                                       \
    "\"architectures\":[\"Phi3ForCausalLM\"],\"num_hidden_layers\":1,\"hidden_size\":64,"          \
    "\"intermediate_size\":128,\"max_position_embeddings\":256,\"num_attention_heads\":16,"        \
    "\"rms_norm_eps\":1e-05,\"vocab_size\":32"

/* A folder in memory; `bytes` must live as long as the view. */
struct model {
    struct gguf *gguf;
    uint8_t *bytes;
};

static inline void close_model(struct model *model)
{
    gguf_close(model->gguf);
    free(model->bytes);
}

/* What `writer` holds (freed here) under that configuration. */
static inline struct model open_with(const struct folder_texts *texts,
                                     struct safetensors_writer writer)
{
    struct model model = {0};
    struct error error = {0};
    size_t length;
    model.bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    if (folder_translate_memory(texts, model.bytes, length, &model.gguf, &error))
        fail_msg("%s", error.text);
    return model;
}

static inline struct model open_config(const char *config)
{
    struct folder_texts texts = {.config = text_of(config)};
    return open_with(&texts, safetensors_writer_new());
}

static inline void expect_texts_refused(const struct folder_texts *texts,
                                        struct safetensors_writer writer, const char *place)
{
    struct gguf *gguf = NULL;
    struct error error = {0};
    size_t length;
    uint8_t *bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    int status = folder_translate_memory(texts, bytes, length, &gguf, &error);
    free(bytes);
    if (status != -ENOEXEC)
        fail_msg("status %d, \"%s\", expected \"%s\"", status, error.text, place);
    assert_null(gguf);
    if (!strstr(error.text, place))
        fail_msg("\"%s\" does not say \"%s\"", error.text, place);
}

static inline void expect_refused(const char *config, const char *place)
{
    struct folder_texts texts = {.config = text_of(config)};
    expect_texts_refused(&texts, safetensors_writer_new(), place);
}

static inline void expect_tensors_refused(const char *config, struct safetensors_writer writer,
                                          const char *place)
{
    struct folder_texts texts = {.config = text_of(config)};
    expect_texts_refused(&texts, writer, place);
}

static inline void expect_u32(const struct model *model, const char *key, uint32_t expected)
{
    uint32_t value = 0;
    if (gguf_get_u32(model->gguf, key, &value, NULL) || value != expected)
        fail_msg("%s is %u, expected %u", key, value, expected);
}

static inline void expect_f32(const struct model *model, const char *key, double expected)
{
    float value = 0;
    if (gguf_get_f32(model->gguf, key, &value, NULL) || fabs(value / expected - 1) > 1e-6)
        fail_msg("%s is %g, expected %g", key, (double)value, expected);
}

static inline void expect_word(const struct model *model, const char *key, const char *expected)
{
    struct text value = {0};
    if (gguf_get_string(model->gguf, key, &value, NULL) || !text_is(value, expected))
        fail_msg("%s is \"%.*s\", expected \"%s\"", key, TEXT_ARGUMENTS(value), expected);
}

static inline void expect_absent(const struct model *model, const char *key)
{
    if (gguf_find(model->gguf, key))
        fail_msg("%s is there", key);
}

static const struct tensor *need(const struct model *model, const char *name)
{
    const struct tensor *tensor = gguf_tensor(model->gguf, name);
    if (!tensor)
        fail_msg("no tensor %s", name);
    return tensor;
}

static inline bool is_in_file(const struct model *model, const struct tensor *tensor)
{
    return tensor->data > model->bytes && gguf_file_bytes(model->gguf) > 0 &&
           tensor->data + tensor->bytes <= model->bytes + gguf_file_bytes(model->gguf);
}

#endif
