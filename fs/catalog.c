/* catalog.c - see catalog.h.
 *
 * An event only says that it is time to look: each look lists the whole folder (folder.c) and
 * merges it, name by name, into the models known so far.  So what is missed or comes twice does no
 * harm, and the state after any storm of events is the folder's.  The one thing that a listing
 * can't tell, a file removed and made again between two looks, is taken from the events (`gone`).
 *
 * Sub-folders are watched as well, whether they are models yet or not; a look that began to watch
 * one is made again, so that nothing falls between the listing and the watch.
 *
 * A file that is being written, or may be, is looked at again after 1 ms, 2, 4 ... up to
 * CATALOG_SETTLE_MS: the event of its last close comes a moment before the kernel counts its writer
 * out.
 */
#include "fs/catalog.h"

#include "base/clock.h"
#include "base/memory.h"
#include "fs/folder.h"
#include "fs/subfolder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    EVENTS_BYTES = 16384,
    EVENT_READS_MAX = 16, /* before looking; the rest makes the descriptor ready again */
    PART_FILE_BYTES = CATALOG_NAME_BYTES_MAX + 1 + 20, /* "-00001-of-00002.gguf" */
};

static const uint32_t watched_events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                       IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_ONLYDIR;

static const char *const reserved_names[] = {"README",   "status", "events", "budget",
                                             "resident", "ctl",    "metrics"};

struct entry {
    struct catalog_model model; /* first: the callers' pointer is ours */
    uint32_t parts;             /* 0: not split */
    bool directory;
    bool gone;          /* its file was removed, whatever has its name now */
    struct entry *next; /* in the list of removed ones */
};

struct catalog {
    struct loop *loop;
    struct folder folder;
    int inotify_fd;
    int folder_watch; /* the watch descriptor of the folder itself */
    int *watches;     /* those of its sub-folders, in order of their numbers */
    size_t watch_count;
    struct loop_watch watch;
    struct loop_timer retry;
    int64_t retry_ms; /* 0: after an event */
    struct catalog_callbacks callbacks;
    void *owner;
    uint64_t last_id;
    struct entry **models; /* in order of names */
    size_t count;
    struct entry *removed;
    struct folder_file *files; /* of the last look */
    size_t file_count;
};

/* Models are told apart by their file's name and kind: NAME.gguf is not NAME-00001-of-00002.gguf.
 */
struct group {
    struct folder_file *files;
    size_t count;
};

enum change_kind { ADDED, CHANGED, REMOVED };

struct change {
    struct entry *entry;
    enum change_kind kind;
};

/* One look, while the folder's files and the known models are merged. */
struct merge {
    struct catalog *catalog;
    bool take_written;
    bool pending; /* something was left out that has to be looked at again */
    struct entry **models;
    size_t count;
    struct change *changes;
    size_t change_count;
};

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)((uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec);
}

static struct fingerprint fingerprint_of(const struct stat *status)
{
    return (struct fingerprint){status->st_dev, status->st_ino, (uint64_t)status->st_size,
                                nanoseconds(status->st_mtim)};
}

/* The factor is odd: a difference in any one part stays a difference. */
static uint64_t mix(uint64_t whole, uint64_t part)
{
    return whole * 0x9e3779b97f4a7c15 + part;
}

static void mix_fingerprint(struct fingerprint *whole, struct fingerprint part)
{
    whole->device = mix(whole->device, part.device);
    whole->inode = mix(whole->inode, part.inode);
    whole->bytes = mix(whole->bytes, part.bytes);
    whole->modified_ns = (int64_t)mix((uint64_t)whole->modified_ns, (uint64_t)part.modified_ns);
}

/* Not the time of the last change of the inode: a new hard link or chmod leaves the bytes alone. */
static bool same_fingerprint(const struct fingerprint *a, const struct fingerprint *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->modified_ns == b->modified_ns;
}

static struct fingerprint group_fingerprint(struct group group)
{
    struct fingerprint fingerprint = fingerprint_of(&group.files[0].status);
    for (size_t i = 1; i < group.count; i++)
        mix_fingerprint(&fingerprint, fingerprint_of(&group.files[i].status));
    return fingerprint;
}

static void describe(struct catalog_model *model, struct group group)
{
    model->fingerprint = group_fingerprint(group);
    model->bytes = 0;
    model->modified = group.files[0].status.st_mtim;
    for (size_t i = 0; i < group.count; i++) {
        const struct stat *status = &group.files[i].status;
        if (__builtin_add_overflow(model->bytes, (uint64_t)status->st_size, &model->bytes))
            model->bytes = UINT64_MAX; /* sparse files hold nearly 2^63 each */
        if (status->st_mtim.tv_sec > model->modified.tv_sec ||
            (status->st_mtim.tv_sec == model->modified.tv_sec &&
             status->st_mtim.tv_nsec > model->modified.tv_nsec))
            model->modified = status->st_mtim;
    }
}

