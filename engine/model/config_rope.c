/* config_rope.c - the keys of the rotation and of its scaling to longer contexts. */
#include "model/config.h"
#include "model/config_keys.h"

#include <errno.h>
#include <math.h>

/* Attention over more positions than it was trained for is sharpened by this (Peng et al. 2023,
 * section 3.4); `weight` is 1 but for models that name another. */
static float yarn_magnitude(float factor, float weight)
{
    return factor <= 1 ? 1 : 0.1f * weight * logf(factor) + 1;
}

static int read_yarn(const struct config_keys *keys, struct config_rope *rope)
{
    float weight;
    if (rope->base <= 1) /* its logarithm divides */
        return error_set(keys->error, ENOEXEC, "%s is %g, not above 1 as YaRN needs",
                         config_key(keys, "rope.freq_base").text, (double)rope->base);
    int status = config_optional(keys, "rope.scaling.yarn_ext_factor", 1, &rope->extrapolation);
    if (!status)
        status = config_positive(keys, "rope.scaling.yarn_beta_fast", 32, &rope->beta_fast);
    if (!status)
        status = config_positive(keys, "rope.scaling.yarn_beta_slow", 1, &rope->beta_slow);
    if (!status)
        status = config_optional(keys, "rope.scaling.yarn_log_multiplier", 0, &weight);
    if (status)
        return status;
    rope->magnitude = yarn_magnitude(rope->factor, 1);
    if (weight > 0)
        rope->magnitude /= yarn_magnitude(rope->factor, weight);
    return config_positive(keys, "rope.scaling.yarn_attn_factor", rope->magnitude,
                           &rope->magnitude);
}

/* Ding et al. 2024, equation 7: of a context that is longer than the original by `longer`. */
static float longrope_magnitude(int32_t context, int32_t original)
{
    float longer = (float)context / (float)original;
    return longer <= 1 || original < 2 ? 1 : sqrtf(1 + logf(longer) / logf((float)original));
}

static int read_factor(const struct config_keys *keys, struct config_rope *rope)
{
    /* scale_linear is the name in older files; converters write 0 for "no scaling" */
    const char *name =
        config_has(keys, "rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
    int status = config_optional(keys, name, 1, &rope->factor);
    if (!status && !(rope->factor > 0))
        rope->factor = 1;
    return status;
}

static int read_scaling(const struct config_keys *keys, struct model_config *config)
{
    struct config_rope *rope = &config->rope;
    struct text type;
    rope->factor = rope->magnitude = 1;
    int status = config_text(keys, "rope.scaling.type", "linear", &type);
    if (!status)
        status = config_count(keys, "rope.scaling.original_context_length", config->context, 1,
                              CONFIG_CONTEXT_MAX, &rope->original);
    if (!status && !text_is(type, "none"))
        status = read_factor(keys, rope);
    if (status)
        return status;
    if (text_is(type, "yarn")) {
        rope->scaling = CONFIG_YARN;
        status = read_yarn(keys, rope);
    } else if (text_is(type, "longrope")) {
        rope->scaling = CONFIG_LONGROPE;
        if (!config_has(keys, "rope.scaling.attn_factor"))
            rope->magnitude = longrope_magnitude(config->context, rope->original);
    } else if (!text_is(type, "linear") && !text_is(type, "none")) {
        return error_set(keys->error, ENOEXEC, "%s \"%.*s\" is not supported",
                         config_key(keys, "rope.scaling.type").text, TEXT_ARGUMENTS(type));
    }
    float more = 1;
    if (!status)
        status = config_positive(keys, "rope.scaling.attn_factor", 1, &more);
    rope->magnitude *= more;
    return status;
}

int config_read_rope(const struct config_keys *keys, struct model_config *config)
{
    const struct family *family = config->family;
    struct config_rope *rope = &config->rope;
    bool halves;
    if (family->rope == FAMILY_NO_ROPE)
        return 0;
    int status = config_count(keys, "rope.dimension_count", config->head_size, 1,
                              CONFIG_HEAD_SIZE_MAX, &rope->rotated);
    if (status)
        return status;
    if (rope->rotated > config->head_size || rope->rotated % 2 ||
        (family->whole_heads && rope->rotated != config->head_size))
        return error_set(keys->error, ENOEXEC, "%s.rope.dimension_count is %d of heads of %d",
                         keys->prefix, rope->rotated, config->head_size);
    status = config_positive(keys, "rope.freq_base", 10000, &rope->base);
    if (!status && (family->window_rope_base > 0 || config_has(keys, "rope.freq_base_swa")))
        status = config_positive(keys, "rope.freq_base_swa", family->window_rope_base,
                                 &rope->window_base);
    /* A folder's weights are as their model was trained, not reordered as in converted files. */
    const struct config_keys folder = {keys->gguf, "inferfs", keys->error};
    if (!status)
        status = config_bool(&folder, "rope.halves", family->rope == FAMILY_HALVES, &halves);
    if (status)
        return status;
    rope->interleaved = !halves;
    return read_scaling(keys, config);
}
