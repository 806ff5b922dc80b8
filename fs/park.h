/* park.h - FUSE requests that wait for something, and how each of them ends.
 *
 * An open or read that can't be answered yet is parked on the wait list of what it waits for (a
 * job, a model, the events).  When that changes, everything on its list is tried again after the
 * current round of the loop.  Nothing of this blocks: a parked request costs one struct.
 *
 * Owns:     struct park and, until it is answered, its fuse_req_t.
 * Promise:  every parked request is answered exactly once: by its `resume`, with EINTR soon after
 *           FUSE_INTERRUPT (a reader that is killed is gone in milliseconds), or with ESHUTDOWN.
 * Threads:  the loop's.  The interrupt callback of libfuse runs inside fuse_session_process_buf(),
 *           with libfuse's lock on the request held: it only queues, the answer is given later.
 * Limits:   PARK_MAX: beyond it a wait is refused with EAGAIN.
 */
#ifndef FS_PARK_H
#define FS_PARK_H

#include "fs/fuse.h"

#include <stdbool.h>
#include <stdint.h>

enum { PARK_MAX = 65536 };

struct park;

struct park_list {
    struct park *first;
};

/* All parked requests of the daemon. */
struct parking {
    struct park *ready_first, *ready_last; /* to be tried again after this round */
    uint32_t count;
    bool closed; /* shutting down: nothing parks any more */
};

/* Try to answer.  Returns true when the request was answered; false to wait on, on the list that it
 * has put into *list. */
typedef bool park_resume(struct park *park, struct park_list **list);

struct park {
    fuse_req_t request;
    park_resume *resume;
    void (*abandon)(
        struct park *park); /* before an answer that `resume` did not give; may be NULL */
    struct handle *handle;
    struct fuse_file_info file; /* of an open */
    size_t size;                /* of a read */
    off_t offset;
    struct parking *parking;
    struct park_list *list; /* where it waits; NULL while ready */
    struct park *previous, *next;
    bool interrupted;
};

/* Park a request on a list.  `like` holds the fields from request to offset; it is copied.  When it
 * can't be parked it is abandoned and answered at once (EAGAIN, ENOMEM, ESHUTDOWN). */
void park_wait(struct parking *parking, const struct park *like, struct park_list *list);

/* What this list waits for has changed. */
void park_wake(struct parking *parking, struct park_list *list);

/* Try everything that was woken or interrupted; called after each round of the loop. */
void park_run(struct parking *parking);

/* Answer all of these lists' waiters with an errno. */
void park_refuse(struct parking *parking, struct park_list *list, int code);

#endif
