/* test_sampler.c - which tokens a sampler chooses, and how often. */
#include "generate/sampler.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 50000, DRAWS = 20000 };

static const struct sampling plain = {
    .temperature = 1, .top_p = 1, .repeat_penalty = 1, .dry_base = 1.75f, .dry_allowed_length = 2};

/* Room for a row, and the kernels that search it. */
struct fixture {
    const struct kernels *kernels;
    struct odds_room room;
    float logits[WORDS_MAX];
    int counts[WORDS_MAX];
};

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    return !fixture || !odds_room_open(&fixture->room, WORDS_MAX) ||
           kernels_choose("portable", &fixture->kernels, NULL);
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    odds_room_close(&fixture->room);
    free(fixture);
    return 0;
}

static int32_t choose(struct fixture *fixture, struct sampler *sampler, const float *logits,
                      int32_t count)
{
    memcpy(fixture->logits, logits, (size_t)count * sizeof *logits);
    sampler_penalise(sampler, fixture->logits, count);
    return sampler_choose(sampler, fixture->kernels, fixture->logits, count, fixture->room);
}

/* Draw often; fixture->counts holds how often each token came. */
static void draw(struct fixture *fixture, struct sampling sampling, const float *logits,
                 int32_t count)
{
    struct sampler sampler = sampler_new(&sampling);
    memset(fixture->counts, 0, sizeof fixture->counts);
    for (int i = 0; i < DRAWS; i++) {
        int32_t token = choose(fixture, &sampler, logits, count);
        assert_in_range(token, 0, count - 1);
        fixture->counts[token]++;
    }
}

static void assert_share(const struct fixture *fixture, int32_t token, double share)
{
    double deviation = sqrt(share * (1 - share) / DRAWS);
    double measured = fixture->counts[token] / (double)DRAWS;
    assert_true(fabs(measured - share) < 4.5 * deviation + 1e-9);
}

static void temperature_zero_takes_the_best_and_the_first_of_equals(void **state)
{
    struct sampling greedy = plain;
    greedy.temperature = 0;
    struct sampler sampler = sampler_new(&greedy);
    assert_int_equal(choose(*state, &sampler, (const float[]){1, 3, 3, -2}, 4), 1);
    assert_int_equal(choose(*state, &sampler, (const float[]){-5, -7}, 2), 0);
}

static void tokens_come_as_often_as_their_probability_says(void **state)
{
    const float logits[] = {logf(1), logf(2), logf(3), logf(4)};
    draw(*state, plain, logits, 4);
    for (int i = 0; i < 4; i++)
        assert_share(*state, i, (i + 1) / 10.0);
}

static void temperature_sharpens_and_flattens(void **state)
{
    const float logits[] = {logf(1), logf(3)};
    struct sampling sampling = plain;
    sampling.temperature = 0.5f;
    draw(*state, sampling, logits, 2);
    assert_share(*state, 1, 0.9); /* 3^2 to 1^2 */
    sampling.temperature = 1e-30f;
    draw(*state, sampling, logits, 2);
    assert_share(*state, 1, 1);
    sampling.temperature = 100;
    draw(*state, sampling, logits, 2);
    assert_share(*state, 1, 0.5027);
}

static void top_k_keeps_the_k_best(void **state)
{
    const float logits[] = {logf(1), logf(6), logf(2), logf(3)};
    struct sampling sampling = plain;
    sampling.top_k = 2;
    draw(*state, sampling, logits, 4);
    assert_share(*state, 0, 0);
    assert_share(*state, 2, 0);
    assert_share(*state, 1, 6 / 9.0);
    assert_share(*state, 3, 3 / 9.0);
}

static void top_k_of_one_is_greedy_and_of_all_is_off(void **state)
{
    const float logits[] = {0.3f, 0.4f, 0.2f};
    struct sampling sampling = plain;
    sampling.top_k = 1;
    draw(*state, sampling, logits, 3);
    assert_share(*state, 1, 1);
    struct sampler all = sampler_new(&plain);
    sampling.top_k = 3;
    struct sampler three = sampler_new(&sampling);
    for (int i = 0; i < 100; i++)
        assert_int_equal(choose(*state, &all, logits, 3), choose(*state, &three, logits, 3));
}

static void top_p_keeps_the_fewest_that_reach_it(void **state)
{
    const float logits[] = {logf(2), logf(5), logf(1), logf(2)};
    struct sampling sampling = plain;
    sampling.top_p = 0.65f; /* 5, then the first of the two 2s */
    draw(*state, sampling, logits, 4);
    assert_share(*state, 1, 5 / 7.0);
    assert_share(*state, 0, 2 / 7.0);
    assert_share(*state, 3, 0);
    sampling.top_p = 0;
    draw(*state, sampling, logits, 4);
    assert_share(*state, 1, 1);
}

