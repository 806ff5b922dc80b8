/* kernels_named.c - see kernels_named.h. */
#include "tests/lib/kernels_named.h"

#include <stddef.h>
#include <string.h>

const char *const kernels_fast[] = {"avx2", "avxvnni", "avx512", NULL};

#ifdef HAVE_EMULATION
extern const struct kernels kernels_avx512_emulated, kernels_avxvnni_emulated;

static const struct kernels *emulated(const char *name)
{
    const struct kernels *avx2;
    if (kernels_choose("avx2", &avx2, NULL)) /* what the emulation is compiled for */
        return NULL;
    return strcmp(name, "avx512") == 0    ? &kernels_avx512_emulated
           : strcmp(name, "avxvnni") == 0 ? &kernels_avxvnni_emulated
                                          : NULL;
}
#else
static const struct kernels *emulated(const char *name)
{
    (void)name;
    return NULL;
}
#endif

const struct kernels *kernels_named(const char *name)
{
    const struct kernels *kernels;
    return kernels_choose(name, &kernels, NULL) == 0 ? kernels : emulated(name);
}
