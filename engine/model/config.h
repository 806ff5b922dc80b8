/* config.h - a model's shape and constants, read from the metadata of its file and checked.
 *
 * Why:      every later product, division and buffer size trusts these numbers, so nothing leaves
 *           here that is zero, out of its range or inconsistent with the others.
 * Owns:     nothing; a plain value.
 * Threads:  any.
 * Limits:   CONFIG_* below.
 * Source:   the key list of the GGUF specification; docs/FORMATS.md says what each key means.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"
#include "model/family.h"

#include <stdbool.h>
#include <stdint.h>

struct gguf;

enum {
    CONFIG_LAYERS_MAX = 512,
    CONFIG_WIDTH_MAX = 1 << 17,
    CONFIG_HEADS_MAX = 1024,
    CONFIG_HEAD_SIZE_MAX = 512,
    CONFIG_HEAD_SIZE_MULTIPLE = 8,
    CONFIG_HIDDEN_MAX = 1 << 20,
    CONFIG_VOCABULARY_MAX = 1 << 20,
    CONFIG_CONTEXT_MAX = 1 << 24,
    CONFIG_EXPERTS_MAX = 512,
    CONFIG_EXPERTS_USED_MAX = 64,
};

/* How a text's vector is made of its tokens'; the numbers are the file's. */
enum config_pooling {
    CONFIG_POOLING_NONE,
    CONFIG_POOLING_MEAN,
    CONFIG_POOLING_FIRST, /* the token [CLS] */
    CONFIG_POOLING_LAST,
    CONFIG_POOLING_RANK, /* a score of two texts: no model that config_read() accepts has it */
};

/* How a model reaches positions beyond those that it was first trained for. */
enum config_scaling {
    CONFIG_LINEAR,   /* all frequencies divided by `factor` */
    CONFIG_YARN,     /* the slow ones, with a ramp between (Peng et al. 2023) */
    CONFIG_LONGROPE, /* each by its own divisor, from a tensor (Ding et al. 2024) */
};

struct config_rope {
    int32_t rotated; /* values of a head that turn: even, at most head_size; 0: none */
    bool interleaved;
    float base;
    float window_base; /* of layers with a window, unscaled; 0: they turn as the others */
    enum config_scaling scaling;
    float factor;
    float magnitude;                           /* cos and sin are multiplied by it */
    int32_t original;                          /* positions before scaling */
    float extrapolation, beta_fast, beta_slow; /* of YaRN */
};

struct model_config {
    const struct family *family;
    int32_t layers;
    int32_t width;      /* of the residual stream */
    int32_t heads;      /* of queries */
    int32_t kv_heads;   /* divides heads */
    int32_t head_size;  /* a multiple of CONFIG_HEAD_SIZE_MULTIPLE */
    int32_t hidden;     /* of the feed-forward, or of each expert's */
    int32_t vocabulary; /* tokens */
    int32_t context;    /* positions that the model was trained for */
    float epsilon;      /* of the norms */
    struct config_rope rope;

    float embedding_scale;
    float attention_scale;
    float attention_softcap; /* 0: none, here and below */
    float logit_softcap;
    int32_t window;                   /* positions that a layer with a window sees */
    bool windowed[CONFIG_LAYERS_MAX]; /* false where window is 0 */

    int32_t experts;           /* 0: one feed-forward for all tokens */
    int32_t experts_used;      /* by a token */
    bool expert_weights_sum_1; /* the weights of those used, else of all */
    float expert_weights_scale;

    bool causal;
    enum config_pooling pooling;
};

/* Returns 0, or -ENOEXEC with a text that names the key and its value: an architecture that is not
 * supported, a required key that is missing or of another type, a value out of range. */
int config_read(const struct gguf *gguf, struct model_config *out, struct error *error);

/* Whether the heads of a layer turn with the position. */
bool config_turns(const struct model_config *config, int32_t layer);

#endif
