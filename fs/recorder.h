/* recorder.h - fills the swap records while swaps happen (swap.h says what they hold).
 *
 * Threads:  the loop's.
 */
#ifndef FS_RECORDER_H
#define FS_RECORDER_H

#include "engine/protocol.h"
#include "fs/daemon.h"

/* The model is wanted; counts when it is not in memory and nobody asked before. */
void recorder_asked(struct model *model, const char *reason, int64_t at_us);

/* The pool has placed it; its victims follow. */
void recorder_decided(struct model *model);
void recorder_victim(struct model *victim, struct model *beneficiary);

/* A victim's moments. */
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
