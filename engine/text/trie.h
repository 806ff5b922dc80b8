/* trie.h - which tokens begin here?  A set of strings that is walked byte by byte.
 *
 * A node is a number; node TRIE_ROOT is the empty string.  The edges are one hash table from (node,
 * byte) to node, so that a step costs the same for every vocabulary.
 *
 * Owns:     its tables; it keeps no view of the strings.
 * Threads:  read-only once all strings are in, any thread.
 * Limits:   a longer string than TRIE_STRING_BYTES_MAX is left out: it bounds the work for each
 *           byte of a text, and no published vocabulary comes near it.  TRIE_NODES_MAX nodes.
 */
#ifndef TEXT_TRIE_H
#define TEXT_TRIE_H

#include "base/text.h"

#include <stdint.h>

enum {
    TRIE_STRING_BYTES_MAX = 256,
    TRIE_NODES_MAX = 1 << 22, /* the largest published vocabularies need a fifth of it */
};
enum { TRIE_ROOT = 0, TRIE_NOWHERE = -1 };

struct trie;

/* Returns 0 or -ENOMEM. */
int trie_open(struct trie **out);
void trie_close(struct trie *trie);

/* What it takes, and took while it grew. */
size_t trie_bytes(const struct trie *trie);

/* Add a string; of equal ones the last value (>= 0) counts.  Empty ones are left out too.  Returns
 * 0, -ENOMEM, or -EMSGSIZE past TRIE_NODES_MAX. */
int trie_insert(struct trie *trie, struct text string, int32_t value);

/* The node after one more byte, or TRIE_NOWHERE. */
int32_t trie_step(const struct trie *trie, int32_t node, unsigned char byte);

/* The node of a whole string after `node`, or TRIE_NOWHERE. */
int32_t trie_walk(const struct trie *trie, int32_t node, struct text string);

/* The value of the string that ends at this node, or -1. */
int32_t trie_value(const struct trie *trie, int32_t node);

#endif
