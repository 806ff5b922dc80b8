/* pool_plan.c - who gets memory next, and who leaves for it.
 *
 * A plan is all or nothing: either the room that is left once everybody who is leaving has left,
 * plus the charges of the chosen victims, covers the model's plan, or no victim is touched.  A
 * placed model holds a claim: bytes that are free go to it at once (held_bytes), the rest as its
 * victims are reaped; nobody else can take them.
 *
 *   free = budget - charged - held                      may be used now
 *   room = budget - (charged - leaving) - claimed       what a new plan may count with
 *
 * So the claims never want more than free bytes and leaving models will give, and no two plans
 * wait for each other.  A worker's question for more room (a grow) is a claim too, with one
 * stricter rule: it counts only with models that were told to exit, never with one that still
 * drains, since that one may be the very model that asks.
 */
#include "fs/pool_internal.h"

static const int64_t us_per_ms = 1000;

/* Which busy models may be victims too, when the idle ones are not enough. */
enum busy_choice { SPARE_BUSY, BUSY_AFTER_QUANTUM, ANY_BUSY };

/* pool->victims[0..count) and the sum of their charges. */
struct choice {
    size_t count;
    int64_t bytes;
};

static struct pool_model *model_at(struct pool_link *link)
{
    return POOL_ITEM(link, struct pool_model, place);
}

static struct pool_model *claimant_at(struct pool_link *link)
{
    return POOL_ITEM(link, struct pool_model, claim);
}

/* Victims */

/* From when on a busy model may leave for somebody who waits since waiter_us.  With a quantum of
 * POOL_QUANTUM_LOADS load times at most 1 / (1 + POOL_QUANTUM_LOADS) of the time goes into
 * loading, however many lanes compete. */
static int64_t quantum_end_us(const struct pool_model *model, int64_t waiter_us)
{
    int64_t begin_us = model->loaded_us > waiter_us ? model->loaded_us : waiter_us;
    int64_t quantum_us = POOL_QUANTUM_LOADS * model->load_us;
    if (quantum_us < POOL_QUANTUM_MS * us_per_ms)
        quantum_us = POOL_QUANTUM_MS * us_per_ms;
    return begin_us + quantum_us;
}

static void choose_from(struct pool *pool, struct pool_link *list, int64_t need_bytes,
                        const struct pool_model *self, struct choice *choice)
{
    for (struct pool_link *link = list->next; link != list && choice->bytes < need_bytes;
         link = link->next) {
        struct pool_model *model = model_at(link);
        if (model->pinned || model == self)
            continue;
        pool->victims[choice->count++] = model;
        choice->bytes += model->charge_bytes;
    }
}

static void choose_busy(struct pool *pool, int64_t need_bytes, int64_t waiter_us,
                        struct choice *choice)
{
    for (struct pool_link *link = pool->busy.next;
         link != &pool->busy && choice->bytes < need_bytes; link = link->next) {
        struct pool_model *model = model_at(link);
        if (model->pinned || quantum_end_us(model, waiter_us) > pool->now_us)
            continue;
        pool->victims[choice->count++] = model;
        choice->bytes += model->charge_bytes;
    }
}

/* Leave out who is not needed, beginning with those that one would miss most (busy, then recently
 * used): what is left breaks when any one is taken away. */
static void drop_superfluous(struct pool *pool, int64_t need_bytes, struct choice *choice)
{
    size_t kept = choice->count;
    for (size_t i = choice->count; i-- > 0;) {
        struct pool_model *model = pool->victims[i];
        if (choice->bytes - model->charge_bytes < need_bytes)
            continue;
        choice->bytes -= model->charge_bytes;
        for (size_t j = i + 1; j < kept; j++)
            pool->victims[j - 1] = pool->victims[j];
        kept--;
    }
    choice->count = kept;
}

/* The victims that give need_bytes, least recently used idle models first; fewer bytes than that
 * when there are no more. */
static struct choice choose(struct pool *pool, int64_t need_bytes, enum busy_choice busy,
                            const struct pool_model *self, int64_t waiter_us)
{
    struct choice choice = {0};
    choose_from(pool, &pool->idle, need_bytes, self, &choice);
    if (busy == BUSY_AFTER_QUANTUM)
        choose_busy(pool, need_bytes, waiter_us, &choice);
    else if (busy == ANY_BUSY)
        choose_from(pool, &pool->busy, need_bytes, self, &choice);
    if (choice.bytes >= need_bytes)
        drop_superfluous(pool, need_bytes, &choice);
    return choice;
}

static void drain_chosen(struct pool *pool, struct choice choice, uint64_t beneficiary)
{
    for (size_t i = 0; i < choice.count; i++) {
        struct pool_model *victim = pool->victims[i];
        victim->beneficiary = beneficiary;
        pool_books_say(pool, (struct pool_action){.kind = POOL_VICTIM,
                                                  .model = victim->id,
                                                  .generation = victim->generation,
                                                  .beneficiary = beneficiary,
                                                  .bytes = (uint64_t)victim->charge_bytes});
        pool_moves_drain(pool, victim, true);
    }
}

