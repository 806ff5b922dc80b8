/* recorder.h - fills the swap records while swaps happen (swap.h says what they hold).
 *
 * Threads:  the loop's.
 */
#ifndef FS_RECORDER_H
#define FS_RECORDER_H

#include "engine/protocol.h"
#include "fs/daemon.h"

/* The model is wanted; counts when it is not in memory and nobody else waits for it. */
void recorder_asked(struct model *model, const char *reason, int64_t at_us);

/* The pool has placed it. */
void recorder_decided(struct model *model);

/* A leaving model's moments; they count for the one in victim->leaving_for while that is not
 * started yet.  It is among the evicted once it is gone: who is on the way out may yet be
 * reprieved. */
void recorder_drained(struct model *victim);
void recorder_told(struct model *victim);
void recorder_exited(struct model *victim);

/* The coming model's moments. */
void recorder_started(struct model *model);
void recorder_ready(struct model *model, const struct protocol_ready *ready);
void recorder_first_byte(struct model *model, int64_t at_us);

/* A job ended without a byte: when it was the last one, no first token will come. */
void recorder_settled(struct model *model);

/* The load came to nothing, or was given up. */
void recorder_dropped(struct model *model);

#endif
