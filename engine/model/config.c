/* config.c - see config.h. */
#include "model/config.h"

#include "load/gguf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum { KEY_BYTES = 128 };

static const struct family families[] = {
    {.name = "llama", .rope_interleaved = true},
};

/* The key `name` of a family, "llama.block_count". */
struct key {
    char text[KEY_BYTES];
};

static struct key key_of(const struct family *family, const char *name)
{
    struct key key;
    snprintf(key.text, sizeof key.text, "%s.%s", family->name, name);
    return key;
}

static int find_family(const struct gguf *gguf, const struct family **out, struct error *error)
{
    struct text name = {0};
    int status = gguf_get_string(gguf, "general.architecture", &name, error);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "general.architecture is missing");
    if (status)
        return status;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (text_is(name, families[i].name)) {
            *out = &families[i];
            return 0;
        }
    return error_set(error, ENOEXEC, "architecture \"%.*s\" is not supported",
                     TEXT_ARGUMENTS(name));
}

/* An integer in [minimum, maximum]; `otherwise` stands for a missing key unless it is 0. */
static int read_count(const struct gguf *gguf, const struct family *family, const char *name,
                      int32_t otherwise, int32_t minimum, int32_t maximum, int32_t *out,
                      struct error *error)
{
    struct key key = key_of(family, name);
    uint32_t value = (uint32_t)otherwise;
    int status = gguf_get_u32(gguf, key.text, &value, error);
    if (status == -ENOENT && otherwise == 0)
        return error_set(error, ENOEXEC, "%s is missing", key.text);
    if (status && status != -ENOENT)
        return status;
    if (value < (uint32_t)minimum || value > (uint32_t)maximum)
        return error_set(error, ENOEXEC, "%s is %u, not %d to %d", key.text, value, minimum,
                         maximum);
    *out = (int32_t)value;
    return 0;
}

/* A finite number above 0; `otherwise` stands for a missing key unless it is 0. */
static int read_positive(const struct gguf *gguf, const struct family *family, const char *name,
                         float otherwise, float *out, struct error *error)
{
    struct key key = key_of(family, name);
    float value = otherwise;
    int status = gguf_get_f32(gguf, key.text, &value, error);
    if (status == -ENOENT && !(otherwise > 0))
        return error_set(error, ENOEXEC, "%s is missing", key.text);
    if (status && status != -ENOENT)
        return status;
    if (!isfinite(value) || value <= 0)
        return error_set(error, ENOEXEC, "%s is %g, not a finite number above 0", key.text,
                         (double)value);
    *out = value;
    return 0;
}

static int read_sizes(const struct gguf *gguf, struct model_config *config, struct error *error)
{
    const struct family *family = config->family;
    int status =
        read_count(gguf, family, "block_count", 0, 1, CONFIG_LAYERS_MAX, &config->layers, error);
    if (!status)
        status = read_count(gguf, family, "embedding_length", 0, 1, CONFIG_WIDTH_MAX,
                            &config->width, error);
    if (!status)
        status = read_count(gguf, family, "feed_forward_length", 0, 1, CONFIG_HIDDEN_MAX,
                            &config->hidden, error);
    if (!status)
        status = read_count(gguf, family, "context_length", 0, 1, CONFIG_CONTEXT_MAX,
                            &config->context, error);
    return status;
}

static int read_heads(const struct gguf *gguf, struct model_config *config, struct error *error)
{
    const struct family *family = config->family;
    int status = read_count(gguf, family, "attention.head_count", 0, 1, CONFIG_HEADS_MAX,
                            &config->heads, error);
    if (!status)
        status = read_count(gguf, family, "attention.head_count_kv", config->heads, 1,
                            CONFIG_HEADS_MAX, &config->kv_heads, error);
    if (status)
        return status;
    if (config->heads % config->kv_heads)
        return error_set(error, ENOEXEC,
                         "%s.attention.head_count_kv is %d, which does not divide "
                         "the %d heads",
                         family->name, config->kv_heads, config->heads);

    int32_t usual = config->width / config->heads;
    int32_t value_size;
    status = read_count(gguf, family, "attention.key_length", usual ? usual : 1, 1,
                        CONFIG_HEAD_SIZE_MAX, &config->head_size, error);
    if (status)
        return status;
    if (config->head_size % CONFIG_HEAD_SIZE_MULTIPLE)
        return error_set(error, ENOEXEC, "%s.attention.key_length is %d, not a multiple of %d",
                         family->name, config->head_size, CONFIG_HEAD_SIZE_MULTIPLE);
    status = read_count(gguf, family, "attention.value_length", config->head_size, 1,
                        CONFIG_HEAD_SIZE_MAX, &value_size, error);
    if (!status && value_size != config->head_size)
        return error_set(error, ENOEXEC, "%s.attention.value_length is %d, not key_length %d",
                         family->name, value_size, config->head_size);
    return status;
}

