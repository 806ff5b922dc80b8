/* mergetable.h - which two tokens merge into which, and how early.
 *
 * Owns:     its table, and nothing of the vocabulary.
 * Promise:  one probe, nearly always; of equal merges the first wins.
 * Threads:  read-only after opening, any thread.
 */
#ifndef TEXT_MERGETABLE_H
#define TEXT_MERGETABLE_H

#include "text/wordtable.h"

struct mergetable;

enum { MERGE_NEVER = 0x7FFFFFFF };

struct merge {
    int32_t rank;  /* lower merges first; MERGE_NEVER: these two do not merge */
    int32_t whole; /* the id that they become */
};

/* Returns 0, -ENOMEM, or -ENOEXEC for a merge that is not two strings.  A merge of which a part or
 * the whole is not in `words` is left out. */
int mergetable_open(const struct vocabulary *vocabulary, const struct wordtable *words,
                    struct mergetable **out, struct error *error);
void mergetable_close(struct mergetable *table);

struct merge mergetable_find(const struct mergetable *table, int32_t left, int32_t right);

#endif
