/* lanes_avx512.h - the form of lanes.h for AVX-512: one register; included by it alone. */
#ifndef MATH_LANES_AVX512_H
#define MATH_LANES_AVX512_H

#include "math/avx512_intrinsics.h"

struct lanes {
    __m512 all;
};

LANES_INLINE struct lanes lanes_set(float value)
{
    return (struct lanes){_mm512_set1_ps(value)};
}

LANES_INLINE struct lanes lanes_load(const void *from)
{
    return (struct lanes){_mm512_loadu_ps(from)};
}

LANES_INLINE struct lanes lanes_load_half(const void *from)
{
    return (struct lanes){_mm512_cvtph_ps(_mm256_loadu_si256(from))};
}

LANES_INLINE struct lanes lanes_load_bfloat(const void *from)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from));
    return (struct lanes){_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

LANES_INLINE void lanes_store(float *to, struct lanes a)
{
    _mm512_storeu_ps(to, a.all);
}

LANES_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_add_ps(a.all, b.all)};
}

LANES_INLINE struct lanes lanes_subtract(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_sub_ps(a.all, b.all)};
}

LANES_INLINE struct lanes lanes_multiply(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_mul_ps(a.all, b.all)};
}

LANES_INLINE struct lanes lanes_divide(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_div_ps(a.all, b.all)};
}

LANES_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_max_ps(a.all, b.all)};
}

LANES_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm512_min_ps(a.all, b.all)};
}

/* a < b ? x : y, hence y when either is NaN. */
LANES_INLINE struct lanes lanes_where_less(struct lanes a, struct lanes b, struct lanes x,
                                           struct lanes y)
{
    __mmask16 less = _mm512_cmp_ps_mask(a.all, b.all, _CMP_LT_OQ);
    return (struct lanes){_mm512_mask_blend_ps(less, y.all, x.all)};
}

/* a * b + c */
LANES_INLINE struct lanes lanes_fuse(struct lanes a, struct lanes b, struct lanes c)
{
    return (struct lanes){_mm512_fmadd_ps(a.all, b.all, c.all)};
}

/* 2^n of a float whose bits end in the integer n. */
LANES_INLINE struct lanes lanes_power_of_bits(struct lanes a)
{
    __m512i power = _mm512_slli_epi32(_mm512_castps_si512(a.all), 23);
    return (struct lanes){
        _mm512_castsi512_ps(_mm512_add_epi32(power, _mm512_set1_epi32(0x3f800000)))};
}

/* The fixed tree: lane i with i + 8, then with i + 4, i + 2, i + 1. */
LANES_INLINE float lanes_sum(struct lanes a)
{
    __m256 low = _mm512_castps512_ps256(a.all);
    __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.all), 1));
    __m256 eight = _mm256_add_ps(low, high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#endif
