/* blas.c - see blas.h. */
#include "math/blas.h"

#include "base/cpu.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Values of the C interface to BLAS. */
enum { ROW_MAJOR = 101, AS_IS = 111, TRANSPOSED = 112 };

typedef void sgemm_function(int order, int a_is, int b_is, int m, int n, int k, float scale,
                            const float *a, int a_stride, const float *b, int b_stride, float keep,
                            float *c, int c_stride);

struct blas {
    sgemm_function *sgemm;
};

/* Both names: the first is the library's own, the second what distributions let one choose. */
static void *load(void)
{
    const char *kind = cpu_openblas_coretype();
    if (kind)
        setenv("OPENBLAS_CORETYPE", kind, 0);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    return library ? library : dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
}

int blas_open(struct blas **out, struct error *error)
{
    void *library = load();
    void *symbol = library ? dlsym(library, "cblas_sgemm") : NULL;
    if (!symbol)
        return error_set(error, ENOEXEC,
                         "embeddings need the library OpenBLAS (libopenblas.so.0; Debian's package "
                         "is libopenblas0)");
    struct blas *blas = memory_try(1, sizeof *blas);
    if (!blas)
        return error_set(error, ENOMEM, "no memory for OpenBLAS");
    memcpy(&blas->sgemm, &symbol, sizeof symbol); /* a function's address, as POSIX has it */
    *out = blas;
    return 0;
}

void blas_close(struct blas *blas)
{
    free(blas);
}

void blas_multiply(const struct blas *blas, const struct blas_product *product)
{
    blas->sgemm(ROW_MAJOR, AS_IS, product->transposed ? TRANSPOSED : AS_IS, product->m, product->n,
                product->k, product->scale, product->a, product->a_stride, product->b,
                product->b_stride, product->adds, product->c, product->c_stride);
}
