/* avx2_super.h - the formats whose blocks have 256 weights, eight blocks of 32: see avx2_band.h. */
#ifndef MATH_AVX2_SUPER_H
#define MATH_AVX2_SUPER_H

#include "math/avx2_band.h"

/* ---- Q4_K and Q5_K ---- */

/* Scales and minima of the eight blocks of Q4_K and Q5_K: the 6-bit fields of all rows at once. */
AVX2_INLINE void unpack_k_scales(const struct band *band, size_t at, struct block *out, int stride)
{
    const __m256i six = bytes_of(0x3f), top = bytes_of(0x30);
    __m256i head[4], scale[2], minimum[2];
    __m256 d, dmin;
    transpose(band, at, head);
    two_halves(head[0], &d, &dmin);
    dmin = _mm256_xor_ps(dmin, _mm256_set1_ps(-0.0f));
    scale[0] = _mm256_and_si256(head[1], six);
    minimum[0] = _mm256_and_si256(head[2], six);
    scale[1] =
        _mm256_or_si256(low_nibbles(head[3]), _mm256_and_si256(_mm256_srli_epi32(head[1], 2), top));
    minimum[1] = _mm256_or_si256(high_nibbles(head[3]),
                                 _mm256_and_si256(_mm256_srli_epi32(head[2], 2), top));
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
        const __m256i byte = _mm256_set1_epi32(255);
        __m256i s = _mm256_and_si256(_mm256_srli_epi32(scale[j / 4], j % 4 * 8), byte);
        __m256i m = _mm256_and_si256(_mm256_srli_epi32(minimum[j / 4], j % 4 * 8), byte);
        out[j * stride].scale = _mm256_mul_ps(d, _mm256_cvtepi32_ps(s));
        out[j * stride].minimum = _mm256_mul_ps(dmin, _mm256_cvtepi32_ps(m));
    }
}

/* Bit j of every byte as bit 4. */
AVX2_INLINE __m256i fifth_bit(__m256i bytes, int j)
{
    __m256i moved = j < 4 ? _mm256_slli_epi32(bytes, 4 - j) : _mm256_srli_epi32(bytes, j - 4);
    return _mm256_and_si256(moved, bytes_of(16));
}

AVX2_INLINE void unpack_k(enum tensor_type type, const struct band *band, size_t at,
                          struct block *out, int stride)
{
    __m256i high[GROUPS];
    size_t low = at + 16;
    unpack_k_scales(band, at, out, stride);
    if (type == TENSOR_Q5_K) {
        transpose(band, low, high);
        transpose(band, low + 16, high + 4);
        low += 32;
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        struct block *even = out + 2 * c * stride, *odd = even + stride;
        __m256i q[GROUPS];
        transpose(band, low + (size_t)c * 32, q);
        transpose(band, low + (size_t)c * 32 + 16, q + 4);
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++) {
            even->u[j] = low_nibbles(q[j]);
            odd->u[j] = high_nibbles(q[j]);
            if (type == TENSOR_Q5_K) {
                even->u[j] = _mm256_or_si256(even->u[j], fifth_bit(high[j], 2 * c));
                odd->u[j] = _mm256_or_si256(odd->u[j], fifth_bit(high[j], 2 * c + 1));
            }
        }
    }
}

/* ---- formats with a scale for each 16 weights ---- */

/* Sign-extended bytes `low` and `high` of each lane as its two int16. */
AVX2_INLINE __m256i two_bytes(__m256i lanes, int low, int high)
{
    const __m256i first =
        _mm256_setr_epi8(-1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1, 0, -1, 0, -1,
                         4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12);
    __m256i add = _mm256_set1_epi32(high << 24 | low << 8);
    return _mm256_srai_epi16(_mm256_shuffle_epi8(lanes, _mm256_or_si256(first, add)), 8);
}

/* The scales of both halves of a block from bytes `first` and `first` + 1. */
AVX2_INLINE void set_parts(__m256i scales, int first, struct block *out)
{
    out->part[0] = two_bytes(scales, first, first);
    out->part[1] = two_bytes(scales, first + 1, first + 1);
    out->parts = two_bytes(scales, first, first + 1);
}

