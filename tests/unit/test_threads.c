/* test_threads.c - runs, barriers and shares of a team. */
#include "base/threads.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEAM = 4, ROUNDS = 500 };

static struct threads *opened(int count)
{
    struct threads *threads;
    assert_int_equal(threads_open(count, &threads, NULL), 0);
    assert_int_equal(threads_count(threads), count);
    return threads;
}

static void a_count_outside_the_limits_is_refused(void **state)
{
    (void)state;
    struct threads *threads;
    struct error error;
    assert_int_equal(threads_open(0, &threads, &error), -EINVAL);
    assert_null(threads);
    assert_int_equal(threads_open(THREADS_MAX + 1, &threads, &error), -EINVAL);
    assert_non_null(strstr(error.text, "65 threads"));
    threads_close(NULL);
}

struct marks {
    atomic_int runs[TEAM];
    int count;
};

static void mark(const struct team *team, void *argument)
{
    struct marks *marks = argument;
    if (team->count == marks->count)
        atomic_fetch_add(&marks->runs[team->index], 1);
}

static void a_run_calls_each_of_its_threads_once(void **state)
{
    (void)state;
    struct threads *threads = opened(TEAM);
    for (int round = 0; round < ROUNDS; round++) {
        struct marks marks = {.count = 1 + round % TEAM};
        threads_run(threads, marks.count, mark, &marks);
        for (int i = 0; i < TEAM; i++)
            assert_int_equal(atomic_load(&marks.runs[i]), i < marks.count);
    }
    threads_close(threads);
}

/* Plain (not atomic) values that only barriers order. */
struct relay {
    int value[TEAM];
    int wrong[TEAM];
};

static void pass_on(const struct team *team, void *argument)
{
    struct relay *relay = argument;
    int next = (team->index + 1) % team->count;
    for (int round = 1; round <= ROUNDS; round++) {
        relay->value[team->index] = round;
        threads_barrier(team);
        relay->wrong[team->index] += relay->value[next] != round;
        threads_barrier(team);
    }
}

static void what_is_written_before_a_barrier_is_seen_after_it(void **state)
{
    (void)state;
    struct threads *threads = opened(TEAM);
    for (int count = 1; count <= TEAM; count++) {
        struct relay relay = {0};
        threads_run(threads, count, pass_on, &relay);
        for (int i = 0; i < count; i++)
            assert_int_equal(relay.wrong[i], 0);
    }
    threads_close(threads);
}

static void arrive_late(const struct team *team, void *argument)
{
    int *value = argument;
    if (team->index == 0) {
        usleep(20 * THREADS_SPIN_US); /* the others have gone to sleep in the kernel by then */
        *value = 1;
    }
    threads_barrier(team);
    if (team->index == 1)
        *value += *value == 1;
}

static void sleepers_are_woken(void **state)
{
    (void)state;
    struct threads *threads = opened(2);
    for (int round = 0; round < 10; round++) {
        int value = 0;
        threads_run(threads, 2, arrive_late, &value);
        assert_int_equal(value, 2);
        usleep(20 * THREADS_SPIN_US); /* between runs all sleep */
    }
    threads_close(threads);
}

static void shares_cover_all_items_once_on_borders_of_the_grain(void **state)
{
    (void)state;
    static const int items[] = {0, 1, 15, 16, 17, 576, 49152, 50257, INT32_MAX};
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        for (int count = 1; count <= THREADS_MAX; count++) {
            int expected = 0;
            for (int index = 0; index < count; index++) {
                struct team team = {NULL, index, count};
                int begin, end;
                threads_share(&team, items[i], 16, &begin, &end);
                assert_int_equal(begin, expected);
                assert_true(end >= begin && (begin % 16 == 0 || begin == items[i]));
                expected = end;
            }
            assert_int_equal(expected, items[i]);
        }
}

static void divide(const struct team *team, void *argument)
{
    volatile float tiny = 1e-38f;
    int *zeros = argument;
    zeros[team->index] = tiny / 16 == 0;
}

static void denormals_are_zero_inside_a_run_only(void **state)
{
    (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
    struct threads *threads = opened(2);
    int zeros[2] = {0};
    threads_run(threads, 2, divide, zeros);
    assert_true(zeros[0] && zeros[1]);
    divide(&(struct team){NULL, 0, 1}, zeros);
    assert_false(zeros[0]);
    threads_close(threads);
#else
    skip();
#endif
}

static void affinity_limits_the_available_threads(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int available = threads_available();
    assert_in_range(available, 1, THREADS_MAX);
    assert_true(available <= CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(threads_available(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_outside_the_limits_is_refused),
        cmocka_unit_test(a_run_calls_each_of_its_threads_once),
        cmocka_unit_test(what_is_written_before_a_barrier_is_seen_after_it),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(shares_cover_all_items_once_on_borders_of_the_grain),
        cmocka_unit_test(denormals_are_zero_inside_a_run_only),
        cmocka_unit_test(affinity_limits_the_available_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
