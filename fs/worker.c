/* worker.c - see worker.h.
 *
 * Three descriptors of each worker are watched: its socket, its stderr, and its pidfd.  Death is
 * learnt from the pidfd alone; by then everything that the process wrote is in the socket and the
 * pipe, so both are emptied before it is reaped and `exited` is called.
 */
#include "fs/worker.h"

#include "base/clock.h"
#include "fs/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 << 10,
    READS_PER_EVENT = 16, /* then the other watches get their turn */
    READS_AT_END = 1024,  /* more than a socket holds: a child of the worker may go on writing */
    KEEP_BYTES_MAX = 1 << 20, /* of an empty queue's memory */
};

struct worker {
    struct loop *loop;
    const struct worker_callbacks *callbacks;
    void *owner;
    struct launched process;
    struct loop_watch pid_watch, socket_watch, error_watch;
    struct loop_timer overdue;
    struct buffer input;
    struct buffer output;
    size_t sent;          /* bytes at the front of output */
    bool waits_to_send;   /* EPOLLOUT is watched */
    struct buffer errors; /* the end of its stderr */
    struct error failure; /* it broke the protocol */
    bool stopping;        /* told to stop: it may leave in the middle of a message */
    bool exited;
    bool calling; /* inside a callback: freeing waits */
    bool closed;  /* worker_close() was called meanwhile */
    struct protocol_message message;
};

/* --- starting ------------------------------------------------------------------------------ */

static void on_socket(void *owner, uint32_t events);
static void on_error_output(void *owner, uint32_t events);
static void on_death(void *owner, uint32_t events);

static int watch(struct worker *worker)
{
    struct loop *loop = worker->loop;
    int status =
        loop_watch(loop, &worker->pid_watch, worker->process.pid_fd, EPOLLIN, on_death, worker);
    if (!status)
        status = loop_watch(loop, &worker->error_watch, worker->process.error_fd, EPOLLIN,
                            on_error_output, worker);
    if (!status)
        status = loop_watch(loop, &worker->socket_watch, worker->process.socket, EPOLLIN, on_socket,
                            worker);
    return status;
}

int worker_start(struct loop *loop, const struct worker_options *options,
                 const struct worker_callbacks *callbacks, void *owner, struct worker **out,
                 struct error *error)
{
    struct worker *worker = memory_try(1, sizeof *worker);
    if (!worker)
        return error_set(error, ENOMEM, "no memory for a worker");
    worker->loop = loop;
    worker->callbacks = callbacks;
    worker->owner = owner;
    worker->input = buffer_new(WORKER_INPUT_BYTES_MAX);
    worker->output = buffer_new(WORKER_QUEUE_BYTES_MAX);
    worker->errors = buffer_new(2 * WORKER_ERROR_BYTES_MAX);
    int status = launch_worker(options, &worker->process);
    if (!status)
        status = watch(worker);
    if (status) {
        worker_close(worker);
        return error_set(error, -status, "can't start %s: %s", options->program, strerror(-status));
    }
    *out = worker;
    return 0;
}

/* --- what the worker says --------------------------------------------------------------------- */

static void close_when_asked(struct worker *worker)
{
    if (worker->closed)
        worker_close(worker);
}

static void fail(struct worker *worker, const char *text)
{
    error_set(&worker->failure, EPROTO, "%s", text);
    worker_kill(worker);
}

static void deliver_messages(struct worker *worker)
{
    struct error error = {0};
    size_t at = 0, consumed;
    while (!worker->closed && !worker->failure.code) {
        struct text input = {worker->input.bytes + at, worker->input.length - at};
        int status = protocol_parse(input, &worker->message, &consumed, &error);
        if (status == 0)
            break;
        if (status < 0) {
            fail(worker, error.text);
        } else if (worker->message.header.type < PROTOCOL_PLAN) {
            fail(worker, "protocol: the worker sent a message of the daemon");
        } else {
            worker->calling = true;
            worker->callbacks->message(worker->owner, &worker->message);
            worker->calling = false;
            at += consumed;
        }
    }
    buffer_consume(&worker->input, at);
}

/* Read once.  False when there is no more: for now, or for good (*ended). */
static bool receive(struct worker *worker, bool *ended)
{
    char chunk[READ_BYTES];
    ssize_t count = recv(worker->process.socket, chunk, sizeof chunk, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR)
        return true;
    *ended = count == 0 || (count < 0 && errno != EAGAIN);
    if (count <= 0)
        return false;
    if (worker->failure.code)
        return true; /* nothing that follows has a meaning */
    if (buffer_append(&worker->input, chunk, (size_t)count))
        fail(worker, "protocol: a message is too long for the daemon");
    else
        deliver_messages(worker);
    return !worker->closed;
}

static void on_overdue(void *owner)
{
    worker_kill(owner);
}

static void set_overdue(struct worker *worker)
{
    if (!worker->overdue.due_us)
        loop_timer_set(worker->loop, &worker->overdue,
                       clock_now_us() + WORKER_STOP_MS * INT64_C(1000), on_overdue, worker);
}

static void on_socket(void *owner, uint32_t events)
{
    struct worker *worker = owner;
    bool ended = false;
    if (events & EPOLLOUT)
        worker_flush(worker);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        for (int i = 0; i < READS_PER_EVENT && receive(worker, &ended); i++)
            ;
    if (ended) { /* it is about to exit, and has a moment for it */
        loop_unwatch(worker->loop, &worker->socket_watch);
        set_overdue(worker);
    }
    close_when_asked(worker);
}

