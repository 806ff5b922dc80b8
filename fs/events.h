/* events.h - the last things that happened, as JSON lines with a cursor per reader.
 *
 * Owns:     a ring of EVENTS_KEPT lines.
 * Promise:  a reader sees every line once and in order, or a line {"ev":"lost","n":...} in the
 *           place of those that were overwritten before it came: no silent gap.
 * Threads:  the loop's.
 */
#ifndef FS_EVENTS_H
#define FS_EVENTS_H

#include "base/memory.h"
#include "fs/park.h"

#include <jansson.h>
#include <stdint.h>

enum { EVENTS_KEPT = 1024 };

struct events {
    char *lines[EVENTS_KEPT]; /* line n is in lines[n % EVENTS_KEPT], without its newline */
    uint64_t next;            /* number of the next line */
    struct park_list waiters;
};

/* Add {"ev":kind, "t":..., "mono_ms":..., "model":name} plus the members of `more` (may be NULL;
 * its reference is taken).  `model` may be NULL. */
void events_add(struct events *events, struct parking *parking, const char *kind, const char *model,
                json_t *more);

/* Append to *out the lines from *cursor on that fit `size` bytes (at least one), and move the
 * cursor. */
void events_read(const struct events *events, uint64_t *cursor, size_t size, struct buffer *out);

void events_free(struct events *events);

#endif
