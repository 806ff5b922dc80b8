/* vectors.c - see vectors.h. */
#include "generate/vectors.h"

#include "base/half.h"

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

/* As printf's "%.9g", exact like it, for a magnitude in 0.0001..1 that stays below 1 when rounded;
 * returns the length, or 0 for any other.  The value is m / 2^s: with m < 2^24 and k <= 12 the
 * product m * 10^k fits into 64 bits. */
static int write_fraction(float value, char *out)
{
    enum { MANTISSA_BITS = 23, EXPONENT_OF_1 = 127, DIGITS = 9, ZEROS = 3 };
    const uint32_t bits = float_bits(value);
    const int s = MANTISSA_BITS + EXPONENT_OF_1 - (int)(bits >> MANTISSA_BITS & 0xff);
    const uint64_t m = (bits & 0x7fffff) | 0x800000;
    uint64_t scaled = m * 1000000000;
    int zeros = 0;
    if (s <= MANTISSA_BITS || s > MANTISSA_BITS + 14)
        return 0;
    for (; scaled >> s < 100000000; scaled *= 10)
        if (++zeros > ZEROS)
            return 0;
    uint64_t digits = scaled >> s, rest = scaled & (((uint64_t)1 << s) - 1);
    const uint64_t half = (uint64_t)1 << (s - 1);
    digits += rest > half || (rest == half && digits % 2);
    if (digits == 1000000000)
        return 0;
    int length = 0, last = DIGITS;
    for (; digits % 10 == 0; digits /= 10)
        last--;
    if (bits >> 31)
        out[length++] = '-';
    memcpy(out + length, "0.000", 2 + (size_t)zeros);
    length += 2 + zeros;
    for (int i = last - 1; i >= 0; i--, digits /= 10)
        out[length + i] = (char)('0' + digits % 10);
    return length + last;
}

int vectors_write_json(const float *vector, int32_t width, struct buffer *out)
{
    char number[VECTORS_NUMBER_BYTES + 1] = "[";
    int status = 0;
    for (int32_t i = 0; i < width && !status; i++) {
        int length = write_fraction(vector[i], number + 1);
        if (!length)
            length = snprintf(number + 1, sizeof number - 1, "%.9g", (double)vector[i]);
        status = buffer_append(out, number, 1 + (size_t)length);
        number[0] = ',';
    }
    return status ? status : buffer_append(out, "]\n", 2);
}

int vectors_write_f32(const float *vector, int32_t width, struct buffer *out)
{
    return buffer_append(out, vector, (size_t)width * sizeof *vector);
}
