/* test_wide.c - products in integers of 13 bits, and attention inside a text: the same bits from
 * every implementation, alone and beside others, and the values of double arithmetic. */
#include "base/half.h"
#include "math/text_attention.h"
#include "math/vector.h"
#include "math/wide.h"
#include "tests/lib/kernels_named.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 40, COUNT_MAX = 20, UNALIGNED = 2 };

/* Between -1 and 1, and now and then one that is much larger. */
static void fill(float *x, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ((float)(seed >> 8) / (float)(1 << 23) - 1.0f) * (seed % 61 == 0 ? 20.0f : 1.0f);
    }
}

static float *floats(size_t count, uint32_t seed)
{
    float *x = calloc(count, sizeof *x);
    assert_non_null(x);
    fill(x, count, seed);
    return x;
}

/* A matrix that owns its bytes. */
struct weights {
    struct matrix matrix;
    uint8_t *bytes;
};

static struct weights weights_of(const float *w, int32_t rows, int32_t columns,
                                 enum tensor_type type, size_t unaligned)
{
    const size_t item = type == TENSOR_F32 ? 4 : 2, count = (size_t)rows * (size_t)columns;
    uint8_t *bytes = calloc(count + 1, item), *data = bytes + unaligned;
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = float_bits(w[i]);
        memcpy(data + i * item, (const uint8_t *)&bits + (4 - item), item); /* F32 or BF16 */
    }
    return (struct weights){{type, data, item * (size_t)columns, rows, columns, false}, bytes};
}

/* How a product is to be computed. */
struct way {
    const struct kernels *kernels;
    const float *bias;
    bool adds;
    enum wide_function function;
    int32_t step; /* rows at a time; 0: all */
};

static void multiply(const struct way *way, const struct matrix *matrix, const float *x,
                     int32_t count, float *y)
{
    void *memory = aligned_alloc(64, (wide_bytes(count, matrix->columns) + 63) / 64 * 64);
    float *room = calloc(wide_room(matrix->columns), sizeof *room);
    assert_true(memory && room);
    memset(memory, 0, wide_bytes(count, matrix->columns));
    const struct wide_vectors vectors = wide_vectors(memory, count, matrix->columns);
    const struct wide_product product = {.matrix = matrix,
                                         .vectors = &vectors,
                                         .bias = way->bias,
                                         .adds = way->adds,
                                         .function = way->function,
                                         .y = y,
                                         .y_stride = (size_t)matrix->rows};
    const int32_t step = way->step ? way->step : matrix->rows;
    wide_quantise(way->kernels, &vectors, x, 0, count);
    for (int32_t row = 0; row < matrix->rows; row += step)
        wide_multiply(way->kernels, &product, row,
                      row + step < matrix->rows ? row + step : matrix->rows, room);
    free(memory);
    free(room);
}

