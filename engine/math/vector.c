/* vector.c - see vector.h. */
#include "math/vector.h"

#include "math/table.h"

#include <math.h>

void vector_rms_norm(const struct kernels *kernels, float *out, const float *x, const float *weight,
                     int32_t width, float epsilon)
{
    kernels->rms_norm(out, x, weight, width, epsilon);
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

int32_t vector_argmax(const struct kernels *kernels, const float *x, int32_t count)
{
    return count > 0 ? kernels->argmax(x, count) : -1;
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

void rope_angles(float *out, int32_t position, int32_t rotated, float base, const float *factors)
{
    for (int32_t i = 0; i < rotated / 2; i++) {
        double angle = position * pow((double)base, -2.0 * i / rotated);
        if (factors)
            angle /= (double)factors[i];
        out[2 * i] = (float)cos(angle);
        out[2 * i + 1] = (float)sin(angle);
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
