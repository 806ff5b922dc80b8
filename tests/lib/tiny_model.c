/* tiny_model.c - see tiny_model.h. */
#include "tests/lib/tiny_model.h"

#include "model/family.h"
#include "text/bytelevel.h"

#include <stdio.h>
#include <stdlib.h>

struct tiny_model tiny_model_new(enum tensor_type type, uint64_t seed)
{
    return (struct tiny_model){
        .architecture = "llama",
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

static const struct family *family_of(const struct tiny_model *model)
{
    const struct family *family = family_find(text_of(model->architecture));
    if (!family)
        abort();
    return family;
}

/* An integer under the architecture's name; 0 is left out. */
static void put_count(const struct tiny_model *model, struct gguf_writer *writer, const char *name,
                      int32_t value)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", model->architecture, name);
    if (value)
        gguf_writer_u32(writer, key, (uint32_t)value);
}

static void put_number(const struct tiny_model *model, struct gguf_writer *writer, const char *name,
                       float value)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", model->architecture, name);
    if (value > 0)
        gguf_writer_f32(writer, key, value);
}

void tiny_model_keys(const struct tiny_model *model, struct gguf_writer *writer)
{
    const struct family *family = family_of(model);
    gguf_writer_string(writer, "general.architecture", text_of(model->architecture));
    gguf_writer_string(writer, "general.name", text_of("tiny"));
    put_count(model, writer, "block_count", model->layers);
    put_count(model, writer, "embedding_length", model->width);
    put_count(model, writer, "feed_forward_length", model->hidden);
    put_count(model, writer, "context_length", model->context);
    put_count(model, writer, "attention.head_count", model->heads);
    put_count(model, writer, "attention.head_count_kv", model->kv_heads);
    put_count(model, writer, "attention.key_length", model->head_size);
    put_count(model, writer, "attention.value_length", model->head_size);
    put_count(model, writer, "attention.sliding_window", model->window);
    put_count(model, writer, "expert_count", model->experts);
    put_count(model, writer, "expert_used_count", model->experts_used);
    put_count(model, writer, "pooling_type", model->pooling);
    put_number(model, writer, "attn_logit_softcapping", model->softcap);
    put_number(model, writer, "final_logit_softcapping", model->softcap);
    put_number(model, writer,
               family->norm == FAMILY_RMS ? "attention.layer_norm_rms_epsilon"
                                          : "attention.layer_norm_epsilon",
               1e-5f);
    if (family->rope != FAMILY_NO_ROPE)
        put_number(model, writer, "rope.freq_base", 10000);
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
    if (model->ends)
        gguf_writer_bool(writer, "tokenizer.ggml.add_eos_token", true);
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
    enum tensor_type type; /* of the matrices to come */
};

static void add_stack(struct source *source, const char *name, int32_t count, int32_t rows,
                      int32_t columns)
{
    const struct tensor_format *format = tensor_format((uint32_t)source->type);
    const uint64_t shape[] = {(uint64_t)columns, (uint64_t)rows, (uint64_t)count};
    size_t weights = (size_t)count * (size_t)rows * (size_t)columns;
    size_t bytes = weights / format->block * format->block_bytes;
    uint8_t *data = malloc(bytes);
    if (!data)
        abort();
    fill(source->type, data, bytes, &source->state);
    gguf_writer_tensor(source->writer, name, (uint32_t)source->type, count > 1 ? 3 : 2, shape, data,
                       bytes);
    free(data);
}

