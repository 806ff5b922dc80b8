/* test_pool.c - what the pool says to each event, case by case.
 *
 * A case feeds events and compares everything that one step says, written as one line of text, so
 * that an action too many fails as well as one too few.  After each step all invariants are
 * checked.  Models are numbered from 1, requests from 100; sizes are small numbers, the budget is
 * 1000 where a case does not say otherwise.
 */
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
    "-",          "never-fits", "plan-bad",   "load-bad", "worker-died",
    "backing-off", "gone",      "drain-over", "full",     "unloaded",
};

static void describe(char *text, size_t size, const struct pool_action *action)
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

static int try_step(struct bench *bench, struct pool_event event)
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

static const char *step(struct bench *bench, struct pool_event event)
{
    assert_int_equal(try_step(bench, event), 0);
    return bench->said;
}

/* clang-format off */
#define EVENT(...) ((struct pool_event){__VA_ARGS__})
/* clang-format on */

static struct pool_view view_of(struct bench *bench, uint64_t model)
{
    struct pool_view view;
    pool_view(bench->pool, model, &view);
    return view;
}

static const char *state_of(struct bench *bench, uint64_t model)
{
    return pool_state_name(view_of(bench, model).state);
}

static const char *order(struct bench *bench, enum pool_event_kind kind, uint64_t model)
{
    return step(bench, EVENT(.kind = kind, .model = model));
}

static const char *request(struct bench *bench, uint64_t model, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST, .model = model, .request = id));
}

static const char *ended(struct bench *bench, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST_ENDED, .request = id));
}

static const char *dropped(struct bench *bench, uint64_t id)
{
    return step(bench, EVENT(.kind = POOL_REQUEST_DROPPED, .request = id));
}

static const char *planned(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_PLANNED, .model = model, .bytes = bytes));
}

static const char *loaded(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_LOADED, .model = model, .bytes = bytes,
                             .generation = view_of(bench, model).generation));
}

static const char *exited(struct bench *bench, uint64_t model, int code)
{
    return step(bench, EVENT(.kind = POOL_EXITED, .model = model, .code = code,
                             .generation = view_of(bench, model).generation));
}

static const char *grow(struct bench *bench, uint64_t model, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_GROW, .model = model, .bytes = bytes,
                             .generation = view_of(bench, model).generation));
}

static const char *later(struct bench *bench, int64_t ms)
{
    bench->now_ms += ms;
    return step(bench, EVENT(.kind = POOL_TIMER));
}

static const char *budget(struct bench *bench, uint64_t bytes)
{
    return step(bench, EVENT(.kind = POOL_BUDGET, .bytes = bytes));
}

/* Models 1..count of these sizes, loaded and idle, 1 the least recently used. */
static void load_idle(struct bench *bench, size_t count, const uint64_t *bytes)
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
static void add_planned(struct bench *bench, uint64_t model, uint64_t bytes)
{
    order(bench, POOL_MODEL_ADDED, model);
    request(bench, model, 90000 + model);
    dropped(bench, 90000 + model);
    planned(bench, model, bytes);
}

static int setup(void **state)
{
    static struct bench bench;
    bench = (struct bench){.now_ms = 1000};
    *state = &bench;
    return pool_open(1000, &bench.pool);
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    pool_close(bench->pool);
    return 0;
}

/* Loading and running */

static void first_prompt_plans_loads_and_runs(void **state)
{
    struct bench *b = *state;
    assert_string_equal(order(b, POOL_MODEL_ADDED, 1), "");
    assert_string_equal(request(b, 1, 100), "plan 1");
    assert_string_equal(request(b, 1, 101), "");
    assert_string_equal(planned(b, 1, 600), "reserved 1, start 1 600");
    assert_int_equal(pool_charged_bytes(b->pool), 600);
    assert_string_equal(request(b, 1, 102), "");
    assert_string_equal(loaded(b, 1, 580), "run 100 on 1, run 101 on 1, run 102 on 1");
    assert_int_equal(pool_charged_bytes(b->pool), 580);
    assert_string_equal(request(b, 1, 103), "run 103 on 1");
    assert_string_equal(state_of(b, 1), "busy");
    for (uint64_t id = 100; id <= 103; id++)
        assert_string_equal(ended(b, id), "");
    assert_string_equal(state_of(b, 1), "ready");
    assert_true(pool_deadline_us(b->pool) == INT64_MAX);
}

static void sixty_four_first_prompts_cause_one_load(void **state)
{
    struct bench *b = *state;
    order(b, POOL_MODEL_ADDED, 1);
    assert_string_equal(request(b, 1, 100), "plan 1");
    for (uint64_t id = 101; id < 164; id++)
        assert_string_equal(request(b, 1, id), "");
    assert_string_equal(planned(b, 1, 600), "reserved 1, start 1 600");
    loaded(b, 1, 600);
    assert_int_equal(view_of(b, 1).running, 64);
}