/* One half (128 weights, four blocks) of a Q6_K block: bit pair j of each byte of `high`. */
AVX2_INLINE void unpack_q6_k_half(const struct band *band, size_t low, size_t high,
                                  struct block *out, int stride)
{
    const __m256i top = bytes_of(0x30);
    for (int c = 0; c < 2; c++) { /* 16 of the 32 weights of each block */
        __m256i first[4], second[4], pairs[4];
        transpose(band, low + (size_t)c * 16, first);
        transpose(band, low + (size_t)c * 16 + 32, second);
        transpose(band, high + (size_t)c * 16, pairs);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            int j = 4 * c + i;
            __m256i p0 = _mm256_and_si256(_mm256_slli_epi16(pairs[i], 4), top);
            __m256i p1 = _mm256_and_si256(_mm256_slli_epi16(pairs[i], 2), top);
            __m256i p2 = _mm256_and_si256(pairs[i], top);
            __m256i p3 = _mm256_and_si256(_mm256_srli_epi16(pairs[i], 2), top);
            out[0].u[j] = _mm256_or_si256(low_nibbles(first[i]), p0);
            out[stride].u[j] = _mm256_or_si256(low_nibbles(second[i]), p1);
            out[2 * stride].u[j] = _mm256_or_si256(high_nibbles(first[i]), p2);
            out[3 * stride].u[j] = _mm256_or_si256(high_nibbles(second[i]), p3);
        }
    }
}

AVX2_INLINE void unpack_q6_k(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i scales[4], tail[4];
    transpose(band, at + 192, scales);
    transpose(band, at + 194, tail); /* ends with the block: its last 16 bits are d */
    __m256 d = low_half(_mm256_srli_epi32(tail[3], 16));
    unpack_q6_k_half(band, at, at + 128, out, stride);
    unpack_q6_k_half(band, at + 64, at + 160, out + 4 * stride, stride);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        out[b * stride].scale = d;
        set_parts(scales[b / 2], b % 2 * 2, out + b * stride);
    }
}

/* Bit pair i of every byte. */
AVX2_INLINE __m256i bit_pair(__m256i bytes, int i)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 2 * i), bytes_of(3));
}

/* 64 bytes of bit pairs: pair i of each byte of half h is block 4h + i. */
AVX2_INLINE void unpack_bit_pairs(const struct band *band, size_t at, struct block *out, int stride)
{
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) { /* 16 bytes: half the weights of each of four blocks */
        __m256i q[4];
        transpose(band, at + (size_t)c * 16, q);
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                out[(c / 2 * 4 + b) * stride].u[c % 2 * 4 + i] = bit_pair(q[i], b);
    }
}

AVX2_INLINE void unpack_q2_k(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i scales[4], tail[4];
    __m256 d, dmin;
    transpose(band, at, scales);
    transpose(band, at + 68, tail); /* ends with the block: its last dword is d and dmin */
    two_halves(tail[3], &d, &dmin);
    dmin = _mm256_xor_ps(dmin, _mm256_set1_ps(-0.0f));
    unpack_bit_pairs(band, at + 16, out, stride);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        int first = b % 2 * 2;
        struct block *block = out + b * stride;
        set_parts(low_nibbles(scales[b / 2]), first, block);
        block->parts = two_bytes(high_nibbles(scales[b / 2]), first, first + 1);
        block->scale = d;
        block->minimum = dmin;
    }
}

/* The sixteen 6-bit scales of Q3_K, 32 taken off: byte i of dword c is scale 4c + i. */
AVX2_INLINE void unpack_q3_k_scales(const __m256i tail[4], __m256i scales[4])
{
    __m256i packed[3]; /* the 12 bytes that start in the middle of the first dword */
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++)
        packed[i] =
            _mm256_or_si256(_mm256_srli_epi32(tail[i], 16), _mm256_slli_epi32(tail[i + 1], 16));
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m256i low = c < 2 ? low_nibbles(packed[c]) : high_nibbles(packed[c - 2]);
        __m256i high = _mm256_slli_epi16(bit_pair(packed[2], c), 4);
        scales[c] = _mm256_sub_epi8(_mm256_or_si256(low, high), bytes_of(32));
    }
}