/* Only "none" and "linear" leave the angles a plain product of position and frequency. */
static int read_rope_scaling(const struct gguf *gguf, struct model_config *config,
                             struct error *error)
{
    const struct family *family = config->family;
    struct key type_key = key_of(family, "rope.scaling.type");
    struct text type = text_of("linear");
    int status = gguf_get_string(gguf, type_key.text, &type, error);
    if (status && status != -ENOENT)
        return status;
    config->rope_factor = 1;
    if (text_is(type, "none"))
        return 0;
    if (!text_is(type, "linear"))
        return error_set(error, ENOEXEC, "%s \"%.*s\" is not supported", type_key.text,
                         TEXT_ARGUMENTS(type));

    struct key factor_key = key_of(family, "rope.scaling.factor");
    if (!gguf_find(gguf, factor_key.text))
        factor_key = key_of(family, "rope.scale_linear"); /* the name in older files */
    float factor = 1;
    status = gguf_get_f32(gguf, factor_key.text, &factor, error);
    if (status && status != -ENOENT)
        return status;
    if (!isfinite(factor) || factor < 0)
        return error_set(error, ENOEXEC, "%s is %g, not a finite number of at least 0",
                         factor_key.text, (double)factor);
    if (factor > 0) /* converters write 0 for "no scaling" */
        config->rope_factor = factor;
    return 0;
}

static int read_rope(const struct gguf *gguf, struct model_config *config, struct error *error)
{
    const struct family *family = config->family;
    int32_t rotated;
    int status = read_count(gguf, family, "rope.dimension_count", config->head_size, 1,
                            CONFIG_HEAD_SIZE_MAX, &rotated, error);
    if (status)
        return status;
    if (rotated != config->head_size)
        return error_set(error, ENOEXEC, "%s.rope.dimension_count is %d, not the head size %d",
                         family->name, rotated, config->head_size);
    status = read_positive(gguf, family, "rope.freq_base", 10000, &config->rope_base, error);
    return status ? status : read_rope_scaling(gguf, config, error);
}

/* The tokenizer's list counts; files whose tokenizer is elsewhere name the size. */
static int read_vocabulary(const struct gguf *gguf, struct model_config *config,
                           struct error *error)
{
    const char *name = "tokenizer.ggml.tokens";
    const struct gguf_value *tokens;
    int status = gguf_get_array(gguf, name, GGUF_STRING, &tokens, error);
    if (status == -ENOENT)
        return read_count(gguf, config->family, "vocab_size", 0, 1, CONFIG_VOCABULARY_MAX,
                          &config->vocabulary, error);
    if (status)
        return status;
    if (tokens->count < 1 || tokens->count > CONFIG_VOCABULARY_MAX)
        return error_set(error, ENOEXEC, "%s has %llu items, not 1 to %d", name,
                         (unsigned long long)tokens->count, CONFIG_VOCABULARY_MAX);
    config->vocabulary = (int32_t)tokens->count;
    return 0;
}

/* A router in front of several feed-forwards is another computation under the same name. */
static int refuse_experts(const struct gguf *gguf, const struct family *family, struct error *error)
{
    struct key key = key_of(family, "expert_count");
    uint32_t experts = 0;
    int status = gguf_get_u32(gguf, key.text, &experts, error);
    if (status && status != -ENOENT)
        return status;
    if (experts)
        return error_set(error, ENOEXEC, "%s is %u: mixtures of experts are not supported",
                         key.text, experts);
    return 0;
}

int config_read(const struct gguf *gguf, struct model_config *out, struct error *error)
{
    struct model_config config = {0};
    int status = find_family(gguf, &config.family, error);
    if (!status)
        status = refuse_experts(gguf, config.family, error);
    if (!status)
        status = read_sizes(gguf, &config, error);
    if (!status)
        status = read_heads(gguf, &config, error);
    if (!status)
        status = read_rope(gguf, &config, error);
    if (!status)
        status = read_vocabulary(gguf, &config, error);
    if (!status)
        status = read_positive(gguf, config.family, "attention.layer_norm_rms_epsilon", 0,
                               &config.epsilon, error);
    if (!status)
        *out = config;
    return status;
}