static void free_entry(struct entry *entry)
{
    free(entry->model.name);
    free(entry->model.file);
    free(entry);
}

static struct entry *new_entry(struct catalog *catalog, struct group group)
{
    const struct folder_file *first = &group.files[0];
    struct entry *entry = memory_try(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->model.name = strndup(first->file, first->name_length);
    entry->model.file = strdup(first->file);
    if (!entry->model.name || !entry->model.file) {
        free_entry(entry);
        return NULL;
    }
    entry->model.id = ++catalog->last_id;
    entry->model.split = first->parts > 0 || first->directory;
    entry->parts = first->parts;
    entry->directory = first->directory;
    describe(&entry->model, group);
    return entry;
}

static void note(struct merge *merge, struct entry *entry, enum change_kind kind)
{
    merge->changes[merge->change_count++] = (struct change){entry, kind};
}

/* Where nobody can say whether the file is written, it has to keep still for a while. */
static bool has_settled(const struct folder_file *file)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_now_us() - file->still_since_us >= CATALOG_SETTLE_MS * 1000 ||
           file->status.st_ctim.tv_sec < now.tv_sec - CATALOG_OLD_S;
}

static bool may_take(const struct merge *merge, struct group group)
{
    for (size_t i = 0; i < group.count && !merge->take_written; i++) {
        enum folder_use use = folder_probe(&merge->catalog->folder, &group.files[i]);
        if (use == FOLDER_WRITTEN || (use == FOLDER_UNKNOWN && !has_settled(&group.files[i])))
            return false;
    }
    return true;
}

/* The model that the group is now, or stays; NULL: none (yet).  A known model is kept while its
 * file is rewritten. */
static struct entry *take_group(struct merge *merge, struct group group, struct entry *known)
{
    const struct folder_file *first = &group.files[0];
    if (group.count < first->parts || (first->directory && !first->complete))
        return NULL; /* parts are missing */
    if (known && (known->parts != first->parts || known->directory != first->directory))
        known = NULL;
    struct fingerprint fingerprint = group_fingerprint(group);
    if (known && same_fingerprint(&fingerprint, &known->model.fingerprint))
        return known;
    if (!may_take(merge, group)) {
        merge->pending = true;
        return known;
    }
    if (!known) {
        struct entry *entry = new_entry(merge->catalog, group);
        merge->pending |= !entry;
        return entry;
    }
    describe(&known->model, group);
    return known;
}

static bool is_reserved(const struct folder_file *file)
{
    for (size_t i = 0; i < sizeof reserved_names / sizeof *reserved_names; i++)
        if (strlen(reserved_names[i]) == file->name_length &&
            memcmp(reserved_names[i], file->file, file->name_length) == 0)
            return true;
    return false;
}

static size_t count_equal(const struct folder_file *files, size_t count, bool parts_too)
{
    size_t equal = 1;
    while (equal < count && files[equal].name_length == files[0].name_length &&
           memcmp(files[equal].file, files[0].file, files[0].name_length) == 0 &&
           (!parts_too ||
            (files[equal].parts == files[0].parts && files[equal].directory == files[0].directory)))
        equal++;
    return equal;
}

/* All files of one name, and the model that had it: the first usable group is the model. */
static void merge_name(struct merge *merge, struct group run, struct entry *known)
{
    struct fingerprint before = known ? known->model.fingerprint : (struct fingerprint){0};
    struct entry *entry = NULL;
    if (run.count && (is_reserved(run.files) || merge->count == CATALOG_MODELS_MAX))
        run.count = 0;
    while (run.count && !entry) {
        struct group group = {run.files, count_equal(run.files, run.count, true)};
        entry = take_group(merge, group, known && !known->gone ? known : NULL);
        run = (struct group){run.files + group.count, run.count - group.count};
    }
    if (known && entry != known)
        note(merge, known, REMOVED);
    if (entry)
        merge->models[merge->count++] = entry;
    if (entry && entry != known)
        note(merge, entry, ADDED);
    else if (entry && !same_fingerprint(&before, &entry->model.fingerprint))
        note(merge, entry, CHANGED);
}

static int compare_name(const struct folder_file *file, const char *name)
{
    int order = strncmp(file->file, name, file->name_length);
    return order ? order : -(name[file->name_length] != 0);
}

