/* test_odds.c - the tokens that each rule keeps and how likely they are, against plain sorting and
 * summing in double, on rows of every kind. */
#include "base/sampling.h"
#include "generate/sampler.h"
#include "math/vector.h"
#include "tests/lib/kernels_named.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS_MAX = 20011 };

enum kind { EVEN, MODEL, EQUAL, SURE, MASKED, STEPS, UPWARD, ONLY_ONE, KINDS };

struct fixture {
    struct odds_room room;
    float logits[TOKENS_MAX];
    double weights[TOKENS_MAX]; /* as double arithmetic finds them, with their total */
    double total;
    int32_t sorted[TOKENS_MAX]; /* the best first */
    bool kept[TOKENS_MAX];
};

static const struct sampling plain = {
    .temperature = 1, .top_p = 1, .repeat_penalty = 1, .dry_base = 1.75f, .dry_allowed_length = 2};

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    return !fixture || !odds_room_open(&fixture->room, TOKENS_MAX);
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    odds_room_close(&fixture->room);
    free(fixture);
    return 0;
}

/* From 0 to 1. */
static float next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / (1 << 24);
}

static void fill(float *logits, int32_t count, enum kind kind, uint32_t seed)
{
    for (int32_t i = 0; i < count; i++) {
        const float a = next(&seed), b = next(&seed);
        const float normal = sqrtf(-2 * logf(a + 1e-7f)) * cosf(6.2831853f * b);
        switch (kind) {
        case EVEN:
        case MASKED:
            logits[i] = 8 * a - 4;
            break;
        case MODEL:
            logits[i] = 2.5f * normal + (b < 0.001f ? 14 * a : 0);
            break;
        case SURE:
            logits[i] = normal;
            break;
        case STEPS:
            logits[i] = floorf(20 * a) / 4;
            break;
        case UPWARD:
            logits[i] = (float)i * 1e-3f;
            break;
        case EQUAL:
        case ONLY_ONE:
        case KINDS:
            logits[i] = kind == EQUAL ? -3.25f : -INFINITY;
            break;
        }
        if (kind == MASKED && b < 0.9f)
            logits[i] = -INFINITY;
    }
    if (kind == SURE)
        logits[count / 2] = 60;
    if (kind == MASKED || kind == ONLY_ONE)
        logits[count - 1] = 1.5f;
}

/* cmocka has no way to hand over an argument, and qsort neither. */
static const float *sorted_logits;

static int compare(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    if (sorted_logits[a] > sorted_logits[b] || sorted_logits[a] < sorted_logits[b])
        return sorted_logits[a] > sorted_logits[b] ? -1 : 1;
    return a < b ? -1 : 1;
}

static struct odds refer(struct fixture *fixture, const struct kernels *kernels, int32_t count,
                         float temperature)
{
    const float *logits = fixture->logits;
    for (int32_t i = 0; i < count; i++)
        fixture->sorted[i] = i;
    sorted_logits = logits;
    qsort(fixture->sorted, (size_t)count, sizeof *fixture->sorted, compare);
    const float most = logits[fixture->sorted[0]];
    fixture->total = 0;
    for (int32_t i = 0; i < count; i++) {
        double exponent = ((double)logits[i] - (double)most) / (double)temperature;
        fixture->weights[i] = exponent < -50 ? 0 : exp(exponent);
        fixture->total += fixture->weights[i];
    }
    return odds_of(kernels, logits, count, most, temperature, fixture->room);
}

/* Are they the first of the sorted ones? */
static void assert_best(struct fixture *fixture, const struct candidates *candidates)
{
    memset(fixture->kept, 0, sizeof fixture->kept);
    for (int32_t i = 0; i < candidates->count; i++) {
        assert_false(fixture->kept[candidates->items[i].token]);
        fixture->kept[candidates->items[i].token] = true;
    }
    for (int32_t i = 0; i < candidates->count; i++)
        assert_true(fixture->kept[fixture->sorted[i]]);
}

