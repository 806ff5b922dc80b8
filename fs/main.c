/* main.c - inferfs MODELS_DIR MOUNTPOINT: mount, go to the background, serve.
 *
 * Exit status, as of every FUSE program: 1 bad options, 2 no mount point, 3 set-up failed, 4 mount
 * failed, 5 could not go to the background, 7 stopped by an error.
 */
#include "fs/daemon.h"
#include "fs/log.h"
#include "fs/mount.h"
#include "fs/operations.h"
#include "fs/server.h"
#include "fs/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EXIT_BAD_OPTIONS = 1,
    EXIT_SETUP = 3,
    EXIT_MOUNT = 4,
    EXIT_BACKGROUND = 5,
    EXIT_RUNTIME = 7,
};

/* What the session needs besides the user's options, which come later and win. */
static int add_arguments(struct fuse_args *args, const struct options *options)
{
    char source[4200];
    snprintf(source, sizeof source, "-ofsname=%s,subtype=inferfs", options->models_dir);
    for (char *at = source + strlen("-ofsname="); *at && at < source + sizeof source; at++)
        if (*at == ',' && strcmp(at, ",subtype=inferfs") != 0)
            *at = '_'; /* a comma would end the option */
    int status = fuse_opt_insert_arg(args, 1, source);
    if (!status && options->allow_other) /* or the kernel would check nothing at all */
        status = fuse_opt_add_arg(args, "-odefault_permissions");
    if (!status && options->debug)
        status = fuse_opt_add_arg(args, "-d");
    return status;
}

static int serve(struct daemon *daemon, struct fuse_args *args, int models_fd)
{
    const struct options *options = &daemon->options;
    daemon->session = fuse_session_new(args, &operations, sizeof operations, daemon);
    if (!daemon->session) {
        close(models_fd);
        return EXIT_BAD_OPTIONS; /* libfuse has said which option it does not know */
    }
    int status = EXIT_MOUNT;
    if (fuse_session_mount(daemon->session, options->mountpoint)) {
        close(models_fd);
        if (options->allow_other && geteuid() != 0)
            fprintf(stderr, "inferfs: allow_other needs user_allow_other in /etc/fuse.conf\n");
    } else if (fuse_daemonize(options->foreground)) {
        close(models_fd);
        fuse_session_unmount(daemon->session);
        status = EXIT_BACKGROUND;
    } else {
        log_open(options->foreground, options->debug ? LOG_DEBUG : LOG_INFO);
        status = server_run(daemon, models_fd) ? EXIT_RUNTIME : 0;
    }
    fuse_session_destroy(daemon->session);
    return status;
}

static int run(struct daemon *daemon, struct fuse_args *args, const char *program)
{
    struct options *options = &daemon->options;
    int status = options_parse(args, options);
    if (status)
        return status;
    if (options->help || options->version) {
        if (options->help)
            options_help(program);
        else
            printf("inferfs version %s\nFUSE library version %s\n", INFERFS_VERSION,
                   fuse_pkgversion());
        return 0;
    }
    if (mount_find_engine(options))
        return EXIT_SETUP;
    int models_fd = mount_prepare(options);
    if (models_fd < 0)
        return EXIT_SETUP;
    if (add_arguments(args, options)) {
        close(models_fd);
        return EXIT_SETUP;
    }
    return serve(daemon, args, models_fd);
}

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return EXIT_SETUP;
    int status = run(daemon, &args, argv[0]);
    options_free(&daemon->options);
    fuse_opt_free_args(&args);
    free(daemon);
    return status;
}
