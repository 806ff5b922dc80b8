/* lanes_neon.h - the sixteen lanes of lanes.h, which includes it, in four registers of NEON.
 *
 * Not FMAX and FMIN for lanes_max() and lanes_min(): these give NaN when either side is NaN.
 */
#ifndef MATH_LANES_NEON_H
#define MATH_LANES_NEON_H

#include <arm_neon.h>

/* No array: gcc keeps one in consecutive registers only, and stores and loads it all the time. */
struct lanes {
    float32x4_t a, b, c, d;
};

LANES_INLINE struct lanes lanes_set(float value)
{
    float32x4_t a = vdupq_n_f32(value);
    return (struct lanes){a, a, a, a};
}

LANES_INLINE struct lanes lanes_load(const void *from)
{
    const float *at = from;
    return (struct lanes){vld1q_f32(at), vld1q_f32(at + 4), vld1q_f32(at + 8), vld1q_f32(at + 12)};
}

LANES_INLINE struct lanes lanes_load_half(const void *from)
{
    const uint8_t *at = from;
    float16x8_t low = vreinterpretq_f16_u8(vld1q_u8(at));
    float16x8_t high = vreinterpretq_f16_u8(vld1q_u8(at + 16));
    return (struct lanes){vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low),
                          vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)};
}

LANES_INLINE struct lanes lanes_load_bfloat(const void *from)
{
    const uint8_t *at = from;
    uint16x8_t low = vreinterpretq_u16_u8(vld1q_u8(at));
    uint16x8_t high = vreinterpretq_u16_u8(vld1q_u8(at + 16));
    return (struct lanes){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(low), 16)),
                          vreinterpretq_f32_u32(vshll_high_n_u16(low, 16)),
                          vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(high), 16)),
                          vreinterpretq_f32_u32(vshll_high_n_u16(high, 16))};
}

LANES_INLINE void lanes_store(float *to, struct lanes a)
{
    vst1q_f32(to, a.a);
    vst1q_f32(to + 4, a.b);
    vst1q_f32(to + 8, a.c);
    vst1q_f32(to + 12, a.d);
}

LANES_INLINE struct lanes lanes_add(struct lanes a, struct lanes b)
{
    return (struct lanes){vaddq_f32(a.a, b.a), vaddq_f32(a.b, b.b), vaddq_f32(a.c, b.c),
                          vaddq_f32(a.d, b.d)};
}

LANES_INLINE struct lanes lanes_subtract(struct lanes a, struct lanes b)
{
    return (struct lanes){vsubq_f32(a.a, b.a), vsubq_f32(a.b, b.b), vsubq_f32(a.c, b.c),
                          vsubq_f32(a.d, b.d)};
}

LANES_INLINE struct lanes lanes_multiply(struct lanes a, struct lanes b)
{
    return (struct lanes){vmulq_f32(a.a, b.a), vmulq_f32(a.b, b.b), vmulq_f32(a.c, b.c),
                          vmulq_f32(a.d, b.d)};
}

LANES_INLINE struct lanes lanes_divide(struct lanes a, struct lanes b)
{
    return (struct lanes){vdivq_f32(a.a, b.a), vdivq_f32(a.b, b.b), vdivq_f32(a.c, b.c),
                          vdivq_f32(a.d, b.d)};
}

/* a < b ? x : y, hence y when either is NaN. */
LANES_INLINE struct lanes lanes_where_less(struct lanes a, struct lanes b, struct lanes x,
                                           struct lanes y)
{
    return (struct lanes){
        vbslq_f32(vcltq_f32(a.a, b.a), x.a, y.a), vbslq_f32(vcltq_f32(a.b, b.b), x.b, y.b),
        vbslq_f32(vcltq_f32(a.c, b.c), x.c, y.c), vbslq_f32(vcltq_f32(a.d, b.d), x.d, y.d)};
}

LANES_INLINE struct lanes lanes_max(struct lanes a, struct lanes b)
{
    return lanes_where_less(b, a, a, b);
}

LANES_INLINE struct lanes lanes_min(struct lanes a, struct lanes b)
{
    return lanes_where_less(a, b, a, b);
}

/* a * b + c */
LANES_INLINE struct lanes lanes_fuse(struct lanes a, struct lanes b, struct lanes c)
{
    return (struct lanes){vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b),
                          vfmaq_f32(c.c, a.c, b.c), vfmaq_f32(c.d, a.d, b.d)};
}

/* 2^n of a float whose bits end in the integer n. */
LANES_INLINE float32x4_t power_of_bits(float32x4_t bits)
{
    uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(bits), 23);
    return vreinterpretq_f32_u32(vaddq_u32(exponent, vdupq_n_u32(0x3f800000)));
}

LANES_INLINE struct lanes lanes_power_of_bits(struct lanes a)
{
    return (struct lanes){power_of_bits(a.a), power_of_bits(a.b), power_of_bits(a.c),
                          power_of_bits(a.d)};
}

/* The fixed tree: lane i with i + 8, then with i + 4, i + 2, i + 1. */
LANES_INLINE float lanes_sum(struct lanes a)
{
    float32x4_t low = vaddq_f32(a.a, a.c), high = vaddq_f32(a.b, a.d);
    float32x4_t four = vaddq_f32(low, high);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

#endif
