/* multiply.h - products with a matrix of any type; included by each implementation that has its own
 * multiply_type().  There is a function for each type, so that the compiler knows the type in it.
 */
#ifndef MATH_MULTIPLY_H
#define MATH_MULTIPLY_H

#include "math/float_columns.h"
#include "math/table.h"

/* A product in progress. */
struct product {
    const struct matrix *matrix;
    const struct activations *activations;
    float *y;
    size_t y_stride;
    int32_t row_begin, row_end;
};

/* The implementation's: a product with quantised weights, inlined wherever it is called. */
static inline __attribute__((always_inline)) void multiply_type(enum tensor_type type,
                                                                const struct product *product);

static void multiply_q4_0(const struct product *product)
{
    multiply_type(TENSOR_Q4_0, product);
}

static void multiply_q4_1(const struct product *product)
{
    multiply_type(TENSOR_Q4_1, product);
}

static void multiply_q5_0(const struct product *product)
{
    multiply_type(TENSOR_Q5_0, product);
}

static void multiply_q5_1(const struct product *product)
{
    multiply_type(TENSOR_Q5_1, product);
}

static void multiply_q8_0(const struct product *product)
{
    multiply_type(TENSOR_Q8_0, product);
}

static void multiply_iq4_nl(const struct product *product)
{
    multiply_type(TENSOR_IQ4_NL, product);
}

static void multiply_mxfp4(const struct product *product)
{
    multiply_type(TENSOR_MXFP4, product);
}

static void multiply_q2_k(const struct product *product)
{
    multiply_type(TENSOR_Q2_K, product);
}

static void multiply_q3_k(const struct product *product)
{
    multiply_type(TENSOR_Q3_K, product);
}

static void multiply_q4_k(const struct product *product)
{
    multiply_type(TENSOR_Q4_K, product);
}

static void multiply_q5_k(const struct product *product)
{
    multiply_type(TENSOR_Q5_K, product);
}

static void multiply_q6_k(const struct product *product)
{
    multiply_type(TENSOR_Q6_K, product);
}

static void multiply_q8_k(const struct product *product)
{
    multiply_type(TENSOR_Q8_K, product);
}

static void multiply_iq4_xs(const struct product *product)
{
    multiply_type(TENSOR_IQ4_XS, product);
}

static void multiply_tq1_0(const struct product *product)
{
    multiply_type(TENSOR_TQ1_0, product);
}

static void multiply_tq2_0(const struct product *product)
{
    multiply_type(TENSOR_TQ2_0, product);
}

static void (*const multiply_by_type[TENSOR_TYPES])(const struct product *product) = {
    [TENSOR_Q4_0] = multiply_q4_0,   [TENSOR_Q4_1] = multiply_q4_1,
    [TENSOR_Q5_0] = multiply_q5_0,   [TENSOR_Q5_1] = multiply_q5_1,
    [TENSOR_Q8_0] = multiply_q8_0,   [TENSOR_IQ4_NL] = multiply_iq4_nl,
    [TENSOR_MXFP4] = multiply_mxfp4, [TENSOR_Q2_K] = multiply_q2_k,
    [TENSOR_Q3_K] = multiply_q3_k,   [TENSOR_Q4_K] = multiply_q4_k,
    [TENSOR_Q5_K] = multiply_q5_k,   [TENSOR_Q6_K] = multiply_q6_k,
    [TENSOR_Q8_K] = multiply_q8_k,   [TENSOR_IQ4_XS] = multiply_iq4_xs,
    [TENSOR_TQ1_0] = multiply_tq1_0, [TENSOR_TQ2_0] = multiply_tq2_0,
};

static void multiply(const struct matrix *matrix, const struct activations *activations, float *y,
                     size_t y_stride, int32_t row_begin, int32_t row_end)
{
    const struct product product = {matrix, activations, y, y_stride, row_begin, row_end};
    if (quant_is_block_type(matrix->type))
        multiply_by_type[matrix->type](&product);
    else if (matrix->transposed)
        multiply_columns(matrix, activations, y, y_stride, row_begin, row_end);
    else
        multiply_floats(matrix, activations, y, y_stride, row_begin, row_end);
}

#endif
