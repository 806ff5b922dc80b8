/* seal.h - a note that an index was checked, byte by byte, against a model file.
 *
 * Checking means hashing all strings of the model and all of the index: milliseconds.  The seal of
 * a model is a small file in the folder of the indexes, named by all that the check depends on: the
 * identity of the model file, where its strings lie, the rule, and this run of the machine (its
 * boot id).  It says which index, and that one's identity.  As long as both files are what they
 * were, the result of the check is, too; see load/identity.h for what that rests on.  Whatever is
 * not as it was, or cannot be asked, leads to the check.
 *
 * Owns:     nothing.
 * Promise:  a seal is only believed as a file of this user that nobody else may write, in which
 *           nothing has been altered.  A forged one can make the index be used unchecked, no more:
 *           what is done with an index is safe whatever it contains (index.h).
 * Threads:  any, in any number of processes.
 */
#ifndef TEXT_SEAL_H
#define TEXT_SEAL_H

#include "load/identity.h"
#include "text/vocabulary.h"

struct gguf_value;

/* What a seal says. */
struct seal {
    uint64_t index_key[2];
    struct identity index;
};

/* The name of the seal of the vocabulary in `gguf`, which has its counts, packed strings and rule.
 * False: it can have none. */
bool seal_name(const struct gguf *gguf, const struct gguf_value *tokens,
               const struct vocabulary *vocabulary, uint64_t out[2]);

/* False: there is none. */
bool seal_read(const uint64_t name[2], struct seal *out);

/* Failing is silent; so is an index that was changed too recently to be known by its identity. */
void seal_write(const uint64_t name[2], const struct seal *seal);

#endif
