/* folder_config.c - config.json as GGUF keys.
 *
 * Types and ranges are checked here as far as a GGUF could not express a value at all; what the
 * numbers mean to each other is checked where every model's are, in model/config.c.
 */
#include "load/folder_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { LAYERS_MAX = 512, NO_ROPE_INTERVAL = 4 };

/* Put "config.json: " in front of a sentence that only names the key. */
static int explain(int status, const struct error *reason, struct error *error)
{
    return error_set(error, -status, "config.json: %s", reason->text);
}

static int write_number(const json_t *json, const struct folder_number *number,
                        struct folder_keys *keys, struct error *error)
{
    struct error reason = {0};
    int64_t count = (int64_t)number->otherwise;
    double value = number->otherwise;
    int status = number->kind == FOLDER_COUNT
                     ? jsonload_count(json, number->name, 0, INT32_MAX, &count, &reason)
                     : jsonload_number(json, number->name, &value, &reason);
    if (status == -ENOENT && number->otherwise < 0)
        return error_set(error, ENOEXEC, "config.json: %s is missing", number->name);
    if (status == -ENOENT && !(number->otherwise > 0))
        return 0;
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    if (number->kind == FOLDER_COUNT)
        folder_keys_u32(keys, number->key, (uint32_t)count);
    else
        folder_keys_f32(keys, number->key, value);
    return 0;
}

static int check_activation(const struct folder_config *config, struct error *error)
{
    const struct folder_family *family = config->family;
    const char *name = NULL;
    struct error reason = {0};
    int status = jsonload_string(config->json, family->activation_key, &name, &reason);
    if (status == -ENOENT) /* the family's own */
        return 0;
    if (status)
        return explain(status, &reason, error);
    char word[32];
    int length = snprintf(word, sizeof word, " %s ", name);
    if ((size_t)length < sizeof word && strstr(family->activations, word))
        return 0;
    return error_set(error, ENOEXEC, "config.json: %s \"%.100s\" is not supported",
                     family->activation_key, name);
}

