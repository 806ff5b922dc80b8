/* indexfolder.c - see indexfolder.h. */
#include "text/indexfolder.h"

#include "text/index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 64, KEY_DIGITS = 32, USED_AGAIN_S = 24 * 60 * 60 };

#define DRAFT "draft-"

static bool fits(int length)
{
    return length > 0 && length < PATH_MAX;
}

/* Where the environment puts the folder; false: nowhere. */
static bool folder_path(char out[PATH_MAX])
{
    const char *own = getenv("INFERFS_CACHE");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (own)
        return *own && fits(snprintf(out, PATH_MAX, "%s/index", own));
    if (cache && *cache == '/')
        return fits(snprintf(out, PATH_MAX, "%s/inferfs/index", cache));
    return home && *home == '/' && fits(snprintf(out, PATH_MAX, "%s/.cache/inferfs/index", home));
}

bool indexfolder_is_on(void)
{
    char path[PATH_MAX];
    return folder_path(path);
}

/* Create what is missing of a path.  What cannot be created shows when the folder is opened. */
static void make_folders(char *path)
{
    for (char *slash = path + 1; *slash; slash++) {
        if (*slash == '/') {
            *slash = 0;
            mkdir(path, 0700);
            *slash = '/';
        }
    }
    mkdir(path, 0700);
}

static int open_folder(bool create)
{
    char path[PATH_MAX];
    if (!folder_path(path))
        return -1;
    if (create)
        make_folders(path);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void name_of(const uint64_t key[2], char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%016" PRIx64 "%016" PRIx64, key[1], key[0]);
}

/* Is this a name that name_of() or indexfolder_write() gives?  Whoever sets INFERFS_CACHE may have
 * files of his own in a folder "index" there. */
static bool is_own_name(const char *name)
{
    return strncmp(name, DRAFT, sizeof DRAFT - 1) == 0 ||
           (strlen(name) == KEY_DIGITS && strspn(name, "0123456789abcdef") == KEY_DIGITS);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Used now: not the oldest.  Once a day is enough to tell, and keeps what is known of the file. */
static void note_use(int file, struct stat *facts)
{
    if (facts->st_mtim.tv_sec <= time(NULL) && facts->st_mtim.tv_sec > time(NULL) - USED_AGAIN_S)
        return;
    if (futimens(file, NULL) == 0)
        fstat(file, facts);
}

static int map_file(int file, struct text *out, struct identity *identity)
{
    struct stat facts;
    if (fstat(file, &facts))
        return -errno;
    if (!S_ISREG(facts.st_mode) || facts.st_uid != geteuid() || (facts.st_mode & 022) ||
        facts.st_size <= 0 || facts.st_size > INDEX_BYTES_MAX)
        return -EPERM;
    size_t length = (size_t)facts.st_size;
    void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    note_use(file, &facts);
    *out = (struct text){bytes, length};
    if (identity)
        *identity = identity_of(&facts);
    return 0;
}

int indexfolder_map(const uint64_t key[2], struct text *out, struct identity *identity)
{
    char name[NAME_BYTES];
    name_of(key, name);
    int folder = open_folder(false);
    if (folder < 0)
        return -ENOENT;
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(folder);
    if (file < 0)
        return -ENOENT;
    int status = map_file(file, out, identity);
    close(file);
    return status;
}

void indexfolder_unmap(struct text file)
{
    munmap((void *)(uintptr_t)file.bytes, file.length);
}

/* --- room ------------------------------------------------------------------------------------- */

/* What a look at the folder found. */
struct census {
    size_t files;
    uint64_t bytes;
    struct timespec oldest_time;
    char oldest[NAME_BYTES]; /* empty: none */
};

static bool is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static void count_file(int folder, const char *name, struct census *census)
{
    struct stat facts;
    size_t length = strlen(name);
    if (length >= NAME_BYTES || !is_own_name(name) ||
        fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) || !S_ISREG(facts.st_mode))
        return;
    census->files++;
    census->bytes += (uint64_t)facts.st_size;
    if (!census->oldest[0] || is_before(facts.st_mtim, census->oldest_time)) {
        census->oldest_time = facts.st_mtim;
        memcpy(census->oldest, name, length + 1);
    }
}

static struct census take_census(int folder)
{
    struct census census = {0};
    DIR *entries = fdopendir(dup(folder));
    if (!entries)
        return census;
    rewinddir(entries); /* the copy shares its place with the original */
    for (struct dirent *entry; (entry = readdir(entries));)
        count_file(folder, entry->d_name, &census);
    closedir(entries);
    return census;
}

static void make_room(int folder)
{
    struct census census = take_census(folder);
    while (census.files > INDEX_FILES_MAX || census.bytes > INDEX_BYTES_MAX) {
        if (unlinkat(folder, census.oldest, 0))
            break;
        census = take_census(folder);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool write_all(int file, struct text bytes)
{
    while (bytes.length) {
        ssize_t written = write(file, bytes.bytes, bytes.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes.bytes += written;
        bytes.length -= (size_t)written;
    }
    return true;
}

void indexfolder_write(const uint64_t key[2], struct text bytes)
{
    char name[NAME_BYTES], draft[NAME_BYTES];
    name_of(key, name);
    snprintf(draft, sizeof draft, DRAFT "%ld-%016" PRIx64, (long)getpid(), key[0]);
    int folder = open_folder(true);
    if (folder < 0)
        return;
    int file = openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0) {
        bool whole = write_all(file, bytes);
        close(file);
        if (!whole || renameat(folder, draft, folder, name))
            unlinkat(folder, draft, 0);
        make_room(folder);
    }
    close(folder);
}
