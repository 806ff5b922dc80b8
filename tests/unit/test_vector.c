/* test_vector.c - the vector functions: the same bits from every implementation, and the values
 * of double arithmetic. */
#include "base/half.h"
#include "math/vector.h"
#include "tests/lib/kernels_named.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH_MAX = 600 };

static void fill(float *x, int count, float size, uint32_t seed)
{
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ((float)(seed >> 8) / (float)(1 << 23) - 1.0f) * size;
    }
}

/* The functions that only some architectures need. */
static void expect_equal_families(const struct kernels *portable, const struct kernels *fast,
                                  const float *x, const float *y, int32_t width)
{
    static void (*const in_place[])(const struct kernels *, float *, int32_t) = {vector_gelu,
                                                                                 vector_gelu_erf};
    const size_t bytes = (size_t)width * sizeof *x;
    float a[WIDTH_MAX], b[WIDTH_MAX];
    vector_layer_norm(portable, a, x, y, x, width, 1e-5f);
    vector_layer_norm(fast, b, x, y, x, width, 1e-5f);
    assert_memory_equal(a, b, bytes);
    vector_add_scaled(portable, a, x, 0.3f, width);
    vector_add_scaled(fast, b, x, 0.3f, width);
    assert_memory_equal(a, b, bytes);
    vector_scale(portable, a, 1.7f, width);
    vector_scale(fast, b, 1.7f, width);
    assert_memory_equal(a, b, bytes);
    vector_soft_cap(portable, a, 5, width);
    vector_soft_cap(fast, b, 5, width);
    assert_memory_equal(a, b, bytes);
    vector_gelu_multiply(portable, a, y, width);
    vector_gelu_multiply(fast, b, y, width);
    assert_memory_equal(a, b, bytes);
    for (size_t i = 0; i < sizeof in_place / sizeof *in_place; i++) {
        memcpy(a, x, bytes);
        memcpy(b, x, bytes);
        in_place[i](portable, a, width);
        in_place[i](fast, b, width);
        assert_memory_equal(a, b, bytes);
    }
}

/* What the choice of a token is made of. */
static void expect_equal_odds(const struct kernels *portable, const struct kernels *fast,
                              const float *x, int32_t width)
{
    float a[WIDTH_MAX], b[WIDTH_MAX];
    int32_t c[WIDTH_MAX], d[WIDTH_MAX];
    const float most = vector_largest(portable, x, width);
    assert_true(most == vector_largest(fast, x, width));
    for (float factor = 0.1f; factor < 100; factor *= 5) {
        float sum = vector_weigh(portable, a, x, width, most, factor);
        assert_true(sum == vector_weigh(fast, b, x, width, most, factor));
        assert_memory_equal(a, b, (size_t)width * sizeof *a);
    }
    const int32_t hits = vector_find(portable, c, x, width, most - 20);
    assert_int_equal(hits, vector_find(fast, d, x, width, most - 20));
    assert_memory_equal(c, d, (size_t)hits * sizeof *c);
}

static void expect_equal_for_every_width(const struct kernels *portable, const struct kernels *fast)
{
    float x[WIDTH_MAX], y[WIDTH_MAX], a[WIDTH_MAX], b[WIDTH_MAX];
    for (int width = 1; width <= WIDTH_MAX; width += width < 70 ? 1 : 53) {
        size_t bytes = (size_t)width * sizeof *x;
        fill(x, width, 30, (uint32_t)width);
        fill(y, width, 2, (uint32_t)width + 1000);
        vector_rms_norm(portable, a, x, y, width, 1e-5f);
        vector_rms_norm(fast, b, x, y, width, 1e-5f);
        assert_memory_equal(a, b, bytes);
        memcpy(a, x, bytes);
        memcpy(b, x, bytes);
        vector_add(portable, a, y, width);
        vector_add(fast, b, y, width);
        assert_memory_equal(a, b, bytes);
        vector_silu_multiply(portable, a, y, width);
        vector_silu_multiply(fast, b, y, width);
        assert_memory_equal(a, b, bytes);
        expect_equal_families(portable, fast, x, y, width);
        assert_int_equal(vector_argmax(portable, a, width), vector_argmax(fast, a, width));
        expect_equal_odds(portable, fast, x, width);
    }
}

static void every_width_gives_the_same_bits_from_all_kernels(void **state)
{
    (void)state;
    for (const char *const *name = kernels_fast; *name; name++)
        if (kernels_named(*name))
            expect_equal_for_every_width(kernels_named("portable"), kernels_named(*name));
}

