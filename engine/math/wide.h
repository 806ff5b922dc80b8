/* wide.h - float weights times batches of float vectors, multiplied as integers of 13 bits.
 *
 *     y[n][r] = function(start + sum over k of w[r][k] * x[n][k])
 *
 * Why:      many vectors are multiplied as fast as the processor can, and AVX2 takes 16 products of
 *           int16 in the time of 8 products of floats.  Weights and vectors are rounded in groups
 *           of 128 to -4095..4095 times a scale, finer than bfloat16 but for what is small
 *           beside its group's largest; docs/KERNELS.md has the arithmetic and the numbers.
 *           Weights stay what they are in the file: 16 rows at a time are rounded to a panel
 *           in the cache, once for all vectors.
 * Owns:     nothing.
 * Promise:  y[n][r] has the same bits whatever else is in the batch and whoever computes it.
 * Threads:  different threads may quantise different vectors at the same time, and compute
 *           different rows of one product, behind a barrier.
 */
#ifndef MATH_WIDE_H
#define MATH_WIDE_H

#include "math/matrix.h"

/* 128 products of 4095 * 4095 are 2,146,435,200: they fit into 32 bits. */
enum { WIDE_GROUP = 128, WIDE_STEPS = 4095 };

/* Vectors lie in tiles, side by side, so that a kernel reads them in one run. */
enum { WIDE_TILE = 6 };

struct wide_vectors {
    int32_t *pairs; /* [tiles][columns / 2][WIDE_TILE]: int16 2k and 2k + 1 */
    float *scales;  /* [tiles][groups][WIDE_TILE] */
    int32_t count;
    int32_t columns; /* the width, rounded up to 16; zeros fill it */
    int32_t width;
};

/* Bytes for `count` vectors of `width` floats. */
size_t wide_bytes(int32_t count, int32_t width);

/* Vectors in memory of that many bytes, zeroed before its first use and aligned to 64. */
struct wide_vectors wide_vectors(void *memory, int32_t count, int32_t width);

/* Round vectors [begin, end) of x, vector n at x + n * width. */
void wide_quantise(const struct kernels *kernels, const struct wide_vectors *vectors,
                   const float *x, int32_t begin, int32_t end);

/* What is done with a finished sum; see vector.h. */
enum wide_function { WIDE_AS_IT_IS, WIDE_GELU, WIDE_GELU_ERF };

struct wide_product {
    const struct matrix *matrix; /* its columns are the width of the vectors */
    const struct wide_vectors *vectors;
    const float *bias; /* [rows]: what sums start at; or NULL */
    bool adds;         /* they start at y + bias */
    enum wide_function function;
    float *y; /* y[n * y_stride + row] */
    size_t y_stride;
};

/* Floats that a thread lends to wide_multiply(): room for the rows of a panel. */
size_t wide_room(int32_t columns);

/* Rows [row_begin, row_end) of a product; row_begin is a multiple of MATRIX_GRAIN. */
void wide_multiply(const struct kernels *kernels, const struct wide_product *product,
                   int32_t row_begin, int32_t row_end, float *room);

#endif
