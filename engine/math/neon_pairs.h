/* neon_pairs.h - the tile of neon_tile.h with SMMLA, which multiplies eight weights of two rows
 * with eight values of two vectors.
 *
 * A register of four sums belongs to rows 2p and 2p + 1 and vectors 2v and 2v + 1:
 *     (row 2p, vector 2v) (row 2p, vector 2v + 1) (row 2p + 1, vector 2v) (row 2p + 1, vector 2v +
 * 1) so scales of rows lie in the panel twice each, and those of vectors are taken in the order v,
 * v + 1, v, v + 1.
 */
#ifndef MATH_NEON_PAIRS_H
#define MATH_NEON_PAIRS_H

#include "math/neon_direct.h"

enum {
    TILE = 4,
    TILE_PAIRS = TILE / 2,
    STRIP_BANDS = 2,
    STRIP_ROWS = STRIP_BANDS * BAND,
    STRIP_PAIRS = STRIP_ROWS / 2,
    PANEL_BLOCKS = 16,
    OCTETS = QUANT_BLOCK / 8,
};

/* 32 weights of each of eight rows. */
struct strip {
    int8x16_t weight[OCTETS][STRIP_PAIRS];
    float32x4_t scale[STRIP_PAIRS], minimum[STRIP_PAIRS];
    int32x4_t part[PARTS][STRIP_PAIRS], minimum_part[PARTS][STRIP_PAIRS];
};

/* 32 values of two vectors. */
struct vector_pair {
    int8x16_t x[OCTETS];
    float32x4_t scale, sum;
    int32x4_t half[PARTS];
};

/* The vectors of a tile, from the panel's first block on. */
struct taken {
    struct vector_pair pair[PANEL_BLOCKS][TILE_PAIRS];
};

/* The lower and the upper eight bytes of `a` and `b`, side by side. */
NEON_INLINE void zip_octets(int8x16_t a, int8x16_t b, int8x16_t *low, int8x16_t *high)
{
    int64x2_t first = vreinterpretq_s64_s8(a), second = vreinterpretq_s64_s8(b);
    *low = vreinterpretq_s8_s64(vzip1q_s64(first, second));
    *high = vreinterpretq_s8_s64(vzip2q_s64(first, second));
}

NEON_INLINE void twice_float(float32x4_t rows, float32x4_t out[2])
{
    out[0] = vzip1q_f32(rows, rows);
    out[1] = vzip2q_f32(rows, rows);
}

NEON_INLINE void twice(int32x4_t rows, int32x4_t out[2])
{
    out[0] = vzip1q_s32(rows, rows);
    out[1] = vzip2q_s32(rows, rows);
}

NEON_INLINE void strip_store(struct shape shape, const struct block block[STRIP_BANDS],
                             struct strip *out)
{
    for (int r = 0; r < STRIP_BANDS; r++) {
        const struct block *from = block + r;
        for (int part = 0; part < PARTS; part++)
            for (int i = 0; i < 2; i++)
                zip_octets(from->weight[2 * i][part], from->weight[2 * i + 1][part],
                           &out->weight[2 * part][2 * r + i],
                           &out->weight[2 * part + 1][2 * r + i]);
        twice_float(from->scale, out->scale + 2 * r);
        if (shape.has_minimum)
            twice_float(from->minimum, out->minimum + 2 * r);
        for (int part = 0; shape.has_parts && part < PARTS; part++) {
            twice(from->part[part], out->part[part] + 2 * r);
            if (shape.has_minimum)
                twice(from->minimum_part[part], out->minimum_part[part] + 2 * r);
        }
    }
}

NEON_INLINE void take_pair(const struct activation_block *a, const struct activation_block *b,
                           struct vector_pair *out)
{
    const float scale[4] = {a->scale, b->scale, a->scale, b->scale};
    const float sum[4] = {a->sum, b->sum, a->sum, b->sum};
    out->scale = vld1q_f32(scale);
    out->sum = vld1q_f32(sum);
    for (int part = 0; part < PARTS; part++) {
        const int32_t half[4] = {a->half[part], b->half[part], a->half[part], b->half[part]};
        out->half[part] = vld1q_s32(half);
        zip_octets(vld1q_s8(a->q + part * QUANT_PART), vld1q_s8(b->q + part * QUANT_PART),
                   out->x + 2 * part, out->x + 2 * part + 1);
    }
}

/* A pair that lacks its second vector repeats the first. */
NEON_INLINE void take(const struct product *product, size_t first, size_t blocks, int32_t vector,
                      int count, struct taken *out)
{
    for (int n = 0; n < count; n += 2) {
        const struct activation_block *a = vector_of(product, vector + n) + first;
        const struct activation_block *b = n + 1 < count ? a + product->activations->blocks : a;
        for (size_t i = 0; i < blocks; i++)
            take_pair(a + i, b + i, &out->pair[i][n / 2]);
    }
}

