/* matrix.h - weight matrices in place, and products with a batch of vectors.
 *
 *     y[n][r] = sum over k of w[r][k] * x[n][k]
 *
 * Weight rows lie in SIMD lanes, straight off the GGUF blocks; the vectors are quantised to int8 in
 * groups of 32 for quantised weights and stay float32 for float ones.
 *
 * Owns:     nothing but what activations_open() allocates.
 * Promise:  y[n][r] has the same bits whatever else is in the batch and whoever computes it.
 * Threads:  different threads may compute different rows of one product at the same time.
 */
#ifndef MATH_MATRIX_H
#define MATH_MATRIX_H

#include "base/error.h"
#include "base/tensor.h"
#include "math/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct matrix {
    enum tensor_type type;
    const uint8_t *data;
    size_t row_bytes; /* of a stored row: `columns` weights, or transposed `rows` of one column */
    int32_t rows;     /* outputs */
    int32_t columns;  /* inputs, a multiple of the type's block */
    bool transposed;  /* float types only: weight (r, k) is item k * rows + r.  The same results */
};

/* Rows per unit of work: thread borders are multiples of it (threads_share's grain). */
enum { MATRIX_GRAIN = 16 };

/* A view of a 1- or 2-dimensional tensor.  Returns 0, or -ENOEXEC when its shape is not
 * [columns, rows], it holds too few bytes, or it is transposed and made of blocks (the text names
 * the tensor and what is wrong). */
int matrix_view(const struct tensor *tensor, int32_t rows, int32_t columns, struct matrix *out,
                struct error *error);

/* A view of a 3-dimensional tensor [columns, rows, count]: `count` matrices whose rows follow each
 * other, as one of count * rows rows.  Returns as matrix_view(). */
int matrix_view_stack(const struct tensor *tensor, int32_t count, int32_t rows, int32_t columns,
                      struct matrix *out, struct error *error);

/* What its weights take; 0 where there are none. */
size_t matrix_bytes(const struct matrix *matrix);

/* Rows [first, first + count) of a matrix as a matrix. */
struct matrix matrix_rows(const struct matrix *matrix, int32_t first, int32_t count);

/* Dequantise row `row` into out[columns]. */
void matrix_row(const struct matrix *matrix, int32_t row, float *out);

/* The vectors of a product, in the forms that the kernels read. */
struct activations;

/* Room for up to `count` vectors of up to `width` floats.  Returns 0 or -ENOMEM. */
int activations_open(int32_t count, int32_t width, struct activations **out);
void activations_close(struct activations *activations);
size_t activations_bytes(int32_t count, int32_t width); /* what open will allocate */

/* Start a new set of `count` vectors of `width` floats, vector n at x + n * stride (kept by
 * reference: valid until the products are done).  They must fit in the room that was opened.  By
 * one thread, then a barrier. */
void activations_begin(struct activations *activations, const float *x, size_t stride,
                       int32_t count, int32_t width);

/* Quantise vectors [begin, end) (width must be a multiple of 32).  Different threads may take
 * different ranges; a barrier must follow before a product with quantised weights.  Not needed
 * for float weights.  Canonical: per 32: amax; scale = amax/127; q = roundeven(x * 127/amax). */
void activations_quantise(const struct kernels *kernels, struct activations *activations,
                          int32_t begin, int32_t end);

/* Rows [row_begin, row_end) of the product with all vectors of the set; y[n * y_stride + row].
 * row_begin is a multiple of MATRIX_GRAIN; the set's width is the matrix's columns. */
void matrix_multiply(const struct kernels *kernels, const struct matrix *matrix,
                     const struct activations *activations, float *y, size_t y_stride,
                     int32_t row_begin, int32_t row_end);

/* The same with the vectors [first, first + count) of the set alone. */
void matrix_multiply_some(const struct kernels *kernels, const struct matrix *matrix,
                          const struct activations *activations, int32_t first, int32_t count,
                          float *y, size_t y_stride, int32_t row_begin, int32_t row_end);

#endif
