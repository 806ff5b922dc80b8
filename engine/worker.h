/* worker.h - a process that serves one model to the daemon on PROTOCOL_FD.
 *
 * Owns:     the process: it ignores the terminal's signals, dies with the daemon, offers itself to
 *           the OOM killer first, and ends when it is told to or when the socket closes.
 * Promise:  GENERATE, CANCEL and GRANT take effect at the next step; STOP at once, also while the
 *           model loads.  A model that can't be loaded, or that is truncated while it is mapped,
 *           ends in FAILED and status 0: the daemon learns the reason from the message.
 * Threads:  the caller's computes, one more reads.
 * Limits:   WORKER_*.
 */
#ifndef WORKER_H
#define WORKER_H

#include "engine.h"

enum {
    WORKER_OUTPUT_BYTES_MAX = 64 << 20, /* of what one step says */
    WORKER_DEFAULT_TOKENS_MAX = 2048,   /* of an answer whose request names no number: small
                                         * models repeat themselves for ever */
    WORKER_OOM_SCORE = 500,             /* oom_score_adj: leaves before the daemon does */
};

struct worker_settings {
    const char *path;
    int64_t started_us; /* when main() was entered */
    bool probe;         /* PLAN and exit */
    bool echo;          /* the fake engine, see echo.h */
    uint32_t echo_load_ms, echo_token_ms;
    struct engine_options engine;
};

/* Serve until told to stop; never returns. */
_Noreturn void worker_run(const struct worker_settings *settings);

#endif
