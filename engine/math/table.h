/* table.h - what kernels.h hides: the table of functions, and the quantised vectors they read.
 *
 * Private to math/.  docs/KERNELS.md defines what each function must compute, bit for bit.
 */
#ifndef MATH_TABLE_H
#define MATH_TABLE_H

#include "math/attention.h"
#include "math/matrix.h"
#include "math/quant.h"
#include "math/wide_table.h"

/* 32 values of one vector: value k is scale * q[k]. */
struct activation_block {
    int8_t q[QUANT_BLOCK];
    float scale;     /* da */
    float sum;       /* (float)(sum of q) * scale: what a minimum is multiplied with */
    int16_t half[2]; /* sums of q[0..15] and q[16..31]: what an offset is multiplied with */
    int32_t start;   /* -128 * (sum of q): where a sum starts whose weights are larger by 128 */
};

struct activations {
    const float *x; /* vector n at x + n * stride */
    size_t stride;
    int32_t count;
    int32_t width;
    size_t blocks; /* of one vector; vector n at block + n * blocks */
    struct activation_block *block;
};

struct kernels {
    const char *name;
    const struct wide_kernels *wide; /* what it has for encoders */
    void (*quantise)(struct activation_block *out, const float *x, int32_t width);
    void (*multiply)(const struct matrix *matrix, const struct activations *activations, float *y,
                     size_t y_stride, int32_t row_begin, int32_t row_end);
    void (*rms_norm)(float *out, const float *x, const float *weight, int32_t width, float epsilon);
    void (*layer_norm)(float *out, const float *x, const float *weight, const float *bias,
                       int32_t width, float epsilon);
    void (*add)(float *x, const float *y, int32_t width);
    void (*add_scaled)(float *x, const float *y, float factor, int32_t width);
    void (*scale)(float *x, float factor, int32_t width);
    void (*soft_cap)(float *x, float cap, int32_t width);
    void (*silu_multiply)(float *gate, const float *up, int32_t width);
    void (*gelu_multiply)(float *gate, const float *up, int32_t width);
    void (*gelu)(float *x, int32_t width);
    void (*gelu_erf)(float *x, int32_t width);
    void (*softmax)(float *x, int32_t count);
    float (*largest)(const float *x, int32_t count);
    float (*weigh)(float *weights, const float *x, int32_t count, float most, float factor);
    int32_t (*find)(int32_t *found, const float *x, int32_t count, float least);
    void (*attend)(const struct attention *attention);
};

/* An implementation's functions, which have the names of their members in each: what stands behind
 * its name and its wide products. */
#define KERNELS_FUNCTIONS                                                                          \
    .quantise = quantise, .multiply = multiply, .rms_norm = rms_norm, .layer_norm = layer_norm,    \
    .add = add, .add_scaled = add_scaled, .scale = scale, .soft_cap = soft_cap,                    \
    .silu_multiply = silu_multiply, .gelu_multiply = gelu_multiply, .gelu = gelu,                  \
    .gelu_erf = gelu_erf, .softmax = softmax, .largest = largest, .weigh = weigh, .find = find,    \
    .attend = attend

extern const struct kernels kernels_portable;
#ifdef __x86_64__
extern const struct kernels kernels_avx512, kernels_avxvnni, kernels_avx2;
#endif
#ifdef __aarch64__
extern const struct kernels kernels_neon, kernels_dotprod, kernels_i8mm;
#endif

#endif
