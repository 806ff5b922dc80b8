/* pool.h - which models are in memory: the pure core.
 *
 * A state machine over facts: an event and the time go in, actions come out.  It makes no system
 * call, reads no clock, takes no lock and knows neither files nor processes, so that a million
 * random events can be run through it in a test.  The daemon's one thread owns it, feeds it and
 * carries out what it says.
 *
 * Owns:     the books: the state, charge, pins, lane (waiting requests) and running requests of
 *           every model.
 * Promise:  the sum of charges never passes the budget when a plan is made; a charge is returned
 *           once, after the worker was reaped; a pinned model is never a victim; a draining
 *           generation gains no request; at most one live generation per model (single flight);
 *           every request gets exactly one end; while any request waits, an action, a running
 *           request, a load or a timer exists that will move it.
 * Threads:  one.
 * Limits:   POOL_* below.
 */
#ifndef FS_POOL_H
#define FS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    POOL_MODELS_MAX = 4096,
    POOL_REQUESTS_MAX = 16384, /* waiting and running, all models */
    POOL_DRAIN_MS = 10000,     /* a victim's running requests may take this long */
    POOL_QUANTUM_MS = 2000,    /* a busy model works at least this long before it is a victim */
    POOL_QUANTUM_LOADS = 5,    /* ... and at least so many times its own load time */
    POOL_OVERTAKE_MAX = 128,   /* loads that may pass a lane that is not yet placeable */
    POOL_AGE_MS = 30000,       /* ... and how long it may be passed at all */
    POOL_GROWS_MAX = 4,        /* unanswered POOL_GROW of one worker */
    POOL_BACKOFF_MS = 1000,    /* after a failed load; doubles up to POOL_BACKOFF_MS_MAX */
    POOL_BACKOFF_MS_MAX = 60000,
};

/* No sum of charges can overflow: a budget above this is cut to it, a model above it never fits. */
#define POOL_BYTES_MAX (UINT64_C(1) << 50)

/*            request          planned         room is there     worker ready
 *   COLD ─────────▶ PLANNING ───────▶ WAITING ───────▶ LOADING ───────────▶ READY ⇄ BUSY
 *    ▲                   │ failed             failed  │   │ nobody            │ victim, unload,
 *    │                   ▼                            │   │ wants it          │ idle TTL, changed,
 *    │                FAILED ◀────────────────────────┘   ▼                   ▼ removed
 *    └──────────────────────────────────────────────── UNLOADING ◀────── DRAINING
 *                              reaped (charge returned)
 *
 * The charge is held from LOADING to the reaping.  FAILED refuses requests until its backoff ends
 * (then it is as COLD, though still called failed until somebody asks) or the file changes.  A
 * worker that dies while loaded leaves a COLD model.  docs/POOL.md has the moves one by one. */
enum pool_state {
    POOL_COLD,
    POOL_PLANNING, /* its charge is being read from the file */
    POOL_WAITING,  /* has a lane; not placed yet, or placed and waiting for its victims */
    POOL_LOADING,
    POOL_READY,     /* loaded, nothing running */
    POOL_BUSY,      /* loaded, requests running */
    POOL_DRAINING,  /* finishes what runs, takes nothing new */
    POOL_UNLOADING, /* told to exit, not reaped yet; still charged */
    POOL_FAILED,
};

enum pool_event_kind {
    POOL_MODEL_ADDED,   /* model (a number never used before) */
    POOL_MODEL_CHANGED, /* model: another file under the same name; the loaded one drains, a loading
                         * one is stopped, a plan or backoff is forgotten, waiting requests stay */
    POOL_MODEL_REMOVED, /* model: waiting requests fail with ESTALE, a loaded one drains; forgotten
                         * once nothing is left of it */
    POOL_REQUEST,       /* model, request (a number never used before): wants to run */
    POOL_REQUEST_ENDED, /* request: the worker finished with it, whatever the outcome */
    POOL_REQUEST_DROPPED, /* request: its submitter gave it up; a waiting one is forgotten without a
                           * word, a running one gets POOL_CANCEL */
    POOL_PLANNED,     /* model, bytes: what loading it will hold.  After a POOL_MODEL_CHANGED that
                       * came in between, this answer is dropped and POOL_PLAN said again */
    POOL_PLAN_FAILED, /* model, code */
    POOL_LOADED,      /* model, generation, bytes: measured charge, also the plan of the next load;
                       * 0 for as planned */
    POOL_EXITED,      /* model, generation, code: its worker is reaped; code 0 when it was told to
                       * stop, else the errno of its running and waiting requests */
    POOL_GROW,        /* model, generation, bytes (not 0): the loaded worker asks for more (KV
                       * pages); each is answered once, in order, unless POOL_STOP comes first */
    POOL_LOAD,        /* model: load it without a request */
    POOL_UNLOAD,      /* model: drain and unload it (a pinned one too; the pin goes), stop its load;
                       * requests that wait stay and have it loaded again */
    POOL_PIN,         /* model: load it and keep it; if it fails, load it again after the backoff */
    POOL_UNPIN,       /* model; a load that nothing else wants is stopped */
    POOL_BUDGET,      /* bytes: the new budget; loaded models over it leave, idle LRU first, then
                       * busy ones drain */
    POOL_IDLE_TTL,    /* bytes: idle time in ms after which a model is unloaded, 0 for never */
    POOL_TIMER,       /* only the time has passed */
};

