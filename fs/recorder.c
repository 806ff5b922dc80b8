/* recorder.c - see recorder.h. */
#include "fs/recorder.h"

#include "base/clock.h"

/* Does somebody wait for it already? */
static bool is_awaited(const struct pool_view *view)
{
    switch (view->state) {
    case POOL_PLANNING:
    case POOL_WAITING:
    case POOL_LOADING:
        return true;
    case POOL_DRAINING:
    case POOL_UNLOADING:
        return view->waiting > 0;
    case POOL_COLD:
    case POOL_FAILED:
    case POOL_READY:
    case POOL_BUSY:
        break;
    }
    return false;
}

void recorder_asked(struct model *model, const char *reason, int64_t at_us)
{
    struct pool_view view = {.state = POOL_COLD};
    pool_view(model->daemon->pool, model->id, &view);
    bool resident = view.state == POOL_READY || view.state == POOL_BUSY;
    if (resident || (model->asked_us && is_awaited(&view)))
        return; /* else what was asked before was given up */
    model->asked_us = at_us;
    model->asked_reason = reason;
}

void recorder_decided(struct model *model)
{
    int64_t now_us = clock_now_us();
    if (!model->asked_us) { /* the pool's own wish: a victim's lane is loaded again */
        model->asked_us = now_us;
        model->asked_reason = "request";
    }
    swap_begin(&model->swap, model->entry->name, model->asked_reason, model->asked_us);
    model->swap.decided_us = now_us;
}

/* The record that a victim's moments belong to, or NULL: a loaded model that gets room for KV pages
 * makes no swap. */
static struct swap *beneficiary_swap(const struct model *victim)
{
    struct model *model =
        victim->leaving_for ? daemon_model(victim->daemon, victim->leaving_for) : NULL;
    return model && model->swap.open && !model->swap.started_us ? &model->swap : NULL;
}

void recorder_drained(struct model *victim)
{
    struct swap *swap = beneficiary_swap(victim);
    if (swap)
        swap->drained_us = clock_now_us();
}

void recorder_told(struct model *victim)
{
    struct swap *swap = beneficiary_swap(victim);
    if (swap)
        swap->told_us = clock_now_us();
}

void recorder_exited(struct model *victim)
{
    struct swap *swap = beneficiary_swap(victim);
    struct pool_view view = {.charge_bytes = 0};
    if (swap) {
        swap->exited_us = clock_now_us();
        if (!swap->told_us) /* it died before it was told to leave */
            swap->drained_us = swap->told_us = swap->exited_us;
        pool_view(victim->daemon->pool, victim->id, &view);
        swap_victim(swap, victim->entry->name, view.charge_bytes);
    }
    victim->leaving_for = 0;
}

void recorder_started(struct model *model)
{
    struct swap *swap = &model->swap;
    if (!swap->open)
        recorder_decided(model);
    swap->started_us = clock_now_us();
    if (!swap->evicted_count) { /* nobody has left for it: it waited for its turn in the queue */
        swap->decided_us = swap->started_us;
        swap->drained_us = swap->told_us = swap->exited_us = 0;
    } else if (swap->exited_us < swap->told_us) { /* the last ones were not needed after all */
        swap->exited_us = swap->started_us;
    }
}

static void finish(struct model *model)
{
    struct daemon *daemon = model->daemon;
    model->swap.seq = ++daemon->swap_seq;
    model->totals.swaps++;
    daemon->totals.swaps++;
    json_t *record = swap_json(&model->swap);
    swap_free(&model->swap);
    if (!record)
        return;
    json_decref(model->last_swap);
    json_decref(daemon->last_swap);
    model->last_swap = record;
    daemon->last_swap = json_incref(record);
    json_t *event = json_copy(record); /* flat but for `evicted`, which nobody changes */
    events_add(&daemon->events, &daemon->parking, "swap", model->entry->name, event);
}

void recorder_ready(struct model *model, const struct protocol_ready *ready)
{
    struct swap *swap = &model->swap;
    model->asked_us = 0;
    clock_gettime(CLOCK_REALTIME, &model->loaded);
    if (!swap->open)
        return;
    swap->loaded_us = ready->loaded_us;
    swap->configured_us = ready->configured_us;
    swap->ready_us = clock_now_us();
    swap->loaded_bytes = ready->loaded_bytes;
    swap->cold_bytes = ready->cold_bytes;
    if (model->jobs_active == 0)
        finish(model); /* nobody waits for a first token */
}

void recorder_first_byte(struct model *model, int64_t at_us)
{
    if (!model->swap.open || !model->swap.ready_us)
        return;
    model->swap.first_byte_us = at_us;
    finish(model);
}

void recorder_settled(struct model *model)
{
    if (model->swap.open && model->swap.ready_us && model->jobs_active == 0)
        finish(model);
}

void recorder_dropped(struct model *model)
{
    swap_free(&model->swap);
}
