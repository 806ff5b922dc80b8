/* penalties.c - see penalties.h. */
#include "generate/penalties.h"

#include <math.h>
#include <stdbool.h>

/* Beyond it a penalty of the usual base is above 10^7, far outside of any logit. */
enum { DRY_EXPONENT_MAX = 32 };

void history_add(struct history *history, int32_t token)
{
    history->tokens[history->seen++ % SAMPLING_HISTORY_TOKENS] = token;
}

/* How many of the last tokens are known, at most `most`. */
static uint32_t known(const struct history *history, uint32_t most)
{
    return history->seen < most ? history->seen : most;
}

/* The token that was seen `back` tokens ago; 0 is the last one. */
static int32_t ago(const struct history *history, uint32_t back)
{
    return history->tokens[(history->seen - 1 - back) % SAMPLING_HISTORY_TOKENS];
}

void penalties_bias(const struct token_bias *biases, size_t bias_count, float *logits,
                    int32_t count)
{
    for (size_t i = 0; i < bias_count; i++) {
        int32_t token = biases[i].token;
        if (token < 0 || token >= count)
            continue;
        if (biases[i].bias <= SAMPLING_BIAS_FORBIDS)
            logits[token] = -INFINITY;
        else
            logits[token] += biases[i].bias;
    }
}

/* Each recent token once, at its latest place. */
void penalties_repeat(const struct history *history, const struct sampling *sampling, float *logits,
                      int32_t count)
{
    const float repeat = sampling->repeat_penalty;
    if (repeat == 1 && sampling->presence_penalty == 0 && sampling->frequency_penalty == 0)
        return;
    const uint32_t recent = known(history, SAMPLING_REPEAT_TOKENS);
    for (uint32_t i = 0; i < recent; i++) {
        const int32_t token = ago(history, i);
        bool done = false;
        for (uint32_t j = 0; j < i && !done; j++)
            done = ago(history, j) == token;
        if (done || token < 0 || token >= count)
            continue;
        int occurrences = 0;
        for (uint32_t j = i; j < recent; j++)
            occurrences += ago(history, j) == token;
        float logit = logits[token];
        logit = logit > 0 ? logit / repeat : logit * repeat;
        logits[token] =
            logit - sampling->presence_penalty - sampling->frequency_penalty * (float)occurrences;
    }
}

static bool is_in(const uint64_t *set, int32_t token, int32_t count)
{
    return set && token >= 0 && token < count && (set[token / 64] >> token % 64 & 1);
}

/* length[i]: how many tokens that end `i` ago equal those that end the history, for every i, by the
 * Z-algorithm (Gusfield 1997) on the history read backwards. */
static void match_lengths(const struct history *history, uint32_t span, uint16_t *length)
{
    uint32_t left = 0, right = 0; /* the match that reaches farthest: [left, right) */
    for (uint32_t i = 1; i < span; i++) {
        uint32_t matched = 0;
        if (i < right)
            matched = length[i - left] < right - i ? length[i - left] : right - i;
        while (i + matched < span && ago(history, matched) == ago(history, i + matched))
            matched++;
        if (i + matched > right) {
            left = i;
            right = i + matched;
        }
        length[i] = (uint16_t)matched;
    }
}

/* A token, and the longest passage that it would prolong. */
struct repetition {
    int32_t token;
    uint32_t passage;
};

static void note(struct repetition *list, uint32_t *count, int32_t token, uint32_t passage)
{
    for (uint32_t i = 0; i < *count; i++)
        if (list[i].token == token) {
            list[i].passage = passage > list[i].passage ? passage : list[i].passage;
            return;
        }
    list[(*count)++] = (struct repetition){token, passage};
}

/* The tokens that followed what the history ends with, when it was seen before. */
static uint32_t find_repetitions(const struct history *history, uint32_t span, uint32_t allowed,
                                 struct repetition *list)
{
    const uint32_t reach = known(history, SAMPLING_HISTORY_TOKENS);
    uint16_t length[SAMPLING_HISTORY_TOKENS];
    uint32_t count = 0;
    match_lengths(history, reach, length);
    for (uint32_t i = 1; i < reach; i++) {
        uint32_t passage = length[i] < span ? length[i] : span;
        if (passage > 0 && passage >= allowed)
            note(list, &count, ago(history, i - 1), passage);
    }
    return count;
}

void penalties_dry(const struct history *history, const struct sampling *sampling,
                   const uint64_t *breakers, float *logits, int32_t count)
{
    struct repetition list[SAMPLING_HISTORY_TOKENS];
    const uint32_t allowed = (uint32_t)sampling->dry_allowed_length;
    if (sampling->dry_multiplier == 0)
        return;
    uint32_t span = 0; /* no passage reaches across the latest breaker */
    while (span < known(history, SAMPLING_HISTORY_TOKENS) &&
           !is_in(breakers, ago(history, span), count))
        span++;
    uint32_t found = find_repetitions(history, span, allowed, list);
    for (uint32_t i = 0; i < found; i++) {
        if (list[i].token < 0 || list[i].token >= count)
            continue;
        uint32_t beyond = list[i].passage - allowed;
        float exponent = (float)(beyond < DRY_EXPONENT_MAX ? beyond : DRY_EXPONENT_MAX);
        logits[list[i].token] -= sampling->dry_multiplier * powf(sampling->dry_base, exponent);
    }
}
