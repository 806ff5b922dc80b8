/* folder_rope.c - how positions turn queries and keys: "rope_parameters" (older: "rope_scaling" and
 * "rope_theta") as GGUF keys and tensors.
 *
 *     linear    angles divided by "factor"
 *     yarn      the keys rope.scaling.yarn_*
 *     llama3    a divisor for each frequency, made here: the tensor rope_freqs.weight
 *     longrope  divisors listed in the file: rope_factors_short.weight, rope_factors_long.weight
 *     dynamic   none: it begins beyond max_position_embeddings, and no context is longer than that
 *
 * Source: modeling_rope_utils of transformers; the formula of llama3 is Meta's: a wavelength longer
 * than original / low turns `factor` times slower, one shorter than original / high as it is, and
 * between them the two are mixed linearly in original / wavelength.
 */
#include "load/folder_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

enum { HEAD_SIZE_MAX = 4096, POSITIONS_MAX = 1 << 24 };

struct rope {
    const json_t *json;       /* config.json */
    const json_t *parameters; /* or NULL */
    const json_t *local;      /* those of layers with a window, or NULL */
    const char *type;
    double base;
    int64_t head_size;
    int64_t rotated; /* numbers of a head */
};

static int explain(int status, const struct error *reason, struct error *error)
{
    return error_set(error, -status, "config.json: rope: %s", reason->text);
}

/* A number above 0 that may stand in the parameters or beside them; *out stays where it is in
 * neither. */
static int read_positive(const json_t *inner, const json_t *outer, const char *key, double *out,
                         struct error *error)
{
    struct error reason = {0};
    int status = inner ? jsonload_number(inner, key, out, &reason) : -ENOENT;
    if (status == -ENOENT && outer)
        status = jsonload_number(outer, key, out, &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    if (!status && !((float)*out > 0))
        return error_set(error, ENOEXEC, "config.json: rope: %s is %g, not above 0", key, *out);
    return 0;
}

static int find_parameters(const json_t *json, struct rope *rope, struct error *error)
{
    struct error reason = {0};
    int status = jsonload_object(json, "rope_parameters", &rope->parameters, &reason);
    if (status == -ENOENT)
        status = jsonload_object(json, "rope_scaling", &rope->parameters, &reason);
    if (!status) {
        status = jsonload_object(rope->parameters, "sliding_attention", &rope->local, &reason);
        if (!status || status == -ENOENT)
            status =
                jsonload_object(rope->parameters, "full_attention", &rope->parameters, &reason);
    }
    rope->type = "default";
    if (rope->parameters && (!status || status == -ENOENT)) {
        status = jsonload_string(rope->parameters, "rope_type", &rope->type, &reason);
        if (status == -ENOENT)
            status = jsonload_string(rope->parameters, "type", &rope->type, &reason);
    }
    return status && status != -ENOENT ? explain(status, &reason, error) : 0;
}

static int find_sizes(const struct folder_config *config, struct rope *rope, struct error *error)
{
    struct error reason = {0};
    int64_t width = 0, heads = 0;
    int status =
        jsonload_count(rope->json, "head_dim", 1, HEAD_SIZE_MAX, &rope->head_size, &reason);
    if (status == -ENOENT && strcmp(config->family->name, "gemma3") == 0) {
        rope->head_size = 256;
        status = 0;
    }
    if (status == -ENOENT) {
        status = jsonload_count(rope->json, "hidden_size", 1, INT32_MAX, &width, &reason);
        if (!status)
            status =
                jsonload_count(rope->json, "num_attention_heads", 1, INT32_MAX, &heads, &reason);
        if (status == -ENOENT)
            return error_set(error, ENOEXEC,
                             "config.json: hidden_size or num_attention_heads is missing");
        rope->head_size = status ? 0 : width / heads;
    }
    if (status)
        return explain(status, &reason, error);
    if (rope->head_size < 1 || rope->head_size > HEAD_SIZE_MAX)
        return error_set(error, ENOEXEC, "config.json: heads have %" PRId64 " numbers, not 1 to %d",
                         rope->head_size, HEAD_SIZE_MAX);
    double share = 1;
    status = read_positive(rope->parameters, rope->json, "partial_rotary_factor", &share, error);
    if (!status && share > 1)
        return error_set(error, ENOEXEC, "config.json: rope: partial_rotary_factor is %g, above 1",
                         share);
    rope->rotated = (int64_t)((double)rope->head_size * share);
    return status;
}

static int read_rope(const struct folder_config *config, struct rope *rope, struct error *error)
{
    *rope = (struct rope){.json = config->json};
    rope->base = strcmp(config->family->name, "gemma3") == 0 ? 1e6 : 1e4;
    int status = find_parameters(config->json, rope, error);
    if (!status)
        status = read_positive(rope->parameters, rope->json, "rope_theta", &rope->base, error);
    return status ? status : find_sizes(config, rope, error);
}

/* Positions before the context was extended; the model's own number where nothing says. */
static int read_original(const struct rope *rope, int64_t *out, struct error *error)
{
    const char *key = "original_max_position_embeddings";
    struct error reason = {0};
    int status = jsonload_count(rope->parameters, key, 1, POSITIONS_MAX, out, &reason);
    if (status == -ENOENT)
        status = jsonload_count(rope->json, key, 1, POSITIONS_MAX, out, &reason);
    if (status == -ENOENT)
        status =
            jsonload_count(rope->json, "max_position_embeddings", 1, POSITIONS_MAX, out, &reason);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "config.json: max_position_embeddings is missing");
    return status ? explain(status, &reason, error) : 0;
}

