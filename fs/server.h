/* server.h - runs a mounted session until it is unmounted or the daemon is told to stop.
 *
 * Owns:     for the time of the run: the loop, the catalog, the pool, the workers.
 * Promise:  when it returns every request has been answered, the mount is gone and so is every
 *           worker.
 * Threads:  the caller's becomes the loop's.
 */
#ifndef FS_SERVER_H
#define FS_SERVER_H

#include "fs/daemon.h"

struct server {
    struct daemon *daemon;
    struct fuse_buf buffer; /* libfuse's, reused for each request */
    struct loop_watch kernel_watch, signal_watch;
    int signal_fd;
};

/* daemon->options and daemon->session are set, the rest is zero.  Takes models_fd.  Returns 0 or
 * -errno. */
int server_run(struct daemon *daemon, int models_fd);

#endif
