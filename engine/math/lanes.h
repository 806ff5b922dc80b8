/* lanes.h - sixteen floats side by side: the width in which every sum of the engine runs.
 *
 * Forms with the same bits: AVX-512 (avx512.c) or AVX2 (avx2.c) where the compiler may use it, NEON
 * where LANES_NEON asks for it (every ARM compiler may use it, the portable kernels too), arrays
 * elsewhere.
 * The headers that are written over it (vector_lanes.h, attention_lanes.h, float_lanes.h) are
 * therefore the same source in every implementation.
 *
 * Promise:  each operation is one correctly rounded IEEE operation per lane.  lanes_max(a, b) is
 *           a > b ? a : b, hence b when either is NaN; lanes_min alike.  Results that are NaN are
 *           NaN in every form; their payload is not promised.
 */
#ifndef MATH_LANES_H
#define MATH_LANES_H

#include "base/half.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* as they are; 16: _Float16, too */
#error "the canonical arithmetic needs floats that are computed as floats"
#endif

enum { LANES = 16 };

#define LANES_INLINE static inline __attribute__((always_inline, unused))

/* a * b + c, rounded once.  The product of two floats is exact in double; the sum is rounded to
 * odd, so that the second rounding, to float, is right (Boldo and Melquiond 2008).  libm's fmaf
 * does the same, but through a call per number. */
LANES_INLINE float fused(float a, float b, float c)
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return __builtin_fmaf(a, b, c);
#else
    double product = (double)a * (double)b, addend = (double)c;
    double sum = product + addend, back = sum - product;
    double rest = (product - (sum - back)) + (addend - back); /* sum + rest is exact (Knuth) */
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    int64_t outward = (rest > 0) == (sum > 0) ? 1 : -1;
    int64_t step = (rest > 0 || rest < 0) && (bits & 1) == 0 ? outward : 0;
    bits += (uint64_t)step;
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
#endif
}

#if defined(__AVX512F__) || defined(AVX512_EMULATION)

#include "math/lanes_avx512.h"

#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>

struct lanes {
    __m256 low, high;
};

LANES_INLINE struct lanes lanes_set(float value)
{
    return (struct lanes){_mm256_set1_ps(value), _mm256_set1_ps(value)};
}

LANES_INLINE struct lanes lanes_load(const void *from)
{
    const float *at = from;
    return (struct lanes){_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)};
}

LANES_INLINE struct lanes lanes_load_half(const void *from)
{
    const __m128i *at = from;
    return (struct lanes){_mm256_cvtph_ps(_mm_loadu_si128(at)),
                          _mm256_cvtph_ps(_mm_loadu_si128(at + 1))};
}

LANES_INLINE struct lanes lanes_load_bfloat(const void *from)
{
    const __m128i *at = from;
    __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128(at));
    __m256i high = _mm256_cvtepu16_epi32(_mm_loadu_si128(at + 1));
    return (struct lanes){_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
                          _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}

LANES_INLINE void lanes_store(float *to, struct lanes a)
{
    _mm256_storeu_ps(to, a.low);
    _mm256_storeu_ps(to + 8, a.high);
}

LANES_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

LANES_INLINE struct lanes lanes_subtract(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

LANES_INLINE struct lanes lanes_multiply(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

LANES_INLINE struct lanes lanes_divide(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

LANES_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

LANES_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    return (struct lanes){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}

/* a < b ? x : y, hence y when either is NaN. */
LANES_INLINE struct lanes lanes_where_less(struct lanes a, struct lanes b, struct lanes x,
                                           struct lanes y)
{
    __m256 low = _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ);
    __m256 high = _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ);
    return (struct lanes){_mm256_blendv_ps(y.low, x.low, low),
                          _mm256_blendv_ps(y.high, x.high, high)};
}

/* a * b + c */
LANES_INLINE struct lanes lanes_fuse(struct lanes a, struct lanes b, struct lanes c)
{
    return (struct lanes){_mm256_fmadd_ps(a.low, b.low, c.low),
                          _mm256_fmadd_ps(a.high, b.high, c.high)};
}

/* 2^n of a float whose bits end in the integer n. */
LANES_INLINE struct lanes lanes_power_of_bits(struct lanes a)
{
    __m256i one = _mm256_set1_epi32(0x3f800000);
    __m256i low = _mm256_slli_epi32(_mm256_castps_si256(a.low), 23);
    __m256i high = _mm256_slli_epi32(_mm256_castps_si256(a.high), 23);
    return (struct lanes){_mm256_castsi256_ps(_mm256_add_epi32(low, one)),
                          _mm256_castsi256_ps(_mm256_add_epi32(high, one))};
}

/* The fixed tree: lane i with i + 8, then with i + 4, i + 2, i + 1. */
LANES_INLINE float lanes_sum(struct lanes a)
{
    __m256 eight = _mm256_add_ps(a.low, a.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#elif defined(LANES_NEON)

#include "math/lanes_neon.h"

#else

struct lanes {
    float at[LANES];
};

LANES_INLINE struct lanes lanes_set(float value)
{
    struct lanes a;
    for (int i = 0; i < LANES; i++)
        a.at[i] = value;
    return a;
}

LANES_INLINE struct lanes lanes_load(const void *from)
{
    struct lanes a;
    memcpy(a.at, from, sizeof a.at);
    return a;
}

LANES_INLINE struct lanes lanes_load_half(const void *from)
{
    const uint8_t *at = from;
    struct lanes a;
    for (int i = 0; i < LANES; i++)
        a.at[i] = load_half(at + 2 * i);
    return a;
}

LANES_INLINE struct lanes lanes_load_bfloat(const void *from)
{
    const uint8_t *at = from;
    struct lanes a;
    for (int i = 0; i < LANES; i++)
        a.at[i] = bfloat_to_float(load_16(at + 2 * i));
    return a;
}

LANES_INLINE void lanes_store(float *to, struct lanes a)
{
    memcpy(to, a.at, sizeof a.at);
}

LANES_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] += b.at[i];
    return a;
}

LANES_INLINE struct lanes lanes_subtract(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] -= b.at[i];
    return a;
}

