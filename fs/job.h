/* job.h - one prompt and its answer.
 *
 *   QUEUED ──run──▶ RUNNING ──▶ DONE | FAILED | CANCELLED
 *      └───────────────────────▶ FAILED | CANCELLED
 *
 * Owns:     the prompt (freed when the job has ended), the answer, the snapshot of the settings.
 * Promise:  a job ends once; its answer only grows, and not after the end; it lives while a handle
 *           refers to it or its model keeps it.
 * Threads:  the loop's.
 * Limits:   JOB_* below.
 */
#ifndef FS_JOB_H
#define FS_JOB_H

#include "base/memory.h"
#include "fs/config.h"
#include "fs/lineage.h"
#include "fs/loop.h"
#include "fs/park.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    JOB_ANSWER_BYTES_MAX = 64 << 20,
    JOB_ERROR_BYTES = 256,
    JOB_PROMPT_BYTES_DEFAULT = 8 << 20, /* -o max_prompt */
    JOB_PROMPT_BYTES_MAX = 48 << 20,
};

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };

struct job {
    uint64_t id; /* also the pool's request */
    struct model *model;
    struct job *older, *newer; /* its model's list */
    struct job *next;          /* of its bucket in the daemon's table, until it ends */
    uint32_t references;       /* handles, and 1 while in its model's list */
    uid_t uid;
    struct lineage writer;
    struct config config;
    struct buffer prompt, answer;
    struct buffer logprobs; /* lines of JSON, when they were asked for */
    enum job_state state;
    bool cancel_asked; /* its end will be JOB_CANCELLED */
    int cancel_code;   /* ECANCELED, or ETIMEDOUT */
    int code;          /* errno of a failed or cancelled one */
    char error[JOB_ERROR_BYTES];
    char finish[16]; /* "stop", "length", "cancelled", "failed" */
    int32_t prompt_tokens, cached_tokens, completion_tokens;
    int32_t drafted_tokens, accepted_tokens; /* guessed; and rightly */
    int32_t truncated_texts; /* of a request to embed */
    /* CLOCK_MONOTONIC; 0 when it did not happen.  Of the worker: prefill began, token chosen, end.
     */
    int64_t committed_us, run_us, first_byte_us, ended_us;
    int64_t worker_started_us, worker_first_us, worker_ended_us;
    struct loop_timer timeout;
    struct park_list waiters; /* for its end */
    struct park_list readers; /* for its next bytes, or its end */
};

/* A job of a committed prompt; takes the prompt's bytes out of *prompt.  Returns NULL without
 * memory
 * (*prompt is then untouched). */
struct job *job_new(uint64_t id, const struct config *config, struct buffer *prompt);

void job_hold(struct job *job);
void job_release(struct job *job); /* frees it with the last reference */

bool job_ended(const struct job *job);
const char *job_state_name(enum job_state state);

/* Record the end.  The prompt is freed. */
void job_end(struct job *job, enum job_state state, int code, const char *finish,
             const char *error);

#endif
