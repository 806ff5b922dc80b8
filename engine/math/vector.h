/* vector.h - the sums and functions between the matrix products.
 *
 * Promise:  as kernels.h: the same bits from every implementation (sums run in 16 virtual lanes and
 *           a fixed tree; exp, sigmoid and tanh are one polynomial everywhere).
 * Threads:  any.
 */
#ifndef MATH_VECTOR_H
#define MATH_VECTOR_H

#include "math/kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]   (Zhang and Sennrich 2019) */
void vector_rms_norm(const struct kernels *kernels, float *out, const float *x, const float *weight,
                     int32_t width, float epsilon);

/* out[i] = (x[i] - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * weight[i] + bias[i]
 * (Ba, Kiros and Hinton 2016) */
void vector_layer_norm(const struct kernels *kernels, float *out, const float *x,
                       const float *weight, const float *bias, int32_t width, float epsilon);

/* x[i] += y[i] */
void vector_add(const struct kernels *kernels, float *x, const float *y, int32_t width);

/* gate[i] = gate[i] * sigmoid(gate[i]) * up[i]   (SwiGLU, Shazeer 2020) */
void vector_silu_multiply(const struct kernels *kernels, float *gate, const float *up,
                          int32_t width);

/* x[i] += factor * y[i] */
void vector_add_scaled(const struct kernels *kernels, float *x, const float *y, float factor,
                       int32_t width);

/* x[i] *= factor */
void vector_scale(const struct kernels *kernels, float *x, float factor, int32_t width);

/* x[i] = cap * tanh(x[i] / cap), cap > 0   (Gemma 2, 2024) */
void vector_soft_cap(const struct kernels *kernels, float *x, float cap, int32_t width);

/* gate[i] = gelu(gate[i]) * up[i]   (GEGLU, Shazeer 2020), with the tanh form of gelu */
void vector_gelu_multiply(const struct kernels *kernels, float *gate, const float *up,
                          int32_t width);

/* x[i] = gelu(x[i])   (Hendrycks and Gimpel 2016), in the tanh form
 * x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), and in the exact form
 * x / 2 * (1 + erf(x / sqrt(2))). */
void vector_gelu(const struct kernels *kernels, float *x, int32_t width);
void vector_gelu_erf(const struct kernels *kernels, float *x, int32_t width);

/* x[i] = exp(x[i]) / sum over j of exp(x[j]), all relative to the largest */
void vector_softmax(const struct kernels *kernels, float *x, int32_t count);

/* The largest of x[count], NaN when any is NaN; count is at least 1. */
float vector_largest(const struct kernels *kernels, const float *x, int32_t count);

/* Values of a long vector that are looked at together. */
enum { VECTOR_RUN = 256 };

/* exp(-50) times the largest vocabulary is below what a double can tell from nothing. */
#define VECTOR_EXPONENT_MIN (-50.0)

/* weights[i] = exp((x[i] - most) * factor), 0 where the exponent is below VECTOR_EXPONENT_MIN.
 * Returns their sum, which is as precise as a float of at most VECTOR_RUN values is: to 1e-6. */
float vector_weigh(const struct kernels *kernels, float *weights, const float *x, int32_t count,
                   float most, float factor);

/* Where x[i] is at least `least`, ascending; `found` has room for `count`.  Returns how often. */
int32_t vector_find(const struct kernels *kernels, int32_t *found, const float *x, int32_t count,
                    float least);

/* The index of the largest value, the lowest one of equals; -1 when any value is NaN or all are
 * -infinity. */
int32_t vector_argmax(const struct kernels *kernels, const float *x, int32_t count);

/* log(sum(exp(x))), in double. */
double vector_log_sum_exp(const float *x, int32_t count);

/* cos and sin of every pair's angle at one position, computed in double, times `magnitude`, stored
 * as [cos0, sin0, cos1, sin1 ...]: angle_i = position * frequency[i].  Source: Su et al. 2021. */
void rope_angles(float *out, int32_t position, int32_t pairs, const double *frequency,
                 float magnitude);

/* Rotate the first `rotated` values of one head.  interleaved: pairs (2i, 2i+1); otherwise
 * (i, i + rotated/2). */
void rope_apply(float *head, const float *angles, int32_t rotated, bool interleaved);

#endif
