/* mergetable.h - which two tokens merge into which, and how early.
 *
 * Owns:     its table, unless it is viewed, and nothing of the vocabulary.
 * Promise:  one probe, nearly always; of equal merges the first wins.  Whatever the table contains,
 *           a rank that is found is below `merge_count`, and an id is one of the vocabulary.
 * Threads:  read-only after opening, any thread.
 */
#ifndef TEXT_MERGETABLE_H
#define TEXT_MERGETABLE_H

#include "text/wordtable.h"

enum { MERGE_NEVER = 0x7FFFFFFF };

struct mergetable {
    struct slots slots;    /* left << 43 | right << 23 | rank + 1 */
    const uint32_t *whole; /* [merge_count] what two tokens become, by rank */
    uint32_t *memory;      /* of `whole`; NULL: viewed */
    int32_t token_count, merge_count;
};

/* Returns 0, -ENOMEM, or -ENOEXEC for a merge that is not two strings.  A merge of which a part or
 * the whole is not in `words` is left out. */
int mergetable_open(const struct vocabulary *vocabulary, const struct wordtable *words,
                    struct mergetable *out, struct error *error);
void mergetable_close(struct mergetable *table);

/* The rank of the merge of two tokens, lower merges first, or MERGE_NEVER. */
int32_t mergetable_rank(const struct mergetable *table, int32_t left, int32_t right);

/* The token that the merge of this rank, which was found, gives. */
int32_t mergetable_whole(const struct mergetable *table, int32_t rank);

#endif