/* Grows */

static void answer_grow(struct pool *pool, struct pool_model *model, bool granted)
{
    int64_t bytes = model->grow_bytes[0];
    struct pool_action action = {
        .kind = granted ? POOL_GRANT : POOL_REFUSE,
        .model = model->id,
        .generation = model->generation,
        .bytes = (uint64_t)bytes,
    };
    if (granted) {
        pool_books_charge(pool, model, model->charge_bytes + bytes);
    } else {
        action.need_bytes = (uint64_t)bytes;
        action.budget_bytes = (uint64_t)pool->budget_bytes;
        action.pinned_bytes = (uint64_t)pool->totals.pinned;
    }
    model->grow_count--;
    for (uint32_t i = 0; i < model->grow_count; i++)
        model->grow_bytes[i] = model->grow_bytes[i + 1];
    pool_books_say(pool, action);
}

/* Answer the oldest question of this worker, or claim the room for it.  Returns false when it has
 * to wait. */
static bool try_grow(struct pool *pool, struct pool_model *model)
{
    int64_t bytes = model->grow_bytes[0], free_bytes = pool_books_free(pool);
    if (bytes <= free_bytes) {
        answer_grow(pool, model, true);
        return true;
    }
    const struct pool_totals *totals = &pool->totals;
    int64_t missing_bytes = totals->claimed - totals->held;
    int64_t coming_bytes = totals->unloading - missing_bytes; /* that nobody waits for */
    int64_t need_bytes = bytes - free_bytes - (coming_bytes > 0 ? coming_bytes : 0);
    struct choice choice = choose(pool, need_bytes, SPARE_BUSY, model, 0);
    if (choice.bytes < need_bytes) {
        answer_grow(pool, model, false);
        return true;
    }
    pool_books_claim(pool, model, bytes);
    drain_chosen(pool, choice, model->id);
    return false;
}

static void answer_grows(struct pool *pool, struct pool_model *model)
{
    bool answered = true;
    while (answered && model->grow_count)
        answered = try_grow(pool, model);
}

void pool_plan_grow(struct pool *pool, struct pool_model *model, int64_t bytes)
{
    if (model->grow_count == POOL_GROWS_MAX) {
        pool_books_say(pool, (struct pool_action){.kind = POOL_REFUSE,
                                                  .model = model->id,
                                                  .generation = model->generation,
                                                  .bytes = (uint64_t)bytes,
                                                  .need_bytes = (uint64_t)bytes,
                                                  .budget_bytes = (uint64_t)pool->budget_bytes,
                                                  .pinned_bytes = (uint64_t)pool->totals.pinned});
        return;
    }
    model->grow_bytes[model->grow_count++] = bytes;
    if (model->grow_count == 1)
        answer_grows(pool, model);
}

/* Claims */

static void give(struct pool *pool, struct pool_model *model)
{
    int64_t missing_bytes = model->claim_bytes - model->held_bytes;
    int64_t free_bytes = pool_books_free(pool);
    int64_t bytes = missing_bytes < free_bytes ? missing_bytes : free_bytes;
    if (bytes > 0)
        pool_books_hold(pool, model, bytes);
}

/* Hand out what is free: to grows, then to the model that the room was made for, then by age. */
static void give_free(struct pool *pool, uint64_t beneficiary)
{
    struct pool_link *link;
    for (link = pool->claims.next; link != &pool->claims; link = link->next)
        if (claimant_at(link)->state != POOL_WAITING)
            give(pool, claimant_at(link));
    for (link = pool->claims.next; link != &pool->claims; link = link->next)
        if (claimant_at(link)->id == beneficiary)
            give(pool, claimant_at(link));
    for (link = pool->claims.next; link != &pool->claims; link = link->next)
        give(pool, claimant_at(link));
}

static struct pool_model *first_filled(struct pool *pool)
{
    for (struct pool_link *link = pool->claims.next; link != &pool->claims; link = link->next) {
        struct pool_model *model = claimant_at(link);
        if (model->held_bytes == model->claim_bytes)
            return model;
    }
    return NULL;
}

static void fill_claims(struct pool *pool, uint64_t beneficiary)
{
    give_free(pool, beneficiary);
    struct pool_model *model;
    while ((model = first_filled(pool))) {
        if (model->state == POOL_WAITING) {
            pool_moves_start(pool, model);
        } else {
            pool_books_unclaim(pool, model);
            answer_grow(pool, model, true);
            answer_grows(pool, model);
        }
        give_free(pool, beneficiary);
    }
}

/* Over the budget */

