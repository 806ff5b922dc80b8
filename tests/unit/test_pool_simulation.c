/* test_pool_simulation.c - the pool in a world that does everything at the wrong moment.
 *
 * A seeded random driver plays users, workers and files against the pool: prompts, answers in any
 * order, deaths, drops, pins, unloads, changed and removed files, budgets, questions for room, idle
 * times, answers that come too late.  After each step all invariants are checked, and the driver's
 * own books: who was told to run where, and that every request ends exactly once.  Now and then the
 * world calms down: then everybody who waits must be served without new events from users.
 *
 *   INFERFS_POOL_EVENTS   events over all seeds (default 1,000,000)
 *   INFERFS_POOL_SEED     run this seed only, to look at a failure
 */
#include "fs/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    EVENTS = 1000000,
    SEEDS = 20,
    MODELS = 12,
    LIVE_MAX = 48,      /* requests at a time */
    CALM_EVERY = 10000, /* events */
    CALM_STEPS_MAX = 5000,
    BUDGET = 1000,
};

enum request_state { IN_LANE, IN_WORKER, TOLD_TO_STOP };

struct live {
    uint64_t id, model;
    enum request_state state;
};

/* One model as the daemon would know it. */
struct seat {
    uint64_t id; /* 0: no such file now */
    uint64_t bytes;
    bool plan_pending;
    bool pinned;
};

struct worker {
    uint64_t model, generation;
    bool loaded, stopping;
    unsigned running, questions;
};

struct world {
    struct pool *pool;
    uint64_t seed, random, hash;
    int64_t now_us;
    uint64_t models, requests; /* numbers given so far */
    uint64_t last_generation;
    struct seat seats[MODELS];
    struct worker workers[2 * MODELS]; /* a removed model's worker may outlive its seat */
    size_t worker_count;
    struct live live[LIVE_MAX];
    size_t live_count;
    uint64_t counts[POOL_REFUSE + 1];
    uint64_t ended, stale;
};