static void two_models_that_do_not_fit_together_load_one_after_the_other(void **state)
{
    struct bench *b = *state;
    order(b, POOL_MODEL_ADDED, 1);
    order(b, POOL_MODEL_ADDED, 2);
    for (uint64_t i = 0; i < 64; i++)
        request(b, 1 + i % 2, 100 + i);
    assert_string_equal(planned(b, 2, 600), "reserved 2, start 2 600");
    assert_string_equal(planned(b, 1, 600), "");
    loaded(b, 2, 600);
    for (uint64_t i = 1; i < 63; i += 2)
        assert_string_equal(ended(b, 100 + i), "");
    assert_string_equal(ended(b, 163), "reserved 1, victim 2 for 1, drained 2, stop 2");
    assert_string_equal(exited(b, 2, 0), "start 1 600");
    loaded(b, 1, 600);
    assert_int_equal(view_of(b, 1).running, 32);
}

static void two_loads_do_not_race_for_one_freed_slot(void **state) /* llama.cpp#28443 */
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    add_planned(b, 2, 600);
    add_planned(b, 3, 600);
    assert_string_equal(request(b, 2, 100), "reserved 2, victim 1 for 2, drained 1, stop 1");
    assert_string_equal(request(b, 3, 101), "");
    assert_string_equal(exited(b, 1, 0), "start 2 600");
    assert_string_equal(loaded(b, 2, 600), "run 100 on 2");
    assert_string_equal(ended(b, 100), "reserved 3, victim 2 for 3, drained 2, stop 2");
    assert_string_equal(exited(b, 2, 0), "start 3 600");
    assert_string_equal(loaded(b, 3, 600), "run 101 on 3");
}

/* Victims */

static void the_least_recently_used_idle_model_leaves(void **state)
{
    struct bench *b = *state;
    load_idle(b, 3, (uint64_t[]){300, 300, 300});
    request(b, 1, 100); /* now 2 is the oldest */
    ended(b, 100);
    add_planned(b, 4, 400);
    assert_string_equal(request(b, 4, 101), "reserved 4, victim 2 for 4, drained 2, stop 2");
}

static void victims_are_a_minimal_set(void **state)
{
    struct bench *b = *state;
    load_idle(b, 3, (uint64_t[]){100, 200, 600});
    add_planned(b, 4, 650); /* 100 free: 1 and 2 are not enough, and 3 alone is */
    assert_string_equal(request(b, 4, 100), "reserved 4, victim 3 for 4, drained 3, stop 3");
}

static void a_plan_takes_all_or_nothing(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){400, 500});
    request(b, 2, 100); /* busy, in its quantum */
    add_planned(b, 3, 800);
    assert_string_equal(request(b, 3, 101), "");
    assert_string_equal(state_of(b, 1), "ready");
    assert_string_equal(ended(b, 100), "reserved 3, victim 1 for 3, drained 1, stop 1, "
                                       "victim 2 for 3, drained 2, stop 2");
    assert_string_equal(exited(b, 1, 0), "");
    assert_string_equal(exited(b, 2, 0), "start 3 800");
}

static void room_made_for_one_is_not_given_to_another(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){300, 300});
    add_planned(b, 3, 900);
    add_planned(b, 4, 300);
    request(b, 3, 100); /* wants all */
    assert_string_equal(exited(b, 1, 0), "");
    assert_string_equal(request(b, 4, 101), ""); /* 700 are free and all are promised */
    assert_string_equal(exited(b, 2, 0), "start 3 900");
}

static void concurrent_plans_have_their_own_victims(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){500, 500});
    add_planned(b, 3, 500);
    add_planned(b, 4, 500);
    assert_string_equal(request(b, 3, 100), "reserved 3, victim 1 for 3, drained 1, stop 1");
    assert_string_equal(request(b, 4, 101), "reserved 4, victim 2 for 4, drained 2, stop 2");
    assert_string_equal(exited(b, 2, 0), "start 4 500"); /* what was freed for 4 goes to 4 */
    assert_string_equal(exited(b, 1, 0), "start 3 500");
}

static void a_plan_counts_with_who_is_leaving_anyway(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){500, 500});
    assert_string_equal(order(b, POOL_UNLOAD, 2), "drained 2, stop 2");
    add_planned(b, 3, 400);
    assert_string_equal(request(b, 3, 100), "reserved 3");
    assert_string_equal(exited(b, 2, 0), "start 3 400");
}

static void a_busy_model_works_for_its_quantum(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    b->now_ms = 10000;
    assert_string_equal(request(b, 2, 101), "");
    assert_true(pool_deadline_us(b->pool) == (10000 + POOL_QUANTUM_MS) * 1000);
    assert_string_equal(later(b, POOL_QUANTUM_MS - 1), "");
    assert_string_equal(later(b, 1), "reserved 2, victim 1 for 2");
    assert_string_equal(state_of(b, 1), "draining");
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "start 2 900");
}