static void take_back(struct pool *pool, struct pool_model *model)
{
    if (model->state == POOL_WAITING) {
        pool_moves_unreserve(pool, model);
        return;
    }
    pool_books_unclaim(pool, model);
    answer_grow(pool, model, false);
    answer_grows(pool, model);
}

/* A load measured more than was planned, or the budget shrank: idle models leave, then promises
 * are taken back, newest first; busy ones leave only for a smaller budget.  Whatever is left stays
 * above it, and no plan fits until it is back under. */
static void relieve(struct pool *pool)
{
    struct choice idle = choose(pool, -pool_books_room(pool), SPARE_BUSY, NULL, 0);
    drain_chosen(pool, idle, 0);
    while (pool_books_room(pool) < 0 && !pool_link_alone(&pool->claims))
        take_back(pool, claimant_at(pool->claims.previous));
    if (pool_books_room(pool) < 0 && pool->shrinking) {
        struct choice busy = choose(pool, -pool_books_room(pool), ANY_BUSY, NULL, 0);
        drain_chosen(pool, busy, 0);
    }
}

/* Who can never be placed is told so, newest first, so that a model that came late does not turn
 * out one that was there before. */
static void refuse_impossible(struct pool *pool)
{
    struct pool_link *link, *previous;
    for (link = pool->lanes.previous; link != &pool->lanes; link = previous) {
        previous = link->previous;
        if (pool_moves_never_fits(pool, model_at(link)))
            pool_moves_refuse(pool, model_at(link));
    }
    for (link = pool->claims.previous; link != &pool->claims; link = previous) {
        struct pool_model *model = claimant_at(link);
        previous = link->previous;
        if (model->state == POOL_WAITING && pool_moves_never_fits(pool, model))
            pool_moves_refuse(pool, model);
    }
    pool->limits_changed = false;
}

/* Placement */

/* A lane that was passed often enough, or waits for long enough, is passed no more. */
static bool is_forced(const struct pool *pool, const struct pool_model *model)
{
    return model->overtaken >= POOL_OVERTAKE_MAX ||
           pool->now_us - model->turn_us >= POOL_AGE_MS * us_per_ms;
}

static bool place_lane(struct pool *pool, struct pool_model *model)
{
    struct choice choice = {0};
    int64_t need_bytes = model->planned_bytes - pool_books_room(pool);
    if (need_bytes > 0) {
        choice = choose(pool, need_bytes, BUSY_AFTER_QUANTUM, NULL, model->turn_us);
        if (choice.bytes < need_bytes)
            return false;
    }
    for (struct pool_link *link = model->place.previous; link != &pool->lanes;
         link = link->previous)
        model_at(link)->overtaken++;
    pool_moves_reserve(pool, model);
    drain_chosen(pool, choice, model->id);
    return true;
}

/* When the next quantum ends that this lane may be waiting for. */
static int64_t next_quantum_us(struct pool *pool, int64_t waiter_us)
{
    int64_t next_us = INT64_MAX;
    for (struct pool_link *link = pool->busy.next; link != &pool->busy; link = link->next) {
        int64_t end_us = quantum_end_us(model_at(link), waiter_us);
        if (!model_at(link)->pinned && end_us > pool->now_us && end_us < next_us)
            next_us = end_us;
    }
    return next_us;
}

static void place(struct pool *pool)
{
    pool->replan_us = INT64_MAX;
    struct pool_link *next;
    for (struct pool_link *link = pool->lanes.next; link != &pool->lanes; link = next) {
        next = link->next;
        struct pool_model *model = model_at(link);
        if (place_lane(pool, model))
            continue;
        int64_t quantum_us = next_quantum_us(pool, model->turn_us);
        if (quantum_us < pool->replan_us)
            pool->replan_us = quantum_us;
        if (is_forced(pool, model))
            break;
    }
}

/* Who drains for room that is not needed any more (its beneficiary was given up, or found room
 * elsewhere) stays. */
static void reprieve(struct pool *pool)
{
    struct pool_link *next;
    for (struct pool_link *link = pool->draining.next; link != &pool->draining; link = next) {
        next = link->next;
        struct pool_model *model = model_at(link);
        if (model->reprievable && model->charge_bytes <= pool_books_room(pool))
            pool_moves_reprieve(pool, model);
    }
}

void pool_plan_settle(struct pool *pool, uint64_t beneficiary)
{
    fill_claims(pool, beneficiary);
    if (pool_books_room(pool) < 0)
        relieve(pool);
    else
        pool->shrinking = false;
    if (pool->limits_changed)
        refuse_impossible(pool);
    if (pool->place_due || pool->now_us >= pool->replan_us)
        place(pool);
    fill_claims(pool, 0);
    reprieve(pool);
    pool->place_due = false; /* neither a start nor a reprieve gives a lane a new chance */
    if (pool_books_free(pool) >= 0)
        pool->over = false;
}
