/* candidates.h - the tokens among which one is drawn, and the rules that drop some of them.
 *
 * A weight is proportional to a probability; the best candidate's is 1.
 *
 * Owns:     nothing; the array is the caller's, with room for the whole vocabulary.
 * Promise:  a total order (logit, then the lower id), so that equal logits do not make the choice
 *           depend on how it was reached; the vocabulary is never sorted, only what may remain.
 * Threads:  one an array.
 */
#ifndef GENERATE_CANDIDATES_H
#define GENERATE_CANDIDATES_H

#include <stdint.h>

struct candidate {
    float logit;
    int32_t token;
    double weight;
};

struct candidates {
    struct candidate *items;
    int32_t count;
    double total; /* of the weights */
};

/* The `limit` best of the logits that are at least `floor`, in no order. */
int32_t candidates_gather(const float *logits, int32_t count, float floor, int32_t limit,
                          struct candidate *room);

/* The best first. */
void candidates_sort(struct candidates *candidates);

/* weight = exp((logit - best) / temperature) */
void candidates_weigh(struct candidates *candidates, float best, float temperature);

/* The fewest of the best whose share reaches top_p; sorted then. */
void candidates_keep_nucleus(struct candidates *candidates, double top_p);

/* The fewest of the most typical, those whose surprise is nearest to the entropy, whose share
 * reaches typical_p. */
void candidates_keep_typical(struct candidates *candidates, double typical_p);

/* Those of at least min_p of the best one's probability. */
void candidates_keep_probable(struct candidates *candidates, double min_p);

/* The best one, and all whose surprise is at most `bits`; sorted then. */
void candidates_keep_unsurprising(struct candidates *candidates, double bits);

/* The one at `at` in [0, total). */
const struct candidate *candidates_pick(const struct candidates *candidates, double at);

#endif
