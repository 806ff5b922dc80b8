/* config.h - a model's shape and constants, read from the metadata of its file and checked.
 *
 * Why:      every later product, division and buffer size trusts these numbers, so nothing leaves
 *           here that is zero, out of its range or inconsistent with the others.
 * Owns:     nothing; a plain value.
 * Threads:  any.
 * Limits:   CONFIG_* below.
 * Source:   the key list of the GGUF specification.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "base/error.h"

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
};

/* What distinguishes an architecture: one row of a table, not code of its own. */
struct family {
    const char *name;      /* general.architecture, and the prefix of the keys */
    bool rope_interleaved; /* pairs (2i, 2i+1); otherwise (i, i + head_size/2) */
};

struct model_config {
    const struct family *family;
    int32_t layers;
    int32_t width;      /* of the residual stream */
    int32_t heads;      /* of queries */
    int32_t kv_heads;   /* divides heads */
    int32_t head_size;  /* a multiple of CONFIG_HEAD_SIZE_MULTIPLE */
    int32_t hidden;     /* of the feed-forward */
    int32_t vocabulary; /* tokens */
    int32_t context;    /* positions that the model was trained for */
    float epsilon;      /* of the norms */
    float rope_base;
    float rope_factor; /* positions are divided by it ("linear" scaling) */
};

/* Returns 0, or -ENOEXEC with a text that names the key and its value: an architecture that is not
 * supported, a required key that is missing or of another type, a value out of range. */
int config_read(const struct gguf *gguf, struct model_config *out, struct error *error);

#endif
