/* neon_unpack.h - which format is unpacked how, and what the products must know of it. */
#ifndef MATH_NEON_UNPACK_H
#define MATH_NEON_UNPACK_H

#include "math/neon_simple.h"
#include "math/neon_super.h"

struct traits {
    size_t unit_blocks; /* blocks of 32 weights that are unpacked together */
    size_t unit_bytes;  /* that these take in a row */
    struct shape shape;
};

/* Every use is with a constant type, so that nothing of this table is read when the code runs. */
static const struct traits traits_of[TENSOR_TYPES] = {
    [TENSOR_Q4_0] = {1, 18, {false, false}},  [TENSOR_Q4_1] = {1, 20, {false, true}},
    [TENSOR_Q5_0] = {1, 22, {false, false}},  [TENSOR_Q5_1] = {1, 24, {false, true}},
    [TENSOR_Q8_0] = {1, 34, {false, false}},  [TENSOR_IQ4_NL] = {1, 18, {false, false}},
    [TENSOR_MXFP4] = {1, 17, {false, false}}, [TENSOR_Q2_K] = {8, 84, {true, true}},
    [TENSOR_Q3_K] = {8, 110, {true, false}},  [TENSOR_Q4_K] = {8, 144, {false, true}},
    [TENSOR_Q5_K] = {8, 176, {false, true}},  [TENSOR_Q6_K] = {8, 210, {true, false}},
    [TENSOR_Q8_K] = {8, 292, {false, false}}, [TENSOR_IQ4_XS] = {8, 136, {false, false}},
    [TENSOR_TQ1_0] = {8, 54, {false, false}}, [TENSOR_TQ2_0] = {8, 66, {false, false}},
};

/* A block of TQ1_0, whose digits of base 3 are rare enough to be unpacked by their definition. */
static __attribute__((noinline)) void unpack_tq1_0(const struct band *band, size_t at, int b,
                                                   struct block *out)
{
    struct quant_block block[BAND];
    for (int row = 0; row < BAND; row++) {
        quant_unpack(TENSOR_TQ1_0, band->row[row] + at, b, block + row);
        for (int part = 0; part < PARTS; part++)
            out->weight[row][part] = vld1q_s8(block[row].weight + part * QUANT_PART);
    }
    out->scale = halves_at(band, at + 52);
}

/* What unpack() needs to know before the blocks of the unit at byte `at`. */
NEON_INLINE void unpack_begin(enum tensor_type type, const struct band *band, size_t at,
                              struct header *header)
{
    if (traits_of[type].unit_blocks > 1 && type != TENSOR_TQ1_0)
        unpack_header(type, band, at, header);
}

/* Block b of the unit at byte `at`. */
NEON_INLINE void unpack(enum tensor_type type, const struct band *band, size_t at,
                        const struct header *header, int b, struct block *out)
{
    if (traits_of[type].unit_blocks == 1)
        unpack_simple(type, band, at, out);
    else if (type == TENSOR_TQ1_0)
        unpack_tq1_0(band, at, b, out);
    else
        unpack_super(type, traits_of[type].shape, band, at, header, b, out);
}

#endif
