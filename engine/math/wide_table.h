/* wide_table.h - what an instruction set does for encoders: wide.h and text_attention.h.
 * Private to math/. */
#ifndef MATH_WIDE_TABLE_H
#define MATH_WIDE_TABLE_H

#include "math/text_attention.h"
#include "math/wide.h"

/* The rows of a panel: those from `count` on repeat the last one. */
struct wide_rows {
    const float *row[MATRIX_GRAIN];
    int32_t first, count;
};

struct wide_kernels {
    void (*quantise)(const struct wide_vectors *vectors, int32_t index, const float *x);
    void (*multiply)(const struct wide_product *product, const struct wide_rows *rows);
    void (*attend_text)(const struct text_attention *attention);
};

extern const struct wide_kernels wide_portable;
#ifdef __x86_64__
extern const struct wide_kernels wide_avx2, wide_avxvnni, wide_avx512;

/* The integer sums of 16 rows with a tile of vectors over one group, from `pairs` pairs, a multiple
 * of 8: all that the instruction sets beyond AVX2 do in another way.  w[pair][row], 64-byte
 * aligned; x[pair][vector]. */
typedef void wide_sum(const int32_t *w, const int32_t *x, int32_t pairs,
                      int32_t out[WIDE_TILE][MATRIX_GRAIN]);
wide_sum wide_sum_avxvnni, wide_sum_avx512;
#endif

/* A group whose largest magnitude is below this becomes zeros: its scale, or the inverse, would
 * leave the normal floats. */
static const float wide_flat = 0x1p-100f;

static inline int32_t wide_groups(const struct wide_vectors *vectors)
{
    return (vectors->columns + WIDE_GROUP - 1) / WIDE_GROUP;
}

/* Pairs of vector `index` from column k on; the next one is WIDE_TILE further. */
static inline int32_t *wide_pairs(const struct wide_vectors *vectors, int32_t index, int32_t k)
{
    size_t tile = (size_t)(index / WIDE_TILE) * (size_t)vectors->columns / 2;
    return vectors->pairs + (tile + (size_t)k / 2) * WIDE_TILE + index % WIDE_TILE;
}

/* Its scale of group g; the next group's is WIDE_TILE further. */
static inline float *wide_scales(const struct wide_vectors *vectors, int32_t index, int32_t g)
{
    size_t tile = (size_t)(index / WIDE_TILE) * (size_t)wide_groups(vectors);
    return vectors->scales + (tile + (size_t)g) * WIDE_TILE + index % WIDE_TILE;
}

#endif
