/* avx512_super.h - the formats whose blocks have 256 weights, eight blocks of 32: see
 * avx512_band.h.  Each function unpacks block b of the band to out[b], band r of it. */
#ifndef MATH_AVX512_SUPER_H
#define MATH_AVX512_SUPER_H

#include "math/avx512_simple.h"

/* ---- Q4_K and Q5_K ---- */

/* The header of all rows: byte j % 4 of scale[j / 4] is that of block j. */
struct k_head {
    __m512 d, dmin; /* dmin with its sign changed */
    __m512i scale[2], minimum[2];
};

AVX512_INLINE struct k_head unpack_k_head(const struct place *place)
{
    const __m512i six = bytes_of(0x3f), top = bytes_of(0x30);
    __m512i head[4];
    transpose(place, 0, head);
    __m512i scale_high = _mm512_and_si512(_mm512_srli_epi32(head[1], 2), top);
    __m512i minimum_high = _mm512_and_si512(_mm512_srli_epi32(head[2], 2), top);
    return (struct k_head){
        .d = low_half(head[0]),
        .dmin = _mm512_sub_ps(_mm512_set1_ps(-0.0f), high_half(head[0])),
        .scale = {_mm512_and_si512(head[1], six),
                  _mm512_or_si512(low_nibbles(head[3]), scale_high)},
        .minimum = {_mm512_and_si512(head[2], six),
                    _mm512_or_si512(high_nibbles(head[3]), minimum_high)},
    };
}

/* d times byte j of eight. */
AVX512_INLINE __m512 k_scale(__m512 d, const __m512i bytes[2], int j)
{
    __m512i byte =
        _mm512_and_si512(_mm512_srli_epi32(bytes[j / 4], j % 4 * 8), _mm512_set1_epi32(255));
    return _mm512_mul_ps(d, _mm512_cvtepi32_ps(byte));
}

/* Weights of Q5_K: bit j of every byte of `high` above a nibble. */
AVX512_INLINE __m512i with_fifth_bit(__m512i nibbles, __m512i high, int j)
{
    __m512i moved = j < 4 ? _mm512_slli_epi32(high, 4 - j) : _mm512_srli_epi32(high, j - 4);
    return _mm512_and_si512(merge_nibbles(nibbles, moved), bytes_of(31));
}

/* Blocks 2c and 2c + 1 of the eight whose nibbles start at `low`; of Q4_K the odd one's weights
 * may stay in place, sixteen times as large. */
AVX512_INLINE void unpack_k_pair(enum tensor_type type, const struct place *place, size_t low,
                                 int c, const __m512i high[GROUPS], bool in_place,
                                 __m512i even[GROUPS], __m512i odd[GROUPS])
{
    __m512i q[GROUPS];
    transpose(place, low + (size_t)c * 32, q);
    transpose(place, low + (size_t)c * 32 + 16, q + 4);
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++)
        if (type == TENSOR_Q5_K) {
            even[j] = with_fifth_bit(q[j], high[j], 2 * c);
            odd[j] = with_fifth_bit(_mm512_srli_epi32(q[j], 4), high[j], 2 * c + 1);
        } else {
            even[j] = low_nibbles(q[j]);
            odd[j] = in_place ? high_nibbles_in_place(q[j]) : high_nibbles(q[j]);
        }
}

AVX512_INLINE void unpack_k(enum tensor_type type, const struct place *place, struct block *out,
                            int r)
{
    const struct k_head head = unpack_k_head(place);
    const size_t low = type == TENSOR_Q5_K ? 48 : 16;
    __m512i high[GROUPS] = {_mm512_setzero_si512()};
    if (type == TENSOR_Q5_K) {
        transpose(place, 16, high);
        transpose(place, 32, high + 4);
    }
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        out[b].scale[r] = k_scale(head.d, head.scale, b);
        out[b].minimum[r] = k_scale(head.dmin, head.minimum, b);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i even[GROUPS], odd[GROUPS];
        unpack_k_pair(type, place, low, c, high, false, even, odd);
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++) {
            out[2 * c].u[j][r] = even[j];
            out[2 * c + 1].u[j][r] = odd[j];
        }
    }
}

/* ---- formats with a scale for each 16 weights ---- */

/* Byte i of each lane, with its sign. */
AVX512_INLINE __m512 signed_byte(__m512i lanes, int i)
{
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(lanes, 24 - 8 * i), 24));
}

/* The scales of both halves of a block from bytes `first` and `first` + 1. */
AVX512_INLINE void set_parts(__m512i scales, int first, struct block *out, int r)
{
    out->part[0][r] = signed_byte(scales, first);
    out->part[1][r] = signed_byte(scales, first + 1);
}

