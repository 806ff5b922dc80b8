/* float_lanes.h - products with float weights (F32, F16, BF16); included by each implementation.
 *
 * Here the lanes run along k: lane i sums the products of k = i, i + 16, i + 32 ... by fused
 * multiply-add, and the fixed tree joins them at the end.  A row is extended by zeros to a multiple
 * of 16.  A tile of rows x vectors shares every load.
 */
#ifndef MATH_FLOAT_LANES_H
#define MATH_FLOAT_LANES_H

#include "math/lanes.h"
#include "math/table.h"

enum { FLOAT_ROWS_MAX = 4, FLOAT_VECTORS_MAX = 3, FLOAT_BYTES_MAX = 4 };

LANES_INLINE struct lanes float_weights(enum tensor_type type, const uint8_t *row, int32_t k)
{
    if (type == TENSOR_F32)
        return lanes_load(row + (size_t)k * 4);
    if (type == TENSOR_F16)
        return lanes_load_half(row + (size_t)k * 2);
    return lanes_load_bfloat(row + (size_t)k * 2);
}

/* The last weights of a row, fewer than 16. */
LANES_INLINE struct lanes float_weights_last(enum tensor_type type, const uint8_t *row, int32_t k,
                                             int32_t columns)
{
    uint8_t padded[LANES * FLOAT_BYTES_MAX] = {0};
    size_t bytes = type == TENSOR_F32 ? 4 : 2;
    memcpy(padded, row + (size_t)k * bytes, (size_t)(columns - k) * bytes);
    return float_weights(type, padded, 0);
}

/* y of `rows` x `vectors` outputs, both constants where this is inlined. */
LANES_INLINE void float_tile(enum tensor_type type, const struct matrix *matrix,
                             const struct activations *activations, float *y, size_t y_stride,
                             int32_t row, int32_t vector, int rows, int vectors)
{
    struct lanes sum[FLOAT_ROWS_MAX][FLOAT_VECTORS_MAX], w[FLOAT_ROWS_MAX];
    struct lanes ended[FLOAT_ROWS_MAX][FLOAT_VECTORS_MAX];
    const uint8_t *from = matrix->data + (size_t)row * matrix->row_bytes;
    const float *x = activations->x + (size_t)vector * activations->stride;
    int32_t columns = matrix->columns, k = 0;
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[r][v] = lanes_set(0);
    for (; k + LANES <= columns; k += LANES) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            w[r] = float_weights(type, from + (size_t)r * matrix->row_bytes, k);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            struct lanes a = lanes_load(x + (size_t)v * activations->stride + k);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                sum[r][v] = lanes_fuse(w[r], a, sum[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) /* so that the sums above need not be in memory */
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            ended[r][v] = sum[r][v];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            if (k < columns) {
                const uint8_t *last = from + (size_t)r * matrix->row_bytes;
                const float *x_last = x + (size_t)v * activations->stride + k;
                ended[r][v] = lanes_fuse(float_weights_last(type, last, k, columns),
                                         lanes_load_part(x_last, columns - k, 0), ended[r][v]);
            }
            y[(size_t)(vector + v) * y_stride + (size_t)(row + r)] = lanes_sum(ended[r][v]);
        }
}

/* Bands of 16 rows stay in the cache while all vectors pass. */
LANES_INLINE void float_multiply(enum tensor_type type, const struct matrix *matrix,
                                 const struct activations *activations, float *y, size_t y_stride,
                                 int32_t row_begin, int32_t row_end)
{
    for (int32_t band = row_begin; band < row_end; band += MATRIX_GRAIN) {
        int32_t end = band + MATRIX_GRAIN < row_end ? band + MATRIX_GRAIN : row_end, n = 0;
        for (; n + 3 <= activations->count; n += 3) {
            int32_t row = band;
            for (; row + 2 <= end; row += 2)
                float_tile(type, matrix, activations, y, y_stride, row, n, 2, 3);
            if (row < end)
                float_tile(type, matrix, activations, y, y_stride, row, n, 1, 3);
        }
        for (; n < activations->count; n++) {
            int32_t row = band;
            for (; row + 4 <= end; row += 4)
                float_tile(type, matrix, activations, y, y_stride, row, n, 4, 1);
            for (; row < end; row++)
                float_tile(type, matrix, activations, y, y_stride, row, n, 1, 1);
        }
    }
}

static void multiply_floats(const struct matrix *matrix, const struct activations *activations,
                            float *y, size_t y_stride, int32_t row_begin, int32_t row_end)
{
    if (matrix->type == TENSOR_F32)
        float_multiply(TENSOR_F32, matrix, activations, y, y_stride, row_begin, row_end);
    else if (matrix->type == TENSOR_F16)
        float_multiply(TENSOR_F16, matrix, activations, y, y_stride, row_begin, row_end);
    else
        float_multiply(TENSOR_BF16, matrix, activations, y, y_stride, row_begin, row_end);
}

#endif
