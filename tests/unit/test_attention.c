/* test_attention.c - attention over pages against a plain softmax in double, bit-equal between the
 * implementations. */
#include "math/attention.h"
#include "base/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH_MAX = 200, KV_HEADS = 2, GROUP_MAX = 7, PAGES = 4 };

struct setup {
    void *pages[PAGES];
    const void *views[PAGES];
    float *keys, *values; /* [LENGTH_MAX][KV_HEADS][head_size], rounded to f16 */
    float *query;         /* [GROUP_MAX][head_size] */
    int32_t head_size;
    int32_t window; /* 0: everything is seen */
    float softcap;
};

static int32_t first_seen(const struct setup *setup, int32_t length)
{
    return setup->window && length > setup->window ? length - setup->window : 0;
}

static void fill(float *x, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = half_to_float(half_of_float((float)(seed >> 8) / (float)(1 << 23) - 1.0f));
    }
}

/* Pages hold NaN wherever nothing was stored. */
static struct setup setup_new(int32_t head_size)
{
    struct setup setup = {.head_size = head_size};
    size_t row = (size_t)KV_HEADS * (size_t)head_size;
    setup.keys = calloc(LENGTH_MAX * row, sizeof(float));
    setup.values = calloc(LENGTH_MAX * row, sizeof(float));
    setup.query = calloc((size_t)GROUP_MAX * (size_t)head_size, sizeof(float));
    assert_true(setup.keys && setup.values && setup.query);
    fill(setup.keys, LENGTH_MAX * row, 1);
    fill(setup.values, LENGTH_MAX * row, 2);
    fill(setup.query, (size_t)GROUP_MAX * (size_t)head_size, 3);
    for (int i = 0; i < PAGES; i++) {
        size_t bytes = kv_page_bytes(KV_HEADS, head_size);
        setup.views[i] = setup.pages[i] = malloc(bytes);
        assert_non_null(setup.pages[i]);
        memset(setup.pages[i], 0xff, bytes);
    }
    return setup;
}

static void setup_free(struct setup *setup)
{
    for (int i = 0; i < PAGES; i++)
        free(setup->pages[i]);
    free(setup->keys);
    free(setup->values);
    free(setup->query);
}

static void store(struct setup *setup, int32_t position)
{
    for (int32_t head = 0; head < KV_HEADS; head++) {
        size_t at = (size_t)(position * KV_HEADS + head) * (size_t)setup->head_size;
        kv_store(setup->pages[position / KV_PAGE_TOKENS], head, setup->head_size,
                 position % KV_PAGE_TOKENS, setup->keys + at, setup->values + at);
    }
}

static void attend(const char *name, const struct setup *setup, int32_t length, int32_t kv_head,
                   int32_t queries, float *out)
{
    const struct kernels *kernels;
    struct attention attention = {
        .pages = setup->views,
        .first = first_seen(setup, length),
        .length = length,
        .softcap = setup->softcap,
        .kv_head = kv_head,
        .head_size = setup->head_size,
        .queries = queries,
        .query = setup->query,
        .out = out,
        .scale = 1.0f / sqrtf((float)setup->head_size),
    };
    assert_int_equal(kernels_choose(name, &kernels, NULL), 0);
    attention_attend(kernels, &attention);
}

/* softmax(scale * q . K) V of one query, one dimension. */
static void naive(const struct setup *setup, int32_t length, int32_t kv_head, int32_t query,
                  double *out)
{
    size_t size = (size_t)setup->head_size;
    const float *q = setup->query + (size_t)query * size;
    double sum = 0, scale = 1 / sqrt((double)size);
    for (size_t d = 0; d < size; d++)
        out[d] = 0;
    for (int32_t p = first_seen(setup, length); p < length; p++) {
        size_t at = (size_t)(p * KV_HEADS + kv_head) * size;
        double score = 0;
        for (size_t d = 0; d < size; d++)
            score += (double)q[d] * (double)setup->keys[at + d];
        score *= scale;
        if (setup->softcap > 0)
            score = (double)setup->softcap * tanh(score / (double)setup->softcap);
        double weight = exp(score);
        sum += weight;
        for (size_t d = 0; d < size; d++)
            out[d] += weight * (double)setup->values[at + d];
    }
    for (size_t d = 0; d < size; d++)
        out[d] /= sum;
}

static const int32_t lengths[] = {1, 15, 63, 64, 65, 128, 200};

