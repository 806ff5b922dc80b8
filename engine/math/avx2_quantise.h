/* avx2_quantise.h - vectors to int8 in groups of 32, with AVX2; included by each implementation for
 * x86, whose products take far longer. */
#ifndef MATH_AVX2_QUANTISE_H
#define MATH_AVX2_QUANTISE_H

#include "base/half.h"
#include "math/table.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

static void quantise_block(struct activation_block *out, const float *x)
{
    const __m256i sign = _mm256_set1_epi32(0x7fffffff);
    __m256 in[4];
    __m256i most = _mm256_setzero_si256(), q[4];
    for (int i = 0; i < 4; i++) {
        in[i] = _mm256_loadu_ps(x + 8 * i);
        most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(in[i]), sign));
    }
    __m128i half = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    uint32_t bits = (uint32_t)_mm_cvtsi128_si32(half);
    float amax = float_of_bits(bits);
    if (bits >= 0x7f800000 || amax < 0x1p-100f) {
        memset(out, 0, sizeof *out);
        out->scale = out->sum = bits >= 0x7f800000 ? NAN : 0;
        return;
    }
    const __m256 inverse = _mm256_set1_ps(127.0f / amax);
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(in[i], inverse));
    __m256i sums = _mm256_hadd_epi32(_mm256_add_epi32(q[0], q[1]), _mm256_add_epi32(q[2], q[3]));
    half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    half = _mm_hadd_epi32(half, half);
    out->half[0] = (int16_t)_mm_extract_epi32(half, 0);
    out->half[1] = (int16_t)_mm_extract_epi32(half, 1);
    out->scale = amax / 127.0f;
    out->sum = (float)(out->half[0] + out->half[1]) * out->scale;
    out->start = -128 * (out->half[0] + out->half[1]);
    __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)out->q, bytes);
}

static void quantise(struct activation_block *out, const float *x, int32_t width)
{
    for (int32_t b = 0; b < width / QUANT_BLOCK; b++)
        quantise_block(out + b, x + (size_t)b * QUANT_BLOCK);
}

#endif