static uint64_t next_random(struct world *world)
{
    /* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators) */
    uint64_t z = world->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t below(struct world *world, uint64_t bound)
{
    return next_random(world) % bound;
}

static void check(const struct world *world, bool holds, const char *what)
{
    if (!holds)
        fail_msg("seed %llu: not true: %s", (unsigned long long)world->seed, what);
}

#define CHECK(world, condition) check(world, condition, #condition)

static struct seat *seat_of(struct world *world, uint64_t model)
{
    for (size_t i = 0; i < MODELS; i++)
        if (model && world->seats[i].id == model)
            return &world->seats[i];
    return NULL;
}

static struct worker *worker_of(struct world *world, uint64_t model)
{
    for (size_t i = 0; i < world->worker_count; i++)
        if (world->workers[i].model == model)
            return &world->workers[i];
    return NULL;
}

static struct live *live_of(struct world *world, uint64_t request)
{
    for (size_t i = 0; i < world->live_count; i++)
        if (world->live[i].id == request)
            return &world->live[i];
    return NULL;
}

static void forget_live(struct world *world, struct live *live)
{
    *live = world->live[--world->live_count];
    world->ended++;
}

/* What the pool says, against what the world knows */

static void request_runs(struct world *world, const struct pool_action *action)
{
    struct live *live = live_of(world, action->request);
    struct worker *worker = worker_of(world, action->model);
    CHECK(world, live && live->state == IN_LANE && live->model == action->model);
    CHECK(world, worker && worker->loaded && !worker->stopping);
    CHECK(world, worker->generation == action->generation);
    live->state = IN_WORKER;
    worker->running++;
}

static void request_fails(struct world *world, const struct pool_action *action)
{
    CHECK(world, action->code > 0 && action->reason != POOL_NO_REASON);
    if (action->request == 0) { /* a pin or a load */
        struct seat *seat = seat_of(world, action->model);
        if (action->reason == POOL_NEVER_FITS && seat)
            seat->pinned = false;
        return;
    }
    struct live *live = live_of(world, action->request);
    CHECK(world, live && live->model == action->model);
    CHECK(world, (live->state != IN_LANE) == (action->reason == POOL_WORKER_DIED));
    if (action->reason == POOL_NEVER_FITS)
        CHECK(world, action->need_bytes + action->pinned_bytes > action->budget_bytes);
    forget_live(world, live);
}

static void request_is_cancelled(struct world *world, const struct pool_action *action)
{
    struct live *live = live_of(world, action->request);
    CHECK(world, live && live->state == IN_WORKER && action->code == ECANCELED);
    live->state = TOLD_TO_STOP;
}

static void worker_starts(struct world *world, const struct pool_action *action)
{
    CHECK(world, !worker_of(world, action->model)); /* single flight */
    CHECK(world, seat_of(world, action->model));
    CHECK(world, world->worker_count < 2 * MODELS);
    CHECK(world, pool_charged_bytes(world->pool) <= pool_budget_bytes(world->pool));
    world->workers[world->worker_count++] =
        (struct worker){.model = action->model, .generation = action->generation};
}

static void worker_hears(struct world *world, const struct pool_action *action)
{
    struct seat *seat = seat_of(world, action->model);
    struct worker *worker = worker_of(world, action->model);
    CHECK(world, worker && worker->generation == action->generation && !worker->stopping);
    if (action->kind == POOL_STOP || action->kind == POOL_DRAINED)
        CHECK(world, worker->running == 0);
    if (action->kind == POOL_STOP)
        worker->stopping = true;
    if (action->kind == POOL_GRANT || action->kind == POOL_REFUSE)
        CHECK(world, worker->loaded && worker->questions-- > 0);
    if (action->kind == POOL_GRANT)
        CHECK(world, pool_charged_bytes(world->pool) <= pool_budget_bytes(world->pool));
    if (action->kind == POOL_VICTIM)
        CHECK(world, worker->loaded && !(seat && seat->pinned));
}

static void hear(struct world *world, const struct pool_action *action)
{
    struct seat *seat = seat_of(world, action->model);
    world->counts[action->kind]++;
    switch (action->kind) {
    case POOL_PLAN:
        CHECK(world, seat && !seat->plan_pending);
        seat->plan_pending = true;
        break;
    case POOL_RESERVED:
        CHECK(world, seat && !worker_of(world, action->model));
        CHECK(world, action->generation > world->last_generation);
        world->last_generation = action->generation;
        break;
    case POOL_START:
        worker_starts(world, action);
        break;
    case POOL_RUN:
        request_runs(world, action);
        break;
    case POOL_CANCEL:
        request_is_cancelled(world, action);
        break;
    case POOL_FAIL:
        request_fails(world, action);
        break;
    case POOL_VICTIM:
    case POOL_DRAINED:
    case POOL_STOP:
    case POOL_GRANT:
    case POOL_REFUSE:
        worker_hears(world, action);
        break;
    }
}

static void mix(struct world *world, uint64_t value)
{
    world->hash = (world->hash ^ value) * UINT64_C(0x100000001B3); /* FNV-1a, by words */
}

static int try_step(struct world *world, struct pool_event event)
{
    struct pool_actions actions;
    int status = pool_step(world->pool, &event, world->now_us, &actions);
    for (size_t i = 0; i < actions.count; i++) {
        const struct pool_action *action = &actions.items[i];
        mix(world, (uint64_t)action->kind << 32 | (uint64_t)action->reason);
        mix(world, action->model ^ action->request << 20 ^ action->generation << 40);
        hear(world, action);
    }
    const char *broken = pool_broken_invariant(world->pool);
    if (broken)
        fail_msg("seed %llu, event %d: %s", (unsigned long long)world->seed, (int)event.kind,
                 broken);
    return status;
}

static void step(struct world *world, struct pool_event event)
{
    CHECK(world, try_step(world, event) == 0);
}

/* What users do */

static void user_prompts(struct world *world)
{
    struct seat *seat = &world->seats[below(world, MODELS)];
    if (!seat->id || world->live_count == LIVE_MAX)
        return;
    world->live[world->live_count++] = (struct live){++world->requests, seat->id, IN_LANE};
    step(world,
         (struct pool_event){.kind = POOL_REQUEST, .model = seat->id, .request = world->requests});
}

static void user_drops(struct world *world)
{
    if (!world->live_count)
        return;
    struct live *live = &world->live[below(world, world->live_count)];
    uint64_t id = live->id;
    if (live->state == IN_LANE)
        forget_live(world, live);
    step(world, (struct pool_event){.kind = POOL_REQUEST_DROPPED, .request = id});
}

static void user_orders(struct world *world, enum pool_event_kind kind)
{
    struct seat *seat = &world->seats[below(world, MODELS)];
    if (!seat->id)
        return;
    if (kind == POOL_PIN)
        seat->pinned = true;
    if (kind == POOL_UNPIN || kind == POOL_UNLOAD)
        seat->pinned = false;
    step(world, (struct pool_event){.kind = kind, .model = seat->id});
}

static void file_comes_or_goes(struct world *world)
{
    struct seat *seat = &world->seats[below(world, MODELS)];
    if (!seat->id) {
        *seat = (struct seat){.id = ++world->models, .bytes = 50 + below(world, 600)};
        step(world, (struct pool_event){.kind = POOL_MODEL_ADDED, .model = seat->id});
    } else if (below(world, 3)) {
        seat->bytes = 50 + below(world, 600);
        step(world, (struct pool_event){.kind = POOL_MODEL_CHANGED, .model = seat->id});
    } else {
        uint64_t id = seat->id;
        *seat = (struct seat){0};
        step(world, (struct pool_event){.kind = POOL_MODEL_REMOVED, .model = id});
    }
}

/* What workers and files answer */

static void plan_is_answered(struct world *world, bool well)
{
    size_t start = below(world, MODELS);
    for (size_t i = 0; i < MODELS; i++) {
        struct seat *seat = &world->seats[(start + i) % MODELS];
        if (!seat->plan_pending)
            continue;
        seat->plan_pending = false;
        step(world, (struct pool_event){.kind = well ? POOL_PLANNED : POOL_PLAN_FAILED,
                                        .model = seat->id,
                                        .bytes = seat->bytes,
                                        .code = EBADMSG});
        return;
    }
}

static void worker_exits(struct world *world, struct worker *worker)
{
    struct pool_event event = {.kind = POOL_EXITED,
                               .model = worker->model,
                               .generation = worker->generation,
                               .code = worker->stopping ? 0 : EIO};
    *worker = world->workers[--world->worker_count];
    step(world, event);
    for (size_t i = 0; i < world->live_count; i++) /* what it ran has failed in this step */
        CHECK(world, world->live[i].model != event.model || world->live[i].state == IN_LANE ||
                         worker_of(world, event.model));
}

static void worker_loads(struct world *world, struct worker *worker, bool surprising)
{
    struct pool_view view;
    CHECK(world, pool_view(world->pool, worker->model, &view));
    worker->loaded = true;
    uint64_t bytes = surprising ? view.charge_bytes * (80 + below(world, 40)) / 100 : 0;
    step(world, (struct pool_event){.kind = POOL_LOADED,
                                    .model = worker->model,
                                    .generation = worker->generation,
                                    .bytes = bytes});
}

static void worker_moves(struct world *world)
{
    if (!world->worker_count)
        return;
    struct worker *worker = &world->workers[below(world, world->worker_count)];
    if (worker->stopping)
        worker_exits(world, worker);
    else if (!worker->loaded && below(world, 15))
        worker_loads(world, worker, true);
    else if (!worker->loaded || below(world, 100) == 0)
        worker_exits(world, worker);
}

static void worker_asks(struct world *world)
{
    if (!world->worker_count)
        return;
    struct worker *worker = &world->workers[below(world, world->worker_count)];
    if (!worker->loaded || worker->stopping)
        return;
    worker->questions++;
    step(world, (struct pool_event){.kind = POOL_GROW,
                                    .model = worker->model,
                                    .generation = worker->generation,
                                    .bytes = 1 + below(world, 120)});
}

static void request_ends(struct world *world)
{
    size_t start = world->live_count ? below(world, world->live_count) : 0;
    for (size_t i = 0; i < world->live_count; i++) {
        struct live *live = &world->live[(start + i) % world->live_count];
        if (live->state == IN_LANE)
            continue;
        uint64_t id = live->id;
        struct worker *worker = worker_of(world, live->model);
        CHECK(world, worker && worker->running > 0);
        worker->running--;
        forget_live(world, live);
        step(world, (struct pool_event){.kind = POOL_REQUEST_ENDED, .request = id});
        return;
    }
}

/* An answer to a question that is not open any more. */
static void answer_comes_too_late(struct world *world)
{
    static const enum pool_event_kind kinds[] = {POOL_LOADED, POOL_EXITED, POOL_GROW, POOL_PLANNED,
                                                 POOL_REQUEST_ENDED};
    struct seat *seat = &world->seats[below(world, MODELS)];
    enum pool_event_kind kind = kinds[below(world, sizeof kinds / sizeof *kinds)];
    struct worker *worker = worker_of(world, seat->id);
    if (!seat->id || (kind == POOL_PLANNED && seat->plan_pending))
        return;
    uint64_t charged = pool_charged_bytes(world->pool), generation = world->last_generation + 1;
    if (worker && (kind == POOL_LOADED || kind == POOL_GROW) && worker->stopping)
        generation = worker->generation; /* the stop crossed it on the wire */
    int status = try_step(world, (struct pool_event){.kind = kind,
                                                     .model = seat->id,
                                                     .generation = generation,
                                                     .bytes = 77,
                                                     .request = world->requests + 1});
    CHECK(world, status == -EINVAL && charged == pool_charged_bytes(world->pool));
    world->stale++;
}

static void time_passes(struct world *world)
{
    int64_t deadline_us = pool_deadline_us(world->pool);
    if (deadline_us != INT64_MAX && below(world, 2)) {
        if (deadline_us > world->now_us)
            world->now_us = deadline_us;
    } else {
        world->now_us += (int64_t)below(world, 1000) * 1000;
    }
    step(world, (struct pool_event){.kind = POOL_TIMER});
}

static void something_happens(struct world *world)
{
    uint64_t dice = below(world, 1000);
    world->now_us += (int64_t)below(world, 20000);
    if (dice < 300)
        user_prompts(world);
    else if (dice < 540)
        request_ends(world);
    else if (dice < 700)
        worker_moves(world);
    else if (dice < 760)
        plan_is_answered(world, below(world, 20) != 0);
    else if (dice < 800)
        user_drops(world);
    else if (dice < 900)
        time_passes(world);
    else if (dice < 940)
        worker_asks(world);
    else if (dice < 950)
        user_orders(world, below(world, 3) ? POOL_UNPIN : POOL_PIN);
    else if (dice < 970)
        user_orders(world, below(world, 2) ? POOL_LOAD : POOL_UNLOAD);
    else if (dice < 985)
        file_comes_or_goes(world);
    else if (dice < 995)
        answer_comes_too_late(world);
    else if (dice < 998)
        step(world,
             (struct pool_event){.kind = POOL_BUDGET, .bytes = BUDGET / 2 + below(world, BUDGET)});
    else
        step(world, (struct pool_event){.kind = POOL_IDLE_TTL,
                                        .bytes = below(world, 2) * below(world, 20000)});
}

/* Users are quiet; workers and files answer, requests end.  Returns false when nobody has anything
 * left to say. */
static bool world_answers(struct world *world)
{
    for (size_t i = 0; i < MODELS; i++) {
        if (world->seats[i].plan_pending) {
            plan_is_answered(world, true);
            return true;
        }
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        struct worker *worker = &world->workers[i];
        if (worker->stopping)
            worker_exits(world, worker);
        else if (!worker->loaded)
            worker_loads(world, worker, false);
        else
            continue;
        return true;
    }
    for (size_t i = 0; i < world->live_count; i++) {
        if (world->live[i].state != IN_LANE) {
            request_ends(world);
            return true;
        }
    }
    return false;
}

static void calm_down(struct world *world)
{
    for (size_t steps = 0; world->live_count; steps++) {
        CHECK(world, steps < CALM_STEPS_MAX);
        if (world_answers(world))
            continue;
        if (!world->live_count)
            break;
        int64_t deadline_us = pool_deadline_us(world->pool);
        CHECK(world, deadline_us != INT64_MAX); /* else they wait for ever */
        world->now_us = deadline_us > world->now_us ? deadline_us : world->now_us;
        step(world, (struct pool_event){.kind = POOL_TIMER});
    }
    for (size_t i = 0; i < MODELS; i++) {
        world->seats[i].pinned = false;
        if (world->seats[i].id)
            step(world, (struct pool_event){.kind = POOL_UNLOAD, .model = world->seats[i].id});
    }
    for (size_t steps = 0; world_answers(world); steps++)
        CHECK(world, steps < CALM_STEPS_MAX);
    CHECK(world, world->worker_count == 0 && pool_charged_bytes(world->pool) == 0);
    CHECK(world, world->ended == world->requests && pool_pinned_bytes(world->pool) == 0);
    CHECK(world, pool_deadline_us(world->pool) == INT64_MAX);
}

static void run_world(struct world *world, uint64_t seed, uint64_t events)
{
    *world = (struct world){.seed = seed, .random = seed, .now_us = 1000000};
    assert_int_equal(pool_open(BUDGET, &world->pool), 0);
    for (uint64_t i = 1; i <= events; i++) {
        something_happens(world);
        if (i % CALM_EVERY == 0 || i == events)
            calm_down(world);
    }
    pool_close(world->pool);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void a_hostile_world_breaks_nothing(void **state)
{
    (void)state;
    static struct world world;
    uint64_t events = number_from("INFERFS_POOL_EVENTS", EVENTS) / SEEDS;
    uint64_t only = number_from("INFERFS_POOL_SEED", 0);
    uint64_t counts[POOL_REFUSE + 1] = {0};
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : SEEDS); seed++) {
        run_world(&world, seed, events);
        for (size_t i = 0; i <= POOL_REFUSE; i++)
            counts[i] += world.counts[i];
    }
    for (size_t i = 0; events >= 5000 && i <= POOL_REFUSE; i++)
        assert_true(counts[i] > 0); /* the world is hostile enough to hear everything */
}

