/* loop.c - see loop.h.
 *
 * epoll carries the index and the id of a registration, not a pointer: a callback may remove any
 * watch, and an event of the same round that finds another id in the slot is dropped.  Timers are a
 * doubly linked list in order of their due time; a daemon has a handful.
 */
#include "fs/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_ROUND = 64, WATCHES_MIN = 16 };

struct slot {
    struct loop_watch *watch; /* NULL: free */
    uint32_t serial;          /* of the registration that holds it */
};

struct loop {
    int epoll_fd;
    bool stopped;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t serial;
    struct loop_timer *timers; /* by due time, ascending */
    int64_t firing_us;         /* while timers fire: what is due by then; else 0 */
    void (*after_round)(void *owner);
    void *after_round_owner;
};

int loop_open(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        int status = -errno;
        free(loop);
        return status;
    }
    *out = loop;
    return 0;
}

void loop_close(struct loop *loop)
{
    if (!loop)
        return;
    close(loop->epoll_fd);
    free(loop->slots);
    free(loop);
}

/* watch->id holds slot + 1 in its low half and the registration's serial in its high half. */
static uint32_t slot_of(uint64_t id)
{
    return (uint32_t)id - 1;
}

static int take_slot(struct loop *loop, uint32_t *out)
{
    for (uint32_t i = 0; i < loop->slot_count; i++)
        if (!loop->slots[i].watch) {
            *out = i;
            return 0;
        }
    uint32_t grown = loop->slot_count ? loop->slot_count * 2 : WATCHES_MIN;
    struct slot *slots = reallocarray(loop->slots, grown, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = loop->slot_count; i < grown; i++)
        slots[i] = (struct slot){0};
    *out = loop->slot_count;
    loop->slots = slots;
    loop->slot_count = grown;
    return 0;
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
               loop_function *function, void *owner)
{
    uint32_t slot;
    int status = take_slot(loop, &slot);
    if (status)
        return status;
    uint64_t id = (uint64_t)++loop->serial << 32 | (slot + 1);
    struct epoll_event event = {.events = events, .data.u64 = id};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        return -errno;
    loop->slots[slot] = (struct slot){watch, loop->serial};
    *watch = (struct loop_watch){.fd = fd, .function = function, .owner = owner, .id = id};
    return 0;
}

int loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = watch->id};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) ? -errno : 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (!watch->id)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    loop->slots[slot_of(watch->id)].watch = NULL;
    watch->id = 0;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
    if (!timer->due_us)
        return;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        loop->timers = timer->next;
    if (timer->next)
        timer->next->previous = timer->previous;
    *timer = (struct loop_timer){0};
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t due_us,
                    void (*function)(void *owner), void *owner)
{
    loop_timer_clear(loop, timer);
    if (due_us < 1)
        due_us = 1; /* 0 means not set */
    if (due_us <= loop->firing_us)
        due_us = loop->firing_us + 1;
    *timer = (struct loop_timer){.due_us = due_us, .function = function, .owner = owner};
    struct loop_timer *before = NULL, *after = loop->timers;
    while (after && after->due_us <= due_us) {
        before = after;
        after = after->next;
    }
    timer->previous = before;
    timer->next = after;
    if (before)
        before->next = timer;
    else
        loop->timers = timer;
    if (after)
        after->previous = timer;
}

/* Fire what is due now.  A timer that a callback sets for "now" waits for the next round, so that
 * descriptors get their turn. */
static void run_timers(struct loop *loop)
{
    loop->firing_us = clock_now_us();
    while (!loop->stopped && loop->timers && loop->timers->due_us <= loop->firing_us) {
        struct loop_timer *timer = loop->timers;
        void (*function)(void *owner) = timer->function;
        void *owner = timer->owner;
        loop_timer_clear(loop, timer);
        function(owner);
    }
    loop->firing_us = 0;
}

static int wait_ms(const struct loop *loop)
{
    if (!loop->timers)
        return -1;
    int64_t left_us = loop->timers->due_us - clock_now_us();
    if (left_us <= 0)
        return 0;
    return left_us > 60000000 ? 60000 : (int)((left_us + 999) / 1000);
}

static void deliver(struct loop *loop, const struct epoll_event *event)
{
    struct slot *slot = &loop->slots[slot_of(event->data.u64)];
    if (slot->watch && slot->serial == (uint32_t)(event->data.u64 >> 32))
        slot->watch->function(slot->watch->owner, event->events);
}

int loop_run(struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_ROUND];
    while (!loop->stopped) {
        if (loop->after_round)
            loop->after_round(loop->after_round_owner);
        if (loop->stopped)
            break;
        int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_ROUND, wait_ms(loop));
        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count && !loop->stopped; i++)
            deliver(loop, &events[i]);
        run_timers(loop);
    }
    loop->stopped = false; /* it can be run again */
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void loop_after_round(struct loop *loop, void (*function)(void *owner), void *owner)
{
    loop->after_round = function;
    loop->after_round_owner = owner;
}
