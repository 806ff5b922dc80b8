/* sampler.h - chooses a token from a row of logits.
 *
 * The order: biases, repetition, presence, frequency and DRY penalties, then what a grammar
 * forbids; temperature; then top-k, typical-p, top-p, min-p, or Mirostat instead of these four; and
 * the draw.  The last ones look at the probabilities that the temperature has made.
 *
 * Owns:     nothing: struct sampler is a plain value.  The biases, the breakers and the room for
 *           candidates are the caller's; one room serves all sequences, one after the other.
 * Promise:  the same logits, parameters and seed give the same token; no row of numbers, finite or
 *           not, leads outside the vocabulary.  No rule sorts the vocabulary.
 * Threads:  one thread a sampler and a room.
 * Source:   base/sampling.h; xoshiro256** and splitmix64 (Blackman and Vigna 2018).
 */
#ifndef GENERATE_SAMPLER_H
#define GENERATE_SAMPLER_H

#include "generate/odds.h"
#include "generate/penalties.h"
#include "math/kernels.h"

struct sampler {
    struct sampling sampling;
    const struct token_bias *biases;
    size_t bias_count;
    const uint64_t *breakers; /* of DRY, one bit a token; NULL: none */
    uint64_t random[4];
    double mirostat_mu; /* bits of surprise that a token may have now */
    struct history history;
};

struct sampler sampler_new(const struct sampling *sampling);

/* A token of the prompt or the answer, for the penalties. */
void sampler_saw(struct sampler *sampler, int32_t token);

/* Change logits[count] as the biases and penalties say. */
void sampler_penalise(const struct sampler *sampler, float *logits, int32_t count);

/* Choose from logits[count].  Returns the token, or -1 when one is not a number or none is finite.
 */
int32_t sampler_choose(struct sampler *sampler, const struct kernels *kernels, const float *logits,
                       int32_t count, struct odds_room room);

#endif
