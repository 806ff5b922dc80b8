/* neon_band.h - four weight rows, each unpacked along its length.
 *
 * A row's 32 weights are two registers of int8 with the format's offset taken off.  What belongs to
 * a row as a whole, its scale above all, lies in the row's lane of a register of four: a product
 * sums along the rows, joins the sums of four rows in one register, and goes on in lanes.
 *
 * No load reaches past the end of a row: each stays inside one block of its format.
 */
#ifndef MATH_NEON_BAND_H
#define MATH_NEON_BAND_H

#include "base/half.h"
#include "base/tensor.h"
#include "math/quant.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BAND = 4, PARTS = QUANT_BLOCK / QUANT_PART };

#define NEON_INLINE static inline __attribute__((always_inline, unused))

/* Four rows of a matrix; rows beyond the last one repeat it. */
struct band {
    const uint8_t *row[BAND];
};

/* What a product does besides sum and scale; a constant wherever it is used. */
struct shape {
    bool has_parts; /* a scale for each 16 weights */
    bool has_minimum;
};

/* 32 weights of each of four rows.  The members that a format does not have are never computed. */
struct block {
    int8x16_t weight[BAND][PARTS];
    float32x4_t scale, minimum;
    int32x4_t part[PARTS], minimum_part[PARTS];
};

/* The 16-bit floats at `at` of each row. */
NEON_INLINE float32x4_t halves_at(const struct band *band, size_t at)
{
    uint16x4_t halves = vdup_n_u16(load_16(band->row[0] + at));
    halves = vset_lane_u16(load_16(band->row[1] + at), halves, 1);
    halves = vset_lane_u16(load_16(band->row[2] + at), halves, 2);
    halves = vset_lane_u16(load_16(band->row[3] + at), halves, 3);
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
}

NEON_INLINE uint32_t load_32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* The 32-bit words at `at` of each row. */
NEON_INLINE uint32x4_t words_at(const struct band *band, size_t at)
{
    uint32x4_t words = vdupq_n_u32(load_32(band->row[0] + at));
    words = vsetq_lane_u32(load_32(band->row[1] + at), words, 1);
    words = vsetq_lane_u32(load_32(band->row[2] + at), words, 2);
    return vsetq_lane_u32(load_32(band->row[3] + at), words, 3);
}

/* The 16-bit floats in the low and in the high half of each word. */
NEON_INLINE float32x4_t low_halves(uint32x4_t words)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(words)));
}

NEON_INLINE float32x4_t high_halves(uint32x4_t words)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(words, 16)));
}

/* t[j] = word j of the 16 bytes at `at`, of four rows. */
NEON_INLINE void transpose(const struct band *band, size_t at, uint32x4_t t[4])
{
    uint32x4_t r0 = vreinterpretq_u32_u8(vld1q_u8(band->row[0] + at));
    uint32x4_t r1 = vreinterpretq_u32_u8(vld1q_u8(band->row[1] + at));
    uint32x4_t r2 = vreinterpretq_u32_u8(vld1q_u8(band->row[2] + at));
    uint32x4_t r3 = vreinterpretq_u32_u8(vld1q_u8(band->row[3] + at));
    uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(r0, r1));
    uint64x2_t b = vreinterpretq_u64_u32(vtrn2q_u32(r0, r1));
    uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(r2, r3));
    uint64x2_t d = vreinterpretq_u64_u32(vtrn2q_u32(r2, r3));
    t[0] = vreinterpretq_u32_u64(vtrn1q_u64(a, c));
    t[1] = vreinterpretq_u32_u64(vtrn1q_u64(b, d));
    t[2] = vreinterpretq_u32_u64(vtrn2q_u64(a, c));
    t[3] = vreinterpretq_u32_u64(vtrn2q_u64(b, d));
}

/* Byte j of each word, 0 to 3, and the same as a signed one. */
NEON_INLINE uint32x4_t byte_of(uint32x4_t words, int j)
{
    return words >> (uint32_t)(8 * j) & vdupq_n_u32(255);
}

NEON_INLINE int32x4_t signed_byte_of(uint32x4_t words, int j)
{
    return vreinterpretq_s32_u32(words << (uint32_t)(24 - 8 * j)) >> 24;
}

NEON_INLINE uint8x16_t low_nibbles(uint8x16_t bytes)
{
    return vandq_u8(bytes, vdupq_n_u8(15));
}

NEON_INLINE uint8x16_t high_nibbles(uint8x16_t bytes)
{
    return vshrq_n_u8(bytes, 4);
}

/* Each byte moved right by `bits`, or left by as many when that is negative. */
NEON_INLINE uint8x16_t moved(uint8x16_t bytes, int bits)
{
    return bits < 0 ? bytes << (uint8_t)-bits : bytes >> (uint8_t)bits;
}

NEON_INLINE int8x16_t less(uint8x16_t weights, int offset)
{
    return vsubq_s8(vreinterpretq_s8_u8(weights), vdupq_n_s8((int8_t)offset));
}

/* 16 bytes: low nibbles are weights 0..15, high ones 16..31. */
NEON_INLINE void nibbles(const uint8_t *from, uint8x16_t out[PARTS])
{
    uint8x16_t bytes = vld1q_u8(from);
    out[0] = low_nibbles(bytes);
    out[1] = high_nibbles(bytes);
}

#endif
