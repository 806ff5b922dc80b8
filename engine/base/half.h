/* half.h - the 16-bit floats of model files and of the key/value cache.
 *
 * Promise:  exact widening; rounding to nearest even; NaN stays NaN.  Plain integer arithmetic that
 *           a flush-to-zero mode does not touch, and that gives the bits of the F16C instructions.
 * Source:   IEEE 754 binary16; bfloat16 is the upper half of a binary32.
 */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 0x3ff;
    if (exponent == 0) /* fraction * 2^-24 */
        return float_of_bits(float_bits((float)fraction * 0x1p-24f) | sign);
    if (exponent == 31)
        return float_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Without branches, so that a loop over it becomes vector code. */
static inline uint16_t half_of_float(float value)
{
    uint32_t bits = float_bits(value), magnitude = bits & 0x7fffffff;
    uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
    /* 0.5 has the ulp 2^-24 of a subnormal half: the addition rounds */
    uint32_t subnormal = float_bits(float_of_bits(magnitude) + 0.5f) - float_bits(0.5f);
    uint32_t nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
    uint32_t half = magnitude < 113u << 23 ? subnormal : normal;
    half = magnitude >= 0x47800000 ? 0x7c00 : half; /* 65536 and above, infinity */
    half = magnitude > 0x7f800000 ? nan : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000));
}

static inline float bfloat_to_float(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

/* The 16-bit value at an address of any alignment. */
static inline uint16_t load_16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline float load_half(const uint8_t *bytes)
{
    return half_to_float(load_16(bytes));
}

#endif
