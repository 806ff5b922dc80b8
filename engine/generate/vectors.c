/* vectors.c - see vectors.h. */
#include "generate/vectors.h"

#include <math.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

bool vectors_needs(enum config_pooling pooling, int32_t index, int32_t count)
{
    if (pooling == CONFIG_POOLING_FIRST)
        return index == 0;
    return pooling != CONFIG_POOLING_LAST || index == count - 1;
}

void vectors_pool(enum config_pooling pooling, const float *state, int32_t index, int32_t count,
                  int32_t width, float *out)
{
    const bool chosen = pooling == CONFIG_POOLING_FIRST || pooling == CONFIG_POOLING_LAST;
    if (!vectors_needs(pooling, index, count))
        return;
    if (chosen || index == 0)
        memcpy(out, state, (size_t)width * sizeof *out);
    for (int32_t i = 0; i < width && !chosen && index > 0; i++)
        out[i] += state[i];
    for (int32_t i = 0; i < width && !chosen && index == count - 1; i++)
        out[i] /= (float)count;
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
    char number[VECTORS_NUMBER_BYTES + 1];
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