/* An option that would be another computation under the same names. */
static int check_bool(const struct folder_config *config, const char *name, bool supported,
                      struct error *error)
{
    struct error reason = {0};
    bool value = supported;
    int status = jsonload_bool(config->json, name, &value, &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    if (value != supported)
        return error_set(error, ENOEXEC, "config.json: %s is %s, which is not supported", name,
                         value ? "true" : "false");
    return 0;
}

static int check_options(const struct folder_config *config, struct error *error)
{
    static const struct {
        const char *name;
        bool supported;
    } options[] = {
        {"use_sliding_window", false},
        {"scale_attn_weights", true},
        {"scale_attn_by_inverse_layer_idx", false},
        {"add_cross_attention", false},
        {"is_decoder", false},
        {"use_bidirectional_attention", false},
    };
    int status = check_activation(config, error);
    for (size_t i = 0; i < sizeof options / sizeof *options && !status; i++)
        status = check_bool(config, options[i].name, options[i].supported, error);
    const char *position = "absolute";
    if (!status) {
        struct error reason = {0};
        status = jsonload_string(config->json, "position_embedding_type", &position, &reason);
        status = status && status != -ENOENT ? explain(status, &reason, error) : 0;
    }
    if (!status && strcmp(position, "absolute") != 0)
        return error_set(error, ENOEXEC,
                         "config.json: position_embedding_type \"%.100s\" is not supported",
                         position);
    return status;
}

/* A feed-forward without a size of its own has four times the width. */
static int write_gpt2(const struct folder_config *config, struct folder_keys *keys,
                      struct error *error)
{
    struct error reason = {0};
    int64_t width = 0, hidden = 0;
    int status = jsonload_count(config->json, "n_embd", 1, INT32_MAX / 4, &width, &reason);
    hidden = 4 * width;
    if (!status) {
        status = jsonload_count(config->json, "n_inner", 1, INT32_MAX, &hidden, &reason);
        status = status == -ENOENT ? 0 : status;
    }
    if (status)
        return explain(status, &reason, error);
    folder_keys_u32(keys, ".feed_forward_length", (uint32_t)hidden);
    return 0;
}

/* Which layers see a window only: a list for each layer, or every nth one that sees everything. */
static int write_window_pattern(const struct folder_config *config, struct folder_keys *keys,
                                struct error *error)
{
    const json_t *types = json_object_get(config->json, "layer_types");
    uint8_t sliding[LAYERS_MAX];
    size_t count = json_array_size(types);
    if (count > LAYERS_MAX)
        return error_set(error, ENOEXEC, "config.json: layer_types has %zu items, more than %d",
                         count, LAYERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        sliding[i] = type && strcmp(type, "sliding_attention") == 0;
        if (!sliding[i] && (!type || strcmp(type, "full_attention") != 0))
            return error_set(error, ENOEXEC,
                             "config.json: layer_types[%zu] is neither sliding_attention nor "
                             "full_attention",
                             i);
    }
    if (count) {
        folder_keys_bools(keys, ".attention.sliding_window_pattern", sliding, count);
        return 0;
    }
    struct error reason = {0};
    int64_t pattern = 6;
    int status =
        jsonload_count(config->json, "_sliding_window_pattern", 1, LAYERS_MAX, &pattern, &reason);
    if (status == -ENOENT)
        status = jsonload_count(config->json, "sliding_window_pattern", 1, LAYERS_MAX, &pattern,
                                &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    folder_keys_u32(keys, ".attention.sliding_window_pattern", (uint32_t)pattern);
    return 0;
}

static int write_gemma3(const struct folder_config *config, struct folder_keys *keys,
                        struct error *error)
{
    struct error reason = {0};
    double scalar = 256;
    int status = jsonload_number(config->json, "query_pre_attn_scalar", &scalar, &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    if (!(scalar > 0))
        return error_set(error, ENOEXEC, "config.json: query_pre_attn_scalar is %g, not above 0",
                         scalar);
    folder_keys_f32(keys, ".attention.scale", 1 / sqrt(scalar));
    return write_window_pattern(config, keys, error);
}

/* The layers without rotation are the family's, not the file's: every fourth one. */
static int check_smollm3(const struct folder_config *config, struct error *error)
{
    const json_t *list = json_object_get(config->json, "no_rope_layers"), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        bool rotated = (i + 1) % NO_ROPE_INTERVAL != 0;
        if (!json_is_integer(item) || json_integer_value(item) != rotated)
            return error_set(error, ENOEXEC,
                             "config.json: no_rope_layers[%zu] is not %d: only every %dth layer "
                             "without rotation is supported",
                             i, rotated, NO_ROPE_INTERVAL);
    }
    return 0;
}

static int write_special(const struct folder_config *config, struct folder_keys *keys,
                         struct error *error)
{
    const char *name = config->family->name;
    if (strcmp(name, "gpt2") == 0)
        return write_gpt2(config, keys, error);
    if (strcmp(name, "gemma3") == 0)
        return write_gemma3(config, keys, error);
    if (strcmp(name, "smollm3") == 0)
        return check_smollm3(config, error);
    if (strcmp(name, "bert") == 0 || json_is_false(json_object_get(config->json, "is_causal")))
        folder_keys_bool(keys, ".attention.causal", false);
    return 0;
}

/* Models that also see keep the language model's numbers in an object of their own, but
 * tie_word_embeddings may stand outside of it. */
static int choose(const json_t *root, struct folder_config *config, struct error *error)
{
    struct error reason = {0};
    config->json = root;
    int status = jsonload_object(root, "text_config", &config->json, &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    config->tied = config->family->tied;
    status = jsonload_bool(root, "tie_word_embeddings", &config->tied, &reason);
    if (status == -ENOENT)
        status = jsonload_bool(config->json, "tie_word_embeddings", &config->tied, &reason);
    return status && status != -ENOENT ? explain(status, &reason, error) : 0;
}

int folder_config_read(const json_t *root, struct folder_config *config, struct folder_keys *keys,
                       struct error *error)
{
    int status = folder_family_find(root, &config->family, error);
    if (!status)
        status = choose(root, config, error);
    if (status)
        return status;
    *keys = folder_keys_new(config->family->name);
    folder_keys_string(keys, "general.architecture", config->family->name);
    const struct folder_number *number = config->family->numbers;
    for (; number->name && !status; number++)
        status = write_number(config->json, number, keys, error);
    if (!status)
        status = check_options(config, error);
    if (!status && config->family->rotated)
        status = folder_rope_keys(config, keys, error);
    if (!status)
        status = write_special(config, keys, error);
    return status;
}
