/* dispatch.h - between the pool's books and the world: events in, actions carried out.
 *
 *     prompt ─▶ jobs ─▶ dispatch_post ─▶ pool_step ─▶ actions ─▶ workers
 *                            ▲                                      │
 *                            └──────── messages, exits ◀────────────┘
 *
 * Promise:  events reach the pool in the order of posting; what the pool says is carried out before
 *           the next event; nothing here blocks.
 * Threads:  the loop's.
 * Limits:   the pool's.
 */
#ifndef FS_DISPATCH_H
#define FS_DISPATCH_H

#include "fs/daemon.h"

/* Returns 0 or -ENOMEM. */
int dispatch_open(struct daemon *daemon);
void dispatch_close(struct daemon *daemon);

/* Queue an event for the pool.  It takes effect in dispatch_run(): at the latest after this round
 * of the loop.  Never fails: an event that can't be queued for want of memory ends the daemon's
 * work in order (SIGTERM's way), since the books would be wrong from here on. */
void dispatch_post(struct daemon *daemon, const struct pool_event *event);

/* Queue the answer to a POOL_RUN. */
void dispatch_request_ended(struct daemon *daemon, uint64_t model, uint64_t request);

/* Feed the pool all that was posted and carry out what it says. */
void dispatch_run(struct daemon *daemon);

#endif
