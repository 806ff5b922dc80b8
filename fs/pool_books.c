/* pool_books.c - where the pool writes things down: tables by number, lists by state, sums.
 *
 * Every fact that a sum or a list depends on is changed here and nowhere else, so that sums and
 * lists cannot fall behind.  Nothing is decided here.  The tables have their full size from the
 * start and the array of actions grows when a model or a request is added, so that no later step
 * can fail half-way for want of memory.
 */
#include "fs/pool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum {
    /* What one step can say, at most: of a model PLAN, RESERVED, two times VICTIM, DRAINED, STOP,
     * START, two FAIL without a request and an answer to each question for room; of a request its
     * RUN, CANCEL or FAIL. */
    MODEL_ACTIONS_MAX = 9 + POOL_GROWS_MAX,
    REQUEST_ACTIONS_MAX = 2,
    ACTIONS_MAX = MODEL_ACTIONS_MAX * POOL_MODELS_MAX + REQUEST_ACTIONS_MAX * POOL_REQUESTS_MAX,
    TABLE_FILL = 2, /* slots for each item of a full table */
};

/* Tables */

static uint64_t key_of(const void *item)
{
    return *(const uint64_t *)item;
}

static size_t slot_of(const struct pool_table *table, uint64_t id)
{
    /* Fibonacci hashing (Knuth, volume 3, 6.4): the numbers are our own, mostly consecutive. */
    return (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (table->capacity - 1);
}

static void *table_find(const struct pool_table *table, uint64_t id)
{
    size_t slot = slot_of(table, id);
    while (table->items[slot] && key_of(table->items[slot]) != id)
        slot = (slot + 1) & (table->capacity - 1);
    return table->items[slot];
}

static void table_add(struct pool_table *table, void *item)
{
    size_t slot = slot_of(table, key_of(item));
    while (table->items[slot])
        slot = (slot + 1) & (table->capacity - 1);
    table->items[slot] = item;
    table->count++;
}

/* Close the gap instead of leaving a tombstone: an item moves back into the gap unless its own
 * slot lies after it. */
static void table_remove(struct pool_table *table, const void *item)
{
    size_t mask = table->capacity - 1;
    size_t gap = slot_of(table, key_of(item));
    while (table->items[gap] != item)
        gap = (gap + 1) & mask;
    for (size_t next = (gap + 1) & mask; table->items[next]; next = (next + 1) & mask) {
        size_t distance = (next - slot_of(table, key_of(table->items[next]))) & mask;
        if (distance >= ((next - gap) & mask)) {
            table->items[gap] = table->items[next];
            gap = next;
        }
    }
    table->items[gap] = NULL;
    table->count--;
}

static int table_open(struct pool_table *table, size_t items)
{
    table->capacity = items * TABLE_FILL; /* POOL_*_MAX are powers of two */
    table->items = memory_try(table->capacity, sizeof *table->items);
    return table->items ? 0 : -ENOMEM;
}

static void table_close(struct pool_table *table)
{
    for (size_t i = 0; table->items && i < table->capacity; i++)
        free(table->items[i]);
    free(table->items);
}

int pool_books_open(struct pool *pool)
{
    struct pool_link *lists[] = {&pool->lanes, &pool->claims,   &pool->idle,
                                 &pool->busy,  &pool->draining, &pool->resting};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        pool_link_clear(lists[i]);
    pool->victims = memory_try(POOL_MODELS_MAX, sizeof *pool->victims);
    if (!pool->victims || table_open(&pool->models, POOL_MODELS_MAX) ||
        table_open(&pool->requests, POOL_REQUESTS_MAX))
        return -ENOMEM;
    return 0;
}

void pool_books_close(struct pool *pool)
{
    table_close(&pool->models);
    table_close(&pool->requests);
    free(pool->victims);
    free(pool->actions);
}

/* Actions */

int pool_books_make_room(struct pool *pool, size_t models, size_t requests)
{
    size_t needed = MODEL_ACTIONS_MAX * models + REQUEST_ACTIONS_MAX * requests;
    void *actions = pool->actions;
    int status =
        memory_grow(&actions, &pool->action_capacity, needed, sizeof *pool->actions, ACTIONS_MAX);
    pool->actions = actions;
    return status ? -ENOMEM : 0;
}

void pool_books_say(struct pool *pool, struct pool_action action)
{
    if (pool->action_count == pool->action_capacity) {
        pool->action_lost = true; /* a broken invariant: see MODEL_ACTIONS_MAX */
        return;
    }
    pool->actions[pool->action_count++] = action;
}

void pool_books_cancel(struct pool *pool, struct pool_request *request, enum pool_reason reason)
{
    if (request->cancelled)
        return;
    request->cancelled = true;
    pool_books_say(pool, (struct pool_action){.kind = POOL_CANCEL,
                                              .request = request->id,
                                              .model = request->model->id,
                                              .generation = request->model->generation,
                                              .code = ECANCELED,
                                              .reason = reason});
}

/* Models and requests */

struct pool_model *pool_books_model(const struct pool *pool, uint64_t id)
{
    return table_find(&pool->models, id);
}

struct pool_request *pool_books_request(const struct pool *pool, uint64_t id)
{
    return table_find(&pool->requests, id);
}

struct pool_model *pool_books_add_model(struct pool *pool, uint64_t id)
{
    if (pool->models.count == POOL_MODELS_MAX ||
        pool_books_make_room(pool, pool->models.count + 1, pool->requests.count))
        return NULL;
    struct pool_model *model = memory_try(1, sizeof *model);
    if (!model)
        return NULL;
    model->id = id;
    model->state = POOL_COLD;
    pool_link_clear(&model->place);
    pool_link_clear(&model->claim);
    pool_link_clear(&model->waiting);
    pool_link_clear(&model->running);
    table_add(&pool->models, model);
    return model;
}

void pool_books_forget_model(struct pool *pool, struct pool_model *model)
{
    pool_books_unclaim(pool, model);
    pool_books_tally(&pool->totals, model, -1);
    pool_link_remove(&model->place);
    table_remove(&pool->models, model);
    free(model);
}

struct pool_request *pool_books_add_request(struct pool *pool, struct pool_model *model,
                                            uint64_t id)
{
    if (pool_books_make_room(pool, pool->models.count, pool->requests.count + 1))
        return NULL;
    struct pool_request *request = memory_try(1, sizeof *request);
    if (!request)
        return NULL;
    request->id = id;
    request->model = model;
    request->sequence = ++pool->sequences;
    request->arrived_us = pool->now_us;
    pool_link_after(&request->link, model->waiting.previous);
    model->waiting_count++;
    table_add(&pool->requests, request);
    return request;
}

void pool_books_forget_request(struct pool *pool, struct pool_request *request)
{
    pool_link_remove(&request->link);
    if (request->running)
        request->model->running_count--;
    else
        request->model->waiting_count--;
    table_remove(&pool->requests, request);
    free(request);
}

void pool_books_run_request(struct pool_request *request)
{
    struct pool_model *model = request->model;
    pool_link_remove(&request->link);
    pool_link_after(&request->link, model->running.previous);
    request->running = true;
    model->waiting_count--;
    model->running_count++;
}

/* Sums */

int64_t pool_books_weight(const struct pool_model *model)
{
    return model->charge_bytes ? model->charge_bytes : model->planned_bytes;
}

void pool_books_tally(struct pool_totals *totals, const struct pool_model *model, int sign)
{
    bool unloading = model->state == POOL_UNLOADING;
    bool leaving = unloading || model->state == POOL_DRAINING;
    totals->charged += sign * model->charge_bytes;
    totals->leaving += leaving ? sign * model->charge_bytes : 0;
    totals->unloading += unloading ? sign * model->charge_bytes : 0;
    totals->claimed += sign * model->claim_bytes;
    totals->held += sign * model->held_bytes;
    totals->pinned += model->pinned ? sign * pool_books_weight(model) : 0;
}

int64_t pool_books_free(const struct pool *pool)
{
    return pool->budget_bytes - pool->totals.charged - pool->totals.held;
}

int64_t pool_books_room(const struct pool *pool)
{
    const struct pool_totals *totals = &pool->totals;
    return pool->budget_bytes - (totals->charged - totals->leaving) - totals->claimed;
}

bool pool_books_wanted(const struct pool_model *model)
{
    return model->waiting_count > 0 || model->load_wanted || model->pinned;
}

/* Lists */

static bool is_claiming(const struct pool_model *model)
{
    return !pool_link_alone(&model->claim);
}

/* The list that a model of this state is in, or NULL. */
static struct pool_link *list_of(struct pool *pool, const struct pool_model *model)
{
    switch (model->state) {
    case POOL_WAITING:
        return is_claiming(model) ? NULL : &pool->lanes;
    case POOL_READY:
        return &pool->idle;
    case POOL_BUSY:
        return &pool->busy;
    case POOL_DRAINING:
        return &pool->draining;
    case POOL_COLD:
    case POOL_FAILED:
        return model->pinned ? &pool->resting : NULL;
    case POOL_PLANNING:
    case POOL_LOADING:
    case POOL_UNLOADING:
        break;
    }
    return NULL;
}

/* Put the model at the end of its list; into the lanes by its turn, which is the end too unless it
 * waited elsewhere (for its own unloading) before. */
static void enter_list(struct pool *pool, struct pool_model *model)
{
    pool_link_remove(&model->place);
    struct pool_link *list = list_of(pool, model);
    if (!list)
        return;
    struct pool_link *before = list->previous;
    while (list == &pool->lanes && before != list &&
           POOL_ITEM(before, struct pool_model, place)->turn > model->turn)
        before = before->previous;
    pool_link_after(&model->place, before);
}

void pool_books_turn(struct pool *pool, struct pool_model *model)
{
    model->turn = UINT64_MAX;
    model->turn_us = pool->now_us;
    if (model->waiting_count) {
        struct pool_request *oldest = POOL_ITEM(model->waiting.next, struct pool_request, link);
        model->turn = oldest->sequence;
        model->turn_us = oldest->arrived_us;
    }
    if ((model->load_wanted || model->pinned) && model->want_sequence < model->turn) {
        model->turn = model->want_sequence;
        model->turn_us = model->want_us;
    }
    if (model->state == POOL_WAITING)
        enter_list(pool, model);
    pool->place_due = true;
}

/* Changes of one fact */

void pool_books_move(struct pool *pool, struct pool_model *model, enum pool_state state)
{
    /* A ready model that becomes busy gives no lane a chance that it did not have: the one move
     * that happens with every request needs no new look at the lanes. */
    if (model->state != POOL_READY || state != POOL_BUSY)
        pool->place_due = true;
    pool_books_tally(&pool->totals, model, -1);
    model->state = state;
    pool_books_tally(&pool->totals, model, 1);
    enter_list(pool, model);
}

void pool_books_charge(struct pool *pool, struct pool_model *model, int64_t bytes)
{
    pool_books_tally(&pool->totals, model, -1);
    model->charge_bytes = bytes;
    pool_books_tally(&pool->totals, model, 1);
    pool->place_due = true;
    pool->limits_changed |= model->pinned;
}

void pool_books_plan(struct pool *pool, struct pool_model *model, int64_t bytes)
{
    pool_books_tally(&pool->totals, model, -1);
    model->planned_bytes = bytes;
    pool_books_tally(&pool->totals, model, 1);
    pool->limits_changed |= model->pinned;
}

void pool_books_pin(struct pool *pool, struct pool_model *model, bool pinned)
{
    pool_books_tally(&pool->totals, model, -1);
    model->pinned = pinned;
    pool_books_tally(&pool->totals, model, 1);
    pool->place_due = pool->limits_changed = true;
    if (model->state == POOL_COLD || model->state == POOL_FAILED)
        enter_list(pool, model);
}

void pool_books_claim(struct pool *pool, struct pool_model *model, int64_t bytes)
{
    pool_books_tally(&pool->totals, model, -1);
    model->claim_bytes = bytes;
    pool_books_tally(&pool->totals, model, 1);
    pool_link_after(&model->claim, pool->claims.previous);
    if (model->state == POOL_WAITING)
        pool_link_remove(&model->place);
}

void pool_books_hold(struct pool *pool, struct pool_model *model, int64_t bytes)
{
    pool_books_tally(&pool->totals, model, -1);
    model->held_bytes += bytes;
    pool_books_tally(&pool->totals, model, 1);
}

void pool_books_unclaim(struct pool *pool, struct pool_model *model)
{
    if (!is_claiming(model))
        return;
    pool_books_tally(&pool->totals, model, -1);
    model->claim_bytes = model->held_bytes = 0;
    pool_books_tally(&pool->totals, model, 1);
    pool_link_remove(&model->claim);
    pool->place_due = true;
}
