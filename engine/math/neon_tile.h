/* neon_tile.h - eight rows times up to four vectors out of a panel; see neon_panel.h.
 *
 * With SDOT the words of four rows lie in the lanes of a register, and the word of the vector that
 * they are multiplied with is named by the instruction: no sum crosses lanes.  Without, the weights
 * stay in rows as they were unpacked.
 */
#ifndef MATH_NEON_TILE_H
#define MATH_NEON_TILE_H

#include "math/neon_direct.h"

enum { TILE = 4, STRIP_BANDS = 2, STRIP_ROWS = STRIP_BANDS * BAND, PANEL_BLOCKS = 16 };

/* 32 weights of each of eight rows. */
struct strip {
    struct block block[STRIP_BANDS];
};

/* The vectors of a tile, from the panel's first block on. */
struct taken {
    const struct activation_block *a[TILE];
};

#ifdef __ARM_FEATURE_DOTPROD

/* Word j of 16 bytes of each of four rows to register j. */
NEON_INLINE void rows_to_lanes(int8x16_t w[4])
{
    int32x4_t r0 = vreinterpretq_s32_s8(w[0]), r1 = vreinterpretq_s32_s8(w[1]);
    int32x4_t r2 = vreinterpretq_s32_s8(w[2]), r3 = vreinterpretq_s32_s8(w[3]);
    int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1));
    int64x2_t b = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1));
    int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
    int64x2_t d = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
    w[0] = vreinterpretq_s8_s64(vtrn1q_s64(a, c));
    w[1] = vreinterpretq_s8_s64(vtrn1q_s64(b, d));
    w[2] = vreinterpretq_s8_s64(vtrn2q_s64(a, c));
    w[3] = vreinterpretq_s8_s64(vtrn2q_s64(b, d));
}

/* weight[j][part] becomes the word 4 * part + j of all rows. */
NEON_INLINE void arrange(struct block *block)
{
    for (int part = 0; part < PARTS; part++) {
        int8x16_t w[BAND];
        for (int row = 0; row < BAND; row++)
            w[row] = block->weight[row][part];
        rows_to_lanes(w);
        for (int j = 0; j < BAND; j++)
            block->weight[j][part] = w[j];
    }
}

/* sum + w times word j of x; the instruction wants a constant. */
NEON_INLINE int32x4_t dot_word(int32x4_t sum, int8x16_t w, int8x16_t x, int j)
{
    switch (j) {
    case 0:
        return vdotq_laneq_s32(sum, w, x, 0);
    case 1:
        return vdotq_laneq_s32(sum, w, x, 1);
    case 2:
        return vdotq_laneq_s32(sum, w, x, 2);
    default:
        return vdotq_laneq_s32(sum, w, x, 3);
    }
}

/* Half of the block: sums[n][r] continued. */
NEON_INLINE void multiply_part(const struct strip *strip, const struct activation_block *const *a,
                               int count, int part, int32x4_t sum[TILE][STRIP_BANDS])
{
    int8x16_t x[TILE];
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
        x[n] = vld1q_s8(a[n]->q + part * QUANT_PART);
#pragma GCC unroll 4
    for (int j = 0; j < BAND; j++)
#pragma GCC unroll 2
        for (int r = 0; r < STRIP_BANDS; r++) {
            int8x16_t w = strip->block[r].weight[j][part];
#pragma GCC unroll 4
            for (int n = 0; n < count; n++)
                sum[n][r] = dot_word(sum[n][r], w, x[n], j);
        }
}

/* The exact integer sums of the tile. */
NEON_INLINE void tile_sums(struct shape shape, const struct strip *strip,
                           const struct activation_block *const *a, int count,
                           int32x4_t sum[TILE][STRIP_BANDS])
{
    int32x4_t second[TILE][STRIP_BANDS];
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < STRIP_BANDS; r++)
            sum[n][r] = second[n][r] = vdupq_n_s32(0);
    multiply_part(strip, a, count, 0, sum);
    multiply_part(strip, a, count, 1, shape.has_parts ? second : sum);
    if (!shape.has_parts)
        return;
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < STRIP_BANDS; r++) {
            const struct block *w = strip->block + r;
            sum[n][r] = vmlaq_s32(vmulq_s32(sum[n][r], w->part[0]), second[n][r], w->part[1]);
        }
}

#else

NEON_INLINE void arrange(struct block *block)
{
    (void)block;
}

NEON_INLINE void tile_sums(struct shape shape, const struct strip *strip,
                           const struct activation_block *const *a, int count,
                           int32x4_t sum[TILE][STRIP_BANDS])
{
    for (int r = 0; r < STRIP_BANDS; r++)
        for (int n = 0; n < count; n++)
            sum[n][r] = row_sums(shape, strip->block + r, a[n]);
}

#endif

NEON_INLINE void strip_store(struct shape shape, struct block block[STRIP_BANDS], struct strip *out)
{
    for (int r = 0; r < STRIP_BANDS; r++) {
        struct block *to = out->block + r;
        arrange(block + r);
        memcpy(to->weight, block[r].weight, sizeof to->weight);
        to->scale = block[r].scale;
        if (shape.has_minimum)
            to->minimum = block[r].minimum;
        for (int part = 0; shape.has_parts && part < PARTS; part++) {
            to->part[part] = block[r].part[part];
            if (shape.has_minimum)
                to->minimum_part[part] = block[r].minimum_part[part];
        }
    }
}

NEON_INLINE void take(const struct product *product, size_t first, size_t blocks, int32_t vector,
                      int count, struct taken *out)
{
    (void)blocks;
    for (int n = 0; n < count; n++)
        out->a[n] = vector_of(product, vector + n) + first;
}

/* y of `rows` rows and `count` vectors continued by `blocks` blocks, or begun. */
NEON_INLINE void tile(struct shape shape, const struct strip *strip, const struct taken *taken,
                      size_t blocks, bool begin, float *y, size_t y_stride, int32_t rows, int count)
{
    const struct activation_block *a[TILE];
    float32x4_t f[TILE][STRIP_BANDS];
#pragma GCC unroll 4
    for (int n = 0; n < count; n++) {
        a[n] = taken->a[n];
        for (int r = 0; r < STRIP_BANDS; r++)
            f[n][r] = begin ? vdupq_n_f32(0)
                            : load_rows(y + (size_t)n * y_stride + r * BAND, rows - r * BAND);
    }
    for (size_t b = 0; b < blocks; b++, strip++) {
        int32x4_t sum[TILE][STRIP_BANDS];
        tile_sums(shape, strip, a, count, sum);
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
#pragma GCC unroll 2
            for (int r = 0; r < STRIP_BANDS; r++)
                f[n][r] = finish(shape, strip->block + r, a[n], sum[n][r], f[n][r]);
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
            a[n]++;
    }
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
        for (int r = 0; r < STRIP_BANDS; r++)
            store_rows(y + (size_t)n * y_stride + r * BAND, f[n][r], rows - r * BAND);
}

#endif
