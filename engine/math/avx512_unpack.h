/* avx512_unpack.h - which format is unpacked how, and what the products must know of it. */
#ifndef MATH_AVX512_UNPACK_H
#define MATH_AVX512_UNPACK_H

#include "math/avx512_simple.h"
#include "math/avx512_super.h"

enum { UNIT_BLOCKS_MAX = 8 };

/* The forms of an unpacked block; a product has one code for each, whatever the format. */
enum form {
    FORM_RAISED,        /* weights larger by RAISED_BY */
    FORM_MINIMUM,       /* a minimum */
    FORM_RAISED_PARTS,  /* scales for 16 weights each, which are larger by PART_RAISED_BY */
    FORM_MINIMUM_PARTS, /* scales for 16 weights each, and for the minima of 16 */
    FORMS,
};

/* Every use is with a constant type, so that nothing of this table is read when the code runs. */
struct traits {
    int unit_blocks; /* blocks of 32 weights that are unpacked together */
    int unit_bytes;  /* that these take in a row */
    enum form form;
};

static const struct traits traits_of[TENSOR_TYPES] = {
    [TENSOR_Q4_0] = {1, 18, FORM_RAISED},        [TENSOR_Q4_1] = {1, 20, FORM_MINIMUM},
    [TENSOR_Q5_0] = {1, 22, FORM_RAISED},        [TENSOR_Q5_1] = {1, 24, FORM_MINIMUM},
    [TENSOR_Q8_0] = {1, 34, FORM_RAISED},        [TENSOR_IQ4_NL] = {1, 18, FORM_RAISED},
    [TENSOR_MXFP4] = {1, 17, FORM_RAISED},       [TENSOR_Q2_K] = {8, 84, FORM_MINIMUM_PARTS},
    [TENSOR_Q3_K] = {8, 110, FORM_RAISED_PARTS}, [TENSOR_Q4_K] = {8, 144, FORM_MINIMUM},
    [TENSOR_Q5_K] = {8, 176, FORM_MINIMUM},      [TENSOR_Q6_K] = {8, 210, FORM_RAISED_PARTS},
    [TENSOR_Q8_K] = {8, 292, FORM_RAISED},       [TENSOR_IQ4_XS] = {8, 136, FORM_RAISED},
    [TENSOR_TQ1_0] = {8, 54, FORM_RAISED},       [TENSOR_TQ2_0] = {8, 66, FORM_RAISED},
};

/* The unit at byte `at` of the rows, to band r of out[0], out[1] ...  The super-blocks are far
 * larger than the registers: callers see to it that their code exists once. */
AVX512_INLINE void unpack(enum tensor_type type, const struct place *place, struct block *out,
                          int r)
{
    if (traits_of[type].unit_blocks == 1)
        unpack_simple(type, place, out, r);
    else if (type == TENSOR_Q2_K)
        unpack_q2_k(place, out, r);
    else if (type == TENSOR_Q3_K)
        unpack_q3_k(place, out, r);
    else if (type == TENSOR_Q6_K)
        unpack_q6_k(place, out, r);
    else if (type == TENSOR_Q8_K)
        unpack_q8_k(place, out, r);
    else if (type == TENSOR_IQ4_XS)
        unpack_iq4_xs(place, out, r);
    else if (type == TENSOR_TQ1_0)
        unpack_tq1_0(place, out, r);
    else if (type == TENSOR_TQ2_0)
        unpack_tq2_0(place, out, r);
    else
        unpack_k(type, place, out, r);
}

#endif
