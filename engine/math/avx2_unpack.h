/* avx2_unpack.h - blocks of eight weight rows, turned so that the rows lie in the lanes.
 *
 * After unpacking, dword lane r of u[j] holds the weights 4j..4j+3 of row r as bytes: what
 * vpmaddubsw wants when the dword of activations 4j..4j+3 is broadcast.  The bytes are transposed
 * before they are split into nibbles, which halves the shuffles.
 *
 * No load reaches past the end of a row: 16-byte loads stay inside one block of every format.
 */
#ifndef MATH_AVX2_UNPACK_H
#define MATH_AVX2_UNPACK_H

#include "base/tensor.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

enum { BAND = 8, GROUPS = 8, UNIT_BLOCKS_MAX = 8 };

#define AVX2_INLINE static inline __attribute__((always_inline))

/* Eight rows of a matrix; rows beyond the last one repeat it. */
struct band {
    const uint8_t *row[BAND];
};

/* 32 weights of each of eight rows. */
struct block {
    __m256i u[GROUPS]; /* unsigned with the format's offset in; signed for Q8_0 */
    __m256 scale;
    __m256 minimum;
    __m256i part[2]; /* Q6_K: int16 scale of 16 weights, twice in each lane */
    __m256i parts;   /* Q6_K: both scales in each lane */
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

/* The formats whose blocks have 32 weights. */
AVX2_INLINE void unpack_simple(enum tensor_type type, const struct band *band, size_t at,
                               struct block *out)
{
    __m256i head[4]; /* the parts that a format does not use are never computed */
    transpose(band, at, head);
    if (type == TENSOR_Q4_1 || type == TENSOR_Q5_1)
        two_halves(head[0], &out->scale, &out->minimum);
    else
        out->scale = low_half(head[0]);
    if (type == TENSOR_Q8_0) {
        transpose(band, at + 2, out->u);
        transpose(band, at + 18, out->u + 4);
    } else if (type == TENSOR_Q4_0) {
        unpack_nibbles(band, at + 2, out);
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

/* Sign-extended bytes `low` and `high` of each lane as its two int16. */
AVX2_INLINE __m256i two_bytes(__m256i lanes, int low, int high)
{
    const __m256i first =
        _mm256_setr_epi8(-1, 0, -1, 0, -1, 4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12, -1, 0, -1, 0, -1,
                         4, -1, 4, -1, 8, -1, 8, -1, 12, -1, 12);
    __m256i add = _mm256_set1_epi32(high << 24 | low << 8);
    return _mm256_srai_epi16(_mm256_shuffle_epi8(lanes, _mm256_or_si256(first, add)), 8);
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
        int first = b % 2 * 2;
        struct block *block = out + b * stride;
        block->scale = d;
        block->part[0] = two_bytes(scales[b / 2], first, first);
        block->part[1] = two_bytes(scales[b / 2], first + 1, first + 1);
        block->parts = two_bytes(scales[b / 2], first, first + 1);
    }
}

AVX2_INLINE int is_k_type(enum tensor_type type)
{
    return type == TENSOR_Q4_K || type == TENSOR_Q5_K || type == TENSOR_Q6_K;
}

/* Blocks of 32 weights that are unpacked together, and the bytes they take in a row. */
AVX2_INLINE int unit_blocks(enum tensor_type type)
{
    return is_k_type(type) ? 8 : 1;
}

AVX2_INLINE size_t unit_bytes(enum tensor_type type)
{
    return type == TENSOR_Q4_0   ? 18
           : type == TENSOR_Q4_1 ? 20
           : type == TENSOR_Q5_0 ? 22
           : type == TENSOR_Q5_1 ? 24
           : type == TENSOR_Q8_0 ? 34
           : type == TENSOR_Q4_K ? 144
           : type == TENSOR_Q5_K ? 176
                                 : 210;
}

/* The super-blocks are far larger than the registers: their code exists once, not inlined. */
static __attribute__((noinline)) void unpack_super_q4_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_k(TENSOR_Q4_K, band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_q5_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_k(TENSOR_Q5_K, band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_q6_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_q6_k(band, at, out, stride);
}

/* The unit at byte `at` of the rows, to out[0], out[stride], ... */
AVX2_INLINE void unpack(enum tensor_type type, const struct band *band, size_t at,
                        struct block *out, int stride)
{
    if (type == TENSOR_Q4_K)
        unpack_super_q4_k(band, at, out, stride);
    else if (type == TENSOR_Q5_K)
        unpack_super_q5_k(band, at, out, stride);
    else if (type == TENSOR_Q6_K)
        unpack_super_q6_k(band, at, out, stride);
    else
        unpack_simple(type, band, at, out);
}

#endif
