/* draft.h - guesses at an answer's next tokens, where it repeats what was there before.
 *
 * Several columns cost less than as many steps, so tokens that are guessed well are worth computing
 * together with the one that is known: those that turn out to be what is drawn are steps saved, the
 * others are work for nothing.  The guess is what followed the last time that the text ended as it
 * does now.  Every token is compared with its guess, also while none is drafted: so it costs
 * nothing to learn whether drafts would pay.
 *
 * Owns:     nothing; a plain value that goes with a text.
 * Promise:  a draft is a guess and no more: what is drawn does not depend on it.
 * Threads:  one.
 * Limits:   DRAFT_TOKENS_MAX.
 * Source:   Saxena 2023, prompt lookup decoding; Leviathan et al. 2023, for what a length yields.
 */
#ifndef GENERATE_DRAFT_H
#define GENERATE_DRAFT_H

#include <stdint.h>

enum { DRAFT_TOKENS_MAX = 8 };

struct draft {
    int32_t next;    /* index of the token that is guessed to come next; 0: no guess */
    double accuracy; /* of the guesses, the recent ones counting most */
};

/* Before the first token. */
struct draft draft_new(void);

/* The text has one more token, the last of `count`. */
void draft_watch(struct draft *draft, const int32_t *tokens, int32_t count);

/* Guess behind the `count` tokens, where there is room for `most` (up to DRAFT_TOKENS_MAX); the
 * step has `others` columns already that each give a token.  Returns how many it guessed: the
 * number that lets the step give the most tokens for its cost, 0 when none pays. */
int32_t draft_write(const struct draft *draft, int32_t *tokens, int32_t count, int32_t most,
                    int32_t others);

#endif
