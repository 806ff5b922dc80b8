/* vector_lanes.h - the functions of vector.h in sixteen lanes; included by each implementation.
 *
 * A vector whose width is not a multiple of 16 is extended by values that change nothing.
 */
#ifndef MATH_VECTOR_LANES_H
#define MATH_VECTOR_LANES_H

#include "math/lanes.h"

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

/* The largest value first, with a sum of x - x that is 0 only when every x is finite. */
static int32_t argmax(const float *x, int32_t count)
{
    struct lanes largest = lanes_set(-INFINITY), odd = lanes_set(0);
    for (int32_t i = 0; i < count; i += LANES) {
        struct lanes a = lanes_load_part(x + i, count - i, x[0]);
        largest = lanes_max(largest, a);
        odd = lanes_add(odd, lanes_subtract(a, a));
    }
    float most = lanes_largest(largest);
    if (!(lanes_sum(odd) == 0)) {
        int32_t finite = 0;
        most = -INFINITY;
        for (int32_t i = 0; i < count; i++) {
            if (isnan(x[i]))
                return -1;
            finite += isfinite(x[i]) != 0;
            most = x[i] > most ? x[i] : most;
        }
        if (finite == 0)
            return -1;
    }
    for (int32_t i = 0; i < count; i++)
        if (x[i] == most)
            return i;
    return -1;
}

#endif
