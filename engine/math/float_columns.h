/* float_columns.h - products with float weights that are stored by columns; included by each
 * implementation.
 *
 * Weight (row r, column k) is item k * rows + r, so that sixteen rows of one column are one load.
 * The bits are those of float_lanes.h: the sixteen lanes there, which sum k = i, i + 16 ..., are
 * here sixteen sums in memory with the rows in their lanes, and the same tree joins them.
 *
 * Squares of 64 columns x 16 rows are copied to the stack, because the columns of a matrix lie a
 * whole row of memory apart and evict each other from the caches: once for up to 64 vectors.
 */
#ifndef MATH_FLOAT_COLUMNS_H
#define MATH_FLOAT_COLUMNS_H

#include "math/float_lanes.h"

enum {
    COLUMN_SUMS = 64,   /* bands of sixteen rows times vectors: 64 KiB of the second-level cache */
    COLUMN_STEPS = 4,   /* columns that continue a sum while it is in registers */
    COLUMN_AHEAD = 128, /* bytes along a column that are fetched before they are used */
    COLUMN_VECTORS = 4, /* vectors that share a load of weights */
    SQUARE_COLUMNS = COLUMN_STEPS * LANES,
};

/* The sums of sixteen rows and one vector, by k % 16. */
struct column_sums {
    struct lanes at[LANES];
};

/* Columns k..k+count-1 of sixteen rows, those from row_end on zero. */
LANES_INLINE void square_copy_type(enum tensor_type type, const struct matrix *matrix, int32_t k,
                                   int32_t count, int32_t row, int32_t row_end,
                                   struct lanes *square)
{
    const uint8_t *from = matrix->data + (size_t)k * matrix->row_bytes;
    from += (size_t)row * (type == TENSOR_F32 ? 4 : 2);
    for (int32_t i = 0; i < count; i++, from += matrix->row_bytes)
        if (row_end - row < LANES) {
            square[i] = float_weights_last(type, from, 0, row_end - row);
        } else {
            __builtin_prefetch(from + COLUMN_AHEAD);
            square[i] = float_weights(type, from, 0);
        }
}

static void square_copy(const struct matrix *matrix, int32_t k, int32_t count, int32_t row,
                        int32_t row_end, struct lanes *square)
{
    if (matrix->type == TENSOR_F32)
        square_copy_type(TENSOR_F32, matrix, k, count, row, row_end, square);
    else if (matrix->type == TENSOR_F16)
        square_copy_type(TENSOR_F16, matrix, k, count, row, row_end, square);
    else
        square_copy_type(TENSOR_BF16, matrix, k, count, row, row_end, square);
}

/* The sums of `vectors` vectors, a constant where this is inlined, continued by a whole square. */
LANES_INLINE void square_multiply(const struct lanes *square, const float *x, size_t stride,
                                  int vectors, struct column_sums *sums)
{
    for (int i = 0; i < LANES; i++) {
        struct lanes f[COLUMN_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            f[v] = sums[v].at[i];
#pragma GCC unroll 4
        for (int s = 0; s < COLUMN_STEPS; s++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                struct lanes a = lanes_set(x[(size_t)v * stride + (size_t)(s * LANES + i)]);
                f[v] = lanes_fuse(square[s * LANES + i], a, f[v]);
            }
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sums[v].at[i] = f[v];
    }
}

/* By the last columns of a row, extended by zeros to a multiple of sixteen (which make a sum of -0
 * one of +0). */
static void square_multiply_last(const struct lanes *square, const float *x, int32_t count,
                                 struct column_sums *sums)
{
    const struct lanes zero = lanes_set(0);
    int32_t k = 0;
    for (; k < count; k++)
        sums->at[k % LANES] = lanes_fuse(square[k], lanes_set(x[k]), sums->at[k % LANES]);
    for (; k % LANES; k++)
        sums->at[k % LANES] = lanes_fuse(zero, zero, sums->at[k % LANES]);
}

/* A rectangle of outputs. */
struct column_tile {
    int32_t row, row_end, bands;
    const float *x;
    size_t stride;
    int32_t vectors;
};

/* The sums of all vectors and sixteen rows, continued by `count` columns from k on. */
static void columns_multiply_square(const struct column_tile *tile, const struct lanes *square,
                                    int32_t k, int32_t count, struct column_sums *sums)
{
    const float *x = tile->x + k;
    int32_t v = 0;
    for (; count < SQUARE_COLUMNS && v < tile->vectors; v++)
        square_multiply_last(square, x + (size_t)v * tile->stride, count, sums + v);
    for (; v + COLUMN_VECTORS <= tile->vectors; v += COLUMN_VECTORS)
        square_multiply(square, x + (size_t)v * tile->stride, tile->stride, COLUMN_VECTORS,
                        sums + v);
    for (; v < tile->vectors; v++)
        square_multiply(square, x + (size_t)v * tile->stride, tile->stride, 1, sums + v);
}

static void columns_sum(const struct matrix *matrix, const struct column_tile *tile,
                        struct column_sums *sums)
{
    memset(sums, 0, (size_t)(tile->bands * tile->vectors) * sizeof *sums);
    for (int32_t k = 0; k < matrix->columns; k += SQUARE_COLUMNS) {
        int32_t left = matrix->columns - k, count = left < SQUARE_COLUMNS ? left : SQUARE_COLUMNS;
        for (int32_t band = 0; band < tile->bands; band++) {
            struct lanes square[SQUARE_COLUMNS];
            int32_t row = tile->row + band * LANES;
            square_copy(matrix, k, count, row, tile->row_end, square);
            columns_multiply_square(tile, square, k, count, sums + band * tile->vectors);
        }
    }
}

/* The fixed tree of lanes_sum(), for sixteen rows at once. */
static struct lanes column_tree(const struct column_sums *sums)
{
    struct column_sums tree = *sums;
    for (int step = LANES / 2; step; step /= 2)
        for (int i = 0; i < step; i++)
            tree.at[i] = lanes_add(tree.at[i], tree.at[i + step]);
    return tree.at[0];
}

static void multiply_columns(const struct matrix *matrix, const struct activations *activations,
                             float *y, size_t y_stride, int32_t row_begin, int32_t row_end)
{
    struct column_sums sums[COLUMN_SUMS];
    const int32_t count = activations->count;
    const int32_t bands = COLUMN_SUMS / (count < COLUMN_SUMS ? count : COLUMN_SUMS);
    for (int32_t row = row_begin; row < row_end; row += bands * LANES)
        for (int32_t n = 0; n < count; n += COLUMN_SUMS) {
            int32_t left = (row_end - row + LANES - 1) / LANES;
            const struct column_tile tile = {
                .row = row,
                .row_end = row_end,
                .bands = left < bands ? left : bands,
                .x = activations->x + (size_t)n * activations->stride,
                .stride = activations->stride,
                .vectors = count - n < COLUMN_SUMS ? count - n : COLUMN_SUMS,
            };
            columns_sum(matrix, &tile, sums);
            for (int32_t t = 0; t < tile.bands * tile.vectors; t++) {
                int32_t first = row + t / tile.vectors * LANES;
                float *to = y + (size_t)(n + t % tile.vectors) * y_stride + (size_t)first;
                lanes_store_part(to, column_tree(sums + t), row_end - first);
            }
        }
}

#endif
