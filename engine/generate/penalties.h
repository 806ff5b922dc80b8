/* penalties.h - what changes the logits of a sequence before a token is drawn.
 *
 * Owns:     struct history is a plain value: a ring of the last tokens.
 * Promise:  tokens outside the vocabulary change nothing; the work is linear in the history.
 * Threads:  one a history.
 * Source:   sampling.h.
 */
#ifndef GENERATE_PENALTIES_H
#define GENERATE_PENALTIES_H

#include "base/sampling.h"

struct history {
    int32_t tokens[SAMPLING_HISTORY_TOKENS]; /* a ring */
    uint32_t seen;                           /* so far: the next goes to seen % its size */
};

void history_add(struct history *history, int32_t token);

/* Add each bias to its logit. */
void penalties_bias(const struct token_bias *biases, size_t bias_count, float *logits,
                    int32_t count);

/* Repetition, presence and frequency penalty of the last SAMPLING_REPEAT_TOKENS tokens:
 *     logit > 0 ? logit / repeat : logit * repeat
 *     logit - presence - frequency * occurrences */
void penalties_repeat(const struct history *history, const struct sampling *sampling, float *logits,
                      int32_t count);

/* DRY: a token that would prolong a repeated passage of n >= allowed tokens loses
 * multiplier * base^(n - allowed).  `breakers` is a set of tokens, one bit each, that no passage
 * reaches across; NULL: none. */
void penalties_dry(const struct history *history, const struct sampling *sampling,
                   const uint64_t *breakers, float *logits, int32_t count);

#endif