AVX2_INLINE void unpack_q3_k(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i third[GROUPS], scales[4], tail[4];
    transpose(band, at + 94, tail); /* ends with the block: 2 bytes, the scales, d */
    unpack_q3_k_scales(tail, scales);
    __m256 d = low_half(_mm256_srli_epi32(tail[3], 16));
    transpose(band, at, third);
    transpose(band, at + 16, third + 4);
    unpack_bit_pairs(band, at + 32, out, stride);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        struct block *block = out + b * stride;
        set_parts(scales[b / 2], b % 2 * 2, block);
        block->scale = d;
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++) {
            __m256i bit =
                b < 2 ? _mm256_slli_epi16(third[j], 2 - b) : _mm256_srli_epi16(third[j], b - 2);
            block->u[j] = _mm256_or_si256(block->u[j], _mm256_and_si256(bit, bytes_of(4)));
        }
    }
}

/* ---- formats with signed weights ---- */

AVX2_INLINE void unpack_q8_k(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i head[4];
    transpose(band, at, head);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        out[b * stride].scale = _mm256_castsi256_ps(head[0]);
        transpose(band, at + 4 + (size_t)b * 32, out[b * stride].u);
        transpose(band, at + 20 + (size_t)b * 32, out[b * stride].u + 4);
    }
}

AVX2_INLINE void unpack_iq4_xs(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i head[4]; /* d, 16 bits of high pairs, 32 bits of low nibbles */
    transpose(band, at, head);
    __m256 d = low_half(head[0]);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        struct block *block = out + b * stride;
        __m256i low = _mm256_and_si256(_mm256_srli_epi32(head[1], 4 * b), _mm256_set1_epi32(15));
        __m256i high =
            _mm256_and_si256(_mm256_srli_epi32(head[0], 16 + 2 * b), _mm256_set1_epi32(3));
        __m256i scale = _mm256_or_si256(low, _mm256_slli_epi32(high, 4));
        scale = _mm256_sub_epi32(scale, _mm256_set1_epi32(32));
        block->scale = _mm256_mul_ps(d, _mm256_cvtepi32_ps(scale));
        unpack_nibbles(band, at + 8 + (size_t)b * 16, block);
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++)
            block->u[j] = look_up(quant_iq4_values, 0, block->u[j]);
    }
}

/* ---- ternary formats ---- */

AVX2_INLINE void unpack_tq2_0(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i tail[4];
    transpose(band, at + 50, tail); /* ends with the block: its last 16 bits are d */
    __m256 d = low_half(_mm256_srli_epi32(tail[3], 16));
    unpack_bit_pairs(band, at, out, stride);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++)
        out[b * stride].scale = d;
}

/* The first digit of base 3 of each fraction of 256; multiplies the fraction by 3. */
AVX2_INLINE __m256i next_digit(__m256i *fraction)
{
    __m256i one = _mm256_cmpeq_epi8(_mm256_max_epu8(*fraction, bytes_of(86)), *fraction);
    __m256i two = _mm256_cmpeq_epi8(_mm256_max_epu8(*fraction, bytes_of(171)), *fraction);
    *fraction = _mm256_add_epi8(*fraction, _mm256_add_epi8(*fraction, *fraction));
    return _mm256_abs_epi8(_mm256_add_epi8(one, two));
}

/* 32 bytes hold digit i of each weight of block i, 0 to 4; 16 bytes the five runs of 16 weights
 * that follow, 4 bytes the last four runs of 4. */
AVX2_INLINE void unpack_tq1_0(const struct band *band, size_t at, struct block *out, int stride)
{
    __m256i first[GROUPS], second[4], tail[4];
    transpose(band, at, first);
    transpose(band, at + 16, first + 4);
    transpose(band, at + 32, second);
    transpose(band, at + 38, tail); /* ends with the block: 10 bytes, the last digits, d */
    __m256i third = _mm256_or_si256(_mm256_srli_epi32(tail[2], 16), _mm256_slli_epi32(tail[3], 16));
    __m256 d = low_half(_mm256_srli_epi32(tail[3], 16));
#pragma GCC unroll 5
    for (int run = 0; run < 5; run++) {
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++)
            out[run * stride].u[j] = next_digit(first + j);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            out[(5 + run / 2) * stride].u[run % 2 * 4 + j] = next_digit(second + j);
        if (run < 4)
            out[7 * stride].u[4 + run] = next_digit(&third);
    }
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++)
        out[b * stride].scale = d;
}

#endif
