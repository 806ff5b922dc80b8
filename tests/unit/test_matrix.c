/* test_matrix.c - every implementation of the matrix products against the portable one (bit for
 * bit), and the portable one against plain double arithmetic. */
#include "base/half.h"
#include "base/kernel_names.h"
#include "base/memory.h"
#include "math/matrix.h"
#include "math/quant.h"
#include "tests/lib/kernels_named.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

enum { VECTORS_MAX = 40, ROWS_MAX = 50, COLUMNS_MAX = 2304, UNALIGNED = 2 };

static const enum tensor_type types[] = {
    TENSOR_F32,    TENSOR_F16,   TENSOR_BF16,  TENSOR_Q4_0,  TENSOR_Q4_1,
    TENSOR_Q5_0,   TENSOR_Q5_1,  TENSOR_Q8_0,  TENSOR_Q2_K,  TENSOR_Q3_K,
    TENSOR_Q4_K,   TENSOR_Q5_K,  TENSOR_Q6_K,  TENSOR_Q8_K,  TENSOR_IQ4_NL,
    TENSOR_IQ4_XS, TENSOR_TQ1_0, TENSOR_TQ2_0, TENSOR_MXFP4,
};
enum { TYPES = sizeof types / sizeof *types };

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static float random_float(uint32_t *state)
{
    return (float)random_next(state) / (float)(1 << 23) - 1.0f;
}

static void put_half(uint8_t *at, float value)
{
    uint16_t half = half_of_float(value);
    memcpy(at, &half, sizeof half);
}

/* A matrix that ends where its allocation ends, and starts at an odd multiple of 2 bytes. */
struct weights {
    struct matrix matrix;
    uint8_t *bytes;
};

