/* pool_internal.h - the books of the pool, shared by its own files and by nobody else.
 *
 *   pool.c         events in, timers, views            what happened
 *   pool_plan.c    admission, victims, claims          what should happen
 *   pool_moves.c   one function for each state change  how it happens
 *   pool_check.c   the invariants                      whether it is right
 *   pool_books.c   tables, lists, sums, actions        where it is written down
 *
 * Each file calls only files below it in this list.  docs/POOL.md has the rules.
 */
#ifndef FS_POOL_INTERNAL_H
#define FS_POOL_INTERNAL_H

#include "fs/pool.h"

/* A member of a doubly linked ring; a ring's head is a link of no item.  An unlinked one points
 * at itself. */
struct pool_link {
    struct pool_link *next, *previous;
};

static inline void pool_link_clear(struct pool_link *link)
{
    link->next = link->previous = link;
}

static inline bool pool_link_alone(const struct pool_link *link)
{
    return link->next == link;
}

static inline void pool_link_remove(struct pool_link *link)
{
    link->next->previous = link->previous;
    link->previous->next = link->next;
    pool_link_clear(link);
}

static inline void pool_link_after(struct pool_link *link, struct pool_link *before)
{
    link->previous = before;
    link->next = before->next;
    before->next->previous = link;
    before->next = link;
}

#define POOL_ITEM(link, type, member) ((type *)((uintptr_t)(link)-offsetof(type, member)))

/* Bytes are signed in here: a room may be negative.  POOL_BYTES_MAX keeps sums far from the edge.
 */
struct pool_model {
    uint64_t id; /* first: the key of the table */
    enum pool_state state;
    struct pool_link place;   /* in the list of its state (pool_books_move), or alone */
    struct pool_link claim;   /* in pool->claims, or alone */
    struct pool_link waiting; /* ring of pool_request: its lane, oldest first */
    struct pool_link running; /* ring of pool_request */
    uint32_t waiting_count, running_count;

    uint64_t generation;   /* of its claim to load or of its live worker, else 0 */
    int64_t planned_bytes; /* what loading will hold; 0 when not known */
    int64_t charge_bytes;  /* what its live worker holds */
    int64_t claim_bytes;   /* promised: for a load (WAITING) or for grow_bytes[0] (loaded) */
    int64_t held_bytes;    /* of the claim, the part that is free already and kept for it */
    int64_t grow_bytes[POOL_GROWS_MAX]; /* questions of the worker, oldest first */
    uint32_t grow_count;

    bool pinned;
    bool load_wanted; /* POOL_LOAD, until it is loaded or fails */
    bool gone;        /* removed; forgotten when its worker is reaped */
    bool replan;      /* the file changed while its plan was being made */
    bool reprievable; /* drains only because somebody needs room */
    bool drain_over;  /* its running requests were told to stop */

    uint64_t beneficiary;   /* the model that its room was promised to, or 0 */
    uint64_t want_sequence; /* when it was last wanted without a request */
    int64_t want_us;
    uint64_t turn; /* its place among the lanes: the sequence of the oldest that wants it */
    int64_t turn_us;
    uint32_t overtaken; /* loads that passed it since it waits */

    int64_t started_us, loaded_us, load_us; /* load_us: how long its last load took */
    int64_t used_us, drain_us;
    int64_t retry_us; /* end of its backoff */
    uint32_t failures;
    int failure_code;
};

struct pool_request {
    uint64_t id; /* first: the key of the table */
    struct pool_model *model;
    struct pool_link link; /* in model->waiting or model->running */
    uint64_t sequence;
    int64_t arrived_us;
    bool running;
    bool cancelled; /* POOL_CANCEL was said */
};

/* Open addressing over items whose first member is their id.  At most half full. */
struct pool_table {
    void **items;
    size_t capacity; /* a power of two */
    size_t count;
};

/* Sums over all models, kept up to date by pool_books.c. */
struct pool_totals {
    int64_t charged;   /* loading, loaded, draining, unloading */
    int64_t leaving;   /* the part of it in DRAINING and UNLOADING */
    int64_t unloading; /* the part of it in UNLOADING */
    int64_t claimed;   /* claim_bytes */
    int64_t held;      /* held_bytes */
    int64_t pinned;    /* pool_books_weight() of the pinned ones */
};

struct pool {
    int64_t budget_bytes;
    int64_t idle_ttl_us; /* 0: never */
    int64_t now_us;
    int64_t replan_us; /* a busy model's quantum ends and a lane waits for that */
    uint64_t sequences, generations;
    struct pool_totals totals;
    struct pool_table models, requests;
    struct pool_link lanes;      /* WAITING without a claim, by turn */
    struct pool_link claims;     /* models that were promised room, oldest promise first */
    struct pool_link idle;       /* READY, least recently used first */
    struct pool_link busy;       /* BUSY, busy for longest first */
    struct pool_link draining;   /* DRAINING, oldest drain first */
    struct pool_link resting;    /* pinned and COLD or FAILED: wanted again at retry_us */
    struct pool_model **victims; /* POOL_MODELS_MAX: pool_plan.c's choice */
    struct pool_action *actions;
    size_t action_count, action_capacity;
    bool action_lost;    /* more actions than pool_books_make_room() counts with */
    bool place_due;      /* something changed that may let a lane be placed */
    bool limits_changed; /* the budget or the pinned bytes: lanes may have become impossible */
    bool shrinking;      /* over the budget because the budget shrank: busy models leave too */
    bool over;           /* charges above the budget: it shrank, or a load measured more */
};

