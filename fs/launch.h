/* launch.h - a new `inferfs-engine worker` process and our ends of what connects it.
 *
 * The child gets: /dev/null as stdin and stdout, a pipe as stderr, its end of the socketpair as
 * PROTOCOL_FD, the model behind it when it was passed as a descriptor, and nothing else; no blocked
 * signal, no handler, and the environment of this process.
 *
 * Owns:     nothing after it returned: the caller reaps the process and closes the descriptors.
 * Promise:  a program that can't be executed is an error here, not a child that dies.
 * Threads:  the process dies with the thread that calls this (PR_SET_PDEATHSIG): the loop's.
 */
#ifndef FS_LAUNCH_H
#define FS_LAUNCH_H

#include "fs/worker.h"

struct launched {
    pid_t pid;    /* 0: there is none */
    int pid_fd;   /* readable once it is dead */
    int socket;   /* does not block */
    int error_fd; /* its stderr; does not block */
};

/* Start the program with the options.  Returns 0, or -errno as worker_start(); then *out must be
 * closed all the same, and a pid that is not 0 killed and reaped. */
int launch_worker(const struct worker_options *options, struct launched *out);

/* Close the descriptors. */
void launch_close(struct launched *launched);

#endif