/* ---- keys ---- */

static int write_linear(const struct rope *rope, struct folder_keys *keys, struct error *error)
{
    double factor = 1;
    int status = read_positive(rope->parameters, NULL, "factor", &factor, error);
    folder_keys_string(keys, ".rope.scaling.type", "linear");
    folder_keys_f32(keys, ".rope.scaling.factor", factor);
    return status;
}

static int write_yarn(const struct rope *rope, struct folder_keys *keys, struct error *error)
{
    double factor = 1, fast = 32, slow = 1, whole = 0;
    int64_t original = 0;
    int status = read_original(rope, &original, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "factor", &factor, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "beta_fast", &fast, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "beta_slow", &slow, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "attention_factor", &whole, error);
    if (status)
        return status;
    if (json_object_get(rope->parameters, "mscale") ||
        json_is_false(json_object_get(rope->parameters, "truncate")))
        return error_set(
            error, ENOEXEC,
            "config.json: rope: yarn with mscale or without truncate is not supported");
    folder_keys_string(keys, ".rope.scaling.type", "yarn");
    folder_keys_f32(keys, ".rope.scaling.factor", factor);
    folder_keys_u32(keys, ".rope.scaling.original_context_length", (uint32_t)original);
    folder_keys_f32(keys, ".rope.scaling.yarn_beta_fast", fast);
    folder_keys_f32(keys, ".rope.scaling.yarn_beta_slow", slow);
    if (whole > 0)
        folder_keys_f32(keys, ".rope.scaling.yarn_attn_factor", whole);
    return 0;
}

static int write_longrope(const struct rope *rope, struct folder_keys *keys, struct error *error)
{
    struct error reason = {0};
    int64_t original = 0, context = 0;
    double whole = 1;
    int status = read_original(rope, &original, error);
    if (status)
        return status;
    status =
        jsonload_count(rope->json, "max_position_embeddings", 1, POSITIONS_MAX, &context, &reason);
    if (status && status != -ENOENT)
        return explain(status, &reason, error);
    double scale = (double)context / (double)original;
    if (scale > 1 && original > 1)
        whole = sqrt(1 + log(scale) / log((double)original));
    status = read_positive(rope->parameters, NULL, "attention_factor", &whole, error);
    folder_keys_string(keys, ".rope.scaling.type", "longrope");
    folder_keys_u32(keys, ".rope.scaling.original_context_length", (uint32_t)original);
    folder_keys_f32(keys, ".rope.scaling.attn_factor", whole);
    return status;
}

static int write_scaling(const struct rope *rope, struct folder_keys *keys, struct error *error)
{
    if (strcmp(rope->type, "linear") == 0)
        return write_linear(rope, keys, error);
    if (strcmp(rope->type, "yarn") == 0)
        return write_yarn(rope, keys, error);
    if (strcmp(rope->type, "longrope") == 0 || strcmp(rope->type, "su") == 0)
        return write_longrope(rope, keys, error);
    if (strcmp(rope->type, "default") == 0 || strcmp(rope->type, "dynamic") == 0 ||
        strcmp(rope->type, "llama3") == 0) {
        folder_keys_string(keys, ".rope.scaling.type", "none");
        return 0;
    }
    return error_set(error, ENOEXEC, "config.json: rope type \"%.100s\" is not supported",
                     rope->type);
}

