/* folder_family.c - the architectures as tables: what numbers and tensors are called in a folder
 * and in a GGUF.
 *
 * What is not in a table is not read; the engine then says which tensor it misses.
 */
#include "load/folder_internal.h"

#include <errno.h>
#include <stdio.h>

enum { CLASS_BYTES = 64 };

/* ---- numbers ---- */

static const struct folder_number decoder_numbers[] = {
    {"num_hidden_layers", ".block_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"hidden_size", ".embedding_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"intermediate_size", ".feed_forward_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"max_position_embeddings", ".context_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"num_attention_heads", ".attention.head_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"num_key_value_heads", ".attention.head_count_kv", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {"head_dim", ".attention.key_length", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {"head_dim", ".attention.value_length", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {"rms_norm_eps", ".attention.layer_norm_rms_epsilon", FOLDER_FLOAT, FOLDER_NUMBER_REQUIRED},
    {"vocab_size", ".vocab_size", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {0},
};

/* The sizes that Gemma's configurations leave out when they are the usual ones. */
static const struct folder_number gemma3_numbers[] = {
    {"num_hidden_layers", ".block_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"hidden_size", ".embedding_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"intermediate_size", ".feed_forward_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"max_position_embeddings", ".context_length", FOLDER_COUNT, 131072},
    {"num_attention_heads", ".attention.head_count", FOLDER_COUNT, 8},
    {"num_key_value_heads", ".attention.head_count_kv", FOLDER_COUNT, 4},
    {"head_dim", ".attention.key_length", FOLDER_COUNT, 256},
    {"head_dim", ".attention.value_length", FOLDER_COUNT, 256},
    {"rms_norm_eps", ".attention.layer_norm_rms_epsilon", FOLDER_FLOAT, 1e-6},
    {"vocab_size", ".vocab_size", FOLDER_COUNT, 262208},
    {"sliding_window", ".attention.sliding_window", FOLDER_COUNT, 4096},
    {"final_logit_softcapping", ".final_logit_softcapping", FOLDER_FLOAT, FOLDER_NUMBER_OPTIONAL},
    {"attn_logit_softcapping", ".attn_logit_softcapping", FOLDER_FLOAT, FOLDER_NUMBER_OPTIONAL},
    {0},
};

static const struct folder_number phi3_numbers[] = {
    {"num_hidden_layers", ".block_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"hidden_size", ".embedding_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"intermediate_size", ".feed_forward_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"max_position_embeddings", ".context_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"num_attention_heads", ".attention.head_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"num_key_value_heads", ".attention.head_count_kv", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {"rms_norm_eps", ".attention.layer_norm_rms_epsilon", FOLDER_FLOAT, FOLDER_NUMBER_REQUIRED},
    {"vocab_size", ".vocab_size", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"sliding_window", ".attention.sliding_window", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {0},
};

static const struct folder_number gpt2_numbers[] = {
    {"n_layer", ".block_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"n_embd", ".embedding_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"n_positions", ".context_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"n_head", ".attention.head_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"layer_norm_epsilon", ".attention.layer_norm_epsilon", FOLDER_FLOAT, 1e-5},
    {"vocab_size", ".vocab_size", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {0},
};

static const struct folder_number bert_numbers[] = {
    {"num_hidden_layers", ".block_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"hidden_size", ".embedding_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"intermediate_size", ".feed_forward_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"max_position_embeddings", ".context_length", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"num_attention_heads", ".attention.head_count", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"layer_norm_eps", ".attention.layer_norm_epsilon", FOLDER_FLOAT, 1e-12},
    {"vocab_size", ".vocab_size", FOLDER_COUNT, FOLDER_NUMBER_REQUIRED},
    {"type_vocab_size", "tokenizer.ggml.token_type_count", FOLDER_COUNT, FOLDER_NUMBER_OPTIONAL},
    {0},
};

/* ---- tensors ---- */

static const struct folder_name decoder_tensors[] = {
    {"embed_tokens", "token_embd", FOLDER_AS_IS},
    {"norm", "output_norm", FOLDER_AS_IS},
    {"lm_head", "output", FOLDER_HEAD},
    {"layers.#.input_layernorm", "blk.#.attn_norm", FOLDER_AS_IS},
    {"layers.#.self_attn.q_proj", "blk.#.attn_q", FOLDER_AS_IS},
    {"layers.#.self_attn.k_proj", "blk.#.attn_k", FOLDER_AS_IS},
    {"layers.#.self_attn.v_proj", "blk.#.attn_v", FOLDER_AS_IS},
    {"layers.#.self_attn.qkv_proj", "blk.#.attn_qkv", FOLDER_AS_IS},
    {"layers.#.self_attn.o_proj", "blk.#.attn_output", FOLDER_AS_IS},
    {"layers.#.self_attn.q_norm", "blk.#.attn_q_norm", FOLDER_AS_IS},
    {"layers.#.self_attn.k_norm", "blk.#.attn_k_norm", FOLDER_AS_IS},
    {"layers.#.post_attention_layernorm", "blk.#.ffn_norm", FOLDER_AS_IS},
    {"layers.#.mlp.gate_proj", "blk.#.ffn_gate", FOLDER_AS_IS},
    {"layers.#.mlp.up_proj", "blk.#.ffn_up", FOLDER_AS_IS},
    {"layers.#.mlp.gate_up_proj", "blk.#.ffn_up", FOLDER_AS_IS},
    {"layers.#.mlp.down_proj", "blk.#.ffn_down", FOLDER_AS_IS},
    {0},
};

static const struct folder_name gemma3_tensors[] = {
    {"embed_tokens", "token_embd", FOLDER_AS_IS},
    {"norm", "output_norm", FOLDER_PLUS_ONE},
    {"lm_head", "output", FOLDER_HEAD},
    {"layers.#.input_layernorm", "blk.#.attn_norm", FOLDER_PLUS_ONE},
    {"layers.#.self_attn.q_proj", "blk.#.attn_q", FOLDER_AS_IS},
    {"layers.#.self_attn.k_proj", "blk.#.attn_k", FOLDER_AS_IS},
    {"layers.#.self_attn.v_proj", "blk.#.attn_v", FOLDER_AS_IS},
    {"layers.#.self_attn.o_proj", "blk.#.attn_output", FOLDER_AS_IS},
    {"layers.#.self_attn.q_norm", "blk.#.attn_q_norm", FOLDER_PLUS_ONE},
    {"layers.#.self_attn.k_norm", "blk.#.attn_k_norm", FOLDER_PLUS_ONE},
    {"layers.#.post_attention_layernorm", "blk.#.post_attention_norm", FOLDER_PLUS_ONE},
    {"layers.#.pre_feedforward_layernorm", "blk.#.ffn_norm", FOLDER_PLUS_ONE},
    {"layers.#.mlp.gate_proj", "blk.#.ffn_gate", FOLDER_AS_IS},
    {"layers.#.mlp.up_proj", "blk.#.ffn_up", FOLDER_AS_IS},
    {"layers.#.mlp.down_proj", "blk.#.ffn_down", FOLDER_AS_IS},
    {"layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", FOLDER_PLUS_ONE},
    {0},
};

static const struct folder_name gpt2_tensors[] = {
    {"wte", "token_embd", FOLDER_AS_IS},
    {"wpe", "position_embd", FOLDER_AS_IS},
    {"ln_f", "output_norm", FOLDER_AS_IS},
    {"lm_head", "output", FOLDER_HEAD},
    {"h.#.ln_1", "blk.#.attn_norm", FOLDER_AS_IS},
    {"h.#.attn.c_attn", "blk.#.attn_qkv", FOLDER_TRANSPOSED},
    {"h.#.attn.c_proj", "blk.#.attn_output", FOLDER_TRANSPOSED},
    {"h.#.ln_2", "blk.#.ffn_norm", FOLDER_AS_IS},
    {"h.#.mlp.c_fc", "blk.#.ffn_up", FOLDER_TRANSPOSED},
    {"h.#.mlp.c_proj", "blk.#.ffn_down", FOLDER_TRANSPOSED},
    {0},
};

static const struct folder_name bert_tensors[] = {
    {"embeddings.word_embeddings", "token_embd", FOLDER_AS_IS},
    {"embeddings.position_embeddings", "position_embd", FOLDER_AS_IS},
    {"embeddings.token_type_embeddings", "token_types", FOLDER_AS_IS},
    {"embeddings.LayerNorm", "token_embd_norm", FOLDER_AS_IS},
    {"encoder.layer.#.attention.self.query", "blk.#.attn_q", FOLDER_AS_IS},
    {"encoder.layer.#.attention.self.key", "blk.#.attn_k", FOLDER_AS_IS},
    {"encoder.layer.#.attention.self.value", "blk.#.attn_v", FOLDER_AS_IS},
    {"encoder.layer.#.attention.output.dense", "blk.#.attn_output", FOLDER_AS_IS},
    {"encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm", FOLDER_AS_IS},
    {"encoder.layer.#.intermediate.dense", "blk.#.ffn_up", FOLDER_AS_IS},
    {"encoder.layer.#.output.dense", "blk.#.ffn_down", FOLDER_AS_IS},
    {"encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm", FOLDER_AS_IS},
    {0},
};

/* ---- families ---- */

static const struct folder_family families[] = {
    {"llama", " LlamaForCausalLM LlamaModel MistralForCausalLM MistralModel ", "hidden_act",
     " silu swish ", false, true, true, decoder_numbers, decoder_tensors},
    {"qwen2", " Qwen2ForCausalLM Qwen2Model ", "hidden_act", " silu swish ", false, true, false,
     decoder_numbers, decoder_tensors},
    {"qwen3", " Qwen3ForCausalLM Qwen3Model ", "hidden_act", " silu swish ", false, true, false,
     decoder_numbers, decoder_tensors},
    {"smollm3", " SmolLM3ForCausalLM ", "hidden_act", " silu swish ", true, true, true,
     decoder_numbers, decoder_tensors},
    {"phi3", " Phi3ForCausalLM ", "hidden_act", " silu swish ", false, true, false, phi3_numbers,
     decoder_tensors},
    {"gemma3", " Gemma3ForCausalLM Gemma3TextModel Gemma3ForConditionalGeneration ",
     "hidden_activation", " gelu_pytorch_tanh gelu_new ", true, true, false, gemma3_numbers,
     gemma3_tensors},
    {"gpt2", " GPT2LMHeadModel GPT2Model ", "activation_function", " gelu_new gelu_pytorch_tanh ",
     true, false, false, gpt2_numbers, gpt2_tensors},
    {"bert", " BertModel BertForMaskedLM BertForPreTraining ", "hidden_act", " gelu ", true, false,
     false, bert_numbers, bert_tensors},
};

int folder_family_find(const json_t *config, const struct folder_family **out, struct error *error)
{
    const json_t *classes = json_object_get(config, "architectures");
    const char *name = json_string_value(json_array_get(classes, 0));
    if (!name)
        return error_set(error, ENOEXEC, "config.json: architectures names no class");
    char word[CLASS_BYTES];
    int length = snprintf(word, sizeof word, " %s ", name);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if ((size_t)length < sizeof word && !strchr(name, ' ') &&
            strstr(families[i].classes, word)) {
            *out = &families[i];
            return 0;
        }
    return error_set(error, ENOEXEC, "config.json: architecture \"%.100s\" is not supported", name);
}
