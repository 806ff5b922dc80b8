/* rope.h - how fast each pair of a head's values turns: the rotation of one kind of layers.
 *
 * Computed once for a context, in double; a step then needs one product, one cosine and one sine
 * for each pair of each of its positions (rope_angles() in math/vector.h).
 *
 * Owns:     nothing; a plain value.
 * Threads:  any.
 * Source:   Su et al. 2021; linear scaling and YaRN: Peng et al. 2023; the lists of divisors: Llama
 *           3.1 (2024) and Ding et al. 2024.
 */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/model.h"

struct rope {
    int32_t rotated; /* values of a head */
    bool interleaved;
    float magnitude;
    double frequency[CONFIG_HEAD_SIZE_MAX / 2]; /* radians a position, of each pair */
};

/* The rotation of a model's layers with a window (`windowed`) or of the others, in use with up to
 * `context` positions: longer contexts than the original take the longer list of divisors. */
void rope_make(const struct model *model, bool windowed, int32_t context, struct rope *out);

/* How many different rotations the layers of a model have: 1, or 2 when those with a window differ
 * (the second one is theirs). */
int rope_kinds(const struct model_config *config);
int rope_kind(const struct model_config *config, int32_t layer);

#endif
