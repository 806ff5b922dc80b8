/* vector_lanes.h - the functions of vector.h in sixteen lanes; included by each implementation.
 *
 * A vector whose width is not a multiple of 16 is extended by values that change nothing.
 */
#ifndef MATH_VECTOR_LANES_H
#define MATH_VECTOR_LANES_H

#include "math/lanes.h"
#include "math/vector.h"

static void rms_norm(float *out, const float *x, const float *weight, int32_t width, float epsilon)
{
    struct lanes squares = lanes_set(0);
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        squares = lanes_fuse(a, a, squares);
    }
    struct lanes scale = lanes_set(1.0f / sqrtf(lanes_sum(squares) / (float)width + epsilon));
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_multiply(lanes_load_part(x + i, width - i, 0), scale);
        a = lanes_multiply(a, lanes_load_part(weight + i, width - i, 0));
        lanes_store_part(out + i, a, width - i);
    }
}

static void layer_norm(float *out, const float *x, const float *weight, const float *bias,
                       int32_t width, float epsilon)
{
    struct lanes sum = lanes_set(0), squares = lanes_set(0);
    for (int32_t i = 0; i < width; i += LANES)
        sum = lanes_add(sum, lanes_load_part(x + i, width - i, 0));
    const float mean = lanes_sum(sum) / (float)width;
    const struct lanes middle = lanes_set(mean);
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_subtract(lanes_load_part(x + i, width - i, mean), middle);
        squares = lanes_fuse(a, a, squares);
    }
    struct lanes scale = lanes_set(1.0f / sqrtf(lanes_sum(squares) / (float)width + epsilon));
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_subtract(lanes_load_part(x + i, width - i, mean), middle);
        a = lanes_fuse(lanes_multiply(a, scale), lanes_load_part(weight + i, width - i, 0),
                       lanes_load_part(bias + i, width - i, 0));
        lanes_store_part(out + i, a, width - i);
    }
}

static void add(float *x, const float *y, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        a = lanes_add(a, lanes_load_part(y + i, width - i, 0));
        lanes_store_part(x + i, a, width - i);
    }
}

static void add_scaled(float *x, const float *y, float factor, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        a = lanes_fuse(lanes_load_part(y + i, width - i, 0), lanes_set(factor), a);
        lanes_store_part(x + i, a, width - i);
    }
}

static void scale(float *x, float factor, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        lanes_store_part(x + i, lanes_multiply(a, lanes_set(factor)), width - i);
    }
}

/* cap tanh(x / cap); `inverse` is 1 / cap. */
LANES_INLINE struct lanes softly_capped(struct lanes x, float cap, float inverse)
{
    return lanes_multiply(lanes_tanh(lanes_multiply(x, lanes_set(inverse))), lanes_set(cap));
}

static void soft_cap(float *x, float cap, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        lanes_store_part(x + i, softly_capped(a, cap, 1.0f / cap), width - i);
    }
}

static void silu_multiply(float *gate, const float *up, int32_t width)
{
    const struct lanes zero = lanes_set(0), one = lanes_set(1);
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(gate + i, width - i, 0);
        struct lanes divisor = lanes_add(one, lanes_exp(lanes_subtract(zero, a)));
        a = lanes_multiply(lanes_divide(a, divisor), lanes_load_part(up + i, width - i, 0));
        lanes_store_part(gate + i, a, width - i);
    }
}

static void gelu(float *x, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES)
        lanes_store_part(x + i, lanes_gelu(lanes_load_part(x + i, width - i, 0)), width - i);
}

static void gelu_multiply(float *gate, const float *up, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_gelu(lanes_load_part(gate + i, width - i, 0));
        a = lanes_multiply(a, lanes_load_part(up + i, width - i, 0));
        lanes_store_part(gate + i, a, width - i);
    }
}

static void gelu_erf(float *x, int32_t width)
{
    for (int32_t i = 0; i < width; i += LANES) {
        struct lanes a = lanes_load_part(x + i, width - i, 0);
        lanes_store_part(x + i, lanes_gelu_erf(a), width - i);
    }
}

static void softmax(float *x, int32_t count)
{
    struct lanes largest = lanes_set(-INFINITY), sum = lanes_set(0);
    for (int32_t i = 0; i < count; i += LANES)
        largest = lanes_max(lanes_load_part(x + i, count - i, -INFINITY), largest);
    const struct lanes most = lanes_set(lanes_largest(largest));
    for (int32_t i = 0; i < count; i += LANES) {
        struct lanes a = lanes_load_part(x + i, count - i, 0);
        a = lanes_exp(lanes_subtract(a, most));
        lanes_store_part(x + i, a, count - i);
        sum = lanes_add(sum, lanes_load_part(x + i, count - i, 0));
    }
    scale(x, 1.0f / lanes_sum(sum), count);
}

/* Beside the largest a sum of x - x, which is 0 unless an x is NaN or infinity; a token that may
 * not come has -infinity, so that this one counts as a number here. */
static float largest(const float *x, int32_t count)
{
    const struct lanes lowest = lanes_set(-FLT_MAX);
    struct lanes most = lanes_set(-INFINITY), odd = lanes_set(0);
    for (int32_t i = 0; i < count; i += LANES) {
        struct lanes a = lanes_load_part(x + i, count - i, x[0]);
        struct lanes number = lanes_max(lowest, a); /* in this order NaN stays */
        most = lanes_max(a, most);
        odd = lanes_add(odd, lanes_subtract(number, number));
    }
    if (!(lanes_sum(odd) == 0))
        for (int32_t i = 0; i < count; i++)
            if (isnan(x[i]))
                return NAN;
    return lanes_largest(most) + 0.0f; /* a comparison may leave a denormal as it is, or not */
}

static float weigh(float *weights, const float *x, int32_t count, float most, float factor)
{
    const struct lanes highest = lanes_set(most), slope = lanes_set(factor), zero = lanes_set(0);
    const struct lanes floor = lanes_set((float)VECTOR_EXPONENT_MIN);
    struct lanes sum = zero;
    for (int32_t i = 0; i < count; i += LANES) {
        struct lanes a = lanes_load_part(x + i, count - i, -INFINITY);
        a = lanes_multiply(lanes_subtract(a, highest), slope);
        a = lanes_where_less(a, floor, zero, lanes_exp(a));
        sum = lanes_add(sum, a);
        lanes_store_part(weights + i, a, count - i);
    }
    return lanes_sum(sum);
}

/* Sixteen at a time are passed over. */
static int32_t find(int32_t *found, const float *x, int32_t count, float least)
{
    const struct lanes lowest = lanes_set(least), zero = lanes_set(0), one = lanes_set(1);
    int32_t hits = 0;
    for (int32_t i = 0; i < count; i += LANES) {
        const struct lanes a = lanes_load_part(x + i, count - i, -INFINITY);
        const int32_t end = count - i < LANES ? count : i + LANES;
        if (lanes_sum(lanes_where_less(a, lowest, zero, one)) == 0)
            continue;
        for (int32_t k = i; k < end; k++) { /* no branch, which could not be predicted */
            found[hits] = k;
            hits += x[k] >= least;
        }
    }
    return hits;
}

#endif
