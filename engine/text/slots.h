/* slots.h - the memory of a hash table with open addressing: 64-bit slots, 0 is free.
 *
 * A table is nothing but numbers, so it can lie in a file as it is and be used from there.
 *
 * Owns:     `memory`, where it is not NULL; otherwise somebody else's bytes are viewed.
 * Promise:  a search that looks at `probes_max` slots from where its key belongs has seen all that
 *           may hold it, whatever the slots contain.
 * Threads:  read-only after filling, any thread.
 */
#ifndef TEXT_SLOTS_H
#define TEXT_SLOTS_H

#include <stddef.h>
#include <stdint.h>

enum { SLOTS_BITS_MIN = 4, SLOTS_BITS_MAX = 23 };

struct slots {
    const uint64_t *items; /* [1 << bits] */
    uint32_t bits;
    uint32_t probes_max; /* the farthest that a key was put from where it belongs, plus 1 */
    uint64_t seed;       /* random: no model file can be made to collide */
    uint64_t *memory;
};

/* Free slots for `count` keys, a third more at least, and a seed.  Returns 0 or -ENOMEM. */
int slots_open(size_t count, struct slots *out);
void slots_close(struct slots *slots);

/* What a table of 1 << bits slots takes; 0 bits: no table. */
static inline size_t slots_bytes(uint32_t bits)
{
    return bits ? sizeof(uint64_t) << bits : 0;
}

static inline size_t slots_mask(const struct slots *slots)
{
    return ((size_t)1 << slots->bits) - 1;
}

#endif