static void the_same_events_give_the_same_actions(void **state)
{
    (void)state;
    static struct world world;
    uint64_t hashes[3];
    for (size_t i = 0; i < 3; i++) {
        run_world(&world, i == 2 ? 8 : 7, 5000);
        hashes[i] = world.hash;
    }
    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[0] != hashes[2]);
}

static void random_victims_are_a_minimal_set(void **state)
{
    (void)state;
    static struct world world;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        world = (struct world){.seed = seed, .random = seed};
        assert_int_equal(pool_open(BUDGET, &world.pool), 0);
        uint64_t sizes[MODELS + 1] = {0}, charged = 0;
        for (uint64_t id = 1; id < MODELS; id++) {
            sizes[id] = 1 + below(&world, 250);
            if (charged + sizes[id] > BUDGET)
                break;
            charged += sizes[id];
            world.seats[id] = (struct seat){.id = id, .bytes = sizes[id]};
            step(&world, (struct pool_event){.kind = POOL_MODEL_ADDED, .model = id});
            step(&world, (struct pool_event){.kind = POOL_LOAD, .model = id});
            plan_is_answered(&world, true);
            worker_loads(&world, worker_of(&world, id), false);
            world.now_us += 1000;
        }
        world.seats[0] = (struct seat){.id = MODELS, .bytes = 1 + below(&world, BUDGET)};
        step(&world, (struct pool_event){.kind = POOL_MODEL_ADDED, .model = MODELS});
        step(&world, (struct pool_event){.kind = POOL_LOAD, .model = MODELS});
        plan_is_answered(&world, true);
        uint64_t need = world.seats[0].bytes, room = BUDGET - charged, smallest = UINT64_MAX;
        for (size_t i = 0; i < world.worker_count; i++) {
            if (!world.workers[i].stopping)
                continue;
            uint64_t bytes = sizes[world.workers[i].model];
            room += bytes;
            smallest = bytes < smallest ? bytes : smallest;
        }
        CHECK(&world, room >= need);
        CHECK(&world, smallest == UINT64_MAX || room - smallest < need);
        pool_close(world.pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hostile_world_breaks_nothing),
        cmocka_unit_test(the_same_events_give_the_same_actions),
        cmocka_unit_test(random_victims_are_a_minimal_set),
    };
    return cmocka_run_group_tests_name("pool simulation", tests, NULL, NULL);
}
