/* vectors.c - see vectors.h. */
#include "generate/vectors.h"

#include <math.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

enum { NUMBER_BYTES = 24 };

static void mean(const float *states, int32_t count, int32_t width, float *out)
{
    for (int32_t i = 0; i < width; i++)
        out[i] = 0;
    for (int32_t n = 0; n < count; n++)
        for (int32_t i = 0; i < width; i++)
            out[i] += states[(size_t)n * (size_t)width + (size_t)i];
    for (int32_t i = 0; i < width; i++)
        out[i] /= (float)count;
}

void vectors_pool(enum config_pooling pooling, const float *states, int32_t count, int32_t width,
                  float *out)
{
    const float *chosen = states;
    switch (pooling) {
    case CONFIG_POOLING_FIRST:
        break;
    case CONFIG_POOLING_LAST:
        chosen = states + (size_t)(count - 1) * (size_t)width;
        break;
    case CONFIG_POOLING_NONE:
    case CONFIG_POOLING_MEAN:
    case CONFIG_POOLING_RANK:
        mean(states, count, width, out);
        return;
    }
    memcpy(out, chosen, (size_t)width * sizeof *out);
}

bool vectors_normalise(float *vector, int32_t width)
{
    double squares = 0;
    for (int32_t i = 0; i < width; i++)
        squares += (double)vector[i] * (double)vector[i];
    if (!isfinite(squares))
        return false;
    const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (int32_t i = 0; i < width; i++)
        vector[i] = (float)((double)vector[i] * scale);
    return true;
}

int vectors_write_json(const float *vector, int32_t width, struct buffer *out)
{
    char number[NUMBER_BYTES];
    int status = 0;
    for (int32_t i = 0; i < width && !status; i++) {
        int length = snprintf(number, sizeof number, "%c%.9g", i ? ',' : '[', (double)vector[i]);
        status = buffer_append(out, number, (size_t)length);
    }
    return status ? status : buffer_append(out, "]\n", 2);
}

int vectors_write_f32(const float *vector, int32_t width, struct buffer *out)
{
    return buffer_append(out, vector, (size_t)width * sizeof *vector);
}
