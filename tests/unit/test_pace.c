/* test_pace.c - how many threads are taken on machines that are played here. */
#include "base/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SECOND_US = 1000000 };

/* A machine whose team runs steps of `step_us` of work for one thread. */
struct machine {
    int free;       /* cores without another program */
    double stalled; /* part of the time that a team stands still which wants more than those */
    int64_t burst_every_us, burst_us; /* one more core is lost so often, for so long */
    int64_t step_us;                  /* of one thread, undisturbed */
    int64_t every_us;  /* something else stops one thread so often, whatever their number ... */
    int64_t hiccup_us; /* ... for so long */
    int64_t now_us, next_hiccup_us;
    struct pace pace;
    double work_us;      /* done: of one thread, undisturbed */
    int64_t counted[65]; /* microseconds at each count */
};

/* One step of the team. */
static int step(struct machine *machine, int most)
{
    int count = pace_count(&machine->pace, most, machine->now_us);
    assert_in_range(count, 1, most);
    double moving_us = (double)machine->step_us / count;
    double stalled_us =
        count > machine->free ? moving_us * machine->stalled / (1 - machine->stalled) : 0;
    if (count > 1 && machine->every_us && machine->now_us >= machine->next_hiccup_us) {
        stalled_us += (double)machine->hiccup_us;
        machine->next_hiccup_us = machine->now_us + machine->every_us;
    }
    int64_t elapsed_us = (int64_t)(moving_us + stalled_us);
    machine->now_us += elapsed_us;
    machine->work_us += (double)machine->step_us;
    machine->counted[count] += elapsed_us;
    pace_note(&machine->pace, machine->now_us, elapsed_us, (int64_t)(stalled_us * (count - 1)));
    return count;
}

/* Returns the threads' work done per time. */
static double run(struct machine *machine, int most, int64_t us)
{
    int64_t begin_us = machine->now_us;
    double before_us = machine->work_us;
    while (machine->now_us < begin_us + us)
        step(machine, most);
    return (machine->work_us - before_us) / (double)(machine->now_us - begin_us);
}

static void an_undisturbed_team_is_always_whole(void **state)
{
    (void)state;
    for (int most = 1; most <= 64; most++) {
        struct machine machine = {.free = 64, .step_us = 7000};
        for (int i = 0; i < 2000; i++)
            assert_int_equal(step(&machine, most), most);
    }
}

static void one_thread_beside_a_busy_program_on_two_cores(void **state)
{
    (void)state;
    struct machine machine = {.free = 1, .stalled = 0.75, .step_us = 7000};
    assert_true(run(&machine, 2, SECOND_US) > 0.85); /* with the first tries */
    assert_true(run(&machine, 2, 10 * SECOND_US) > 0.98);
}

static void a_slight_disturbance_is_borne(void **state)
{
    (void)state;
    struct machine machine = {.free = 1, .stalled = 0.3, .step_us = 7000};
    for (int i = 0; i < 2000; i++)
        assert_int_equal(step(&machine, 2), 2);
}

static void bursts_are_borne(void **state)
{
    (void)state;
    for (int64_t burst_us = 3000; burst_us < 100000; burst_us *= 2) {
        const struct machine calm = {.free = 2,
                                     .stalled = 0.75,
                                     .burst_every_us = 4 * burst_us,
                                     .burst_us = burst_us,
                                     .step_us = 7000};
        struct machine whole = calm, paced = calm;
        while (whole.now_us < 20 * SECOND_US) {
            whole.pace = (struct pace){0}; /* it has seen nothing: all are taken */
            step(&whole, 2);
        }
        run(&paced, 2, 20 * SECOND_US);
        assert_true(paced.work_us > 0.95 * whole.work_us);
    }
}

static void all_but_the_lost_cores_are_used(void **state)
{
    (void)state;
    for (int free = 5; free < 8; free++) {
        struct machine machine = {.free = free, .stalled = 0.6, .step_us = 20000};
        run(&machine, 8, 5 * SECOND_US);
        assert_true(run(&machine, 8, 10 * SECOND_US) > 0.97 * free);
        assert_true(machine.counted[free] > 14 * SECOND_US);
    }
}

/* Stops that do not come of the number of threads must not take them away one by one. */
static void hiccups_leave_a_large_team_large(void **state)
{
    (void)state;
    const struct machine calm = {
        .free = 64, .step_us = 64 * 2000, .every_us = 15000, .hiccup_us = 3000};
    struct machine whole = calm, paced = calm;
    while (whole.now_us < 20 * SECOND_US) {
        whole.pace = (struct pace){0}; /* it has seen nothing: all are taken */
        step(&whole, 64);
    }
    run(&paced, 64, 20 * SECOND_US);
    assert_true(paced.work_us > 0.97 * whole.work_us);
}

static void it_is_whole_again_when_the_other_program_ends(void **state)
{
    (void)state;
    struct machine machine = {.free = 1, .stalled = 0.75, .step_us = 7000};
    run(&machine, 2, 30 * SECOND_US);
    machine.free = 2;
    run(&machine, 2, 2 * PACE_REST_US_MAX + PACE_PERIOD_US);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(step(&machine, 2), 2);
    machine.free = 1; /* and gives way again */
    run(&machine, 2, SECOND_US);
    assert_true(run(&machine, 2, 10 * SECOND_US) > 0.98);
    machine.free = 2;
    machine.now_us += 60 * SECOND_US; /* idle meanwhile: the first step is a try */
    assert_int_equal(step(&machine, 2), 2);
}

static void long_steps_are_not_spent_on_tries(void **state)
{
    (void)state;
    struct machine machine = {.free = 1, .stalled = 0.75, .step_us = 800000};
    run(&machine, 2, 20 * SECOND_US);
    assert_true(run(&machine, 2, 200 * SECOND_US) > 0.85);
}

static void the_share_changes_at_once(void **state)
{
    (void)state;
    struct machine machine = {.free = 8, .step_us = 7000};
    for (int i = 0; i < 1000; i++) {
        int most = 1 + i * 7 % 8;
        assert_int_equal(step(&machine, most), most);
    }
    machine.free = 3;
    machine.stalled = 0.7;
    run(&machine, 4, 5 * SECOND_US);
    for (int most = 1; most <= 3; most++) /* fewer than what has proved best: all of them */
        assert_int_equal(step(&machine, most), most);
    machine.free = 8;
    assert_int_equal(step(&machine, 8), 8); /* nothing was given up of three */
}

static void nonsense_does_no_harm(void **state)
{
    (void)state;
    struct pace pace = {0};
    int64_t now_us = 0;
    srandom(1);
    for (int i = 0; i < 100000; i++) {
        int most = 1 + (int)(random() % 4);
        assert_in_range(pace_count(&pace, most, now_us), 1, most);
        int64_t elapsed_us = random() % 3 * (random() % 30000);
        now_us += elapsed_us;
        pace_note(&pace, now_us, elapsed_us, random() % 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_undisturbed_team_is_always_whole),
        cmocka_unit_test(one_thread_beside_a_busy_program_on_two_cores),
        cmocka_unit_test(a_slight_disturbance_is_borne),
        cmocka_unit_test(bursts_are_borne),
        cmocka_unit_test(all_but_the_lost_cores_are_used),
        cmocka_unit_test(hiccups_leave_a_large_team_large),
        cmocka_unit_test(it_is_whole_again_when_the_other_program_ends),
        cmocka_unit_test(long_steps_are_not_spent_on_tries),
        cmocka_unit_test(the_share_changes_at_once),
        cmocka_unit_test(nonsense_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