static void check_length(const struct setup *setup, int32_t length)
{
    static const int32_t groups[] = {1, 3, 4, 7};
    size_t size = (size_t)setup->head_size;
    static float portable[GROUP_MAX * ATTENTION_HEAD_SIZE_MAX];
    static float fast[GROUP_MAX * ATTENTION_HEAD_SIZE_MAX];
    static double expected[ATTENTION_HEAD_SIZE_MAX];
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        int32_t kv_head = (int32_t)g % KV_HEADS;
        attend("portable", setup, length, kv_head, groups[g], portable);
        attend(NULL, setup, length, kv_head, groups[g], fast);
        assert_memory_equal(portable, fast, (size_t)groups[g] * size * sizeof *fast);
        for (int32_t q = 0; q < groups[g]; q++) {
            naive(setup, length, kv_head, q, expected);
            for (size_t d = 0; d < size; d++)
                assert_true(fabs((double)fast[(size_t)q * size + d] - expected[d]) < 2e-6);
        }
    }
}

static void attention_agrees_with_a_plain_softmax(void **state)
{
    (void)state;
    static const int32_t sizes[] = {8, 16, 40, 64, 128, 256, 512};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct setup setup = setup_new(sizes[s]);
        int32_t stored = 0;
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            for (; stored < lengths[l]; stored++) /* what is behind must not matter: it is NaN */
                store(&setup, stored);
            check_length(&setup, lengths[l]);
        }
        setup_free(&setup);
    }
}

static void windows_and_soft_caps_agree_with_a_plain_softmax(void **state)
{
    (void)state;
    static const int32_t windows[] = {1, 7, 16, 64, 65, 130, 1000};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        struct setup setup = setup_new(w % 2 ? 40 : 64);
        setup.window = windows[w];
        setup.softcap = w % 3 ? 0 : 0.5f;
        for (int32_t p = 0; p < LENGTH_MAX; p++)
            store(&setup, p);
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            check_length(&setup, lengths[l]);
        setup_free(&setup);
    }
}

static void what_is_out_of_the_window_is_not_read(void **state)
{
    (void)state;
    enum { SIZE = 40, LENGTH = 150, WINDOW = 11 };
    struct setup setup = setup_new(SIZE);
    float seen[GROUP_MAX * SIZE], alone[GROUP_MAX * SIZE];
    setup.window = WINDOW;
    for (int32_t p = 0; p < LENGTH; p++)
        store(&setup, p);
    attend(NULL, &setup, LENGTH, 0, GROUP_MAX, seen);
    for (int i = 0; i < PAGES; i++) /* all NaN again, then the window alone */
        memset(setup.pages[i], 0xff, kv_page_bytes(KV_HEADS, SIZE));
    for (int32_t p = LENGTH - WINDOW; p < LENGTH; p++)
        store(&setup, p);
    setup.views[0] = setup.views[1] = NULL;
    attend(NULL, &setup, LENGTH, 0, GROUP_MAX, alone);
    assert_memory_equal(seen, alone, sizeof seen);
    setup_free(&setup);
}

static void a_query_does_not_depend_on_the_others_of_its_group(void **state)
{
    (void)state;
    enum { SIZE = 64 };
    struct setup setup = setup_new(SIZE);
    float all[GROUP_MAX * SIZE], one[SIZE];
    for (int32_t p = 0; p < LENGTH_MAX; p++)
        store(&setup, p);
    attend(NULL, &setup, LENGTH_MAX, 1, GROUP_MAX, all);
    for (size_t q = 0; q < GROUP_MAX; q++) {
        memmove(setup.query, setup.query + (q ? SIZE : 0), (GROUP_MAX - q) * SIZE * sizeof(float));
        attend(NULL, &setup, LENGTH_MAX, 1, 1, one);
        assert_memory_equal(one, all + q * SIZE, sizeof one);
    }
    setup_free(&setup);
}

static void huge_scores_do_not_overflow(void **state)
{
    (void)state;
    enum { SIZE = 16 };
    struct setup setup = setup_new(SIZE);
    float out[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        setup.query[i] = 1e6f;
    for (int32_t p = 0; p < 70; p++) {
        for (size_t d = 0; d < SIZE; d++)
            setup.keys[(size_t)p * KV_HEADS * SIZE + d] = (float)(p == 66 ? 60000 : -p * 100);
        store(&setup, p);
    }
    attend(NULL, &setup, 70, 0, 1, out);
    assert_memory_equal(out, setup.values + (size_t)66 * KV_HEADS * SIZE, sizeof out);
    setup_free(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_agrees_with_a_plain_softmax),
        cmocka_unit_test(windows_and_soft_caps_agree_with_a_plain_softmax),
        cmocka_unit_test(what_is_out_of_the_window_is_not_read),
        cmocka_unit_test(a_query_does_not_depend_on_the_others_of_its_group),
        cmocka_unit_test(huge_scores_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
