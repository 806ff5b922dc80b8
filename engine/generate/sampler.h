/* sampler.h - chooses a token from a row of logits.
 *
 * The order: repetition penalty, temperature, top-k, top-p, min-p, draw.  top-p and min-p look at
 * the probabilities that the temperature has made.
 *
 * Owns:     nothing: struct sampler is a plain value.  The room for candidates is the caller's; one
 *           serves all sequences, one after the other.
 * Promise:  the same logits, parameters and seed give the same token; no row of numbers, finite or
 *           not, leads outside the vocabulary.  top-k never sorts the vocabulary.
 * Threads:  one thread a sampler and a room.
 * Source:   sampling.h; xoshiro256** and splitmix64 (Blackman and Vigna 2018).
 */
#ifndef GENERATE_SAMPLER_H
#define GENERATE_SAMPLER_H

#include "base/error.h"
#include "generate/sampling.h"
#include "math/kernels.h"

struct sampler {
    struct sampling sampling;
    uint64_t random[4];
    int32_t recent[SAMPLING_REPEAT_TOKENS]; /* a ring of the last tokens */
    uint32_t seen;                          /* tokens so far: the next goes to seen % its size */
};

struct candidate {
    float logit;
    int32_t token;
    double weight; /* proportional to its probability */
};

/* Returns 0, or -EINVAL naming the parameter that is out of range. */
int sampler_check(const struct sampling *sampling, struct error *error);

struct sampler sampler_new(const struct sampling *sampling);

/* A token of the prompt or the answer, for the repetition penalty. */
void sampler_saw(struct sampler *sampler, int32_t token);

/* Choose from logits[count], which the penalty changes in place.  `room` has space for `count`
 * candidates.  Returns the token, or -1 when the logits are not finite. */
int32_t sampler_choose(struct sampler *sampler, const struct kernels *kernels, float *logits,
                       int32_t count, struct candidate *room);

#endif
