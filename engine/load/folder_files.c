/* folder_files.c - the files of a folder, opened beneath its descriptor; see folder.h. */
#include "load/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES_MAX = 255 };

bool folder_is(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool folder_name_is_plain(struct text name)
{
    return name.length > 0 && name.length <= NAME_BYTES_MAX && name.bytes[0] != '.' &&
           !memchr(name.bytes, '/', name.length) && !memchr(name.bytes, 0, name.length);
}

/* Everything up to the end; one byte more than `size` is asked for, so that a file that grows
 * meanwhile is noticed and not cut. */
static int read_all(int descriptor, const char *name, size_t size, struct buffer *out,
                    struct error *error)
{
    char piece[4096];
    size_t taken = 0;
    for (;;) {
        ssize_t length = read(descriptor, piece, sizeof piece);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return error_set(error, errno, "%s cannot be read: %s", name, strerror(errno));
        if (length == 0)
            return taken == size ? 0 : error_set(error, EIO, "%s changed while it was read", name);
        taken += (size_t)length;
        if (taken > size)
            return error_set(error, EIO, "%s changed while it was read", name);
        int status = buffer_append(out, piece, (size_t)length);
        if (status == -EMSGSIZE)
            return error_set(error, ENOEXEC, "%s is longer than %zu bytes", name, out->limit);
        if (status)
            return error_set(error, ENOMEM, "no memory for %s", name);
    }
}

static int read_descriptor(int descriptor, const char *name, size_t bytes_max, struct buffer *out,
                           struct error *error)
{
    struct stat status;
    if (fstat(descriptor, &status))
        return error_set(error, errno, "%s cannot be examined: %s", name, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, ENOEXEC, "%s is not a regular file", name);
    if ((uint64_t)status.st_size > bytes_max)
        return error_set(error, ENOEXEC, "%s has %lld bytes, where at most %zu are read", name,
                         (long long)status.st_size, bytes_max);
    return read_all(descriptor, name, (size_t)status.st_size, out, error);
}

int folder_read_file(const char *folder, const char *name, size_t bytes_max, struct buffer *out,
                     struct error *error)
{
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_set(error, errno, "cannot be opened: %s", strerror(errno));
    /* O_NONBLOCK: a pipe without a writer must not hold us. */
    int descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int reason = errno;
    close(directory);
    if (descriptor < 0 && reason == ENOENT)
        return -ENOENT;
    if (descriptor < 0)
        return error_set(error, reason, "%s cannot be opened: %s", name, strerror(reason));
    int status = read_descriptor(descriptor, name, bytes_max, out, error);
    close(descriptor);
    return status;
}