struct pool_event {
    enum pool_event_kind kind;
    uint64_t model;
    uint64_t request;
    uint64_t generation;
    uint64_t bytes;
    int code; /* a positive errno */
};

enum pool_action_kind {
    POOL_PLAN,     /* model: read its charge, answer POOL_PLANNED or POOL_PLAN_FAILED */
    POOL_RESERVED, /* model, generation: note: placed, its victims (POOL_VICTIM) follow in this step
                    */
    POOL_VICTIM,  /* model, generation, bytes (its charge): note: this one leaves for `beneficiary`,
                   * which was placed in this step or waits for a POOL_GRANT */
    POOL_DRAINED, /* model, generation: note: nothing runs on it any more; POOL_STOP follows */
    POOL_START,  /* model, generation, bytes: start its worker; answer POOL_LOADED or POOL_EXITED */
    POOL_STOP,   /* model, generation: tell its worker to exit; answer POOL_EXITED */
    POOL_RUN,    /* request, model, generation: hand it to the worker; answer POOL_REQUEST_ENDED */
    POOL_CANCEL, /* request, code: tell the worker to stop it (still answer POOL_REQUEST_ENDED) */
    POOL_FAIL,   /* model, request, code, reason: it will not run; no answer.  Request 0: a pin or
                  * load that was asked for without a request; a pin is dropped by POOL_NEVER_FITS
                  * and else tried again after the backoff */
    POOL_GRANT,  /* model, generation, bytes: charged */
    POOL_REFUSE, /* model, generation, bytes, plus need, budget and pinned */
};

enum pool_reason {
    POOL_NO_REASON,
    POOL_NEVER_FITS,  /* ENOMEM: need > budget - pinned: see the numbers */
    POOL_PLAN_BAD,    /* the code of POOL_PLAN_FAILED */
    POOL_LOAD_BAD,    /* the code of POOL_EXITED while loading */
    POOL_WORKER_DIED, /* the code of POOL_EXITED while running */
    POOL_BACKING_OFF, /* the last failure's code again */
    POOL_GONE,        /* ESTALE: removed */
    POOL_DRAIN_OVER,  /* ECANCELED: the drain deadline passed */
    POOL_FULL,        /* EAGAIN: POOL_REQUESTS_MAX */
    POOL_UNLOADED,    /* ECANCELED: dropped by its submitter or by an unload */
};

struct pool_action {
    enum pool_action_kind kind;
    uint64_t model;
    uint64_t request;
    uint64_t generation;
    uint64_t beneficiary; /* POOL_VICTIM: the model that gets the room, 0 for none */
    uint64_t bytes;
    int code;
    enum pool_reason reason;
    uint64_t need_bytes, budget_bytes, pinned_bytes; /* POOL_NEVER_FITS and POOL_REFUSE */
};

/* What one step says, in order; the pool's own array, valid until the next step. */
struct pool_actions {
    const struct pool_action *items;
    size_t count;
};

struct pool;

/* Returns 0 or -ENOMEM. */
int pool_open(uint64_t budget_bytes, struct pool **out);
void pool_close(struct pool *pool);

/* Apply one event at time now_us (never earlier than before).  Returns 0; -ENOMEM when there is no
 * memory for the books or POOL_MODELS_MAX is reached (nothing has changed, only POOL_MODEL_ADDED
 * and POOL_REQUEST can); -EINVAL
 * for an event that does not fit the state (unknown model or request, a stale generation), which
 * changes nothing and is the daemon's signal that its answer came too late. */
int pool_step(struct pool *pool, const struct pool_event *event, int64_t now_us,
              struct pool_actions *out);

/* When POOL_TIMER is wanted next, or INT64_MAX. */
int64_t pool_deadline_us(const struct pool *pool);

/* A model's line in the books; zeros for an unknown one (returns false). */
struct pool_view {
    enum pool_state state;
    uint64_t generation;    /* the live worker's, or 0 */
    uint64_t charge_bytes;  /* held now, also while unloading */
    uint64_t planned_bytes; /* 0 when not known */
    uint32_t waiting, running;
    bool pinned;
    int64_t used_us; /* last use: the LRU order */
};
bool pool_view(const struct pool *pool, uint64_t model, struct pool_view *out);

uint64_t pool_budget_bytes(const struct pool *pool);
uint64_t pool_charged_bytes(const struct pool *pool);
uint64_t pool_pinned_bytes(const struct pool *pool);

const char *pool_state_name(enum pool_state state); /* "cold", "loading", "ready", ... */

/* Check every invariant of the books.  Returns NULL, or the broken one in words (for tests and
 * -o check). */
const char *pool_broken_invariant(const struct pool *pool);

#endif
