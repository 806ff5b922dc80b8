/* pool_moves.c - one function for each change of a model's state, and what it says aloud.
 *
 *   COLD FAILED            -> PLANNING        [want]       -> WAITING when its plan is known
 *   PLANNING COLD FAILED   -> WAITING         [wait]       or refused: it never fits
 *   WAITING (unplaced)    <-> WAITING (claim) [reserve, unreserve]
 *   WAITING (claim)        -> LOADING         [start]
 *   LOADING                -> READY, BUSY     [ready]
 *   READY                  -> BUSY            [run]
 *   BUSY                   -> READY           [rest]
 *   READY BUSY             -> DRAINING        [drain]      READY goes on to UNLOADING at once
 *   DRAINING               -> BUSY            [reprieve]
 *   DRAINING               -> UNLOADING       [rest]       when the last running request ended
 *   LOADING READY          -> UNLOADING       [stop]
 *   UNLOADING              -> COLD ...        [reap]       or forgotten; wanted again where asked
 *   READY BUSY DRAINING    -> COLD ...        [die]
 *   LOADING                -> FAILED          [die]
 *   PLANNING               -> FAILED          [fail]
 *   PLANNING WAITING COLD  -> COLD            [refuse]
 *   WAITING                -> COLD            [unwant]     LOADING is stopped
 *
 * When a move is made is not decided here: see pool_plan.c and pool.c.
 */
#include "fs/pool_internal.h"

#include <errno.h>

static const int64_t us_per_ms = 1000;

static struct pool_request *first_of(const struct pool_link *ring)
{
    return POOL_ITEM(ring->next, struct pool_request, link);
}

static void say_of_model(struct pool *pool, enum pool_action_kind kind,
                         const struct pool_model *model)
{
    pool_books_say(pool, (struct pool_action){
                             .kind = kind, .model = model->id, .generation = model->generation});
}

/* Pinned bytes of all models but this one. */
static int64_t pinned_by_others(const struct pool *pool, const struct pool_model *model)
{
    return pool->totals.pinned - (model->pinned ? pool_books_weight(model) : 0);
}

bool pool_moves_never_fits(const struct pool *pool, const struct pool_model *model)
{
    return model->planned_bytes > pool->budget_bytes - pinned_by_others(pool, model);
}

/* POOL_FAIL for a request, or (0) for the pin or load that was asked for without one. */
static void say_fail(struct pool *pool, const struct pool_model *model, uint64_t request, int code,
                     enum pool_reason reason)
{
    struct pool_action action = {
        .kind = POOL_FAIL,
        .model = model->id,
        .request = request,
        .code = code,
        .reason = reason,
    };
    if (reason == POOL_NEVER_FITS) {
        action.need_bytes = (uint64_t)model->planned_bytes;
        action.budget_bytes = (uint64_t)pool->budget_bytes;
        action.pinned_bytes = (uint64_t)pinned_by_others(pool, model);
    }
    pool_books_say(pool, action);
}

void pool_moves_fail_waiting(struct pool *pool, struct pool_model *model, int code,
                             enum pool_reason reason)
{
    while (model->waiting_count) {
        struct pool_request *request = first_of(&model->waiting);
        say_fail(pool, model, request->id, code, reason);
        pool_books_forget_request(pool, request);
    }
    if (model->load_wanted || model->pinned)
        say_fail(pool, model, 0, code, reason);
    model->load_wanted = false;
}

/* Before the load */

void pool_moves_want(struct pool *pool, struct pool_model *model)
{
    model->overtaken = 0;
    if (model->planned_bytes) {
        pool_moves_wait(pool, model);
        return;
    }
    pool_books_move(pool, model, POOL_PLANNING);
    say_of_model(pool, POOL_PLAN, model);
}

void pool_moves_wait(struct pool *pool, struct pool_model *model)
{
    if (pool_moves_never_fits(pool, model)) {
        pool_moves_refuse(pool, model);
        return;
    }
    pool_books_turn(pool, model);
    pool_books_move(pool, model, POOL_WAITING);
}

void pool_moves_refuse(struct pool *pool, struct pool_model *model)
{
    pool_moves_unreserve(pool, model);
    pool_moves_fail_waiting(pool, model, ENOMEM, POOL_NEVER_FITS);
    pool_books_pin(pool, model, false);
    pool_books_move(pool, model, POOL_COLD);
}

/* Somebody stopped wanting it.  A load goes on only as long as something wants it. */
void pool_moves_unwant(struct pool *pool, struct pool_model *model)
{
    pool_books_turn(pool, model);
    if (pool_books_wanted(model))
        return;
    if (model->state == POOL_WAITING) {
        pool_moves_unreserve(pool, model);
        pool_books_move(pool, model, POOL_COLD);
    } else if (model->state == POOL_LOADING) {
        pool_moves_stop(pool, model);
    }
}

void pool_moves_reserve(struct pool *pool, struct pool_model *model)
{
    model->generation = ++pool->generations;
    model->overtaken = 0;
    pool_books_claim(pool, model, model->planned_bytes);
    say_of_model(pool, POOL_RESERVED, model);
}

/* Take its claim to load back: it waits for its turn again. */
void pool_moves_unreserve(struct pool *pool, struct pool_model *model)
{
    if (model->state != POOL_WAITING || pool_link_alone(&model->claim))
        return;
    pool_books_unclaim(pool, model);
    model->generation = 0;
    pool_books_move(pool, model, POOL_WAITING);
}

/* The load, and running */