/* 16 weights of each of four blocks of Q6_K: u[4b..4b+3] of block b, larger by 32. */
AVX512_INLINE void unpack_q6_k_quarter(const struct place *place, size_t low, size_t high,
                                       __m512i u[16])
{
    const __m512i six = bytes_of(0x3f);
    __m512i first[4], second[4], pairs[4];
    transpose(place, low, first);
    transpose(place, low + 32, second);
    transpose(place, high, pairs);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512i p0 = _mm512_slli_epi32(pairs[i], 4), p1 = _mm512_slli_epi32(pairs[i], 2);
        __m512i p3 = _mm512_srli_epi32(pairs[i], 2);
        __m512i third = _mm512_srli_epi32(first[i], 4), fourth = _mm512_srli_epi32(second[i], 4);
        u[i] = _mm512_and_si512(merge_nibbles(first[i], p0), six);
        u[4 + i] = _mm512_and_si512(merge_nibbles(second[i], p1), six);
        u[8 + i] = _mm512_and_si512(merge_nibbles(third, pairs[i]), six);
        u[12 + i] = _mm512_and_si512(merge_nibbles(fourth, p3), six);
    }
}

AVX512_INLINE void unpack_q6_k(const struct place *place, struct block *out, int r)
{
    __m512i scales[4];
    transpose(place, 192, scales);
    __m512 d = high_half(gather(place, 206)); /* the last 16 bits of the block */
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        out[b].scale[r] = d;
        set_parts(scales[b / 2], b % 2 * 2, out + b, r);
    }
    for (size_t c = 0; c < 4; c++) { /* half c % 2 of blocks 0..3 or 4..7 */
        __m512i u[16];
        unpack_q6_k_quarter(place, c / 2 * 64 + c % 2 * 16, 128 + c * 16, u);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++)
            out[c / 2 * 4 + i / 4].u[c % 2 * 4 + i % 4][r] = u[i];
    }
}

/* Bit pair i of every byte. */
AVX512_INLINE __m512i bit_pair(__m512i bytes, int i)
{
    return _mm512_and_si512(_mm512_srli_epi32(bytes, 2 * i), bytes_of(3));
}

/* 64 bytes of bit pairs, plus `by`: pair i of each byte of half h is block 4h + i. */
AVX512_INLINE void unpack_bit_pairs(const struct place *place, size_t at, int by, struct block *out,
                                    int r)
{
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) { /* 16 bytes: half the weights of each of four blocks */
        __m512i q[4];
        transpose(place, at + (size_t)c * 16, q);
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                out[c / 2 * 4 + b].u[c % 2 * 4 + i][r] =
                    _mm512_add_epi8(bit_pair(q[i], b), bytes_of(by));
    }
}

AVX512_INLINE void unpack_q2_k(const struct place *place, struct block *out, int r)
{
    __m512i scales[4];
    transpose(place, 0, scales);
    __m512i tail = gather(place, 80);
    __m512 d = low_half(tail), dmin = _mm512_sub_ps(_mm512_set1_ps(-0.0f), high_half(tail));
    unpack_bit_pairs(place, 16, 0, out, r);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        __m512i minima = _mm512_srli_epi32(high_nibbles(scales[b / 2]), b % 2 * 16);
        __m512i second =
            _mm512_and_si512(_mm512_slli_epi32(minima, 8), _mm512_set1_epi32(15 << 16));
        minima = _mm512_and_si512(minima, _mm512_set1_epi32(15));
        set_parts(low_nibbles(scales[b / 2]), b % 2 * 2, out + b, r);
        out[b].minima[r] = _mm512_or_si512(minima, second);
        out[b].scale[r] = d;
        out[b].minimum[r] = dmin;
    }
}

/* The sixteen 6-bit scales of Q3_K, 32 taken off: byte i of dword c is scale 4c + i. */
AVX512_INLINE void unpack_q3_k_scales(const __m512i tail[4], __m512i scales[4])
{
    __m512i packed[3]; /* the 12 bytes that start in the middle of the first dword */
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++)
        packed[i] =
            _mm512_or_si512(_mm512_srli_epi32(tail[i], 16), _mm512_slli_epi32(tail[i + 1], 16));
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i low = c < 2 ? low_nibbles(packed[c]) : high_nibbles(packed[c - 2]);
        __m512i high = _mm512_slli_epi32(bit_pair(packed[2], c), 4);
        scales[c] = _mm512_sub_epi8(_mm512_or_si512(low, high), bytes_of(32));
    }
}

