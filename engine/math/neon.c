/* neon.c - NEON alone, which every 64-bit ARM has. See neon_kernels.h. */
#include "math/neon_kernels.h"

const struct kernels kernels_neon = {
    .name = "neon",
    .wide = &wide_portable,
    KERNELS_FUNCTIONS,
};
