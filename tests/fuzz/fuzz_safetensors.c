/* fuzz_safetensors.c - any bytes as config.json and model.safetensors: the folder is refused with a
 * sentence, or all that can be reached through its view can be read.  See README.md.
 *
 * The input is: a byte, its low three bits a configuration from the table below, or 7 for the
 * input's own, its bit 3 whether the second text is modules.json or 1_Pooling/config.json; two
 * bytes with the length of that text; the text; the rest is the file of tensors. */
#include "load/folder.h"
#include "load/gguf.h"

#include <stdlib.h>

enum { CONFIGS = 7, OWN = 7, HEAD_BYTES = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZES                                                                                      \
    "\"num_hidden_layers\":1,\"hidden_size\":64,\"intermediate_size\":8,\"vocab_size\":9,"         \
    "\"max_position_embeddings\":16,\"num_attention_heads\":4,\"rms_norm_eps\":1e-6}"

static const char *const configs[CONFIGS] = {
    "{\"architectures\":[\"LlamaForCausalLM\"],\"rope_scaling\":{\"type\":\"llama3\"}," SIZES,
    "{\"architectures\":[\"Qwen2ForCausalLM\"]," SIZES,
    "{\"architectures\":[\"Qwen3ForCausalLM\"]," SIZES,
    "{\"architectures\":[\"Gemma3ForCausalLM\"]," SIZES,
    "{\"architectures\":[\"Phi3ForCausalLM\"]," SIZES,
    "{\"architectures\":[\"BertModel\"]," SIZES,
    "{\"architectures\":[\"GPT2LMHeadModel\"],\"n_layer\":1,\"n_embd\":64,\"n_positions\":8,"
    "\"n_head\":4,\"vocab_size\":9}",
};

static unsigned sum_bytes(const void *bytes, uint64_t length)
{
    const uint8_t *at = bytes;
    unsigned sum = 0;
    for (uint64_t i = 0; i < length; i++)
        sum += at[i];
    return sum;
}

static void walk(const struct gguf *gguf)
{
    unsigned sum = 0;
    for (size_t i = 0; i < gguf_key_count(gguf); i++) {
        const struct gguf_value *value = gguf_key(gguf, i);
        sum += sum_bytes(value->key.bytes, value->key.length);
        sum += sum_bytes(value->data, value->bytes);
    }
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct tensor *tensor = gguf_tensor_at(gguf, i);
        const struct tensor_format *format = tensor_format((uint32_t)tensor->type);
        uint64_t items = 1;
        for (uint32_t k = 0; k < TENSOR_DIMENSIONS_MAX; k++)
            items *= tensor->shape[k];
        if (gguf_tensor(gguf, tensor->name) != tensor ||
            items * format->block_bytes != tensor->bytes)
            abort();
        if (tensor->dimensions == 1 && tensor->type != TENSOR_F32)
            abort();
        sum += sum_bytes(tensor->data, tensor->bytes);
    }
    volatile unsigned sink = sum; /* the reads above must happen */
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_BYTES)
        return 0;
    size_t length = data[1] | (size_t)data[2] << 8, left = size - HEAD_BYTES;
    if (length > left)
        length = left;
    struct text own = {(const char *)data + HEAD_BYTES, length};
    unsigned chosen = data[0] % 8;
    struct folder_texts texts = {.config = chosen == OWN ? own : text_of(configs[chosen])};
    if (chosen != OWN)
        *(data[0] & 8 ? &texts.modules : &texts.pooling) = own;
    struct gguf *gguf = NULL;
    struct error error = {0};
    const uint8_t *file = data + HEAD_BYTES + length;
    if (folder_translate_memory(&texts, file, left - length, &gguf, &error)) {
        if (error.code == 0 || error.text[0] == '\0' || gguf)
            abort(); /* refused without a reason */
        return 0;
    }
    walk(gguf);
    gguf_close(gguf);
    return 0;
}
