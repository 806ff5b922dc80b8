/* grammar_class.c - a set of characters as a network of bytes.
 *
 * A range of code points is cut until each part is a range in every byte of its UTF-8 form.  Parts
 * that end in bytes of any value share them, so the complement of a character has 18 nodes.
 * Source: The Unicode Standard 15.0, table 3-7. */
#include "generate/grammar_build.h"

#include <stdlib.h>

enum { UTF8_BYTES_MAX = 4, SURROGATE_FIRST = 0xd800, SURROGATE_LAST = 0xdfff };

/* A class in the making: the ways in so far, and what its parts share. */
struct class_network {
    struct grammar_builder *builder;
    int32_t entry;                 /* 0: none yet */
    int32_t exit;                  /* a JUMP */
    int32_t tails[UTF8_BYTES_MAX]; /* [n]: n continuation bytes of any value, then exit */
};

static int compare_ranges(const void *a, const void *b)
{
    const struct code_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

size_t grammar_merge_ranges(struct code_range *ranges, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < count; i++)
        if (kept && ranges[i].first <= ranges[kept - 1].last + 1) {
            if (ranges[i].last > ranges[kept - 1].last)
                ranges[kept - 1].last = ranges[i].last;
        } else {
            ranges[kept++] = ranges[i];
        }
    return kept;
}

size_t grammar_invert_ranges(const struct code_range *ranges, size_t count, struct code_range *out)
{
    size_t made = 0;
    uint32_t next = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].first > next)
            out[made++] = (struct code_range){next, ranges[i].first - 1};
        next = ranges[i].last + 1;
    }
    if (next <= CODE_POINT_MAX)
        out[made++] = (struct code_range){next, CODE_POINT_MAX};
    return made;
}

static size_t encode(uint32_t code, uint8_t out[UTF8_BYTES_MAX])
{
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(leads[length] | code);
    return length;
}

static int32_t add_bytes(struct class_network *network, uint8_t low, uint8_t high, int32_t next)
{
    int32_t node = grammar_node(network->builder, GRAMMAR_BYTES, next, 0);
    if (!network->builder->status) {
        network->builder->nodes[node].low = low;
        network->builder->nodes[node].high = high;
    }
    return node;
}

static int32_t tail(struct class_network *network, size_t length)
{
    for (size_t i = 1; i <= length; i++)
        if (!network->tails[i])
            network->tails[i] = add_bytes(network, 0x80, 0xbf, network->tails[i - 1]);
    return network->tails[length];
}

/* A part whose UTF-8 form is a range in every byte. */
static void add_part(struct class_network *network, uint32_t first, uint32_t last)
{
    uint8_t low[UTF8_BYTES_MAX], high[UTF8_BYTES_MAX];
    size_t length = encode(first, low), shared = 0;
    encode(last, high);
    while (shared + 1 < length && low[length - 1 - shared] == 0x80 &&
           high[length - 1 - shared] == 0xbf)
        shared++;
    int32_t node = tail(network, shared);
    for (size_t i = length - shared; i-- > 0;)
        node = add_bytes(network, low[i], high[i], node);
    network->entry =
        network->entry ? grammar_node(network->builder, GRAMMAR_SPLIT, node, network->entry) : node;
}

/* The longest part from `first` that ends at or before `last`. */
static uint32_t part_end(uint32_t first, uint32_t last)
{
    static const uint32_t lengths_end[] = {0x7f, 0x7ff, 0xffff, CODE_POINT_MAX};
    for (size_t i = 0; i < sizeof lengths_end / sizeof *lengths_end; i++)
        if (first <= lengths_end[i]) {
            last = last < lengths_end[i] ? last : lengths_end[i];
            break;
        }
    if (last < 0x80)
        return last;
    /* From the last byte up: where bytes below a differing one are not all their values, cut. */
    for (uint32_t mask = 0x3f; mask < CODE_POINT_MAX; mask = mask << 6 | 0x3f) {
        if ((first & ~mask) == (last & ~mask))
            break;
        if ((first & mask) != 0)
            return first | mask;
        if ((last & mask) != mask)
            last = (last & ~mask) - 1;
    }
    return last;
}

static void add_range(struct class_network *network, uint32_t first, uint32_t last)
{
    while (first <= last && !network->builder->status) {
        uint32_t end = part_end(first, last);
        add_part(network, first, end);
        first = end + 1;
    }
}

struct fragment grammar_class(struct grammar_builder *builder, struct code_range *ranges,
                              size_t count)
{
    struct class_network network = {.builder = builder};
    network.exit = network.tails[0] = grammar_node(builder, GRAMMAR_JUMP, 0, 0);
    count = grammar_merge_ranges(ranges, count);
    for (size_t i = 0; i < count && !builder->status; i++) {
        struct code_range range = ranges[i];
        if (range.first < SURROGATE_FIRST)
            add_range(&network, range.first,
                      range.last < SURROGATE_FIRST ? range.last : SURROGATE_FIRST - 1);
        if (range.last > SURROGATE_LAST)
            add_range(&network, range.first > SURROGATE_LAST ? range.first : SURROGATE_LAST + 1,
                      range.last);
    }
    return (struct fragment){network.entry, network.exit}; /* entry 0 fails */
}
