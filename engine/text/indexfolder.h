/* indexfolder.h - the folder in which indexes are kept: names, permissions, space.
 *
 * Owns:     nothing that lasts; a mapping belongs to who asked for it.
 * Promise:  see index.h; what is mapped is a regular file of this user that nobody else may write.
 *           Only files with names that it gives are counted and deleted.
 * Threads:  any, in any number of processes.
 */
#ifndef TEXT_INDEXFOLDER_H
#define TEXT_INDEXFOLDER_H

#include "base/text.h"
#include "load/identity.h"

#include <stdint.h>

/* Does the environment name a folder? */
bool indexfolder_is_on(void);

/* Map the file of this key, read-only; *identity, unless that is NULL, is which file it is. Returns
 * 0 or -errno: none, or not to be trusted. */
int indexfolder_map(const uint64_t key[2], struct text *out, struct identity *identity);
void indexfolder_unmap(struct text file);

/* Write the file of this key, under another name first; then make room.  Failing is silent. */
void indexfolder_write(const uint64_t key[2], struct text bytes);

#endif
