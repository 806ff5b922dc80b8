/* neon_direct.h - products with one vector: each block is unpacked and multiplied in registers.
 *
 * Four rows at a time.  Each row's sum runs along the row, in four lanes that three pairwise
 * additions join: integers, so that their order makes no difference, and no weight is ever moved
 * to another lane.
 */
#ifndef MATH_NEON_DIRECT_H
#define MATH_NEON_DIRECT_H

#include "math/multiply.h"
#include "math/neon_unpack.h"
#include "math/table.h"

NEON_INLINE const struct activation_block *vector_of(const struct product *product, int32_t n)
{
    return product->activations->block + (size_t)n * product->activations->blocks;
}

/* Rows row..row+3, of which those from row_end on repeat the last one. */
NEON_INLINE struct band band_of(const struct product *product, int32_t row)
{
    struct band band;
    for (int32_t i = 0; i < BAND; i++) {
        int32_t at = row + i < product->row_end ? row + i : product->row_end - 1;
        band.row[i] = product->matrix->data + (size_t)at * product->matrix->row_bytes;
    }
    return band;
}

/* Fetch the next `bytes` of what will be read two bands from now.  A band's rows are one run of
 * memory, so that every line is asked for once, and at least one band before its use. */
NEON_INLINE void prefetch(const uint8_t **ahead, size_t bytes)
{
    for (size_t line = 0; line < bytes; line += 64)
        __builtin_prefetch(*ahead + line);
    *ahead += bytes;
}

NEON_INLINE void store_rows(float *y, float32x4_t f, int32_t rows)
{
    float all[BAND];
    if (rows >= BAND) {
        vst1q_f32(y, f);
    } else if (rows > 0) {
        vst1q_f32(all, f);
        memcpy(y, all, (size_t)rows * sizeof *y);
    }
}

NEON_INLINE float32x4_t load_rows(const float *y, int32_t rows)
{
    float all[BAND] = {0};
    if (rows >= BAND)
        return vld1q_f32(y);
    if (rows > 0)
        memcpy(all, y, (size_t)rows * sizeof *y);
    return vld1q_f32(all);
}

/* sum + w . x in four parts.  Without SDOT two products are added in 16 bits, which hold them:
 * 2 * 128 * 127 = 32512. */
NEON_INLINE int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x)
{
#ifdef __ARM_FEATURE_DOTPROD
    return vdotq_s32(sum, w, x);
#else
    int16x8_t pairs = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(sum, vmlal_high_s8(pairs, w, x));
#endif
}

/* The sum of the four parts of each of four sums. */
NEON_INLINE int32x4_t joined(const int32x4_t sum[BAND])
{
    return vpaddq_s32(vpaddq_s32(sum[0], sum[1]), vpaddq_s32(sum[2], sum[3]));
}

/* The exact integer sums of four rows. */
NEON_INLINE int32x4_t row_sums(struct shape shape, const struct block *w,
                               const struct activation_block *a)
{
    int32x4_t first[BAND], second[BAND];
    const int8x16_t x0 = vld1q_s8(a->q), x1 = vld1q_s8(a->q + QUANT_PART);
#pragma GCC unroll 4
    for (int row = 0; row < BAND; row++) {
        first[row] = dot(vdupq_n_s32(0), w->weight[row][0], x0);
        second[row] = dot(shape.has_parts ? vdupq_n_s32(0) : first[row], w->weight[row][1], x1);
    }
    if (!shape.has_parts)
        return joined(second);
    return vmlaq_s32(vmulq_s32(joined(first), w->part[0]), joined(second), w->part[1]);
}

/* f continued by one block of four rows, from its exact integer sum: the canonical arithmetic. */
NEON_INLINE float32x4_t finish(struct shape shape, const struct block *w,
                               const struct activation_block *a, int32x4_t sum, float32x4_t f)
{
    f = vfmaq_f32(f, vcvtq_f32_s32(sum), vmulq_n_f32(w->scale, a->scale));
    if (shape.has_minimum && shape.has_parts) {
        int32x4_t halves = vmulq_n_s32(w->minimum_part[0], a->half[0]);
        halves = vmlaq_n_s32(halves, w->minimum_part[1], a->half[1]);
        return vfmaq_f32(f, vcvtq_f32_s32(halves), vmulq_n_f32(w->minimum, a->scale));
    }
    return shape.has_minimum ? vfmaq_n_f32(f, w->minimum, a->sum) : f;
}

/* Hide from the compiler that it has read any memory: it would keep the bytes that several blocks
 * of a super-block share in more registers than there are, and store and load these instead. */
NEON_INLINE void forget(void)
{
    __asm__ volatile("" ::: "memory");
}

NEON_INLINE void direct(enum tensor_type type, const struct product *product)
{
    const struct traits traits = traits_of[type];
    const size_t blocks = product->activations->blocks;
    for (int32_t row = product->row_begin; row < product->row_end; row += BAND) {
        const struct band band = band_of(product, row);
        const struct activation_block *a = vector_of(product, 0);
        const uint8_t *ahead = band.row[0] + 2 * BAND * product->matrix->row_bytes;
        float32x4_t f = vdupq_n_f32(0);
        for (size_t i = 0, at = 0; i < blocks; i += traits.unit_blocks, at += traits.unit_bytes) {
            struct header header;
            prefetch(&ahead, traits.unit_bytes * BAND);
            unpack_begin(type, &band, at, &header);
#pragma GCC unroll 8
            for (int b = 0; b < (int)traits.unit_blocks; b++, a++) {
                struct block block;
                if (b % 2 == 0)
                    forget();
                unpack(type, &band, at, &header, b, &block);
                f = finish(traits.shape, &block, a, row_sums(traits.shape, &block, a), f);
            }
        }
        store_rows(product->y + row, f, product->row_end - row);
    }
}

#endif
