/* seed_safetensors.c - writes the files that fuzz_safetensors.c starts from into the folder that is
 * its argument: for each of its configurations a good file with a tensor of each kind, and
 * configurations of its own with every scaling of the rotation. */
#include "tests/lib/safetensors_writer.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[][4] = {
    {"model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "lm_head.weight", "x"},
    {"model.layers.0.self_attn.k_proj.bias", "norm.weight", "embed_tokens.weight", "x"},
    {"layers.0.self_attn.q_norm.weight", "model.norm.weight", "lm_head.weight", "x"},
    {"model.layers.0.pre_feedforward_layernorm.weight", "model.norm.weight", "x", "y"},
    {"model.layers.0.mlp.gate_up_proj.weight", "model.norm.weight", "x", "y"},
    {"bert.embeddings.LayerNorm.gamma", "embeddings.token_type_embeddings.weight", "x", "y"},
    {"h.0.attn.c_attn.weight", "transformer.ln_f.bias", "wpe.weight", "h.0.attn.bias"},
};

static const char *const scalings[] = {
    "{\"type\":\"linear\",\"factor\":2}",
    "{\"rope_type\":\"yarn\",\"factor\":4.0,\"beta_fast\":32,\"attention_factor\":1.5}",
    "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4}",
    "{\"type\":\"longrope\",\"short_factor\":[1,1],\"long_factor\":[2,2]}",
    "{\"full_attention\":{\"rope_theta\":1e6},\"sliding_attention\":{\"rope_theta\":1e4}}",
};

static void write_seed(const char *folder, const char *name, unsigned chosen, const char *text,
                       const char *const tensors[4])
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file)
        abort();
    struct safetensors_writer writer = safetensors_writer_new();
    static const char *const dtypes[] = {"F32", "BF16", "F16", "F32"};
    for (size_t i = 0; i < 4; i++)
        safetensors_writer_tensor(&writer, tensors[i], dtypes[i], i % 3, 2);
    size_t bytes, length = strlen(text);
    uint8_t *data = safetensors_writer_finish(&writer, &bytes);
    safetensors_writer_free(&writer);
    fputc((int)chosen, file);
    fputc((int)(length & 255), file);
    fputc((int)(length >> 8), file);
    fwrite(text, 1, length, file);
    fwrite(data, 1, bytes, file);
    free(data);
    if (fclose(file))
        abort();
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    char name[32], text[1024];
    for (unsigned i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "family-%u", i);
        write_seed(arguments[1], name, i, "", names[i]);
    }
    write_seed(arguments[1], "pooling", 5, "{\"pooling_mode_mean_tokens\":true}", names[5]);
    write_seed(arguments[1], "modules", 5 + 8,
               "[{\"type\":\"x.Pooling\"},{\"type\":\"Normalize\"}]", names[5]);
    for (unsigned i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "rope-%u", i);
        snprintf(text, sizeof text,
                 "{\"architectures\":[\"%sForCausalLM\"],\"num_hidden_layers\":1,"
                 "\"hidden_size\":16,\"intermediate_size\":8,\"vocab_size\":9,"
                 "\"max_position_embeddings\":16,\"num_attention_heads\":4,\"head_dim\":4,"
                 "\"rms_norm_eps\":1e-6,\"tie_word_embeddings\":true,"
                 "\"layer_types\":[\"full_attention\"],\"rope_parameters\":%s}",
                 i == 4 ? "Gemma3" : "Phi3", scalings[i]);
        write_seed(arguments[1], name, 7, text, names[0]);
    }
    return 0;
}
