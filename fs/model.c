/* model.c - see model.h. */
#include "fs/model.h"

#include <stdio.h>
#include <stdlib.h>

struct model *model_new(struct daemon *daemon, struct catalog_model *entry)
{
    struct model *model = memory_try(1, sizeof *model);
    if (!model)
        return NULL;
    if (config_open(&model->config)) {
        free(model);
        return NULL;
    }
    model->daemon = daemon;
    model->id = entry->id;
    model->entry = entry;
    return model;
}

static void unlink_job(struct model *model, struct job *job)
{
    if (job->newer)
        job->newer->older = job->older;
    else
        model->newest = job->older;
    if (job->older)
        job->older->newer = job->newer;
    job->older = job->newer = NULL;
    job_release(job);
}

void model_free(struct model *model)
{
    while (model->newest)
        unlink_job(model, model->newest);
    if (model->last_ended)
        job_release(model->last_ended);
    if (model->worker)
        worker_close(model->worker);
    if (model->probe)
        worker_close(model->probe);
    swap_free(&model->swap);
    json_decref(model->last_swap);
    config_close(&model->config);
    free(model->info);
    free(model);
}

/* Let the oldest ended answers go until the rest is within the limits. */
static void trim(struct model *model)
{
    struct job *oldest = model->newest;
    while (oldest && oldest->older)
        oldest = oldest->older;
    while (oldest && (model->jobs_ended > MODEL_JOBS_KEPT ||
                      model->answer_bytes > MODEL_ANSWERS_BYTES_KEPT)) {
        struct job *newer = oldest->newer;
        if (job_ended(oldest) && newer) { /* the newest one always stays readable */
            model->jobs_ended--;
            model->answer_bytes -= oldest->answer.length + oldest->logprobs.length;
            unlink_job(model, oldest);
        }
        oldest = newer;
    }
}

void model_add_job(struct model *model, struct job *job)
{
    job->model = model;
    job->older = model->newest;
    if (model->newest)
        model->newest->newer = job;
    model->newest = job;
    model->jobs_active++;
    model->totals.jobs++;
    clock_gettime(CLOCK_REALTIME, &model->submitted);
    model->used = model->submitted;
    trim(model);
}

void model_job_ended(struct model *model, struct job *job)
{
    model->jobs_active--;
    model->jobs_ended++;
    model->answer_bytes += job->answer.length + job->logprobs.length;
    model->totals.errors += job->state == JOB_FAILED;
    model->totals.cancelled += job->state == JOB_CANCELLED;
    model->totals.prompt_tokens += (uint64_t)job->prompt_tokens;
    model->totals.completion_tokens += (uint64_t)job->completion_tokens;
    clock_gettime(CLOCK_REALTIME, &model->finished);
    model->used = model->finished;
    if (model->last_ended)
        job_release(model->last_ended);
    job_hold(job);
    model->last_ended = job;
    trim(model);
}

struct job *model_choose_job(const struct model *model, uid_t uid, const struct lineage *reader,
                             uint32_t *distance)
{
    struct job *best = NULL;
    for (struct job *job = model->newest; job; job = job->older) {
        if (job->uid != uid)
            continue;
        uint32_t here = lineage_distance(reader, &job->writer);
        if (!best || here < *distance) {
            best = job;
            *distance = here;
        }
    }
    return best;
}

void model_set_error(struct model *model, uid_t uid, const char *text)
{
    struct model_error *slot = &model->errors[0];
    for (size_t i = 0; i < MODEL_ERRORS_KEPT; i++) {
        struct model_error *error = &model->errors[i];
        if (error->set && error->uid == uid) {
            slot = error;
            break;
        }
        if (!error->set || (slot->set && error->order < slot->order))
            slot = error;
    }
    slot->set = true;
    slot->uid = uid;
    slot->order = ++model->error_order;
    snprintf(slot->text, sizeof slot->text, "%s", text);
}

const char *model_error(const struct model *model, uid_t uid)
{
    for (size_t i = 0; i < MODEL_ERRORS_KEPT; i++)
        if (model->errors[i].set && model->errors[i].uid == uid)
            return model->errors[i].text;
    return "";
}