static struct weights weights_of_bytes(enum tensor_type type, int32_t rows, int32_t columns,
                                       uint32_t *seed)
{
    const struct tensor_format *format = tensor_format(type);
    size_t row_bytes = (size_t)columns / format->block * format->block_bytes;
    size_t size = row_bytes * (size_t)rows;
    uint8_t *bytes = malloc(UNALIGNED + size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[UNALIGNED + i] = (uint8_t)random_next(seed);
    return (struct weights){{type, bytes + UNALIGNED, row_bytes, rows, columns, false}, bytes};
}

/* Where the scale of a block is; that of the minimum is the next half. */
static size_t scale_at(enum tensor_type type)
{
    return type == TENSOR_Q2_K    ? 80
           : type == TENSOR_Q3_K  ? 108
           : type == TENSOR_Q6_K  ? 208
           : type == TENSOR_TQ1_0 ? 52
           : type == TENSOR_TQ2_0 ? 64
                                  : 0;
}

/* Random weights with scales as a model has them. */
static struct weights weights_sane(enum tensor_type type, int32_t rows, int32_t columns,
                                   uint32_t *seed)
{
    struct weights weights = weights_of_bytes(type, rows, columns, seed);
    const struct tensor_format *format = tensor_format(type);
    size_t size = weights.matrix.row_bytes * (size_t)rows;
    for (size_t at = 0; at < size; at += format->block_bytes) {
        uint8_t *block = weights.bytes + UNALIGNED + at, *scale = block + scale_at(type);
        float value = random_float(seed);
        uint32_t bits = float_bits(value);
        if (type == TENSOR_F32 || type == TENSOR_Q8_K)
            memcpy(block, &value, sizeof value);
        else if (type == TENSOR_BF16)
            memcpy(block, (uint8_t *)&bits + 2, 2);
        else if (type == TENSOR_MXFP4)
            *block = (uint8_t)(120 + random_next(seed) % 8);
        else
            put_half(scale, value * (type == TENSOR_F16 ? 1.0f : 0.05f));
        if (quant_has_minimum(type))
            put_half(scale + 2, random_float(seed) * 0.05f);
    }
    return weights;
}

/* y of all rows and vectors, computed in ranges of `step` rows. */
static void product(const char *kernels_wanted, const struct matrix *matrix, const float *x,
                    int32_t count, int32_t step, float *y)
{
    const struct kernels *kernels = kernels_named(kernels_wanted);
    struct activations *activations;
    assert_non_null(kernels);
    assert_int_equal(activations_open(count, matrix->columns, &activations), 0);
    activations_begin(activations, x, (size_t)matrix->columns, count, matrix->columns);
    if (quant_is_block_type(matrix->type))
        activations_quantise(kernels, activations, 0, count);
    for (int32_t row = 0; row < matrix->rows; row += step) {
        int32_t end = row + step < matrix->rows ? row + step : matrix->rows;
        matrix_multiply(kernels, matrix, activations, y, (size_t)matrix->rows, row, end);
    }
    activations_close(activations);
}

static bool same_bits(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (float_bits(a[i]) != float_bits(b[i]) && !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

static float *random_vectors(int32_t count, int32_t columns, uint32_t *seed)
{
    float *x = malloc((size_t)count * (size_t)columns * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < (size_t)count * (size_t)columns; i++)
        x[i] = random_float(seed) * (float)(1 + i % 7);
    return x;
}

/* Whether kernels can be tested here. */
static bool have(const char *name)
{
    return kernels_named(name) != NULL;
}

static void expect_equal_kernels(const struct weights *weights, int32_t count, uint32_t *seed)
{
    const struct matrix *matrix = &weights->matrix;
    size_t outputs = (size_t)matrix->rows * (size_t)count;
    float *x = random_vectors(count, matrix->columns, seed);
    float *portable = calloc(outputs, sizeof *portable), *fast = calloc(outputs, sizeof *fast);
    assert_true(portable && fast);
    product("portable", matrix, x, count, matrix->rows, portable);
    for (const char *const *name = kernels_fast; *name; name++) {
        if (!have(*name))
            continue;
        product(*name, matrix, x, count, matrix->rows, fast);
        if (!same_bits(portable, fast, outputs))
            fail_msg("%s %s %dx%d, %d vectors", *name, tensor_format(matrix->type)->name,
                     matrix->rows, matrix->columns, count);
    }
    free(x);
    free(portable);
    free(fast);
}

static const int32_t row_counts[] = {1, 7, 16, 17, 50};

static void each_shape(int32_t count, uint32_t *seed,
                       struct weights (*make)(enum tensor_type, int32_t, int32_t, uint32_t *))
{
    static const int32_t simple[] = {32, 96, 576, 1056}, super[] = {256, 768, 2304};
    static const int32_t floats[] = {1, 15, 48, 577};
    for (size_t t = 0; t < TYPES; t++)
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
            for (size_t c = 0; c < 4; c++) {
                uint32_t block = tensor_format(types[t])->block;
                if (block == 256 && c == 3)
                    continue;
                int32_t columns = block == 1 ? floats[c] : block == 32 ? simple[c] : super[c];
                struct weights weights = make(types[t], row_counts[r], columns, seed);
                expect_equal_kernels(&weights, count, seed);
                free(weights.bytes);
            }
}

static void all_kernels_give_the_bits_of_portable_for_every_type_and_shape(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int32_t count = 1; count <= 9; count++)
        each_shape(count, &seed, weights_sane);
    each_shape(17, &seed, weights_sane);
}

static void all_kernels_give_the_bits_of_portable_for_every_number_of_vectors(void **state)
{
    (void)state;
    uint32_t seed = 2;
    for (size_t t = 0; t < TYPES; t++) {
        struct weights weights = weights_sane(types[t], 19, 512, &seed);
        for (int32_t count = 1; count <= 17; count++)
            expect_equal_kernels(&weights, count, &seed);
        expect_equal_kernels(&weights, VECTORS_MAX, &seed);
        free(weights.bytes);
    }
}

/* So many that their activations leave the caches, and more rows than a kernel takes at once. */
static void all_kernels_give_the_bits_of_portable_for_many_vectors(void **state)
{
    (void)state;
    enum { COUNT = 130, ROWS = 275, COLUMNS = 1792 };
    static const enum tensor_type some[] = {TENSOR_Q4_1, TENSOR_Q8_0, TENSOR_Q6_K};
    uint32_t seed = 12;
    for (size_t t = 0; t < sizeof some / sizeof *some; t++) {
        struct weights weights = weights_sane(some[t], ROWS, COLUMNS, &seed);
        expect_equal_kernels(&weights, COUNT, &seed);
        free(weights.bytes);
    }
}

static void random_bytes_as_weights_give_the_same_bits_or_nan(void **state)
{
    (void)state;
    uint32_t seed = 3;
    each_shape(1, &seed, weights_of_bytes);
    each_shape(6, &seed, weights_of_bytes);
}

static void extreme_weights_do_not_overflow_the_integer_sums(void **state)
{
    (void)state;
    static const uint8_t fills[] = {0x00, 0x7f, 0x80, 0xff};
    uint32_t seed = 4;
    for (size_t t = 0; t < TYPES; t++)
        for (size_t f = 0; f < sizeof fills; f++) {
            const struct tensor_format *format = tensor_format(types[t]);
            struct weights weights = weights_sane(types[t], 8, 512, &seed);
            for (size_t i = 0; i < weights.matrix.row_bytes * 8; i++) {
                size_t at = i % format->block_bytes;
                bool scale = at - scale_at(types[t]) < 4; /* wraps below it */
                if (quant_is_block_type(types[t]) && !scale)
                    weights.bytes[UNALIGNED + i] = fills[f];
            }
            float x[2 * 512], portable[16], fast[16];
            for (int i = 0; i < 512; i++)
                x[512 + i] = -(x[i] = 1.0f); /* every q is 127 or -127 */
            product("portable", &weights.matrix, x, 2, 8, portable);
            for (const char *const *name = kernels_fast; *name; name++)
                if (have(*name)) {
                    product(*name, &weights.matrix, x, 2, 8, fast);
                    assert_true(same_bits(portable, fast, 16));
                }
            free(weights.bytes);
        }
}

static void a_vector_s_result_does_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (const char *const *name = kernels_fast; *name; name++)
        for (size_t t = 0; t < TYPES && have(*name); t++) {
            struct weights weights = weights_sane(types[t], 24, 768, &seed);
            float *x = random_vectors(13, 768, &seed), all[13 * 24], one[24];
            product(*name, &weights.matrix, x, 13, 24, all);
            for (size_t n = 0; n < 13; n++) {
                product(*name, &weights.matrix, x + n * 768, 1, 24, one);
                assert_memory_equal(one, all + n * 24, sizeof one);
            }
            free(x);
            free(weights.bytes);
        }
}

static void ranges_of_rows_give_the_bits_of_the_whole(void **state)
{
    (void)state;
    uint32_t seed = 6;
    for (size_t t = 0; t < TYPES; t++) {
        struct weights weights = weights_sane(types[t], ROWS_MAX, 256, &seed);
        for (int32_t count = 1; count <= 6; count += 5) {
            float *x = random_vectors(count, 256, &seed);
            float whole[6 * ROWS_MAX], parts[6 * ROWS_MAX];
            size_t bytes = (size_t)count * ROWS_MAX * sizeof *whole;
            product(NULL, &weights.matrix, x, count, ROWS_MAX, whole);
            product(NULL, &weights.matrix, x, count, MATRIX_GRAIN, parts);
            assert_memory_equal(whole, parts, bytes);
            free(x);
        }
        free(weights.bytes);
    }
}

/* The quantised value of x[k] as the product sees it, from the definition in matrix.h. */
static double quantised(const float *x, int32_t k)
{
    const float *group = x + k / 32 * 32;
    float amax = 0;
    for (int i = 0; i < 32; i++)
        amax = fabsf(group[i]) > amax ? fabsf(group[i]) : amax;
    return amax == 0 ? 0 : (double)nearbyintf(x[k] * (127.0f / amax)) * (double)(amax / 127.0f);
}

static void products_agree_with_double_arithmetic(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (size_t t = 0; t < TYPES; t++) {
        struct weights weights = weights_sane(types[t], 17, 768, &seed);
        float *x = random_vectors(5, 768, &seed), y[5 * 17], row[768];
        product(NULL, &weights.matrix, x, 5, 17, y);
        for (int32_t r = 0; r < 17; r++) {
            matrix_row(&weights.matrix, r, row);
            for (int n = 0; n < 5; n++) {
                const float *vector = x + n * 768;
                double sum = 0, size = 0;
                for (int32_t k = 0; k < 768; k++) {
                    bool block = quant_is_block_type(types[t]);
                    double a = block ? quantised(vector, k) : (double)vector[k];
                    sum += (double)row[k] * a;
                    size += fabs((double)row[k] * a);
                }
                /* at most 48 roundings of 2^-24 of sums that are smaller than `size` */
                assert_true(fabs(sum - (double)y[n * 17 + r]) <= size * 48 * 0x1p-24);
            }
        }
        free(x);
        free(weights.bytes);
    }
}

#ifdef HAVE_OPENBLAS
static void float_products_agree_with_openblas(void **state)
{
    (void)state;
    enum { ROWS = 33, COLUMNS = 577, COUNT = 7 };
    uint32_t seed = 8;
    for (size_t t = 0; t < 3; t++) {
        struct weights weights = weights_sane(types[t], ROWS, COLUMNS, &seed);
        float *x = random_vectors(COUNT, COLUMNS, &seed), y[COUNT * ROWS], expected[COUNT * ROWS];
        float *dense = calloc(ROWS * COLUMNS, sizeof *dense);
        for (int32_t r = 0; r < ROWS; r++)
            matrix_row(&weights.matrix, r, dense + r * COLUMNS);
        product(NULL, &weights.matrix, x, COUNT, ROWS, y);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, COUNT, ROWS, COLUMNS, 1, x, COLUMNS,
                    dense, COLUMNS, 0, expected, ROWS);
        for (int i = 0; i < COUNT * ROWS; i++)
            assert_true(fabsf(y[i] - expected[i]) < 1e-3f); /* 577 terms of up to 7 */
        free(dense);
        free(x);
        free(weights.bytes);
    }
}
#endif

