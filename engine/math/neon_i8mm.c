/* neon_i8mm.c - NEON with the products of byte matrices of ARMv8.6 (SMMLA). See neon_kernels.h. */
#include "math/neon_kernels.h"

const struct kernels kernels_i8mm = {
    .name = "i8mm",
    .wide = &wide_portable,
    .quantise = quantise,
    .multiply = multiply,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .add = add,
    .add_scaled = add_scaled,
    .scale = scale,
    .soft_cap = soft_cap,
    .silu_multiply = silu_multiply,
    .gelu_multiply = gelu_multiply,
    .gelu = gelu,
    .gelu_erf = gelu_erf,
    .softmax = softmax,
    .argmax = argmax,
    .attend = attend,
};
