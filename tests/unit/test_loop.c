/* test_loop.c - the event loop: order, removal and what happens within one round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fs/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAIR = 2 };

/* What the callbacks of a test did, one letter each. */
struct record {
    struct loop *loop;
    char done[64];
    int fd[PAIR];
    struct loop_watch watch[PAIR];
    struct loop_timer timer[3];
    int rounds;
};

static void write_down(struct record *record, char letter)
{
    size_t length = strlen(record->done);
    assert_true(length + 1 < sizeof record->done);
    record->done[length] = letter;
}

static int open_record(void **state)
{
    struct record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    assert_int_equal(loop_open(&record->loop), 0);
    for (int i = 0; i < PAIR; i++) {
        record->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_true(record->fd[i] >= 0);
    }
    *state = record;
    return 0;
}

static int close_record(void **state)
{
    struct record *record = *state;
    loop_close(record->loop);
    for (int i = 0; i < PAIR; i++)
        close(record->fd[i]);
    free(record);
    return 0;
}

static void make_ready(struct record *record, int i)
{
    uint64_t one = 1;
    assert_int_equal(write(record->fd[i], &one, sizeof one), sizeof one);
}

static void timer_a(void *owner)
{
    write_down(owner, 'a');
}

static void timer_b(void *owner)
{
    write_down(owner, 'b');
}

static void timer_stop(void *owner)
{
    struct record *record = owner;
    write_down(record, '.');
    loop_stop(record->loop);
}

static void timers_fire_in_order_of_their_due_times(void **state)
{
    struct record *record = *state;
    int64_t now_us = clock_now_us();
    loop_timer_set(record->loop, &record->timer[2], now_us + 3000, timer_stop, record);
    loop_timer_set(record->loop, &record->timer[0], now_us + 1000, timer_a, record);
    loop_timer_set(record->loop, &record->timer[1], now_us + 2000, timer_b, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "ab.");
    assert_true(clock_now_us() >= now_us + 3000);
}

static void timers_due_at_the_same_time_fire_in_the_order_they_were_set(void **state)
{
    struct record *record = *state;
    int64_t due_us = clock_now_us() + 1000;
    loop_timer_set(record->loop, &record->timer[1], due_us, timer_b, record);
    loop_timer_set(record->loop, &record->timer[0], due_us, timer_a, record);
    loop_timer_set(record->loop, &record->timer[2], due_us, timer_stop, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "ba.");
}

static void a_timer_that_is_set_again_moves(void **state)
{
    struct record *record = *state;
    int64_t now_us = clock_now_us();
    loop_timer_set(record->loop, &record->timer[0], now_us + 1000, timer_a, record);
    loop_timer_set(record->loop, &record->timer[1], now_us + 2000, timer_b, record);
    loop_timer_set(record->loop, &record->timer[0], now_us + 3000, timer_a, record);
    loop_timer_set(record->loop, &record->timer[2], now_us + 4000, timer_stop, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "ba.");
}

static void clear_other_timers(void *owner)
{
    struct record *record = owner;
    write_down(record, 'c');
    loop_timer_clear(record->loop, &record->timer[1]);
    loop_timer_clear(record->loop, &record->timer[1]); /* twice is harmless */
}

static void a_timer_cleared_by_an_earlier_one_of_the_round_does_not_fire(void **state)
{
    struct record *record = *state;
    loop_timer_set(record->loop, &record->timer[0], 1, clear_other_timers, record);
    loop_timer_set(record->loop, &record->timer[1], 2, timer_b, record);
    loop_timer_set(record->loop, &record->timer[2], 3, timer_stop, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "c.");
    assert_int_equal(record->timer[1].due_us, 0);
}

static void count_round(void *owner)
{
    struct record *record = owner;
    record->rounds++;
}

static void set_again_for_the_past(void *owner)
{
    struct record *record = owner;
    write_down(record, 'p');
    assert_int_equal(record->timer[0].due_us, 0); /* fired: not set any more */
    if (strlen(record->done) < 5)
        loop_timer_set(record->loop, &record->timer[0], 0, set_again_for_the_past, record);
    else
        loop_stop(record->loop);
}

static void a_timer_set_for_the_past_by_a_timer_waits_for_the_next_round(void **state)
{
    struct record *record = *state;
    loop_after_round(record->loop, count_round, record);
    loop_timer_set(record->loop, &record->timer[0], 0, set_again_for_the_past, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "ppppp");
    assert_true(record->rounds >= 5);
}

static void nothing_fires_after_stop(void **state)
{
    struct record *record = *state;
    loop_timer_set(record->loop, &record->timer[0], 1, timer_stop, record);
    loop_timer_set(record->loop, &record->timer[1], 2, timer_b, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, ".");
    loop_timer_set(record->loop, &record->timer[2], 3, timer_stop, record);
    assert_int_equal(loop_run(record->loop), 0); /* a loop can be run again */
    assert_string_equal(record->done, ".b.");
}

/* Whichever of the two is called first removes the other. */
static void remove_the_other(void *owner, uint32_t events)
{
    struct record *record = owner;
    assert_int_equal(events, EPOLLIN);
    write_down(record, 'x');
    for (int i = 0; i < PAIR; i++)
        loop_unwatch(record->loop, &record->watch[i]);
    loop_timer_set(record->loop, &record->timer[0], 0, timer_stop, record);
}

