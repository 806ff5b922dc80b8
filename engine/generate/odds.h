/* odds.h - how likely the tokens of a row of logits are, compared with the likeliest one.
 *
 * A row is looked at in runs of VECTOR_RUN tokens.  One pass sums the weights of each run; the draw
 * then computes again those of the one run that it falls into, and a rule that drops tokens those
 * of the runs that can hold one worth keeping.  So no token's weight is ever stored for all of the
 * vocabulary, and nothing is sorted.
 *
 * Owns:     nothing; the room is the caller's, one for all sequences, one after the other.
 * Promise:  the same odds from every implementation of the kernels: sums run in the order of the
 *           vocabulary, in 16 lanes within a run, in double from run to run.
 * Threads:  one a room.
 */
#ifndef GENERATE_ODDS_H
#define GENERATE_ODDS_H

#include "generate/candidates.h"
#include "math/kernels.h"

#include <stdbool.h>
#include <stddef.h>

/* Room for the choice among `count` tokens. */
struct odds_room {
    struct candidate *candidates; /* [count] */
    float *runs;                  /* sums or maxima */
};

/* False: no memory; the room may be closed nevertheless. */
bool odds_room_open(struct odds_room *room, int32_t count);
void odds_room_close(struct odds_room *room);
size_t odds_room_bytes(int32_t count);

struct odds {
    const struct kernels *kernels;
    const float *logits;
    int32_t count;
    float most, factor; /* weight = exp((logit - most) * factor), 1 of the best */
    struct odds_room room;
};

/* Of logits[count], none of them NaN or +infinity, of which `most` is the largest. */
struct odds odds_of(const struct kernels *kernels, const float *logits, int32_t count, float most,
                    float temperature, struct odds_room room);

/* Sum the weights of every run into the room.  Returns their total, at least 1. */
double odds_sum(const struct odds *odds);

/* The token at `at` in [0, total), after odds_sum(). */
int32_t odds_pick(const struct odds *odds, double at);

/* A weight such that all tokens with less have at most `budget` together, which is more than 0 and
 * less than the total; after odds_sum(). */
float odds_tail(const struct odds *odds, double budget);

/* The tokens whose weight is at least `least` > 0, in the order of the vocabulary, after
 * odds_sum(), whose total they keep. */
struct candidates odds_gather(const struct odds *odds, float least, double total);

/* The `limit` best tokens, without those whose logit is below `floor`, in no order and not yet
 * weighed.  The room's sums are gone then. */
struct candidates odds_best(const struct odds *odds, float floor, int32_t limit);

/* Weigh them, and sum that. */
void odds_weigh(const struct odds *odds, struct candidates *candidates);

#endif