static bool same_bits(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (float_bits(a[i]) != float_bits(b[i]) && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

static void expect_same_bits(struct way way, const struct matrix *matrix, const float *x,
                             int32_t count)
{
    float portable[ROWS_MAX * COUNT_MAX], fast[ROWS_MAX * COUNT_MAX];
    const size_t outputs = (size_t)matrix->rows * (size_t)count;
    fill(portable, outputs, 5);
    way.kernels = kernels_named("portable");
    multiply(&way, matrix, x, count, portable);
    for (const char *const *name = kernels_fast; *name; name++) {
        way.kernels = kernels_named(*name);
        if (!way.kernels)
            continue;
        fill(fast, outputs, 5);
        multiply(&way, matrix, x, count, fast);
        if (!same_bits(portable, fast, outputs))
            fail_msg("%s: %dx%d, %d vectors", *name, matrix->rows, matrix->columns, count);
    }
}

static void every_shape_gives_the_same_bits_from_all_kernels(void **state)
{
    (void)state;
    static const int32_t columns[] = {1,   2,   8,   15,  16,  26,  100, 127, 128,
                                      129, 160, 312, 384, 400, 513, 768, 1536};
    static const int32_t rows[] = {1, 15, 16, 17, ROWS_MAX};
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            const uint32_t seed = (uint32_t)(c * 8 + r);
            float *w = floats((size_t)rows[r] * (size_t)columns[c], seed);
            float *x = floats(COUNT_MAX * (size_t)columns[c], seed + 1000);
            float *bias = floats(ROWS_MAX, seed + 2000);
            struct weights plain = weights_of(w, rows[r], columns[c], TENSOR_F32, 0);
            struct weights odd = weights_of(w, rows[r], columns[c], TENSOR_F32, UNALIGNED);
            struct weights half = weights_of(w, rows[r], columns[c], TENSOR_BF16, UNALIGNED);
            const int32_t count = 1 + (int32_t)((c * 5 + r * 3) % COUNT_MAX);
            const struct way ways[] = {{.bias = bias, .function = WIDE_GELU_ERF},
                                       {.bias = bias, .adds = true},
                                       {.function = WIDE_GELU, .step = MATRIX_GRAIN},
                                       {.adds = true}};
            for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                expect_same_bits(ways[i], &plain.matrix, x, count);
            expect_same_bits((struct way){.bias = bias}, &odd.matrix, x, count);
            expect_same_bits((struct way){.bias = bias}, &half.matrix, x, COUNT_MAX);
            free(plain.bytes);
            free(odd.bytes);
            free(half.bytes);
            free(w);
            free(x);
            free(bias);
        }
}

/* NaN, infinities, zeros and what is near the ends of the range, in weights and in vectors. */
static void odd_values_give_the_same_bits_from_all_kernels(void **state)
{
    (void)state;
    enum { ROWS = 17, COLUMNS = 300, COUNT = 7 };
    const float odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 1e-44f, 0x1p-101f, 3e38f, -3e38f};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (int whole = 0; whole < 2; whole++) {
            float *w = floats((size_t)ROWS * COLUMNS, 1), *x = floats((size_t)COUNT * COLUMNS, 2);
            for (int k = 0; k < (whole ? COLUMNS : 1); k++) {
                w[3 * COLUMNS + k] = odd[i];
                x[2 * COLUMNS + k] = odd[i];
            }
            struct weights weights = weights_of(w, ROWS, COLUMNS, TENSOR_F32, 0);
            expect_same_bits((struct way){0}, &weights.matrix, x, COUNT);
            float y[ROWS * COUNT];
            multiply(&(struct way){.kernels = kernels_named(NULL)}, &weights.matrix, x, COUNT, y);
            for (int n = 0; n < COUNT; n++)
                for (int r = 0; r < ROWS; r++)
                    if (n != 2 && r != 3)
                        assert_true(isfinite(y[n * ROWS + r]));
            if (!isfinite(odd[i]))
                assert_true(isnan(y[0 * ROWS + 3]) && isnan(y[2 * ROWS + 0]));
            free(weights.bytes);
            free(w);
            free(x);
        }
}

static void a_vector_has_the_same_bits_alone(void **state)
{
    (void)state;
    enum { ROWS = 33, COLUMNS = 520 };
    float *w = floats((size_t)ROWS * COLUMNS, 3), *x = floats((size_t)COUNT_MAX * COLUMNS, 4);
    float all[ROWS * COUNT_MAX], one[ROWS];
    struct weights weights = weights_of(w, ROWS, COLUMNS, TENSOR_F32, 0);
    const struct way way = {.kernels = kernels_named(NULL)};
    multiply(&way, &weights.matrix, x, COUNT_MAX, all);
    for (size_t n = 0; n < COUNT_MAX; n++) {
        multiply(&way, &weights.matrix, x + n * COLUMNS, 1, one);
        assert_memory_equal(one, all + n * ROWS, sizeof one);
    }
    free(weights.bytes);
    free(w);
    free(x);
}

