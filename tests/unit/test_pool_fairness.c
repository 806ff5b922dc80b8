/* test_pool_fairness.c - how long one waits and how often is loaded, in virtual time.
 *
 * A small world in which loads, exits and requests take their time and nothing goes wrong; the
 * clock jumps from one due moment to the next.
 */
#include "fs/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    MODELS = 8,
    REQUESTS = 8192,
    EXIT_MS = 10,
    BATCHES = 8,
    BATCH = 5000,
    WINDOW = 64, /* outstanding requests of a batch */
};

static const int64_t never = INT64_MAX;

struct model {
    uint64_t megabytes, generation;
    int64_t load_ms, run_ms;
    int64_t due_ms; /* its load or exit */
    bool exits;
    unsigned loads;
};

struct request {
    uint64_t model;
    int64_t came_ms, run_ms, end_ms; /* run_ms: when it began to run, else never */
    bool ended, failed;
};

struct world {
    struct pool *pool;
    int64_t now_ms;
    struct model models[MODELS + 1]; /* from 1 */
    struct request requests[REQUESTS];
    uint64_t first, count; /* requests[first..count) may still be live; from 1 */
    void (*request_ended)(struct world *world, uint64_t request);
    uint64_t random, left;
};

static void open_world(struct world *world, uint64_t megabytes)
{
    *world = (struct world){.first = 1, .count = 1};
    assert_int_equal(pool_open(megabytes, &world->pool), 0);
}

static void obey(struct world *world, const struct pool_action *action)
{
    struct model *model = &world->models[action->model];
    struct request *request = &world->requests[action->request];
    switch (action->kind) {
    case POOL_START:
        *model = (struct model){model->megabytes,
                                action->generation,
                                model->load_ms,
                                model->run_ms,
                                world->now_ms + model->load_ms,
                                false,
                                model->loads + 1};
        break;
    case POOL_STOP:
        model->due_ms = world->now_ms + EXIT_MS;
        model->exits = true;
        break;
    case POOL_RUN:
        request->run_ms = world->now_ms;
        request->end_ms = world->now_ms + model->run_ms;
        break;
    case POOL_CANCEL:
        request->end_ms = world->now_ms;
        request->failed = true;
        break;
    case POOL_FAIL:
        request->ended = request->failed = true;
        break;
    case POOL_PLAN:
    case POOL_RESERVED:
    case POOL_VICTIM:
    case POOL_DRAINED:
    case POOL_GRANT:
    case POOL_REFUSE:
        break;
    }
}

static void step(struct world *world, struct pool_event event)
{
    struct pool_actions actions;
    assert_int_equal(pool_step(world->pool, &event, world->now_ms * 1000, &actions), 0);
    for (size_t i = 0; i < actions.count; i++)
        obey(world, &actions.items[i]);
    assert_null(pool_broken_invariant(world->pool));
    for (size_t i = 0; i < actions.count; i++) {
        struct model *model = &world->models[actions.items[i].model];
        if (actions.items[i].kind == POOL_PLAN)
            step(world, (struct pool_event){.kind = POOL_PLANNED,
                                            .model = (uint64_t)(model - world->models),
                                            .bytes = model->megabytes});
    }
}

static void add_model(struct world *world, uint64_t id, uint64_t megabytes, int64_t load_ms,
                      int64_t run_ms)
{
    world->models[id] = (struct model){
        .megabytes = megabytes, .load_ms = load_ms, .run_ms = run_ms, .due_ms = never};
    step(world, (struct pool_event){.kind = POOL_MODEL_ADDED, .model = id});
}

static uint64_t submit(struct world *world, uint64_t model)
{
    uint64_t id = world->count++;
    assert_true(id < REQUESTS);
    world->requests[id] = (struct request){
        .model = model, .came_ms = world->now_ms, .run_ms = never, .end_ms = never};
    step(world, (struct pool_event){.kind = POOL_REQUEST, .model = model, .request = id});
    return id;
}

static void end_request(struct world *world, uint64_t id)
{
    world->requests[id].ended = true;
    step(world, (struct pool_event){.kind = POOL_REQUEST_ENDED, .request = id});
    world->request_ended(world, id);
}

static void answer(struct world *world, uint64_t id)
{
    struct model *model = &world->models[id];
    model->due_ms = never;
    step(world, (struct pool_event){.kind = model->exits ? POOL_EXITED : POOL_LOADED,
                                    .model = id,
                                    .generation = model->generation});
}

/* Go to the next due moment and do what is due first.  Returns false when nothing ever is. */
static bool go_on(struct world *world)
{
    int64_t due_ms = pool_deadline_us(world->pool);
    due_ms = due_ms == INT64_MAX ? never : due_ms / 1000;
    uint64_t model = 0, request = 0;
    for (uint64_t id = 1; id <= MODELS; id++) {
        if (world->models[id].megabytes && world->models[id].due_ms < due_ms) {
            due_ms = world->models[id].due_ms;
            model = id;
        }
    }
    while (world->first < world->count && world->requests[world->first].ended)
        world->first++;
    for (uint64_t id = world->first; id < world->count; id++) {
        if (!world->requests[id].ended && world->requests[id].end_ms < due_ms) {
            due_ms = world->requests[id].end_ms;
            request = id;
        }
    }
    if (due_ms == never)
        return false;
    world->now_ms = due_ms > world->now_ms ? due_ms : world->now_ms;
    if (request)
        end_request(world, request);
    else if (model)
        answer(world, model);
    else
        step(world, (struct pool_event){.kind = POOL_TIMER});
    return true;
}