/* Read once; false when there is no more for now or for good (*ended). */
static bool receive_errors(struct worker *worker, bool *ended)
{
    char chunk[WORKER_ERROR_BYTES_MAX];
    struct buffer *errors = &worker->errors;
    ssize_t count = read(worker->process.error_fd, chunk, sizeof chunk);
    *ended = count == 0;
    if (count <= 0)
        return false;
    if (buffer_append(errors, chunk, (size_t)count) == 0 && errors->length > WORKER_ERROR_BYTES_MAX)
        buffer_consume(errors, errors->length - WORKER_ERROR_BYTES_MAX);
    return true;
}

static void on_error_output(void *owner, uint32_t events)
{
    struct worker *worker = owner;
    bool ended = false;
    (void)events;
    for (int i = 0; i < READS_PER_EVENT && receive_errors(worker, &ended); i++)
        ;
    if (ended)
        loop_unwatch(worker->loop, &worker->error_watch);
}

/* --- its end ---------------------------------------------------------------------------------- */

/* The last line that is not empty, made printable. */
static void last_error_line(const struct worker *worker, struct error *out)
{
    const char *bytes = worker->errors.bytes;
    size_t end = worker->errors.length;
    while (end && (bytes[end - 1] == '\n' || bytes[end - 1] == '\r'))
        end--;
    size_t start = end;
    while (start && bytes[start - 1] != '\n')
        start--;
    error_set(out, EIO, "%.*s", (int)(end - start), end ? bytes + start : "");
}

/* Returns 0 or EIO, and why. */
static int explain_end(struct worker *worker, int status, struct error *why)
{
    last_error_line(worker, why);
    if (worker->failure.code) {
        *why = worker->failure;
        return EIO;
    }
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        error_set(why, EIO, "killed by SIG%s", name ? name : "?");
        return EIO;
    }
    if (WEXITSTATUS(status)) {
        if (!why->text[0])
            error_set(why, EIO, "exited with status %d", WEXITSTATUS(status));
        return EIO;
    }
    if (worker->input.length && !worker->stopping) {
        error_set(why, EPROTO, "protocol: its last message is cut off");
        return EIO;
    }
    return 0;
}

static void unwatch(struct worker *worker)
{
    loop_unwatch(worker->loop, &worker->socket_watch);
    loop_unwatch(worker->loop, &worker->error_watch);
    loop_unwatch(worker->loop, &worker->pid_watch);
    loop_timer_clear(worker->loop, &worker->overdue);
}

static void on_death(void *owner, uint32_t events)
{
    struct worker *worker = owner;
    bool ended = false;
    (void)events;
    for (int i = 0; i < READS_AT_END && receive(worker, &ended); i++)
        ;
    for (int i = 0; i < READS_AT_END && receive_errors(worker, &ended); i++)
        ;
    if (!worker->closed) {
        int status = 0;
        struct error why;
        unwatch(worker);
        if (waitpid(worker->process.pid, &status, 0) < 0)
            status = 0; /* not ours to reap: how it ended is not known */
        worker->exited = true;
        int code = explain_end(worker, status, &why);
        worker->calling = true;
        worker->callbacks->exited(worker->owner, code, why.text);
        worker->calling = false;
    }
    close_when_asked(worker);
}

/* --- what the daemon does --------------------------------------------------------------------- */

pid_t worker_pid(const struct worker *worker)
{
    return worker->process.pid;
}

/* Sent bytes leave the front only when they are more than half: each is moved once at most. */
struct buffer *worker_output(struct worker *worker)
{
    if (worker->sent > worker->output.length / 2) {
        buffer_consume(&worker->output, worker->sent);
        worker->sent = 0;
    }
    return &worker->output;
}

static void watch_for_sending(struct worker *worker, bool wanted)
{
    if (worker->waits_to_send == wanted || !worker->socket_watch.id)
        return;
    worker->waits_to_send = wanted;
    loop_rewatch(worker->loop, &worker->socket_watch, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void worker_flush(struct worker *worker)
{
    struct buffer *output = &worker->output;
    while (!worker->exited && worker->sent < output->length) {
        ssize_t count = send(worker->process.socket, output->bytes + worker->sent,
                             output->length - worker->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) {
            watch_for_sending(worker, true);
            return;
        }
        if (count < 0 && errno != EINTR)
            break; /* it does not read any more: its death is on the way */
        if (count > 0)
            worker->sent += (size_t)count;
    }
    output->length = 0;
    worker->sent = 0;
    if (output->capacity > KEEP_BYTES_MAX)
        buffer_free(output);
    watch_for_sending(worker, false);
}

void worker_stop(struct worker *worker)
{
    if (worker->exited)
        return;
    worker->stopping = true;
    if (protocol_put_stop(worker_output(worker))) {
        worker_kill(worker);
        return;
    }
    worker_flush(worker);
    set_overdue(worker);
}

void worker_kill(struct worker *worker)
{
    if (!worker->exited)
        kill(worker->process.pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

void worker_close(struct worker *worker)
{
    if (!worker)
        return;
    unwatch(worker);
    if (worker->process.pid && !worker->exited)
        kill(worker->process.pid, SIGKILL);
    if (worker->calling) {
        worker->closed = true;
        return;
    }
    if (worker->process.pid && !worker->exited)
        waitpid(worker->process.pid, NULL, 0);
    launch_close(&worker->process);
    buffer_free(&worker->input);
    buffer_free(&worker->output);
    buffer_free(&worker->errors);
    free(worker);
}