static void min_p_keeps_what_is_near_the_best(void **state)
{
    const float logits[] = {logf(10), logf(4), logf(0.9f), logf(2.1f)};
    struct sampling sampling = plain;
    sampling.min_p = 0.2f;
    draw(*state, sampling, logits, 4);
    assert_share(*state, 2, 0);
    assert_share(*state, 0, 10 / 16.1);
    assert_share(*state, 1, 4 / 16.1);
    assert_share(*state, 3, 2.1 / 16.1);
}

static void typical_p_prefers_what_surprises_as_expected(void **state)
{
    /* shares 0.4, 0.3, 0.2, 0.1: entropy 1.28 nats, surprises 0.92 1.20 1.61 2.30 */
    const float logits[] = {logf(4), logf(3), logf(2), logf(1)};
    struct sampling sampling = plain;
    sampling.typical_p = 0.25f; /* 0.3 alone is nearest and enough */
    draw(*state, sampling, logits, 4);
    assert_share(*state, 1, 1);
    sampling.typical_p = 0.5f; /* then 0.2 (off by 0.33), before 0.4 (off by 0.36) */
    draw(*state, sampling, logits, 4);
    assert_share(*state, 1, 3.0 / 5);
    assert_share(*state, 2, 2.0 / 5);
    sampling.typical_p = 0.25f;
    sampling.top_p = 0.5f; /* what is left goes on to the next rule */
    draw(*state, sampling, logits, 4);
    assert_share(*state, 1, 1);
}

/* Their mean, rounded, may be more than each of them. */
static void a_nucleus_of_nothing_keeps_one_of_equals(void **state)
{
    (void)state;
    struct candidate items[40];
    for (int count = 1; count <= 40; count++)
        for (int step = 1; step < 100; step++) {
            struct candidates candidates = {.items = items, .count = count};
            const float weight = expf(-0.01f * (float)step);
            for (int i = 0; i < count; i++) {
                items[i] = (struct candidate){.token = i, .weight = weight};
                candidates.total += (double)weight;
            }
            candidates_keep_nucleus(&candidates, 0);
            assert_int_equal(candidates.count, 1);
        }
}

/* The mean surprise of what is drawn comes to tau, whatever the row. */
static void mirostat_keeps_the_surprise_it_was_told(void **state)
{
    enum { TOKENS = 2000, STEPS = 4000 };
    struct fixture *fixture = *state;
    float logits[TOKENS];
    double sum = 0, bits = 0;
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = -1.2f * logf((float)(i + 1));
        sum += exp((double)logits[i]);
    }
    struct sampling sampling = plain;
    sampling.mirostat = 2;
    sampling.mirostat_tau = 3;
    sampling.mirostat_eta = 0.1f;
    sampling.top_k = 1; /* does not matter */
    struct sampler sampler = sampler_new(&sampling);
    for (int i = 0; i < STEPS; i++) {
        int32_t token = choose(fixture, &sampler, logits, TOKENS);
        assert_in_range(token, 0, TOKENS - 1);
        if (i >= STEPS / 2)
            bits -= ((double)logits[token] - log(sum)) / log(2);
    }
    assert_true(fabs(sampler.mirostat_mu) < 40);
    assert_true(bits / (STEPS / 2) > 1.5 && bits / (STEPS / 2) < 4.5);
}

static void repeated_tokens_are_penalised_once_and_forgotten(void **state)
{
    struct sampling sampling = plain;
    sampling.temperature = 0;
    sampling.repeat_penalty = 2;
    struct sampler sampler = sampler_new(&sampling);
    const float logits[] = {3, 2, -1};
    const float below_zero[] = {-1, -1.5f, -3};
    sampler_saw(&sampler, 0);
    sampler_saw(&sampler, 0); /* 3 / 2, not 3 / 4 */
    assert_int_equal(choose(*state, &sampler, logits, 3), 1);
    assert_int_equal(choose(*state, &sampler, (const float[]){3, 1, -1}, 3), 0);
    assert_int_equal(choose(*state, &sampler, below_zero, 3), 1);
    for (int i = 0; i < SAMPLING_REPEAT_TOKENS; i++)
        sampler_saw(&sampler, 2);
    assert_int_equal(choose(*state, &sampler, logits, 3), 0);
}

static void a_seed_decides_everything(void **state)
{
    float logits[100];
    struct sampling sampling = plain;
    int same = 0;
    for (int i = 0; i < 100; i++)
        logits[i] = (float)(i % 7);
    struct sampler first = sampler_new(&sampling), again = sampler_new(&sampling);
    sampling.seed = 1;
    struct sampler other = sampler_new(&sampling);
    for (int i = 0; i < 200; i++) {
        int32_t token = choose(*state, &first, logits, 100);
        assert_int_equal(token, choose(*state, &again, logits, 100));
        same += token == choose(*state, &other, logits, 100);
    }
    assert_in_range(same, 0, 40);
}

