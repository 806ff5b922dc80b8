/* kernels_named.h - every implementation of the kernels that can be tested on this machine.
 *
 * Those that the processor cannot run are there all the same where tests/meson.build could compile
 * them with emulated instructions: the same source, only slower.
 */
#ifndef LIB_KERNELS_NAMED_H
#define LIB_KERNELS_NAMED_H

#include "math/kernels.h"

/* The implementation of that name, emulated if need be; NULL where there is neither. */
const struct kernels *kernels_named(const char *name);

/* The names of all but the portable one, ended by NULL. */
extern const char *const kernels_fast[];

#endif