static void a_model_that_loads_slowly_has_a_longer_quantum(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    add_planned(b, 2, 900);
    request(b, 1, 100);
    request(b, 2, 101);
    later(b, 3000);
    loaded(b, 1, 900); /* 3 s */
    assert_string_equal(later(b, 3000 * POOL_QUANTUM_LOADS - 1), "");
    assert_string_equal(later(b, 1), "reserved 2, victim 1 for 2");
}

static void a_victim_is_not_resurrected_by_a_request(void **state) /* ollama#17408 */
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    request(b, 2, 101);
    later(b, POOL_QUANTUM_MS);
    assert_string_equal(state_of(b, 1), "draining");
    assert_string_equal(request(b, 1, 102), ""); /* waits, does not run */
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(request(b, 1, 103), "");
    assert_string_equal(exited(b, 1, 0), "start 2 900");
    assert_string_equal(loaded(b, 2, 900), "run 101 on 2");
    assert_string_equal(ended(b, 101), "reserved 1, victim 2 for 1, drained 2, stop 2");
    assert_string_equal(exited(b, 2, 0), "start 1 900");
    assert_string_equal(loaded(b, 1, 900), "run 102 on 1, run 103 on 1");
}

static void the_drain_deadline_cancels_and_still_waits(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    request(b, 1, 101);
    add_planned(b, 2, 900);
    request(b, 2, 102);
    later(b, POOL_QUANTUM_MS);
    ended(b, 101);
    assert_true(pool_deadline_us(b->pool) == (b->now_ms + POOL_DRAIN_MS) * 1000);
    assert_string_equal(later(b, POOL_DRAIN_MS - 1), "");
    assert_string_equal(later(b, 1), "cancel 100 125 drain-over");
    assert_string_equal(later(b, 100000), "");
    assert_string_equal(dropped(b, 100), ""); /* told already */
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
}

static void a_victim_that_nobody_needs_any_more_is_reprieved(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    request(b, 2, 101);
    later(b, POOL_QUANTUM_MS);
    request(b, 1, 102);
    assert_string_equal(dropped(b, 101), "run 102 on 1");
    assert_string_equal(state_of(b, 1), "busy");
    assert_string_equal(state_of(b, 2), "cold");
    assert_true(pool_deadline_us(b->pool) == INT64_MAX);
}

static void a_victim_still_needed_by_another_plan_is_not_reprieved(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 300);
    add_planned(b, 3, 300);
    request(b, 2, 101);
    later(b, POOL_QUANTUM_MS);
    assert_string_equal(request(b, 3, 102), "reserved 3"); /* 1 leaves enough for both */
    assert_string_equal(dropped(b, 101), "");
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "start 3 300");
}

static void a_lane_passed_too_often_is_passed_no_more(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){800});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    add_planned(b, 3, 100);
    request(b, 2, 101); /* has to wait for 1 to end its quantum */
    for (uint64_t i = 0; i < POOL_OVERTAKE_MAX; i++) {
        assert_string_equal(request(b, 3, 200 + i), "reserved 3, start 3 100");
        loaded(b, 3, 100);
        ended(b, 200 + i);
        assert_string_equal(order(b, POOL_UNLOAD, 3), "drained 3, stop 3");
        exited(b, 3, 0);
    }
    assert_string_equal(request(b, 3, 999), "");
    assert_string_equal(ended(b, 100), "reserved 2, victim 1 for 2, drained 1, stop 1, reserved 3");
    assert_string_equal(exited(b, 1, 0), "start 2 900, start 3 100");
}

static void a_lane_that_waited_long_is_passed_no_more(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 800);
    add_planned(b, 2, 900);
    add_planned(b, 3, 100);
    request(b, 1, 100);
    request(b, 2, 101);
    later(b, POOL_AGE_MS - 1); /* 1 loads for that long */
    assert_string_equal(request(b, 3, 102), "reserved 3, start 3 100");
    assert_string_equal(dropped(b, 102), "stop 3");
    exited(b, 3, 0);
    later(b, 1);
    assert_string_equal(request(b, 3, 103), "");
}

/* Giving up */

static void a_load_that_nobody_wants_is_stopped_and_makes_room(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    add_planned(b, 2, 900);
    request(b, 1, 100);
    request(b, 1, 102);
    request(b, 2, 101);
    assert_string_equal(dropped(b, 100), "");
    assert_string_equal(dropped(b, 102), "stop 1, reserved 2");
    assert_string_equal(exited(b, 1, 0), "start 2 900");
}

