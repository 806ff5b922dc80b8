/* threads.h - a persistent team of threads that computes one forward pass at a time.
 *
 * Owns:     count - 1 threads; the caller of threads_run() is thread 0.
 * Promise:  outside threads_run() the team sleeps (after spinning for THREADS_SPIN_US at most);
 *           every thread computes with denormals flushed to zero, the caller included.
 * Threads:  threads_run() by one thread at a time.
 * Limits:   THREADS_MAX.
 */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { THREADS_MAX = 64, THREADS_SPIN_US = 50 };

struct threads;

/* Returns 0, -EINVAL for a count outside 1..THREADS_MAX, -EAGAIN or -ENOMEM. */
int threads_open(int count, struct threads **out, struct error *error);
void threads_close(struct threads *threads);
int threads_count(const struct threads *threads);

/* One thread's place in a running team. */
struct team {
    struct threads *threads;
    int index; /* 0..count-1 */
    int count; /* threads that take part in this run */
};

typedef void threads_function(const struct team *team, void *argument);

/* Run function on `count` threads (1..threads_count) and return when all have returned. */
void threads_run(struct threads *threads, int count, threads_function *function, void *argument);

/* Inside a run: wait until every thread of the team is here; what any of them wrote before is then
 * visible to all.  Spins, then sleeps on a futex. */
void threads_barrier(const struct team *team);

/* Microseconds, summed over the team since it was opened, that threads waited inside of runs for
 * others and slept meanwhile.  In a team that has its cores for itself it hardly grows: a thread
 * that is waited for so long has lost its core. */
int64_t threads_waited_us(const struct threads *threads);

/* The part [*begin, *end) of `items` that belongs to this thread when they are dealt in contiguous
 * runs whose borders are multiples of `grain`.  The same items give the same parts. */
void threads_share(const struct team *team, int items, int grain, int *begin, int *end);

/* The same items in several parts: the first half of them as above (turn 0), the rest in ever
 * smaller parts to whoever comes first (turns 1, 2 ... until false).  So a thread that is slower,
 * or has lost its core, delays the others by little.  The parts are not the same each time.  Once
 * between two barriers, all threads with the same items and grain. */
bool threads_take(const struct team *team, int turn, int items, int grain, int *begin, int *end);

/* Physical cores that this process may use: affinity mask, cgroup cpu quota (v1 and v2), at least
 * 1, at most THREADS_MAX. */
int threads_available(void);

#endif
