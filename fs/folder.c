/* folder.c - see folder.h.
 *
 * Whether a file is still being written is a question that Linux answers only through leases: a
 * read lease is refused while the file is open for writing.  It is given back at once.
 */
#include "fs/folder.h"

#include "base/memory.h"
#include "fs/subfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXTENSION ".gguf"

enum { EXTENSION_BYTES = 5, PART_BYTES = 15 /* -00001-of-00003 */, PART_DIGITS = 5, TOTAL_AT = 10 };

static uint32_t read_digits(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < PART_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        value = value * 10 + (uint32_t)(digits[i] - '0');
    }
    return value;
}

bool folder_parse(char *file, struct folder_file *out)
{
    size_t length = strlen(file);
    if (file[0] == '.' || length <= EXTENSION_BYTES ||
        strcmp(file + length - EXTENSION_BYTES, EXTENSION) != 0)
        return false;
    length -= EXTENSION_BYTES;
    *out = (struct folder_file){.file = file};
    const char *suffix = length > PART_BYTES ? file + length - PART_BYTES : NULL;
    if (suffix && suffix[0] == '-' && strncmp(suffix + 1 + PART_DIGITS, "-of-", 4) == 0) {
        uint32_t part = read_digits(suffix + 1), parts = read_digits(suffix + TOTAL_AT);
        if (part >= 1 && part <= parts) {
            out->part = part;
            out->parts = parts;
            length -= PART_BYTES;
        }
    }
    out->name_length = length;
    return length > 0;
}

int folder_compare(const struct folder_file *a, const struct folder_file *b)
{
    size_t common = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = memcmp(a->file, b->file, common);
    if (order)
        return order;
    if (a->name_length != b->name_length)
        return a->name_length < b->name_length ? -1 : 1;
    if (a->directory != b->directory)
        return a->directory ? 1 : -1;
    if (a->parts != b->parts)
        return a->parts - 1 < b->parts - 1 ? -1 : 1; /* 0, a whole, becomes the largest */
    return (a->part > b->part) - (a->part < b->part);
}

static int compare_files(const void *a, const void *b)
{
    return folder_compare(a, b);
}

/* openat2() where the kernel has it.  Elsewhere a name without '/' leaves the folder only through a
 * symbolic link, which O_NOFOLLOW refuses, or through a mount, which stays unnoticed. */
static int open_beneath(const struct folder *folder, const char *file, int flags)
{
    flags |= O_CLOEXEC;
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_NO_MAGICLINKS};
    if (!folder->follow_symlinks)
        how.resolve |= RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    int fd = (int)syscall(SYS_openat2, folder->fd, file, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* EPERM: filtered by a container */
        fd = openat(folder->fd, file, flags | (folder->follow_symlinks ? 0 : O_NOFOLLOW));
    return fd < 0 ? -errno : fd;
}

static int open_regular(const struct folder *folder, const char *file, int flags,
                        struct stat *status)
{
    int fd = open_beneath(folder, file, flags);
    if (fd < 0)
        return fd;
    int result = fstat(fd, status) ? -errno : fd;
    if (result >= 0 && S_ISLNK(status->st_mode))
        result = -ELOOP;
    else if (result >= 0 && !S_ISREG(status->st_mode))
        result = -ENOEXEC;
    if (result < 0)
        close(fd);
    return result;
}

int folder_stat(const struct folder *folder, const char *file, struct stat *status)
{
    int fd = open_regular(folder, file, O_PATH, status);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int folder_open(const struct folder *folder, const char *file, struct stat *status)
{
    int failure = folder_stat(folder, file, status);
    if (failure)
        return failure;
    /* Should it have become a FIFO meanwhile, O_NONBLOCK keeps this from waiting for a writer. */
    return open_regular(folder, file, O_RDONLY | O_NONBLOCK | O_NOCTTY, status);
}

int folder_open_directory(const struct folder *folder, const char *name)
{
    return open_beneath(folder, name, O_RDONLY | O_DIRECTORY);
}

enum folder_use folder_probe(const struct folder *folder, struct folder_file *file)
{
    if (file->directory)
        return subfolder_probe(folder, file);
    struct stat status;
    int fd = folder_open(folder, file->file, &status);
    if (fd == -EACCES || fd == -EPERM || fd == -EIO)
        return FOLDER_UNKNOWN;
    if (fd < 0)
        return FOLDER_WRITTEN; /* or being renamed, or no descriptor left: ask again */
    enum folder_use use = FOLDER_QUIET;
    /* A writer that comes while the lease is held makes the kernel send a signal: one that is
     * ignored unless somebody asked for it, instead of SIGIO, which kills. */
    if (fcntl(fd, F_SETSIG, SIGURG) || fcntl(fd, F_SETLEASE, F_RDLCK))
        use = errno == EAGAIN ? FOLDER_WRITTEN : FOLDER_UNKNOWN;
    else if (fstat(fd, &file->status) || fcntl(fd, F_SETLEASE, F_UNLCK))
        use = FOLDER_UNKNOWN;
    close(fd);
    return use;
}

/* A file that is called like a model, or a directory that is not; -ENOENT for anything else.  Links
 * to directories count where links are followed; some file systems don't tell the type. */
static int examine(const struct folder *folder, char *name, unsigned char type,
                   struct folder_file *file)
{
    if (folder_parse(name, file))
        return folder_stat(folder, name, &file->status);
    if (name[0] == '.' ||
        (type != DT_DIR && type != DT_UNKNOWN && !(type == DT_LNK && folder->follow_symlinks)))
        return -ENOENT;
    *file = (struct folder_file){.file = name, .name_length = strlen(name), .directory = true};
    return subfolder_examine(folder, file);
}

static int add_file(const struct folder *folder, const struct dirent *entry,
                    struct folder_file **files, size_t *count, size_t *capacity)
{
    char *copy = strdup(entry->d_name);
    struct folder_file file;
    int status = copy ? examine(folder, copy, entry->d_type, &file) : -ENOMEM;
    if (!status)
        status =
            memory_grow((void **)files, capacity, *count + 1, sizeof **files, FOLDER_FILES_MAX);
    if (!status)
        (*files)[(*count)++] = file;
    else
        free(copy);
    return status == -ENOMEM || status == -EMFILE || status == -ENFILE ? status : 0;
}

int folder_list(const struct folder *folder, struct folder_file **out, size_t *count)
{
    struct folder_file *files = NULL;
    size_t found = 0, capacity = 0;
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    int status = directory ? 0 : -errno;
    if (!directory && fd >= 0)
        close(fd);
    while (!status) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry) {
            status = -errno;
            break;
        }
        status = add_file(folder, entry, &files, &found, &capacity);
    }
    if (directory)
        closedir(directory);
    if (status) {
        folder_free(files, found);
        return status;
    }
    if (found)
        qsort(files, found, sizeof *files, compare_files);
    *out = files;
    *count = found;
    return 0;
}

void folder_free(struct folder_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i].file);
    free(files);
}