static void a_pinned_or_ordered_load_goes_on_without_waiters(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 300);
    add_planned(b, 2, 300);
    request(b, 1, 100);
    request(b, 2, 101);
    order(b, POOL_PIN, 1);
    order(b, POOL_LOAD, 2);
    assert_string_equal(dropped(b, 100), "");
    assert_string_equal(dropped(b, 101), "");
    assert_string_equal(order(b, POOL_UNPIN, 1), "stop 1");
    assert_string_equal(loaded(b, 2, 300), "");
    assert_string_equal(state_of(b, 2), "ready");
}

static void a_running_request_that_is_dropped_is_cancelled_once(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    assert_string_equal(dropped(b, 100), "cancel 100 125 unloaded");
    assert_string_equal(dropped(b, 100), "");
    assert_string_equal(ended(b, 100), "");
    assert_int_equal(try_step(b, EVENT(.kind = POOL_REQUEST_DROPPED, .request = 100)), -EINVAL);
}

/* What never fits, and pins */

static void what_never_fits_fails_in_one_step_and_evicts_nothing(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){400, 400});
    order(b, POOL_PIN, 1);
    order(b, POOL_MODEL_ADDED, 3);
    request(b, 3, 100);
    request(b, 3, 101);
    assert_string_equal(planned(b, 3, 700), "fail 100 12 never-fits 700>1000-400, "
                                            "fail 101 12 never-fits 700>1000-400");
    assert_string_equal(request(b, 3, 102), "fail 102 12 never-fits 700>1000-400");
    assert_string_equal(state_of(b, 3), "cold");
    assert_string_equal(state_of(b, 2), "ready");
    order(b, POOL_UNPIN, 1);
    request(b, 3, 103);
    assert_string_equal(state_of(b, 3), "waiting");
}

static void a_pinned_model_is_never_a_victim(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){400, 400});
    order(b, POOL_PIN, 1);
    add_planned(b, 3, 600);
    assert_string_equal(request(b, 3, 100), "reserved 3, victim 2 for 3, drained 2, stop 2");
    assert_string_equal(order(b, POOL_PIN, 1), "");
    later(b, 1000000);
    assert_string_equal(state_of(b, 1), "ready");
}

static void a_pin_fails_the_lanes_that_it_makes_impossible(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    request(b, 1, 100);
    add_planned(b, 2, 700);
    assert_string_equal(request(b, 2, 101), "");
    assert_string_equal(order(b, POOL_PIN, 1), "fail 101 12 never-fits 700>1000-400");
}

static void a_pin_saves_a_victim_and_takes_the_promise_back(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    request(b, 1, 100);
    add_planned(b, 2, 700);
    request(b, 2, 101);
    assert_string_equal(later(b, POOL_QUANTUM_MS), "reserved 2, victim 1 for 2");
    assert_string_equal(order(b, POOL_PIN, 1), "fail 101 12 never-fits 700>1000-400");
    assert_string_equal(state_of(b, 1), "busy");
}

static void a_pin_loads_and_a_pin_beyond_the_budget_is_refused(void **state)
{
    struct bench *b = *state;
    order(b, POOL_MODEL_ADDED, 1);
    order(b, POOL_MODEL_ADDED, 2);
    assert_string_equal(order(b, POOL_PIN, 1), "plan 1");
    assert_string_equal(planned(b, 1, 600), "reserved 1, start 1 600");
    assert_string_equal(order(b, POOL_PIN, 2), "plan 2");
    assert_string_equal(planned(b, 2, 500), "fail 0 12 never-fits 500>1000-600");
    assert_false(view_of(b, 2).pinned);
    assert_true(view_of(b, 1).pinned);
    assert_int_equal(pool_pinned_bytes(b->pool), 600);
}

static void a_pin_while_unloading_loads_again(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    order(b, POOL_UNLOAD, 1);
    assert_string_equal(order(b, POOL_PIN, 1), "");
    assert_string_equal(exited(b, 1, 0), "reserved 1, start 1 400");
}

/* Failures */

static void a_failed_load_fails_its_waiters_and_backs_off_doubling(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    int64_t backoff_ms = POOL_BACKOFF_MS;
    for (uint64_t i = 0; i < 10; i++) {
        assert_string_equal(request(b, 1, 100 + 2 * i), "reserved 1, start 1 900");
        char expected[64];
        snprintf(expected, sizeof expected, "fail %u 5 load-bad", (unsigned)(100 + 2 * i));
        assert_string_equal(exited(b, 1, EIO), expected);
        assert_string_equal(state_of(b, 1), "failed");
        later(b, backoff_ms - 1);
        snprintf(expected, sizeof expected, "fail %u 5 backing-off", (unsigned)(101 + 2 * i));
        assert_string_equal(request(b, 1, 101 + 2 * i), expected);
        later(b, 1);
        backoff_ms = backoff_ms * 2 < POOL_BACKOFF_MS_MAX ? backoff_ms * 2 : POOL_BACKOFF_MS_MAX;
    }
}