/* Half of the block: sums continued. */
NEON_INLINE void multiply_part(const struct strip *strip, const struct vector_pair *x, int pairs,
                               int part, int32x4_t sum[STRIP_PAIRS][TILE_PAIRS])
{
#pragma GCC unroll 2
    for (int octet = 2 * part; octet < 2 * part + 2; octet++)
#pragma GCC unroll 4
        for (int p = 0; p < STRIP_PAIRS; p++)
#pragma GCC unroll 2
            for (int v = 0; v < pairs; v++)
                sum[p][v] = vmmlaq_s32(sum[p][v], strip->weight[octet][p], x[v].x[octet]);
}

/* The exact integer sums of the tile. */
NEON_INLINE void tile_sums(struct shape shape, const struct strip *strip,
                           const struct vector_pair *x, int pairs,
                           int32x4_t sum[STRIP_PAIRS][TILE_PAIRS])
{
    int32x4_t second[STRIP_PAIRS][TILE_PAIRS];
#pragma GCC unroll 4
    for (int p = 0; p < STRIP_PAIRS; p++)
#pragma GCC unroll 2
        for (int v = 0; v < pairs; v++)
            sum[p][v] = second[p][v] = vdupq_n_s32(0);
    multiply_part(strip, x, pairs, 0, sum);
    multiply_part(strip, x, pairs, 1, shape.has_parts ? second : sum);
    if (!shape.has_parts)
        return;
#pragma GCC unroll 4
    for (int p = 0; p < STRIP_PAIRS; p++)
#pragma GCC unroll 2
        for (int v = 0; v < pairs; v++)
            sum[p][v] =
                vmlaq_s32(vmulq_s32(sum[p][v], strip->part[0][p]), second[p][v], strip->part[1][p]);
}

/* f continued by one block of two rows and two vectors: the canonical arithmetic. */
NEON_INLINE float32x4_t finish_pair(struct shape shape, const struct strip *w, int p,
                                    const struct vector_pair *x, int32x4_t sum, float32x4_t f)
{
    f = vfmaq_f32(f, vcvtq_f32_s32(sum), vmulq_f32(w->scale[p], x->scale));
    if (shape.has_minimum && shape.has_parts) {
        int32x4_t halves = vmulq_s32(w->minimum_part[0][p], x->half[0]);
        halves = vmlaq_s32(halves, w->minimum_part[1][p], x->half[1]);
        return vfmaq_f32(f, vcvtq_f32_s32(halves), vmulq_f32(w->minimum[p], x->scale));
    }
    return shape.has_minimum ? vfmaq_f32(f, x->sum, w->minimum[p]) : f;
}

/* The results of eight rows and two vectors: those of the vectors side by side, to pairs. */
NEON_INLINE void load_pairs(const float *y, size_t y_stride, int32_t rows, int count,
                            float32x4_t f[STRIP_BANDS * 2])
{
    for (int r = 0; r < STRIP_BANDS; r++) {
        float32x4_t first = load_rows(y + r * BAND, rows - r * BAND);
        float32x4_t second =
            count > 1 ? load_rows(y + y_stride + r * BAND, rows - r * BAND) : first;
        f[2 * r] = vzip1q_f32(first, second);
        f[2 * r + 1] = vzip2q_f32(first, second);
    }
}

NEON_INLINE void store_pairs(float *y, size_t y_stride, int32_t rows, int count,
                             const float32x4_t f[STRIP_BANDS * 2])
{
    for (int r = 0; r < STRIP_BANDS; r++) {
        store_rows(y + r * BAND, vuzp1q_f32(f[2 * r], f[2 * r + 1]), rows - r * BAND);
        if (count > 1)
            store_rows(y + y_stride + r * BAND, vuzp2q_f32(f[2 * r], f[2 * r + 1]),
                       rows - r * BAND);
    }
}

/* y of `rows` rows and `count` vectors continued by `blocks` blocks, or begun. */
NEON_INLINE void tile(struct shape shape, const struct strip *strip, const struct taken *taken,
                      size_t blocks, bool begin, float *y, size_t y_stride, int32_t rows, int count)
{
    const int pairs = (count + 1) / 2;
    float32x4_t f[TILE_PAIRS][STRIP_PAIRS];
    const struct vector_pair *x = taken->pair[0];
#pragma GCC unroll 2
    for (int v = 0; v < pairs; v++) {
        for (int p = 0; p < STRIP_PAIRS; p++)
            f[v][p] = vdupq_n_f32(0);
        if (!begin)
            load_pairs(y + (size_t)(2 * v) * y_stride, y_stride, rows, count - 2 * v, f[v]);
    }
    for (size_t b = 0; b < blocks; b++, strip++, x += TILE_PAIRS) {
        int32x4_t sum[STRIP_PAIRS][TILE_PAIRS];
        tile_sums(shape, strip, x, pairs, sum);
#pragma GCC unroll 2
        for (int v = 0; v < pairs; v++)
#pragma GCC unroll 4
            for (int p = 0; p < STRIP_PAIRS; p++)
                f[v][p] = finish_pair(shape, strip, p, x + v, sum[p][v], f[v][p]);
    }
#pragma GCC unroll 2
    for (int v = 0; v < pairs; v++)
        store_pairs(y + (size_t)(2 * v) * y_stride, y_stride, rows, count - 2 * v, f[v]);
}

#endif
