/* resident.c - see resident.h. */
#include "resident.h"

#include <inttypes.h>
#include <stdio.h>

struct resident resident_now(void)
{
    uint64_t all_kib = 0, anonymous_kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "Rss: %" SCNu64, &all_kib);
        sscanf(line, "Anonymous: %" SCNu64, &anonymous_kib);
    }
    if (file)
        fclose(file);
    if (all_kib < anonymous_kib)
        all_kib = anonymous_kib;
    return (struct resident){(all_kib - anonymous_kib) * 1024, anonymous_kib * 1024};
}
