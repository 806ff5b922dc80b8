/* neon_kernels.h - the kernels for ARM with NEON, included by neon.c, neon_dotprod.c and
 * neon_i8mm.c, whose flags say which instructions there are.
 *
 * Each works without the next one's: NEON alone multiplies bytes to 16 bits (SMULL); dotprod
 * (ARMv8.2) adds four products of bytes to 32 bits (SDOT); i8mm (ARMv8.6) multiplies two rows with
 * two vectors (SMMLA).  What they sum are integers, so that all give the bits of portable.c.
 */
#ifndef MATH_NEON_KERNELS_H
#define MATH_NEON_KERNELS_H

#define LANES_NEON 1

#include "math/attention_lanes.h"
#include "math/neon_panel.h"
#include "math/table.h"
#include "math/vector_lanes.h"

enum { QUADS = QUANT_BLOCK / 4 };

static void quantise_block(struct activation_block *out, const float *x)
{
    float32x4_t in[QUADS];
    int32x4_t q[QUADS];
    uint32x4_t most = vdupq_n_u32(0); /* of the magnitudes' bits */
    for (int i = 0; i < QUADS; i++) {
        in[i] = vld1q_f32(x + 4 * i);
        most = vmaxq_u32(most, vbicq_u32(vreinterpretq_u32_f32(in[i]), vdupq_n_u32(0x80000000)));
    }
    uint32_t bits = vmaxvq_u32(most);
    float amax = float_of_bits(bits);
    if (bits >= 0x7f800000 || amax < 0x1p-100f) {
        memset(out, 0, sizeof *out);
        out->scale = out->sum = bits >= 0x7f800000 ? NAN : 0;
        return;
    }
    const float inverse = 127.0f / amax;
    for (int i = 0; i < QUADS; i++)
        q[i] = vcvtnq_s32_f32(vmulq_n_f32(in[i], inverse)); /* to nearest, ties to even */
    for (int part = 0; part < PARTS; part++) {
        const int32x4_t *at = q + part * QUADS / PARTS;
        int16x8_t low = vcombine_s16(vmovn_s32(at[0]), vmovn_s32(at[1]));
        int16x8_t high = vcombine_s16(vmovn_s32(at[2]), vmovn_s32(at[3]));
        out->half[part] = vaddvq_s16(vaddq_s16(low, high));
        vst1q_s8(out->q + part * QUANT_PART, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
    }
    out->scale = amax / 127.0f;
    out->sum = (float)(out->half[0] + out->half[1]) * out->scale;
    out->start = -128 * (out->half[0] + out->half[1]);
}

static void quantise(struct activation_block *out, const float *x, int32_t width)
{
    for (int32_t b = 0; b < width / QUANT_BLOCK; b++)
        quantise_block(out + b, x + (size_t)b * QUANT_BLOCK);
}

NEON_INLINE void multiply_type(enum tensor_type type, const struct product *product)
{
    if (product->activations->count == 1)
        direct(type, product);
    else
        panels(type, product);
}

#endif
