/* draft.c - see draft.h. */
#include "generate/draft.h"

enum {
    MATCH_TOKENS = 2,  /* that must be equal before something counts as repeated */
    MEMORY_TOKENS = 8, /* over which the accuracy is averaged */
};

/* Above the 0.25 from where on a guess pays: a text to copy gains from its first tokens, and six
 * wrong guesses end them. */
static const double accuracy_at_first = 0.5;

struct draft draft_new(void)
{
    return (struct draft){.accuracy = accuracy_at_first};
}

/* What a step of so many columns costs, in steps of one column.  With one thread each further one
 * costs 0.22 to 0.31 (docs/PERFORMANCE.md), and less where memory is what limits a step.  The
 * choice is not delicate: with 0.15 or 0.33 instead the time of 69 answers was the same within four
 * per cent.  Costs measured on the way would vary more. */
static double cost_of(int32_t columns)
{
    return 1 + 0.25 * (columns - 1);
}

/* Where the last MATCH_TOKENS occurred before: the index behind the latest such place, or 0. */
static int32_t find_repetition(const int32_t *tokens, int32_t count)
{
    for (int32_t at = count - 1; at >= MATCH_TOKENS; at--) {
        int32_t same = 0;
        while (same < MATCH_TOKENS && tokens[at - 1 - same] == tokens[count - 1 - same])
            same++;
        if (same == MATCH_TOKENS)
            return at;
    }
    return 0;
}

void draft_watch(struct draft *draft, const int32_t *tokens, int32_t count)
{
    if (draft->next) {
        const int right = tokens[draft->next] == tokens[count - 1];
        draft->accuracy += (right - draft->accuracy) / MEMORY_TOKENS;
        draft->next = right ? draft->next + 1 : 0;
    }
    if (!draft->next)
        draft->next = find_repetition(tokens, count);
}

/* A draft of n tokens gives 1 + a + a^2 + ... + a^n of them if each guess is right with
 * probability a. */
int32_t draft_write(const struct draft *draft, int32_t *tokens, int32_t count, int32_t most,
                    int32_t others)
{
    double tokens_expected = others + 1, right = 1;
    double best_rate = tokens_expected / cost_of(others + 1);
    int32_t best = 0;
    if (!draft->next)
        return 0;
    for (int32_t n = 1; n <= most; n++) {
        right *= draft->accuracy;
        tokens_expected += right;
        const double rate = tokens_expected / cost_of(others + 1 + n);
        if (rate > best_rate) {
            best_rate = rate;
            best = n;
        }
    }
    for (int32_t n = 0; n < best; n++) /* which may copy what was just written */
        tokens[count + n] = tokens[draft->next + n];
    return best;
}
