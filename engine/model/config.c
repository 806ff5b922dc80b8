/* config.c - see config.h. */
#include "model/config.h"

#include "load/gguf.h"
#include "model/config_keys.h"

#include <errno.h>
#include <math.h>

static int find_family(const struct gguf *gguf, const struct family **out, struct error *error)
{
    struct text name = {0};
    int status = gguf_get_string(gguf, "general.architecture", &name, error);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "general.architecture is missing");
    if (status)
        return status;
    *out = family_find(name);
    if (!*out)
        return error_set(error, ENOEXEC, "architecture \"%.*s\" is not supported",
                         TEXT_ARGUMENTS(name));
    return 0;
}

static int read_sizes(const struct config_keys *keys, struct model_config *config)
{
    int status = config_count(keys, "block_count", 0, 1, CONFIG_LAYERS_MAX, &config->layers);
    if (!status)
        status = config_count(keys, "embedding_length", 0, 1, CONFIG_WIDTH_MAX, &config->width);
    if (!status)
        status = config_count(keys, "context_length", 0, 1, CONFIG_CONTEXT_MAX, &config->context);
    return status;
}

static int read_heads(const struct config_keys *keys, struct model_config *config)
{
    int status = config_count(keys, "attention.head_count", 0, 1, CONFIG_HEADS_MAX, &config->heads);
    if (!status)
        status = config_count(keys, "attention.head_count_kv", config->heads, 1, CONFIG_HEADS_MAX,
                              &config->kv_heads);
    if (status)
        return status;
    if (config->heads % config->kv_heads)
        return error_set(keys->error, ENOEXEC,
                         "%s.attention.head_count_kv is %d, which does not divide the %d heads",
                         keys->prefix, config->kv_heads, config->heads);

    int32_t usual = config->width / config->heads;
    int32_t value_size;
    status = config_count(keys, "attention.key_length", usual ? usual : 1, 1, CONFIG_HEAD_SIZE_MAX,
                          &config->head_size);
    if (status)
        return status;
    if (config->head_size % CONFIG_HEAD_SIZE_MULTIPLE)
        return error_set(keys->error, ENOEXEC,
                         "%s.attention.key_length is %d, not a multiple of %d", keys->prefix,
                         config->head_size, CONFIG_HEAD_SIZE_MULTIPLE);
    status = config_count(keys, "attention.value_length", config->head_size, 1,
                          CONFIG_HEAD_SIZE_MAX, &value_size);
    if (!status && value_size != config->head_size)
        return error_set(keys->error, ENOEXEC, "%s.attention.value_length is %d, not key_length %d",
                         keys->prefix, value_size, config->head_size);
    return status;
}

/* The feed-forward, or a router in front of several. */
static int read_hidden(const struct config_keys *keys, struct model_config *config)
{
    const enum family_experts experts = config->family->experts;
    int status =
        config_optional_count(keys, "expert_count", 0, CONFIG_EXPERTS_MAX, &config->experts);
    if (status)
        return status;
    if (config->experts && experts == FAMILY_NO_EXPERTS)
        return error_set(keys->error, ENOEXEC,
                         "%s.expert_count is %d: a mixture of experts of this architecture is not "
                         "supported",
                         keys->prefix, config->experts);
    if (!config->experts && experts == FAMILY_ROUTES)
        return error_set(keys->error, ENOEXEC, "%s.expert_count is missing or 0", keys->prefix);
    if (!config->experts || !config_has(keys, "expert_feed_forward_length"))
        status =
            config_count(keys, "feed_forward_length", 0, 1, CONFIG_HIDDEN_MAX, &config->hidden);
    if (status || !config->experts)
        return status;
    int32_t most =
        config->experts < CONFIG_EXPERTS_USED_MAX ? config->experts : CONFIG_EXPERTS_USED_MAX;
    status = config_count(keys, "expert_used_count", 0, 1, most, &config->experts_used);
    if (!status)
        status = config_count(keys, "expert_feed_forward_length", config->hidden, 1,
                              CONFIG_HIDDEN_MAX, &config->hidden);
    if (!status)
        status = config_bool(keys, "expert_weights_norm", true, &config->expert_weights_sum_1);
    if (!status)
        status = config_positive(keys, "expert_weights_scale", 1, &config->expert_weights_scale);
    return status;
}

/* Which layers have a window: a list, or the period of those that have none. */
static int read_window_layers(const struct config_keys *keys, struct model_config *config)
{
    const struct config_key key = config_key(keys, "attention.sliding_window_pattern");
    const struct gguf_value *value = gguf_find(keys->gguf, key.text);
    if (value && value->type == GGUF_ARRAY) {
        const struct gguf_value *list;
        int status = gguf_get_array(keys->gguf, key.text, GGUF_BOOL, &list, keys->error);
        if (status)
            return status;
        if (list->count != (uint64_t)config->layers)
            return error_set(keys->error, ENOEXEC, "%s has %llu items for %d layers", key.text,
                             (unsigned long long)list->count, config->layers);
        for (int32_t i = 0; i < config->layers; i++)
            config->windowed[i] = list->data[i] != 0;
        return 0;
    }
    int32_t period;
    int status = config_optional_count(keys, "attention.sliding_window_pattern",
                                       config->family->window_period, CONFIG_LAYERS_MAX, &period);
    for (int32_t i = 0; !status && i < config->layers; i++)
        config->windowed[i] = period == 0 || i % period < period - 1;
    return status;
}

