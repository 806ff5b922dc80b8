/* test_threads.c - runs, barriers and shares of a team. */
#include "base/threads.h"

#include <dirent.h>
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

/* How often each thread of this process has gone to sleep, in the order of /proc. */
static int sleeps(long counts[TEAM + 1])
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) && count <= TEAM;) {
        char path[300], line[256];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (!file)
            continue;
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "voluntary_ctxt_switches: %ld", &counts[count]) == 1)
                count++;
        fclose(file);
    }
    closedir(folder);
    return count;
}

static void who_takes_no_part_sleeps_on(void **state)
{
    (void)state;
    long before[TEAM + 1], after[TEAM + 1];
    struct threads *threads = opened(TEAM);
    int woken = 0, value = 0;
    for (int i = 0; i < TEAM; i++) { /* the last of them to sleep has slept by then */
        threads_run(threads, TEAM, arrive_late, &value);
        usleep(20 * THREADS_SPIN_US);
    }
    if (sleeps(before) != TEAM)
        skip(); /* a sanitizer's thread runs beside */
    for (int i = 0; i < 100; i++) {
        threads_run(threads, 2, arrive_late, &value);
        usleep(2 * THREADS_SPIN_US);
    }
    assert_int_equal(sleeps(after), TEAM);
    for (int i = 0; i < TEAM; i++)
        woken += after[i] - before[i] >= 50;
    assert_int_equal(woken, 2);
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

struct deal {
    int items, grain;
    atomic_int *owners; /* [items]: how often each was taken */
    int wrong[TEAM];
};

static void take_all(const struct team *team, void *argument)
{
    struct deal *deal = argument;
    int begin, end, *wrong = &deal->wrong[team->index];
    for (int phase = 1; phase <= 20; phase++) {
        for (int turn = 0; threads_take(team, turn, deal->items, deal->grain, &begin, &end);
             turn++) {
            *wrong += begin % deal->grain != 0 || end > deal->items;
            for (int i = begin; i < end; i++)
                atomic_fetch_add(&deal->owners[i], 1);
        }
        threads_barrier(team);
        for (int i = 0; i < deal->items; i++)
            *wrong += atomic_load(&deal->owners[i]) != phase;
        threads_barrier(team);
    }
}

static void parts_that_are_taken_cover_all_items_once(void **state)
{
    (void)state;
    static const int items[] = {0, 1, 15, 16, 17, 33, 576, 1000};
    struct threads *threads = opened(TEAM);
    atomic_int owners[1000];
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        for (int count = 1; count <= TEAM; count++) {
            struct deal deal = {.items = items[i], .grain = 16, .owners = owners};
            for (int at = 0; at < 1000; at++)
                atomic_store(&owners[at], 0);
            threads_run(threads, count, take_all, &deal);
            for (int index = 0; index < TEAM; index++)
                assert_int_equal(deal.wrong[index], 0);
        }
    threads_close(threads);
}

struct late {
    atomic_int most; /* items that the thread which was there took */
};

static void take_while_one_is_late(const struct team *team, void *argument)
{
    struct late *late = argument;
    int begin, end, taken = 0;
    if (team->index == 0) /* its core is lost until the other has taken all that it can */
        while (atomic_load(&late->most) == 0)
            sched_yield();
    for (int turn = 0; threads_take(team, turn, 640, 16, &begin, &end); turn++)
        taken += end - begin;
    if (team->index == 1)
        atomic_store(&late->most, taken);
}

static void who_is_late_leaves_its_part_to_the_others(void **state)
{
    (void)state;
    struct threads *threads = opened(2);
    struct late late = {0};
    threads_run(threads, 2, take_while_one_is_late, &late);
    assert_int_equal(atomic_load(&late.most), 480); /* of 640: all but a half of the first half */
    threads_close(threads);
}

static void waits_that_became_sleeps_are_counted(void **state)
{
    (void)state;
    struct threads *threads = opened(2);
    int value = 0;
    threads_run(threads, 1, mark, &(struct marks){.count = 1});
    assert_int_equal(threads_waited_us(threads), 0);
    for (int i = 0; i < 1000 && threads_waited_us(threads) == 0;
         i++)                                         /* on a busy machine both are */
        threads_run(threads, 2, arrive_late, &value); /* late at times */
    assert_true(threads_waited_us(threads) >= THREADS_SPIN_US);
    threads_close(threads);
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
        cmocka_unit_test(who_takes_no_part_sleeps_on),
        cmocka_unit_test(shares_cover_all_items_once_on_borders_of_the_grain),
        cmocka_unit_test(parts_that_are_taken_cover_all_items_once),
        cmocka_unit_test(who_is_late_leaves_its_part_to_the_others),
        cmocka_unit_test(waits_that_became_sleeps_are_counted),
        cmocka_unit_test(denormals_are_zero_inside_a_run_only),
        cmocka_unit_test(affinity_limits_the_available_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
