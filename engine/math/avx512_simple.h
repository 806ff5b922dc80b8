/* avx512_simple.h - the formats whose blocks have 32 weights, see avx512_band.h. */
#ifndef MATH_AVX512_SIMPLE_H
#define MATH_AVX512_SIMPLE_H

#include "math/avx512_band.h"

AVX512_INLINE void unpack_nibbles(const struct place *place, size_t at, struct block *out, int r)
{
    __m512i q[4];
    transpose(place, at, q);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        out->u[j][r] = low_nibbles(q[j]);
        out->u[j + 4][r] = high_nibbles(q[j]);
    }
}

/* Four bits as bit 4 of four bytes, for every value of the four; all bytes larger by `by`. */
AVX512_INLINE __m512i fifth_bits(int by)
{
    const __m512i bits =
        _mm512_setr_epi32(0x00000000, 0x00000010, 0x00001000, 0x00001010, 0x00100000, 0x00100010,
                          0x00101000, 0x00101010, 0x10000000, 0x10000010, 0x10001000, 0x10001010,
                          0x10100000, 0x10100010, 0x10101000, 0x10101010);
    return _mm512_add_epi8(bits, bytes_of(by));
}

/* Nibbles at `at`, and bit k of each row's 32-bit word as the fifth bit of weight k.  vpermd looks
 * up four bits at a time and ignores the others; the table may raise the weights as well. */
AVX512_INLINE void unpack_five_bits(const struct place *place, size_t at, __m512i word,
                                    __m512i table, struct block *out, int r)
{
    __m512i q[4];
    transpose(place, at, q);
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++) {
        __m512i fifth = _mm512_permutexvar_epi32(_mm512_srli_epi32(word, 4 * j), table);
        __m512i nibbles = j < 4 ? q[j] : _mm512_srli_epi32(q[j - 4], 4);
        /* (nibbles & 15) | fifth */
        out->u[j][r] = _mm512_ternarylogic_epi32(nibbles, bytes_of(15), fifth, 0xea);
    }
}

/* Half of the power of two that the low byte of each lane stands for, as in quant.c. */
AVX512_INLINE __m512 half_powers(__m512i lanes)
{
    __m512i exponent = _mm512_and_si512(lanes, _mm512_set1_epi32(255));
    __m512i less = _mm512_sub_epi32(exponent, _mm512_set1_epi32(1));
    __m512i normal = _mm512_slli_epi32(less, 23);
    __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponent);
    __mmask16 is_normal = _mm512_cmpgt_epi32_mask(less, _mm512_setzero_si512());
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(is_normal, subnormal, normal));
}

/* Replace the nibbles of an unpacked block by what they stand for. */
AVX512_INLINE void look_up_block(const int8_t values[16], struct block *out, int r)
{
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++)
        out->u[j][r] = look_up(values, out->u[j][r]);
}

/* Add `by` to every weight of a block. */
AVX512_INLINE void raise_block(int by, struct block *out, int r)
{
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++)
        out->u[j][r] = _mm512_add_epi8(out->u[j][r], bytes_of(by));
}

AVX512_INLINE void unpack_simple(enum tensor_type type, const struct place *place,
                                 struct block *out, int r)
{
    __m512i head = gather(place, 0);
    out->scale[r] = type == TENSOR_MXFP4 ? half_powers(head) : low_half(head);
    if (type == TENSOR_Q4_1 || type == TENSOR_Q5_1)
        out->minimum[r] = high_half(head);
    if (type == TENSOR_Q8_0) {
        __m512i q[GROUPS];
        transpose(place, 2, q);
        transpose(place, 18, q + 4);
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++)
            out->u[j][r] = _mm512_xor_si512(q[j], bytes_of(RAISED_BY));
    } else if (type == TENSOR_Q4_0) {
        unpack_nibbles(place, 2, out, r);
        raise_block(RAISED_BY - 8, out, r);
    } else if (type == TENSOR_IQ4_NL) {
        unpack_nibbles(place, 2, out, r);
        look_up_block(quant_iq4_values, out, r);
    } else if (type == TENSOR_MXFP4) {
        unpack_nibbles(place, 1, out, r);
        look_up_block(quant_mxfp4_values, out, r);
    } else if (type == TENSOR_Q4_1) {
        unpack_nibbles(place, 4, out, r);
    } else if (type == TENSOR_Q5_0) { /* 0x70 + 16 is 0x80: the nibble fits below either */
        __m512i word = gather(place, 2);
        unpack_five_bits(place, 6, word, fifth_bits(RAISED_BY - 16), out, r);
    } else {
        unpack_five_bits(place, 8, gather(place, 4), fifth_bits(0), out, r);
    }
}

#endif
