/* family.h - what distinguishes one architecture from another: a row of a table, never code.
 *
 * There is one forward pass (layer.c); it asks these fields what to do.  A new architecture is a
 * new row in family.c, and a new field only where no row had a difference before.
 *
 * Owns:     a constant table.
 * Threads:  any.
 * Source:   the papers of the models, and which tensors and keys their GGUF files hold.
 */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum family_norm {
    FAMILY_RMS,   /* weight alone */
    FAMILY_LAYER, /* weight and bias */
};

/* Where the norms of a layer's two halves (attention, feed-forward) stand. */
enum family_norms {
    FAMILY_BEFORE, /* x += half(norm(x)) */
    FAMILY_AROUND, /* x += norm(half(norm(x))) */
    FAMILY_AFTER,  /* x = norm(x + half(x)): the first transformers, and BERT */
};

/* Which values of a head turn together. */
enum family_rope {
    FAMILY_NO_ROPE,
    FAMILY_NEIGHBOURS, /* (2i, 2i + 1) */
    FAMILY_HALVES,     /* (i, i + rotated / 2) */
};

enum family_activation { FAMILY_SILU, FAMILY_GELU, FAMILY_GELU_ERF };

enum family_experts { FAMILY_NO_EXPERTS, FAMILY_MAY_ROUTE, FAMILY_ROUTES };

struct family {
    const char *name; /* general.architecture, and the prefix of the keys */
    enum family_norm norm;
    enum family_norms norms;
    enum family_rope rope;
    enum family_activation activation;
    enum family_experts experts;
    bool gated;             /* activation(gate) * up; otherwise activation(up) */
    bool gate_in_up;        /* the first half of ffn_up's rows is the gate */
    bool head_norms;        /* an RMS norm over each head of queries and keys, before they turn */
    bool scaled_embedding;  /* times sqrt(width) */
    bool positions;         /* learned: a row of position_embd for each */
    bool encoder;           /* sees the whole text at once; a norm after the embedding, no head */
    bool whole_heads;       /* all of a head turns */
    bool windows;           /* sliding_window counts; other families' files name it in vain */
    int32_t window;         /* without the key */
    int32_t window_period;  /* without the key: the last of so many layers has none; 0: all have */
    float window_rope_base; /* of the layers with a window, without its key; 0: as the others */
    int32_t still_period; /* of so many layers the last one does not turn its heads; 0: all turn */
    int32_t wide_layers;  /* a model of so many layers scales scores by 1 / sqrt(width / heads) */
};

/* The row of an architecture, or NULL. */
const struct family *family_find(struct text name);

#endif