AVX512_INLINE void unpack_q3_k(const struct place *place, struct block *out, int r)
{
    __m512i third[GROUPS], scales[4], tail[4];
    transpose(place, 94, tail); /* ends with the block: 2 bytes, the scales, d */
    unpack_q3_k_scales(tail, scales);
    __m512 d = high_half(tail[3]);
    transpose(place, 0, third);
    transpose(place, 16, third + 4);
    unpack_bit_pairs(place, 32, PART_RAISED_BY - 4, out, r);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        set_parts(scales[b / 2], b % 2 * 2, out + b, r);
        out[b].scale[r] = d;
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++) {
            __m512i bit =
                b < 2 ? _mm512_slli_epi32(third[j], 2 - b) : _mm512_srli_epi32(third[j], b - 2);
            bit = _mm512_and_si512(bit, bytes_of(4));
            out[b].u[j][r] = _mm512_add_epi8(out[b].u[j][r], bit);
        }
    }
}

/* ---- formats with signed weights ---- */

AVX512_INLINE void unpack_q8_k(const struct place *place, struct block *out, int r)
{
    __m512 d = _mm512_castsi512_ps(gather(place, 0));
    for (size_t c = 0; c < 16; c++) {
        __m512i q[4];
        transpose(place, 4 + c * 16, q);
        out[c / 2].scale[r] = d;
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            out[c / 2].u[c % 2 * 4 + i][r] = _mm512_xor_si512(q[i], bytes_of(RAISED_BY));
    }
}

AVX512_INLINE void unpack_iq4_xs(const struct place *place, struct block *out, int r)
{
    __m512i head[4]; /* d, 16 bits of high pairs, 32 bits of low nibbles */
    transpose(place, 0, head);
    __m512 d = low_half(head[0]);
#pragma GCC unroll 8
    for (int b = 0; b < 8; b++) {
        __m512i low = _mm512_and_si512(_mm512_srli_epi32(head[1], 4 * b), _mm512_set1_epi32(15));
        __m512i high =
            _mm512_and_si512(_mm512_srli_epi32(head[0], 16 + 2 * b), _mm512_set1_epi32(3));
        __m512i scale = _mm512_or_si512(low, _mm512_slli_epi32(high, 4));
        scale = _mm512_sub_epi32(scale, _mm512_set1_epi32(32));
        out[b].scale[r] = _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale));
    }
    for (size_t b = 0; b < 8; b++) {
        unpack_nibbles(place, 8 + b * 16, out + b, r);
        look_up_block(quant_iq4_values, out + b, r);
    }
}

/* ---- ternary formats ---- */

AVX512_INLINE void unpack_tq2_0(const struct place *place, struct block *out, int r)
{
    __m512 d = high_half(gather(place, 62)); /* the last 16 bits of the block */
    unpack_bit_pairs(place, 0, RAISED_BY - 1, out, r);
    for (int b = 0; b < 8; b++)
        out[b].scale[r] = d;
}

/* The first digit of base 3 of each fraction of 256, raised; multiplies the fraction by 3. */
AVX512_INLINE __m512i next_digit(__m512i *fraction)
{
    __mmask64 one = _mm512_cmpge_epu8_mask(*fraction, bytes_of(86));
    __mmask64 two = _mm512_cmpge_epu8_mask(*fraction, bytes_of(171));
    __m512i digit = _mm512_mask_blend_epi8(one, bytes_of(RAISED_BY - 1), bytes_of(RAISED_BY));
    *fraction = _mm512_add_epi8(*fraction, _mm512_add_epi8(*fraction, *fraction));
    return _mm512_mask_blend_epi8(two, digit, bytes_of(RAISED_BY + 1));
}

/* 32 bytes hold digit i of each weight of block i, 0 to 4; 16 bytes the five runs of 16 weights
 * that follow, 4 bytes the last four runs of 4. */
AVX512_INLINE void unpack_tq1_0(const struct place *place, struct block *out, int r)
{
    __m512i first[GROUPS], second[4], last = gather(place, 50);
    transpose(place, 0, first);
    transpose(place, 16, first + 4);
    transpose(place, 32, second);
    __m512i third = gather(place, 48);
    __m512 d = high_half(last);
#pragma GCC unroll 5
    for (int run = 0; run < 5; run++) {
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++)
            out[run].u[j][r] = next_digit(first + j);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            out[5 + run / 2].u[run % 2 * 4 + j][r] = next_digit(second + j);
        if (run < 4)
            out[7].u[4 + run][r] = next_digit(&third);
    }
    for (int b = 0; b < 8; b++)
        out[b].scale[r] = d;
}

#endif