static void a_failed_plan_is_not_tried_again_for_each_prompt(void **state)
{
    struct bench *b = *state;
    order(b, POOL_MODEL_ADDED, 1);
    request(b, 1, 100);
    assert_string_equal(
        step(b, EVENT(.kind = POOL_PLAN_FAILED, .model = 1, .code = EBADMSG)),
        "fail 100 74 plan-bad");
    assert_string_equal(request(b, 1, 101), "fail 101 74 backing-off");
    assert_string_equal(order(b, POOL_LOAD, 1), "fail 0 74 backing-off");
    later(b, POOL_BACKOFF_MS);
    assert_string_equal(request(b, 1, 102), "plan 1");
}

static void a_changed_file_clears_the_backoff(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    request(b, 1, 100);
    exited(b, 1, EIO);
    assert_string_equal(order(b, POOL_MODEL_CHANGED, 1), "");
    assert_string_equal(request(b, 1, 101), "plan 1");
}

static void a_successful_load_resets_the_backoff(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    request(b, 1, 100);
    exited(b, 1, EIO);
    later(b, POOL_BACKOFF_MS);
    request(b, 1, 101);
    loaded(b, 1, 900);
    exited(b, 1, EIO);
    request(b, 1, 102);
    exited(b, 1, EIO);
    later(b, POOL_BACKOFF_MS);
    assert_string_equal(request(b, 1, 103), "reserved 1, start 1 900");
}

static void a_death_fails_what_runs_and_loads_again_for_what_waits(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    request(b, 1, 101);
    assert_string_equal(exited(b, 1, EIO), "fail 100 5 worker-died, fail 101 5 worker-died");
    assert_string_equal(state_of(b, 1), "cold");
    assert_int_equal(pool_charged_bytes(b->pool), 0);
    assert_string_equal(request(b, 1, 102), "reserved 1, start 1 900"); /* at once */
    loaded(b, 1, 900);
    order(b, POOL_UNLOAD, 1);
    request(b, 1, 103); /* waits for the drain */
    assert_string_equal(exited(b, 1, EIO), "fail 102 5 worker-died, reserved 1, start 1 900");
}

static void a_pin_alone_does_not_restart_a_dying_worker_at_once(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    order(b, POOL_PIN, 1);
    assert_string_equal(exited(b, 1, EIO), "");
    assert_true(pool_deadline_us(b->pool) == (b->now_ms + POOL_BACKOFF_MS) * 1000);
    assert_string_equal(later(b, POOL_BACKOFF_MS), "reserved 1, start 1 900");
    assert_string_equal(exited(b, 1, EIO), "fail 0 5 load-bad");
    assert_string_equal(later(b, POOL_BACKOFF_MS), "reserved 1, start 1 900");
}

/* Sizes that turn out otherwise */

static void a_load_that_measures_more_sends_idle_models_away(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    add_planned(b, 2, 500);
    request(b, 2, 100);
    assert_string_equal(loaded(b, 2, 700), "run 100 on 2, victim 1 for 0, drained 1, stop 1");
    exited(b, 1, 0);
    assert_int_equal(pool_charged_bytes(b->pool), 700);
    assert_int_equal(view_of(b, 2).planned_bytes, 700);
}

static void nothing_is_planned_while_charges_pass_the_budget(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    request(b, 1, 100);
    add_planned(b, 2, 500);
    add_planned(b, 3, 50);
    request(b, 2, 101);
    loaded(b, 2, 700); /* 1100 of 1000, both busy */
    assert_string_equal(request(b, 3, 102), "");
    assert_string_equal(ended(b, 101), "victim 2 for 0, drained 2, stop 2, reserved 3");
    assert_string_equal(exited(b, 2, 0), "start 3 50");
}

static void a_grow_is_granted_from_free_room(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){400});
    request(b, 1, 100);
    assert_string_equal(grow(b, 1, 600), "grant 1 600");
    assert_int_equal(pool_charged_bytes(b->pool), 1000);
    assert_string_equal(grow(b, 1, 1), "refuse 1 1 (1,1000,0)");
}

static void a_grow_evicts_idle_models_and_waits_for_them(void **state)
{
    struct bench *b = *state;
    load_idle(b, 3, (uint64_t[]){300, 300, 400});
    request(b, 3, 100);
    assert_string_equal(grow(b, 3, 200), "victim 1 for 3, drained 1, stop 1");
    assert_string_equal(grow(b, 3, 50), ""); /* answered in order */
    assert_string_equal(grow(b, 3, 500), "");
    assert_string_equal(grow(b, 3, 20), "");
    assert_string_equal(grow(b, 3, 20), "refuse 3 20 (20,1000,0)"); /* POOL_GROWS_MAX */
    assert_string_equal(exited(b, 1, 0), "grant 3 200, grant 3 50, refuse 3 500 (500,1000,0), "
                                         "grant 3 20");
    assert_string_equal(state_of(b, 2), "ready");
    assert_int_equal(pool_charged_bytes(b->pool), 970);
}