/* The same weights, stored by columns. */
static struct weights transposed_copy(const struct weights *weights)
{
    const struct matrix *from = &weights->matrix;
    size_t item = from->row_bytes / (size_t)from->columns, rows = (size_t)from->rows;
    uint8_t *bytes = malloc(UNALIGNED + from->row_bytes * rows);
    assert_non_null(bytes);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < (size_t)from->columns; k++)
            memcpy(bytes + UNALIGNED + (k * rows + r) * item,
                   from->data + r * from->row_bytes + k * item, item);
    return (struct weights){
        {from->type, bytes + UNALIGNED, rows * item, from->rows, from->columns, true}, bytes};
}

static void expect_equal_transposed(const struct weights *plain, int32_t count, uint32_t *seed)
{
    static const char *const names[] = {"portable", "avx2", "avx512"};
    const struct matrix *matrix = &plain->matrix;
    struct weights other = transposed_copy(plain);
    size_t outputs = (size_t)matrix->rows * (size_t)count;
    float *x = random_vectors(count, matrix->columns, seed);
    float *expected = calloc(outputs, sizeof *expected), *y = calloc(outputs, sizeof *y);
    assert_true(expected && y);
    product("portable", matrix, x, count, matrix->rows, expected);
    for (size_t i = 0; i < 6 && have(names[i / 2]); i++) {
        memset(y, 0x55, outputs * sizeof *y);
        product(names[i / 2], &other.matrix, x, count, i % 2 ? MATRIX_GRAIN : matrix->rows, y);
        if (!same_bits(expected, y, outputs))
            fail_msg("%s %s %dx%d, %d vectors", names[i / 2], tensor_format(matrix->type)->name,
                     matrix->rows, matrix->columns, count);
    }
    free(x);
    free(expected);
    free(y);
    free(other.bytes);
}