LANES_INLINE struct lanes lanes_multiply(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] *= b.at[i];
    return a;
}

LANES_INLINE struct lanes lanes_divide(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] /= b.at[i];
    return a;
}

LANES_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
    return a;
}

LANES_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] = a.at[i] < b.at[i] ? a.at[i] : b.at[i];
    return a;
}

/* a < b ? x : y, hence y when either is NaN. */
LANES_INLINE struct lanes lanes_where_less(struct lanes a, struct lanes b, struct lanes x,
                                           struct lanes y)
{
    for (int i = 0; i < LANES; i++)
        y.at[i] = a.at[i] < b.at[i] ? x.at[i] : y.at[i];
    return y;
}

/* a * b + c */
LANES_INLINE struct lanes lanes_fuse(struct lanes a, struct lanes b, struct lanes c)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] = fused(a.at[i], b.at[i], c.at[i]);
    return a;
}

/* 2^n of a float whose bits end in the integer n. */
LANES_INLINE struct lanes lanes_power_of_bits(struct lanes a)
{
    for (int i = 0; i < LANES; i++)
        a.at[i] = float_of_bits((float_bits(a.at[i]) << 23) + 0x3f800000);
    return a;
}

/* The fixed tree: lane i with i + 8, then with i + 4, i + 2, i + 1. */
LANES_INLINE float lanes_sum(struct lanes a)
{
    for (int step = LANES / 2; step; step /= 2)
        for (int i = 0; i < step; i++)
            a.at[i] = a.at[i] + a.at[i + step];
    return a.at[0];
}

#endif

/* How many of them the registers hold: it decides about speed alone. */
#ifdef __AVX512F__
enum { LANES_HELD = 32 };
#else
enum { LANES_HELD = 8 };
#endif

/* 16 signed bytes.  The compiler keeps `at` in registers; the loop it would not make good code of.
 */
LANES_INLINE struct lanes lanes_load_bytes(const void *from)
{
    float at[LANES];
#if defined(__AVX512F__)
    _mm512_storeu_ps(at, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from))));
#elif defined(__AVX2__)
    const __m128i bytes = _mm_loadu_si128(from);
    const __m128i upper = _mm_unpackhi_epi64(bytes, bytes);
    _mm256_storeu_ps(at, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
    _mm256_storeu_ps(at + 8, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(upper)));
#else
    const int8_t *bytes = from;
    for (int i = 0; i < LANES; i++)
        at[i] = (float)bytes[i];
#endif
    return lanes_load(at);
}

/* The first `count` lanes from memory, the others `fill`. */
LANES_INLINE struct lanes lanes_load_part(const float *from, int32_t count, float fill)
{
    float at[LANES];
    if (count >= LANES)
        return lanes_load(from);
    for (int32_t i = 0; i < LANES; i++)
        at[i] = i < count ? from[i] : fill;
    return lanes_load(at);
}

LANES_INLINE void lanes_store_part(float *to, struct lanes a, int32_t count)
{
    float at[LANES];
    if (count >= LANES) {
        lanes_store(to, a);
        return;
    }
    lanes_store(at, a);
    memcpy(to, at, (size_t)count * sizeof *to);
}

LANES_INLINE float lanes_largest(struct lanes a)
{
    float at[LANES];
    lanes_store(at, a);
    for (int step = LANES / 2; step; step /= 2)
        for (int i = 0; i < step; i++)
            at[i] = at[i] > at[i + step] ? at[i] : at[i + step];
    return at[0];
}

/* e^x within 1 ulp for x in -87..88; smaller and larger x are taken as these.  2^n * e^r with
 * |r| <= ln(2) / 2 and e^r = 1 + r + r^2 p(r); p is our own Chebyshev fit, relative error 1e-8. */
