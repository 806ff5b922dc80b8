/* index.h - the tables of a tokenizer, kept in a file from one load to the next.
 *
 * The folder is $INFERFS_CACHE/index, or $XDG_CACHE_HOME/inferfs/index, or
 * ~/.cache/inferfs/index; INFERFS_CACHE set to nothing turns it off.  A file is named by the
 * fingerprint of what the tables are made of: all strings, kinds and merges, and the rule.  What is
 * in the folder is a cache: it may be deleted at any time, and whatever cannot be read or written
 * is silently built anew.
 *
 * Fingerprint and checksum take milliseconds.  So once they were right, that is noted in a seal
 * (seal.h), and as long as neither the model file nor the index has been touched since, a load
 * reads neither: it takes a header, the kinds, and pages of the tables when a text first needs
 * them.
 *
 * Owns:     the mapping that the tables are in.
 * Promise:  a file is used only if it belongs to this user, nobody else may write it, it is no
 *           symbolic link, its size and every number in its header are right, and so is its
 *           checksum, or it is sealed.  A file that was cut, damaged or exchanged is built anew.
 *           Even in a file that is used nothing is trusted: each id, rank, kind and place of a
 *           string is checked where it is read, and a string must have, in the model file, the
 *           length that its place promises; so the worst that a forged one does is wrong tokens.
 * Threads:  opening and saving, any, in any number of processes; files appear by renaming.
 * Limits:   INDEX_FILES_MAX files and INDEX_BYTES_MAX bytes; the oldest leave.  Vocabularies below
 *           INDEX_TOKENS_MIN tokens are not worth a file.
 */
#ifndef TEXT_INDEX_H
#define TEXT_INDEX_H

#include "text/mergetable.h"
#include "text/wordtable.h"

enum {
    INDEX_FILES_MAX = 128, /* seals count too */
    INDEX_BYTES_MAX = 256 << 20,
    INDEX_TOKENS_MIN = 1024,
    INDEX_PROBES_MAX = 1024, /* of a table; bounds what a look-up in a hostile one costs */
};

struct index;

/* What is kept.  Words may be empty: not kept. */
struct index_tables {
    struct wordtable *words;
    struct mergetable *merges;
    int32_t *byte_ids; /* [256] */
};

/* Fill the tables of this vocabulary from its file, or return NULL: there is none that can be used,
 * and the tables are untouched.  Seals the file if the vocabulary can be sealed. */
struct index *index_open(const struct vocabulary *vocabulary, const struct index_tables *tables);
void index_close(struct index *index);

/* Find the sealed file of a vocabulary that has only its rule, its counts, the place of its packed
 * strings and the name of its seal; fill in the index, the kinds and where each string is.  False:
 * nothing has changed. */
bool index_open_sealed(struct vocabulary *vocabulary);

/* Fill the tables from the index that the vocabulary has. */
void index_use(const struct vocabulary *vocabulary, const struct index_tables *tables);

/* Keep the tables; failing is silent. */
void index_save(const struct vocabulary *vocabulary, const struct index_tables *tables);

#endif
