/* daemon.h - the root of the running program: what the parts share.
 *
 * One thread runs everything (loop.h): the kernel's requests, the workers' messages, the models
 * folder, timers and signals.  So nothing here is locked, and nothing may block.
 *
 * Owns:     all of its members.
 * Threads:  the loop's.
 * Limits:   DAEMON_* below.
 */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

#include "fs/events.h"
#include "fs/model.h"
#include "fs/options.h"
#include "fs/park.h"
#include "fs/pool.h"

#include <time.h>

enum {
    DAEMON_JOBS_MAX = 4096,      /* not ended, all users: ENOSPC beyond it */
    DAEMON_JOBS_USER_MAX = 1024, /* not ended, one user: EDQUOT beyond it */
    DAEMON_JOB_BUCKETS = 1024,
    /* Being written or queued, all users: ENOSPC beyond it.  Less than WORKER_QUEUE_BYTES_MAX, so
     * that all that waits for a model can be handed to it at once. */
    DAEMON_PROMPT_BYTES_MAX = 96 << 20,
};

struct dispatch;

struct daemon {
    struct options options;
    struct loop *loop;
    struct catalog *catalog;
    struct pool *pool;
    struct model *removed; /* gone from the folder, not forgotten yet */
    struct dispatch *dispatch;
    struct job *jobs[DAEMON_JOB_BUCKETS]; /* not ended, by number */
    struct fuse_session *session;
    struct parking parking;
    struct events events;
    struct handle *handles; /* open on the root or one of its files */
    uint64_t written_bytes; /* of all handles: not committed yet */
    struct model_totals totals;
    json_t *last_swap; /* NULL before the first */
    uint64_t swap_seq, job_seq;
    uint32_t jobs_active;
    int threads; /* that all workers together compute with */
    uid_t uid;   /* who mounted it */
    gid_t gid;
    struct timespec started;
    bool stopping; /* prompts are refused */
};

/* A model's record by number, also of a removed one that still lives; NULL when there is none. */
static inline struct model *daemon_model(const struct daemon *daemon, uint64_t id)
{
    const struct catalog_model *entry = catalog_by_id(daemon->catalog, id);
    return entry ? entry->owner : NULL;
}

#endif
