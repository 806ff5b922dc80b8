/* neon_dotprod.c - NEON with the products of bytes of ARMv8.2 (SDOT). See neon_kernels.h. */
#include "math/neon_kernels.h"

const struct kernels kernels_dotprod = {
    .name = "dotprod",
    .wide = &wide_portable,
    KERNELS_FUNCTIONS,
};