/* Files and models are both in order of names. */
static void merge_all(struct merge *merge, struct folder_file *files, size_t count)
{
    const struct catalog *catalog = merge->catalog;
    for (size_t at = 0, old = 0; at < count || old < catalog->count;) {
        struct entry *known = old < catalog->count ? catalog->models[old] : NULL;
        struct group run = {files + at, 0};
        int order = 1;
        if (at < count)
            order = known ? compare_name(&files[at], known->model.name) : -1;
        if (order <= 0)
            run.count = count_equal(run.files, count - at, false);
        merge_name(merge, run, order >= 0 ? known : NULL);
        at += run.count;
        old += order >= 0;
    }
}

/* From the last look: since when files have kept still. */
static void carry_over(const struct catalog *catalog, struct folder_file *files, size_t count)
{
    int64_t now_us = clock_now_us();
    for (size_t i = 0, old = 0; i < count; i++) {
        while (old < catalog->file_count && folder_compare(&catalog->files[old], &files[i]) < 0)
            old++;
        const struct folder_file *before = &catalog->files[old];
        bool still = old < catalog->file_count && folder_compare(before, &files[i]) == 0 &&
                     before->status.st_ino == files[i].status.st_ino &&
                     before->status.st_size == files[i].status.st_size &&
                     nanoseconds(before->status.st_mtim) == nanoseconds(files[i].status.st_mtim);
        files[i].still_since_us = still ? before->still_since_us : now_us;
    }
}

static void tell(struct catalog *catalog, const struct change *change)
{
    struct entry *entry = change->entry;
    switch (change->kind) {
    case ADDED:
        catalog->callbacks.added(catalog->owner, &entry->model);
        break;
    case CHANGED:
        catalog->callbacks.changed(catalog->owner, &entry->model);
        break;
    case REMOVED:
        entry->model.removed = true;
        entry->next = catalog->removed;
        catalog->removed = entry;
        catalog->callbacks.removed(catalog->owner, &entry->model);
        break;
    }
}

static void look_again(void *owner);

static void plan_retry(struct catalog *catalog, bool needed)
{
    loop_timer_clear(catalog->loop, &catalog->retry);
    if (!needed)
        return;
    catalog->retry_ms = catalog->retry_ms ? catalog->retry_ms * 2 : 1;
    if (catalog->retry_ms > CATALOG_SETTLE_MS)
        catalog->retry_ms = CATALOG_SETTLE_MS;
    loop_timer_set(catalog->loop, &catalog->retry, clock_now_us() + catalog->retry_ms * 1000,
                   look_again, catalog);
}

/* Make the models what the files say, and tell the owner. */
static int adopt(struct catalog *catalog, struct folder_file *files, size_t count,
                 bool take_written)
{
    struct merge merge = {
        .catalog = catalog,
        .take_written = take_written,
        .models = memory_try(count, sizeof *merge.models),
        .changes = memory_try(count + catalog->count, sizeof *merge.changes),
    };
    if (!merge.models || !merge.changes) {
        free(merge.models);
        free(merge.changes);
        return -ENOMEM;
    }
    carry_over(catalog, files, count);
    merge_all(&merge, files, count);
    folder_free(catalog->files, catalog->file_count);
    free(catalog->models);
    catalog->files = files;
    catalog->file_count = count;
    catalog->models = merge.models;
    catalog->count = merge.count;
    plan_retry(catalog, merge.pending);
    for (size_t i = 0; i < merge.change_count; i++)
        tell(catalog, &merge.changes[i]);
    free(merge.changes);
    return 0;
}

static void mark_gone(struct catalog *catalog, char *file, bool directory)
{
    struct folder_file parsed = {.name_length = strlen(file)};
    if (!directory && !folder_parse(file, &parsed))
        return;
    uint32_t parts = parsed.parts;
    file[parsed.name_length] = 0;
    struct catalog_model *model = catalog_find(catalog, file);
    struct entry *entry = (struct entry *)model;
    if (entry && entry->parts == parts && entry->directory == directory)
        entry->gone = true;
}

/* Take one event; true when it may concern a model.  Events without a name are about a folder, or
 * say that others were lost. */
static bool take_event(struct catalog *catalog, struct inotify_event *event)
{
    struct folder_file parsed;
    bool directory = event->mask & IN_ISDIR;
    if (event->len == 0)
        return !(event->mask & IN_IGNORED); /* which only says that a watch has ended */
    if (event->wd != catalog->folder_watch)
        return subfolder_counts(event->name);
    bool concerned = directory ? event->name[0] != '.' : folder_parse(event->name, &parsed);
    if (event->mask & (IN_DELETE | IN_MOVED_FROM))
        mark_gone(catalog, event->name, directory);
    /* A link may lead to a folder; in the events it is a file. */
    return concerned || (catalog->folder.follow_symlinks && event->name[0] != '.');
}

