/* dispatch.c - see dispatch.h. */
#include "fs/dispatch.h"

#include "base/clock.h"
#include "fs/jobs.h"
#include "fs/jsontext.h"
#include "fs/log.h"
#include "fs/recorder.h"
#include "fs/residents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 1 << 20 };

struct dispatch {
    struct pool_event *events; /* [count], from `next` on not yet fed */
    size_t count, next, capacity;
    struct pool_action *actions; /* a copy of one step's: carrying them out posts events, and a
                                  * later step reuses the pool's array */
    size_t action_capacity;
    bool running;
    struct loop_timer timer;
};

int dispatch_open(struct daemon *daemon)
{
    daemon->dispatch = memory_try(1, sizeof *daemon->dispatch);
    return daemon->dispatch ? 0 : -ENOMEM;
}

void dispatch_close(struct daemon *daemon)
{
    if (!daemon->dispatch)
        return;
    loop_timer_clear(daemon->loop, &daemon->dispatch->timer);
    free(daemon->dispatch->events);
    free(daemon->dispatch->actions);
    free(daemon->dispatch);
    daemon->dispatch = NULL;
}

static void give_up(struct daemon *daemon)
{
    log_write(LOG_CRIT, "no memory for the books of the model pool: stopping");
    loop_stop(daemon->loop);
}

void dispatch_post(struct daemon *daemon, const struct pool_event *event)
{
    struct dispatch *dispatch = daemon->dispatch;
    if (memory_grow((void **)&dispatch->events, &dispatch->capacity, dispatch->count + 1,
                    sizeof *event, EVENTS_MAX)) {
        give_up(daemon);
        return;
    }
    dispatch->events[dispatch->count++] = *event;
}

void dispatch_request_ended(struct daemon *daemon, uint64_t model, uint64_t request)
{
    dispatch_post(daemon, &(struct pool_event){
                              .kind = POOL_REQUEST_ENDED, .model = model, .request = request});
}

/* One sentence for whoever reads `error`. */
static void explain(const struct pool_action *action, const struct model *model, char *out,
                    size_t size)
{
    double mb = 1e6;
    switch (action->reason) {
    case POOL_NEVER_FITS:
        snprintf(out, size,
                 "the model needs %.1f MB, the budget is %.1f MB, of which %.1f MB are pinned",
                 (double)action->need_bytes / mb, (double)action->budget_bytes / mb,
                 (double)action->pinned_bytes / mb);
        return;
    case POOL_PLAN_BAD:
    case POOL_LOAD_BAD:
    case POOL_WORKER_DIED:
    case POOL_BACKING_OFF:
        snprintf(out, size, "%s", model->failure[0] ? model->failure : strerror(action->code));
        return;
    case POOL_GONE:
        snprintf(out, size, "the model's file was removed");
        return;
    case POOL_DRAIN_OVER:
        snprintf(out, size, "the model had to leave before the answer was complete");
        return;
    case POOL_FULL:
        snprintf(out, size, "more than %d requests are waiting", (int)POOL_REQUESTS_MAX);
        return;
    case POOL_NO_REASON:
    case POOL_UNLOADED:
        break;
    }
    snprintf(out, size, "%s", strerror(action->code));
}

/* A load or pin that nobody waits for has failed: the mount's owner, who alone may ask for one,
 * finds the reason in `error`. */
static void refuse_load(struct daemon *daemon, struct model *model, const char *why)
{
    model_set_error(model, daemon->uid, why);
    json_t *event = json_object();
    json_object_set_new(event, "error", jsontext_new(why));
    events_add(&daemon->events, &daemon->parking, "error", model->entry->name, event);
    recorder_dropped(model);
}

