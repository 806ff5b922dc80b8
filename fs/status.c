/* status.c - see status.h. */
#include "fs/status.h"

#include "base/clock.h"
#include "fs/jsontext.h"
#include "fs/version.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *span_ms(int64_t from_us, int64_t to_us)
{
    return from_us && to_us ? json_real(clock_ms(to_us - from_us)) : json_null();
}

static json_t *record(json_t *swap)
{
    return swap ? json_incref(swap) : json_null();
}

static json_t *totals(const struct model_totals *totals)
{
    json_t *object = json_object();
    json_object_set_new(object, "jobs", number(totals->jobs));
    json_object_set_new(object, "errors", number(totals->errors));
    json_object_set_new(object, "cancelled", number(totals->cancelled));
    json_object_set_new(object, "swaps", number(totals->swaps));
    json_object_set_new(object, "prompt_tokens", number(totals->prompt_tokens));
    json_object_set_new(object, "completion_tokens", number(totals->completion_tokens));
    return object;
}

const char *status_word(const struct model *model)
{
    struct pool_view view;
    if (!pool_view(model->daemon->pool, model->id, &view))
        return "cold";
    switch (view.state) {
    case POOL_COLD:
        return "cold";
    case POOL_PLANNING:
    case POOL_WAITING:
    case POOL_LOADING:
        return "loading";
    case POOL_READY:
        return "ready";
    case POOL_BUSY:
        return "busy";
    case POOL_DRAINING:
    case POOL_UNLOADING:
        return "draining";
    case POOL_FAILED:
        return "failed";
    }
    return "cold";
}

/* The last job that ended; null before the first. */
static json_t *last_job(const struct model *model)
{
    const struct job *job = model->last_ended;
    if (!job)
        return json_null();
    json_t *object = json_object();
    int64_t decode_us = job->worker_first_us ? job->worker_ended_us - job->worker_first_us : 0;
    json_object_set_new(object, "id", number(job->id));
    json_object_set_new(object, "state", json_string(job_state_name(job->state)));
    json_object_set_new(object, "finish", jsontext_new(job->finish));
    json_object_set_new(object, "prompt_tokens", json_integer(job->prompt_tokens));
    json_object_set_new(object, "cached_tokens", json_integer(job->cached_tokens));
    json_object_set_new(object, "completion_tokens", json_integer(job->completion_tokens));
    json_object_set_new(object, "drafted_tokens", json_integer(job->drafted_tokens));
    json_object_set_new(object, "accepted_tokens", json_integer(job->accepted_tokens));
    if (job->truncated_texts)
        json_object_set_new(object, "truncated_texts", json_integer(job->truncated_texts));
    json_object_set_new(object, "queued_ms", span_ms(job->committed_us, job->run_us));
    json_object_set_new(object, "first_token_ms", span_ms(job->committed_us, job->first_byte_us));
    json_object_set_new(object, "prefill_ms",
                        span_ms(job->worker_started_us, job->worker_first_us));
    json_object_set_new(object, "decode_ms", span_ms(job->worker_first_us, job->worker_ended_us));
    json_object_set_new(object, "total_ms", span_ms(job->committed_us, job->ended_us));
    json_object_set_new(object, "tok_per_s",
                        decode_us > 0 && job->completion_tokens > 1
                            ? json_real((job->completion_tokens - 1) * 1e6 / (double)decode_us)
                            : json_null());
    return object;
}

static json_t *model_object(const struct model *model)
{
    struct pool_view view = {.state = POOL_COLD};
    pool_view(model->daemon->pool, model->id, &view);
    uint32_t queued = 0, running = 0;
    for (const struct job *job = model->newest; job; job = job->older) {
        queued += job->state == JOB_QUEUED;
        running += job->state == JOB_RUNNING;
    }
    json_t *object = json_object();
    json_object_set_new(object, "model", jsontext_new(model->entry->name));
    json_object_set_new(object, "state", json_string(status_word(model)));
    json_object_set_new(object, "resident_bytes", number(view.charge_bytes));
    json_object_set_new(object, "planned_bytes",
                        model->planned ? number(model->plan_bytes) : json_null());
    json_object_set_new(object, "file_bytes", number(model->entry->bytes));
    json_object_set_new(object, "pinned", json_boolean(view.pinned));
    json_object_set_new(object, "queued", json_integer(queued));
    json_object_set_new(object, "running", json_integer(running));
    json_object_set_new(object, "pid",
                        model->worker ? json_integer(worker_pid(model->worker)) : json_null());
    json_object_set_new(object, "threads",
                        model->worker ? json_integer(model->threads) : json_null());
    return object;
}

static int append_line(json_t *object, struct buffer *out)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(object);
    if (!text)
        return -ENOMEM;
    int status = buffer_printf(out, "%s\n", text);
    free(text);
    return status;
}

int status_model(const struct model *model, uid_t reader, struct buffer *out)
{
    json_t *object = model_object(model);
    json_object_set_new(object, "last_swap", record(model->last_swap));
    json_object_set_new(object, "last_job", last_job(model));
    json_object_set_new(object, "totals", totals(&model->totals));
    json_object_set_new(object, "error", jsontext_new(model_error(model, reader)));
    return append_line(object, out);
}

int status_root(const struct daemon *daemon, struct buffer *out)
{
    json_t *object = json_object(), *models = json_array();
    uint64_t queued = 0, running = 0;
    for (size_t i = 0; i < catalog_count(daemon->catalog); i++) {
        json_t *one = model_object(catalog_at(daemon->catalog, i)->owner);
        queued += (uint64_t)json_integer_value(json_object_get(one, "queued"));
        running += (uint64_t)json_integer_value(json_object_get(one, "running"));
        json_array_append_new(models, one);
    }
    json_object_set_new(object, "version", json_string(INFERFS_VERSION));
    json_object_set_new(object, "pid", json_integer(getpid()));
    json_object_set_new(object, "state", json_string(daemon->stopping ? "stopping" : "running"));
    json_object_set_new(object, "budget_bytes", number(pool_budget_bytes(daemon->pool)));
    json_object_set_new(object, "resident_bytes", number(pool_charged_bytes(daemon->pool)));
    json_object_set_new(object, "pinned_bytes", number(pool_pinned_bytes(daemon->pool)));
    json_object_set_new(object, "queued", number(queued));
    json_object_set_new(object, "running", number(running));
    json_object_set_new(object, "models", models);
    json_object_set_new(object, "last_swap", record(daemon->last_swap));
    json_object_set_new(object, "totals", totals(&daemon->totals));
    return append_line(object, out);
}