LANES_INLINE struct lanes lanes_exp(struct lanes x)
{
    const struct lanes magic = lanes_set(0x1.8p23f); /* adding it rounds to an integer */
    const struct lanes one = lanes_set(1.0f);
    x = lanes_min(lanes_set(88.0f), lanes_max(lanes_set(-87.0f), x)); /* in this order NaN stays */
    struct lanes shifted = lanes_fuse(x, lanes_set(0x1.715476p0f), magic); /* log2(e) */
    struct lanes n = lanes_subtract(shifted, magic);
    struct lanes r = lanes_fuse(n, lanes_set(-0x1.62e4p-1f), x); /* ln(2) in two pieces */
    r = lanes_fuse(n, lanes_set(-0x1.7f7d1cp-20f), r);
    struct lanes p = lanes_set(0x1.6d43b4p-10f);
    p = lanes_fuse(p, r, lanes_set(0x1.120be8p-7f));
    p = lanes_fuse(p, r, lanes_set(0x1.5554e8p-5f));
    p = lanes_fuse(p, r, lanes_set(0x1.5554dcp-3f));
    p = lanes_fuse(p, r, lanes_set(0.5f));
    p = lanes_fuse(p, r, one);
    p = lanes_fuse(p, r, one);
    return lanes_multiply(p, lanes_power_of_bits(shifted));
}

/* tanh(x): near 0 x + x^3 p(x^2), p our own minimax fit with relative error 5e-9 for |x| < 0.625;
 * farther out 1 - 2 / (1 + e^2x), where nothing cancels. */
LANES_INLINE struct lanes lanes_tanh(struct lanes x)
{
    const struct lanes one = lanes_set(1), two = lanes_set(2);
    struct lanes square = lanes_multiply(x, x);
    struct lanes p = lanes_set(-0x1.75e1a8p-8f);
    p = lanes_fuse(p, square, lanes_set(0x1.522692p-6f));
    p = lanes_fuse(p, square, lanes_set(-0x1.b83c58p-5f));
    p = lanes_fuse(p, square, lanes_set(0x1.110726p-3f));
    p = lanes_fuse(p, square, lanes_set(-0x1.555532p-2f));
    struct lanes near = lanes_fuse(lanes_multiply(x, square), p, x);
    struct lanes divisor = lanes_add(one, lanes_exp(lanes_multiply(two, x)));
    struct lanes far = lanes_subtract(one, lanes_divide(two, divisor));
    return lanes_where_less(square, lanes_set(0.625f * 0.625f), near, far);
}

/* The normal distribution's P(X < x) = erfc(-x / sqrt(2)) / 2, which is what the exact GELU
 * multiplies x with.  erfc(t) = s e^(p(s) - t^2) with s = 1 / (1 + t / 2), t >= 0; p is our own
 * minimax fit over t = 0..9 with absolute error 4e-8.  The other side is 1 minus that. */
LANES_INLINE struct lanes lanes_normal(struct lanes x)
{
    const struct lanes zero = lanes_set(0), one = lanes_set(1), half = lanes_set(0.5f);
    struct lanes t = lanes_multiply(x, lanes_set(0x1.6a09e6p-1f)); /* 1 / sqrt(2) */
    t = lanes_where_less(t, zero, lanes_subtract(zero, t), t);
    struct lanes s = lanes_divide(one, lanes_fuse(t, half, one));
    struct lanes p = lanes_set(0x1.112b9ap-3f);
    p = lanes_fuse(p, s, lanes_set(-0x1.3c1f88p-1f));
    p = lanes_fuse(p, s, lanes_set(0x1.019752p+0f));
    p = lanes_fuse(p, s, lanes_set(-0x1.f9da30p-2f));
    p = lanes_fuse(p, s, lanes_set(-0x1.fe92c8p-3f));
    p = lanes_fuse(p, s, lanes_set(0x1.792d34p-4f));
    p = lanes_fuse(p, s, lanes_set(0x1.b49a4cp-9f));
    p = lanes_fuse(p, s, lanes_set(0x1.92b658p-2f));
    p = lanes_fuse(p, s, lanes_set(0x1.fee602p-1f));
    p = lanes_fuse(p, s, lanes_set(-0x1.43f1d4p+0f));
    p = lanes_exp(lanes_fuse(lanes_subtract(zero, t), t, p));
    struct lanes tail = lanes_multiply(lanes_multiply(half, s), p);
    return lanes_where_less(x, zero, tail, lanes_subtract(one, tail));
}

/* x / (1 + e^(-2u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x (1 + tanh(u)) / 2. */
LANES_INLINE struct lanes lanes_gelu(struct lanes x)
{
    struct lanes cubic = lanes_set(-2 * 0.797884561f * 0.044715f);
    struct lanes linear = lanes_set(-2 * 0.797884561f);
    struct lanes u = lanes_multiply(x, lanes_fuse(lanes_multiply(x, x), cubic, linear));
    return lanes_divide(x, lanes_add(lanes_set(1), lanes_exp(u)));
}

LANES_INLINE struct lanes lanes_gelu_erf(struct lanes x)
{
    return lanes_multiply(x, lanes_normal(x));
}

#endif