/* At most half a step is lost in a weight and in a value. */
static void products_are_near_those_of_doubles(void **state)
{
    (void)state;
    enum { ROWS = 20, COLUMNS = 700, COUNT = 9 };
    const double step = 0.5 / WIDE_STEPS;
    float *w = floats((size_t)ROWS * COLUMNS, 6), *x = floats((size_t)COUNT * COLUMNS, 7);
    float y[ROWS * COUNT];
    struct weights weights = weights_of(w, ROWS, COLUMNS, TENSOR_F32, 0);
    multiply(&(struct way){.kernels = kernels_named(NULL)}, &weights.matrix, x, COUNT, y);
    for (int i = 0; i < ROWS * COUNT; i++) {
        const float *row = w + (size_t)(i % ROWS) * COLUMNS,
                    *vector = x + (size_t)(i / ROWS) * COLUMNS;
        double sum = 0, allowed = 1e-4; /* of float sums of some hundred */
        for (int k = 0; k < COLUMNS; k += WIDE_GROUP) {
            const int end = k + WIDE_GROUP < COLUMNS ? k + WIDE_GROUP : COLUMNS;
            double most_w = 0, most_x = 0, size_w = 0, size_x = 0;
            for (int j = k; j < end; j++) {
                sum += (double)row[j] * (double)vector[j];
                most_w = fmax(most_w, fabs((double)row[j]));
                most_x = fmax(most_x, fabs((double)vector[j]));
                size_w += fabs((double)row[j]);
                size_x += fabs((double)vector[j]);
            }
            allowed += step * (most_w * size_x + most_x * size_w) +
                       step * step * most_w * most_x * WIDE_GROUP;
        }
        assert_true(fabs(sum - (double)y[i]) <= allowed);
    }
    free(weights.bytes);
    free(w);
    free(x);
}

/* The largest integers that can be: 128 * 4095 * 4095. */
static void the_largest_sums_fit(void **state)
{
    (void)state;
    enum { ROWS = 16, COLUMNS = 2 * WIDE_GROUP };
    float w[ROWS * COLUMNS], x[COLUMNS], y[ROWS];
    for (int sign = -1; sign < 2; sign += 2) {
        for (int i = 0; i < ROWS * COLUMNS; i++)
            w[i] = 2;
        for (int i = 0; i < COLUMNS; i++)
            x[i] = (float)sign;
        struct weights weights = weights_of(w, ROWS, COLUMNS, TENSOR_F32, 0);
        expect_same_bits((struct way){0}, &weights.matrix, x, 1);
        multiply(&(struct way){.kernels = kernels_named(NULL)}, &weights.matrix, x, 1, y);
        for (int r = 0; r < ROWS; r++)
            assert_true(fabsf(y[r] - (float)(sign * 2 * COLUMNS)) < 1e-3f);
        free(weights.bytes);
    }
}

static void functions_are_those_of_vectors(void **state)
{
    (void)state;
    enum { ROWS = 20, COLUMNS = 64, COUNT = 3 };
    float *w = floats((size_t)ROWS * COLUMNS, 8), *x = floats((size_t)COUNT * COLUMNS, 9);
    float plain[ROWS * COUNT], gelu[ROWS * COUNT];
    struct weights weights = weights_of(w, ROWS, COLUMNS, TENSOR_F32, 0);
    struct way way = {.kernels = kernels_named(NULL)};
    multiply(&way, &weights.matrix, x, COUNT, plain);
    way.function = WIDE_GELU_ERF;
    multiply(&way, &weights.matrix, x, COUNT, gelu);
    vector_gelu_erf(way.kernels, plain, ROWS * COUNT);
    assert_memory_equal(plain, gelu, sizeof plain);
    free(weights.bytes);
    free(w);
    free(x);
}

/* ---- attention ---- */

enum { HEADS = 2, TOKENS_MAX = 70, SIZE_MAX_TESTED = 72 };