void pool_moves_start(struct pool *pool, struct pool_model *model)
{
    int64_t bytes = model->claim_bytes;
    pool_books_unclaim(pool, model);
    pool_books_charge(pool, model, bytes);
    pool_books_move(pool, model, POOL_LOADING);
    model->started_us = pool->now_us;
    pool_books_say(pool, (struct pool_action){.kind = POOL_START,
                                              .model = model->id,
                                              .generation = model->generation,
                                              .bytes = (uint64_t)bytes});
}

/* Loaded.  Who caused the load runs in the same step, so that no model can be a victim before
 * that. */
void pool_moves_ready(struct pool *pool, struct pool_model *model)
{
    model->load_wanted = false;
    model->failures = 0;
    model->loaded_us = model->used_us = pool->now_us;
    model->load_us = pool->now_us - model->started_us;
    pool_books_move(pool, model, POOL_READY);
    pool_moves_run(pool, model);
}

/* Everything in the lane runs at once: the worker batches. */
void pool_moves_run(struct pool *pool, struct pool_model *model)
{
    while (model->waiting_count) {
        struct pool_request *request = first_of(&model->waiting);
        pool_books_run_request(request);
        pool_books_say(pool, (struct pool_action){.kind = POOL_RUN,
                                                  .request = request->id,
                                                  .model = model->id,
                                                  .generation = model->generation});
    }
    if (model->running_count && model->state != POOL_BUSY)
        pool_books_move(pool, model, POOL_BUSY);
}

/* A running request ended and was forgotten. */
void pool_moves_rest(struct pool *pool, struct pool_model *model)
{
    model->used_us = pool->now_us;
    if (model->running_count)
        return;
    if (model->state == POOL_BUSY) {
        pool_books_move(pool, model, POOL_READY);
    } else {
        say_of_model(pool, POOL_DRAINED, model);
        pool_moves_stop(pool, model);
    }
}

/* Leaving */

/* No request enters this generation any more, except after a reprieve. */
void pool_moves_drain(struct pool *pool, struct pool_model *model, bool reprievable)
{
    model->reprievable = reprievable;
    model->drain_over = false;
    model->drain_us = pool->now_us;
    if (model->running_count) {
        pool_books_move(pool, model, POOL_DRAINING);
    } else {
        say_of_model(pool, POOL_DRAINED, model);
        pool_moves_stop(pool, model);
    }
}

/* The drain deadline: what still runs is told to stop; its end is still waited for. */
void pool_moves_overdue(struct pool *pool, struct pool_model *model)
{
    model->drain_over = true;
    for (struct pool_link *link = model->running.next; link != &model->running; link = link->next)
        pool_books_cancel(pool, POOL_ITEM(link, struct pool_request, link), POOL_DRAIN_OVER);
}

void pool_moves_reprieve(struct pool *pool, struct pool_model *model)
{
    model->beneficiary = 0;
    model->load_wanted = false; /* it is loaded */
    pool_books_move(pool, model, POOL_BUSY);
    pool_moves_run(pool, model);
}

/* Its questions for room die with the generation. */
void pool_moves_stop(struct pool *pool, struct pool_model *model)
{
    model->grow_count = 0;
    pool_books_unclaim(pool, model);
    say_of_model(pool, POOL_STOP, model);
    pool_books_move(pool, model, POOL_UNLOADING);
}

static void clear_generation(struct pool *pool, struct pool_model *model)
{
    model->grow_count = 0;
    model->generation = 0;
    model->beneficiary = 0;
    pool_books_unclaim(pool, model);
    pool_books_charge(pool, model, 0);
}

/* No worker any more: forgotten when removed, else wanted again by its lane; a pin waits for
 * retry_us. */
static void become_cold(struct pool *pool, struct pool_model *model)
{
    if (model->gone) {
        pool_books_forget_model(pool, model);
        return;
    }
    model->want_sequence = model->load_wanted ? model->want_sequence : ++pool->sequences;
    model->want_us = model->load_wanted ? model->want_us : pool->now_us;
    pool_books_move(pool, model, POOL_COLD);
    if (model->waiting_count || model->load_wanted)
        pool_moves_want(pool, model);
}

/* The worker is gone after it was told to go: its charge is returned. */
void pool_moves_reap(struct pool *pool, struct pool_model *model)
{
    clear_generation(pool, model);
    model->retry_us = 0;
    become_cold(pool, model);
}

/* The worker is gone and nobody had told it to go. */
void pool_moves_die(struct pool *pool, struct pool_model *model, int code)
{
    bool loading = model->state == POOL_LOADING;
    clear_generation(pool, model);
    if (loading) {
        pool_moves_fail(pool, model, code, POOL_LOAD_BAD);
        return;
    }
    while (model->running_count) {
        struct pool_request *request = first_of(&model->running);
        say_fail(pool, model, request->id, code, POOL_WORKER_DIED);
        pool_books_forget_request(pool, request);
    }
    /* A prompt may have it back at once; a pin alone must not make a worker that dies over and
     * over start over and over. */
    model->retry_us = pool->now_us + POOL_BACKOFF_MS * us_per_ms;
    become_cold(pool, model);
}

void pool_moves_fail(struct pool *pool, struct pool_model *model, int code, enum pool_reason reason)
{
    int64_t backoff_ms = POOL_BACKOFF_MS;
    for (uint32_t i = 0; i < model->failures && backoff_ms < POOL_BACKOFF_MS_MAX; i++)
        backoff_ms *= 2;
    if (backoff_ms > POOL_BACKOFF_MS_MAX)
        backoff_ms = POOL_BACKOFF_MS_MAX;
    model->failures++;
    model->failure_code = code;
    model->retry_us = pool->now_us + backoff_ms * us_per_ms;
    pool_moves_fail_waiting(pool, model, code, reason);
    pool_books_move(pool, model, POOL_FAILED);
}