/* Read what has happened; true when it may concern a model. */
static bool take_events(struct catalog *catalog)
{
    _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    bool concerned = false;
    for (int i = 0; i < EVENT_READS_MAX; i++) {
        ssize_t length = read(catalog->inotify_fd, bytes, sizeof bytes);
        for (char *at = bytes; length > 0 && at < bytes + length;) {
            struct inotify_event *event = (struct inotify_event *)(void *)at;
            at += sizeof *event + event->len; /* before the name is cut */
            concerned |= take_event(catalog, event);
        }
        if (length <= 0)
            break;
    }
    return concerned;
}

static int compare_watches(const void *a, const void *b)
{
    const int *first = a, *second = b;
    return (*first > *second) - (*first < *second);
}

/* The sub-folder's watch descriptor; the same one again if it is watched already.  -1: gone, or no
 * watch left: then its changes are noticed by the next look only. */
static int watch_subfolder(const struct catalog *catalog, const char *name)
{
    char path[64];
    int fd = folder_open_directory(&catalog->folder, name);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int watch = inotify_add_watch(catalog->inotify_fd, path, watched_events);
    close(fd);
    return watch;
}

static bool is_watched(const int *watches, size_t count, int watch)
{
    return count && bsearch(&watch, watches, count, sizeof watch, compare_watches);
}

/* Watch the listed sub-folders, and no others any more.  *added: one that was not watched before.
 * Returns 0 or -ENOMEM. */
static int watch_listed(struct catalog *catalog, const struct folder_file *files, size_t count,
                        bool *added)
{
    size_t found = 0;
    int *watches = memory_try(count, sizeof *watches);
    if (!watches)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int watch = files[i].directory ? watch_subfolder(catalog, files[i].file) : -1;
        if (watch >= 0 && watch != catalog->folder_watch)
            watches[found++] = watch;
    }
    qsort(watches, found, sizeof *watches, compare_watches);
    for (size_t i = 0; i < found; i++)
        *added |= !is_watched(catalog->watches, catalog->watch_count, watches[i]);
    for (size_t i = 0; i < catalog->watch_count; i++)
        if (!is_watched(watches, found, catalog->watches[i]))
            inotify_rm_watch(catalog->inotify_fd, catalog->watches[i]); /* it may be gone */
    free(catalog->watches);
    catalog->watches = watches;
    catalog->watch_count = found;
    return 0;
}

/* A second time where watches came to it. */
static int list(struct catalog *catalog, struct folder_file **files, size_t *count)
{
    bool added = false;
    int status = folder_list(&catalog->folder, files, count);
    if (status)
        return status;
    status = watch_listed(catalog, *files, *count, &added);
    if (!status && !added)
        return 0;
    folder_free(*files, *count);
    return status ? status : folder_list(&catalog->folder, files, count);
}

/* Events that are read before the listing are in it: else a late "removed" would be taken for a
 * second one. */
static int look(struct catalog *catalog, bool take_written)
{
    struct folder_file *files;
    size_t count;
    take_events(catalog);
    int status = list(catalog, &files, &count);
    if (!status) {
        status = adopt(catalog, files, count, take_written);
        if (status)
            folder_free(files, count);
    }
    if (status)
        plan_retry(catalog, true);
    return status;
}

static void look_again(void *owner)
{
    look(owner, false);
}

static void on_events(void *owner, uint32_t events)
{
    (void)events;
    struct catalog *catalog = owner;
    if (!take_events(catalog))
        return;
    catalog->retry_ms = 0;
    look(catalog, false);
}

static int explain(int status, struct error *error)
{
    if (status)
        error_set(error, -status, "cannot read the models folder: %s", strerror(-status));
    return status;
}

static int watch_folder(struct catalog *catalog, struct error *error)
{
    catalog->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (catalog->inotify_fd < 0)
        return error_set(error, errno, "cannot watch the models folder: %s (inotify instances)",
                         strerror(errno));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", catalog->folder.fd);
    catalog->folder_watch = inotify_add_watch(catalog->inotify_fd, path, watched_events);
    if (catalog->folder_watch < 0)
        return error_set(error, errno, "cannot watch the models folder: %s", strerror(errno));
    int status = loop_watch(catalog->loop, &catalog->watch, catalog->inotify_fd, EPOLLIN, on_events,
                            catalog);
    if (status)
        return error_set(error, -status, "cannot watch the models folder: %s", strerror(-status));
    return 0;
}