static void a_grow_of_a_draining_model_does_not_wait_for_itself(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    request(b, 2, 101);
    later(b, POOL_QUANTUM_MS); /* 1 drains for 2; 100 are free and promised */
    assert_string_equal(grow(b, 1, 50), "refuse 1 50 (50,1000,0)");
}

static void a_waiting_grow_dies_with_its_generation(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){500, 500});
    request(b, 2, 100);
    grow(b, 2, 100);
    ended(b, 100);
    assert_string_equal(order(b, POOL_UNLOAD, 2), "drained 2, stop 2");
    assert_string_equal(exited(b, 1, 0), "");
    assert_string_equal(exited(b, 2, 0), "");
    assert_int_equal(pool_charged_bytes(b->pool), 0);
}

/* Unloading */

static void an_unload_takes_the_pin_and_the_lane_loads_again(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    order(b, POOL_PIN, 1);
    request(b, 1, 100);
    assert_string_equal(order(b, POOL_UNLOAD, 1), "");
    assert_false(view_of(b, 1).pinned);
    assert_string_equal(request(b, 1, 101), "");
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "reserved 1, start 1 900");
    assert_string_equal(order(b, POOL_UNLOAD, 1), "stop 1"); /* a load too */
    assert_string_equal(exited(b, 1, 0), "reserved 1, start 1 900");
    assert_string_equal(loaded(b, 1, 900), "run 101 on 1");
    ended(b, 101);
    assert_string_equal(order(b, POOL_UNLOAD, 1), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "");
    assert_string_equal(order(b, POOL_UNLOAD, 1), "");
}

static void an_unload_is_not_reprieved(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    add_planned(b, 2, 900);
    request(b, 2, 101);
    later(b, POOL_QUANTUM_MS);
    order(b, POOL_UNLOAD, 1);
    dropped(b, 101);
    assert_string_equal(state_of(b, 1), "draining");
}

static void an_unused_model_is_unloaded_after_the_idle_time(void **state)
{
    struct bench *b = *state;
    step(b, EVENT(.kind = POOL_IDLE_TTL, .bytes = 5000));
    load_idle(b, 2, (uint64_t[]){300, 300});
    order(b, POOL_PIN, 1);
    assert_true(pool_deadline_us(b->pool) == view_of(b, 2).used_us + 5000000);
    later(b, 4000);
    request(b, 2, 100);
    later(b, 10000); /* in use */
    assert_string_equal(ended(b, 100), "");
    assert_string_equal(later(b, 4999), "");
    assert_string_equal(later(b, 1), "drained 2, stop 2");
    assert_string_equal(state_of(b, 1), "ready");
}

static void a_request_during_an_idle_unload_loads_again(void **state) /* llama-swap#946 */
{
    struct bench *b = *state;
    step(b, EVENT(.kind = POOL_IDLE_TTL, .bytes = 5000));
    load_idle(b, 1, (uint64_t[]){300});
    later(b, 5000);
    assert_string_equal(state_of(b, 1), "unloading");
    assert_string_equal(request(b, 1, 100), "");
    assert_string_equal(exited(b, 1, 0), "reserved 1, start 1 300");
    assert_string_equal(loaded(b, 1, 300), "run 100 on 1");
}

static void a_request_at_the_end_of_the_idle_time_keeps_the_model(void **state)
{
    struct bench *b = *state;
    step(b, EVENT(.kind = POOL_IDLE_TTL, .bytes = 5000));
    load_idle(b, 1, (uint64_t[]){300});
    b->now_ms += 6000;
    assert_string_equal(request(b, 1, 100), "run 100 on 1");
}

static void a_smaller_budget_sends_idle_models_away_then_busy_ones(void **state)
{
    struct bench *b = *state;
    load_idle(b, 3, (uint64_t[]){300, 300, 300});
    request(b, 1, 100);
    request(b, 3, 101);
    assert_string_equal(budget(b, 600), "victim 2 for 0, drained 2, stop 2");
    assert_string_equal(budget(b, 300), "victim 1 for 0");
    assert_string_equal(budget(b, 1000), ""); /* back: 1 stays after all */
    assert_string_equal(state_of(b, 1), "busy");
    assert_string_equal(budget(b, 500), "victim 3 for 0");
    assert_string_equal(ended(b, 101), "drained 3, stop 3");
    exited(b, 3, 0);
    exited(b, 2, 0);
    assert_int_equal(pool_charged_bytes(b->pool), 300);
}

static void a_smaller_budget_takes_promises_back(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    add_planned(b, 2, 700);
    request(b, 2, 100);
    assert_string_equal(budget(b, 600), "fail 100 12 never-fits 700>600-0");
    exited(b, 1, 0);
    assert_string_equal(state_of(b, 2), "cold");
}

