/* dispatch.c - which implementation runs, see kernels.h.
 *
 * Asks the processor and the operating system what they can do, never which model they are: a
 * virtual machine may hide either.
 */
#include "base/kernel_names.h"
#include "math/table.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
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

/* CPUID's leaf 7, part 1: not every compiler knows this name either. */
static bool has_avxvnni(void)
{
    unsigned parts, eax, ebx, ecx, edx;
    return has_avx2() && __get_cpuid_count(7, 0, &parts, &ebx, &ecx, &edx) && parts >= 1 &&
           __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

#ifdef __aarch64__
static bool has_dotprod(void)
{
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
}

static bool has_i8mm(void)
{
    return has_dotprod() && getauxval(AT_HWCAP2) & HWCAP2_I8MM;
}
#endif

/* Those that this machine can run, the best one first; returns how many. */
static int usable(const struct kernels **out)
{
    int count = 0;
#ifdef __x86_64__
    if (has_avx512())
        out[count++] = &kernels_avx512;
    if (has_avxvnni())
        out[count++] = &kernels_avxvnni;
    if (has_avx2())
        out[count++] = &kernels_avx2;
#endif
#ifdef __aarch64__
    if (has_i8mm())
        out[count++] = &kernels_i8mm;
    if (has_dotprod())
        out[count++] = &kernels_dotprod;
    out[count++] = &kernels_neon;
#endif
    out[count++] = &kernels_portable;
    return count;
}

int kernels_choose(const char *name, const struct kernels **out, struct error *error)
{
    const struct kernels *list[KERNELS_MAX];
    int count = usable(list);
    if (name && strcmp(name, "ref") == 0)
        name = kernels_portable.name;
    for (int i = 0; i < count; i++)
        if (!name || !*name || strcmp(name, list[i]->name) == 0) {
            *out = list[i];
            return 0;
        }
    *out = NULL;
    if (kernel_names_have(name))
        return error_set(error, EINVAL, "this machine cannot run the kernels \"%s\"", name);
    return error_set(error, EINVAL, "kernels \"%s\" are unknown; there are " KERNEL_NAMES, name);
}

const char *kernels_name(const struct kernels *kernels)
{
    return kernels->name;
}
