/* jobs.c - see jobs.h. */
#include "fs/jobs.h"

#include "base/clock.h"
#include "engine/protocol.h"
#include "fs/dispatch.h"
#include "fs/jsontext.h"
#include "fs/log.h"
#include "fs/recorder.h"

#include <errno.h>
#include <stdio.h>

static struct job **bucket(struct daemon *daemon, uint64_t id)
{
    return &daemon->jobs[id % DAEMON_JOB_BUCKETS];
}

struct job *jobs_find(const struct daemon *daemon, uint64_t id)
{
    struct job *job = daemon->jobs[id % DAEMON_JOB_BUCKETS];
    while (job && job->id != id)
        job = job->next;
    return job;
}

int jobs_admit(const struct daemon *daemon, const struct model *model, uid_t uid, size_t more_bytes)
{
    if (daemon->stopping)
        return -ESHUTDOWN;
    if (model->removed)
        return -ESTALE;
    if (daemon->jobs_active >= DAEMON_JOBS_MAX)
        return -ENOSPC;
    uint32_t own = 0;
    uint64_t prompt_bytes = daemon->written_bytes + more_bytes;
    for (size_t i = 0; i < DAEMON_JOB_BUCKETS; i++)
        for (const struct job *job = daemon->jobs[i]; job; job = job->next) {
            own += job->uid == uid;
            prompt_bytes += job->prompt.length;
        }
    if (prompt_bytes > DAEMON_PROMPT_BYTES_MAX)
        return -ENOSPC;
    return own >= DAEMON_JOBS_USER_MAX ? -EDQUOT : 0;
}

static void time_out(void *owner)
{
    struct job *job = owner;
    char why[JOB_ERROR_BYTES];
    snprintf(why, sizeof why, "the answer was not complete after %g s (config/timeout)",
             job->config.timeout_s);
    jobs_cancel(job->model->daemon, job, ETIMEDOUT, why);
    dispatch_run(job->model->daemon);
}

static json_t *job_event(const struct job *job)
{
    json_t *event = json_object();
    json_object_set_new(event, "job", json_integer((json_int_t)job->id));
    return event;
}

int jobs_submit(struct daemon *daemon, struct model *model, uid_t uid, const struct lineage *writer,
                struct buffer *prompt)
{
    int status = jobs_admit(daemon, model, uid, 0);
    if (status)
        return status;
    struct job *job = job_new(++daemon->job_seq, &model->config, prompt);
    if (!job)
        return -ENOMEM;
    job->uid = uid;
    job->writer = *writer;
    model_add_job(model, job);
    daemon->totals.jobs++;
    daemon->jobs_active++;
    job->next = *bucket(daemon, job->id);
    *bucket(daemon, job->id) = job;
    if (job->config.timeout_s > 0)
        loop_timer_set(daemon->loop, &job->timeout,
                       job->committed_us + (int64_t)(job->config.timeout_s * 1e6), time_out, job);
    recorder_asked(model, "request", job->committed_us);
    events_add(&daemon->events, &daemon->parking, "queued", model->entry->name, job_event(job));
    dispatch_post(
        daemon, &(struct pool_event){.kind = POOL_REQUEST, .model = model->id, .request = job->id});
    return 0;
}

static void remove_from_table(struct daemon *daemon, struct job *job)
{
    struct job **at = bucket(daemon, job->id);
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job->next = NULL;
}

static void end(struct daemon *daemon, struct job *job, enum job_state state, int code,
                const char *finish, const char *why)
{
    static const char *const events[] = {
        [JOB_DONE] = "done", [JOB_FAILED] = "error", [JOB_CANCELLED] = "cancel"};
    struct model *model = job->model;
    char reason[JOB_ERROR_BYTES];
    if (job->cancel_asked) { /* whatever came of it meanwhile */
        state = JOB_CANCELLED;
        code = job->cancel_code;
        finish = "cancelled";
        snprintf(reason, sizeof reason, "%s", job->error);
        why = reason;
    }
    job_hold(job); /* the accounting may drop it from its model's list */
    loop_timer_clear(daemon->loop, &job->timeout);
    remove_from_table(daemon, job);
    job_end(job, state, code, finish, why);
    daemon->jobs_active--;
    daemon->totals.errors += state == JOB_FAILED;
    daemon->totals.cancelled += state == JOB_CANCELLED;
    daemon->totals.prompt_tokens += (uint64_t)job->prompt_tokens;
    daemon->totals.completion_tokens += (uint64_t)job->completion_tokens;
    model_job_ended(model, job);
    model_set_error(model, job->uid, why);
    recorder_settled(model);
    json_t *event = job_event(job);
    if (code)
        json_object_set_new(event, "error", jsontext_new(why));
    events_add(&daemon->events, &daemon->parking, events[state], model->entry->name, event);
    park_wake(&daemon->parking, &job->waiters);
    park_wake(&daemon->parking, &job->readers);
    park_wake(&daemon->parking, &model->waiters);
    job_release(job);
}

