/* test_attention.c - attention over pages against a plain softmax in double, bit-equal between the
 * implementations and between a tile of tokens and each token alone. */
#include "base/half.h"
#include "math/attention.h"
#include "tests/lib/kernels_named.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH_MAX = 200, KV_HEADS = 2, GROUP_MAX = 8, PAGES = 4, TOKENS_MAX = 80 };

struct setup {
    void *pages[PAGES];
    const void *views[PAGES];
    float *keys, *values; /* [LENGTH_MAX][KV_HEADS][head_size], as the pages hold them */
    float *query;         /* [TOKENS_MAX][GROUP_MAX][head_size] */
    enum kv_format format;
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
        x[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
}

/* What docs/KERNELS.md says of a group of up to 32 numbers. */
static void round_group(float *x, size_t count)
{
    float most = 0;
    for (size_t k = 0; k < count; k++)
        most = fmaxf(most, fabsf(x[k]));
    float scale = half_to_float(half_of_float(most / 127)), inverse = 1 / scale;
    for (size_t k = 0; k < count; k++)
        x[k] = scale > 0 ? fmaxf(-127, fminf(127, rintf(x[k] * inverse))) * scale : 0;
}

static void round_head(float *x, size_t size, enum kv_format format)
{
    for (size_t d = 0; d < size && format == KV_F16; d++)
        x[d] = half_to_float(half_of_float(x[d]));
    for (size_t d = 0; d < size && format == KV_Q8_0; d += KV_GROUP)
        round_group(x + d, size - d < KV_GROUP ? size - d : KV_GROUP);
}

/* Pages hold NaN wherever nothing was stored. */
static struct setup setup_new(int32_t head_size, enum kv_format format)
{
    struct setup setup = {.head_size = head_size, .format = format};
    size_t row = (size_t)KV_HEADS * (size_t)head_size;
    setup.keys = calloc(LENGTH_MAX * row, sizeof(float));
    setup.values = calloc(LENGTH_MAX * row, sizeof(float));
    setup.query = calloc(TOKENS_MAX * (size_t)GROUP_MAX * (size_t)head_size, sizeof(float));
    assert_true(setup.keys && setup.values && setup.query);
    fill(setup.keys, LENGTH_MAX * row, 1);
    fill(setup.values, LENGTH_MAX * row, 2);
    fill(setup.query, TOKENS_MAX * (size_t)GROUP_MAX * (size_t)head_size, 3);
    for (size_t i = 0; i < LENGTH_MAX * row; i += (size_t)head_size) {
        round_head(setup.keys + i, (size_t)head_size, format);
        round_head(setup.values + i, (size_t)head_size, format);
    }
    for (int i = 0; i < PAGES; i++) {
        size_t bytes = kv_page_bytes(KV_HEADS, head_size, format);
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
        kv_store(setup->pages[position / KV_PAGE_TOKENS], setup->format, head, setup->head_size,
                 position % KV_PAGE_TOKENS, setup->keys + at, setup->values + at);
    }
}

/* The tokens from `position` on; their queries are `stride` floats apart. */
static void attend_tokens(const char *name, const struct setup *setup, int32_t position,
                          int32_t tokens, int32_t kv_head, int32_t queries, const float *query,
                          size_t stride, float *out)
{
    const struct kernels *kernels = kernels_named(name);
    struct attention attention = {
        .pages = setup->views,
        .format = setup->format,
        .position = position,
        .tokens = tokens,
        .window = setup->window,
        .softcap = setup->softcap,
        .kv_head = kv_head,
        .head_size = setup->head_size,
        .queries = queries,
        .stride = stride,
        .query = query,
        .out = out,
        .scale = 1.0f / sqrtf((float)setup->head_size),
    };
    assert_non_null(kernels);
    attention_attend(kernels, &attention);
}

static void attend(const char *name, const struct setup *setup, int32_t length, int32_t kv_head,
                   int32_t queries, float *out)
{
    attend_tokens(name, setup, length - 1, 1, kv_head, queries, setup->query, 0, out);
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
        for (const char *const *name = kernels_fast; *name; name++)
            if (kernels_named(*name)) {
                attend(*name, setup, length, kv_head, groups[g], fast);
                assert_memory_equal(portable, fast, (size_t)groups[g] * size * sizeof *fast);
            }
        for (int32_t q = 0; q < groups[g]; q++) {
            naive(setup, length, kv_head, q, expected);
            for (size_t d = 0; d < size; d++)
                assert_true(fabs((double)portable[(size_t)q * size + d] - expected[d]) < 2e-6);
        }
    }
}

