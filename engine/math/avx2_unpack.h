/* avx2_unpack.h - which format is unpacked how, and what the products must know of it. */
#ifndef MATH_AVX2_UNPACK_H
#define MATH_AVX2_UNPACK_H

#include "math/avx2_simple.h"
#include "math/avx2_super.h"

enum { UNIT_BLOCKS_MAX = 8 };

/* Every use is with a constant type, so that nothing of this table is read when the code runs. */
struct traits {
    int unit_blocks; /* blocks of 32 weights that are unpacked together */
    int unit_bytes;  /* that these take in a row */
    int products;    /* byte products that may be added in 16 bits */
    int offset;     /* what the unsigned weights are larger by; a power of two if there are parts */
    bool is_signed; /* int8 weights: the sign moves to the activation */
    bool has_parts; /* a scale for each 16 weights */
    bool has_minimum;
};

static const struct traits traits_of[TENSOR_TYPES] = {
    [TENSOR_Q4_0] = {1, 18, 8, 8, false, false, false},
    [TENSOR_Q4_1] = {1, 20, 8, 0, false, false, true},
    [TENSOR_Q5_0] = {1, 22, 4, 16, false, false, false},
    [TENSOR_Q5_1] = {1, 24, 4, 0, false, false, true},
    [TENSOR_Q8_0] = {1, 34, 1, 0, true, false, false},
    [TENSOR_IQ4_NL] = {1, 18, 1, 0, true, false, false},
    [TENSOR_MXFP4] = {1, 17, 4, MXFP4_OFFSET, false, false, false},
    [TENSOR_Q2_K] = {8, 84, 4, 0, false, true, true},
    [TENSOR_Q3_K] = {8, 110, 4, 4, false, true, false},
    [TENSOR_Q4_K] = {8, 144, 8, 0, false, false, true},
    [TENSOR_Q5_K] = {8, 176, 4, 0, false, false, true},
    [TENSOR_Q6_K] = {8, 210, 2, 32, false, true, false},
    [TENSOR_Q8_K] = {8, 292, 1, 0, true, false, false},
    [TENSOR_IQ4_XS] = {8, 136, 1, 0, true, false, false},
    [TENSOR_TQ1_0] = {8, 54, 8, 1, false, false, false},
    [TENSOR_TQ2_0] = {8, 66, 8, 1, false, false, false},
};

/* The super-blocks are far larger than the registers: their code exists once, not inlined. */
static __attribute__((noinline)) void unpack_super_q2_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_q2_k(band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_q3_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_q3_k(band, at, out, stride);
}

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

static __attribute__((noinline)) void unpack_super_q8_k(const struct band *band, size_t at,
                                                        struct block *out, int stride)
{
    unpack_q8_k(band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_iq4_xs(const struct band *band, size_t at,
                                                          struct block *out, int stride)
{
    unpack_iq4_xs(band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_tq1_0(const struct band *band, size_t at,
                                                         struct block *out, int stride)
{
    unpack_tq1_0(band, at, out, stride);
}

static __attribute__((noinline)) void unpack_super_tq2_0(const struct band *band, size_t at,
                                                         struct block *out, int stride)
{
    unpack_tq2_0(band, at, out, stride);
}

/* The unit at byte `at` of the rows, to out[0], out[stride], ... */
AVX2_INLINE void unpack(enum tensor_type type, const struct band *band, size_t at,
                        struct block *out, int stride)
{
    if (traits_of[type].unit_blocks == 1)
        unpack_simple(type, band, at, out);
    else if (type == TENSOR_Q2_K)
        unpack_super_q2_k(band, at, out, stride);
    else if (type == TENSOR_Q3_K)
        unpack_super_q3_k(band, at, out, stride);
    else if (type == TENSOR_Q4_K)
        unpack_super_q4_k(band, at, out, stride);
    else if (type == TENSOR_Q5_K)
        unpack_super_q5_k(band, at, out, stride);
    else if (type == TENSOR_Q6_K)
        unpack_super_q6_k(band, at, out, stride);
    else if (type == TENSOR_Q8_K)
        unpack_super_q8_k(band, at, out, stride);
    else if (type == TENSOR_IQ4_XS)
        unpack_super_iq4_xs(band, at, out, stride);
    else if (type == TENSOR_TQ1_0)
        unpack_super_tq1_0(band, at, out, stride);
    else if (type == TENSOR_TQ2_0)
        unpack_super_tq2_0(band, at, out, stride);
}

#endif
