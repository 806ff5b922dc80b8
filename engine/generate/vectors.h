/* vectors.h - from the states of a text's tokens to the one vector that stands for it.
 *
 * Threads:  pure functions.
 * Source:   Reimers and Gurevych 2019 (mean and first-token pooling, length 1).
 */
#ifndef GENERATE_VECTORS_H
#define GENERATE_VECTORS_H

#include "base/memory.h"
#include "model/config.h"

enum { VECTORS_NUMBER_BYTES = 16 }; /* the longest: ",-1.23456789e-38" */

/* Whether the state of token `index` of `count` has a part in the vector. */
bool vectors_needs(enum config_pooling pooling, int32_t index, int32_t count);

/* Take in the state [width] of a token; those of a text come in order, so that the sum of a mean
 * does not depend on how the text is cut.  Behind the last one that is needed *out is the mean of
 * all, or the first or the last of them; without pooling in the file, the mean. */
void vectors_pool(enum config_pooling pooling, const float *state, int32_t index, int32_t count,
                  int32_t width, float *out);

/* To length 1; a vector of zeros stays.  False when a value is not finite. */
bool vectors_normalise(float *vector, int32_t width);

/* Append "[0.1,-0.2]\n", each number with the digits that give the same float back; or the floats,
 * little-endian.  Returns 0, -ENOMEM or -EMSGSIZE. */
int vectors_write_json(const float *vector, int32_t width, struct buffer *out);
int vectors_write_f32(const float *vector, int32_t width, struct buffer *out);

#endif
