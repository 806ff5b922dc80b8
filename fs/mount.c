/* mount.c - see mount.h. */
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "inferfs: %s: %s\n", path, why);
    return -1;
}

/* Detach a mount point whose daemon is gone: it answers ENOTCONN to everything. */
static void detach_stale(const char *mountpoint)
{
    struct stat attributes;
    if (stat(mountpoint, &attributes) == 0 || errno != ENOTCONN)
        return;
    if (geteuid() == 0) {
        umount2(mountpoint, MNT_DETACH);
        return;
    }
    char *arguments[] = {strdup("fusermount3"), strdup("-u"),       strdup("-z"),
                         strdup("--"),          strdup(mountpoint), NULL};
    pid_t pid;
    if (posix_spawnp(&pid, "fusermount3", NULL, NULL, arguments, environ) == 0)
        waitpid(pid, NULL, 0);
    for (size_t i = 0; arguments[i]; i++)
        free(arguments[i]);
}

/* Replace *path by its absolute form without links. */
static int make_absolute(char **path)
{
    char *absolute = realpath(*path, NULL);
    if (!absolute)
        return complain(*path, strerror(errno));
    free(*path);
    *path = absolute;
    return 0;
}

static bool is_on_or_under(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length == 1) /* "/" */
        return true;
    return strncmp(path, folder, length) == 0 && (path[length] == 0 || path[length] == '/');
}

int mount_prepare(struct options *options)
{
    struct stat mountpoint, models;
    detach_stale(options->mountpoint);
    if (make_absolute(&options->models_dir) || make_absolute(&options->mountpoint))
        return -1;
    int fd = open(options->models_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return complain(options->models_dir, strerror(errno));
    const char *why = NULL;
    if (fstat(fd, &models) || stat(options->mountpoint, &mountpoint))
        why = strerror(errno);
    else if (!S_ISDIR(mountpoint.st_mode))
        why = strerror(ENOTDIR);
    else if (is_on_or_under(options->models_dir, options->mountpoint) ||
             (models.st_dev == mountpoint.st_dev && models.st_ino == mountpoint.st_ino))
        why = "the models folder must not be on or under the mount point";
    if (!why)
        return fd;
    close(fd);
    return complain(options->mountpoint, why);
}

int mount_find_engine(struct options *options)
{
    static const char name[] = "inferfs-engine";
    char path[PATH_MAX];
    if (options->program)
        return access(options->program, X_OK) ? complain(options->program, strerror(errno))
                                              : make_absolute(&options->program);
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof name);
    if (length > 0) {
        path[length] = 0;
        char *slash = strrchr(path, '/');
        strcpy(slash + 1, name);
        if (access(path, X_OK) == 0) {
            options->program = strdup(path);
            return options->program ? 0 : -1;
        }
    }
    for (const char *at = getenv("PATH"); at && *at; at += strspn(at, ":")) {
        size_t part = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)part, at, name);
        if (access(path, X_OK) == 0) {
            options->program = strdup(path);
            return options->program ? 0 : -1;
        }
        at += part;
    }
    return complain(name, "not found beside inferfs or in PATH");
}