static const int32_t counts[] = {1, 2, 15, 16, 255, 256, 257, 1000, 4099, TOKENS_MAX};
enum { COUNTS = sizeof counts / sizeof *counts };

static void top_k_keeps_what_a_full_sort_puts_first(void **state)
{
    struct fixture *fixture = *state;
    const int32_t limits[] = {1, 2, 40, 77, 300, 1250, 6000, TOKENS_MAX};
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int c = 0; c < COUNTS; c++) {
            fill(fixture->logits, counts[c], kind, (uint32_t)c);
            struct odds odds = refer(fixture, kernels_named("portable"), counts[c], 1);
            assert_int_equal(vector_argmax(odds.kernels, fixture->logits, counts[c]),
                             fixture->sorted[0]);
            for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
                struct candidates best = odds_best(&odds, -FLT_MAX, limits[k]);
                int32_t allowed = 0;
                while (allowed < counts[c] && allowed < limits[k] &&
                       isfinite(fixture->logits[fixture->sorted[allowed]]))
                    allowed++;
                assert_int_equal(best.count, allowed);
                assert_best(fixture, &best);
                candidates_sort(&best);
                for (int32_t i = 0; i < best.count; i++)
                    assert_int_equal(best.items[i].token, fixture->sorted[i]);
            }
        }
}

static void weights_are_those_of_double_arithmetic(void **state)
{
    struct fixture *fixture = *state;
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (float temperature = 0.1f; temperature < 10; temperature *= 3) {
            fill(fixture->logits, TOKENS_MAX, kind, 5);
            struct odds odds = refer(fixture, kernels_named(""), TOKENS_MAX, temperature);
            const double total = odds_sum(&odds);
            assert_true(fabs(total - fixture->total) <= 1e-6 * fixture->total);
            struct candidates all = odds_gather(&odds, FLT_MIN, total);
            for (int32_t i = 0; i < all.count; i++) {
                const double expected = fixture->weights[all.items[i].token];
                assert_true(fabs((double)all.items[i].weight - expected) <= 1e-5 * expected);
                assert_true(i == 0 || all.items[i].token > all.items[i - 1].token);
            }
            struct candidates few = odds_best(&odds, -FLT_MAX, 300);
            odds_weigh(&odds, &few);
            for (int32_t i = 0; i < few.count; i++) {
                const double expected = fixture->weights[few.items[i].token];
                assert_true(fabs((double)few.items[i].weight - expected) <= 1e-5 * expected);
            }
        }
}

/* Wherever a draw falls, it takes the token around which that place lies in a plain sum. */
static void a_draw_takes_the_token_at_its_place(void **state)
{
    struct fixture *fixture = *state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        fill(fixture->logits, TOKENS_MAX, kind, 9);
        struct odds odds = refer(fixture, kernels_named(""), TOKENS_MAX, 0.8f);
        const double total = odds_sum(&odds), slack = 3e-6 * total;
        int32_t before = 0;
        double below = 0;
        for (int step = 0; step <= 1000; step++) {
            const double at = step == 1000 ? total : total * step / 1000;
            const int32_t token = odds_pick(&odds, at);
            assert_in_range(token, before, TOKENS_MAX - 1);
            assert_true(fixture->weights[token] > 0);
            for (; before < token; before++)
                below += fixture->weights[before];
            assert_true(below <= at + slack && at <= below + fixture->weights[token] + slack);
        }
    }
}

static void expect_nucleus(struct fixture *fixture, const struct odds *odds, double top_p)
{
    const double total = odds_sum(odds);
    const float least = odds_tail(odds, 0.999 * (1 - top_p) * total);
    struct candidates nucleus = odds_gather(odds, least, total);
    candidates_keep_nucleus(&nucleus, top_p);
    assert_true(nucleus.count > 0);
    assert_best(fixture, &nucleus);
    double sum = 0;
    for (int32_t i = 0; i < nucleus.count; i++)
        sum += fixture->weights[fixture->sorted[i]];
    const double last = fixture->weights[fixture->sorted[nucleus.count - 1]];
    assert_true(sum >= (top_p - 2e-6) * fixture->total);
    assert_true(nucleus.count == 1 || sum - last < (top_p + 2e-6) * fixture->total);
    assert_true(fabs(nucleus.total - sum) <= 1e-6 * sum);
}