/* Files */

static void a_changed_file_drains_and_the_lane_gets_the_new_one(void **state)
{
    struct bench *b = *state;
    load_idle(b, 1, (uint64_t[]){900});
    request(b, 1, 100);
    assert_string_equal(order(b, POOL_MODEL_CHANGED, 1), "");
    assert_string_equal(request(b, 1, 101), "");
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "plan 1");
    assert_string_equal(planned(b, 1, 500), "reserved 1, start 1 500");
}

static void a_file_that_changes_while_planned_is_planned_again(void **state)
{
    struct bench *b = *state;
    order(b, POOL_MODEL_ADDED, 1);
    request(b, 1, 100);
    assert_string_equal(order(b, POOL_MODEL_CHANGED, 1), "");
    assert_string_equal(planned(b, 1, 5000), "plan 1"); /* that was the old one */
    assert_string_equal(planned(b, 1, 500), "reserved 1, start 1 500");
    assert_string_equal(order(b, POOL_MODEL_CHANGED, 1), "stop 1");
    assert_string_equal(exited(b, 1, 0), "plan 1");
}

static void a_removed_model_fails_its_lane_and_is_forgotten(void **state)
{
    struct bench *b = *state;
    struct pool_view view;
    load_idle(b, 1, (uint64_t[]){900});
    add_planned(b, 2, 900);
    request(b, 1, 100);
    request(b, 2, 101);
    assert_string_equal(order(b, POOL_MODEL_REMOVED, 2), "fail 101 116 gone");
    assert_false(pool_view(b->pool, 2, &view));
    assert_string_equal(order(b, POOL_MODEL_REMOVED, 1), "");
    assert_int_equal(try_step(b, EVENT(.kind = POOL_REQUEST, .model = 1, .request = 102)),
                     -EINVAL);
    assert_string_equal(ended(b, 100), "drained 1, stop 1");
    assert_string_equal(exited(b, 1, 0), "");
    assert_false(pool_view(b->pool, 1, &view));
}

/* Edges */

static void answers_that_come_too_late_change_nothing(void **state)
{
    struct bench *b = *state;
    add_planned(b, 1, 900);
    request(b, 1, 100);
    uint64_t generation = view_of(b, 1).generation;
    dropped(b, 100);
    const struct pool_event late[] = {
        EVENT(.kind = POOL_LOADED, .model = 1, .generation = generation, .bytes = 10),
        EVENT(.kind = POOL_GROW, .model = 1, .generation = generation, .bytes = 10),
        EVENT(.kind = POOL_EXITED, .model = 1, .generation = generation + 1),
        EVENT(.kind = POOL_PLANNED, .model = 1, .bytes = 10),
        EVENT(.kind = POOL_PLAN_FAILED, .model = 1, .code = EIO),
        EVENT(.kind = POOL_REQUEST_ENDED, .request = 100),
        EVENT(.kind = POOL_REQUEST, .model = 7, .request = 101),
        EVENT(.kind = POOL_REQUEST, .model = 1, .request = 0),
        EVENT(.kind = POOL_MODEL_ADDED, .model = 1),
        EVENT(.kind = POOL_MODEL_ADDED, .model = 0),
        EVENT(.kind = (enum pool_event_kind)99, .model = 1),
    };
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        assert_int_equal(try_step(b, late[i]), -EINVAL);
        assert_string_equal(b->said, "");
    }
    assert_string_equal(state_of(b, 1), "unloading");
    assert_int_equal(pool_charged_bytes(b->pool), 900);
    assert_string_equal(exited(b, 1, 0), "");
    assert_int_equal(try_step(b, EVENT(.kind = POOL_EXITED, .model = 1, .generation = generation)),
                     -EINVAL);
}

static void too_many_requests_and_models_are_refused(void **state)
{
    struct bench *b = *state;
    struct pool_actions actions;
    load_idle(b, 1, (uint64_t[]){10});
    for (uint64_t i = 0; i < POOL_REQUESTS_MAX; i++) {
        struct pool_event event = EVENT(.kind = POOL_REQUEST, .model = 1, .request = 100 + i);
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
        assert_int_equal(actions.items[0].kind, POOL_RUN);
    }
    assert_string_equal(request(b, 1, 99), "fail 99 11 full");
    for (uint64_t model = 2; model <= POOL_MODELS_MAX; model++) {
        struct pool_event event = EVENT(.kind = POOL_MODEL_ADDED, .model = model);
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
    }
    assert_int_equal(try_step(b, EVENT(.kind = POOL_MODEL_ADDED, .model = 99999)), -ENOMEM);
    struct pool_event death = EVENT(.kind = POOL_EXITED, .model = 1, .code = EIO,
                                    .generation = view_of(b, 1).generation);
    assert_int_equal(pool_step(b->pool, &death, b->now_ms * 1000, &actions), 0);
    assert_int_equal(actions.count, POOL_REQUESTS_MAX);
    assert_null(pool_broken_invariant(b->pool));
}

