/* server.c - see server.h: puts the parts together, runs them, takes them apart. */
#include "fs/server.h"

#include "base/threads.h"
#include "fs/dispatch.h"
#include "fs/handle.h"
#include "fs/jobs.h"
#include "fs/log.h"
#include "fs/operations.h"
#include "fs/residents.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* --- the models folder ------------------------------------------------------------------------ */

static void model_added(void *owner, struct catalog_model *entry)
{
    struct daemon *daemon = owner;
    entry->owner = model_new(daemon, entry);
    if (!entry->owner) {
        log_write(LOG_CRIT, "%s: no memory for one more model: stopping", entry->name);
        loop_stop(daemon->loop);
        return;
    }
    dispatch_post(daemon, &(struct pool_event){.kind = POOL_MODEL_ADDED, .model = entry->id});
}

static void model_changed(void *owner, struct catalog_model *entry)
{
    (void)owner;
    if (!entry->owner)
        return;
    residents_reload(entry->owner);
}

static void model_removed(void *owner, struct catalog_model *entry)
{
    struct daemon *daemon = owner;
    struct model *model = entry->owner;
    if (!model)
        return;
    model->removed = true;
    model->next_removed = daemon->removed;
    daemon->removed = model;
    park_wake(&daemon->parking, &model->waiters);
    dispatch_post(daemon, &(struct pool_event){.kind = POOL_MODEL_REMOVED, .model = entry->id});
}

/* Free the removed models that nothing refers to any more. */
static void forget_removed(struct daemon *daemon)
{
    for (struct model **at = &daemon->removed; *at;) {
        struct model *model = *at;
        struct pool_view view;
        if (model->handles || model->worker || model->probe || model->jobs_active ||
            pool_view(daemon->pool, model->id, &view)) {
            at = &model->next_removed;
            continue;
        }
        *at = model->next_removed;
        struct catalog_model *entry = model->entry;
        model_free(model);
        catalog_forget(daemon->catalog, entry);
    }
}

/* --- the loop --------------------------------------------------------------------------------- */

static void after_round(void *owner)
{
    struct daemon *daemon = owner;
    dispatch_run(daemon);
    park_run(&daemon->parking);
    dispatch_run(daemon);
    if (daemon->removed)
        forget_removed(daemon);
}

static void kernel_request(void *owner, uint32_t events)
{
    (void)events;
    struct server *server = owner;
    struct fuse_session *session = server->daemon->session;
    int status = fuse_session_receive_buf(session, &server->buffer);
    if (status > 0)
        fuse_session_process_buf(session, &server->buffer);
    if ((status < 0 && status != -EAGAIN && status != -EINTR) || fuse_session_exited(session))
        loop_stop(server->daemon->loop);
}

static void signal_came(void *owner, uint32_t events)
{
    (void)events;
    struct server *server = owner;
    struct signalfd_siginfo info;
    if (read(server->signal_watch.fd, &info, sizeof info) == sizeof info)
        log_write(LOG_INFO, "stopping on signal %u", info.ssi_signo);
    loop_stop(server->daemon->loop);
}

static int watch_signals(struct server *server)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    server->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (server->signal_fd < 0)
        return -errno;
    return loop_watch(server->daemon->loop, &server->signal_watch, server->signal_fd, EPOLLIN,
                      signal_came, server);
}

static int watch_kernel(struct server *server)
{
    int fd = fuse_session_fd(server->daemon->session);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
        return -errno;
    return loop_watch(server->daemon->loop, &server->kernel_watch, fd, EPOLLIN, kernel_request,
                      server);
}

static int open_parts(struct server *server, int models_fd)
{
    static const struct catalog_callbacks callbacks = {model_added, model_changed, model_removed};
    struct daemon *daemon = server->daemon;
    struct error error = {0};
    int status = loop_open(&daemon->loop);
    if (status) {
        close(models_fd);
        return status;
    }
    loop_after_round(daemon->loop, after_round, daemon);
    status = pool_open(daemon->options.budget_bytes, &daemon->pool);
    if (!status)
        status = dispatch_open(daemon);
    if (status) {
        close(models_fd);
        return status;
    }
    status = catalog_open(daemon->loop, models_fd, daemon->options.symlinks != 0, &callbacks,
                          daemon, &daemon->catalog, &error);
    if (status)
        log_write(LOG_ERR, "%s: %s", daemon->options.models_dir, error.text);
    if (!status && daemon->options.ttl_s)
        dispatch_post(daemon, &(struct pool_event){.kind = POOL_IDLE_TTL,
                                                   .bytes = daemon->options.ttl_s * 1000ULL});
    if (!status)
        status = watch_signals(server);
    return status ? status : watch_kernel(server);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void refuse_waiters(struct daemon *daemon, struct model *model)
{
    park_refuse(&daemon->parking, &model->waiters, ESHUTDOWN);
    for (struct handle *at = model->handles; at; at = at->next)
        park_refuse(&daemon->parking, &at->waiters, ESHUTDOWN);
}

/* Everybody who waits gets an answer before the mount goes. */
static void answer_all(struct daemon *daemon)
{
    daemon->stopping = true;
    park_run(&daemon->parking); /* who was woken already may be answered as ever */
    daemon->parking.closed = true;
    park_refuse(&daemon->parking, &daemon->events.waiters, ESHUTDOWN);
    for (size_t i = 0; i < catalog_count(daemon->catalog); i++)
        if (catalog_at(daemon->catalog, i)->owner)
            refuse_waiters(daemon, catalog_at(daemon->catalog, i)->owner);
    for (struct model *model = daemon->removed; model; model = model->next_removed)
        refuse_waiters(daemon, model);
    for (size_t i = 0; i < DAEMON_JOB_BUCKETS; i++)
        while (daemon->jobs[i])
            jobs_fail(daemon, daemon->jobs[i], ESHUTDOWN, "inferfs is stopping");
    park_run(&daemon->parking);
}

/* The kernel sends no RELEASE for a mount that is gone. */
static void free_model(struct model *model)
{
    while (model->handles)
        handle_free(model->handles);
    model_free(model);
}

static void close_parts(struct server *server)
{
    struct daemon *daemon = server->daemon;
    if (daemon->catalog) {
        for (size_t i = 0; i < catalog_count(daemon->catalog); i++)
            if (catalog_at(daemon->catalog, i)->owner)
                free_model(catalog_at(daemon->catalog, i)->owner);
        while (daemon->removed) {
            struct model *model = daemon->removed;
            daemon->removed = model->next_removed;
            free_model(model);
        }
        catalog_close(daemon->catalog);
    }
    while (daemon->handles)
        handle_free(daemon->handles);
    dispatch_close(daemon);
    pool_close(daemon->pool);
    events_free(&daemon->events);
    json_decref(daemon->last_swap);
    if (server->signal_fd > 0)
        close(server->signal_fd);
    free(server->buffer.mem);
    loop_close(daemon->loop);
}

int server_run(struct daemon *daemon, int models_fd)
{
    struct server server = {.daemon = daemon};
    daemon->threads = daemon->options.threads ? (int)daemon->options.threads : threads_available();
    daemon->uid = geteuid();
    daemon->gid = getegid();
    clock_gettime(CLOCK_REALTIME, &daemon->started);
    int status = open_parts(&server, models_fd);
    if (!status)
        status = loop_run(daemon->loop);
    if (daemon->catalog)
        answer_all(daemon);
    fuse_session_unmount(daemon->session);
    close_parts(&server);
    return status;
}