static void silu_is_within_3_ulp_and_flat_far_out(void **state)
{
    (void)state;
    const struct kernels *kernels = kernels_named(NULL);
    for (float x = -80; x < 80; x += 0.0137f) {
        float gate = x, up = 1;
        vector_silu_multiply(kernels, &gate, &up, 1);
        double expected = (double)x / (1 + exp(-(double)x));
        assert_true(fabs((double)gate - expected) <= fabs(expected) * 3 * 0x1p-23);
    }
    float gate[4] = {-1000, 1000, 0, NAN}, up[4] = {1, 1, 1, 1};
    vector_silu_multiply(kernels, gate, up, 4);
    assert_true(fabsf(gate[0]) < 1e-30f && gate[1] == 1000 && gate[2] == 0 && isnan(gate[3]));
}

/* Both forms within 1e-6 of x where they differ from 0, and within 1e-5 of their own size on the
 * left, where they shrink to it. */
static void gelu_agrees_with_double_arithmetic(void **state)
{
    (void)state;
    const struct kernels *kernels = kernels_named(NULL);
    for (float x = -9; x < 80; x += 0.0037f) {
        float tangent = x, exact = x, gate = x, up = -2;
        const double wide = (double)x;
        vector_gelu(kernels, &tangent, 1);
        vector_gelu_erf(kernels, &exact, 1);
        vector_gelu_multiply(kernels, &gate, &up, 1);
        double expected = wide / (1 + exp(-2 * sqrt(2 / M_PI) * (wide + 0.044715 * pow(wide, 3))));
        assert_true(fabs((double)tangent - expected) <= fabs(expected) * 1e-5);
        assert_true(gate == tangent * up);
        if (x > -2)
            assert_true(fabs((double)tangent - expected) <= fabs(wide) * 5e-7);
        expected = wide * erfc(-wide / sqrt(2)) / 2;
        assert_true(fabs((double)exact - expected) <= fabs(expected) * 1e-5);
        if (x > -2)
            assert_true(fabs((double)exact - expected) <= fabs(wide) * 5e-7);
    }
    float far[4] = {-1000, 1000, 0, NAN}, other[4] = {-1000, 1000, 0, NAN};
    vector_gelu(kernels, far, 4);
    vector_gelu_erf(kernels, other, 4);
    assert_true(fabsf(far[0]) < 1e-30f && far[1] == 1000 && far[2] == 0 && isnan(far[3]));
    assert_true(fabsf(other[0]) < 1e-30f && other[1] == 1000 && other[2] == 0 && isnan(other[3]));
}

static void soft_caps_are_within_4_ulp_of_the_tangent(void **state)
{
    (void)state;
    const struct kernels *kernels = kernels_named(NULL);
    for (float x = -300; x < 300; x += 0.0173f) {
        float value = x;
        vector_soft_cap(kernels, &value, 30, 1);
        double expected = 30 * tanh((double)x / 30);
        assert_true(fabs((double)value - expected) <= fabs(expected) * 4 * 0x1p-23);
    }
    float far[4] = {-1e30f, INFINITY, 1e-30f, NAN};
    vector_soft_cap(kernels, far, 50, 4);
    assert_true(far[0] == -50 && far[1] == 50 && isnan(far[3]));
    assert_float_equal(far[2] * 1e30f, 1, 1e-6);
}

static void layer_norm_agrees_with_double_arithmetic(void **state)
{
    (void)state;
    float x[577], weight[577], bias[577], out[577];
    double mean = 0, squares = 0;
    fill(x, 577, 3, 1);
    fill(weight, 577, 2, 2);
    fill(bias, 577, 1, 3);
    for (int i = 0; i < 577; i++) {
        x[i] += 7; /* far from the middle, as the residual streams of GPT-2 are */
        mean += (double)x[i] / 577;
    }
    for (int i = 0; i < 577; i++)
        squares += pow((double)x[i] - mean, 2) / 577;
    vector_layer_norm(kernels_named(NULL), out, x, weight, bias, 577, 1e-5f);
    for (int i = 0; i < 577; i++) {
        double expected = ((double)x[i] - mean) / sqrt(squares + 1e-5) * (double)weight[i];
        assert_true(fabs((double)out[i] - expected - (double)bias[i]) <= 4e-6);
    }
}

