/* pool_bench.h - a pool on a bench: feed an event, read what it says as one line of text.
 *
 * Everything that a step says is compared at once, so that an action too many fails as well as one
 * too few; after each step all invariants are checked.  Models are numbered from 1, requests from
 * 100; sizes are small numbers and the budget is 1000 where a case does not say otherwise.
 */
#ifndef TESTS_POOL_BENCH_H
#define TESTS_POOL_BENCH_H

#include "fs/pool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct bench {
    struct pool *pool;
    int64_t now_ms;
    char said[8192];
};

static const char *const reason_names[] = {
    "-",           "never-fits", "plan-bad",   "load-bad", "worker-died",
    "backing-off", "gone",       "drain-over", "full",     "unloaded",
};

static inline void describe(char *text, size_t size, const struct pool_action *action)
{
    unsigned model = (unsigned)action->model, request = (unsigned)action->request;
    unsigned bytes = (unsigned)action->bytes;
    switch (action->kind) {
    case POOL_PLAN:
        snprintf(text, size, "plan %u", model);
        break;
    case POOL_RESERVED:
        snprintf(text, size, "reserved %u", model);
        break;
    case POOL_VICTIM:
        snprintf(text, size, "victim %u for %u", model, (unsigned)action->beneficiary);
        break;
    case POOL_DRAINED:
        snprintf(text, size, "drained %u", model);
        break;
    case POOL_START:
        snprintf(text, size, "start %u %u", model, bytes);
        break;
    case POOL_STOP:
        snprintf(text, size, "stop %u", model);
        break;
    case POOL_RUN:
        snprintf(text, size, "run %u on %u", request, model);
        break;
    case POOL_CANCEL:
        snprintf(text, size, "cancel %u %d %s", request, action->code,
                 reason_names[action->reason]);
        break;
    case POOL_FAIL:
        snprintf(text, size, "fail %u %d %s", request, action->code, reason_names[action->reason]);
        if (action->reason == POOL_NEVER_FITS)
            snprintf(text + strlen(text), size - strlen(text), " %u>%u-%u",
                     (unsigned)action->need_bytes, (unsigned)action->budget_bytes,
                     (unsigned)action->pinned_bytes);
        break;
    case POOL_GRANT:
        snprintf(text, size, "grant %u %u", model, bytes);
        break;
    case POOL_REFUSE:
        snprintf(text, size, "refuse %u %u (%u,%u,%u)", model, bytes, (unsigned)action->need_bytes,
                 (unsigned)action->budget_bytes, (unsigned)action->pinned_bytes);
        break;
    }
}

static inline int try_step(struct bench *bench, struct pool_event event)
{
    struct pool_actions actions;
    int status = pool_step(bench->pool, &event, bench->now_ms * 1000, &actions);
    bench->said[0] = '\0';
    for (size_t i = 0; i < actions.count; i++) {
        size_t length = strlen(bench->said);
        if (length)
            length += (size_t)snprintf(bench->said + length, sizeof bench->said - length, ", ");
        describe(bench->said + length, sizeof bench->said - length, &actions.items[i]);
    }
    const char *broken = pool_broken_invariant(bench->pool);
    if (broken)
        fail_msg("broken invariant: %s (the step said: %s)", broken, bench->said);
    return status;
}

static inline const char *step(struct bench *bench, struct pool_event event)
{
    assert_int_equal(try_step(bench, event), 0);
    return bench->said;
}

/* clang-format off */
#define EVENT(...) ((struct pool_event){__VA_ARGS__})
/* clang-format on */

static inline struct pool_view view_of(struct bench *bench, uint64_t model)
{
    struct pool_view view;
    pool_view(bench->pool, model, &view);
    return view;
}

static inline const char *state_of(struct bench *bench, uint64_t model)
{
    return pool_state_name(view_of(bench, model).state);
}

static inline const char *order(struct bench *bench, enum pool_event_kind kind, uint64_t model)
{
    return step(bench, EVENT(.kind = kind, .model = model));
}

static inline const char *request(struct bench *bench, uint64_t model, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST, .model = model, .request = id));
}

static inline const char *ended(struct bench *bench, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST_ENDED, .request = id));
}

static inline const char *dropped(struct bench *bench, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST_DROPPED, .request = id));
}

static inline const char *planned(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_PLANNED, .model = model, .bytes = bytes));
}

static inline const char *loaded(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_LOADED, .model = model, .bytes = bytes,
                             .generation = view_of(bench, model).generation));
}

static inline const char *exited(struct bench *bench, uint64_t model, int code)
{
    return step(bench, EVENT(.kind = POOL_EXITED, .model = model, .code = code,
                             .generation = view_of(bench, model).generation));
}

static inline const char *grow(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_GROW, .model = model, .bytes = bytes,
                             .generation = view_of(bench, model).generation));
}

static inline const char *later(struct bench *bench, int64_t ms)
{
    bench->now_ms += ms;
    return step(bench, EVENT(.kind = POOL_TIMER));
}

static inline const char *budget(struct bench *bench, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_BUDGET, .bytes = bytes));
}

/* Models 1..count of these sizes, loaded and idle, 1 the least recently used. */
static inline void load_idle(struct bench *bench, size_t count, const uint64_t *bytes)
{
    for (uint64_t model = 1; model <= count; model++) {
        order(bench, POOL_MODEL_ADDED, model);
        order(bench, POOL_LOAD, model);
        planned(bench, model, bytes[model - 1]);
        loaded(bench, model, bytes[model - 1]);
        bench->now_ms += 10;
    }
}

/* A cold model whose plan is known. */
static inline void add_planned(struct bench *bench, uint64_t model, uint64_t bytes)
{
    order(bench, POOL_MODEL_ADDED, model);
    request(bench, model, 90000 + model);
    dropped(bench, 90000 + model);
    planned(bench, model, bytes);
}

static inline int setup(void **state)
{
    static struct bench bench;
    bench = (struct bench){.now_ms = 1000};
    *state = &bench;
    return pool_open(1000, &bench.pool);
}

static inline int teardown(void **state)
{
    struct bench *bench = *state;
    pool_close(bench->pool);
    return 0;
}

/* clang-format off */
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
/* clang-format on */

#endif
