/* subfolder.c - see subfolder.h. */
#include "fs/subfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POOLING_FILE "1_Pooling/config.json"

enum { NAME_BYTES_MAX = 255 };

/* One walk over a sub-folder. */
struct walk {
    struct folder folder; /* the sub-folder */
    struct stat status;   /* of all its files so far */
    bool config, weights; /* found */
    bool outside;         /* a file that lies elsewhere, which is not followed */
    bool probe;
    enum folder_use use;
};

static bool ends_with(const char *name, const char *extension)
{
    size_t length = strlen(name), end = strlen(extension);
    return length > end && strcmp(name + length - end, extension) == 0;
}

bool subfolder_counts(const char *name)
{
    return name[0] != '.' && (ends_with(name, ".json") || ends_with(name, ".safetensors") ||
                              ends_with(name, ".jinja"));
}

/* The factor is odd: a difference in any one number stays a difference. */
static uint64_t mix(uint64_t whole, uint64_t part)
{
    return (whole ^ part) * 0x9e3779b97f4a7c15;
}

/* What one file adds to the inode: mixed by itself and then summed, since the order in which a
 * directory lists its files means nothing. */
static uint64_t file_number(const char *name, const struct stat *status)
{
    uint64_t number = mix(mix(1, status->st_dev), status->st_ino);
    number = mix(number, (uint64_t)status->st_size);
    number = mix(number, (uint64_t)status->st_mtim.tv_sec);
    number = mix(number, (uint64_t)status->st_mtim.tv_nsec);
    for (; *name; name++)
        number = mix(number, (unsigned char)*name);
    return number ^ number >> 32;
}

static void take_file(struct walk *walk, const char *name)
{
    char copy[NAME_BYTES_MAX + 1];
    snprintf(copy, sizeof copy, "%s", name);
    struct folder_file file = {.file = copy};
    struct stat *whole = &walk->status;
    int status = folder_stat(&walk->folder, name, &file.status);
    walk->outside |= status == -ELOOP || status == -EXDEV;
    if (status)
        return;
    if (walk->probe) {
        enum folder_use use = folder_probe(&walk->folder, &file);
        if (use == FOLDER_WRITTEN || walk->use == FOLDER_QUIET)
            walk->use = use;
    }
    walk->config |= strcmp(name, "config.json") == 0;
    walk->weights |= ends_with(name, ".safetensors");
    whole->st_ino += file_number(name, &file.status);
    if (__builtin_add_overflow(whole->st_size, file.status.st_size, &whole->st_size))
        whole->st_size = INT64_MAX; /* sparse files hold nearly 2^63 each */
    if (file.status.st_mtim.tv_sec > whole->st_mtim.tv_sec ||
        (file.status.st_mtim.tv_sec == whole->st_mtim.tv_sec &&
         file.status.st_mtim.tv_nsec > whole->st_mtim.tv_nsec))
        whole->st_mtim = file.status.st_mtim;
    if (file.status.st_ctim.tv_sec > whole->st_ctim.tv_sec)
        whole->st_ctim = file.status.st_ctim;
}

static int walk_files(struct walk *walk)
{
    int fd = openat(walk->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int status = -errno;
        if (fd >= 0)
            close(fd);
        return status;
    }
    errno = 0;
    struct dirent *entry = readdir(directory);
    for (int i = 0; entry && i < SUBFOLDER_FILES_MAX; i++) {
        if (subfolder_counts(entry->d_name))
            take_file(walk, entry->d_name);
        errno = 0;
        entry = readdir(directory);
    }
    int status = entry ? 0 : -errno;
    closedir(directory);
    take_file(walk, POOLING_FILE);
    return status;
}

/* Walk over it, with its files probed or not, and fill in what was found. */
static int examine(const struct folder *folder, struct folder_file *file, struct walk *walk)
{
    int fd = folder_open_directory(folder, file->file);
    if (fd < 0)
        return fd;
    walk->folder = (struct folder){fd, folder->follow_symlinks};
    int status = fstat(fd, &walk->status) ? -errno : 0;
    walk->status.st_size = 0;
    walk->status.st_mtim = walk->status.st_ctim = (struct timespec){0};
    if (!status)
        status = walk_files(walk);
    close(fd);
    if (!status) {
        file->status = walk->status;
        file->complete = walk->config && walk->weights && !walk->outside;
    }
    return status;
}

int subfolder_examine(const struct folder *folder, struct folder_file *file)
{
    struct walk walk = {0};
    return examine(folder, file, &walk);
}

enum folder_use subfolder_probe(const struct folder *folder, struct folder_file *file)
{
    struct walk walk = {.probe = true, .use = FOLDER_QUIET};
    if (examine(folder, file, &walk))
        return FOLDER_WRITTEN; /* gone or being renamed: ask again */
    return walk.use;
}