static void rms_norm_agrees_with_double_arithmetic(void **state)
{
    (void)state;
    float x[577], weight[577], out[577];
    double sum = 0;
    fill(x, 577, 3, 1);
    fill(weight, 577, 2, 2);
    for (int i = 0; i < 577; i++)
        sum += (double)x[i] * (double)x[i];
    vector_rms_norm(kernels_named(NULL), out, x, weight, 577, 1e-5f);
    for (int i = 0; i < 577; i++) {
        double expected = (double)x[i] / sqrt(sum / 577 + 1e-5) * (double)weight[i];
        assert_true(fabs((double)out[i] - expected) <= fabs(expected) * 1e-6);
    }
}

static void argmax_takes_the_first_of_equals_and_refuses_nan(void **state)
{
    (void)state;
    static const char *const names[] = {"portable", "", "avx512"};
    for (size_t k = 0; k < 3 && kernels_named(names[k]); k++) {
        const struct kernels *kernels = kernels_named(names[k]);
        float x[100];
        fill(x, 100, 1, 3);
        x[41] = x[57] = 2;
        assert_int_equal(vector_argmax(kernels, x, 100), 41);
        x[99] = 3;
        assert_int_equal(vector_argmax(kernels, x, 100), 99);
        x[7] = -INFINITY;
        assert_int_equal(vector_argmax(kernels, x, 100), 99);
        x[8] = INFINITY;
        assert_int_equal(vector_argmax(kernels, x, 100), 8);
        for (int i = 0; i < 100; i++) {
            float before = x[i];
            x[i] = NAN;
            assert_int_equal(vector_argmax(kernels, x, 100), -1);
            x[i] = before;
        }
        float none[3] = {-INFINITY, -INFINITY, -INFINITY}, zeros[2] = {-0.0f, 0.0f};
        assert_int_equal(vector_argmax(kernels, none, 3), -1);
        assert_int_equal(vector_argmax(kernels, zeros, 2), 0);
        assert_int_equal(vector_argmax(kernels, none, 0), -1);
    }
}

static void log_sum_exp_survives_large_values(void **state)
{
    (void)state;
    float x[3] = {1000, 1000, -1e30f};
    assert_float_equal(vector_log_sum_exp(x, 3), 1000 + log(2), 1e-9);
    float one[1] = {-5};
    assert_float_equal(vector_log_sum_exp(one, 1), -5, 1e-12);
}

static void rope_turns_pairs_and_keeps_their_length(void **state)
{
    (void)state;
    const double frequency[4] = {1, 0.1, 0.01, 0.001};
    float angles[8], head[10], turned[10];
    rope_angles(angles, 5, 4, frequency, 1);
    for (int i = 0; i < 4; i++) {
        double angle = 5 * frequency[i];
        assert_true(angles[2 * i] == (float)cos(angle) && angles[2 * i + 1] == (float)sin(angle));
    }
    for (int layout = 0; layout < 2; layout++) {
        fill(head, 10, 1, 4);
        memcpy(turned, head, sizeof head);
        rope_apply(turned, angles, 8, layout == 1);
        for (int i = 0; i < 4; i++) {
            int first = layout ? 2 * i : i, second = layout ? 2 * i + 1 : i + 4;
            float c = angles[2 * i], s = angles[2 * i + 1];
            assert_float_equal(turned[first], head[first] * c - head[second] * s, 1e-6);
            assert_float_equal(turned[second], head[first] * s + head[second] * c, 1e-6);
        }
        assert_memory_equal(turned + 8, head + 8, 2 * sizeof *head);
    }
    float longer[8];
    rope_angles(longer, 5, 4, frequency, 1.5f);
    assert_true(longer[2] == (float)(1.5 * cos(0.5)) && longer[3] == (float)(1.5 * sin(0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_gives_the_same_bits_from_all_kernels),
        cmocka_unit_test(silu_is_within_3_ulp_and_flat_far_out),
        cmocka_unit_test(gelu_agrees_with_double_arithmetic),
        cmocka_unit_test(soft_caps_are_within_4_ulp_of_the_tangent),
        cmocka_unit_test(layer_norm_agrees_with_double_arithmetic),
        cmocka_unit_test(rms_norm_agrees_with_double_arithmetic),
        cmocka_unit_test(argmax_takes_the_first_of_equals_and_refuses_nan),
        cmocka_unit_test(log_sum_exp_survives_large_values),
        cmocka_unit_test(rope_turns_pairs_and_keeps_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
