/* blas.h - OpenBLAS, for float products with many columns.
 *
 * The library is loaded when the first model that needs it opens, and not with the program: it
 * takes milliseconds and tens of megabytes that a model which only generates never uses, and it
 * reads its settings when it is loaded, so they can still be made here.
 *
 * Promise:  one thread a call, so that each thread of a team may call it at the same time; kernels
 *           that suit this processor, unless OPENBLAS_CORETYPE says otherwise.
 * Threads:  blas_open() by one thread before others start; products by any.
 */
#ifndef MATH_BLAS_H
#define MATH_BLAS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct blas;

/* Returns 0, or -ENOEXEC when the library is not there: the text says what to install; -ENOMEM. */
int blas_open(struct blas **out, struct error *error);
void blas_close(struct blas *blas); /* the library stays loaded */

/* C[m][n] = scale * A[m][k] B, or C += that with `adds`; B is [n][k] if `transposed`, else [k][n].
 * The strides are floats from one row to the next. */
struct blas_product {
    int32_t m, n, k;
    float scale;
    const float *a;
    int32_t a_stride;
    const float *b;
    int32_t b_stride;
    bool transposed;
    float *c;
    int32_t c_stride;
    bool adds;
};

void blas_multiply(const struct blas *blas, const struct blas_product *product);

#endif
