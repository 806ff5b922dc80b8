/* lineage.h - which process belongs to which: a reader finds the answer to its own shell's prompt.
 *
 * `echo q > prompt; cat output` are two processes with a common ancestor, the shell.  Of several
 * answers, a reader gets the one whose submitter shares the nearest ancestor with it.
 *
 * Owns:     nothing; plain values.
 * Promise:  a process number that was used again is not mistaken for the old process: its start
 * time is part of its identity. Threads:  any; reads /proc. Limits:   LINEAGE_STEPS_MAX
 * generations.
 */
#ifndef FS_LINEAGE_H
#define FS_LINEAGE_H

#include <stdint.h>
#include <sys/types.h>

enum { LINEAGE_STEPS_MAX = 14, LINEAGE_STRANGER = 1000 };

struct lineage_step {
    pid_t pid;           /* thread, then its thread group, then the parents */
    uint64_t start_time; /* /proc/PID/stat field 22, clock ticks since boot */
};

struct lineage {
    struct lineage_step steps[LINEAGE_STEPS_MAX];
    uint32_t count; /* 0 when /proc or the pid is not available */
};

/* The ancestry of a thread now, from /proc; stops before pid 1. */
void lineage_take(pid_t thread, struct lineage *out);

/* How far reader and writer are from their nearest common ancestor: the sum of the generations up
 * to it on both sides (0: the same thread), or LINEAGE_STRANGER when they have none (or either is
 * unknown).  Smaller is nearer. */
uint32_t lineage_distance(const struct lineage *reader, const struct lineage *writer);

#endif
