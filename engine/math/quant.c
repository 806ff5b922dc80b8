/* quant.c - see quant.h. */
#include "math/quant.h"

#include "base/half.h"

#include <string.h>

enum { K_BLOCK = 256, K_PARTS = K_BLOCK / QUANT_BLOCK };

bool quant_is_block_type(enum tensor_type type)
{
    return type != TENSOR_F32 && type != TENSOR_F16 && type != TENSOR_BF16;
}

bool quant_has_minimum(enum tensor_type type)
{
    return type == TENSOR_Q4_1 || type == TENSOR_Q5_1 || type == TENSOR_Q4_K || type == TENSOR_Q5_K;
}

/* 16 bytes: low nibbles are weights 0..15, high ones 16..31. */
static void nibbles(const uint8_t *bytes, int8_t *weight)
{
    for (int k = 0; k < 16; k++) {
        weight[k] = (int8_t)(bytes[k] & 15);
        weight[k + 16] = (int8_t)(bytes[k] >> 4);
    }
}

/* Bit k of a 32-bit word is bit 4 of weight k. */
static void fifth_bits(const uint8_t *bytes, int8_t *weight)
{
    for (int k = 0; k < QUANT_BLOCK; k++)
        weight[k] = (int8_t)(weight[k] | (bytes[k / 8] >> k % 8 & 1) << 4);
}

static void offset(int8_t *weight, int by)
{
    for (int k = 0; k < QUANT_BLOCK; k++)
        weight[k] = (int8_t)(weight[k] - by);
}

/* The 6-bit scale and minimum of block j of a Q4_K or Q5_K block. */
static void k_scales(const uint8_t *bytes, int j, int *scale, int *minimum)
{
    if (j < 4) {
        *scale = bytes[j] & 63;
        *minimum = bytes[j + 4] & 63;
    } else {
        *scale = (bytes[j + 4] & 15) | (bytes[j - 4] >> 6) << 4;
        *minimum = bytes[j + 4] >> 4 | (bytes[j] >> 6) << 4;
    }
}

/* Q4_K: f16 d, dmin; 12 bytes of scales; 4 runs of 32 bytes, low nibbles block 2j, high 2j + 1.
 * Q5_K has 32 bytes before the runs, whose bit j is the fifth bit of block j. */
static void unpack_k(const uint8_t *bytes, int j, bool five, struct quant_block *out)
{
    const uint8_t *high = bytes + 16, *low = high + (five ? 32 : 0) + j / 2 * 32;
    int scale, minimum;
    k_scales(bytes + 4, j, &scale, &minimum);
    out->scale = load_half(bytes) * (float)scale;
    out->minimum = -(load_half(bytes + 2) * (float)minimum);
    for (int k = 0; k < QUANT_BLOCK; k++) {
        int fifth = five ? (high[k] >> j & 1) << 4 : 0;
        out->weight[k] = (int8_t)((low[k] >> j % 2 * 4 & 15) | fifth);
    }
}

/* Q6_K: 128 bytes of nibbles, 64 of bit pairs, 16 signed scales, f16 d.  In each half of 128
 * weights, block j takes nibbles from bytes 32 * (j % 2).. and bit pair j of each of 32 bytes. */
static void unpack_q6_k(const uint8_t *bytes, int block, struct quant_block *out)
{
    int half = block / 4, j = block % 4;
    const uint8_t *low = bytes + half * 64 + j % 2 * 32, *high = bytes + 128 + half * 32;
    const uint8_t *scales = bytes + 192 + block * 2;
    out->scale = load_half(bytes + 208);
    for (int part = 0; part < 2; part++)
        out->part[part] = (int8_t)scales[part];
    for (int k = 0; k < QUANT_BLOCK; k++)
        out->weight[k] = (int8_t)(((low[k] >> j / 2 * 4 & 15) | (high[k] >> j * 2 & 3) << 4) - 32);
}

void quant_unpack(enum tensor_type type, const uint8_t *row, int32_t block, struct quant_block *out)
{
    const struct tensor_format *format = tensor_format(type);
    size_t blocks = format->block / QUANT_BLOCK;
    const uint8_t *bytes = row + (size_t)block / blocks * format->block_bytes;
    int inner = (int)((size_t)block % blocks);
    out->part[0] = out->part[1] = 1;
    out->minimum = 0;
    if (blocks == 1)
        out->scale = load_half(bytes);
    switch (type) {
    case TENSOR_Q4_0:
        nibbles(bytes + 2, out->weight);
        offset(out->weight, 8);
        break;
    case TENSOR_Q4_1:
        out->minimum = load_half(bytes + 2);
        nibbles(bytes + 4, out->weight);
        break;
    case TENSOR_Q5_0:
        nibbles(bytes + 6, out->weight);
        fifth_bits(bytes + 2, out->weight);
        offset(out->weight, 16);
        break;
    case TENSOR_Q5_1:
        out->minimum = load_half(bytes + 2);
        nibbles(bytes + 8, out->weight);
        fifth_bits(bytes + 4, out->weight);
        break;
    case TENSOR_Q8_0:
        memcpy(out->weight, bytes + 2, QUANT_BLOCK);
        break;
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
        unpack_k(bytes, inner, type == TENSOR_Q5_K, out);
        break;
    case TENSOR_Q6_K:
        unpack_q6_k(bytes, inner, out);
        break;
    case TENSOR_F32:
    case TENSOR_F16:
    case TENSOR_BF16:
        break;
    }
}

static void dequantise_block(const struct quant_block *block, bool minimum, float *out)
{
    for (int k = 0; k < QUANT_BLOCK; k++) {
        float scale = block->scale * (float)block->part[k / QUANT_PART];
        out[k] = scale * (float)block->weight[k];
        if (minimum)
            out[k] += block->minimum;
    }
}

void quant_dequantise(enum tensor_type type, const uint8_t *row, int32_t count, float *out)
{
    if (type == TENSOR_F32) {
        memcpy(out, row, (size_t)count * sizeof *out);
    } else if (!quant_is_block_type(type)) {
        for (size_t k = 0; k < (size_t)count; k++) {
            uint16_t value = load_16(row + 2 * k);
            out[k] = type == TENSOR_F16 ? half_to_float(value) : bfloat_to_float(value);
        }
    } else {
        struct quant_block block;
        for (int32_t b = 0; b < count / QUANT_BLOCK; b++) {
            quant_unpack(type, row, b, &block);
            dequantise_block(&block, quant_has_minimum(type), out + (size_t)b * QUANT_BLOCK);
        }
    }
}
