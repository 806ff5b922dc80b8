/* worker.h - the daemon's end of one worker process.
 *
 * Starts `inferfs-engine worker` on one end of a socketpair, reads its messages, queues what is
 * sent to it, and notices its death at once (pidfd).  The worker dies with the daemon:
 * PR_SET_PDEATHSIG and its socket closing.
 *
 * Owns:     the process, the socket, the queue of bytes to send.
 * Promise:  nothing here blocks but worker_close() of a live process; `exited` is called exactly
 *           once per started worker, after it has been reaped and every message that it sent has
 *           been delivered; no call after that.  A callback may call any function here, also
 *           worker_close().
 * Threads:  the loop's.
 * Limits:   WORKER_* below.
 */
#ifndef FS_WORKER_H
#define FS_WORKER_H

#include "engine/protocol.h"
#include "fs/loop.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    WORKER_STOP_MS = 2000,              /* from STOP, or from its socket's end, to SIGKILL */
    WORKER_QUEUE_BYTES_MAX = 128 << 20, /* unsent bytes */
    WORKER_INPUT_BYTES_MAX = 1 << 20,   /* received bytes that are no message yet */
    WORKER_ERROR_BYTES_MAX = 4096,      /* of its stderr that is kept */
};

struct worker;

struct worker_options {
    const char *program;    /* path of inferfs-engine */
    const char *model_path; /* absolute; used when model_fd is -1 */
    int model_fd;           /* an open descriptor of the model file, or -1: passed so that the
                             * worker opens /proc/self/fd/N and no path is followed twice; a split
                             * model or a folder needs its path, as its files are found by their
                             * names */
    bool probe;             /* send PLAN and exit */
    bool echo;              /* the fake engine */
    uint32_t echo_load_ms, echo_token_ms;
    int threads;
    int32_t context;     /* 0: the model's */
    uint64_t kv_bytes;   /* granted at the start; 0: as many as its plan reserves */
    const char *kernels; /* NULL: best */
    const char *kv;      /* format of the KV pages; NULL: f16 */
};

struct worker_callbacks {
    void (*message)(void *owner, const struct protocol_message *message);
    /* code: 0 when it exited by itself with status 0, EIO when it was killed by a signal, failed,
     * or broke the protocol; text: what was wrong with its message, the signal's name, or the last
     * line of its stderr. */
    void (*exited)(void *owner, int code, const char *text);
};

/* Start a process.  Returns 0, -EAGAIN, -ENOMEM, -EMFILE, -ENAMETOOLONG, -ENOENT when there is no
 * program, or what else execve(2) said of it.  The descriptor and the strings are the caller's. */
int worker_start(struct loop *loop, const struct worker_options *options,
                 const struct worker_callbacks *callbacks, void *owner, struct worker **out,
                 struct error *error);

pid_t worker_pid(const struct worker *worker);

/* The buffer to protocol_put_*() into, then worker_flush().  A worker that does not read until
 * WORKER_QUEUE_BYTES_MAX are queued makes put return -EMSGSIZE. */
struct buffer *worker_output(struct worker *worker);
void worker_flush(struct worker *worker);

/* Tell it to exit; SIGKILL after WORKER_STOP_MS.  `exited` follows. */
void worker_stop(struct worker *worker);
/* SIGKILL now.  `exited` follows. */
void worker_kill(struct worker *worker);

/* Free it (or nothing: NULL).  Before `exited` was called this kills the process and waits until it
 * is gone, without a callback. */
void worker_close(struct worker *worker);

#endif
