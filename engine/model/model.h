/* model.h - the tensors of a file bound to the places where the forward pass uses them.
 *
 * Owns:     the lists of layers and experts; weights stay in the mapping, which must outlive the
 *           model.
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

/* weight is NULL where the family has no such norm, bias where its norms have none. */
struct norm {
    const float *weight; /* [width] */
    const float *bias;   /* [width] */
};

/* One feed-forward of several. */
struct expert {
    struct matrix gate; /* [hidden, width] */
    struct matrix up;   /* [hidden, width] */
    struct matrix down; /* [width, hidden] */
};

/* Which norms there are says family->norms.  What a file holds fused (attn_qkv, the gate in ffn_up)
 * is bound as the parts. */
struct layer {
    struct norm attention_norm;       /* before attention */
    struct linear query;              /* [heads * head_size, width] */
    struct linear key;                /* [kv_heads * head_size, width] */
    struct linear value;              /* [kv_heads * head_size, width] */
    struct norm query_norm, key_norm; /* [head_size], of each head */
    struct linear output;             /* [width, heads * head_size] */
    struct norm attention_after;      /* FAMILY_AROUND: of its result; FAMILY_AFTER: of the sum */
    struct norm hidden_norm;          /* before the feed-forward */
    struct linear gate;               /* [hidden, width]; unless gated: none */
    struct linear up;                 /* [hidden, width] */
    struct linear down;               /* [width, hidden] */
    struct linear router;             /* [experts, width]: with it experts stand for the three */
    struct expert *experts;           /* [config.experts] */
    struct norm hidden_after;         /* as attention_after */
};

struct model {
    struct model_config config; /* its context is at most the learned positions */
    struct matrix embedding;    /* [vocabulary, width] */
    struct matrix positions;    /* [at least config.context, width]; rows 0: none are learned */
    struct matrix token_types;  /* encoders: [types, width], of which row 0 is added; or none */
    struct norm embedding_norm; /* encoders: of the sum of these */
    struct norm output_norm;    /* not in encoders, like the head */
    struct linear head;         /* [vocabulary, width]; the embedding itself in tied models */
    const float *rope_factors;  /* [rotated / 2] divisors of the frequencies, or NULL */
    const float *rope_short;    /* [rotated / 2] those up to the original context, or NULL */
    const float *rope_long;     /* [rotated / 2] those of longer contexts; both or none */
    struct layer *layers;       /* [config.layers] */
    struct expert *experts;     /* [config.layers * config.experts] */
};

/* Returns 0, -ENOMEM, or -ENOEXEC naming the key (config.h), or the tensor that is missing or of
 * another shape or type. */
int model_open(const struct gguf *gguf, struct model *out, struct error *error);
void model_close(struct model *model);

/* What a model allocates. */
size_t model_bytes(const struct model_config *config);

#endif