static void weights_stored_by_columns_give_the_same_bits(void **state)
{
    (void)state;
    static const int32_t rows[] = {1, 7, 16, 33, 1100}, columns[] = {1, 15, 16, 64, 81, 135};
    static const int32_t counts[] = {1, 2, 3, 5, 8, 16, 17, 70};
    uint32_t seed = 10;
    for (size_t t = 0; t < 3; t++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                struct weights sane = weights_sane(types[t], rows[r], columns[c], &seed);
                struct weights any = weights_of_bytes(types[t], rows[r], columns[c], &seed);
                for (size_t n = 0; n < sizeof counts / sizeof *counts; n++)
                    expect_equal_transposed(&sane, counts[n], &seed);
                expect_equal_transposed(&any, 3, &seed);
                free(sane.bytes);
                free(any.bytes);
            }
}

static void a_row_of_weights_stored_by_columns_is_gathered(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (size_t t = 0; t < 3; t++) {
        struct weights plain = weights_sane(types[t], 9, 21, &seed);
        struct weights other = transposed_copy(&plain);
        for (int32_t r = 0; r < 9; r++) {
            float expected[21], row[21];
            matrix_row(&plain.matrix, r, expected);
            matrix_row(&other.matrix, r, row);
            assert_memory_equal(row, expected, sizeof row);
        }
        free(plain.bytes);
        free(other.bytes);
    }
}