void jobs_cancel(struct daemon *daemon, struct job *job, int code, const char *why)
{
    if (job_ended(job) || job->cancel_asked)
        return;
    job->cancel_asked = true;
    job->cancel_code = code;
    snprintf(job->error, sizeof job->error, "%s", why);
    dispatch_post(daemon, &(struct pool_event){.kind = POOL_REQUEST_DROPPED,
                                               .model = job->model->id,
                                               .request = job->id});
    if (job->state == JOB_QUEUED)
        end(daemon, job, JOB_CANCELLED, code, "cancelled", why);
}

void jobs_started(struct daemon *daemon, struct job *job)
{
    job->state = JOB_RUNNING;
    job->run_us = clock_now_us();
    buffer_free(&job->prompt); /* the worker has it now */
    events_add(&daemon->events, &daemon->parking, "start", job->model->entry->name, job_event(job));
}

/* The first byte can be read from now on. */
static void note_first_byte(struct daemon *daemon, struct job *job)
{
    if (job->first_byte_us)
        return;
    job->first_byte_us = clock_now_us();
    recorder_first_byte(job->model, job->first_byte_us);
    events_add(&daemon->events, &daemon->parking, "first_token", job->model->entry->name,
               job_event(job));
}

void jobs_text(struct daemon *daemon, struct job *job, struct text text)
{
    if (text.length == 0 || job->cancel_asked)
        return;
    if (buffer_append_text(&job->answer, text)) {
        jobs_cancel(daemon, job, EFBIG, "the answer is too large to keep");
        return;
    }
    note_first_byte(daemon, job);
    park_wake(&daemon->parking, &job->readers);
}

void jobs_logprobs(struct job *job, struct text lines)
{
    if (buffer_append_text(&job->logprobs, lines))
        job->logprobs.limit = job->logprobs.length; /* a shorter one later would follow a gap */
}

void jobs_done(struct daemon *daemon, struct job *job, const struct protocol_done *done)
{
    char text[JOB_ERROR_BYTES], finish[sizeof job->finish];
    job->prompt_tokens = done->prompt_tokens > 0 ? done->prompt_tokens : 0;
    job->cached_tokens = done->cached_tokens > 0 ? done->cached_tokens : 0;
    job->completion_tokens = done->completion_tokens > 0 ? done->completion_tokens : 0;
    job->drafted_tokens = done->drafted_tokens > 0 ? done->drafted_tokens : 0;
    job->accepted_tokens = done->accepted_tokens > 0 ? done->accepted_tokens : 0;
    job->truncated_texts = done->truncated_texts > 0 ? done->truncated_texts : 0;
    job->worker_started_us = done->started_us;
    job->worker_first_us = done->first_token_us;
    job->worker_ended_us = done->ended_us;
    snprintf(text, sizeof text, "%.*s", TEXT_ARGUMENTS(done->text));
    snprintf(finish, sizeof finish, "%.*s", TEXT_ARGUMENTS(done->finish));
    if (done->code == 0) {
        note_first_byte(daemon, job); /* an empty answer is readable too */
        end(daemon, job, JOB_DONE, 0, finish, "");
    } else {
        end(daemon, job, JOB_FAILED, done->code > 0 ? done->code : EIO, "failed",
            text[0] ? text : "the engine gave no reason");
    }
}

void jobs_fail(struct daemon *daemon, struct job *job, int code, const char *why)
{
    end(daemon, job, JOB_FAILED, code, "failed", why);
}
