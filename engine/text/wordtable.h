/* wordtable.h - from token string to id.
 *
 * Owns:     its slots, unless they are viewed; the strings belong to the vocabulary, which must
 *           outlive it.
 * Promise:  of equal strings the last id is found; CONTROL and UNKNOWN tokens never are.  Whatever
 *           the slots contain, an id that is found is one of the vocabulary and has that string.
 * Threads:  read-only after opening, any thread.
 */
#ifndef TEXT_WORDTABLE_H
#define TEXT_WORDTABLE_H

#include "text/slots.h"
#include "text/vocabulary.h"

enum { WORDTABLE_BATCH_MAX = 64 };

struct wordtable {
    const struct vocabulary *vocabulary;
    struct slots slots;  /* tag of the hash << WORDTABLE_ID_BITS | id + 1 */
    bool has_duplicates; /* a string has two ids */
};

/* Returns 0 or -ENOMEM. */
int wordtable_open(const struct vocabulary *vocabulary, struct wordtable *out);
void wordtable_close(struct wordtable *table);

/* The id of a string, or VOCABULARY_NONE. */
int32_t wordtable_find(const struct wordtable *table, struct text word);

/* The ids of up to WORDTABLE_BATCH_MAX strings, in a vocabulary that has its array of tokens: their
 * cache misses overlap, so that many take half the time of one by one. */
void wordtable_find_batch(const struct wordtable *table, const struct text *words, size_t count,
                          int32_t *ids);

#endif