static void a_watch_removed_in_the_same_round_does_not_fire(void **state)
{
    struct record *record = *state;
    for (int i = 0; i < PAIR; i++) {
        make_ready(record, i);
        assert_int_equal(loop_watch(record->loop, &record->watch[i], record->fd[i], EPOLLIN,
                                    remove_the_other, record),
                         0);
    }
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "x.");
    assert_int_equal(record->watch[0].id, 0);
    assert_int_equal(record->watch[1].id, 0);
}

static void is_not_ready(void *owner, uint32_t events)
{
    (void)events;
    write_down(owner, '!');
}

/* The other's event is still in this round's list when its slot belongs to somebody else. */
static void replace_the_other(void *owner, uint32_t events)
{
    (void)events;
    struct record *record = owner;
    write_down(record, 'x');
    for (int i = 0; i < PAIR; i++)
        loop_unwatch(record->loop, &record->watch[i]);
    for (int i = 0; i < PAIR; i++) {
        uint64_t drained;
        assert_int_equal(read(record->fd[i], &drained, sizeof drained), sizeof drained);
        assert_int_equal(loop_watch(record->loop, &record->watch[i], record->fd[i], EPOLLIN,
                                    is_not_ready, record),
                         0);
    }
    loop_timer_set(record->loop, &record->timer[0], 0, timer_stop, record);
}

static void an_old_event_does_not_reach_the_new_watch_of_its_slot(void **state)
{
    struct record *record = *state;
    for (int i = 0; i < PAIR; i++) {
        make_ready(record, i);
        assert_int_equal(loop_watch(record->loop, &record->watch[i], record->fd[i], EPOLLIN,
                                    replace_the_other, record),
                         0);
    }
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "x.");
}

static void see_writable(void *owner, uint32_t events)
{
    struct record *record = owner;
    write_down(record, events == EPOLLOUT ? 'w' : 'r');
    if (events == EPOLLOUT)
        assert_int_equal(loop_rewatch(record->loop, &record->watch[0], EPOLLIN), 0);
    else
        loop_stop(record->loop);
}

static void a_watch_changes_the_events_it_waits_for(void **state)
{
    struct record *record = *state;
    make_ready(record, 0);
    assert_int_equal(
        loop_watch(record->loop, &record->watch[0], record->fd[0], EPOLLOUT, see_writable, record),
        0);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "wr");
}

static void see_first_round(void *owner)
{
    struct record *record = owner;
    write_down(record, 'r');
    if (++record->rounds == 3)
        loop_stop(record->loop);
}

static void after_round_comes_before_the_first_wait_and_after_each(void **state)
{
    struct record *record = *state;
    loop_after_round(record->loop, see_first_round, record);
    loop_timer_set(record->loop, &record->timer[0], 0, timer_a, record);
    loop_timer_set(record->loop, &record->timer[1], clock_now_us() + 2000, timer_b, record);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "rarbr");
}

static void see_last(void *owner, uint32_t events)
{
    (void)events;
    struct record *record = owner;
    write_down(record, 'z');
    loop_stop(record->loop);
}

static void more_watches_than_the_first_table_holds(void **state)
{
    enum { MANY = 100 };
    struct record *record = *state;
    static struct loop_watch watches[MANY];
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC);
        assert_true(fds[i] >= 0);
        assert_int_equal(loop_watch(record->loop, &watches[i], fds[i], EPOLLIN,
                                    i == MANY - 1 ? see_last : is_not_ready, record),
                         0);
    }
    uint64_t one = 1;
    assert_int_equal(write(fds[MANY - 1], &one, sizeof one), sizeof one);
    assert_int_equal(loop_run(record->loop), 0);
    assert_string_equal(record->done, "z");
    for (int i = 0; i < MANY; i++) {
        loop_unwatch(record->loop, &watches[i]);
        close(fds[i]);
    }
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct record *record = *state;
    assert_true(loop_watch(record->loop, &record->watch[0], -1, EPOLLIN, is_not_ready, record) < 0);
    assert_int_equal(record->watch[0].id, 0);
    loop_unwatch(record->loop, &record->watch[0]); /* harmless */
}

#define LOOP_TEST(function) cmocka_unit_test_setup_teardown(function, open_record, close_record)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timers_fire_in_order_of_their_due_times),
        LOOP_TEST(timers_due_at_the_same_time_fire_in_the_order_they_were_set),
        LOOP_TEST(a_timer_that_is_set_again_moves),
        LOOP_TEST(a_timer_cleared_by_an_earlier_one_of_the_round_does_not_fire),
        LOOP_TEST(a_timer_set_for_the_past_by_a_timer_waits_for_the_next_round),
        LOOP_TEST(nothing_fires_after_stop),
        LOOP_TEST(a_watch_removed_in_the_same_round_does_not_fire),
        LOOP_TEST(an_old_event_does_not_reach_the_new_watch_of_its_slot),
        LOOP_TEST(a_watch_changes_the_events_it_waits_for),
        LOOP_TEST(after_round_comes_before_the_first_wait_and_after_each),
        LOOP_TEST(more_watches_than_the_first_table_holds),
        LOOP_TEST(a_descriptor_that_cannot_be_watched_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
