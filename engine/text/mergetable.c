/* mergetable.c - see mergetable.h.
 *
 * Open addressing with linear probing, 8 bytes a slot.  Building it is most of the time that a
 * tokenizer takes to open, and cache misses are most of that: merges are added in batches.  The
 * token that a merge gives need not be looked up, mostly: vocabularies number them in the order of
 * the merges, so it is the one after the last merge's. */
#include "text/mergetable.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { ID_BITS = 20, RANK_BITS = 23, BATCH = WORDTABLE_BATCH_MAX / 2 };
static_assert(VOCABULARY_TOKENS_MAX <= 1 << ID_BITS, "two ids and a rank are one slot");
static_assert(VOCABULARY_MERGES_MAX < 1 << RANK_BITS, "two ids and a rank are one slot");

/* Merges that are added together, so that their cache misses overlap. */
struct batch {
    int32_t first, count;
    struct text parts[2 * BATCH]; /* left, right, left, right ... */
    int32_t part_ids[2 * BATCH], whole_ids[BATCH];
    int32_t whole_last; /* of the merge before */
    char joined[VOCABULARY_TOKEN_BYTES_MAX];
};

static uint64_t key_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << ID_BITS | (uint32_t)right;
}

static size_t slot_index(const struct slots *slots, uint64_t key)
{
    key ^= slots->seed;
    key *= 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio, odd: the top bits depend on all below */
    key ^= key >> 32;
    return (size_t)(key * 0x9E3779B97F4A7C15u >> (64 - slots->bits));
}

/* The parts are separated by the first space that is not their first byte. */
static bool split_merge(struct text merge, struct text parts[2])
{
    for (size_t left = 1; left + 1 < merge.length; left++) {
        if (merge.bytes[left] == ' ') {
            parts[0] = (struct text){merge.bytes, left};
            parts[1] = (struct text){merge.bytes + left + 1, merge.length - left - 1};
            return true;
        }
    }
    return false;
}

static bool is_joined(struct text token, const struct text parts[2])
{
    return token.length == parts[0].length + parts[1].length &&
           memcmp(token.bytes, parts[0].bytes, parts[0].length) == 0 &&
           memcmp(token.bytes + parts[0].length, parts[1].bytes, parts[1].length) == 0;
}

static int32_t find_whole(struct batch *batch, const struct wordtable *words,
                          const struct text parts[2])
{
    const struct vocabulary *vocabulary = words->vocabulary;
    int32_t guess = batch->whole_last + 1;
    if (!words->has_duplicates && guess < vocabulary->token_count &&
        vocabulary->kinds[guess] == TOKEN_NORMAL &&
        is_joined(vocabulary_token(vocabulary, guess), parts))
        return guess;
    size_t length = parts[0].length + parts[1].length;
    if (length > sizeof batch->joined)
        return VOCABULARY_NONE;
    memcpy(batch->joined, parts[0].bytes, parts[0].length);
    memcpy(batch->joined + parts[0].length, parts[1].bytes, parts[1].length);
    return wordtable_find(words, (struct text){batch->joined, length});
}

static int read_batch(struct batch *batch, const struct vocabulary *vocabulary,
                      const struct wordtable *words, struct error *error)
{
    for (int32_t i = 0; i < batch->count; i++) {
        struct text merge = vocabulary->merges[batch->first + i];
        struct text *parts = &batch->parts[2 * i];
        if (!split_merge(merge, parts))
            return error_set(error, ENOEXEC, "merge %d is not two strings: \"%.*s\"",
                             batch->first + i, TEXT_ARGUMENTS(merge));
        batch->whole_ids[i] = find_whole(batch, words, parts);
        if (batch->whole_ids[i] != VOCABULARY_NONE)
            batch->whole_last = batch->whole_ids[i];
    }
    wordtable_find_batch(words, batch->parts, 2 * (size_t)batch->count, batch->part_ids);
    return 0;
}

/* The first of equal merges stays. */
static void put(struct slots *slots, uint64_t key, int32_t rank)
{
    size_t mask = slots_mask(slots), at = slot_index(slots, key);
    uint32_t probes = 1;
    for (; slots->memory[at]; at = (at + 1) & mask, probes++)
        if (slots->memory[at] >> RANK_BITS == key)
            return;
    slots->memory[at] = key << RANK_BITS | (uint64_t)(rank + 1);
    if (probes > slots->probes_max)
        slots->probes_max = probes;
}

static void add_batch(struct mergetable *table, const struct batch *batch)
{
    const int32_t *ids = batch->part_ids;
    for (int32_t i = 0; i < batch->count; i++) {
        uint64_t key = key_of(ids[2 * i], ids[2 * i + 1]);
        __builtin_prefetch(&table->slots.memory[slot_index(&table->slots, key)], 1);
    }
    for (int32_t i = 0; i < batch->count; i++) {
        int32_t left = ids[2 * i], right = ids[2 * i + 1], whole = batch->whole_ids[i];
        if (left == VOCABULARY_NONE || right == VOCABULARY_NONE || whole == VOCABULARY_NONE)
            continue;
        table->memory[batch->first + i] = (uint32_t)whole;
        put(&table->slots, key_of(left, right), batch->first + i);
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
                    struct mergetable *out, struct error *error)
{
    size_t count = (size_t)vocabulary->merge_count;
    struct batch *batch = memory_try(1, sizeof *batch);
    *out = (struct mergetable){.token_count = vocabulary->token_count,
                               .merge_count = vocabulary->merge_count};
    out->whole = out->memory = memory_try(count, sizeof *out->memory);
    int status = !batch || !out->memory ? -ENOMEM : slots_open(count, &out->slots);
    if (status)
        status = error_set(error, ENOMEM, "no memory for %d merges", vocabulary->merge_count);
    else
        status = fill(out, vocabulary, words, batch, error);
    free(batch);
    if (status)
        mergetable_close(out);
    return status;
}

void mergetable_close(struct mergetable *table)
{
    slots_close(&table->slots);
    free(table->memory);
    *table = (struct mergetable){0};
}

int32_t mergetable_rank(const struct mergetable *table, int32_t left, int32_t right)
{
    const struct slots *slots = &table->slots;
    if (left < 0 || right < 0)
        return MERGE_NEVER;
    uint64_t key = key_of(left, right);
    size_t mask = slots_mask(slots), at = slot_index(slots, key);
    for (uint32_t probe = 0; probe < slots->probes_max; probe++, at = (at + 1) & mask) {
        uint64_t slot = slots->items[at];
        if (slot == 0)
            break;
        if (slot >> RANK_BITS == key) {
            uint32_t rank = (uint32_t)(slot & ((1 << RANK_BITS) - 1)) - 1;
            return rank < (uint32_t)table->merge_count ? (int32_t)rank : MERGE_NEVER;
        }
    }
    return MERGE_NEVER;
}

int32_t mergetable_whole(const struct mergetable *table, int32_t rank)
{
    uint32_t whole = table->whole[rank];
    return whole < (uint32_t)table->token_count ? (int32_t)whole : 0;
}