static void attention_agrees_with_a_plain_softmax(void **state)
{
    (void)state;
    static const int32_t sizes[] = {8, 16, 40, 64, 80, 128, 256, 512};
    for (size_t s = 0; s < 2 * sizeof sizes / sizeof *sizes; s++) {
        struct setup setup = setup_new(sizes[s / 2], s % 2 ? KV_Q8_0 : KV_F16);
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
    for (size_t w = 0; w < 2 * sizeof windows / sizeof *windows; w++) {
        struct setup setup = setup_new(w % 4 < 2 ? 40 : 64, w % 2 ? KV_Q8_0 : KV_F16);
        setup.window = windows[w / 2];
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
    struct setup setup = setup_new(SIZE, KV_F16);
    float seen[GROUP_MAX * SIZE], alone[GROUP_MAX * SIZE];
    setup.window = WINDOW;
    for (int32_t p = 0; p < LENGTH; p++)
        store(&setup, p);
    attend(NULL, &setup, LENGTH, 0, GROUP_MAX, seen);
    for (int i = 0; i < PAGES; i++) /* all NaN again, then the window alone */
        memset(setup.pages[i], 0xff, kv_page_bytes(KV_HEADS, SIZE, KV_F16));
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
    struct setup setup = setup_new(SIZE, KV_F16);
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

/* Everything that the shape of a tile could change, a few values each. */
struct tile_case {
    int32_t head_size, position, tokens, queries, window;
    float softcap;
};

static void check_tile(struct setup *setup, const struct tile_case *tile, const char *name)
{
    const size_t size = (size_t)tile->head_size, stride = GROUP_MAX * size;
    const size_t bytes = TOKENS_MAX * stride * sizeof(float);
    float *together = calloc(1, bytes), *alone = calloc(1, bytes);
    assert_true(together && alone);
    setup->window = tile->window;
    setup->softcap = tile->softcap;
    attend_tokens(name, setup, tile->position, tile->tokens, 1, tile->queries, setup->query, stride,
                  together);
    for (int32_t t = 0; t < tile->tokens; t++)
        for (int32_t q = 0; q < tile->queries; q++) {
            size_t at = (size_t)t * stride + (size_t)q * size;
            attend_tokens(NULL, setup, tile->position + t, 1, 1, 1, setup->query + at, 0,
                          alone + at);
        }
    assert_memory_equal(together, alone, bytes);
    free(together);
    free(alone);
}

static void a_tile_gives_the_bits_of_each_token_alone(void **state)
{
    (void)state;
    static const int32_t sizes[] = {8, 16, 40, 64, 80, 96, 128, 256};
    static const int32_t windows[] = {0, 1, 5, 16, 64, 70, 128};
    static const int32_t tokens[] = {1, 2, 3, 7, 20, 33, 64, TOKENS_MAX};
    uint32_t seed = 7;
    for (size_t s = 0; s < 2 * sizeof sizes / sizeof *sizes; s++) {
        struct setup setup = setup_new(sizes[s / 2], s % 2 ? KV_Q8_0 : KV_F16);
        for (int i = 0; i < 40; i++) {
            seed = seed * 1664525u + 1013904223u;
            struct tile_case tile = {.head_size = sizes[s / 2],
                                     .tokens = tokens[(seed >> 8) % 8],
                                     .queries = 1 + i % GROUP_MAX,
                                     .window = windows[(seed >> 16) % 7],
                                     .softcap = (seed >> 20) % 4 ? 0 : 2.0f};
            tile.position = (int32_t)((seed >> 12) % (uint32_t)(LENGTH_MAX - tile.tokens + 1));
            for (int32_t p = 0; p < tile.position + tile.tokens; p++)
                store(&setup, p);
            check_tile(&setup, &tile, i % 10 ? NULL : "portable");
        }
        setup_free(&setup);
    }
}

/* The pages are NaN behind the last position and before the first one's window. */
static void a_tile_reads_nothing_out_of_sight(void **state)
{
    (void)state;
    const struct tile_case tile = {64, 90, 45, 3, 13, 0};
    for (int format = 0; format < 2; format++) {
        struct setup setup = setup_new(tile.head_size, format ? KV_Q8_0 : KV_F16);
        for (int32_t p = tile.position + 1 - tile.window; p < tile.position + tile.tokens; p++)
            store(&setup, p);
        setup.views[0] = NULL;
        check_tile(&setup, &tile, NULL);
        float *out = calloc(TOKENS_MAX, GROUP_MAX * 64 * sizeof(float));
        assert_non_null(out);
        attend_tokens(NULL, &setup, tile.position, tile.tokens, 0, 1, setup.query, GROUP_MAX * 64,
                      out);
        for (size_t i = 0; i < TOKENS_MAX * GROUP_MAX * 64; i++)
            assert_true(isfinite(out[i]));
        free(out);
        setup_free(&setup);
    }
}

/* The arrays of a setup are rounded already; what is stored unrounded must become the same. */
static void storing_rounds(void **state)
{
    (void)state;
    static const int32_t sizes[] = {8, 40, 64, 80};
    for (size_t s = 0; s < 2 * sizeof sizes / sizeof *sizes; s++) {
        const enum kv_format format = s % 2 ? KV_Q8_0 : KV_F16;
        struct setup setup = setup_new(sizes[s / 2], format);
        const size_t row = (size_t)KV_HEADS * (size_t)sizes[s / 2];
        const size_t bytes = kv_page_bytes(KV_HEADS, sizes[s / 2], format);
        void *rounded = malloc(bytes);
        assert_non_null(rounded);
        for (int32_t p = 0; p < KV_PAGE_TOKENS; p++)
            store(&setup, p);
        memcpy(rounded, setup.pages[0], bytes);
        memset(setup.pages[0], 0xff, bytes);
        fill(setup.keys, LENGTH_MAX * row, 1);
        fill(setup.values, LENGTH_MAX * row, 2);
        for (int32_t p = 0; p < KV_PAGE_TOKENS; p++)
            store(&setup, p);
        assert_memory_equal(rounded, setup.pages[0], bytes);
        free(rounded);
        setup_free(&setup);
    }
}

/* Of 40 dimensions, two groups: tiny numbers whose scale is a subnormal half, and those that no
 * half holds. */
static void odd_numbers_are_stored_in_bytes(void **state)
{
    (void)state;
    enum { SIZE = 40 };
    static const float values[] = {0, 1e-30f, 3e-6f, 1e-3f, 1, 8e6f, 1e9f, INFINITY, NAN};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        struct setup setup = setup_new(SIZE, KV_Q8_0);
        float out[SIZE];
        for (size_t d = 0; d < SIZE; d++)
            setup.values[d] = d == 3 ? values[v] : d == 35 ? 1 : 0;
        store(&setup, 0);
        attend(NULL, &setup, 1, 0, 1, out);
        if (values[v] < 8.1e6f)
            assert_true(fabsf(out[3] - values[v]) <= values[v] / 250 + 127 * 0x1p-25f);
        else
            assert_true(isnan(out[3]) && isnan(out[4]));
        assert_true(fabsf(out[35] - 1) < 1e-3f && out[36] == 0); /* the other group */
        setup_free(&setup);
    }
}

static void pages_of_bytes_are_about_half(void **state)
{
    (void)state;
    assert_int_equal(kv_page_bytes(3, 64, KV_F16), 3 * 2 * 64 * 64 * 2);
    assert_int_equal(kv_page_bytes(3, 64, KV_Q8_0), 3 * 2 * 64 * (64 + 2 * 2));
    assert_int_equal(kv_page_bytes(1, 80, KV_Q8_0), 2 * 64 * (80 + 3 * 2));
}

static void huge_scores_do_not_overflow(void **state)
{
    (void)state;
    enum { SIZE = 16 };
    struct setup setup = setup_new(SIZE, KV_F16);
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
        cmocka_unit_test(a_tile_gives_the_bits_of_each_token_alone),
        cmocka_unit_test(a_tile_reads_nothing_out_of_sight),
        cmocka_unit_test(storing_rounds),
        cmocka_unit_test(odd_numbers_are_stored_in_bytes),
        cmocka_unit_test(pages_of_bytes_are_about_half),
        cmocka_unit_test(huge_scores_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
