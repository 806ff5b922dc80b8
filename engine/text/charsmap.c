/* charsmap.c - see charsmap.h. */
#include "text/charsmap.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { SIZE_BYTES = 4, UNIT_BYTES = 4 };

#define LABEL_MASK 0x800000FFu /* bit 31: a unit that holds a value has no label */
#define VALUE_MASK 0x7FFFFFFFu
#define ENDS_BIT   (1u << 8)
#define FAR_BIT    (1u << 9)
#define NO_UNIT    0xFFFFFFFFu /* matches no byte, and its value is past any pool */

/* File bytes have no alignment. */
static uint32_t u32_at(const char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

int charsmap_check(struct text map, struct error *error)
{
    size_t trie_bytes = map.length < SIZE_BYTES ? 0 : u32_at(map.bytes);
    if (trie_bytes == 0 || trie_bytes % UNIT_BYTES != 0 || trie_bytes >= map.length - SIZE_BYTES)
        return error_set(error, ENOEXEC,
                         "a precompiled character map of %zu bytes has a trie of %zu bytes",
                         map.length, trie_bytes);
    return 0;
}

/* The unit at an index, NO_UNIT outside the trie. */
static uint32_t unit_at(struct text units, size_t index)
{
    return index < units.length / UNIT_BYTES ? u32_at(units.bytes + index * UNIT_BYTES) : NO_UNIT;
}

static size_t children_of(size_t index, uint32_t unit)
{
    return index ^ (size_t)(unit >> 10) << (unit & FAR_BIT ? 8 : 0);
}

size_t charsmap_find(struct text map, struct text text, struct text *to)
{
    struct text units = {map.bytes + SIZE_BYTES, u32_at(map.bytes)};
    struct text pool = {units.bytes + units.length, map.length - SIZE_BYTES - units.length};
    size_t longest = 0, longest_offset = 0, index = children_of(0, unit_at(units, 0));
    size_t end = text.length < CHARSMAP_PREFIX_BYTES_MAX ? text.length : CHARSMAP_PREFIX_BYTES_MAX;
    for (size_t i = 0; i < end && text.bytes[i]; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        index ^= byte;
        uint32_t unit = unit_at(units, index);
        if ((unit & LABEL_MASK) != byte)
            break;
        index = children_of(index, unit);
        size_t offset = unit_at(units, index) & VALUE_MASK;
        if (unit & ENDS_BIT && offset < pool.length) {
            longest = i + 1;
            longest_offset = offset;
        }
    }
    if (longest) { /* only now: a hostile pool may be one string without end */
        to->bytes = pool.bytes + longest_offset;
        to->length = strnlen(to->bytes, pool.length - longest_offset);
    }
    return longest;
}