static void top_p_keeps_the_shortest_beginning_that_reaches_it(void **state)
{
    struct fixture *fixture = *state;
    const double shares[] = {0, 0.1, 0.5, 0.9, 0.95, 0.999, 0.99999994};
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int c = 0; c < COUNTS; c++) {
            fill(fixture->logits, counts[c], kind, (uint32_t)c);
            struct odds odds = refer(fixture, kernels_named(""), counts[c], 0.9f);
            for (int k = 0; k < 7; k++)
                expect_nucleus(fixture, &odds, shares[k]);
        }
}

/* Of any two tokens the kept one is no farther from the mean surprise. */
static void typical_p_keeps_those_nearest_to_the_entropy(void **state)
{
    struct fixture *fixture = *state;
    const enum kind kinds[] = {EVEN, MODEL, STEPS, MASKED, UPWARD};
    for (int k = 0; k < 5; k++) {
        fill(fixture->logits, TOKENS_MAX, kinds[k], 21);
        struct odds odds = refer(fixture, kernels_named(""), TOKENS_MAX, 1.3f);
        double entropy = 0, farthest = 0, nearest = INFINITY, sum = 0;
        for (int32_t i = 0; i < TOKENS_MAX; i++)
            if (fixture->weights[i] > 0)
                entropy -= fixture->weights[i] / fixture->total *
                           log(fixture->weights[i] / fixture->total);
        struct candidates typical = odds_gather(&odds, FLT_MIN, odds_sum(&odds));
        candidates_keep_typical(&typical, 0.6);
        memset(fixture->kept, 0, sizeof fixture->kept);
        for (int32_t i = 0; i < typical.count; i++)
            fixture->kept[typical.items[i].token] = true;
        for (int32_t i = 0; i < TOKENS_MAX; i++) {
            double distance = fabs(log(fixture->weights[i] / fixture->total) + entropy);
            if (fixture->kept[i]) {
                farthest = fmax(farthest, distance);
                sum += fixture->weights[i];
            } else if (fixture->weights[i] > 0) {
                nearest = fmin(nearest, distance);
            }
        }
        assert_true(farthest <= nearest + 1e-5);
        assert_true(sum >= (0.6 - 1e-6) * fixture->total);
    }
}

static void min_p_keeps_all_that_are_likely_enough(void **state)
{
    struct fixture *fixture = *state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        fill(fixture->logits, TOKENS_MAX, kind, 2);
        struct odds odds = refer(fixture, kernels_named(""), TOKENS_MAX, 1);
        struct candidates likely = odds_gather(&odds, 0.05f, odds_sum(&odds));
        assert_best(fixture, &likely);
        candidates_keep_probable(&likely, (double)0.05f);
        double sum = 0;
        for (int32_t i = 0; i < TOKENS_MAX; i++) {
            sum += fixture->kept[i] ? fixture->weights[i] : 0;
            assert_true(fixture->kept[i] ? fixture->weights[i] > 0.05 - 1e-6
                                         : fixture->weights[i] < 0.05 + 1e-6);
        }
        assert_true(fabs(likely.total - sum) <= 1e-6 * sum);
    }
}

/* Tokens of many runs, each as often as it is likely, by the sum of squares (chi-squared with 99
 * degrees of freedom: above 160 in one of 10,000 cases). */
