/* neon_i8mm.c - NEON with the products of byte matrices of ARMv8.6 (SMMLA). See neon_kernels.h. */
#include "math/neon_kernels.h"

const struct kernels kernels_i8mm = {
    .name = "i8mm",
    .wide = &wide_portable,
    KERNELS_FUNCTIONS,
};
