/* slots.c - see slots.h. */
#include "text/slots.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

int slots_open(size_t count, struct slots *out)
{
    uint32_t bits = SLOTS_BITS_MIN;
    while (((size_t)1 << bits) / 3 * 2 < count)
        bits++;
    uint64_t *memory = memory_try_huge((size_t)1 << bits, sizeof *memory);
    *out = (struct slots){memory, bits, 0, (uintptr_t)memory, memory};
    if (!memory)
        return -ENOMEM;
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed)
        out->seed = seed; /* at early boot: addresses are random too */
    return 0;
}

void slots_close(struct slots *slots)
{
    free(slots->memory);
    *slots = (struct slots){0};
}
