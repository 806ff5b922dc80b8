/* forward_internal.h - what the files behind forward.h share; nobody else includes it.
 *
 *   forward.c  a step: embedding, layers, head      layer.c    the two halves of a layer
 *   scratch.c  the memory of a step                 experts.c  feed-forwards that a router chooses
 *   product.c  vectors made ready, products, norms
 *
 * Shapes: n tokens; x is [n][width], the residual stream.  Weight rows are dealt to the threads,
 * vectors are shared by all of them.
 */
#ifndef MODEL_FORWARD_INTERNAL_H
#define MODEL_FORWARD_INTERNAL_H

#include "base/pace.h"
#include "math/attention.h"
#include "model/forward.h"
#include "model/rope.h"

/* Vectors that several products read: where the rows are, and their quantised form. */
struct vectors {
    const float *rows; /* [count][width] */
    int32_t width;
    struct activations *activations;
};

/* What one thread needs for itself. */
struct lane {
    struct activations *single; /* a step of one token: each thread prepares its own copy */
    float *row;                 /* [width] */
    const void **pages;         /* [pages of a whole context]: of one layer */
};

/* One of the experts that a token uses. */
struct route {
    int32_t expert;
    int32_t slot; /* its place when all routes of the batch are sorted by expert */
    float weight;
};

struct forward {
    const struct model *model;
    const struct kernels *kernels;
    struct threads *threads;
    struct pace pace;
    enum kv_format kv_format;
    const struct forward_token *tokens; /* of this step; in the last layer those that are read */
    int32_t count;
    int32_t read_count;                /* tokens of the batch that want logits or their state */
    bool narrows;                      /* some are not read */
    struct forward_token *read_tokens; /* [tokens_max] */
    size_t offsets[CONFIG_LAYERS_MAX]; /* of each layer in its part of a page */
    int32_t *logit_rows;               /* [logits_max]: tokens that want logits */
    int32_t logit_count;
    struct rope ropes[2]; /* of rope_kinds() */

    float *memory;    /* the arrays below lie in it */
    float *x;         /* [tokens][width] */
    float *normed;    /* [tokens][width] */
    float *angles;    /* [tokens][rope_kinds][rotated] */
    float *query;     /* [tokens][heads * head_size] */
    float *key;       /* [tokens][kv_heads * head_size] */
    float *value;     /* [tokens][kv_heads * head_size] */
    float *attended;  /* [tokens][heads * head_size] */
    float *projected; /* [tokens][width]: what a layer's half adds to x */
    float *gate;      /* [routes][hidden]; routes are tokens where there are no experts */
    float *up;        /* [routes][hidden] */
    float *finals;    /* [logits][width] */
    float *logits;    /* [logits][vocabulary] */
    float *scores;    /* [tokens][experts], of the router */
    float *routed;    /* [routes][width]: sorted by expert, what they read, then what they give */

    struct route *routes;  /* [tokens][experts_used] */
    int32_t *slot_tokens;  /* [routes]: which token's a slot is */
    int32_t *expert_slots; /* [experts + 1]: where each one's slots begin */

    struct vectors input;  /* normed x: of query, key, value, gate and up */
    struct vectors mixed;  /* attended: of the attention's output */
    struct vectors hidden; /* gated: of down */
    struct vectors final;  /* finals: of the head */
    struct vectors chosen; /* routed: of the experts' gate and up */
    struct lane *lanes;    /* [threads] */
};

/* A thread inside a step. */
struct worker {
    struct forward *forward;
    const struct team *team;
    struct lane *lane;
};

static inline int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t query_width(const struct model_config *config)
{
    return config->heads * config->head_size;
}

static inline int32_t key_width(const struct model_config *config)
{
    return config->kv_heads * config->head_size;
}

/* ---- scratch.c ---- */

/* What scratch_open() allocates. */
size_t scratch_bytes(const struct model_config *config, int32_t tokens_max, int32_t logits_max,
                     int32_t context, int threads);

/* Fill in `logit_rows`, `read_tokens` and everything below `ropes`.  Returns 0 or -ENOMEM;
 * scratch_close() either way. */
int scratch_open(struct forward *forward, int32_t tokens_max, int32_t logits_max, int32_t context);
void scratch_close(struct forward *forward);

/* ---- product.c ---- */

/* Whether products with this matrix read quantised vectors. */
bool product_is_quantised(const struct matrix *matrix);

/* out = the family's norm of x, both [width]. */
void product_norm(const struct forward *forward, float *out, const float *x,
                  const struct norm *norm);

/* Make vectors ready for products: norm `source` (NULL: the rows are there already) and quantise.
 * Of several, each thread takes some, and a barrier follows.  A single one is prepared by every
 * thread for itself: that costs no more than waiting for it, and saves the barrier. */
const struct activations *product_prepare(const struct worker *worker, struct vectors *vectors,
                                          int32_t count, const float *source,
                                          const struct norm *norm, bool quantised);

/* Rows [begin, end) of y = weight . vectors + bias, of all `count` vectors. */
void product_multiply(const struct forward *forward, const struct linear *linear,
                      const struct activations *vectors, int32_t count, float *y, int32_t begin,
                      int32_t end);

/* The next part of `items`, whose weights take `bytes`, for this thread, or false: with much work
 * as threads_take() deals them, else its share in turn 0. */
bool product_take(const struct worker *worker, int turn, int32_t items, int grain, size_t bytes,
                  int32_t *begin, int32_t *end);

/* This thread's part of x += weight . vectors + bias, where `after` has no weight; otherwise of
 * x += after(weight . vectors + bias).  A barrier must follow. */
void product_into_stream(const struct worker *worker, const struct linear *linear,
                         const struct activations *vectors, const struct norm *after);

/* ---- forward.c ---- */

/* In which part of a page a layer's keys and values are. */
enum forward_part layer_part(const struct model_config *config, int32_t layer);

/* ---- layer.c ---- */

/* The attention's half, up to the keys and values in their pages and behind them, and the
 * feed-forward's.  Each ends with a barrier. */
void layer_project(const struct worker *worker, const struct layer *layer, int32_t index);
void layer_attention(const struct worker *worker, const struct layer *layer, int32_t index);
void layer_hidden(const struct worker *worker, const struct layer *layer);

/* x = activation(x), or x = activation(x) * up for a gated family (`up` is not read otherwise). */
void layer_activate(const struct forward *forward, float *x, const float *up, int32_t width);

/* ---- experts.c ---- */

/* The feed-forward of a layer that has a router; ends with a barrier. */
void experts_run(const struct worker *worker, const struct layer *layer);

#endif