/* pool_books.c */
int pool_books_open(struct pool *pool);
void pool_books_close(struct pool *pool);
/* Room for all that one step can say with this many models and requests.  0 or -ENOMEM. */
int pool_books_make_room(struct pool *pool, size_t models, size_t requests);
void pool_books_say(struct pool *pool, struct pool_action action);
/* Say that a running request is to stop, once. */
void pool_books_cancel(struct pool *pool, struct pool_request *request, enum pool_reason reason);

struct pool_model *pool_books_model(const struct pool *pool, uint64_t id);
struct pool_request *pool_books_request(const struct pool *pool, uint64_t id);
struct pool_model *pool_books_add_model(struct pool *pool, uint64_t id); /* NULL: no memory */
void pool_books_forget_model(struct pool *pool, struct pool_model *model);
/* A new request at the end of the model's lane.  NULL: no memory. */
struct pool_request *pool_books_add_request(struct pool *pool, struct pool_model *model,
                                            uint64_t id);
void pool_books_forget_request(struct pool *pool, struct pool_request *request);
/* From the lane to the running ones. */
void pool_books_run_request(struct pool_request *request);

/* Change one fact of a model and the sums and lists with it. */
void pool_books_move(struct pool *pool, struct pool_model *model, enum pool_state state);
void pool_books_charge(struct pool *pool, struct pool_model *model, int64_t bytes);
void pool_books_plan(struct pool *pool, struct pool_model *model, int64_t bytes);
void pool_books_pin(struct pool *pool, struct pool_model *model, bool pinned);
void pool_books_claim(struct pool *pool, struct pool_model *model, int64_t bytes);
void pool_books_hold(struct pool *pool, struct pool_model *model, int64_t bytes);
void pool_books_unclaim(struct pool *pool, struct pool_model *model);
/* Its lane or its want changed: work out its turn again. */
void pool_books_turn(struct pool *pool, struct pool_model *model);

/* What a pin of this model takes from the others: its charge, or its plan while not loaded. */
int64_t pool_books_weight(const struct pool_model *model);
void pool_books_tally(struct pool_totals *totals, const struct pool_model *model, int sign);
/* Not charged and not kept for a claim: may be used now. */
int64_t pool_books_free(const struct pool *pool);
/* What will be left once everybody who leaves is gone and every claim is filled: what a new plan
 * may count with.  Negative when the books are over the budget. */
int64_t pool_books_room(const struct pool *pool);
bool pool_books_wanted(const struct pool_model *model);

/* pool_moves.c */
void pool_moves_want(struct pool *pool, struct pool_model *model);
void pool_moves_wait(struct pool *pool, struct pool_model *model);
void pool_moves_refuse(struct pool *pool, struct pool_model *model);
void pool_moves_unwant(struct pool *pool, struct pool_model *model);
void pool_moves_reserve(struct pool *pool, struct pool_model *model);
void pool_moves_unreserve(struct pool *pool, struct pool_model *model);
void pool_moves_start(struct pool *pool, struct pool_model *model);
void pool_moves_ready(struct pool *pool, struct pool_model *model);
void pool_moves_run(struct pool *pool, struct pool_model *model);
void pool_moves_rest(struct pool *pool, struct pool_model *model);
void pool_moves_drain(struct pool *pool, struct pool_model *model, bool reprievable);
void pool_moves_overdue(struct pool *pool, struct pool_model *model);
void pool_moves_reprieve(struct pool *pool, struct pool_model *model);
void pool_moves_stop(struct pool *pool, struct pool_model *model);
void pool_moves_reap(struct pool *pool, struct pool_model *model);
void pool_moves_die(struct pool *pool, struct pool_model *model, int code);
void pool_moves_fail(struct pool *pool, struct pool_model *model, int code,
                     enum pool_reason reason);
void pool_moves_fail_waiting(struct pool *pool, struct pool_model *model, int code,
                             enum pool_reason reason);
bool pool_moves_never_fits(const struct pool *pool, const struct pool_model *model);

/* pool_plan.c */
void pool_plan_grow(struct pool *pool, struct pool_model *model, int64_t bytes);
/* After every event: hand out returned bytes, first to `beneficiary` (a model, or 0), come back
 * under the budget, place lanes, start what has its room, spare whom nobody needs to leave. */
void pool_plan_settle(struct pool *pool, uint64_t beneficiary);

#endif
