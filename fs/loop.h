/* loop.h - the daemon's one thread: file descriptors and timers.
 *
 * Everything that the daemon does happens in a callback of this loop, so no state of the daemon
 * needs a lock; in return no callback may block (docs/ARCHITECTURE.md).
 *
 * Owns:     the epoll descriptor; the watched descriptors belong to their callers.
 * Promise:  a removed watch or timer never fires, also when it was removed by an earlier callback
 *           of the same round.
 * Threads:  one.
 */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

typedef void loop_function(void *owner, uint32_t events);

int loop_open(struct loop **out); /* 0, -ENOMEM, -EMFILE */
void loop_close(struct loop *loop);

/* A watched descriptor.  Lives inside its owner's struct; zero before the first use. */
struct loop_watch {
    int fd;
    loop_function *function;
    void *owner;
    uint64_t id; /* 0: not watched */
};

/* events: EPOLLIN, EPOLLOUT (level triggered).  Returns 0, -ENOMEM or -ENOSPC. */
int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
               loop_function *function, void *owner);
int loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/* A timer that fires once.  Lives inside its owner's struct; zero before the first use. */
struct loop_timer {
    int64_t due_us; /* 0: not set */
    void (*function)(void *owner);
    void *owner;
    struct loop_timer *previous, *next;
};

/* Fire at CLOCK_MONOTONIC time due_us (at once when past); moves a timer that is set. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t due_us,
                    void (*function)(void *owner), void *owner);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* Run until loop_stop().  Returns 0, or -errno of a failed wait. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Call after each round of callbacks, before waiting again: where the daemon answers what became
 * answerable.  One function for the loop's life. */
void loop_after_round(struct loop *loop, void (*function)(void *owner), void *owner);

#endif