static void a_transposed_view_has_the_same_shape(void **state)
{
    (void)state;
    struct error error;
    struct matrix matrix;
    uint8_t data[5 * 3 * 2];
    struct tensor tensor = {"w", TENSOR_F16, 2, {5, 3, 1, 1}, data, sizeof data, true};
    assert_int_equal(matrix_view(&tensor, 3, 5, &matrix, &error), 0);
    assert_true(matrix.transposed && matrix.row_bytes == 6 && matrix.rows == 3);
    tensor.bytes--;
    assert_int_equal(matrix_view(&tensor, 3, 5, &matrix, &error), -ENOEXEC);
    struct tensor blocks = {"b", TENSOR_Q8_0, 2, {32, 1, 1, 1}, data, 34, true};
    assert_int_equal(matrix_view(&blocks, 1, 32, &matrix, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "tensor b has the type Q8_0"));
}

static void a_vector_with_nan_or_infinity_gives_nan_and_zero_gives_zero(void **state)
{
    (void)state;
    uint32_t seed = 9;
    struct weights weights = weights_sane(TENSOR_Q4_0, 8, 64, &seed);
    for (size_t k = 0; k == 0 || kernels_fast[k - 1]; k++) {
        const char *name = k == 0 ? "portable" : kernels_fast[k - 1];
        if (!have(name))
            continue;
        float x[4 * 64], y[4 * 8];
        for (int i = 0; i < 4 * 64; i++)
            x[i] = i < 192 ? 1.0f : 1e-35f; /* vector 3: too small to have a scale */
        x[5] = NAN;
        x[64 + 40] = -INFINITY;
        memset(x + 128, 0, 64 * sizeof *x);
        product(name, &weights.matrix, x, 4, 8, y);
        for (int r = 0; r < 8; r++) {
            assert_true(isnan(y[r]) && isnan(y[8 + r]));
            assert_true(y[16 + r] == 0 && y[24 + r] == 0);
        }
    }
    free(weights.bytes);
}

static void a_view_refuses_another_shape_and_too_few_bytes(void **state)
{
    (void)state;
    struct error error;
    struct matrix matrix;
    uint8_t data[20 * 3];
    struct tensor tensor = {"w", TENSOR_Q4_1, 2, {32, 3, 1, 1}, data, sizeof data, false};
    assert_int_equal(matrix_view(&tensor, 3, 32, &matrix, &error), 0);
    assert_int_equal(matrix.row_bytes, 20);
    assert_int_equal(matrix_view(&tensor, 32, 3, &matrix, &error), -ENOEXEC);
    assert_non_null(strstr(error.text, "[32, 3, 1, 1]"));
    assert_non_null(strstr(error.text, "tensor w "));
    assert_int_equal(matrix_view(&tensor, 3, 64, &matrix, NULL), -ENOEXEC);
    tensor.bytes--;
    assert_int_equal(matrix_view(&tensor, 3, 32, &matrix, &error), -ENOEXEC);
    tensor.bytes++;
    tensor.shape[2] = 2;
    assert_int_equal(matrix_view(&tensor, 3, 32, &matrix, &error), -ENOEXEC);
}

