/* park.c - see park.h. */
#include "fs/park.h"

#include <errno.h>
#include <stdlib.h>

static void list_add(struct park_list *list, struct park *park)
{
    park->list = list;
    park->previous = NULL;
    park->next = list->first;
    if (list->first)
        list->first->previous = park;
    list->first = park;
}

static void list_remove(struct park *park)
{
    if (park->previous)
        park->previous->next = park->next;
    else
        park->list->first = park->next;
    if (park->next)
        park->next->previous = park->previous;
    park->list = NULL;
}

static void make_ready(struct parking *parking, struct park *park)
{
    if (!park->list)
        return; /* it is queued already */
    list_remove(park);
    park->next = NULL;
    if (parking->ready_last)
        parking->ready_last->next = park;
    else
        parking->ready_first = park;
    parking->ready_last = park;
}

static void interrupt(fuse_req_t request, void *owner)
{
    (void)request;
    struct park *park = owner;
    park->interrupted = true;
    make_ready(park->parking, park);
}

/* End a wait without `resume`. */
static void answer_error(struct park *park, int code)
{
    if (park->abandon)
        park->abandon(park);
    fuse_req_interrupt_func(park->request, NULL, NULL);
    fuse_reply_err(park->request, code);
}

void park_wait(struct parking *parking, const struct park *like, struct park_list *list)
{
    struct park now = *like;
    struct park *park = NULL;
    int code = ENOMEM;
    if (parking->closed)
        code = ESHUTDOWN;
    else if (parking->count >= PARK_MAX)
        code = EAGAIN;
    else
        park = malloc(sizeof *park);
    if (!park) {
        answer_error(&now, code);
        return;
    }
    *park = now;
    park->parking = parking;
    park->interrupted = false;
    parking->count++;
    list_add(list, park);
    fuse_req_interrupt_func(park->request, interrupt, park); /* may call it at once */
}

void park_wake(struct parking *parking, struct park_list *list)
{
    while (list->first)
        make_ready(parking, list->first);
}

static void finish(struct parking *parking, struct park *park)
{
    parking->count--;
    free(park);
}

void park_run(struct parking *parking)
{
    /* What is woken while this runs waits for its own turn at the end of the queue. */
    while (parking->ready_first) {
        struct park *park = parking->ready_first;
        parking->ready_first = park->next;
        if (!parking->ready_first)
            parking->ready_last = NULL;
        struct park_list *list = NULL;
        if (park->interrupted) {
            answer_error(park, EINTR);
            finish(parking, park);
            continue;
        }
        /* From here on libfuse may free the request: no interrupt may find this park. */
        fuse_req_interrupt_func(park->request, NULL, NULL);
        if (park->resume(park, &list)) {
            finish(parking, park);
            continue;
        }
        list_add(list, park);
        fuse_req_interrupt_func(park->request, interrupt, park);
    }
}

void park_refuse(struct parking *parking, struct park_list *list, int code)
{
    while (list->first) {
        struct park *park = list->first;
        list_remove(park);
        answer_error(park, code);
        finish(parking, park);
    }
}
