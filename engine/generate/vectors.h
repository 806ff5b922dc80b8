/* vectors.h - from the states of a text's tokens to the one vector that stands for it.
 *
 * Threads:  pure functions.
 * Source:   Reimers and Gurevych 2019 (mean and first-token pooling, length 1).
 */
#ifndef GENERATE_VECTORS_H
#define GENERATE_VECTORS_H

#include "base/memory.h"
#include "model/config.h"

/* The mean of states[count][width], or the first or the last of them; without pooling in the file,
 * the mean.  count is above 0. */
void vectors_pool(enum config_pooling pooling, const float *states, int32_t count, int32_t width,
                  float *out);

/* To length 1; a vector of zeros stays.  False when a value is not finite. */
bool vectors_normalise(float *vector, int32_t width);

/* Append "[0.1,-0.2]\n", each number with the digits that give the same float back; or the floats,
 * little-endian.  Returns 0, -ENOMEM or -EMSGSIZE. */
int vectors_write_json(const float *vector, int32_t width, struct buffer *out);
int vectors_write_f32(const float *vector, int32_t width, struct buffer *out);

#endif
