/* quant.h - the block formats of quantised weights, one 32-weight block at a time.
 *
 *     value of weight k = scale * part[k / 16] * weight[k] + minimum * minimum_part[k / 16]
 *
 * This is the definition; the vector kernels unpack the same bytes into other layouts.
 *
 * Promise:  quant_dequantise() gives the bits of the `gguf` package's reference (golden data in
 *           tests/golden/quants.txt), which knows nothing of Q8_K.  Any bytes are legal weights:
 *           scales may be NaN or infinite.
 * Threads:  pure functions.
 * Source:   the block layouts of docs/FORMATS.md.
 */
#ifndef MATH_QUANT_H
#define MATH_QUANT_H

#include "base/tensor.h"

#include <stdbool.h>
#include <stdint.h>

enum { QUANT_BLOCK = 32, QUANT_PART = 16 };

struct quant_block {
    int8_t weight[QUANT_BLOCK];                     /* with the format's offset taken off */
    int32_t part[QUANT_BLOCK / QUANT_PART];         /* scales of 16 weights; 1 where none are */
    int32_t minimum_part[QUANT_BLOCK / QUANT_PART]; /* Q2_K's of the minimum; 1 elsewhere */
    float scale;
    float minimum; /* 0 where the format has none */
};

/* The values of the 4-bit codes of IQ4_NL and IQ4_XS, and of MXFP4 (e2m1, doubled). */
extern const int8_t quant_iq4_values[16], quant_mxfp4_values[16];

/* Whether a type is made of blocks (and needs quantised activations). */
bool quant_is_block_type(enum tensor_type type);

/* Whether its blocks have minima, and whether these are scaled in parts. */
bool quant_has_minimum(enum tensor_type type);
bool quant_has_minimum_parts(enum tensor_type type);

/* Unpack the 32 weights from 32 * block on, of a row that starts at `row`. */
void quant_unpack(enum tensor_type type, const uint8_t *row, int32_t block,
                  struct quant_block *out);

/* `count` weights, a multiple of the type's block, of any type. */
void quant_dequantise(enum tensor_type type, const uint8_t *row, int32_t count, float *out);

#endif
