/* avx2_simple.h - the formats whose blocks have 32 weights, see avx2_band.h. */
#ifndef MATH_AVX2_SIMPLE_H
#define MATH_AVX2_SIMPLE_H

#include "math/avx2_band.h"

/* Bit k of each row's 32-bit word becomes bit 4 of weight k.  A byte of the word is spread over
 * four bytes, each keeps one bit, and a table of 16 bytes turns 1, 2, 4 and 8 into 16. */
AVX2_INLINE void merge_fifth_bits(__m256i word, struct block *out)
{
    const __m256i keep = _mm256_set1_epi32(0x08040201);
    const __m256i table = _mm256_setr_epi8(0, 16, 16, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0,
                                           16, 16, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0);
    const __m256i first = _mm256_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0, 0,
                                           0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m256i spread = _mm256_shuffle_epi8(word, _mm256_add_epi8(first, bytes_of(j)));
        __m256i even = _mm256_and_si256(spread, keep);
        __m256i odd = _mm256_and_si256(_mm256_srli_epi16(spread, 4), keep);
        out->u[2 * j] = _mm256_or_si256(out->u[2 * j], _mm256_shuffle_epi8(table, even));
        out->u[2 * j + 1] = _mm256_or_si256(out->u[2 * j + 1], _mm256_shuffle_epi8(table, odd));
    }
}

/* Half of the power of two that the low byte of each lane stands for, as in quant.c. */
AVX2_INLINE __m256 half_powers(__m256i lanes)
{
    __m256i exponent = _mm256_and_si256(lanes, _mm256_set1_epi32(255));
    __m256i less = _mm256_sub_epi32(exponent, _mm256_set1_epi32(1));
    __m256i normal = _mm256_slli_epi32(less, 23);
    __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponent);
    __m256i is_normal = _mm256_cmpgt_epi32(less, _mm256_setzero_si256());
    return _mm256_castsi256_ps(_mm256_blendv_epi8(subnormal, normal, is_normal));
}

/* Replace the nibbles of an unpacked block by what they stand for. */
AVX2_INLINE void look_up_block(const int8_t values[16], int by, struct block *out)
{
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++)
        out->u[j] = look_up(values, by, out->u[j]);
}

AVX2_INLINE void unpack_simple(enum tensor_type type, const struct band *band, size_t at,
                               struct block *out)
{
    __m256i head[4]; /* the parts that a format does not use are never computed */
    transpose(band, at, head);
    if (type == TENSOR_Q4_1 || type == TENSOR_Q5_1)
        two_halves(head[0], &out->scale, &out->minimum);
    else if (type == TENSOR_MXFP4)
        out->scale = half_powers(head[0]);
    else
        out->scale = low_half(head[0]);
    if (type == TENSOR_Q8_0) {
        transpose(band, at + 2, out->u);
        transpose(band, at + 18, out->u + 4);
    } else if (type == TENSOR_Q4_0) {
        unpack_nibbles(band, at + 2, out);
    } else if (type == TENSOR_IQ4_NL) {
        unpack_nibbles(band, at + 2, out);
        look_up_block(quant_iq4_values, 0, out);
    } else if (type == TENSOR_MXFP4) {
        unpack_nibbles(band, at + 1, out);
        look_up_block(quant_mxfp4_values, MXFP4_OFFSET, out);
    } else if (type == TENSOR_Q4_1) {
        unpack_nibbles(band, at + 4, out);
    } else if (type == TENSOR_Q5_0) { /* the word lies across dwords 0 and 1 */
        unpack_nibbles(band, at + 6, out);
        merge_fifth_bits(
            _mm256_or_si256(_mm256_srli_epi32(head[0], 16), _mm256_slli_epi32(head[1], 16)), out);
    } else {
        unpack_nibbles(band, at + 8, out);
        merge_fifth_bits(head[1], out);
    }
}

#endif
