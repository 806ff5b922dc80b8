/* candidates.h - the tokens among which one is drawn, and the rules that drop some of them.
 *
 * A weight is proportional to a probability; the best token's of all is 1.
 *
 * Owns:     nothing; the array is the caller's, with room for the whole vocabulary.
 * Promise:  a total order (what is larger, then the lower id), so that equal logits do not make the
 *           choice depend on how it was reached; nothing is sorted but the few where a rule cuts.
 * Threads:  one an array.
 */
#ifndef GENERATE_CANDIDATES_H
#define GENERATE_CANDIDATES_H

#include <stdint.h>

struct candidate {
    float order; /* the logit, until a rule sets another; the largest comes first */
    int32_t token;
    float weight;
};

struct candidates {
    struct candidate *items;
    int32_t count;
    double total; /* of the weights, with those of the tokens that none of the rules needs to see */
};

/* The best first. */
void candidates_sort(struct candidates *candidates);

/* Bring the `limit` best to the front, in no order; all weights are 1.  Returns how many they are.
 */
int32_t candidates_keep_best(struct candidate *items, int32_t count, int32_t limit);

/* The fewest of the best whose share of the total reaches top_p. */
void candidates_keep_nucleus(struct candidates *candidates, double top_p);

/* The fewest of the most typical, those whose surprise is nearest to the entropy, whose share
 * reaches typical_p.  Their order is that of their weights then. */
void candidates_keep_typical(struct candidates *candidates, double typical_p);

/* Those of at least min_p of the best one's probability. */
void candidates_keep_probable(struct candidates *candidates, double min_p);

/* The one at `at` in [0, total). */
const struct candidate *candidates_pick(const struct candidates *candidates, double at);

#endif