static void attend(const struct kernels *kernels, const float *query, const float *kv,
                   int32_t count, int32_t size, float *out)
{
    const size_t stride = (size_t)size * HEADS;
    float *room =
        aligned_alloc(64, (text_attention_room(count, size) * sizeof *room + 63) / 64 * 64);
    assert_non_null(room);
    text_attention_attend(kernels, &(struct text_attention){.count = count,
                                                            .head_size = size,
                                                            .query = query,
                                                            .out = out,
                                                            .query_stride = stride,
                                                            .key = kv,
                                                            .value = kv + size,
                                                            .key_stride = stride,
                                                            .scale = 0.2f,
                                                            .room = room});
    free(room);
}

static void expect_near(const float *query, const float *kv, int32_t count, int32_t size,
                        const float *out)
{
    const int32_t stride = size * HEADS;
    for (int32_t n = 0; n < count; n++) {
        double weight[TOKENS_MAX], sum = 0;
        for (int32_t i = 0; i < count; i++) {
            double score = 0;
            for (int32_t d = 0; d < size; d++)
                score += (double)query[n * stride + d] * (double)kv[i * stride + d];
            weight[i] = exp(score * (double)0.2f);
            sum += weight[i];
        }
        for (int32_t d = 0; d < size; d++) {
            double expected = 0;
            for (int32_t i = 0; i < count; i++)
                expected += weight[i] / sum * (double)kv[i * stride + size + d];
            assert_true(fabs(expected - (double)out[n * stride + d]) < 3e-4);
        }
    }
}

static void attention_is_right_and_the_same_from_all_kernels(void **state)
{
    (void)state;
    static const int32_t sizes[] = {8, 26, 32, 64, SIZE_MAX_TESTED};
    enum { FLOATS = TOKENS_MAX * SIZE_MAX_TESTED * HEADS };
    float *query = floats(FLOATS, 10), *kv = floats(FLOATS, 11);
    float *portable = floats(FLOATS, 12), *fast = floats(FLOATS, 12);
    float *before = floats(FLOATS, 12);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int32_t count = 1; count <= TOKENS_MAX; count += count < 20 ? 1 : 7) {
            memcpy(before, portable, FLOATS * sizeof *before);
            attend(kernels_named("portable"), query, kv, count, sizes[s], portable);
            expect_near(query, kv, count, sizes[s], portable);
            for (const char *const *name = kernels_fast; *name; name++) {
                if (!kernels_named(*name))
                    continue;
                memcpy(fast, before, FLOATS * sizeof *fast); /* none is written besides */
                attend(kernels_named(*name), query, kv, count, sizes[s], fast);
                assert_memory_equal(portable, fast, FLOATS * sizeof *fast);
            }
        }
    free(query);
    free(kv);
    free(portable);
    free(fast);
    free(before);
}

static void attention_to_what_is_not_finite_is_nan(void **state)
{
    (void)state;
    enum { COUNT = 5, SIZE = 16 };
    float *query = floats(COUNT * SIZE * HEADS, 13), *kv = floats(COUNT * SIZE * HEADS, 14);
    float out[COUNT * SIZE * HEADS];
    kv[2 * SIZE * HEADS] = NAN;
    attend(kernels_named(NULL), query, kv, COUNT, SIZE, out);
    for (int n = 0; n < COUNT; n++)
        assert_true(isnan(out[n * SIZE * HEADS]));
    free(query);
    free(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_gives_the_same_bits_from_all_kernels),
        cmocka_unit_test(odd_values_give_the_same_bits_from_all_kernels),
        cmocka_unit_test(a_vector_has_the_same_bits_alone),
        cmocka_unit_test(products_are_near_those_of_doubles),
        cmocka_unit_test(the_largest_sums_fit),
        cmocka_unit_test(functions_are_those_of_vectors),
        cmocka_unit_test(attention_is_right_and_the_same_from_all_kernels),
        cmocka_unit_test(attention_to_what_is_not_finite_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
