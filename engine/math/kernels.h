/* kernels.h - the instruction-set dependent loops, chosen once at run time.
 *
 * Promise:  every implementation gives the same bits as the portable one, for every format, shape
 *           and number of vectors: each output is produced in one lane by one fixed order of
 *           operations, so a result depends neither on the batch, the chunking nor the threads.
 * Threads:  constant tables; any thread.
 * Source:   docs/KERNELS.md holds the canonical arithmetic.
 */
#ifndef MATH_KERNELS_H
#define MATH_KERNELS_H

#include "base/error.h"

struct kernels; /* a table of functions, private to math/ */

/* The best implementation for this CPU (CPUID and XCR0, or what Linux says of an ARM), or the one
 * that `name` forces (one of base/kernel_names.h; NULL or "" chooses).  Returns 0, or -EINVAL naming
 * one that is unknown or that this machine can't run. */
int kernels_choose(const char *name, const struct kernels **out, struct error *error);
const char *kernels_name(const struct kernels *kernels);

#endif
