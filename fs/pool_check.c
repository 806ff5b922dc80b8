/* pool_check.c - every invariant of the pool's books, looked at one by one.
 *
 * Written against the books as they are and not against how they came to be so: sums are added up
 * again, lists are walked, and for everybody who waits somebody must be found who will move him.
 */
#include "fs/pool_internal.h"

#include <string.h>

static const struct pool_model *model_at(const struct pool_link *link)
{
    return POOL_ITEM(link, const struct pool_model, place);
}

static size_t ring_length(const struct pool_link *ring)
{
    size_t length = 0;
    for (const struct pool_link *link = ring->next; link != ring; link = link->next)
        length++;
    return length;
}

static bool is_claiming(const struct pool_model *model)
{
    return !pool_link_alone(&model->claim);
}

static const char *broken_ring(const struct pool_model *model, const struct pool_link *ring,
                               bool running)
{
    uint64_t sequence = 0;
    for (const struct pool_link *link = ring->next; link != ring; link = link->next) {
        const struct pool_request *request = POOL_ITEM(link, const struct pool_request, link);
        if (request->model != model || request->running != running)
            return "a request is in the wrong ring";
        if (request->sequence <= sequence)
            return "a lane or the running requests are not in order of arrival";
        sequence = request->sequence;
    }
    return NULL;
}

static const char *broken_requests(const struct pool_model *model)
{
    if (ring_length(&model->waiting) != model->waiting_count ||
        ring_length(&model->running) != model->running_count)
        return "a count of requests is wrong";
    const char *broken = broken_ring(model, &model->waiting, false);
    return broken ? broken : broken_ring(model, &model->running, true);
}

static const char *broken_generation(const struct pool_model *model)
{
    bool charged = model->state == POOL_LOADING || model->state == POOL_READY ||
                   model->state == POOL_BUSY || model->state == POOL_DRAINING ||
                   model->state == POOL_UNLOADING;
    bool runs = model->state == POOL_BUSY || model->state == POOL_DRAINING;
    if (charged != (model->charge_bytes > 0))
        return "a charge without a worker, or a worker without a charge";
    if (charged && !model->generation)
        return "a worker without a generation";
    if (runs != (model->running_count > 0))
        return "running requests in a state that runs none, or none where there must be some";
    return NULL;
}

static const char *broken_claim(const struct pool_model *model)
{
    bool loads = model->state == POOL_WAITING;
    bool grows =
        model->state == POOL_READY || model->state == POOL_BUSY || model->state == POOL_DRAINING;
    if (!is_claiming(model))
        return model->claim_bytes || model->held_bytes || model->grow_count
                   ? "bytes are promised or asked for without a claim"
                   : NULL;
    if (!loads && !grows)
        return "a claim in a state that needs no room";
    if (model->claim_bytes != (loads ? model->planned_bytes : model->grow_bytes[0]))
        return "a claim of another size than what it is for";
    if (model->held_bytes < 0 || model->held_bytes >= model->claim_bytes)
        return "a claim that is full and was not used";
    return NULL;
}

static const char *broken_want(const struct pool_model *model)
{
    bool wanted = pool_books_wanted(model);
    if (model->gone && wanted)
        return "somebody wants a model that is gone";
    switch (model->state) {
    case POOL_COLD:
    case POOL_FAILED:
        return model->waiting_count || model->load_wanted ? "somebody waits for a model that "
                                                            "nobody loads"
                                                          : NULL;
    case POOL_WAITING:
    case POOL_LOADING:
        return wanted ? NULL : "a load that nobody wants";
    case POOL_READY:
    case POOL_BUSY:
        return model->waiting_count || model->load_wanted ? "somebody waits for a loaded model"
                                                          : NULL;
    case POOL_DRAINING:
        return model->pinned && model->reprievable ? "a pinned model is a victim" : NULL;
    case POOL_PLANNING:
    case POOL_UNLOADING:
        break; /* an answer is on its way */
    }
    return NULL;
}

static const char *broken_model(const struct pool_model *model)
{
    const char *broken = broken_requests(model);
    if (!broken)
        broken = broken_generation(model);
    if (!broken)
        broken = broken_claim(model);
    if (!broken)
        broken = broken_want(model);
    return broken;
}

