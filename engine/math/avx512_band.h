/* avx512_band.h - sixteen weight rows, turned so that the rows lie in the lanes.
 *
 * After unpacking, dword lane r of a register holds the weights 4j..4j+3 of row r as unsigned
 * bytes: what vpdpbusd wants when the dword of activations 4j..4j+3 is broadcast.  The bytes are
 * transposed before they are split into nibbles, which halves the shuffles.
 *
 * No load reaches past the end of a row: 16-byte loads and gathered dwords stay inside one block of
 * every format.
 */
#ifndef MATH_AVX512_BAND_H
#define MATH_AVX512_BAND_H

#include "base/tensor.h"
#include "math/avx512_intrinsics.h"
#include "math/quant.h"

#include <stddef.h>
#include <stdint.h>

enum {
    BAND = 16,
    GROUPS = 8,          /* dwords of 32 weights */
    PANEL_BANDS = 2,     /* bands that a tile multiplies at once */
    RAISED_BY = 128,     /* what unsigned weights are larger by, where weights have a sign ... */
    PART_RAISED_BY = 32, /* ... and where 16 of them have a scale of their own */
};

/* Sixteen rows at equal distances.  Of the last rows of a matrix the band starts earlier and fewer
 * lanes count; a matrix of fewer than sixteen rows has bands of one row, which is in every lane. */
struct band {
    const uint8_t *first;
    size_t stride;    /* 0 for a band of one row */
    __m512i distance; /* of each row from the first */
    int32_t row;      /* of lane 0 */
    int32_t rows;     /* how many lanes count: the last ones */
    __mmask16 mask;   /* these lanes */
};

/* The same place in all rows of a band: four addresses and two distances reach all sixteen. */
struct place {
    const uint8_t *row[4]; /* 0, 4, 8 and 12 */
    size_t one, three;     /* from a row to the next, and to the third */
    __m512i distance;
};

/* 32 weights of the rows of two bands. */
struct block {
    __m512i u[GROUPS][PANEL_BANDS];
    __m512 scale[PANEL_BANDS];
    __m512 minimum[PANEL_BANDS];
    __m512 part[2][PANEL_BANDS]; /* formats with parts: the integer scales of 16 weights */
    __m512i minima[PANEL_BANDS]; /* Q2_K: the same of the minimum, two int16 a lane */
};

AVX512_INLINE __m512i bytes_of(int value)
{
    return _mm512_set1_epi8((char)value);
}

/* Hide what a number is made of from the compiler, which would keep sixteen sums in place of six,
 * and those in vector registers. */
AVX512_INLINE size_t opaque(size_t number)
{
    __asm__("" : "+r"(number));
    return number;
}

AVX512_INLINE const uint8_t *opaque_row(const uint8_t *row)
{
    __asm__("" : "+r"(row));
    return row;
}

AVX512_INLINE struct place place_of(const struct band *band, size_t at)
{
    struct place place = {.one = opaque(band->stride), .distance = band->distance};
    place.three = opaque(3 * place.one);
    place.row[0] = band->first + at;
    place.row[1] = opaque_row(place.row[0] + 4 * place.one);
    place.row[2] = opaque_row(place.row[0] + 8 * place.one);
    place.row[3] = opaque_row(place.row[1] + 8 * place.one);
    return place;
}

AVX512_INLINE __m128i load_16_bytes(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

AVX512_INLINE __m256i load_32_bytes(const uint8_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* 16 bytes of rows i, i + 4, i + 8 and i + 12, where `distance` is that of row i. */
AVX512_INLINE __m512i four_rows(const struct place *place, size_t at, size_t distance)
{
    __m512i rows = _mm512_castsi128_si512(load_16_bytes(place->row[0] + distance + at));
    rows = _mm512_inserti32x4(rows, load_16_bytes(place->row[1] + distance + at), 1);
    rows = _mm512_inserti32x4(rows, load_16_bytes(place->row[2] + distance + at), 2);
    return _mm512_inserti32x4(rows, load_16_bytes(place->row[3] + distance + at), 3);
}

/* t[j] = dword j of the 16 bytes at `at`, for sixteen rows. */
AVX512_INLINE void transpose(const struct place *place, size_t at, __m512i t[4])
{
    __m512i r0 = four_rows(place, at, 0), r1 = four_rows(place, at, place->one);
    __m512i r2 = four_rows(place, at, 2 * place->one), r3 = four_rows(place, at, place->three);
    __m512i a = _mm512_unpacklo_epi32(r0, r1), b = _mm512_unpackhi_epi32(r0, r1);
    __m512i c = _mm512_unpacklo_epi32(r2, r3), d = _mm512_unpackhi_epi32(r2, r3);
    t[0] = _mm512_unpacklo_epi64(a, c);
    t[1] = _mm512_unpackhi_epi64(a, c);
    t[2] = _mm512_unpacklo_epi64(b, d);
    t[3] = _mm512_unpackhi_epi64(b, d);
}

/* The dword at `at` of sixteen rows. */
AVX512_INLINE __m512i gather(const struct place *place, size_t at)
{
    return _mm512_i32gather_epi32(place->distance, place->row[0] + at, 1);
}

/* The f16 in the low half of each lane. */
AVX512_INLINE __m512 low_half(__m512i dwords)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords));
}

AVX512_INLINE __m512 high_half(__m512i dwords)
{
    return low_half(_mm512_srli_epi32(dwords, 16));
}

AVX512_INLINE __m512i low_nibbles(__m512i bytes)
{
    return _mm512_and_si512(bytes, bytes_of(15));
}

AVX512_INLINE __m512i high_nibbles(__m512i bytes)
{
    return _mm512_and_si512(_mm512_srli_epi32(bytes, 4), bytes_of(15));
}

/* The high nibbles where they are: sixteen times their value. */
AVX512_INLINE __m512i high_nibbles_in_place(__m512i bytes)
{
    return _mm512_andnot_si512(bytes_of(15), bytes);
}

/* The low nibbles of `low`, the rest of `high`. */
AVX512_INLINE __m512i merge_nibbles(__m512i low, __m512i high)
{
    return _mm512_ternarylogic_epi32(bytes_of(15), low, high, 0xca); /* mask ? low : high */
}

/* The values that 4-bit codes stand for, raised. */
AVX512_INLINE __m512i look_up(const int8_t values[16], __m512i codes)
{
    __m128i table = _mm_loadu_si128((const __m128i *)(const void *)values);
    table = _mm_xor_si128(table, _mm_set1_epi8((char)RAISED_BY));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), codes);
}

#endif
