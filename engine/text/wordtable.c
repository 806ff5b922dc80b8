/* wordtable.c - see wordtable.h.  Open addressing with linear probing; a slot holds most of the
 * hash, so that a string is compared only when it is almost certainly the right one. */
#define XXH_INLINE_ALL
#include "text/wordtable.h"

#include <assert.h>
#include <errno.h>
#include <xxhash.h>

enum { ID_BITS = 21 };
static_assert(VOCABULARY_TOKENS_MAX < 1 << ID_BITS, "an id plus one has 21 bits");

static const uint64_t id_mask = ((uint64_t)1 << ID_BITS) - 1;

static uint64_t hash_of(const struct wordtable *table, struct text word)
{
    return XXH3_64bits_withSeed(word.bytes, word.length, table->slots.seed);
}

static bool has_tag(uint64_t slot, uint64_t hash)
{
    return slot >> ID_BITS == hash >> ID_BITS;
}

static void put(struct wordtable *table, int32_t id, uint64_t hash)
{
    struct slots *slots = &table->slots;
    const struct vocabulary *vocabulary = table->vocabulary;
    size_t mask = slots_mask(slots), at = (size_t)hash & mask;
    uint32_t probes = 1;
    for (; slots->memory[at]; at = (at + 1) & mask, probes++) {
        uint64_t slot = slots->memory[at];
        if (has_tag(slot, hash) &&
            text_equals(vocabulary_token(vocabulary, (int32_t)(slot & id_mask) - 1),
                        vocabulary_token(vocabulary, id))) {
            table->has_duplicates = true;
            break;
        }
    }
    slots->memory[at] = (hash & ~id_mask) | (uint64_t)(id + 1);
    if (probes > slots->probes_max)
        slots->probes_max = probes;
}

/* In batches: a slot is on its way while others are filled. */
static void fill(struct wordtable *table)
{
    const struct vocabulary *vocabulary = table->vocabulary;
    uint64_t hashes[WORDTABLE_BATCH_MAX];
    for (int32_t first = 0; first < vocabulary->token_count; first += WORDTABLE_BATCH_MAX) {
        int32_t left = vocabulary->token_count - first;
        int32_t count = left < WORDTABLE_BATCH_MAX ? left : WORDTABLE_BATCH_MAX;
        for (int32_t i = 0; i < count; i++) {
            hashes[i] = hash_of(table, vocabulary_token(vocabulary, first + i));
            __builtin_prefetch(&table->slots.memory[hashes[i] & slots_mask(&table->slots)], 1);
        }
        for (int32_t i = 0; i < count; i++) {
            uint8_t kind = vocabulary->kinds[first + i];
            if (kind != TOKEN_CONTROL && kind != TOKEN_UNKNOWN)
                put(table, first + i, hashes[i]);
        }
    }
}

int wordtable_open(const struct vocabulary *vocabulary, struct wordtable *out)
{
    *out = (struct wordtable){.vocabulary = vocabulary};
    int status = slots_open((size_t)vocabulary->token_count, &out->slots);
    if (!status)
        fill(out);
    return status;
}

void wordtable_close(struct wordtable *table)
{
    slots_close(&table->slots);
}

/* The first id from slot `at` on whose tag is that of the hash, or VOCABULARY_NONE; *at is past it.
 */
static int32_t next_candidate(const struct wordtable *table, uint64_t hash, uint32_t *probe)
{
    const struct slots *slots = &table->slots;
    for (; *probe < slots->probes_max; ++*probe) {
        uint64_t slot = slots->items[((size_t)hash + *probe) & slots_mask(slots)];
        if (slot == 0)
            break;
        if (has_tag(slot, hash) &&
            (slot & id_mask) - 1 < (uint64_t)table->vocabulary->token_count) {
            ++*probe;
            return (int32_t)(slot & id_mask) - 1;
        }
    }
    return VOCABULARY_NONE;
}

static int32_t find(const struct wordtable *table, struct text word, uint64_t hash, uint32_t probe,
                    int32_t candidate)
{
    const struct vocabulary *vocabulary = table->vocabulary;
    while (candidate != VOCABULARY_NONE &&
           !text_equals(vocabulary_token(vocabulary, candidate), word))
        candidate = next_candidate(table, hash, &probe);
    return candidate;
}

int32_t wordtable_find(const struct wordtable *table, struct text word)
{
    uint64_t hash = hash_of(table, word);
    uint32_t probe = 0;
    int32_t candidate = next_candidate(table, hash, &probe);
    return find(table, word, hash, probe, candidate);
}

void wordtable_find_batch(const struct wordtable *table, const struct text *words, size_t count,
                          int32_t *ids)
{
    const struct text *tokens = table->vocabulary->tokens;
    uint64_t hashes[WORDTABLE_BATCH_MAX];
    uint32_t probes[WORDTABLE_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(table, words[i]);
        __builtin_prefetch(&table->slots.items[hashes[i] & slots_mask(&table->slots)]);
    }
    for (size_t i = 0; i < count; i++) {
        probes[i] = 0;
        ids[i] = next_candidate(table, hashes[i], &probes[i]);
        __builtin_prefetch(&tokens[ids[i] < 0 ? 0 : ids[i]]);
    }
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(tokens[ids[i] < 0 ? 0 : ids[i]].bytes);
    for (size_t i = 0; i < count; i++)
        ids[i] = find(table, words[i], hashes[i], probes[i], ids[i]);
}
