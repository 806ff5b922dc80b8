/* jobs.h - the life of a job: submitted, run, ended.
 *
 * Promise:  each submitted job ends exactly once, and whoever waits for it is woken then.
 * Threads:  the loop's.
 * Limits:   DAEMON_JOBS_MAX, DAEMON_JOBS_USER_MAX, DAEMON_PROMPT_BYTES_MAX.
 */
#ifndef FS_JOBS_H
#define FS_JOBS_H

#include "base/text.h"
#include "fs/daemon.h"

struct protocol_done;

/* May this user submit one more, or write so many bytes more of one?  Returns 0, -ENOSPC, -EDQUOT,
 * -ESHUTDOWN, or -ESTALE. */
int jobs_admit(const struct daemon *daemon, const struct model *model, uid_t uid,
               size_t more_bytes);

/* Submit a prompt (its bytes are taken).  Returns 0, -ENOMEM, or what jobs_admit() says. */
int jobs_submit(struct daemon *daemon, struct model *model, uid_t uid, const struct lineage *writer,
                struct buffer *prompt);

/* A job that has not ended, or NULL. */
struct job *jobs_find(const struct daemon *daemon, uint64_t id);

/* Ask for its end: a waiting one ends at once, a running one at its next token. */
void jobs_cancel(struct daemon *daemon, struct job *job, int code, const char *why);

/* It was handed to the worker. */
void jobs_started(struct daemon *daemon, struct job *job);

/* The next lines of its logprobs; the first that do not fit are the end of what is kept. */
void jobs_logprobs(struct job *job, struct text lines);

/* The next bytes of its answer. */
void jobs_text(struct daemon *daemon, struct job *job, struct text text);

/* The worker is done with it. */
void jobs_done(struct daemon *daemon, struct job *job, const struct protocol_done *done);

/* It will not run, or its worker died. */
void jobs_fail(struct daemon *daemon, struct job *job, int code, const char *why);

#endif
