/* kernel_names.h - what the implementations of math/kernels.h are called.
 *
 * Why:      the daemon holds no engine, but refuses a word that no engine knows before it mounts.
 * Threads:  any.
 */
#ifndef BASE_KERNEL_NAMES_H
#define BASE_KERNEL_NAMES_H

#include <stdbool.h>

/* Of every processor; ref is another name of portable. */
#define KERNEL_NAMES "portable, ref, avx2, avxvnni, avx512, neon, dotprod, i8mm"

/* Whether a name is one of them; math/dispatch.c knows whether this machine can run it. */
bool kernel_names_have(const char *name);

#endif
