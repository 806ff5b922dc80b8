/* trie.c - see trie.h.
 *
 * The table is open-addressed and at most half full.  The hash is keyed at random: a model file
 * chooses the strings, but not which of them collide. */
#include "text/trie.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_SLOTS = 1024 };

struct slot {
    uint32_t key; /* node << 8 | byte, plus 1; 0: free */
    int32_t child;
};

struct trie {
    struct slot *slots;
    size_t slot_count; /* a power of two */
    uint64_t seed;
    int32_t *values; /* [node_count] */
    size_t value_capacity;
    int32_t node_count;
};

static uint32_t key_of(int32_t node, unsigned char byte)
{
    return ((uint32_t)node << 8 | byte) + 1;
}

/* The slot of this key, or the free one where it belongs. */
static struct slot *find(const struct trie *trie, uint32_t key)
{
    uint64_t hash = (key ^ trie->seed) * 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio */
    hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(hash >> 32) & (trie->slot_count - 1);
    while (trie->slots[at].key && trie->slots[at].key != key)
        at = (at + 1) & (trie->slot_count - 1);
    return &trie->slots[at];
}

static int grow_slots(struct trie *trie)
{
    struct slot *old = trie->slots;
    size_t old_count = trie->slot_count;
    struct slot *slots = memory_try(2 * old_count, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    trie->slots = slots;
    trie->slot_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].key)
            *find(trie, old[i].key) = old[i];
    free(old);
    return 0;
}

/* A new node without a value.  Returns it, -ENOMEM or -EMSGSIZE. */
static int32_t add_node(struct trie *trie)
{
    int status = memory_grow((void **)&trie->values, &trie->value_capacity,
                             (size_t)trie->node_count + 1, sizeof *trie->values, TRIE_NODES_MAX);
    if (!status && 2 * ((size_t)trie->node_count + 1) > trie->slot_count)
        status = grow_slots(trie);
    if (status)
        return status;
    trie->values[trie->node_count] = -1;
    return trie->node_count++;
}

int trie_open(struct trie **out)
{
    struct trie *trie = memory_try(1, sizeof *trie);
    *out = trie;
    if (!trie)
        return -ENOMEM;
    trie->slot_count = FIRST_SLOTS;
    trie->slots = memory_try(FIRST_SLOTS, sizeof *trie->slots);
    if (getrandom(&trie->seed, sizeof trie->seed, GRND_NONBLOCK) < 0)
        trie->seed = (uintptr_t)trie; /* early after boot: the address is random enough */
    if (!trie->slots || add_node(trie) != TRIE_ROOT) {
        trie_close(trie);
        *out = NULL;
        return -ENOMEM;
    }
    return 0;
}

void trie_close(struct trie *trie)
{
    if (!trie)
        return;
    free(trie->slots);
    free(trie->values);
    free(trie);
}

size_t trie_bytes(const struct trie *trie)
{
    size_t slots_while_growing = trie->slot_count + trie->slot_count / 2;
    return slots_while_growing * sizeof *trie->slots + trie->value_capacity * sizeof *trie->values;
}

int trie_insert(struct trie *trie, struct text string, int32_t value)
{
    if (string.length == 0 || string.length > TRIE_STRING_BYTES_MAX)
        return 0;
    int32_t node = TRIE_ROOT;
    for (size_t i = 0; i < string.length; i++) {
        unsigned char byte = (unsigned char)string.bytes[i];
        int32_t next = trie_step(trie, node, byte);
        if (next == TRIE_NOWHERE) {
            next = add_node(trie);
            if (next < 0)
                return next;
            *find(trie, key_of(node, byte)) = (struct slot){key_of(node, byte), next};
        }
        node = next;
    }
    trie->values[node] = value;
    return 0;
}

int32_t trie_step(const struct trie *trie, int32_t node, unsigned char byte)
{
    const struct slot *slot = find(trie, key_of(node, byte));
    return slot->key ? slot->child : TRIE_NOWHERE;
}

int32_t trie_walk(const struct trie *trie, int32_t node, struct text string)
{
    for (size_t i = 0; i < string.length && node != TRIE_NOWHERE; i++)
        node = trie_step(trie, node, (unsigned char)string.bytes[i]);
    return node;
}

int32_t trie_value(const struct trie *trie, int32_t node)
{
    return trie->values[node];
}
