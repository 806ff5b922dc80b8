/* model.h - the tensors of a file bound to the places where the forward pass uses them.
 *
 * Owns:     the list of layers; weights stay in the mapping, which must outlive the model.
 * Promise:  every tensor has exactly the shape that the configuration demands; norms and biases are
 *           float32 and aligned, so that they are read in place.
 * Threads:  read-only after opening, any thread.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "math/matrix.h"
#include "model/config.h"

struct gguf;

/* A matrix and the bias that is added to its product; bias is NULL where the file has none. */
struct linear {
    struct matrix weight; /* [rows, columns] */
    const float *bias;    /* [rows] */
};

struct layer {
    const float *attention_norm; /* [width] */
    struct linear query;         /* [heads * head_size, width] */
    struct linear key;           /* [kv_heads * head_size, width] */
    struct linear value;         /* [kv_heads * head_size, width] */
    struct linear output;        /* [width, heads * head_size] */
    const float *hidden_norm;    /* [width] */
    struct linear gate;          /* [hidden, width] */
    struct linear up;            /* [hidden, width] */
    struct linear down;          /* [width, hidden] */
};

struct model {
    struct model_config config;
    struct matrix embedding;  /* [vocabulary, width] */
    struct matrix head;       /* [vocabulary, width]; the embedding itself in tied models */
    const float *output_norm; /* [width] */
    float *rope_factors;      /* [head_size / 2], own memory; NULL when all are 1 */
    struct layer *layers;     /* [config.layers] */
};

/* Returns 0, -ENOMEM, or -ENOEXEC naming the key (config.h), or the tensor that is missing or of
 * another shape or type. */
int model_open(const struct gguf *gguf, struct model *out, struct error *error);
void model_close(struct model *model);

#endif
