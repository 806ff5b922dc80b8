/* dispatch.c - which implementation runs, see kernels.h.
 *
 * Asks the processor and the operating system what they can do, never which model they are: a
 * virtual machine may hide either.
 */
#include "math/table.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

enum { KERNELS_MAX = 4 };

#ifdef __x86_64__
/* The compiler's run-time support reads CPUID, and XCR0 for the registers; F16C needs no registers
 * beyond AVX's, and not every compiler knows its name. */
static bool has_avx2(void)
{
    unsigned eax, ebx, ecx = 0, edx;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
#endif

/* Those that this machine can run, the best one first; returns how many. */
static int usable(const struct kernels **out)
{
    int count = 0;
#ifdef __x86_64__
    if (has_avx2())
        out[count++] = &kernels_avx2;
#endif
    out[count++] = &kernels_portable;
    return count;
}

int kernels_choose(const char *name, const struct kernels **out, struct error *error)
{
    const struct kernels *list[KERNELS_MAX];
    int count = usable(list);
    for (int i = 0; i < count; i++)
        if (!name || !*name || strcmp(name, list[i]->name) == 0) {
            *out = list[i];
            return 0;
        }
    *out = NULL;
    return error_set(error, EINVAL, "kernels \"%s\" are unknown or cannot run on this machine",
                     name);
}

const char *kernels_name(const struct kernels *kernels)
{
    return kernels->name;
}
