/* mapping.h - a whole file as read-only memory: the page cache itself, not a copy of it.
 *
 * Owns:     the pages that it mapped and, to ask about them, the descriptor; of borrowed memory
 *           nothing.
 * Promise:  only regular files; opening never blocks (a pipe named like a model is refused).  The
 *           mapping is shared, so many processes pay for one copy.
 * Not here: a file that shrinks under its mapping raises SIGBUS on the next touch; the process that
 *           maps models decides what that means.
 * Threads:  read-only after opening, any thread.
 * Limits:   of many mappings the later ones keep no descriptor (MAPPING_DESCRIPTOR_MAX): asking
 *           about their pages takes longer, and never proves anything.
 */
#ifndef LOAD_MAPPING_H
#define LOAD_MAPPING_H

#include "base/error.h"
#include "load/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAPPING_WINDOW_BYTES = 16 << 20, MAPPING_DESCRIPTOR_MAX = 255 };

struct mapping {
    const uint8_t *bytes; /* NULL when the file is empty */
    size_t length;
    int descriptor;           /* -1: none */
    struct identity identity; /* when it was opened */
    bool borrowed;
};

/* Map the file at `path`.  Returns 0, or
 *   -ENOEXEC          not a regular file, or one too big for the address space
 *   -ENOENT, -EIO ... as open(2), fstat(2), mmap(2) said */
int mapping_open(const char *path, struct mapping *out, struct error *error);

/* The same beneath the directory of that descriptor; the name must not lead out of it. */
int mapping_open_at(int directory, const char *name, struct mapping *out, struct error *error);

/* A view of memory that the caller keeps; it counts as resident and populated. */
struct mapping mapping_borrow(const void *bytes, size_t length);

void mapping_close(struct mapping *mapping);

/* Does the kernel vouch that all pages of `length` bytes at `offset`, a multiple of the page size
 * below mapping->length, are in the page cache?  What is behind the end of the file counts as
 * cached.  Asking it for a count takes a third of the time of asking for each page.  It may not
 * know (overlays, kernels before 6.5), or refuse to say. */
bool mapping_is_cached(const struct mapping *mapping, size_t offset, size_t length);

/* Bytes on pages of the window that begins at `offset`, a multiple of MAPPING_WINDOW_BYTES, that
 * are in the page cache now.  Where the kernel would not say, of a file that this user could not
 * write, it is all of them.  Clears *proven when it is not sure that all are there. */
uint64_t mapping_resident_bytes(const struct mapping *mapping, size_t offset, bool *proven);

/* Bring all pages into the page table, a window of 16 MiB after the other.  Returns 0, or
 *   -EIO  a page could not be read, or is not in the file any more. */
int mapping_populate(const struct mapping *mapping, struct error *error);

#endif
