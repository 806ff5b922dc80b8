/* wide_portable.c - the arithmetic of wide.h in plain C: the oracle of the others, and what runs on
 * a machine that has none of its own.  The loops over 16 rows are those that compilers turn into
 * vectors. */
#include "math/lanes.h"
#include "math/text_attention_lanes.h"
#include "math/wide_table.h"

/* Round `count` floats, at most a group, to q[i * step]; returns the scale. */
static float round_group(const float *x, int32_t count, int16_t *q, size_t step)
{
    uint32_t most = 0; /* of the magnitudes' bits: larger than infinity's when any is NaN */
    for (int32_t i = 0; i < count; i++) {
        uint32_t magnitude = float_bits(x[i]) & 0x7fffffff;
        most = magnitude > most ? magnitude : most;
    }
    const float amax = float_of_bits(most);
    const bool finite = most < 0x7f800000, flat = !finite || amax < wide_flat;
    const float inverse = flat ? 0 : (float)WIDE_STEPS / amax;
    for (int32_t i = 0; i < count; i++)
        q[(size_t)i * step] = flat ? 0 : (int16_t)lrintf(x[i] * inverse);
    if (flat)
        return finite ? 0 : NAN;
    return amax / (float)WIDE_STEPS;
}

static int32_t group_size(int32_t width, int32_t k)
{
    return width - k < WIDE_GROUP ? width - k : WIDE_GROUP;
}

static void quantise(const struct wide_vectors *vectors, int32_t index, const float *x)
{
    for (int32_t k = 0; k < vectors->width; k += WIDE_GROUP) {
        int16_t q[WIDE_GROUP] = {0};
        int32_t *pairs = wide_pairs(vectors, index, k);
        *wide_scales(vectors, index, k / WIDE_GROUP) =
            round_group(x + k, group_size(vectors->width, k), q, 1);
        for (int32_t i = 0; i < group_size(vectors->columns, k); i += 2)
            memcpy(pairs + i / 2 * WIDE_TILE, q + i, sizeof *pairs);
    }
}

/* A group of 16 rows, side by side. */
struct group {
    int16_t q[WIDE_GROUP][MATRIX_GRAIN];
    float scale[MATRIX_GRAIN];
};

/* f[r] continued by one group: the definition of the product. */
static void continue_sums(const struct group *group, int32_t size, const int32_t *pairs,
                          float scale, float *f)
{
    int32_t sum[MATRIX_GRAIN] = {0};
    for (int32_t k = 0; k < size; k += 2) {
        int16_t x[2];
        memcpy(x, pairs + k / 2 * WIDE_TILE, sizeof x);
        for (int r = 0; r < MATRIX_GRAIN; r++)
            sum[r] += group->q[k][r] * x[0] + group->q[k + 1][r] * x[1];
    }
    for (int r = 0; r < MATRIX_GRAIN; r++)
        f[r] = fused((float)sum[r], group->scale[r] * scale, f[r]);
}

static struct lanes apply(enum wide_function function, struct lanes x)
{
    if (function == WIDE_GELU)
        return lanes_gelu(x);
    return function == WIDE_GELU_ERF ? lanes_gelu_erf(x) : x;
}

/* Sixteen outputs of vector n, of which rows->count are there. */
static float *outputs(const struct wide_product *product, const struct wide_rows *rows, int32_t n)
{
    return product->y + (size_t)n * product->y_stride + rows->first;
}

static void start(const struct wide_product *product, const struct wide_rows *rows, int32_t n)
{
    float *y = outputs(product, rows, n);
    for (int32_t r = 0; r < rows->count; r++)
        y[r] = (product->adds ? y[r] : 0) + (product->bias ? product->bias[rows->first + r] : 0);
}

static void multiply(const struct wide_product *product, const struct wide_rows *rows)
{
    const struct wide_vectors *vectors = product->vectors;
    for (int32_t n = 0; n < vectors->count; n++)
        start(product, rows, n);
    for (int32_t k = 0; k < vectors->width; k += WIDE_GROUP) {
        struct group group = {0};
        for (int r = 0; r < MATRIX_GRAIN; r++)
            group.scale[r] = round_group(rows->row[r] + k, group_size(vectors->width, k),
                                         &group.q[0][r], MATRIX_GRAIN);
        for (int32_t n = 0; n < vectors->count; n++) {
            float f[MATRIX_GRAIN] = {0}, *y = outputs(product, rows, n);
            memcpy(f, y, (size_t)rows->count * sizeof *f);
            continue_sums(&group, group_size(vectors->columns, k), wide_pairs(vectors, n, k),
                          *wide_scales(vectors, n, k / WIDE_GROUP), f);
            memcpy(y, f, (size_t)rows->count * sizeof *f);
        }
    }
    for (int32_t n = 0; n < vectors->count && product->function != WIDE_AS_IT_IS; n++) {
        float *y = outputs(product, rows, n);
        lanes_store_part(y, apply(product->function, lanes_load_part(y, rows->count, 0)),
                         rows->count);
    }
}

const struct wide_kernels wide_portable = {
    .quantise = quantise, .multiply = multiply, .attend_text = attend_text};
