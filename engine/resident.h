/* resident.h - the memory that this process holds now.
 *
 * Source:   /proc/self/smaps_rollup, see proc(5); Linux 4.14 or newer.
 * Threads:  any.
 */
#ifndef RESIDENT_H
#define RESIDENT_H

#include <stdint.h>

struct resident {
    uint64_t file_bytes;      /* mapped files: weights, programs, libraries */
    uint64_t anonymous_bytes; /* heap, stacks, buffers */
};

/* All zeros where the kernel does not tell. */
struct resident resident_now(void);

#endif
