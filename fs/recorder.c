/* recorder.c - see recorder.h. */
#include "fs/recorder.h"

#include "base/clock.h"

#include <string.h>

void recorder_asked(struct model *model, const char *reason, int64_t at_us)
{
    struct pool_view view;
    bool known = pool_view(model->daemon->pool, model->id, &view);
    bool resident = known && (view.state == POOL_READY || view.state == POOL_BUSY);
    if (resident || model->asked_us)
        return;
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

void recorder_victim(struct model *victim, struct model *beneficiary)
{
    struct pool_view view;
    if (!beneficiary->swap.open || !pool_view(victim->daemon->pool, victim->id, &view))
        return; /* the room is for a loaded model's KV pages: no swap */
    victim->leaving_for = beneficiary->id;
    swap_victim(&beneficiary->swap, victim->entry->name, view.charge_bytes);
}

/* The record that a victim's moments belong to, or NULL. */
static struct swap *beneficiary_swap(const struct model *victim)
{
    struct model *model = victim->leaving_for ? daemon_model(victim->daemon, victim->leaving_for)
                                              : NULL;
    return model && model->swap.open ? &model->swap : NULL;
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
    if (swap)
        swap->exited_us = clock_now_us();
    victim->leaving_for = 0;
}

void recorder_started(struct model *model)
{
    if (!model->swap.open)
        recorder_decided(model);
    model->swap.started_us = clock_now_us();
    if (!model->swap.evicted_count) /* what it waited for were no victims of its own: the queue */
        model->swap.decided_us = model->swap.started_us;
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
    if (strcmp(swap->reason, "request") != 0 && model_active_jobs(model) == 0)
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
    if (model->swap.open && model->swap.ready_us && model_active_jobs(model) == 0)
        finish(model);
}

void recorder_dropped(struct model *model)
{
    swap_free(&model->swap);
    model->asked_us = 0;
}
