/* portable.c - the canonical arithmetic in plain C: the oracle of every other implementation, and
 * what runs on a machine that has none of its own.
 *
 * docs/KERNELS.md says the same in formulas.  Nothing here is tuned; it must only be right.
 */
#include "math/attention_lanes.h"
#include "math/float_columns.h"
#include "math/table.h"
#include "math/vector_lanes.h"

#include <math.h>

/* Below this a scale of amax / 127 or its inverse would leave the normal floats. */
static const float AMAX_MIN = 0x1p-100f;

static void quantise_block(struct activation_block *out, const float *x)
{
    uint32_t most = 0; /* of the magnitudes' bits: larger than infinity's when any is NaN */
    for (int k = 0; k < QUANT_BLOCK; k++) {
        uint32_t magnitude = float_bits(x[k]) & 0x7fffffff;
        most = magnitude > most ? magnitude : most;
    }
    float amax = float_of_bits(most);
    memset(out, 0, sizeof *out);
    if (most >= 0x7f800000)
        out->scale = out->sum = NAN;
    if (most >= 0x7f800000 || amax < AMAX_MIN)
        return;
    float inverse = 127.0f / amax;
    for (int k = 0; k < QUANT_BLOCK; k++) {
        out->q[k] = (int8_t)lrintf(x[k] * inverse);
        out->half[k / QUANT_PART] = (int16_t)(out->half[k / QUANT_PART] + out->q[k]);
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

/* The sum of q * w over the block, the halves weighted: below 2^24 in magnitude for every type, so
 * exact as a float. */
static int32_t integer_sum(const struct quant_block *w, const struct activation_block *a)
{
    int32_t sum = 0;
    for (int part = 0; part < QUANT_BLOCK / QUANT_PART; part++) {
        int32_t t = 0;
        for (int k = part * QUANT_PART; k < (part + 1) * QUANT_PART; k++)
            t += w->weight[k] * a->q[k];
        sum += t * w->part[part];
    }
    return sum;
}

/* The sum f continued by one block: the definition of every product with quantised weights. */
static float accumulate(enum tensor_type type, const struct quant_block *w,
                        const struct activation_block *a, float f)
{
    f = fused((float)integer_sum(w, a), w->scale * a->scale, f);
    if (quant_has_minimum_parts(type)) {
        int32_t sum = a->half[0] * w->minimum_part[0] + a->half[1] * w->minimum_part[1];
        return fused((float)sum, w->minimum * a->scale, f);
    }
    return quant_has_minimum(type) ? fused(a->sum, w->minimum, f) : f;
}

static void multiply(const struct matrix *matrix, const struct activations *activations, float *y,
                     size_t y_stride, int32_t row_begin, int32_t row_end)
{
    if (matrix->transposed) {
        multiply_columns(matrix, activations, y, y_stride, row_begin, row_end);
        return;
    }
    if (!quant_is_block_type(matrix->type)) {
        multiply_floats(matrix, activations, y, y_stride, row_begin, row_end);
        return;
    }
    for (int32_t row = row_begin; row < row_end; row++) {
        const uint8_t *bytes = matrix->data + (size_t)row * matrix->row_bytes;
        for (int32_t n = 0; n < activations->count; n++)
            y[(size_t)n * y_stride + (size_t)row] = 0;
        for (size_t b = 0; b < activations->blocks; b++) {
            struct quant_block block;
            quant_unpack(matrix->type, bytes, (int32_t)b, &block);
            for (int32_t n = 0; n < activations->count; n++) {
                float *f = y + (size_t)n * y_stride + (size_t)row;
                const struct activation_block *a = activations->block;
                *f = accumulate(matrix->type, &block, a + (size_t)n * activations->blocks + b, *f);
            }
        }
    }
}

const struct kernels kernels_portable = {
    .name = "portable",
    .wide = &wide_portable,
    KERNELS_FUNCTIONS,
};