/* Gemma's layers with a window turn by a base of their own. */
static int write_local(const struct rope *rope, struct folder_keys *keys, struct error *error)
{
    double base = 1e4;
    int status = read_positive(rope->json, NULL, "rope_local_base_freq", &base, error);
    if (!status)
        status = read_positive(rope->local, NULL, "rope_theta", &base, error);
    folder_keys_f32(keys, ".rope.freq_base_swa", base);
    return status;
}

int folder_rope_keys(const struct folder_config *config, struct folder_keys *keys,
                     struct error *error)
{
    struct rope rope;
    int status = read_rope(config, &rope, error);
    if (status)
        return status;
    folder_keys_f32(keys, ".rope.freq_base", rope.base);
    if (rope.rotated != rope.head_size)
        folder_keys_u32(keys, ".rope.dimension_count", (uint32_t)rope.rotated);
    if (config->family->halves)
        folder_keys_bool(keys, "inferfs.rope.halves", true);
    if (strcmp(config->family->name, "gemma3") == 0)
        status = write_local(&rope, keys, error);
    return status ? status : write_scaling(&rope, keys, error);
}

/* ---- tensors ---- */

static int add_vector(struct gguf *gguf, const char *name, size_t count, float **out,
                      struct error *error)
{
    float *vector = gguf_build_vector(gguf, count);
    if (!vector)
        return error_set(error, ENOMEM, "no memory for %s", name);
    struct tensor tensor = {.type = TENSOR_F32,
                            .dimensions = 1,
                            .shape = {count, 1, 1, 1},
                            .data = (const uint8_t *)vector,
                            .bytes = count * sizeof(float)};
    memcpy(tensor.name, name, strlen(name) + 1);
    *out = vector;
    return gguf_build_tensors(gguf, &tensor, 1, error);
}

static int add_llama3(const struct rope *rope, struct gguf *gguf, struct error *error)
{
    double factor = 8, low = 1, high = 4, original = 8192;
    float *divisors;
    int status = read_positive(rope->parameters, NULL, "factor", &factor, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "low_freq_factor", &low, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "high_freq_factor", &high, error);
    if (!status)
        status = read_positive(rope->parameters, NULL, "original_max_position_embeddings",
                               &original, error);
    if (!status && high <= low)
        status = error_set(
            error, ENOEXEC,
            "config.json: rope: high_freq_factor is %g, not above low_freq_factor %g", high, low);
    size_t pairs = (size_t)rope->rotated / 2;
    if (!status)
        status = add_vector(gguf, "rope_freqs.weight", pairs, &divisors, error);
    for (size_t i = 0; i < pairs && !status; i++) {
        double wavelength = 2 * M_PI * pow(rope->base, 2 * (double)i / (double)rope->rotated);
        double share = (original / wavelength - low) / (high - low); /* of the frequency as it is */
        share = share < 0 ? 0 : share > 1 ? 1 : share;
        divisors[i] = (float)(1 / ((1 - share) / factor + share));
    }
    return status;
}

static int add_list(const struct rope *rope, const char *key, const char *name, struct gguf *gguf,
                    struct error *error)
{
    const json_t *list = json_object_get(rope->parameters, key);
    size_t pairs = (size_t)rope->rotated / 2;
    float *divisors;
    if (json_array_size(list) != pairs)
        return error_set(error, ENOEXEC, "config.json: rope: %s has %zu items, not %zu", key,
                         json_array_size(list), pairs);
    int status = add_vector(gguf, name, pairs, &divisors, error);
    for (size_t i = 0; i < pairs && !status; i++) {
        const json_t *item = json_array_get(list, i);
        divisors[i] = (float)json_number_value(item); /* 0 for what is no number */
        if (!isfinite(divisors[i]) || divisors[i] <= 0)
            status = error_set(error, ENOEXEC,
                               "config.json: rope: %s[%zu] is not a finite number above 0", key, i);
    }
    return status;
}

int folder_rope_tensors(const struct folder_config *config, struct gguf *gguf, struct error *error)
{
    struct rope rope;
    int status = read_rope(config, &rope, error);
    if (status)
        return status;
    if (strcmp(rope.type, "llama3") == 0)
        return add_llama3(&rope, gguf, error);
    if (strcmp(rope.type, "longrope") != 0 && strcmp(rope.type, "su") != 0)
        return 0;
    status = add_list(&rope, "long_factor", "rope_factors_long.weight", gguf, error);
    return status ? status
                  : add_list(&rope, "short_factor", "rope_factors_short.weight", gguf, error);
}
