/* neon_simple.h - the formats whose blocks have 32 weights, see neon_band.h. */
#ifndef MATH_NEON_SIMPLE_H
#define MATH_NEON_SIMPLE_H

#include "math/neon_band.h"

/* All ones in the bytes of weights whose bit is set: bit k of the word is that of weight k. */
NEON_INLINE void fifth_bits(const uint8_t *from, uint8x16_t out[PARTS])
{
    static const uint8_t spread[QUANT_BLOCK] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                                2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    uint8x16_t word = vreinterpretq_u8_u32(vdupq_n_u32(load_32(from)));
    for (int part = 0; part < PARTS; part++)
        out[part] = vtstq_u8(vqtbl1q_u8(word, vld1q_u8(spread + part * QUANT_PART)), bit);
}

/* 4 bytes of fifth bits, 16 of nibbles. */
NEON_INLINE void unpack_five(const uint8_t *from, bool is_signed, int8x16_t weight[PARTS])
{
    uint8x16_t low[PARTS], fifth[PARTS];
    const uint8x16_t top = vdupq_n_u8(16);
    fifth_bits(from, fifth);
    nibbles(from + 4, low);
    for (int part = 0; part < PARTS; part++)
        weight[part] = vreinterpretq_s8_u8(
            is_signed ? vsubq_u8(low[part], vbicq_u8(top, fifth[part])) /* 16 less without it */
                      : vorrq_u8(low[part], vandq_u8(top, fifth[part])));
}

NEON_INLINE void unpack_codes(const uint8_t *from, const int8_t values[16], int8x16_t weight[PARTS])
{
    uint8x16_t code[PARTS];
    nibbles(from, code);
    for (int part = 0; part < PARTS; part++)
        weight[part] = vqtbl1q_s8(vld1q_s8(values), code[part]);
}

NEON_INLINE void unpack_four(const uint8_t *from, int offset, int8x16_t weight[PARTS])
{
    uint8x16_t low[PARTS];
    nibbles(from, low);
    for (int part = 0; part < PARTS; part++)
        weight[part] = less(low[part], offset);
}

/* The weights of one row, whose block starts at `from`. */
NEON_INLINE void unpack_simple_row(enum tensor_type type, const uint8_t *from,
                                   int8x16_t weight[PARTS])
{
    if (type == TENSOR_Q4_0) {
        unpack_four(from + 2, 8, weight);
    } else if (type == TENSOR_Q4_1) {
        unpack_four(from + 4, 0, weight);
    } else if (type == TENSOR_Q5_0) {
        unpack_five(from + 2, true, weight);
    } else if (type == TENSOR_Q5_1) {
        unpack_five(from + 4, false, weight);
    } else if (type == TENSOR_IQ4_NL) {
        unpack_codes(from + 2, quant_iq4_values, weight);
    } else if (type == TENSOR_MXFP4) {
        unpack_codes(from + 1, quant_mxfp4_values, weight);
    } else {
        weight[0] = vreinterpretq_s8_u8(vld1q_u8(from + 2));
        weight[1] = vreinterpretq_s8_u8(vld1q_u8(from + 18));
    }
}

/* Half of the power of two that the first byte of each row stands for, as in quant.c. */
NEON_INLINE float32x4_t half_powers(const struct band *band, size_t at)
{
    const uint32_t bytes[BAND] = {band->row[0][at], band->row[1][at], band->row[2][at],
                                  band->row[3][at]};
    uint32x4_t exponent = vld1q_u32(bytes);
    uint32x4_t normal = vshlq_n_u32(vsubq_u32(exponent, vdupq_n_u32(1)), 23);
    uint32x4_t subnormal = vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(exponent));
    uint32x4_t is_subnormal = vcltq_u32(exponent, vdupq_n_u32(2));
    return vreinterpretq_f32_u32(vbslq_u32(is_subnormal, subnormal, normal));
}

NEON_INLINE void unpack_simple(enum tensor_type type, const struct band *band, size_t at,
                               struct block *out)
{
    if (type == TENSOR_Q4_1 || type == TENSOR_Q5_1) {
        uint32x4_t both = words_at(band, at);
        out->scale = low_halves(both);
        out->minimum = high_halves(both);
    } else if (type == TENSOR_MXFP4) {
        out->scale = half_powers(band, at);
    } else {
        out->scale = halves_at(band, at);
    }
    for (int row = 0; row < BAND; row++)
        unpack_simple_row(type, band->row[row] + at, out->weight[row]);
}

#endif
