/* tiny_model.c - see tiny_model.h. */
#include "tests/lib/tiny_model.h"

#include "text/bytelevel.h"

#include <stdio.h>
#include <stdlib.h>

struct tiny_model tiny_model_new(enum tensor_type type, uint64_t seed)
{
    return (struct tiny_model){
        .type = type,
        .layers = 2,
        .width = 64,
        .heads = 4,
        .kv_heads = 2,
        .head_size = 16,
        .hidden = 160,
        .context = 512,
        .seed = seed,
    };
}

void tiny_model_keys(const struct tiny_model *model, struct gguf_writer *writer)
{
    gguf_writer_string(writer, "general.architecture", text_of("llama"));
    gguf_writer_string(writer, "general.name", text_of("tiny"));
    gguf_writer_u32(writer, "llama.block_count", (uint32_t)model->layers);
    gguf_writer_u32(writer, "llama.embedding_length", (uint32_t)model->width);
    gguf_writer_u32(writer, "llama.feed_forward_length", (uint32_t)model->hidden);
    gguf_writer_u32(writer, "llama.context_length", (uint32_t)model->context);
    gguf_writer_u32(writer, "llama.attention.head_count", (uint32_t)model->heads);
    gguf_writer_u32(writer, "llama.attention.head_count_kv", (uint32_t)model->kv_heads);
    gguf_writer_u32(writer, "llama.attention.key_length", (uint32_t)model->head_size);
    gguf_writer_u32(writer, "llama.attention.value_length", (uint32_t)model->head_size);
    gguf_writer_f32(writer, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gguf_writer_f32(writer, "llama.rope.freq_base", 10000);
}

void tiny_model_vocabulary(const struct tiny_model *model, struct gguf_writer *writer)
{
    char characters[TINY_MODEL_BYTES][BYTELEVEL_CHARACTER_BYTES_MAX];
    struct text tokens[TINY_MODEL_VOCABULARY];
    int32_t kinds[TINY_MODEL_VOCABULARY];
    const struct text merge = text_of("h e");
    for (int i = 0; i < TINY_MODEL_BYTES; i++)
        tokens[i] = (struct text){characters[i], bytelevel_encode((unsigned char)i, characters[i])};
    tokens[TINY_MODEL_HE] = text_of("he");
    tokens[TINY_MODEL_END] = text_of("<|endoftext|>");
    tokens[TINY_MODEL_TURN_START] = text_of("<|im_start|>");
    tokens[TINY_MODEL_TURN_END] = text_of("<|im_end|>");
    for (int i = 0; i < TINY_MODEL_VOCABULARY; i++)
        kinds[i] = i >= TINY_MODEL_END ? 3 : 1; /* CONTROL, NORMAL */
    gguf_writer_string(writer, "tokenizer.ggml.model", text_of("gpt2"));
    gguf_writer_string(writer, "tokenizer.ggml.pre", text_of("gpt-2"));
    gguf_writer_strings(writer, "tokenizer.ggml.tokens", TINY_MODEL_VOCABULARY, tokens);
    gguf_writer_array(writer, "tokenizer.ggml.token_type", GGUF_INT32, TINY_MODEL_VOCABULARY, kinds,
                      sizeof kinds);
    gguf_writer_strings(writer, "tokenizer.ggml.merges", 1, &merge);
    gguf_writer_u32(writer, "tokenizer.ggml.bos_token_id", TINY_MODEL_END);
    gguf_writer_u32(writer, "tokenizer.ggml.eos_token_id", TINY_MODEL_END);
    gguf_writer_bool(writer, "tokenizer.ggml.add_bos_token", false);
    if (model->chats)
        gguf_writer_string(writer, "tokenizer.chat_template",
                           text_of("{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + "
                                   "m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
                                   "{{ '<|im_start|>assistant\n' }}"));
}

/* ---- noise ---- */

static uint64_t random_bits(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64 (Marsaglia 2003) */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Uniform in [-1, 1). */
static float random_number(uint64_t *state)
{
    return (float)(int32_t)(random_bits(state) >> 32) * 0x1p-31f;
}

/* A block of random weights of about the size 1/8: random bytes under a scale (and a minimum) that
 * is a power of two, written as a half-precision number. */
static void fill_block(enum tensor_type type, uint8_t *block, size_t bytes, uint64_t *state)
{
    uint16_t scale = 0, minimum = 0;
    for (size_t i = 0; i < bytes; i++)
        block[i] = (uint8_t)(random_bits(state) >> 24);
    switch ((unsigned)type) {
    case TENSOR_Q8_0:
        scale = 0x1800; /* 2^-9 */
        break;
    case TENSOR_Q4_1:
        minimum = 0xB380; /* -7.5 * 2^-5 */
        __attribute__((fallthrough));
    case TENSOR_Q4_0:
        scale = 0x2800; /* 2^-5 */
        break;
    case TENSOR_Q5_1:
        minimum = 0xB3C0; /* -15.5 * 2^-6 */
        __attribute__((fallthrough));
    case TENSOR_Q5_0:
        scale = 0x2400; /* 2^-6 */
        break;
    default:
        abort();
    }
    memcpy(block, &scale, sizeof scale);
    if (minimum)
        memcpy(block + 2, &minimum, sizeof minimum);
}

static void fill(enum tensor_type type, uint8_t *data, size_t bytes, uint64_t *state)
{
    const struct tensor_format *format = tensor_format((uint32_t)type);
    for (size_t at = 0; at < bytes; at += format->block_bytes) {
        uint16_t upper = (uint16_t)(random_bits(state) >> 40);
        float number = random_number(state) * 0.2f;
        if (type == TENSOR_F32)
            memcpy(data + at, &number, sizeof number);
        else if (type == TENSOR_F16 || type == TENSOR_BF16) {
            /* any sign and mantissa, exponent -4 */
            upper = type == TENSOR_F16 ? (upper & 0x83FF) | 11 << 10 : (upper & 0x807F) | 123 << 7;
            memcpy(data + at, &upper, sizeof upper);
        } else {
            fill_block(type, data + at, format->block_bytes, state);
        }
    }
}

/* ---- tensors ---- */

/* What the tensors of one file have in common. */
struct source {
    const struct tiny_model *model;
    struct gguf_writer *writer;
    uint64_t state;
};

static void add_matrix(struct source *source, const char *name, int32_t rows, int32_t columns)
{
    const struct tensor_format *format = tensor_format((uint32_t)source->model->type);
    const uint64_t shape[] = {(uint64_t)columns, (uint64_t)rows};
    size_t bytes = (size_t)rows * (size_t)columns / format->block * format->block_bytes;
    uint8_t *data = malloc(bytes);
    if (!data)
        abort();
    fill(source->model->type, data, bytes, &source->state);
    gguf_writer_tensor(source->writer, name, (uint32_t)source->model->type, 2, shape, data, bytes);
    free(data);
}

static void add_vector(struct source *source, const char *name, int32_t width, float mean)
{
    const uint64_t shape[] = {(uint64_t)width};
    float *data = calloc((size_t)width, sizeof *data);
    if (!data)
        abort();
    for (int32_t i = 0; i < width; i++)
        data[i] = mean + 0.1f * random_number(&source->state);
    gguf_writer_tensor(source->writer, name, TENSOR_F32, 1, shape, data,
                       (size_t)width * sizeof *data);
    free(data);
}

static void add_linear(struct source *source, int32_t layer, const char *name, int32_t rows,
                       int32_t columns)
{
    char full[TENSOR_NAME_BYTES];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    add_matrix(source, full, rows, columns);
    snprintf(full, sizeof full, "blk.%d.%s.bias", layer, name);
    if (source->model->biased)
        add_vector(source, full, rows, 0);
}

static void add_norm(struct source *source, int32_t layer, const char *name)
{
    char full[TENSOR_NAME_BYTES];
    snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    add_vector(source, full, source->model->width, 1);
}

void tiny_model_tensors(const struct tiny_model *model, struct gguf_writer *writer)
{
    struct source source = {model, writer, model->seed * 0x9E3779B97F4A7C15u + 1};
    const int32_t width = model->width, hidden = model->hidden;
    const int32_t queries = model->heads * model->head_size;
    const int32_t keys = model->kv_heads * model->head_size;
    add_matrix(&source, "token_embd.weight", TINY_MODEL_VOCABULARY, width);
    add_vector(&source, "output_norm.weight", width, 1);
    if (!model->tied)
        add_matrix(&source, "output.weight", TINY_MODEL_VOCABULARY, width);
    for (int32_t i = 0; i < model->layers; i++) {
        add_norm(&source, i, "attn_norm");
        add_linear(&source, i, "attn_q", queries, width);
        add_linear(&source, i, "attn_k", keys, width);
        add_linear(&source, i, "attn_v", keys, width);
        add_linear(&source, i, "attn_output", width, queries);
        add_norm(&source, i, "ffn_norm");
        add_linear(&source, i, "ffn_gate", hidden, width);
        add_linear(&source, i, "ffn_up", hidden, width);
        add_linear(&source, i, "ffn_down", width, hidden);
    }
}

int tiny_model_save(const struct tiny_model *model, const char *path)
{
    struct gguf_writer writer = gguf_writer_new();
    tiny_model_keys(model, &writer);
    tiny_model_vocabulary(model, &writer);
    tiny_model_tensors(model, &writer);
    int status = gguf_writer_save(&writer, path);
    gguf_writer_free(&writer);
    return status;
}
