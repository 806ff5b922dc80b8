/* test_penalties.c - what biases, penalties and DRY do to logits; what logprobs say. */
#include "generate/logprobs.h"
#include "generate/penalties.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 8 };

static struct history history_of(const int32_t *tokens, size_t count)
{
    struct history history = {.seen = 0};
    for (size_t i = 0; i < count; i++)
        history_add(&history, tokens[i]);
    return history;
}

#define HISTORY(...)                                                                               \
    history_of((const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / 4)

static void assert_logits(const float *logits, const float *expected)
{
    for (int i = 0; i < WORDS; i++)
        if (fabsf(logits[i] - expected[i]) > 1e-5f)
            fail_msg("logit %d is %g, not %g", i, (double)logits[i], (double)expected[i]);
}

static void a_bias_is_added_and_minus_100_forbids(void **state)
{
    (void)state;
    float logits[WORDS] = {1, 2, 3};
    const struct token_bias biases[] = {{0, 5}, {1, -100}, {2, -99}, {-1, 1}, {WORDS, 1}};
    penalties_bias(biases, 5, logits, WORDS);
    assert_true(logits[0] == 6 && logits[2] == -96);
    assert_true(isinf(logits[1]) && logits[1] < 0);
}

static void presence_counts_once_and_frequency_each_time(void **state)
{
    (void)state;
    const struct sampling sampling = {
        .repeat_penalty = 1, .presence_penalty = 0.5f, .frequency_penalty = 0.25f};
    struct history history = HISTORY(1, 2, 1, 1, -5, 99);
    float logits[WORDS] = {0};
    penalties_repeat(&history, &sampling, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0, -0.5f - 0.75f, -0.5f - 0.25f});
    for (int i = 0; i < SAMPLING_REPEAT_TOKENS; i++)
        history_add(&history, 3);
    memset(logits, 0, sizeof logits);
    penalties_repeat(&history, &sampling, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0, 0, 0, -0.5f - 0.25f * SAMPLING_REPEAT_TOKENS});
}

static const struct sampling dry = {
    .dry_multiplier = 2, .dry_base = 3, .dry_allowed_length = 2, .repeat_penalty = 1};

static void dry_punishes_what_prolongs_a_passage(void **state)
{
    (void)state;
    /* 1 2 3 was followed by 4; now 1 2 3 again: 4 would make it four, 2 * 3^(3-2) */
    struct history history = HISTORY(1, 2, 3, 4, 1, 2, 3);
    float logits[WORDS] = {0};
    penalties_dry(&history, &dry, NULL, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0, 0, 0, 0, -6});
}

static void dry_takes_the_longest_passage_of_a_token(void **state)
{
    (void)state;
    /* "2 3" was followed by 4 twice, once after 1: the longer match decides */
    struct history history = HISTORY(1, 2, 3, 4, 2, 3, 4, 1, 2, 3);
    float logits[WORDS] = {0};
    penalties_dry(&history, &dry, NULL, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0, 0, 0, 0, -6});
}

static void dry_leaves_short_passages_alone(void **state)
{
    (void)state;
    struct history history = HISTORY(3, 4, 1, 3);
    float logits[WORDS] = {0};
    penalties_dry(&history, &dry, NULL, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0});
    struct history nothing = {.seen = 0};
    penalties_dry(&nothing, &dry, NULL, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0});
}

static void dry_does_not_reach_across_a_breaker(void **state)
{
    (void)state;
    const uint64_t breakers = 1 << 2; /* token 2 */
    struct history history = HISTORY(1, 2, 3, 4, 1, 2, 3);
    float logits[WORDS] = {0};
    penalties_dry(&history, &dry, &breakers, logits, WORDS);
    assert_logits(logits, (const float[WORDS]){0});
}

/* The lengths of the matches, found by comparing. */
static void dry_agrees_with_a_plain_search(void **state)
{
    (void)state;
    srand(11);
    for (int round = 0; round < 300; round++) {
        struct history history = {.seen = 0};
        int count = 1 + rand() % 60;
        int32_t tokens[60];
        for (int i = 0; i < count; i++)
            history_add(&history, tokens[i] = rand() % 3);
        float logits[WORDS] = {0}, expected[WORDS] = {0};
        for (int32_t next = 0; next < 3; next++) {
            int longest = 0;
            for (int end = 0; end < count - 1; end++) {
                int length = 0;
                while (length <= end && tokens[end - length] == tokens[count - 1 - length])
                    length++;
                if (tokens[end + 1] == next && length > longest)
                    longest = length;
            }
            if (longest >= 2)
                expected[next] = -2 * powf(3, (float)(longest - 2 < 32 ? longest - 2 : 32));
        }
        penalties_dry(&history, &dry, NULL, logits, WORDS);
        for (int i = 0; i < WORDS; i++)
            assert_true(fabsf(logits[i] - expected[i]) <= 1e-5f * fabsf(expected[i]));
    }
}

static void logprobs_are_those_of_the_model(void **state)
{
    (void)state;
    const float logits[4] = {logf(1), logf(4), -INFINITY, logf(3)};
    const struct kernels *kernels;
    struct odds_room room;
    assert_int_equal(kernels_choose("portable", &kernels, NULL), 0);
    assert_true(odds_room_open(&room, 4));
    struct logprobs report = logprobs_read(kernels, logits, 4, 0, 3, room);
    assert_int_equal(report.chosen.token, 0);
    assert_true(fabsf(report.chosen.logprob - logf(0.125f)) < 1e-6f);
    assert_int_equal(report.top_count, 3);
    assert_int_equal(report.top[0].token, 1);
    assert_true(fabsf(report.top[0].logprob - logf(0.5f)) < 1e-6f);
    assert_int_equal(report.top[1].token, 3);
    assert_int_equal(report.top[2].token, 0);
    report = logprobs_read(kernels, logits, 4, 2, 0, room);
    assert_int_equal(report.top_count, 0);
    assert_true(isinf(report.chosen.logprob));
    report = logprobs_read(kernels, logits, 4, 1, SAMPLING_LOGPROBS_MAX, room);
    assert_int_equal(report.top_count, 4);
    odds_room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bias_is_added_and_minus_100_forbids),
        cmocka_unit_test(presence_counts_once_and_frequency_each_time),
        cmocka_unit_test(dry_punishes_what_prolongs_a_passage),
        cmocka_unit_test(dry_takes_the_longest_passage_of_a_token),
        cmocka_unit_test(dry_leaves_short_passages_alone),
        cmocka_unit_test(dry_does_not_reach_across_a_breaker),
        cmocka_unit_test(dry_agrees_with_a_plain_search),
        cmocka_unit_test(logprobs_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
