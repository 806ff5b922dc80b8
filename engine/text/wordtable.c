/* wordtable.c - see wordtable.h.  Open addressing with linear probing; a slot holds part of the
 * hash, so that a probe touches a token's string only when it is very likely the right one.  The
 * hash is seeded at random: no model file can be made to collide. */
#include "text/wordtable.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

/* The string is here too, and not only its id: one cache miss less. */
struct slot {
    const char *bytes;
    uint32_t signature;   /* hash and length, see signature_of() */
    uint32_t id_plus_one; /* 0: free */
};

struct wordtable {
    struct slot *slots;
    size_t mask; /* slot count - 1; the count is a power of two and a third of it stays free */
    uint64_t seed;
};

/* 15 bits of the hash that do not place the slot, and the length. */
static uint32_t signature_of(struct text word, uint64_t hash)
{
    static_assert(VOCABULARY_TOKEN_BYTES_MAX < 1 << 17, "the length has 17 bits");
    return (uint32_t)(hash >> 49) << 17 | (uint32_t)(word.length & 0x1FFFF);
}

static uint64_t hash_of(const struct wordtable *table, struct text word)
{
    return XXH3_64bits_withSeed(word.bytes, word.length, table->seed);
}

/* The slot of the word, or the free slot where it would go. */
static struct slot *slot_of(const struct wordtable *table, struct text word, uint64_t hash)
{
    uint32_t signature = signature_of(word, hash);
    for (size_t at = (size_t)hash & table->mask;; at = (at + 1) & table->mask) {
        struct slot *slot = &table->slots[at];
        if (slot->id_plus_one == 0 || (slot->signature == signature &&
                                       text_equals((struct text){slot->bytes, word.length}, word)))
            return slot;
    }
}

/* In batches too: a slot is on its way while others are filled. */
static void fill(struct wordtable *table, const struct vocabulary *vocabulary)
{
    uint64_t hashes[WORDTABLE_BATCH_MAX];
    for (int32_t first = 0; first < vocabulary->token_count; first += WORDTABLE_BATCH_MAX) {
        int32_t left = vocabulary->token_count - first;
        int32_t count = left < WORDTABLE_BATCH_MAX ? left : WORDTABLE_BATCH_MAX;
        for (int32_t i = 0; i < count; i++) {
            hashes[i] = hash_of(table, vocabulary->tokens[first + i]);
            __builtin_prefetch(&table->slots[hashes[i] & table->mask], 1);
        }
        for (int32_t i = 0; i < count; i++) {
            struct text word = vocabulary->tokens[first + i];
            uint8_t kind = vocabulary->kinds[first + i];
            if (kind != TOKEN_CONTROL && kind != TOKEN_UNKNOWN)
                *slot_of(table, word, hashes[i]) = (struct slot){
                    word.bytes, signature_of(word, hashes[i]), (uint32_t)(first + i) + 1};
        }
    }
}

int wordtable_open(const struct vocabulary *vocabulary, struct wordtable **out)
{
    size_t slot_count = 16;
    while (slot_count / 3 * 2 < (size_t)vocabulary->token_count)
        slot_count *= 2;
    struct wordtable *table = memory_try(1, sizeof *table);
    struct slot *slots = memory_try(slot_count, sizeof *slots);
    *out = NULL;
    if (!table || !slots) {
        free(table);
        free(slots);
        return -ENOMEM;
    }
    *table = (struct wordtable){slots, slot_count - 1, (uintptr_t)slots};
    if (getrandom(&table->seed, sizeof table->seed, GRND_NONBLOCK) < 0)
        table->seed ^= (uintptr_t)table; /* early boot: addresses are random too */
    fill(table, vocabulary);
    *out = table;
    return 0;
}

void wordtable_close(struct wordtable *table)
{
    if (!table)
        return;
    free(table->slots);
    free(table);
}

int32_t wordtable_find(const struct wordtable *table, struct text word)
{
    if (word.length > VOCABULARY_TOKEN_BYTES_MAX)
        return VOCABULARY_NONE;
    return (int32_t)slot_of(table, word, hash_of(table, word))->id_plus_one - 1;
}

void wordtable_find_batch(const struct wordtable *table, const struct text *words, size_t count,
                          int32_t *ids)
{
    uint64_t hashes[WORDTABLE_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(table, words[i]);
        __builtin_prefetch(&table->slots[hashes[i] & table->mask]);
    }
    for (size_t i = 0; i < count; i++) /* the string, most probably */
        __builtin_prefetch(table->slots[hashes[i] & table->mask].bytes);
    for (size_t i = 0; i < count; i++)
        ids[i] = words[i].length > VOCABULARY_TOKEN_BYTES_MAX
                     ? VOCABULARY_NONE
                     : (int32_t)slot_of(table, words[i], hashes[i])->id_plus_one - 1;
}
