/* pool.c - see pool.h.  Events in, timers, views.
 *
 * A step has three parts: check the event against the state (or refuse it and change nothing),
 * write it down, then let pool_plan_settle() draw the conclusions.  Timers need no event of their
 * own: every step first looks at what is due.
 */
#include "fs/pool.h"

#include "base/memory.h"
#include "fs/pool_internal.h"

#include <errno.h>
#include <stdlib.h>

static const int64_t us_per_ms = 1000;

enum { IDLE_TTL_DAYS_MAX = 10000 }; /* keeps times in microseconds far from the edge */

int pool_open(uint64_t budget_bytes, struct pool **out)
{
    *out = NULL;
    struct pool *pool = memory_try(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    if (pool_books_open(pool)) {
        pool_books_close(pool);
        free(pool);
        return -ENOMEM;
    }
    pool->budget_bytes = (int64_t)(budget_bytes < POOL_BYTES_MAX ? budget_bytes : POOL_BYTES_MAX);
    pool->now_us = INT64_MIN;
    pool->replan_us = INT64_MAX;
    *out = pool;
    return 0;
}

void pool_close(struct pool *pool)
{
    if (!pool)
        return;
    pool_books_close(pool);
    free(pool);
}

/* Bytes of a model: more than any budget stays more than any budget. */
static int64_t clamp_bytes(uint64_t bytes)
{
    return (int64_t)(bytes <= POOL_BYTES_MAX ? bytes : POOL_BYTES_MAX + 1);
}

static int errno_of(int code)
{
    return code > 0 ? code : EIO;
}

static bool is_loaded(const struct pool_model *model)
{
    return model->state == POOL_READY || model->state == POOL_BUSY;
}

static bool is_backing_off(const struct pool *pool, const struct pool_model *model)
{
    return model->state == POOL_FAILED && pool->now_us < model->retry_us;
}

/* Models come, change and go */

static int model_added(struct pool *pool, const struct pool_event *event)
{
    if (event->model == 0 || pool_books_model(pool, event->model))
        return -EINVAL;
    return pool_books_add_model(pool, event->model) ? 0 : -ENOMEM;
}

/* End the live generation, if there is one, for a reason that no reprieve undoes. */
static void end_generation(struct pool *pool, struct pool_model *model)
{
    model->reprievable = false;
    if (is_loaded(model))
        pool_moves_drain(pool, model, false);
    else if (model->state == POOL_LOADING)
        pool_moves_stop(pool, model);
}

static int model_changed(struct pool *pool, struct pool_model *model)
{
    model->failures = 0;
    model->retry_us = 0;
    model->replan = model->state == POOL_PLANNING;
    pool_moves_unreserve(pool, model);
    pool_books_plan(pool, model, 0);
    if (model->state == POOL_FAILED)
        pool_books_move(pool, model, POOL_COLD);
    else if (model->state == POOL_WAITING)
        pool_moves_want(pool, model);
    end_generation(pool, model);
    return 0;
}

static int model_removed(struct pool *pool, struct pool_model *model)
{
    model->gone = true;
    model->load_wanted = false;
    pool_books_pin(pool, model, false);
    pool_moves_fail_waiting(pool, model, ESTALE, POOL_GONE);
    end_generation(pool, model);
    if (model->state != POOL_DRAINING && model->state != POOL_UNLOADING)
        pool_books_forget_model(pool, model);
    pool->place_due = true;
    return 0;
}

/* Requests come and go */

static int request_came(struct pool *pool, struct pool_model *model, uint64_t id)
{
    if (id == 0 || pool_books_request(pool, id))
        return -EINVAL;
    bool full = pool->requests.count == POOL_REQUESTS_MAX;
    if (full || is_backing_off(pool, model)) {
        pool_books_say(pool, (struct pool_action){
                                 .kind = POOL_FAIL,
                                 .request = id,
                                 .model = model->id,
                                 .code = full ? EAGAIN : model->failure_code,
                                 .reason = full ? POOL_FULL : POOL_BACKING_OFF,
                             });
        return 0;
    }
    if (!pool_books_add_request(pool, model, id))
        return -ENOMEM;
    if (is_loaded(model))
        pool_moves_run(pool, model);
    else if (model->state == POOL_COLD || model->state == POOL_FAILED)
        pool_moves_want(pool, model);
    return 0;
}

static int request_ended(struct pool *pool, struct pool_request *request)
{
    struct pool_model *model = request->model;
    if (!request->running)
        return -EINVAL;
    pool_books_forget_request(pool, request);
    pool_moves_rest(pool, model);
    return 0;
}

static int request_dropped(struct pool *pool, struct pool_request *request)
{
    struct pool_model *model = request->model;
    if (!request->running) {
        pool_books_forget_request(pool, request);
        pool_moves_unwant(pool, model);
        return 0;
    }
    pool_books_cancel(pool, request, POOL_UNLOADED);
    return 0;
}

/* Answers of the daemon's workers */

static int planned(struct pool *pool, struct pool_model *model, const struct pool_event *event)
{
    if (model->state != POOL_PLANNING)
        return -EINVAL;
    if (model->replan) { /* of the file that was there before: ask again */
        model->replan = false;
        pool_moves_want(pool, model);
        return 0;
    }
    if (event->kind == POOL_PLAN_FAILED) {
        pool_moves_fail(pool, model, errno_of(event->code), POOL_PLAN_BAD);
        return 0;
    }
    int64_t bytes = clamp_bytes(event->bytes);
    pool_books_plan(pool, model, bytes ? bytes : 1); /* 0 stands for not known */
    if (pool_books_wanted(model))
        pool_moves_wait(pool, model);
    else
        pool_books_move(pool, model, POOL_COLD);
    return 0;
}

static int loaded(struct pool *pool, struct pool_model *model, const struct pool_event *event)
{
    if (model->state != POOL_LOADING || event->generation != model->generation)
        return -EINVAL;
    if (event->bytes) {
        pool_books_charge(pool, model, clamp_bytes(event->bytes));
        pool_books_plan(pool, model, clamp_bytes(event->bytes)); /* known better now */
    }
    pool->over |= pool_books_free(pool) < 0;
    pool_moves_ready(pool, model);
    return 0;
}

static int exited(struct pool *pool, struct pool_model *model, const struct pool_event *event,
                  uint64_t *beneficiary)
{
    bool live = is_loaded(model) || model->state == POOL_LOADING || model->state == POOL_DRAINING ||
                model->state == POOL_UNLOADING;
    if (!live || event->generation != model->generation)
        return -EINVAL;
    *beneficiary = model->beneficiary;
    if (model->state == POOL_UNLOADING)
        pool_moves_reap(pool, model);
    else
        pool_moves_die(pool, model, errno_of(event->code));
    return 0;
}

static int grow(struct pool *pool, struct pool_model *model, const struct pool_event *event)
{
    bool asks = is_loaded(model) || model->state == POOL_DRAINING;
    if (!asks || event->generation != model->generation || event->bytes == 0)
        return -EINVAL;
    pool_plan_grow(pool, model, clamp_bytes(event->bytes));
    return 0;
}

/* Orders of the user */

static void want_without_request(struct pool *pool, struct pool_model *model)
{
    model->want_sequence = ++pool->sequences;
    model->want_us = pool->now_us;
}

static int load(struct pool *pool, struct pool_model *model)
{
    if (is_loaded(model) || model->load_wanted)
        return 0;
    if (is_backing_off(pool, model)) {
        pool_books_say(pool, (struct pool_action){.kind = POOL_FAIL,
                                                  .model = model->id,
                                                  .code = model->failure_code,
                                                  .reason = POOL_BACKING_OFF});
        return 0;
    }
    want_without_request(pool, model);
    model->load_wanted = true;
    if (model->state == POOL_COLD || model->state == POOL_FAILED)
        pool_moves_want(pool, model);
    return 0;
}

/* A cold one enters pool->resting by this and is wanted at once or when its backoff ends. */
static int pin(struct pool *pool, struct pool_model *model)
{
    if (model->pinned)
        return 0;
    want_without_request(pool, model);
    if (model->state == POOL_COLD)
        model->retry_us = 0;
    pool_books_pin(pool, model, true);
    if (model->state == POOL_DRAINING && model->reprievable)
        pool_moves_reprieve(pool, model);
    return 0;
}

static int unpin(struct pool *pool, struct pool_model *model)
{
    pool_books_pin(pool, model, false);
    pool_moves_unwant(pool, model);
    return 0;
}

/* Requests that wait stay and have it loaded again. */
static int unload(struct pool *pool, struct pool_model *model)
{
    model->load_wanted = false;
    unpin(pool, model);
    end_generation(pool, model);
    return 0;
}

static int budget(struct pool *pool, uint64_t bytes)
{
    int64_t old_bytes = pool->budget_bytes;
    pool->budget_bytes = (int64_t)(bytes < POOL_BYTES_MAX ? bytes : POOL_BYTES_MAX);
    pool->shrinking |= pool->budget_bytes < old_bytes;
    pool->over |= pool_books_free(pool) < 0;
    pool->limits_changed = pool->place_due = true;
    return 0;
}

static int idle_ttl(struct pool *pool, uint64_t ttl_ms)
{
    const uint64_t ttl_ms_max = (uint64_t)IDLE_TTL_DAYS_MAX * 24 * 3600 * 1000;
    pool->idle_ttl_us = (int64_t)(ttl_ms < ttl_ms_max ? ttl_ms : ttl_ms_max) * us_per_ms;
    return 0;
}

static int apply_to_model(struct pool *pool, const struct pool_event *event,
                          struct pool_model *model, uint64_t *beneficiary)
{
    switch (event->kind) {
    case POOL_MODEL_CHANGED:
        return model_changed(pool, model);
    case POOL_MODEL_REMOVED:
        return model_removed(pool, model);
    case POOL_REQUEST:
        return request_came(pool, model, event->request);
    case POOL_LOAD:
        return load(pool, model);
    case POOL_UNLOAD:
        return unload(pool, model);
    case POOL_PIN:
        return pin(pool, model);
    case POOL_UNPIN:
        return unpin(pool, model);
    case POOL_PLANNED:
    case POOL_PLAN_FAILED:
        return planned(pool, model, event);
    case POOL_LOADED:
        return loaded(pool, model, event);
    case POOL_EXITED:
        return exited(pool, model, event, beneficiary);
    case POOL_GROW:
        return grow(pool, model, event);
    case POOL_MODEL_ADDED:
    case POOL_REQUEST_ENDED:
    case POOL_REQUEST_DROPPED:
    case POOL_BUDGET:
    case POOL_IDLE_TTL:
    case POOL_TIMER:
        break;
    }
    return -EINVAL;
}

/* A removed model takes only what ends it. */
static struct pool_model *addressee(const struct pool *pool, const struct pool_event *event)
{
    struct pool_model *model = pool_books_model(pool, event->model);
    if (model && model->gone && event->kind != POOL_EXITED && event->kind != POOL_GROW)
        return NULL;
    return model;
}

static int apply(struct pool *pool, const struct pool_event *event, uint64_t *beneficiary)
{
    switch ((int)event->kind) {
    case POOL_MODEL_ADDED:
        return model_added(pool, event);
    case POOL_BUDGET:
        return budget(pool, event->bytes);
    case POOL_IDLE_TTL:
        return idle_ttl(pool, event->bytes);
    case POOL_TIMER:
        return 0;
    case POOL_REQUEST_ENDED:
    case POOL_REQUEST_DROPPED: {
        struct pool_request *request = pool_books_request(pool, event->request);
        if (!request)
            return -EINVAL;
        return event->kind == POOL_REQUEST_ENDED ? request_ended(pool, request)
                                                 : request_dropped(pool, request);
    }
    default:
        break;
    }
    struct pool_model *model = addressee(pool, event);
    return model ? apply_to_model(pool, event, model, beneficiary) : -EINVAL;
}

/* Timers */

static struct pool_model *model_at(struct pool_link *link)
{
    return POOL_ITEM(link, struct pool_model, place);
}

static int64_t drain_end_us(const struct pool_model *model)
{
    return model->drain_us + POOL_DRAIN_MS * us_per_ms;
}

static void end_drains(struct pool *pool)
{
    for (struct pool_link *link = pool->draining.next; link != &pool->draining; link = link->next) {
        struct pool_model *model = model_at(link);
        if (!model->drain_over && drain_end_us(model) <= pool->now_us)
            pool_moves_overdue(pool, model);
    }
}

static void unload_unused(struct pool *pool)
{
    struct pool_link *next;
    for (struct pool_link *link = pool->idle.next; pool->idle_ttl_us && link != &pool->idle;
         link = next) {
        next = link->next;
        struct pool_model *model = model_at(link);
        if (model->used_us > pool->now_us - pool->idle_ttl_us)
            break;
        if (!model->pinned)
            pool_moves_drain(pool, model, false);
    }
}

static void want_pinned(struct pool *pool)
{
    struct pool_link *next;
    for (struct pool_link *link = pool->resting.next; link != &pool->resting; link = next) {
        next = link->next;
        if (model_at(link)->retry_us <= pool->now_us)
            pool_moves_want(pool, model_at(link));
    }
}

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

int64_t pool_deadline_us(const struct pool *pool)
{
    const struct pool_link *link;
    int64_t deadline_us = pool->limits_changed ? pool->now_us : pool->replan_us;
    for (link = pool->draining.next; link != &pool->draining; link = link->next) {
        const struct pool_model *model = POOL_ITEM(link, struct pool_model, place);
        if (model->drain_over)
            continue;
        deadline_us = earlier(deadline_us, drain_end_us(model));
        break; /* the oldest drain is first */
    }
    for (link = pool->idle.next; pool->idle_ttl_us && link != &pool->idle; link = link->next) {
        const struct pool_model *model = POOL_ITEM(link, struct pool_model, place);
        if (model->pinned)
            continue;
        deadline_us = earlier(deadline_us, model->used_us + pool->idle_ttl_us);
        break; /* the least recently used is first */
    }
    for (link = pool->resting.next; link != &pool->resting; link = link->next)
        deadline_us = earlier(deadline_us, POOL_ITEM(link, struct pool_model, place)->retry_us);
    return deadline_us;
}

int pool_step(struct pool *pool, const struct pool_event *event, int64_t now_us,
              struct pool_actions *out)
{
    *out = (struct pool_actions){0};
    pool->action_count = 0;
    if (now_us > pool->now_us)
        pool->now_us = now_us;
    uint64_t beneficiary = 0;
    int status = apply(pool, event, &beneficiary);
    if (status)
        return status;
    end_drains(pool);
    unload_unused(pool);
    want_pinned(pool);
    pool_plan_settle(pool, beneficiary);
    *out = (struct pool_actions){pool->actions, pool->action_count};
    return 0;
}

/* Views */

bool pool_view(const struct pool *pool, uint64_t id, struct pool_view *out)
{
    const struct pool_model *model = pool_books_model(pool, id);
    *out = (struct pool_view){0};
    if (!model)
        return false;
    *out = (struct pool_view){
        .state = model->state,
        .generation = model->state == POOL_WAITING ? 0 : model->generation,
        .charge_bytes = (uint64_t)model->charge_bytes,
        .planned_bytes = (uint64_t)model->planned_bytes,
        .waiting = model->waiting_count,
        .running = model->running_count,
        .pinned = model->pinned,
        .used_us = model->used_us,
    };
    return true;
}

uint64_t pool_budget_bytes(const struct pool *pool)
{
    return (uint64_t)pool->budget_bytes;
}

uint64_t pool_charged_bytes(const struct pool *pool)
{
    return (uint64_t)pool->totals.charged;
}

uint64_t pool_pinned_bytes(const struct pool *pool)
{
    return (uint64_t)pool->totals.pinned;
}

const char *pool_state_name(enum pool_state state)
{
    static const char *const names[] = {"cold", "planning", "waiting",   "loading", "ready",
                                        "busy", "draining", "unloading", "failed"};
    size_t index = (size_t)state;
    return index < sizeof names / sizeof *names ? names[index] : "unknown";
}