/* The last of a stack of 3 matrices of 5 rows; vectors 1 and 2 of 4. */
static void parts_of_stacks_and_of_batches_give_the_bits_of_the_whole(void **state)
{
    (void)state;
    enum { ROWS = 5, COLUMNS = 64, STACK = 3, VECTORS = 4 };
    const struct kernels *kernels;
    uint32_t seed = 77;
    struct weights weights = weights_sane(TENSOR_Q4_1, STACK * ROWS, COLUMNS, &seed);
    float *x = random_vectors(VECTORS, COLUMNS, &seed);
    float whole[VECTORS * STACK * ROWS], part[VECTORS * ROWS];
    struct activations *activations;
    assert_int_equal(kernels_choose(NULL, &kernels, NULL), 0);
    product(NULL, &weights.matrix, x, VECTORS, STACK * ROWS, whole);

    struct tensor tensor = {.name = "stack",
                            .type = TENSOR_Q4_1,
                            .dimensions = 3,
                            .shape = {COLUMNS, ROWS, STACK, 1},
                            .data = weights.matrix.data,
                            .bytes = weights.matrix.row_bytes * STACK * ROWS};
    struct matrix stack;
    struct error error = {0};
    assert_int_equal(matrix_view_stack(&tensor, STACK + 1, ROWS, COLUMNS, &stack, &error),
                     -ENOEXEC);
    assert_non_null(strstr(error.text, "stack"));
    assert_int_equal(matrix_view_stack(&tensor, STACK, ROWS + 1, COLUMNS, &stack, NULL), -ENOEXEC);
    assert_int_equal(matrix_view_stack(&tensor, STACK, ROWS, COLUMNS, &stack, NULL), 0);
    const struct matrix last = matrix_rows(&stack, 2 * ROWS, ROWS);

    assert_int_equal(activations_open(VECTORS, COLUMNS, &activations), 0);
    activations_begin(activations, x, COLUMNS, VECTORS, COLUMNS);
    activations_quantise(kernels, activations, 0, VECTORS);
    memset(part, 0, sizeof part);
    matrix_multiply_some(kernels, &last, activations, 1, 2, part, ROWS, 0, ROWS);
    for (size_t n = 0; n < VECTORS; n++)
        for (size_t r = 0; r < ROWS; r++)
            assert_true(part[n * ROWS + r] ==
                        (n == 1 || n == 2 ? whole[n * STACK * ROWS + 2 * ROWS + r] : 0));
    activations_close(activations);
    free(x);
    free(weights.bytes);
}

static void room_for_activations_is_what_was_announced(void **state)
{
    (void)state;
    struct activations *activations;
    assert_true(activations_bytes(4, 576) >= 4 * 576);
    assert_true(activations_bytes(4, 576) < 4 * 576 * 2);
    assert_int_equal(activations_open(4, 576, &activations), 0);
    activations_close(activations);
    activations_close(NULL);
}

static void kernels_are_chosen_by_name(void **state)
{
    (void)state;
    const struct kernels *kernels;
    struct error error;
    assert_int_equal(kernels_choose("portable", &kernels, &error), 0);
    assert_string_equal(kernels_name(kernels), "portable");
    assert_int_equal(kernels_choose("", &kernels, &error), 0);
    assert_non_null(kernels);
    assert_int_equal(kernels_choose("ref", &kernels, &error), 0);
    assert_string_equal(kernels_name(kernels), "portable");
    assert_int_equal(kernels_choose("mmx", &kernels, &error), -EINVAL);
    assert_non_null(strstr(error.text, "\"mmx\" are unknown"));
    assert_null(kernels);
    for (const char *const *name = kernels_fast; *name; name++) {
        assert_true(kernel_names_have(*name));
        if (kernels_choose(*name, &kernels, &error) == 0)
            assert_string_equal(kernels_name(kernels), *name);
        else
            assert_non_null(strstr(error.text, "this machine cannot run"));
    }
    assert_false(kernel_names_have("") || kernel_names_have("avx") || kernel_names_have("avx2,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kernels_give_the_bits_of_portable_for_every_type_and_shape),
        cmocka_unit_test(all_kernels_give_the_bits_of_portable_for_every_number_of_vectors),
        cmocka_unit_test(all_kernels_give_the_bits_of_portable_for_many_vectors),
        cmocka_unit_test(random_bytes_as_weights_give_the_same_bits_or_nan),
        cmocka_unit_test(extreme_weights_do_not_overflow_the_integer_sums),
        cmocka_unit_test(a_vector_s_result_does_not_depend_on_its_neighbours),
        cmocka_unit_test(ranges_of_rows_give_the_bits_of_the_whole),
        cmocka_unit_test(products_agree_with_double_arithmetic),
#ifdef HAVE_OPENBLAS
        cmocka_unit_test(float_products_agree_with_openblas),
#endif
        cmocka_unit_test(weights_stored_by_columns_give_the_same_bits),
        cmocka_unit_test(a_row_of_weights_stored_by_columns_is_gathered),
        cmocka_unit_test(a_transposed_view_has_the_same_shape),
        cmocka_unit_test(a_vector_with_nan_or_infinity_gives_nan_and_zero_gives_zero),
        cmocka_unit_test(a_view_refuses_another_shape_and_too_few_bytes),
        cmocka_unit_test(parts_of_stacks_and_of_batches_give_the_bits_of_the_whole),
        cmocka_unit_test(room_for_activations_is_what_was_announced),
        cmocka_unit_test(kernels_are_chosen_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
