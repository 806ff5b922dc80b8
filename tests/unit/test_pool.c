/* test_pool.c - who is loaded, who leaves for whom, and what never fits. */
#include "tests/lib/pool_bench.h"

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

int main(void)
{
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
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