static void tokens_of_all_runs_come_as_often_as_they_are_likely(void **state)
{
    enum { TOKENS = 10000, GROUPS = 100, DRAWS = 50000 };
    struct fixture *fixture = *state;
    const struct kernels *kernels = kernels_named("");
    fill(fixture->logits, TOKENS, MODEL, 77);
    refer(fixture, kernels, TOKENS, 3);
    struct sampling sampling = plain;
    sampling.temperature = 3;
    struct sampler sampler = sampler_new(&sampling);
    int found[GROUPS] = {0};
    double expected[GROUPS] = {0}, squares = 0;
    for (int32_t i = 0; i < TOKENS; i++)
        expected[i % GROUPS] += DRAWS * fixture->weights[i] / fixture->total;
    for (int i = 0; i < DRAWS; i++)
        found[sampler_choose(&sampler, kernels, fixture->logits, TOKENS, fixture->room) % GROUPS]++;
    for (int i = 0; i < GROUPS; i++)
        squares += (found[i] - expected[i]) * (found[i] - expected[i]) / expected[i];
    assert_true(squares > 50 && squares < 160);
}

/* A setting for each way through the sampler. */
static struct sampling setting(int i)
{
    struct sampling sampling = plain;
    sampling.seed = (uint64_t)i;
    sampling.temperature = i == 0 ? 0 : 0.3f * (float)i;
    sampling.top_k = i == 2 || i == 3 ? 40 : i == 4 ? 1000 : 0;
    sampling.top_p = i == 3 || i == 5 || i == 6 ? 0.95f : 1;
    sampling.min_p = i == 3 || i == 6 || i == 7 ? 0.05f : 0;
    sampling.typical_p = i == 8 ? 0.7f : 1;
    sampling.mirostat = i == 9 ? 2 : 0;
    sampling.mirostat_tau = 4;
    sampling.mirostat_eta = 0.1f;
    return sampling;
}

static void all_kernels_draw_the_same_tokens(void **state)
{
    struct fixture *fixture = *state;
    const struct kernels *portable = kernels_named("portable");
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < 10; i++) {
            const struct sampling sampling = setting(i);
            fill(fixture->logits, TOKENS_MAX, kind, (uint32_t)i);
            for (const char *const *name = kernels_fast; *name; name++) {
                const struct kernels *fast = kernels_named(*name);
                struct sampler a = sampler_new(&sampling), b = sampler_new(&sampling);
                for (int k = 0; fast && k < 4; k++)
                    assert_int_equal(
                        sampler_choose(&a, portable, fixture->logits, TOKENS_MAX, fixture->room),
                        sampler_choose(&b, fast, fixture->logits, TOKENS_MAX, fixture->room));
            }
        }
}

static void what_is_masked_never_comes_and_nan_is_refused_by_every_rule(void **state)
{
    struct fixture *fixture = *state;
    const struct kernels *kernels = kernels_named("");
    for (int i = 0; i < 10; i++) {
        const struct sampling sampling = setting(i);
        struct sampler sampler = sampler_new(&sampling);
        fill(fixture->logits, TOKENS_MAX, MASKED, (uint32_t)i);
        for (int k = 0; k < 100; k++) {
            int32_t token =
                sampler_choose(&sampler, kernels, fixture->logits, TOKENS_MAX, fixture->room);
            assert_in_range(token, 0, TOKENS_MAX - 1);
            assert_true(isfinite(fixture->logits[token]));
        }
        const float odd[] = {NAN, INFINITY};
        for (int k = 0; k < 2; k++) {
            fill(fixture->logits, TOKENS_MAX, EVEN, (uint32_t)i);
            fixture->logits[TOKENS_MAX - 3] = odd[k];
            assert_int_equal(
                sampler_choose(&sampler, kernels, fixture->logits, TOKENS_MAX, fixture->room), -1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_k_keeps_what_a_full_sort_puts_first),
        cmocka_unit_test(weights_are_those_of_double_arithmetic),
        cmocka_unit_test(a_draw_takes_the_token_at_its_place),
        cmocka_unit_test(top_p_keeps_the_shortest_beginning_that_reaches_it),
        cmocka_unit_test(typical_p_keeps_those_nearest_to_the_entropy),
        cmocka_unit_test(min_p_keeps_all_that_are_likely_enough),
        cmocka_unit_test(tokens_of_all_runs_come_as_often_as_they_are_likely),
        cmocka_unit_test(all_kernels_draw_the_same_tokens),
        cmocka_unit_test(what_is_masked_never_comes_and_nan_is_refused_by_every_rule),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