static void carry_out_request(struct daemon *daemon, struct model *model,
                              const struct pool_action *action)
{
    struct job *job = jobs_find(daemon, action->request);
    char why[JOB_ERROR_BYTES];
    if (action->kind == POOL_FAIL && !action->request) { /* a pin or load that can't be */
        explain(action, model, why, sizeof why);
        refuse_load(daemon, model, why);
        return;
    }
    if (!job) { /* it was cancelled, and the pool did not know when it said this */
        if (action->kind == POOL_RUN)
            dispatch_request_ended(daemon, model->id, action->request);
        return;
    }
    if (action->kind == POOL_RUN) {
        residents_run(model, job);
    } else if (action->kind == POOL_CANCEL) {
        if (!job->cancel_asked) { /* the pool's own wish */
            job->cancel_asked = true;
            job->cancel_code = action->code;
            explain(action, model, job->error, sizeof job->error);
        }
        residents_cancel(model, job);
    } else {
        explain(action, model, why, sizeof why);
        jobs_fail(daemon, job, action->code, why);
    }
}

static void carry_out(struct daemon *daemon, const struct pool_action *action)
{
    struct model *model = daemon_model(daemon, action->model);
    if (!model)
        return;
    switch (action->kind) {
    case POOL_PLAN:
        residents_plan(model);
        break;
    case POOL_RESERVED:
        recorder_decided(model);
        break;
    case POOL_VICTIM:
        model->leaving_for = action->beneficiary;
        events_add(&daemon->events, &daemon->parking, "evict", model->entry->name, NULL);
        break;
    case POOL_DRAINED:
        recorder_drained(model);
        events_add(&daemon->events, &daemon->parking, "drain", model->entry->name, NULL);
        break;
    case POOL_START:
        residents_start(model, action->generation);
        break;
    case POOL_STOP:
        residents_stop(model, action->generation);
        break;
    case POOL_RUN:
    case POOL_CANCEL:
    case POOL_FAIL:
        carry_out_request(daemon, model, action);
        break;
    case POOL_GRANT:
        residents_grant(model, action->generation, action->bytes);
        break;
    case POOL_REFUSE: {
        char why[JOB_ERROR_BYTES];
        snprintf(why, sizeof why,
                 "no memory for more context: %.1f MB more are needed, the budget is %.1f MB, of "
                 "which %.1f MB are pinned",
                 (double)action->need_bytes / 1e6, (double)action->budget_bytes / 1e6,
                 (double)action->pinned_bytes / 1e6);
        residents_refuse(model, action->generation, why);
        break;
    }
    }
}

/* Feed one event; false when there is no memory to go on. */
static bool step(struct daemon *daemon, const struct pool_event *event)
{
    struct dispatch *dispatch = daemon->dispatch;
    struct pool_actions said = {0};
    int status = pool_step(daemon->pool, event, clock_now_us(), &said);
    if (status && event->kind == POOL_REQUEST) {
        struct job *job = jobs_find(daemon, event->request);
        if (job)
            jobs_fail(daemon, job, -status, "the request could not be queued");
        return true;
    }
    if (status == -EINVAL) {
        log_write(LOG_DEBUG, "the pool has no use for event %d of model %llu", (int)event->kind,
                  (unsigned long long)event->model);
        return true;
    }
    if (status || memory_grow((void **)&dispatch->actions, &dispatch->action_capacity, said.count,
                              sizeof *said.items, EVENTS_MAX))
        return false;
    for (size_t i = 0; i < said.count; i++)
        dispatch->actions[i] = said.items[i];
    for (size_t i = 0; i < said.count; i++)
        carry_out(daemon, &dispatch->actions[i]);
    return true;
}

static void time_passed(void *owner)
{
    struct daemon *daemon = owner;
    dispatch_post(daemon, &(struct pool_event){.kind = POOL_TIMER});
    dispatch_run(daemon);
}

void dispatch_run(struct daemon *daemon)
{
    struct dispatch *dispatch = daemon->dispatch;
    if (dispatch->running || dispatch->count == 0)
        return;
    dispatch->running = true;
    while (dispatch->next < dispatch->count) {
        struct pool_event event = dispatch->events[dispatch->next++];
        if (!step(daemon, &event)) {
            give_up(daemon);
            break;
        }
    }
    dispatch->next = dispatch->count = 0;
    dispatch->running = false;
    int64_t due_us = pool_deadline_us(daemon->pool);
    if (due_us == INT64_MAX)
        loop_timer_clear(daemon->loop, &dispatch->timer);
    else
        loop_timer_set(daemon->loop, &dispatch->timer, due_us, time_passed, daemon);
}
