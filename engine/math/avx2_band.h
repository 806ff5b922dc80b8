/* avx2_band.h - eight weight rows, turned so that the rows lie in the lanes.
 *
 * After unpacking, dword lane r of u[j] holds the weights 4j..4j+3 of row r as bytes: what
 * vpmaddubsw wants when the dword of activations 4j..4j+3 is broadcast.  The bytes are transposed
 * before they are split into nibbles, which halves the shuffles.
 *
 * No load reaches past the end of a row: 16-byte loads stay inside one block of every format.
 */
#ifndef MATH_AVX2_BAND_H
#define MATH_AVX2_BAND_H

#include "base/tensor.h"
#include "math/quant.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { BAND = 8, GROUPS = 8, MXFP4_OFFSET = 12 };

#define AVX2_INLINE static inline __attribute__((always_inline))

/* Eight rows of a matrix; rows beyond the last one repeat it. */
struct band {
    const uint8_t *row[BAND];
};

/* 32 weights of each of eight rows. */
struct block {
    __m256i u[GROUPS]; /* unsigned with the format's offset in, or signed */
    __m256 scale;
    __m256 minimum;
    __m256i part[2]; /* formats with parts: int16 scale of 16 weights, twice in each lane */
    __m256i parts;   /* both int16 in each lane: the scales, of Q2_K the minima */
};

AVX2_INLINE __m256i bytes_of(int value)
{
    return _mm256_set1_epi8((char)value);
}

/* 16 bytes at `at` of rows i (low half) and i + 4 (high half). */
AVX2_INLINE __m256i two_rows(const struct band *band, size_t at, int i)
{
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(band->row[i] + at));
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(band->row[i + 4] + at));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* t[j] = dword j of the 16 bytes at `at`, for eight rows. */
AVX2_INLINE void transpose(const struct band *band, size_t at, __m256i t[4])
{
    __m256i r0 = two_rows(band, at, 0), r1 = two_rows(band, at, 1);
    __m256i r2 = two_rows(band, at, 2), r3 = two_rows(band, at, 3);
    __m256i a = _mm256_unpacklo_epi32(r0, r1), b = _mm256_unpackhi_epi32(r0, r1);
    __m256i c = _mm256_unpacklo_epi32(r2, r3), d = _mm256_unpackhi_epi32(r2, r3);
    t[0] = _mm256_unpacklo_epi64(a, c);
    t[1] = _mm256_unpackhi_epi64(a, c);
    t[2] = _mm256_unpacklo_epi64(b, d);
    t[3] = _mm256_unpackhi_epi64(b, d);
}

/* The f16 in the low and in the high half of each lane. */
AVX2_INLINE void two_halves(__m256i dwords, __m256 *low, __m256 *high)
{
    __m256i even = _mm256_and_si256(dwords, _mm256_set1_epi32(0xffff));
    __m256i packed = _mm256_packus_epi32(even, _mm256_srli_epi32(dwords, 16));
    packed = _mm256_permute4x64_epi64(packed, 0xd8);
    *low = _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
    *high = _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1));
}

AVX2_INLINE __m256 low_half(__m256i dwords)
{
    __m256i even = _mm256_and_si256(dwords, _mm256_set1_epi32(0xffff));
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(even, even), 0xd8);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

AVX2_INLINE __m256i low_nibbles(__m256i bytes)
{
    return _mm256_and_si256(bytes, bytes_of(15));
}

AVX2_INLINE __m256i high_nibbles(__m256i bytes)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), bytes_of(15));
}

/* The int8 that 4-bit codes stand for, plus `by`. */
AVX2_INLINE __m256i look_up(const int8_t values[16], int by, __m256i codes)
{
    __m128i table = _mm_loadu_si128((const __m128i *)(const void *)values);
    table = _mm_add_epi8(table, _mm_set1_epi8((char)by));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes);
}

/* Turn signed weights into magnitudes u, with their signs in a second block: `flips->u` has all
 * ones in each byte whose weight is negative.  As -x = ~x + 1, sum of w x = sum of u (x ^ flip) +
 * sum of the negative weights' magnitudes whose last term, int32 in `flips->parts`, does not depend
 * on x.  So a product costs an exclusive or, which any vector unit executes; vpsignb runs in the
 * two of the multiplications alone. */
AVX2_INLINE void take_signs(struct block *block, struct block *flips)
{
    __m256i pairs = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++) {
        __m256i w = block->u[j];
        flips->u[j] = _mm256_cmpgt_epi8(_mm256_setzero_si256(), w);
        block->u[j] = _mm256_abs_epi8(w);
        __m256i negative = _mm256_and_si256(block->u[j], flips->u[j]);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(negative, bytes_of(1)));
    }
    flips->parts = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

AVX2_INLINE void unpack_nibbles(const struct band *band, size_t at, struct block *out)
{
    __m256i q[4];
    transpose(band, at, q);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        out->u[j] = low_nibbles(q[j]);
        out->u[j + 4] = high_nibbles(q[j]);
    }
}

#endif