static void absurd_sizes_are_cut_and_never_fit(void **state)
{
    struct bench *b = *state;
    budget(b, UINT64_MAX);
    assert_int_equal(pool_budget_bytes(b->pool), POOL_BYTES_MAX);
    order(b, POOL_MODEL_ADDED, 1);
    request(b, 1, 100);
    planned(b, 1, UINT64_MAX);
    assert_non_null(strstr(b->said, "fail 100 12 never-fits"));
    order(b, POOL_MODEL_ADDED, 2);
    request(b, 2, 101);
    planned(b, 2, 0); /* known, and next to nothing */
    loaded(b, 2, UINT64_MAX);
    assert_int_equal(pool_charged_bytes(b->pool), POOL_BYTES_MAX + 1);
    step(b, EVENT(.kind = POOL_IDLE_TTL, .bytes = UINT64_MAX));
    later(b, 1000);
}

int main(void)
{
/* clang-format off */
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    /* clang-format on */
    const struct CMUnitTest tests[] = {
        CASE(first_prompt_plans_loads_and_runs),
        CASE(sixty_four_first_prompts_cause_one_load),
        CASE(two_models_that_do_not_fit_together_load_one_after_the_other),
        CASE(two_loads_do_not_race_for_one_freed_slot),
        CASE(the_least_recently_used_idle_model_leaves),
        CASE(victims_are_a_minimal_set),
        CASE(a_plan_takes_all_or_nothing),
        CASE(room_made_for_one_is_not_given_to_another),
        CASE(concurrent_plans_have_their_own_victims),
        CASE(a_plan_counts_with_who_is_leaving_anyway),
        CASE(a_busy_model_works_for_its_quantum),
        CASE(a_model_that_loads_slowly_has_a_longer_quantum),
        CASE(a_victim_is_not_resurrected_by_a_request),
        CASE(the_drain_deadline_cancels_and_still_waits),
        CASE(a_victim_that_nobody_needs_any_more_is_reprieved),
        CASE(a_victim_still_needed_by_another_plan_is_not_reprieved),
        CASE(a_lane_passed_too_often_is_passed_no_more),
        CASE(a_lane_that_waited_long_is_passed_no_more),
        CASE(a_load_that_nobody_wants_is_stopped_and_makes_room),
        CASE(a_pinned_or_ordered_load_goes_on_without_waiters),
        CASE(a_running_request_that_is_dropped_is_cancelled_once),
        CASE(what_never_fits_fails_in_one_step_and_evicts_nothing),
        CASE(a_pinned_model_is_never_a_victim),
        CASE(a_pin_fails_the_lanes_that_it_makes_impossible),
        CASE(a_pin_saves_a_victim_and_takes_the_promise_back),
        CASE(a_pin_loads_and_a_pin_beyond_the_budget_is_refused),
        CASE(a_pin_while_unloading_loads_again),
        CASE(a_failed_load_fails_its_waiters_and_backs_off_doubling),
        CASE(a_failed_plan_is_not_tried_again_for_each_prompt),
        CASE(a_changed_file_clears_the_backoff),
        CASE(a_successful_load_resets_the_backoff),
        CASE(a_death_fails_what_runs_and_loads_again_for_what_waits),
        CASE(a_pin_alone_does_not_restart_a_dying_worker_at_once),
        CASE(a_load_that_measures_more_sends_idle_models_away),
        CASE(nothing_is_planned_while_charges_pass_the_budget),
        CASE(a_grow_is_granted_from_free_room),
        CASE(a_grow_evicts_idle_models_and_waits_for_them),
        CASE(a_grow_of_a_draining_model_does_not_wait_for_itself),
        CASE(a_waiting_grow_dies_with_its_generation),
        CASE(an_unload_takes_the_pin_and_the_lane_loads_again),
        CASE(an_unload_is_not_reprieved),
        CASE(an_unused_model_is_unloaded_after_the_idle_time),
        CASE(a_request_during_an_idle_unload_loads_again),
        CASE(a_request_at_the_end_of_the_idle_time_keeps_the_model),
        CASE(a_smaller_budget_sends_idle_models_away_then_busy_ones),
        CASE(a_smaller_budget_takes_promises_back),
        CASE(a_changed_file_drains_and_the_lane_gets_the_new_one),
        CASE(a_file_that_changes_while_planned_is_planned_again),
        CASE(a_removed_model_fails_its_lane_and_is_forgotten),
        CASE(answers_that_come_too_late_change_nothing),
        CASE(too_many_requests_and_models_are_refused),
        CASE(absurd_sizes_are_cut_and_never_fit),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