static void add_matrix(struct source *source, const char *name, int32_t rows, int32_t columns)
{
    add_stack(source, name, 1, rows, columns);
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

/* blk.`layer`.`name`.`kind`, or without the first part for layer -1. */
struct name {
    char text[TENSOR_NAME_BYTES];
};

static struct name name_of(int32_t layer, const char *name, const char *kind)
{
    struct name full;
    if (layer < 0)
        snprintf(full.text, sizeof full.text, "%s.%s", name, kind);
    else
        snprintf(full.text, sizeof full.text, "blk.%d.%s.%s", layer, name, kind);
    return full;
}

static void add_linear(struct source *source, int32_t layer, const char *name, int32_t rows,
                       int32_t columns)
{
    add_matrix(source, name_of(layer, name, "weight").text, rows, columns);
    if (source->model->biased)
        add_vector(source, name_of(layer, name, "bias").text, rows, 0);
}

static void add_norm(struct source *source, int32_t layer, const char *name)
{
    const struct family *family = family_of(source->model);
    add_vector(source, name_of(layer, name, "weight").text, source->model->width, 1);
    if (family->norm == FAMILY_LAYER)
        add_vector(source, name_of(layer, name, "bias").text, source->model->width, 0);
}

static void add_attention(struct source *source, int32_t layer)
{
    const struct tiny_model *model = source->model;
    const struct family *family = family_of(model);
    const int32_t queries = model->heads * model->head_size;
    const int32_t keys = model->kv_heads * model->head_size;
    if (family->norms != FAMILY_AFTER)
        add_norm(source, layer, "attn_norm");
    if (model->fused) {
        add_linear(source, layer, "attn_qkv", queries + 2 * keys, model->width);
    } else {
        add_linear(source, layer, "attn_q", queries, model->width);
        add_linear(source, layer, "attn_k", keys, model->width);
        add_linear(source, layer, "attn_v", keys, model->width);
    }
    if (family->head_norms) {
        add_vector(source, name_of(layer, "attn_q_norm", "weight").text, model->head_size, 1);
        add_vector(source, name_of(layer, "attn_k_norm", "weight").text, model->head_size, 1);
    }
    add_linear(source, layer, "attn_output", model->width, queries);
    if (family->norms == FAMILY_AROUND)
        add_norm(source, layer, "post_attention_norm");
    if (family->norms == FAMILY_AFTER)
        add_norm(source, layer, "attn_output_norm");
}

/* All experts' matrices of one kind. */
static void add_experts(struct source *source, int32_t layer, const char *name, int32_t rows,
                        int32_t columns)
{
    const struct tiny_model *model = source->model;
    char part[32];
    for (int32_t i = 0; model->single_experts && i < model->experts; i++) {
        const bool odd = model->odd_expert && i == model->experts - 1;
        snprintf(part, sizeof part, "%s.%d", name, i);
        source->type = odd ? TENSOR_F32 : model->type;
        add_matrix(source, name_of(layer, part, "weight").text, rows, columns);
    }
    source->type = model->type;
    snprintf(part, sizeof part, "%s_exps", name);
    if (!model->single_experts)
        add_stack(source, name_of(layer, part, "weight").text, model->experts, rows, columns);
}

static void add_hidden(struct source *source, int32_t layer)
{
    const struct tiny_model *model = source->model;
    const struct family *family = family_of(model);
    const int32_t width = model->width, hidden = model->hidden;
    if (family->norms != FAMILY_AFTER)
        add_norm(source, layer, "ffn_norm");
    if (model->experts) {
        add_matrix(source, name_of(layer, "ffn_gate_inp", "weight").text, model->experts, width);
        add_experts(source, layer, "ffn_gate", hidden, width);
        add_experts(source, layer, "ffn_up", hidden, width);
        add_experts(source, layer, "ffn_down", width, hidden);
    } else {
        if (family->gated && !family->gate_in_up)
            add_linear(source, layer, "ffn_gate", hidden, width);
        add_linear(source, layer, "ffn_up", family->gate_in_up ? 2 * hidden : hidden, width);
        add_linear(source, layer, "ffn_down", width, hidden);
    }
    if (family->norms == FAMILY_AROUND)
        add_norm(source, layer, "post_ffw_norm");
    if (family->norms == FAMILY_AFTER)
        add_norm(source, layer, "layer_output_norm");
}

void tiny_model_tensors(const struct tiny_model *model, struct gguf_writer *writer)
{
    struct source source = {model, writer, model->seed * 0x9E3779B97F4A7C15u + 1, model->type};
    const struct family *family = family_of(model);
    add_matrix(&source, "token_embd.weight", TINY_MODEL_VOCABULARY, model->width);
    if (family->positions)
        add_matrix(&source, "position_embd.weight", model->context, model->width);
    if (family->encoder) {
        add_matrix(&source, "token_types.weight", 2, model->width);
        add_norm(&source, -1, "token_embd_norm");
    } else {
        add_norm(&source, -1, "output_norm");
        if (!model->tied)
            add_matrix(&source, "output.weight", TINY_MODEL_VOCABULARY, model->width);
    }
    for (int32_t i = 0; i < model->layers; i++) {
        add_attention(&source, i);
        add_hidden(&source, i);
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
