/* quant.c - see quant.h. */
#include "math/quant.h"

#include "base/half.h"

#include <string.h>

const int8_t quant_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};
const int8_t quant_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

bool quant_is_block_type(enum tensor_type type)
{
    return type != TENSOR_F32 && type != TENSOR_F16 && type != TENSOR_BF16;
}

bool quant_has_minimum(enum tensor_type type)
{
    return type == TENSOR_Q4_1 || type == TENSOR_Q5_1 || type == TENSOR_Q2_K ||
           type == TENSOR_Q4_K || type == TENSOR_Q5_K;
}

bool quant_has_minimum_parts(enum tensor_type type)
{
    return type == TENSOR_Q2_K;
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

static void look_up(const int8_t values[16], int8_t *weight)
{
    for (int k = 0; k < QUANT_BLOCK; k++)
        weight[k] = values[weight[k]];
}

/* 64 bytes: bit pair j of each byte of half h are block 4h + j of the eight. */
static void bit_pairs(const uint8_t *bytes, int block, int8_t *weight)
{
    for (int k = 0; k < QUANT_BLOCK; k++)
        weight[k] = (int8_t)(bytes[block / 4 * 32 + k] >> block % 4 * 2 & 3);
}

/* Q2_K: 16 bytes of scales (low nibbles) and minima (high ones), bit pairs, f16 d, dmin. */
static void unpack_q2_k(const uint8_t *bytes, int block, struct quant_block *out)
{
    out->scale = load_half(bytes + 80);
    out->minimum = -load_half(bytes + 82);
    for (int part = 0; part < 2; part++) {
        out->part[part] = bytes[block * 2 + part] & 15;
        out->minimum_part[part] = bytes[block * 2 + part] >> 4;
    }
    bit_pairs(bytes + 16, block, out->weight);
}

/* Q3_K: 32 bytes whose bit j is the third bit of block j, bit pairs, 12 bytes of sixteen 6-bit
 * scales (eight bytes of low nibbles, four of bit pairs), f16 d. */
static void unpack_q3_k(const uint8_t *bytes, int block, struct quant_block *out)
{
    const uint8_t *scales = bytes + 96;
    out->scale = load_half(bytes + 108);
    for (int part = 0; part < 2; part++) {
        int i = block * 2 + part;
        int low = scales[i % 8] >> i / 8 * 4 & 15, high = scales[8 + i % 4] >> i / 4 * 2 & 3;
        out->part[part] = (low | high << 4) - 32;
    }
    bit_pairs(bytes + 32, block, out->weight);
    for (int k = 0; k < QUANT_BLOCK; k++)
        out->weight[k] = (int8_t)(out->weight[k] + ((bytes[k] >> block & 1) << 2) - 4);
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

/* Q8_K: f32 d, 256 signed bytes, 16 sums that a weight does not need. */
static void unpack_q8_k(const uint8_t *bytes, int block, struct quant_block *out)
{
    memcpy(&out->scale, bytes, sizeof out->scale);
    memcpy(out->weight, bytes + 4 + block * QUANT_BLOCK, QUANT_BLOCK);
}

/* IQ4_XS: f16 d, u16 of the scales' high bit pairs, four bytes of their low nibbles, codes. */
static void unpack_iq4_xs(const uint8_t *bytes, int block, struct quant_block *out)
{
    int low = bytes[4 + block / 2] >> block % 2 * 4 & 15;
    int high = load_16(bytes + 2) >> block * 2 & 3;
    out->scale = load_half(bytes) * (float)((low | high << 4) - 32);
    nibbles(bytes + 8 + block * 16, out->weight);
    look_up(quant_iq4_values, out->weight);
}

/* The digit of weight k of a TQ1_0 block, 0..2.  A byte holds a number of up to five digits of base
 * 3 as a fraction of 256, rounded up: times 3^i modulo 256 the next digit is the first, and times 3
 * it stands above the eight bits.  32 bytes hold weights 0..159, 16 bytes 160..239 (byte k of each
 * run digit i of weight k of its part i), the last 4 hold four digits each. */
static int ternary_digit(const uint8_t *bytes, int k)
{
    static const uint8_t powers[] = {1, 3, 9, 27, 81};
    uint8_t fraction;
    if (k < 160)
        fraction = (uint8_t)(bytes[k % 32] * powers[k / 32]);
    else if (k < 240)
        fraction = (uint8_t)(bytes[32 + k % 16] * powers[(k - 160) / 16]);
    else
        fraction = (uint8_t)(bytes[48 + k % 4] * powers[(k - 240) / 4]);
    return fraction * 3 >> 8;
}

/* TQ1_0: 48 bytes of five digits, 4 of four, f16 d. */
static void unpack_tq1_0(const uint8_t *bytes, int block, struct quant_block *out)
{
    out->scale = load_half(bytes + 52);
    for (int k = 0; k < QUANT_BLOCK; k++)
        out->weight[k] = (int8_t)(ternary_digit(bytes, block * QUANT_BLOCK + k) - 1);
}

/* TQ2_0: bit pairs, f16 d. */
static void unpack_tq2_0(const uint8_t *bytes, int block, struct quant_block *out)
{
    out->scale = load_half(bytes + 64);
    bit_pairs(bytes, block, out->weight);
    offset(out->weight, 1);
}

/* Half of the power of two that a byte stands for (the values are doubled); 0 and 1 give
 * subnormals. */
static float half_power(uint8_t exponent)
{
    return float_of_bits(exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23);
}

/* The formats whose blocks have 32 weights. */
static void unpack_simple(enum tensor_type type, const uint8_t *bytes, struct quant_block *out)
{
    bool has_fifth = type == TENSOR_Q5_0 || type == TENSOR_Q5_1;
    size_t fields = quant_has_minimum(type) ? 4 : type == TENSOR_MXFP4 ? 1 : 2;
    out->scale = type == TENSOR_MXFP4 ? half_power(bytes[0]) : load_half(bytes);
    if (quant_has_minimum(type))
        out->minimum = load_half(bytes + 2);
    if (type == TENSOR_Q8_0) {
        memcpy(out->weight, bytes + fields, QUANT_BLOCK);
        return;
    }
    nibbles(bytes + fields + (has_fifth ? 4 : 0), out->weight);
    if (has_fifth)
        fifth_bits(bytes + fields, out->weight);
    if (type == TENSOR_Q4_0 || type == TENSOR_Q5_0)
        offset(out->weight, type == TENSOR_Q4_0 ? 8 : 16);
    if (type == TENSOR_IQ4_NL)
        look_up(quant_iq4_values, out->weight);
    if (type == TENSOR_MXFP4)
        look_up(quant_mxfp4_values, out->weight);
}

void quant_unpack(enum tensor_type type, const uint8_t *row, int32_t block, struct quant_block *out)
{
    const struct tensor_format *format = tensor_format(type);
    size_t blocks = format->block / QUANT_BLOCK;
    const uint8_t *bytes = row + (size_t)block / blocks * format->block_bytes;
    int inner = (int)((size_t)block % blocks);
    for (int part = 0; part < QUANT_BLOCK / QUANT_PART; part++)
        out->part[part] = out->minimum_part[part] = 1;
    out->minimum = 0;
    switch (type) {
    case TENSOR_Q4_0:
    case TENSOR_Q4_1:
    case TENSOR_Q5_0:
    case TENSOR_Q5_1:
    case TENSOR_Q8_0:
    case TENSOR_IQ4_NL:
    case TENSOR_MXFP4:
        unpack_simple(type, bytes, out);
        break;
    case TENSOR_Q2_K:
        unpack_q2_k(bytes, inner, out);
        break;
    case TENSOR_Q3_K:
        unpack_q3_k(bytes, inner, out);
        break;
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
        unpack_k(bytes, inner, type == TENSOR_Q5_K, out);
        break;
    case TENSOR_Q6_K:
        unpack_q6_k(bytes, inner, out);
        break;
    case TENSOR_Q8_K:
        unpack_q8_k(bytes, inner, out);
        break;
    case TENSOR_IQ4_XS:
        unpack_iq4_xs(bytes, inner, out);
        break;
    case TENSOR_TQ1_0:
        unpack_tq1_0(bytes, inner, out);
        break;
    case TENSOR_TQ2_0:
        unpack_tq2_0(bytes, inner, out);
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
            out[k] += block->minimum * (float)block->minimum_part[k / QUANT_PART];
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