/* A client that streams: the next request follows as soon as one has ended. */
static void stream_on(struct world *world, uint64_t request)
{
    if (world->requests[request].model != MODELS)
        submit(world, world->requests[request].model);
}

static void check_no_starvation(unsigned streams, unsigned depth)
{
    static struct world world;
    open_world(&world, 1000);
    world.request_ended = stream_on;
    for (uint64_t id = 1; id <= streams; id++)
        add_model(&world, id, 900, 1000, 700);
    add_model(&world, MODELS, 950, 1000, 500);
    for (uint64_t id = 1; id <= streams; id++)
        for (unsigned i = 0; i < depth; i++)
            submit(&world, id);
    while (world.now_ms < 20000)
        assert_true(go_on(&world));
    uint64_t ours = submit(&world, MODELS);
    while (!world.requests[ours].ended)
        assert_true(go_on(&world));
    int64_t wait_ms = world.requests[ours].run_ms - world.requests[ours].came_ms;
    int64_t bound_ms = (POOL_AGE_MS + POOL_DRAIN_MS + 1000) * 11 / 10;
    if (wait_ms > bound_ms)
        fail_msg("waited %lld ms", (long long)wait_ms);
    uint64_t before = world.count;
    while (world.count < before + 50) /* and the streams go on */
        assert_true(go_on(&world));
    for (uint64_t id = 1; id < world.count; id++)
        assert_false(world.requests[id].failed);
    pool_close(world.pool);
}

static void one_request_is_not_starved_by_a_stream(void **state)
{
    (void)state;
    check_no_starvation(1, 1);
    check_no_starvation(1, 4); /* never idle */
}

static void one_request_is_not_starved_by_five_competing_models(void **state)
{
    (void)state;
    check_no_starvation(5, 1);
    check_no_starvation(5, 4);
}

static void many_small_models_do_not_starve_a_large_one(void **state)
{
    (void)state;
    static struct world world;
    open_world(&world, 1000);
    world.request_ended = stream_on;
    for (uint64_t id = 1; id < MODELS; id++) {
        add_model(&world, id, 300, 100, 400);
        for (unsigned i = 0; i < 3; i++)
            submit(&world, id);
    }
    add_model(&world, MODELS, 1000, 1000, 500);
    while (world.now_ms < 20000)
        assert_true(go_on(&world));
    uint64_t ours = submit(&world, MODELS);
    while (!world.requests[ours].ended)
        assert_true(go_on(&world));
    int64_t wait_ms = world.requests[ours].run_ms - world.requests[ours].came_ms;
    assert_true(wait_ms <= (POOL_AGE_MS + POOL_DRAIN_MS + 1000) * 11 / 10);
    pool_close(world.pool);
}

/* P(model k) ~ 1 / k, of a random number below 2^32. */
static uint64_t zipf(struct world *world)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    double point = (double)(world->random >> 32) / 4294967296.0 * 2.717857; /* H(8) */
    for (uint64_t k = 1; k < MODELS; k++) {
        point -= 1.0 / (double)k;
        if (point < 0)
            return k;
    }
    return MODELS;
}

static void submit_another(struct world *world, uint64_t request)
{
    (void)request;
    if (world->left) {
        world->left--;
        submit(world, zipf(world));
    }
}

static unsigned loads_of_batch(uint64_t seed)
{
    static struct world world;
    static const uint64_t megabytes[MODELS] = {1100, 400, 4700, 2000, 100, 2500, 700, 3300};
    open_world(&world, 5500);
    world.random = seed;
    world.request_ended = submit_another;
    for (uint64_t id = 1; id <= MODELS; id++) /* from a disk of 500 MB/s */
        add_model(&world, id, megabytes[id - 1], (int64_t)megabytes[id - 1] * 2, 1000);
    world.left = BATCH - WINDOW;
    for (unsigned i = 0; i < WINDOW; i++)
        submit(&world, zipf(&world));
    while (go_on(&world))
        continue;
    unsigned loads = 0;
    for (uint64_t id = 1; id <= MODELS; id++)
        loads += world.models[id].loads;
    for (uint64_t id = 1; id <= BATCH; id++)
        assert_true(world.requests[id].ended && !world.requests[id].failed);
    pool_close(world.pool);
    return loads;
}

/* One load for each request that finds its model gone (first come, first served) would be about
 * 2,700; lanes make it a tenth of that. */
static void a_batch_of_5000_over_8_models_loads_about_250_times(void **state)
{
    (void)state;
    unsigned loads = 0;
    for (uint64_t seed = 1; seed <= BATCHES; seed++)
        loads += loads_of_batch(seed);
    print_message("%u loads a batch\n", loads / BATCHES);
    assert_true(loads / BATCHES <= 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_is_not_starved_by_a_stream),
        cmocka_unit_test(one_request_is_not_starved_by_five_competing_models),
        cmocka_unit_test(many_small_models_do_not_starve_a_large_one),
        cmocka_unit_test(a_batch_of_5000_over_8_models_loads_about_250_times),
    };
    return cmocka_run_group_tests_name("pool fairness", tests, NULL, NULL);
}
