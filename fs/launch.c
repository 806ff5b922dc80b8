/* launch.c - see launch.h.
 *
 * posix_spawn() and not fork(): the daemon's page tables are not copied, and the error of a failed
 * exec comes back.
 */
#include "fs/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MODEL_FD = PROTOCOL_FD + 1,
    SOURCE_FD_MIN = 16, /* above every descriptor that the child is given */
    ARGUMENTS_MAX = 24,
    ARGUMENT_BYTES_MAX = 3 * PATH_MAX,
};

/* An argument list for posix_spawn(), which wants strings that it could write to. */
struct arguments {
    char *list[ARGUMENTS_MAX];
    int count;
    size_t used;
    bool full;
    char bytes[ARGUMENT_BYTES_MAX];
};

static void add(struct arguments *arguments, const char *string)
{
    size_t length = strlen(string) + 1;
    if (arguments->count + 1 >= ARGUMENTS_MAX || length > ARGUMENT_BYTES_MAX - arguments->used) {
        arguments->full = true;
        return;
    }
    arguments->list[arguments->count++] =
        memcpy(arguments->bytes + arguments->used, string, length);
    arguments->used += length;
}

static void add_number(struct arguments *arguments, const char *name, uint64_t value)
{
    char number[32];
    snprintf(number, sizeof number, "%" PRIu64, value);
    add(arguments, name);
    add(arguments, number);
}

static void make_arguments(const struct worker_options *options, struct arguments *arguments)
{
    char model[64];
    snprintf(model, sizeof model, "/proc/self/fd/%d", MODEL_FD);
    add(arguments, options->program);
    add(arguments, "worker");
    if (options->probe)
        add(arguments, "--probe");
    if (options->echo) {
        add(arguments, "--echo");
        add_number(arguments, "--load-ms", options->echo_load_ms);
        add_number(arguments, "--token-ms", options->echo_token_ms);
    }
    if (options->threads > 0)
        add_number(arguments, "--threads", (uint64_t)options->threads);
    if (options->context > 0)
        add_number(arguments, "--context", (uint64_t)options->context);
    if (options->kv_bytes)
        add_number(arguments, "--kv-bytes", options->kv_bytes);
    if (options->kernels && *options->kernels) {
        add(arguments, "--kernels");
        add(arguments, options->kernels);
    }
    if (options->kv) {
        add(arguments, "--kv");
        add(arguments, options->kv);
    }
    add(arguments, "--");
    add(arguments, options->model_fd < 0 ? options->model_path : model);
}

/* The child's ends, all at SOURCE_FD_MIN or above: so no dup2() in the child overwrites the source
 * of a later one. */
struct child_ends {
    int socket, error, model; /* model: -1 when it is opened by its path */
};

static int set_actions(posix_spawn_file_actions_t *actions, const struct child_ends *child)
{
    int code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (!code)
        code = posix_spawn_file_actions_adddup2(actions, child->error, 2);
    if (!code)
        code = posix_spawn_file_actions_adddup2(actions, child->socket, PROTOCOL_FD);
    if (!code && child->model >= 0)
        code = posix_spawn_file_actions_adddup2(actions, child->model, MODEL_FD);
    if (!code)
        code = posix_spawn_file_actions_addclosefrom_np(actions, child->model >= 0 ? MODEL_FD + 1
                                                                                   : MODEL_FD);
    return code;
}

/* Start the program with no blocked signal and no handler.  Returns 0 or a positive errno. */
static int spawn(pid_t *pid, char *const *arguments, const struct child_ends *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawn_file_actions_init(&actions);
    if (code)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (!code) {
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        code = set_actions(&actions, child);
        if (!code)
            code = posix_spawn(pid, arguments[0], &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int start_process(const struct worker_options *options, const struct child_ends *child,
                         struct launched *out)
{
    struct arguments *arguments = memory_try(1, sizeof *arguments);
    if (!arguments)
        return -ENOMEM;
    make_arguments(options, arguments);
    pid_t pid;
    int code = arguments->full ? ENAMETOOLONG : spawn(&pid, arguments->list, child);
    if (!code) {
        out->pid = pid;
        out->pid_fd = (int)syscall(SYS_pidfd_open, out->pid, 0);
        if (out->pid_fd < 0)
            code = errno;
    }
    free(arguments);
    return -code;
}

/* Move *fd up and out of the way of the child's descriptors. */
static int raise_fd(int *fd)
{
    int raised = fcntl(*fd, F_DUPFD_CLOEXEC, SOURCE_FD_MIN);
    if (raised < 0)
        return -errno;
    close(*fd);
    *fd = raised;
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Our ends into *out, the child's into *child.  What was opened before a failure stays there. */
static int open_ends(int model_fd, struct launched *out, struct child_ends *child)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -errno;
    out->socket = ends[0];
    child->socket = ends[1];
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    out->error_fd = ends[0];
    child->error = ends[1];
    if (model_fd >= 0 && (child->model = fcntl(model_fd, F_DUPFD_CLOEXEC, SOURCE_FD_MIN)) < 0)
        return -errno;
    if (fcntl(out->socket, F_SETFL, O_NONBLOCK) || fcntl(out->error_fd, F_SETFL, O_NONBLOCK))
        return -errno;
    int status = raise_fd(&child->socket);
    return status ? status : raise_fd(&child->error);
}

int launch_worker(const struct worker_options *options, struct launched *out)
{
    struct child_ends child = {-1, -1, -1};
    *out = (struct launched){.pid_fd = -1, .socket = -1, .error_fd = -1};
    int status = open_ends(options->model_fd, out, &child);
    if (!status)
        status = start_process(options, &child, out);
    close_fd(&child.socket);
    close_fd(&child.error);
    close_fd(&child.model);
    return status;
}

void launch_close(struct launched *launched)
{
    close_fd(&launched->pid_fd);
    close_fd(&launched->socket);
    close_fd(&launched->error_fd);
}
