/* test_pool_events.c - failures, sizes that turn out otherwise, unloading, files, and the edges. */
#include "tests/lib/pool_bench.h"

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
    assert_string_equal(step(b, EVENT(.kind = POOL_PLAN_FAILED, .model = 1, .code = EBADMSG)),
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

static void a_grow_does_not_count_with_room_that_is_promised(void **state)
{
    struct bench *b = *state;
    load_idle(b, 2, (uint64_t[]){400, 500}); /* 100 are free: held for 3 */
    request(b, 2, 100);
    add_planned(b, 3, 450);
    assert_string_equal(request(b, 3, 101), "reserved 3, victim 1 for 3, drained 1, stop 1");
    assert_string_equal(grow(b, 2, 60), "refuse 2 60 (60,1000,0)");
    assert_string_equal(grow(b, 2, 50), ""); /* what 1 leaves and 3 does not need */
    assert_string_equal(exited(b, 1, 0), "start 3 450, grant 2 50");
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
    assert_int_equal(try_step(b, EVENT(.kind = POOL_REQUEST, .model = 1, .request = 102)), -EINVAL);
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

/* Numbers that share slots of a table. */
static uint64_t number(uint64_t i)
{
    return 100 + i * i * 7919;
}

static void too_many_requests_and_models_are_refused(void **state)
{
    struct bench *b = *state;
    struct pool_actions actions;
    load_idle(b, 1, (uint64_t[]){10});
    for (uint64_t i = 0; i < POOL_REQUESTS_MAX; i++) {
        struct pool_event event = EVENT(.kind = POOL_REQUEST, .model = 1, .request = number(i));
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
        assert_int_equal(actions.items[0].kind, POOL_RUN);
    }
    assert_string_equal(request(b, 1, 99), "fail 99 11 full");
    for (uint64_t model = 2; model <= POOL_MODELS_MAX; model++) {
        struct pool_event event = EVENT(.kind = POOL_MODEL_ADDED, .model = model);
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
    }
    assert_int_equal(try_step(b, EVENT(.kind = POOL_MODEL_ADDED, .model = 99999)), -ENOMEM);
    struct pool_event death =
        EVENT(.kind = POOL_EXITED, .model = 1, .code = EIO, .generation = view_of(b, 1).generation);
    for (uint64_t i = 0; i < POOL_REQUESTS_MAX; i += 3) { /* whoever is left is still found */
        struct pool_event event = EVENT(.kind = POOL_REQUEST_ENDED, .request = number(i));
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
    }
    for (uint64_t i = 1; i < POOL_REQUESTS_MAX; i += 3) {
        struct pool_event event = EVENT(.kind = POOL_REQUEST_DROPPED, .request = number(i));
        assert_int_equal(pool_step(b->pool, &event, b->now_ms * 1000, &actions), 0);
    }
    assert_int_equal(pool_step(b->pool, &death, b->now_ms * 1000, &actions), 0);
    assert_int_equal(actions.count, POOL_REQUESTS_MAX * 2 / 3);
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
    const struct CMUnitTest tests[] = {
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
        CASE(a_grow_does_not_count_with_room_that_is_promised),
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
    return cmocka_run_group_tests_name("pool events", tests, NULL, NULL);
}