/* All in one state, in order, and (with `count`) nobody of that state missing. */
static const char *broken_list(const struct pool_link *list, enum pool_state state, size_t count)
{
    if (ring_length(list) != count)
        return "a list does not hold all models of its state";
    for (const struct pool_link *link = list->next; link != list; link = link->next) {
        const struct pool_model *model = model_at(link);
        const struct pool_model *next = link->next == list ? model : model_at(link->next);
        if (model->state != state)
            return "a list holds a model of another state";
        if (state == POOL_WAITING && (is_claiming(model) || next->turn < model->turn))
            return "the lanes are not in order, or one of them is placed";
        if (state == POOL_READY && next->used_us < model->used_us)
            return "the idle models are not in order of their last use";
        if (state == POOL_DRAINING && next->drain_us < model->drain_us)
            return "the draining models are not in order";
    }
    return NULL;
}

struct census {
    size_t states[POOL_FAILED + 1];
    size_t placed;  /* WAITING with a claim */
    size_t claims;  /* all */
    size_t resting; /* pinned and COLD or FAILED */
    size_t requests;
    struct pool_totals totals;
};

static const char *broken_lists(const struct pool *pool, const struct census *census)
{
    if (ring_length(&pool->claims) != census->claims ||
        ring_length(&pool->resting) != census->resting)
        return "a claim or a resting model is not listed";
    const char *broken =
        broken_list(&pool->lanes, POOL_WAITING, census->states[POOL_WAITING] - census->placed);
    if (!broken)
        broken = broken_list(&pool->idle, POOL_READY, census->states[POOL_READY]);
    if (!broken)
        broken = broken_list(&pool->busy, POOL_BUSY, census->states[POOL_BUSY]);
    if (!broken)
        broken = broken_list(&pool->draining, POOL_DRAINING, census->states[POOL_DRAINING]);
    return broken;
}

static const char *broken_sums(const struct pool *pool, const struct census *census)
{
    const struct pool_totals *totals = &pool->totals;
    if (memcmp(&census->totals, totals, sizeof *totals))
        return "a sum over the models is wrong";
    if (census->requests != pool->requests.count)
        return "a request belongs to no model";
    int64_t free_bytes = pool_books_free(pool), missing_bytes = totals->claimed - totals->held;
    if (free_bytes < 0 && !pool->over)
        return "the charges pass the budget";
    if (free_bytes > 0 && missing_bytes > 0)
        return "room is free that was promised to somebody";
    if (missing_bytes > 0 && pool_books_room(pool) < 0)
        return "more is promised than will be free";
    return NULL;
}

/* Claims are filled by those who leave, and those leave by themselves or at their deadline.  A lane
 * that is not placed needs somebody in memory who will stop being an obstacle. */
static const char *broken_progress(const struct pool *pool, const struct census *census)
{
    size_t leaving = census->states[POOL_DRAINING] + census->states[POOL_UNLOADING];
    size_t moving = leaving + census->states[POOL_LOADING] + census->states[POOL_BUSY];
    if (!pool_link_alone(&pool->claims) && leaving == 0)
        return "a claim waits and nobody leaves";
    if (!pool_link_alone(&pool->lanes) && moving == 0 && !pool->limits_changed)
        return "a lane waits for nothing";
    return NULL;
}

static void count(struct census *census, const struct pool_model *model)
{
    bool cold = model->state == POOL_COLD || model->state == POOL_FAILED;
    census->states[model->state]++;
    census->placed += model->state == POOL_WAITING && is_claiming(model);
    census->claims += is_claiming(model);
    census->resting += cold && model->pinned;
    census->requests += (size_t)model->waiting_count + model->running_count;
    pool_books_tally(&census->totals, model, 1);
}

const char *pool_broken_invariant(const struct pool *pool)
{
    struct census census = {0};
    size_t models = pool->models.count; /* stop when all were seen: the table is mostly empty */
    for (size_t slot = 0; models && slot < pool->models.capacity; slot++) {
        const struct pool_model *model = pool->models.items[slot];
        if (!model)
            continue;
        const char *broken = broken_model(model);
        if (broken)
            return broken;
        count(&census, model);
        models--;
    }
    if (pool->action_lost)
        return "an action was lost: the bound on the actions of a step is wrong";
    const char *broken = broken_lists(pool, &census);
    if (!broken)
        broken = broken_sums(pool, &census);
    if (!broken)
        broken = broken_progress(pool, &census);
    return broken;
}
