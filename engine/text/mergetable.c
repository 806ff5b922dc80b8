/* mergetable.c - see mergetable.h.
 *
 * Open addressing with linear probing, 16 bytes a slot.  Building it is most of the time that a
 * tokenizer takes to open, and cache misses are most of that: merges are added in batches. */
#include "text/mergetable.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

struct slot {
    int32_t left, right;
    int32_t rank_plus_one; /* 0: free */
    int32_t whole;
};

struct mergetable {
    struct slot *slots;
    unsigned shift; /* 64 - log2(slot count); a third of the slots stays free */
    uint64_t seed;  /* random: no model file can be made to collide */
};

enum { BATCH = WORDTABLE_BATCH_MAX / 2 };

/* Merges that are added together, so that their cache misses overlap. */
struct batch {
    int32_t first, count;
    struct text parts[2 * BATCH]; /* left, right, left, right ... */
    struct text wholes[BATCH];    /* one after the other in `joined` */
    int32_t part_ids[2 * BATCH], whole_ids[BATCH];
    char joined[BATCH * (VOCABULARY_TOKEN_BYTES_MAX + 1)];
};

static size_t slot_index(const struct mergetable *table, int32_t left, int32_t right)
{
    uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) ^ table->seed;
    key *= 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio, odd: the top bits depend on all below */
    key ^= key >> 32;
    return (size_t)(key * 0x9E3779B97F4A7C15u >> table->shift);
}

/* The slot of the pair, or the free slot where it would go. */
static struct slot *slot_of(const struct mergetable *table, int32_t left, int32_t right)
{
    size_t mask = ((size_t)1 << (64 - table->shift)) - 1;
    for (size_t at = slot_index(table, left, right);; at = (at + 1) & mask) {
        struct slot *slot = &table->slots[at];
        if (slot->rank_plus_one == 0 || (slot->left == left && slot->right == right))
            return slot;
    }
}

/* The parts are separated by the first space that is not their first byte. */
static bool split_merge(struct text merge, struct text parts[2])
{
    if (merge.length < 3)
        return false;
    const char *space = memchr(merge.bytes + 1, ' ', merge.length - 2);
    if (!space)
        return false;
    size_t left = (size_t)(space - merge.bytes);
    parts[0] = (struct text){merge.bytes, left};
    parts[1] = (struct text){space + 1, merge.length - left - 1};
    return true;
}

/* Left and right as one string; one that is longer than any token is cut to a length that none has.
 */
static struct text join(const struct text parts[2], char *out)
{
    size_t length = parts[0].length + parts[1].length;
    if (length > VOCABULARY_TOKEN_BYTES_MAX)
        return (struct text){out, VOCABULARY_TOKEN_BYTES_MAX + 1};
    memcpy(out, parts[0].bytes, parts[0].length);
    memcpy(out + parts[0].length, parts[1].bytes, parts[1].length);
    return (struct text){out, length};
}

static int read_batch(struct batch *batch, const struct vocabulary *vocabulary,
                      const struct wordtable *words, struct error *error)
{
    char *joined = batch->joined;
    for (int32_t i = 0; i < batch->count; i++) {
        struct text merge = vocabulary->merges[batch->first + i];
        if (!split_merge(merge, &batch->parts[2 * i]))
            return error_set(error, ENOEXEC, "merge %d is not two strings: \"%.*s\"",
                             batch->first + i, TEXT_ARGUMENTS(merge));
        batch->wholes[i] = join(&batch->parts[2 * i], joined);
        joined += batch->wholes[i].length;
    }
    wordtable_find_batch(words, batch->parts, 2 * (size_t)batch->count, batch->part_ids);
    wordtable_find_batch(words, batch->wholes, (size_t)batch->count, batch->whole_ids);
    return 0;
}

static void add_batch(struct mergetable *table, const struct batch *batch)
{
    const int32_t *ids = batch->part_ids;
    for (int32_t i = 0; i < batch->count; i++)
        __builtin_prefetch(&table->slots[slot_index(table, ids[2 * i], ids[2 * i + 1])], 1);
    for (int32_t i = 0; i < batch->count; i++) {
        int32_t left = ids[2 * i], right = ids[2 * i + 1], whole = batch->whole_ids[i];
        if (left == VOCABULARY_NONE || right == VOCABULARY_NONE || whole == VOCABULARY_NONE)
            continue;
        struct slot *slot = slot_of(table, left, right);
        if (slot->rank_plus_one == 0)
            *slot = (struct slot){left, right, batch->first + i + 1, whole};
    }
}

static int fill(struct mergetable *table, const struct vocabulary *vocabulary,
                const struct wordtable *words, struct batch *batch, struct error *error)
{
    for (batch->first = 0; batch->first < vocabulary->merge_count; batch->first += BATCH) {
        int32_t left = vocabulary->merge_count - batch->first;
        batch->count = left < BATCH ? left : BATCH;
        int status = read_batch(batch, vocabulary, words, error);
        if (status)
            return status;
        add_batch(table, batch);
    }
    return 0;
}

int mergetable_open(const struct vocabulary *vocabulary, const struct wordtable *words,
                    struct mergetable **out, struct error *error)
{
    unsigned bits = 4;
    while (((size_t)1 << bits) / 3 * 2 < (size_t)vocabulary->merge_count)
        bits++;
    struct mergetable *table = memory_try(1, sizeof *table);
    struct slot *slots = memory_try((size_t)1 << bits, sizeof *slots);
    struct batch *batch = memory_try(1, sizeof *batch);
    int status = 0;
    *out = NULL;
    if (table && slots && batch) {
        *table = (struct mergetable){slots, 64 - bits, (uintptr_t)slots};
        if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) < 0)
            table->seed ^= (uintptr_t)table; /* early boot: addresses are random too */
        status = fill(table, vocabulary, words, batch, error);
    } else {
        status = error_set(error, ENOMEM, "no memory for %d merges", vocabulary->merge_count);
    }
    free(batch);
    if (status) {
        free(slots);
        free(table);
        return status;
    }
    *out = table;
    return 0;
}

void mergetable_close(struct mergetable *table)
{
    if (!table)
        return;
    free(table->slots);
    free(table);
}

struct merge mergetable_find(const struct mergetable *table, int32_t left, int32_t right)
{
    const struct slot *slot = slot_of(table, left, right);
    if (slot->rank_plus_one == 0)
        return (struct merge){MERGE_NEVER, VOCABULARY_NONE};
    return (struct merge){slot->rank_plus_one - 1, slot->whole};
}