static int read_attention(const struct config_keys *keys, struct model_config *config)
{
    const struct family *family = config->family;
    int status = 0, size = config->head_size;
    if (family->windows)
        status = config_optional_count(keys, "attention.sliding_window", family->window, INT32_MAX,
                                       &config->window);
    if (!status && config->window)
        status = read_window_layers(keys, config);
    if (family->wide_layers == config->layers)
        size = config->width / config->heads; /* 0 gives a scale that is refused below */
    if (!status)
        status = config_positive(keys, "attention.scale", 1 / sqrtf((float)size),
                                 &config->attention_scale);
    if (!status)
        status = config_optional(keys, "attn_logit_softcapping", 0, &config->attention_softcap);
    if (!status)
        status = config_optional(keys, "final_logit_softcapping", 0, &config->logit_softcap);
    if (!status)
        status = config_bool(keys, "attention.causal", !family->encoder, &config->causal);
    if (!status && config->causal == family->encoder)
        return error_set(keys->error, ENOEXEC, "%s.attention.causal is %s, which is not supported",
                         keys->prefix, config->causal ? "true" : "false");
    return status;
}

/* The tokenizer's list counts; files whose tokenizer is elsewhere name the size. */
static int read_vocabulary(const struct config_keys *keys, struct model_config *config)
{
    const char *name = "tokenizer.ggml.tokens";
    const struct gguf_value *tokens;
    int status = gguf_get_array(keys->gguf, name, GGUF_STRING, &tokens, keys->error);
    if (status == -ENOENT)
        return config_count(keys, "vocab_size", 0, 1, CONFIG_VOCABULARY_MAX, &config->vocabulary);
    if (status)
        return status;
    if (tokens->count < 1 || tokens->count > CONFIG_VOCABULARY_MAX)
        return error_set(keys->error, ENOEXEC, "%s has %llu items, not 1 to %d", name,
                         (unsigned long long)tokens->count, CONFIG_VOCABULARY_MAX);
    config->vocabulary = (int32_t)tokens->count;
    return 0;
}

/* How a text's vector is made, and how much of a text: sentence encoders are used with shorter
 * texts than their positions would allow. */
static int read_embedding(const struct config_keys *keys, struct model_config *config)
{
    const char *name = "inferfs.embedding.tokens_max";
    int32_t pooling;
    uint32_t tokens = 0;
    int status = config_optional_count(keys, "pooling_type", CONFIG_POOLING_NONE,
                                       CONFIG_POOLING_RANK, &pooling);
    if (status)
        return status;
    if (pooling == CONFIG_POOLING_RANK)
        return error_set(keys->error, ENOEXEC,
                         "%s.pooling_type is %d: a model that scores pairs of texts is not "
                         "supported",
                         keys->prefix, pooling);
    config->pooling = (enum config_pooling)pooling;
    status = gguf_get_u32(keys->gguf, name, &tokens, keys->error);
    if (status == -ENOENT)
        return 0;
    if (!status && tokens == 0)
        return error_set(keys->error, ENOEXEC, "%s is 0", name);
    if (!status && tokens < (uint32_t)config->context)
        config->context = (int32_t)tokens;
    return status;
}

static int read_rest(const struct config_keys *keys, struct model_config *config)
{
    const struct family *family = config->family;
    config->embedding_scale = family->scaled_embedding ? sqrtf((float)config->width) : 1;
    int status = config_positive(keys,
                                 family->norm == FAMILY_RMS ? "attention.layer_norm_rms_epsilon"
                                                            : "attention.layer_norm_epsilon",
                                 0, &config->epsilon);
    return status ? status : read_embedding(keys, config);
}

int config_read(const struct gguf *gguf, struct model_config *out, struct error *error)
{
    struct model_config config = {0};
    int status = find_family(gguf, &config.family, error);
    if (status)
        return status;
    const struct config_keys keys = {gguf, config.family->name, error};
    status = read_sizes(&keys, &config);
    if (!status)
        status = read_heads(&keys, &config);
    if (!status)
        status = read_hidden(&keys, &config);
    if (!status)
        status = config_read_rope(&keys, &config);
    if (!status)
        status = read_attention(&keys, &config);
    if (!status)
        status = read_vocabulary(&keys, &config);
    if (!status)
        status = read_rest(&keys, &config);
    if (!status)
        *out = config;
    return status;
}

bool config_turns(const struct model_config *config, int32_t layer)
{
    const int32_t period = config->family->still_period;
    return config->rope.rotated > 0 && (period == 0 || (layer + 1) % period != 0);
}
