/* rope.c - see rope.h. */
#include "model/rope.h"

#include <math.h>

static const double TURN = 6.283185307179586; /* 2 pi */

/* The pair that makes `turns` turns over the original context (Peng et al. 2023, section 3.2). */
static double pair_of_turns(const struct config_rope *rope, double turns)
{
    return rope->rotated * log(rope->original / (turns * TURN)) / (2 * log((double)rope->base));
}

/* Pairs that turn often keep their frequency, those that turn seldom are slowed down by the factor,
 * and there is a ramp between them. */
static void slow_down(const struct config_rope *rope, double *frequency)
{
    double low = fmax(0, floor(pair_of_turns(rope, (double)rope->beta_fast)));
    double high = fmin(rope->rotated - 1, ceil(pair_of_turns(rope, (double)rope->beta_slow)));
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        double ramp = fmin(1, fmax(0, (i - low) / fmax(0.001, high - low)));
        double kept = (1 - ramp) * (double)rope->extrapolation;
        frequency[i] *= kept + (1 - kept) / (double)rope->factor;
    }
}

void rope_make(const struct model *model, bool windowed, int32_t context, struct rope *out)
{
    const struct config_rope *rope = &model->config.rope;
    const bool plain = windowed && rope->window_base > 0;
    const double base = (double)(plain ? rope->window_base : rope->base);
    const float *factors = model->rope_factors;
    if (!factors)
        factors = context > rope->original ? model->rope_long : model->rope_short;
    *out = (struct rope){rope->rotated, rope->interleaved, plain ? 1 : rope->magnitude, {0}};
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        out->frequency[i] = pow(base, -2.0 * i / rope->rotated);
        if (!plain && factors)
            out->frequency[i] /= (double)factors[i];
        else if (!plain && rope->scaling != CONFIG_YARN)
            out->frequency[i] /= (double)rope->factor;
    }
    if (!plain && rope->scaling == CONFIG_YARN)
        slow_down(rope, out->frequency);
}

int rope_kinds(const struct model_config *config)
{
    return config->rope.rotated && config->window && config->rope.window_base > 0 ? 2 : 1;
}

int rope_kind(const struct model_config *config, int32_t layer)
{
    return rope_kinds(config) == 2 && config->windowed[layer] ? 1 : 0;
}