int catalog_open(struct loop *loop, int folder_fd, bool follow_symlinks,
                 const struct catalog_callbacks *callbacks, void *owner, struct catalog **out,
                 struct error *error)
{
    struct catalog *catalog = memory_try(1, sizeof *catalog);
    if (!catalog)
        return error_set(error, ENOMEM, "out of memory");
    *catalog = (struct catalog){
        .loop = loop,
        .folder = {folder_fd, follow_symlinks},
        .inotify_fd = -1,
        .callbacks = *callbacks,
        .owner = owner,
    };
    *out = catalog;
    int status = watch_folder(catalog, error);
    if (!status)
        status = explain(look(catalog, false), error);
    if (status) {
        catalog->folder.fd = -1; /* still the caller's */
        catalog_close(catalog);
        *out = NULL;
    }
    return status;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog)
        return;
    loop_timer_clear(catalog->loop, &catalog->retry);
    loop_unwatch(catalog->loop, &catalog->watch);
    if (catalog->inotify_fd >= 0)
        close(catalog->inotify_fd);
    if (catalog->folder.fd >= 0)
        close(catalog->folder.fd);
    for (size_t i = 0; i < catalog->count; i++)
        free_entry(catalog->models[i]);
    while (catalog->removed)
        catalog_forget(catalog, &catalog->removed->model);
    folder_free(catalog->files, catalog->file_count);
    free(catalog->watches);
    free(catalog->models);
    free(catalog);
}

int catalog_rescan(struct catalog *catalog, struct error *error)
{
    return explain(look(catalog, true), error);
}

size_t catalog_count(const struct catalog *catalog)
{
    return catalog->count;
}

struct catalog_model *catalog_at(const struct catalog *catalog, size_t index)
{
    return index < catalog->count ? &catalog->models[index]->model : NULL;
}

struct catalog_model *catalog_find(const struct catalog *catalog, const char *name)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, catalog->models[middle]->model.name);
        if (order == 0)
            return &catalog->models[middle]->model;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct catalog_model *catalog_by_id(const struct catalog *catalog, uint64_t id)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->models[i]->model.id == id)
            return &catalog->models[i]->model;
    for (struct entry *entry = catalog->removed; entry; entry = entry->next)
        if (entry->model.id == id)
            return &entry->model;
    return NULL;
}

void catalog_forget(struct catalog *catalog, struct catalog_model *model)
{
    for (struct entry **at = &catalog->removed; *at; at = &(*at)->next)
        if (&(*at)->model == model) {
            struct entry *entry = *at;
            *at = entry->next;
            free_entry(entry);
            return;
        }
}

/* The other parts of a split model, as they are now. */
static int mix_parts(const struct catalog *catalog, const struct entry *entry,
                     struct fingerprint *fingerprint)
{
    int status = 0;
    for (uint32_t part = 2; part <= entry->parts && !status; part++) {
        char file[PART_FILE_BYTES];
        struct stat now;
        snprintf(file, sizeof file, "%s-%05" PRIu32 "-of-%05" PRIu32 ".gguf", entry->model.name,
                 part, entry->parts);
        status = folder_stat(&catalog->folder, file, &now);
        if (!status)
            mix_fingerprint(fingerprint, fingerprint_of(&now));
    }
    return status;
}

/* A descriptor of the model's first file, or of its directory, and its status as it is now. */
static int open_first(const struct catalog *catalog, const struct entry *entry, struct stat *now)
{
    struct folder_file file = {.file = entry->model.file, .directory = true};
    if (!entry->directory)
        return folder_open(&catalog->folder, entry->model.file, now);
    int status = subfolder_examine(&catalog->folder, &file);
    *now = file.status;
    return status ? status : folder_open_directory(&catalog->folder, entry->model.file);
}

int catalog_open_model(const struct catalog *catalog, const struct catalog_model *model,
                       struct error *error)
{
    struct stat now;
    int fd = open_first(catalog, (const struct entry *)model, &now);
    if (fd == -ENOEXEC)
        return error_set(error, ENOEXEC, "%s is not a regular file", model->file);
    if (fd < 0)
        return error_set(error, -fd, "cannot open %s: %s", model->file, strerror(-fd));
    struct fingerprint fingerprint = fingerprint_of(&now);
    int status = mix_parts(catalog, (const struct entry *)model, &fingerprint);
    if (status)
        error_set(error, -status, "cannot find all parts of %s: %s", model->name,
                  strerror(-status));
    else if (!same_fingerprint(&fingerprint, &model->fingerprint))
        status = error_set(error, ESTALE, "%s was replaced", model->file);
    if (!status)
        return fd;
    close(fd);
    return status;
}
