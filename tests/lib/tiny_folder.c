/* tiny_folder.c - see tiny_folder.h. */
#include "tests/lib/tiny_folder.h"

#include "tests/lib/safetensors_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 64, ALONE = 26, MERGING = 36, JSON_BYTES_MAX = 64 << 20 };

static void save(const char *directory, const char *name, const void *bytes, size_t length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file))
        abort();
}

static void save_config(const char *directory, int rows)
{
    char config[512];
    int length = snprintf(config, sizeof config,
                          "{\"architectures\":[\"Qwen2ForCausalLM\"],\"num_hidden_layers\":1,"
                          "\"hidden_size\":%d,\"intermediate_size\":%d,\"num_attention_heads\":4,"
                          "\"max_position_embeddings\":256,\"rms_norm_eps\":1e-06,"
                          "\"tie_word_embeddings\":true,\"vocab_size\":%d}",
                          WIDTH, WIDTH, rows);
    save(directory, "config.json", config, (size_t)length);
}

static void save_weights(const char *directory, int rows)
{
    static const char *const matrices[] = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
    static const char *const norms[] = {"norm", "layers.0.input_layernorm",
                                        "layers.0.post_attention_layernorm"};
    char name[64];
    size_t length;
    struct safetensors_writer writer = safetensors_writer_new();
    safetensors_writer_tensor(&writer, "model.embed_tokens.weight", "F32", (uint64_t)rows, WIDTH);
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        snprintf(name, sizeof name, "model.%s.weight", norms[i]);
        safetensors_writer_tensor(&writer, name, "F32", 0, WIDTH);
    }
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        snprintf(name, sizeof name, "model.layers.0.%s.weight", matrices[i]);
        safetensors_writer_tensor(&writer, name, "F32", WIDTH, WIDTH);
    }
    uint8_t *bytes = safetensors_writer_finish(&writer, &length);
    safetensors_writer_free(&writer);
    save(directory, "model.safetensors", bytes, length);
    free(bytes);
}

/* The string of a token: its letters, the last one first in its number. */
static void spell(int token, char out[4])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    int length = 1, number = token - ALONE;
    for (int count = MERGING; number >= count; count *= MERGING, length++)
        number -= count;
    memset(out, 0, 4);
    if (token < ALONE)
        out[0] = (char)('a' + token);
    for (int i = length - 1; token >= ALONE && i >= 0; i--, number /= MERGING)
        out[i] = letters[number % MERGING];
}

static void save_tokenizer(const char *directory, int tokens)
{
    struct buffer json = buffer_new(JSON_BYTES_MAX);
    char token[4];
    int status = buffer_printf(
        &json, "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
               "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int id = 0; id < tokens; id++) {
        spell(id, token);
        status |= buffer_printf(&json, "%s\"%s\":%d", id ? "," : "", token, id);
    }
    status |= buffer_printf(&json, "},\"merges\":[");
    for (int id = ALONE + MERGING; id < tokens; id++) {
        spell(id, token);
        int last = (int)strlen(token) - 1;
        status |= buffer_printf(&json, "%s\"%.*s %s\"", id > ALONE + MERGING ? "," : "", last,
                                token, token + last);
    }
    if (status | buffer_printf(&json, "]}}"))
        abort();
    save(directory, "tokenizer.json", json.bytes, json.length);
    buffer_free(&json);
}

void tiny_folder_save(const char *directory, int rows, int tokens)
{
    save_config(directory, rows);
    save_weights(directory, rows);
    save_tokenizer(directory, tokens);
}

void tiny_folder_remove(const char *directory)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[256];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}
