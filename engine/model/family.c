/* family.c - see family.h. */
#include "model/family.h"

#include <stddef.h>

static const struct family families[] = {
    {
        .name = "llama", /* also Mistral, Mixtral, SmolLM2 */
        .rope = FAMILY_NEIGHBOURS,
        .experts = FAMILY_MAY_ROUTE,
        .gated = true,
        .whole_heads = true,
    },
    {
        .name = "smollm3",
        .rope = FAMILY_NEIGHBOURS,
        .gated = true,
        .still_period = 4,
    },
    {
        .name = "qwen2",
        .rope = FAMILY_HALVES,
        .gated = true,
    },
    {
        .name = "qwen3",
        .rope = FAMILY_HALVES,
        .gated = true,
        .head_norms = true,
    },
    {
        .name = "qwen3moe",
        .rope = FAMILY_HALVES,
        .experts = FAMILY_ROUTES,
        .gated = true,
        .head_norms = true,
    },
    {
        .name = "gemma2",
        .norms = FAMILY_AROUND,
        .rope = FAMILY_HALVES,
        .activation = FAMILY_GELU,
        .gated = true,
        .scaled_embedding = true,
        .windows = true,
        .window = 4096,
        .window_period = 2,
        .wide_layers = 46, /* 27B */
    },
    {
        .name = "gemma3",
        .norms = FAMILY_AROUND,
        .rope = FAMILY_HALVES,
        .activation = FAMILY_GELU,
        .gated = true,
        .head_norms = true,
        .scaled_embedding = true,
        .windows = true,
        .window_period = 6,
        .window_rope_base = 10000,
        .wide_layers = 62, /* 27B */
    },
    {
        .name = "phi3",
        .rope = FAMILY_HALVES,
        .gated = true,
        .gate_in_up = true,
        .windows = true,
    },
    {
        .name = "gpt2",
        .norm = FAMILY_LAYER,
        .activation = FAMILY_GELU,
        .positions = true,
    },
    {
        .name = "bert",
        .norm = FAMILY_LAYER,
        .norms = FAMILY_AFTER,
        .activation = FAMILY_GELU_ERF,
        .positions = true,
        .encoder = true,
    },
    {
        .name = "nomic-bert",
        .norm = FAMILY_LAYER,
        .norms = FAMILY_AFTER,
        .rope = FAMILY_HALVES,
        .gated = true,
        .encoder = true,
    },
};

const struct family *family_find(struct text name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (text_is(name, families[i].name))
            return &families[i];
    return NULL;
}
