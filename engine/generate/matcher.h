/* matcher.h - where a text stands in a grammar, and which bytes may come next.
 *
 * A state is a set of items (node, frame): a place in the network, and whom to return to.  A frame
 * is a set of (node, frame) too: all the callers that entered a rule at the same byte.  So a text
 * that can be read in exponentially many ways still has few items (a graph-structured stack, Tomita
 * 1985); a call at the end of a rule makes no frame.  Equal frames and equal states are stored
 * once, and a state remembers where each class of bytes leads: a lazily built automaton, so that
 * most steps are one look-up.
 *
 * Owns:     frames and states; when they pass MATCHER_BYTES_MAX all but those that are needed are
 *           dropped.
 * Promise:  no recursion; time a step and memory are bounded by the limits below, and passing one
 *           is an error, never a guess.
 * Threads:  one a matcher.  The grammar must outlive it.
 * Source:   Scott and Johnstone 2010 (GLL); Russ Cox 2010 (RE2's automaton that is built as
 *           needed).
 */
#ifndef GENERATE_MATCHER_H
#define GENERATE_MATCHER_H

#include "generate/grammar_build.h"

enum {
    MATCHER_BYTES_MAX = 16 << 20, /* of frames and states */
    MATCHER_ITEMS_MAX = 1 << 16,  /* places that one step looks at */
    MATCHER_WORK_MAX = 1 << 23,   /* the same of all steps between two matcher_trim() */
};

struct matcher;

/* Numbers of states; they are valid until matcher_trim(). */
enum { MATCHER_DEAD = 0, MATCHER_UNKNOWN = -1 };

/* Returns 0, -ENOMEM, or -EMSGSIZE: the grammar's beginning passes a limit. */
int matcher_open(const struct grammar *grammar, struct matcher **out, struct error *error);
void matcher_close(struct matcher *matcher);

int32_t matcher_start(const struct matcher *matcher);

/* The state after one more byte: MATCHER_DEAD when it may not come next.  Returns a state, or
 *   -EMSGSIZE  a limit (this grammar needs more): the text says which
 *   -ENOMEM */
int32_t matcher_step(struct matcher *matcher, int32_t state, uint8_t byte, struct error *error);

/* What is known already: [class_of[byte]], MATCHER_UNKNOWN for what is not; until the next step. */
const int32_t *matcher_next(const struct matcher *matcher, int32_t state);

bool matcher_is_complete(const struct matcher *matcher, int32_t state); /* may the text end here? */
bool matcher_can_go_on(const struct matcher *matcher, int32_t state);   /* may any byte follow? */

/* Start a new account of work; if memory is short, keep only `state`, and give it a new number, in
 * *state.  Returns whether numbers have changed, -EMSGSIZE when that is not enough, or -ENOMEM. */
int matcher_trim(struct matcher *matcher, int32_t *state, struct error *error);

#endif
