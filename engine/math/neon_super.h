/* neon_super.h - the formats whose blocks have 256 weights, eight blocks of 32: see neon_band.h. */
#ifndef MATH_NEON_SUPER_H
#define MATH_NEON_SUPER_H

#include "math/neon_band.h"

enum { SUPER_BLOCKS = 8 };

/* What a super-block says of its eight blocks. */
struct header {
    float32x4_t scale[SUPER_BLOCKS], minimum[SUPER_BLOCKS]; /* formats with parts: the first */
    uint32x4_t part[4], minimum_part[4]; /* a byte for each 16 weights, in their order */
};

/* The 6-bit scales and minima of Q4_K and Q5_K, of four rows at once. */
NEON_INLINE void k_header(const struct band *band, size_t at, struct header *out)
{
    const uint32x4_t six = vdupq_n_u32(0x3f3f3f3f), top = vdupq_n_u32(0x30303030);
    const uint32x4_t four = vdupq_n_u32(0x0f0f0f0f);
    uint32x4_t head[4], scale[2], minimum[2];
    transpose(band, at, head);
    float32x4_t d = low_halves(head[0]), dmin = vnegq_f32(high_halves(head[0]));
    scale[0] = head[1] & six;
    minimum[0] = head[2] & six;
    scale[1] = (head[3] & four) | (head[1] >> 2 & top);
    minimum[1] = (head[3] >> 4 & four) | (head[2] >> 2 & top);
#pragma GCC unroll 8
    for (int b = 0; b < SUPER_BLOCKS; b++) {
        out->scale[b] = vmulq_f32(d, vcvtq_f32_u32(byte_of(scale[b / 4], b % 4)));
        out->minimum[b] = vmulq_f32(dmin, vcvtq_f32_u32(byte_of(minimum[b / 4], b % 4)));
    }
}

/* d, 16 bits of the scales' high pairs, 32 bits of their low nibbles. */
NEON_INLINE void iq4_xs_header(const struct band *band, size_t at, struct header *out)
{
    const uint32x4_t head = words_at(band, at), nibble = words_at(band, at + 4);
#pragma GCC unroll 8
    for (int b = 0; b < SUPER_BLOCKS; b++) {
        uint32x4_t low = nibble >> (uint32_t)(4 * b) & vdupq_n_u32(15);
        uint32x4_t high = head >> (uint32_t)(16 + 2 * b) & vdupq_n_u32(3);
        int32x4_t scale = vreinterpretq_s32_u32((low | high << 4) - vdupq_n_u32(32));
        out->scale[b] = vmulq_f32(low_halves(head), vcvtq_f32_s32(scale));
    }
}

NEON_INLINE void q2_k_header(const struct band *band, size_t at, struct header *out)
{
    const uint32x4_t four = vdupq_n_u32(0x0f0f0f0f), both = words_at(band, at + 80);
    out->scale[0] = low_halves(both);
    out->minimum[0] = vnegq_f32(high_halves(both));
    transpose(band, at, out->part);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        out->minimum_part[i] = out->part[i] >> 4 & four;
        out->part[i] &= four;
    }
}

/* Sixteen scales of 6 bits, 32 taken off: two words of low nibbles, one of high pairs. */
NEON_INLINE void q3_k_header(const struct band *band, size_t at, struct header *out)
{
    const uint32x4_t four = vdupq_n_u32(0x0f0f0f0f), two = vdupq_n_u32(0x03030303);
    const uint32x4_t low[2] = {words_at(band, at + 96), words_at(band, at + 100)};
    const uint32x4_t high = words_at(band, at + 104);
    out->scale[0] = halves_at(band, at + 108);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        uint32x4_t six =
            (low[i % 2] >> (uint32_t)(i / 2 * 4) & four) | (high >> (uint32_t)(2 * i) & two) << 4;
        out->part[i] = vreinterpretq_u32_s8(less(vreinterpretq_u8_u32(six), 32));
    }
}

NEON_INLINE void unpack_header(enum tensor_type type, const struct band *band, size_t at,
                               struct header *out)
{
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K) {
        k_header(band, at, out);
    } else if (type == TENSOR_IQ4_XS) {
        iq4_xs_header(band, at, out);
    } else if (type == TENSOR_Q2_K) {
        q2_k_header(band, at, out);
    } else if (type == TENSOR_Q3_K) {
        q3_k_header(band, at, out);
    } else if (type == TENSOR_Q6_K) {
        out->scale[0] = halves_at(band, at + 208);
        transpose(band, at + 192, out->part);
    } else if (type == TENSOR_Q8_K) {
        out->scale[0] = vreinterpretq_f32_u32(words_at(band, at));
    } else {
        out->scale[0] = halves_at(band, at + 64); /* TQ2_0 */
    }
}

