/* job.c - see job.h. */
#include "fs/job.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

struct job *job_new(uint64_t id, const struct config *config, struct buffer *prompt)
{
    struct job *job = memory_try(1, sizeof *job);
    if (!job)
        return NULL;
    if (config_copy(config, &job->config)) {
        free(job);
        return NULL;
    }
    job->id = id;
    job->references = 1;
    job->committed_us = clock_now_us();
    job->answer = buffer_new(JOB_ANSWER_BYTES_MAX);
    job->logprobs = buffer_new(JOB_ANSWER_BYTES_MAX);
    job->prompt = *prompt;
    *prompt = buffer_new(prompt->limit);
    return job;
}

void job_hold(struct job *job)
{
    job->references++;
}

void job_release(struct job *job)
{
    if (--job->references)
        return;
    buffer_free(&job->prompt);
    buffer_free(&job->answer);
    buffer_free(&job->logprobs);
    config_close(&job->config);
    free(job);
}

bool job_ended(const struct job *job)
{
    return job->state >= JOB_DONE;
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {"queued", "running", "done", "failed", "cancelled"};
    return names[state];
}

void job_end(struct job *job, enum job_state state, int code, const char *finish, const char *error)
{
    job->state = state;
    job->code = code;
    job->ended_us = clock_now_us();
    snprintf(job->finish, sizeof job->finish, "%s", finish);
    snprintf(job->error, sizeof job->error, "%s", error);
    buffer_free(&job->prompt);
}
