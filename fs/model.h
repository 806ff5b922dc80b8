/* model.h - the daemon's record of one model: its settings, process, jobs and figures.
 *
 * Owns:     the jobs that it keeps (its list holds one reference each), the worker processes, the
 *           settings.
 * Promise:  a model that was removed from the folder lives on until its jobs, handles and worker
 *           are gone.
 * Threads:  the loop's.
 * Limits:   MODEL_* below.
 */
#ifndef FS_MODEL_H
#define FS_MODEL_H

#include "fs/catalog.h"
#include "fs/config.h"
#include "fs/job.h"
#include "fs/swap.h"
#include "fs/worker.h"

struct daemon;
struct handle;

enum {
    MODEL_JOBS_KEPT = 256,               /* ended jobs whose answers can still be read */
    MODEL_ANSWERS_BYTES_KEPT = 64 << 20, /* ... and their bytes */
    MODEL_ERRORS_KEPT = 16,              /* users whose last error is kept */
    MODEL_ERROR_BYTES = 256,
};

struct model_error {
    bool set;
    uid_t uid;
    uint64_t order; /* larger is later */
    char text[MODEL_ERROR_BYTES];
};

struct model_totals {
    uint64_t jobs, errors, cancelled, swaps, prompt_tokens, completion_tokens;
};

struct model {
    struct daemon *daemon;
    uint64_t id;
    struct catalog_model *entry;
    bool removed;
    struct model *next_removed;
    struct config config;

    struct worker *worker; /* of `generation`; NULL when there is none */
    uint64_t generation;
    bool worker_ready;
    bool worker_stopping; /* told to exit: its end is no failure */
    int threads;          /* that the worker may compute with, as it was last told */
    struct worker *probe; /* reads the plan; NULL when there is none */
    bool probe_outdated;  /* what it says is of the past */
    bool plan_wanted;     /* the pool waits for it */
    bool planned;         /* plan_bytes and info hold for the present file */
    uint64_t plan_bytes;
    char *info;       /* one line of JSON */
    int failure_code; /* of the last plan, load or worker that failed; 0: none */
    char failure[MODEL_ERROR_BYTES];

    struct swap swap;  /* being recorded */
    json_t *last_swap; /* the last complete record, NULL before the first */
    int64_t asked_us;  /* when the load that is coming was first asked for */
    const char *asked_reason;
    uint64_t leaving_for; /* the model that gets this one's room, 0 for none */

    struct job *newest;               /* its jobs, newest first */
    uint32_t jobs_active, jobs_ended; /* of them */
    uint64_t answer_bytes;            /* of the ended ones */
    struct job *last_ended;           /* a reference, NULL before the first */
    struct handle *handles;           /* open on one of its files */
    struct park_list waiters; /* for: no job running, a prompt's commit, the plan, its removal */

    struct model_totals totals;
    struct model_error errors[MODEL_ERRORS_KEPT];
    uint64_t error_order;
    struct timespec loaded, used, submitted, finished; /* real time, 0 before the first */
};

/* Returns NULL without memory. */
struct model *model_new(struct daemon *daemon, struct catalog_model *entry);
void model_free(struct model *model);

/* Put a new job at the head of the list; drop ended ones past the limits. */
void model_add_job(struct model *model, struct job *job);

/* Account for a job that has just ended. */
void model_job_ended(struct model *model, struct job *job);

/* The job that this reader means: of its own user's jobs the one whose writer is nearest to the
 * reader, the newest of equals; NULL when there is none.  *distance is its distance. */
struct job *model_choose_job(const struct model *model, uid_t uid, const struct lineage *reader,
                             uint32_t *distance);

/* Remember the last error of one user, for the file `error`; "" forgets it. */
void model_set_error(struct model *model, uid_t uid, const char *text);
const char *model_error(const struct model *model, uid_t uid);

#endif
