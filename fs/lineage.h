/* lineage.h - which process belongs to which: a reader finds the answer to its own shell's prompt.
 *
 * `echo q > prompt; cat output` are two processes with a common ancestor, the shell.  Of several
 * answers, a reader gets the one whose submitter shares the nearest ancestor with it.
 *
 * Owns:     nothing; plain values.
 * Promise:  a process number that was used again is not mistaken for the old process: its start
 *           time is part of its identity.
 * Threads:  any; reads /proc.
 * Limits:   LINEAGE_STEPS_MAX generations.
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

/* How many generations up from the reader the nearest ancestor stands that it has in common with
 * the writer (0: the reader itself wrote), or LINEAGE_STRANGER when there is none or either is
 * unknown. Smaller is nearer.  Only the reader's side counts: whether a shell wrote a prompt itself
 * or through a child makes no difference, the newer one is meant. */
uint32_t lineage_distance(const struct lineage *reader, const struct lineage *writer);

#endif