/* The first tokens of a fixed seed: a change of the generator changes everyone's answers. */
static void the_draws_of_a_seed_never_change(void **state)
{
    const float even[16] = {0};
    const int32_t expected[] = {1, 6, 10, 14, 15, 12, 11, 13, 12, 9};
    struct sampling sampling = plain;
    sampling.seed = 42;
    struct sampler sampler = sampler_new(&sampling);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(choose(*state, &sampler, even, 16), expected[i]);
}

static void rows_that_are_not_finite_are_refused(void **state)
{
    struct sampling greedy = plain;
    greedy.temperature = 0;
    for (int i = 0; i < 2; i++) {
        struct sampler sampler = sampler_new(i ? &plain : &greedy);
        assert_int_equal(choose(*state, &sampler, (const float[]){1, NAN, 2}, 3), -1);
        assert_int_equal(choose(*state, &sampler, (const float[]){1, INFINITY, 2}, 3), -1);
        assert_int_equal(choose(*state, &sampler, (const float[]){-INFINITY, -INFINITY}, 2), -1);
        assert_int_equal(choose(*state, &sampler, (const float[]){-INFINITY, 2}, 2), 1);
    }
}

/* The kept tokens must be those that a full sort finds, on rows with many equal values. */
static void selection_agrees_with_a_full_sort_on_large_rows(void **state)
{
    struct fixture *fixture = *state;
    float *logits = calloc(WORDS_MAX, sizeof *logits);
    assert_non_null(logits);
    srand(3);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < WORDS_MAX; i++)
            logits[i] = (float)(rand() % 1000) / 50;
        struct sampling sampling = plain;
        sampling.seed = (uint64_t)round;
        sampling.top_k = 1 + rand() % 300;
        sampling.temperature = 5;
        struct sampler sampler = sampler_new(&sampling);
        for (int i = 0; i < 10; i++) {
            int32_t token = choose(fixture, &sampler, logits, WORDS_MAX);
            int better = 0;
            for (int other = 0; other < WORDS_MAX; other++)
                better += logits[other] > logits[token] ||
                          (logits[other] == logits[token] && other < token);
            assert_in_range(better, 0, sampling.top_k - 1);
        }
    }
    free(logits);
}

static void parameters_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double value;
    } cases[] = {
        {"temperature", -0.1},
        {"temperature", NAN},
        {"temperature", INFINITY},
        {"temperature", 10.1},
        {"top_k", -1},
        {"top_p", 1.5},
        {"top_p", NAN},
        {"min_p", 2},
        {"typical_p", -1},
        {"repeat_penalty", 0},
        {"repeat_penalty", NAN},
        {"repeat_penalty", 0.09},
        {"repeat_penalty", 10.1},
        {"presence_penalty", -11},
        {"frequency_penalty", 11},
        {"dry_multiplier", -1},
        {"dry_base", 11},
        {"dry_allowed_length", -1},
        {"mirostat", 1},
        {"mirostat", 3},
        {"mirostat_tau", -1},
        {"mirostat_eta", NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        struct sampling sampling = plain;
        for (int at = 0; at < SAMPLING_PARAMETERS; at++)
            if (strcmp(sampling_parameters[at].name, cases[i].name) == 0)
                sampling_set(&sampling, &sampling_parameters[at], cases[i].value);
        assert_int_equal(sampling_check(&sampling, &error), -EINVAL);
        assert_non_null(strstr(error.text, cases[i].name));
    }
    assert_int_equal(sampling_check(&plain, NULL), 0);
    for (int at = 0; at < SAMPLING_PARAMETERS; at++) {
        struct sampling sampling = plain;
        sampling_set(&sampling, &sampling_parameters[at], sampling_parameters[at].minimum);
        assert_int_equal(sampling_check(&sampling, NULL), 0);
        sampling_set(&sampling, &sampling_parameters[at], sampling_parameters[at].maximum);
        assert_int_equal(sampling_check(&sampling, NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_zero_takes_the_best_and_the_first_of_equals),
        cmocka_unit_test(tokens_come_as_often_as_their_probability_says),
        cmocka_unit_test(temperature_sharpens_and_flattens),
        cmocka_unit_test(top_k_keeps_the_k_best),
        cmocka_unit_test(top_k_of_one_is_greedy_and_of_all_is_off),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_it),
        cmocka_unit_test(min_p_keeps_what_is_near_the_best),
        cmocka_unit_test(typical_p_prefers_what_surprises_as_expected),
        cmocka_unit_test(a_nucleus_of_nothing_keeps_one_of_equals),
        cmocka_unit_test(mirostat_keeps_the_surprise_it_was_told),
        cmocka_unit_test(repeated_tokens_are_penalised_once_and_forgotten),
        cmocka_unit_test(a_seed_decides_everything),
        cmocka_unit_test(the_draws_of_a_seed_never_change),
        cmocka_unit_test(rows_that_are_not_finite_are_refused),
        cmocka_unit_test(selection_agrees_with_a_full_sort_on_large_rows),
        cmocka_unit_test(parameters_out_of_range_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