/* Bit pairs: that of block b in each of the 32 bytes of its half. */
NEON_INLINE uint8x16_t bit_pairs(const uint8_t *from, int b)
{
    return moved(vld1q_u8(from + b / 4 * 32), b % 4 * 2) & vdupq_n_u8(3);
}

NEON_INLINE int8x16_t q3_k_weights(const uint8_t *from, int b, int part)
{
    const uint8_t *high = from + part * QUANT_PART;
    uint8x16_t third = vtstq_u8(vld1q_u8(high), vdupq_n_u8((uint8_t)(1 << b)));
    uint8x16_t pair = bit_pairs(from + 32 + part * QUANT_PART, b);
    return vreinterpretq_s8_u8(vsubq_u8(pair, vbicq_u8(vdupq_n_u8(4), third))); /* 4 less */
}

NEON_INLINE int8x16_t k_weights(enum tensor_type type, const uint8_t *from, int b, int part)
{
    const uint8_t *high = from + 16 + part * QUANT_PART;
    const uint8_t *low = high + (type == TENSOR_Q5_K ? 32 : 0) + b / 2 * 32;
    uint8x16_t bytes = vld1q_u8(low);
    bytes = b % 2 ? high_nibbles(bytes) : low_nibbles(bytes);
    if (type == TENSOR_Q5_K)
        bytes |= moved(vld1q_u8(high), b - 4) & vdupq_n_u8(16);
    return vreinterpretq_s8_u8(bytes);
}

NEON_INLINE int8x16_t q6_k_weights(const uint8_t *from, int b, int part)
{
    const uint8_t *low = from + b / 4 * 64 + b % 2 * 32 + part * QUANT_PART;
    const uint8_t *high = from + 128 + b / 4 * 32 + part * QUANT_PART;
    uint8x16_t bytes = vld1q_u8(low);
    bytes = b % 4 / 2 ? high_nibbles(bytes) : low_nibbles(bytes);
    return less(bytes | (moved(vld1q_u8(high), b % 4 * 2 - 4) & vdupq_n_u8(0x30)), 32);
}

/* 16 weights of block b, the first ones or the last, of the super-block at `from`. */
NEON_INLINE int8x16_t super_weights(enum tensor_type type, const uint8_t *from, int b, int part)
{
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K)
        return k_weights(type, from, b, part);
    if (type == TENSOR_Q6_K)
        return q6_k_weights(from, b, part);
    if (type == TENSOR_Q3_K)
        return q3_k_weights(from, b, part);
    if (type == TENSOR_Q2_K)
        return vreinterpretq_s8_u8(bit_pairs(from + 16 + part * QUANT_PART, b));
    if (type == TENSOR_TQ2_0)
        return less(bit_pairs(from + part * QUANT_PART, b), 1);
    if (type == TENSOR_Q8_K)
        return vreinterpretq_s8_u8(vld1q_u8(from + 4 + b * QUANT_BLOCK + part * QUANT_PART));
    uint8x16_t codes = vld1q_u8(from + 8 + b * 16); /* IQ4_XS */
    return vqtbl1q_s8(vld1q_s8(quant_iq4_values), part ? high_nibbles(codes) : low_nibbles(codes));
}

/* Block b of the eight at byte `at` of the rows. */
NEON_INLINE void unpack_super(enum tensor_type type, struct shape shape, const struct band *band,
                              size_t at, const struct header *header, int b, struct block *out)
{
    const bool one = shape.has_parts || type == TENSOR_Q8_K || type == TENSOR_TQ2_0;
    out->scale = header->scale[one ? 0 : b];
    if (shape.has_minimum)
        out->minimum = header->minimum[one ? 0 : b];
    for (int part = 0; part < PARTS; part++) {
        const int i = b * PARTS + part;
        if (shape.has_parts)
            out->part[part] = signed_byte_of(header->part[i / 4], i % 4);
        if (shape.has_parts && shape.has_minimum)
            out->minimum_part[part] = signed_byte_of(header->minimum_part[i / 4], i % 4);
        for (int row = 0; row < BAND; row++)
            out->weight[row][part] = super_weights(type, band->row[row] + at, b, part);
    }
}

#endif
