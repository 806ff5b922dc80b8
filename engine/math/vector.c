/* vector.c - see vector.h. */
#include "math/vector.h"

#include "math/table.h"

#include <math.h>

void vector_rms_norm(const struct kernels *kernels, float *out, const float *x, const float *weight,
                     int32_t width, float epsilon)
{
    kernels->rms_norm(out, x, weight, width, epsilon);
}

void vector_layer_norm(const struct kernels *kernels, float *out, const float *x,
                       const float *weight, const float *bias, int32_t width, float epsilon)
{
    kernels->layer_norm(out, x, weight, bias, width, epsilon);
}

void vector_add(const struct kernels *kernels, float *x, const float *y, int32_t width)
{
    kernels->add(x, y, width);
}

void vector_silu_multiply(const struct kernels *kernels, float *gate, const float *up,
                          int32_t width)
{
    kernels->silu_multiply(gate, up, width);
}

void vector_add_scaled(const struct kernels *kernels, float *x, const float *y, float factor,
                       int32_t width)
{
    kernels->add_scaled(x, y, factor, width);
}

void vector_scale(const struct kernels *kernels, float *x, float factor, int32_t width)
{
    kernels->scale(x, factor, width);
}

void vector_soft_cap(const struct kernels *kernels, float *x, float cap, int32_t width)
{
    kernels->soft_cap(x, cap, width);
}

void vector_gelu_multiply(const struct kernels *kernels, float *gate, const float *up,
                          int32_t width)
{
    kernels->gelu_multiply(gate, up, width);
}

void vector_gelu(const struct kernels *kernels, float *x, int32_t width)
{
    kernels->gelu(x, width);
}

void vector_gelu_erf(const struct kernels *kernels, float *x, int32_t width)
{
    kernels->gelu_erf(x, width);
}

void vector_softmax(const struct kernels *kernels, float *x, int32_t count)
{
    kernels->softmax(x, count);
}

float vector_largest(const struct kernels *kernels, const float *x, int32_t count)
{
    return kernels->largest(x, count);
}

float vector_weigh(const struct kernels *kernels, float *weights, const float *x, int32_t count,
                   float most, float factor)
{
    return kernels->weigh(weights, x, count, most, factor);
}

int32_t vector_find(const struct kernels *kernels, int32_t *found, const float *x, int32_t count,
                    float least)
{
    return kernels->find(found, x, count, least);
}

/* By parts, so that what is searched for the index is one of them. */
int32_t vector_argmax(const struct kernels *kernels, const float *x, int32_t count)
{
    enum { PART = 2048 };
    float most = -INFINITY;
    int32_t at = -1;
    for (int32_t begin = 0; begin < count; begin += PART) {
        const int32_t left = count - begin;
        const float found = kernels->largest(x + begin, left < PART ? left : PART);
        if (isnan(found))
            return -1;
        if (found > most) {
            most = found;
            at = begin;
        }
    }
    while (at >= 0 && x[at] < most)
        at++;
    return at;
}

double vector_log_sum_exp(const float *x, int32_t count)
{
    double most = -INFINITY, sum = 0;
    for (int32_t i = 0; i < count; i++)
        most = (double)x[i] > most ? (double)x[i] : most;
    if (!isfinite(most))
        return most;
    for (int32_t i = 0; i < count; i++)
        sum += exp((double)x[i] - most);
    return most + log(sum);
}

void rope_angles(float *out, int32_t position, int32_t pairs, const double *frequency,
                 float magnitude)
{
    for (int32_t i = 0; i < pairs; i++) {
        double angle = position * frequency[i];
        out[2 * i] = (float)(cos(angle) * (double)magnitude);
        out[2 * i + 1] = (float)(sin(angle) * (double)magnitude);
    }
}

void rope_apply(float *head, const float *angles, int32_t rotated, bool interleaved)
{
    int32_t pairs = rotated / 2;
    for (int32_t i = 0; i < pairs; i++) {
        float *first = interleaved ? head + 2 * i : head + i;
        float *second = interleaved ? first + 1 : first + pairs;
        float cosine = angles[2 * i], sine = angles[2 * i + 1], a = *first, b = *second;
        *first = a * cosine - b * sine;
        *second = a * sine + b * cosine;
    }
}
