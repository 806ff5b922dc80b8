/* operations.c - the kernel's requests: which node, may it, and then the node's own operations.
 *
 * All of them answer from memory.  What has to wait is parked by the node's operations (park.h),
 * only in OPEN and READ: a request that holds a lock of the kernel (LOOKUP, READDIR, WRITE) must
 * never wait.  Attributes are never cached by the kernel: sizes and models change by themselves.
 */
#include "fs/operations.h"

#include "fs/handle.h"
#include "fs/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    WRITE_BYTES_MAX = 128 << 10, /* of one WRITE: libfuse keeps a buffer of this size */
    STATFS_BLOCK_BYTES = 4096,
};

static struct daemon *daemon_of(fuse_req_t request)
{
    return fuse_req_userdata(request);
}

static struct handle *handle_of(const struct fuse_file_info *file)
{
    return (struct handle *)(uintptr_t)file->fh;
}

/* The node behind a number: its kind and (unless it is the root's) its model.  NODE_NONE: gone. */
static enum node_kind find_node(const struct daemon *daemon, fuse_ino_t number,
                                struct model **model)
{
    enum node_kind kind = node_kind(number);
    *model = NULL;
    if (kind == NODE_NONE || kind < NODE_MODEL)
        return kind;
    *model = daemon_model(daemon, node_model(number));
    return *model ? kind : NODE_NONE;
}

static void operation_init(void *userdata, struct fuse_conn_info *connection)
{
    (void)userdata;
    connection->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
    connection->max_write = WRITE_BYTES_MAX;
}

/* --- attributes ------------------------------------------------------------------------------- */

static void fill_times(const struct daemon *daemon, const struct model *model, enum node_kind kind,
                       struct stat *out)
{
    struct timespec at = daemon->started, used = daemon->started;
    if (model) {
        at = model->entry->modified;
        if (kind == NODE_PROMPT && model->submitted.tv_sec)
            at = model->submitted;
        else if ((kind == NODE_OUTPUT || kind == NODE_STREAM) && model->finished.tv_sec)
            at = model->finished;
        else if (kind == NODE_MODEL && model->loaded.tv_sec)
            at = model->loaded;
        used = model->used.tv_sec ? model->used : at;
    }
    out->st_mtim = out->st_ctim = at;
    out->st_atim = used;
}

static size_t weights_target(const struct daemon *daemon, const struct model *model, char *out,
                             size_t size)
{
    return (size_t)snprintf(out, size, "%s/%s", daemon->options.models_dir, model->entry->file);
}

static void fill_attributes(fuse_req_t request, struct model *model, enum node_kind kind,
                            const struct handle *handle, struct stat *out)
{
    struct daemon *daemon = daemon_of(request);
    const struct node_type *type = node_type(kind);
    *out = (struct stat){
        .st_ino = node_number(model ? model->id : 0, kind),
        .st_mode = type->mode,
        .st_nlink = S_ISDIR(type->mode) ? 2 : 1,
        .st_uid = daemon->uid,
        .st_gid = daemon->gid,
        .st_blksize = STATFS_BLOCK_BYTES,
    };
    if (type->operations && type->operations->size)
        out->st_size = (off_t)type->operations->size(model, handle, fuse_req_ctx(request));
    else if (kind == NODE_WEIGHTS)
        out->st_size = (off_t)weights_target(daemon, model, NULL, 0);
    out->st_blocks = (out->st_size + 511) / 512;
    fill_times(daemon, model, kind, out);
}

static void operation_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct daemon *daemon = daemon_of(request);
    struct model *model;
    enum node_kind parent_kind = find_node(daemon, parent, &model);
    enum node_kind kind = parent_kind == NODE_NONE ? NODE_NONE : node_find(parent_kind, name);
    if (parent_kind == NODE_ROOT && kind == NODE_NONE) {
        struct catalog_model *entry = catalog_find(daemon->catalog, name);
        if (entry) {
            model = entry->owner;
            kind = NODE_MODEL;
        }
    }
    if (kind == NODE_NONE) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    struct fuse_entry_param entry = {.ino = node_number(model ? model->id : 0, kind)};
    fill_attributes(request, model, kind, NULL, &entry.attr);
    fuse_reply_entry(request, &entry);
}

static void operation_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct model *model;
    struct stat attributes;
    enum node_kind kind = find_node(daemon_of(request), number, &model);
    if (kind == NODE_NONE) {
        fuse_reply_err(request, ESTALE);
        return;
    }
    fill_attributes(request, model, kind, file ? handle_of(file) : NULL, &attributes);
    fuse_reply_attr(request, &attributes, 0);
}

/* Truncation and time stamps are accepted and mean nothing (`>`, touch); the rest is refused. */
static void operation_setattr(fuse_req_t request, fuse_ino_t number, struct stat *attributes,
                              int to_set, struct fuse_file_info *file)
{
    (void)attributes;
    int harmless = FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
                   FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
    enum node_kind kind = node_kind(number);
    bool writable = kind != NODE_NONE && (node_type(kind)->mode & 0222);
    if ((to_set & ~harmless) || ((to_set & FUSE_SET_ATTR_SIZE) && !writable))
        fuse_reply_err(request, EPERM);
    else
        operation_getattr(request, number, file);
}

static void operation_readlink(fuse_req_t request, fuse_ino_t number)
{
    struct model *model;
    char target[PATH_MAX];
    if (find_node(daemon_of(request), number, &model) != NODE_WEIGHTS)
        fuse_reply_err(request, EINVAL);
    else if (weights_target(daemon_of(request), model, target, sizeof target) >= sizeof target)
        fuse_reply_err(request, ENAMETOOLONG);
    else
        fuse_reply_readlink(request, target);
}

/* `df`: the budget as the size of the disk. */
static void operation_statfs(fuse_req_t request, fuse_ino_t number)
{
    (void)number;
    struct daemon *daemon = daemon_of(request);
    uint64_t budget = pool_budget_bytes(daemon->pool), held = pool_charged_bytes(daemon->pool);
    struct statvfs answer = {
        .f_bsize = STATFS_BLOCK_BYTES,
        .f_frsize = STATFS_BLOCK_BYTES,
        .f_blocks = budget / STATFS_BLOCK_BYTES,
        .f_bfree = held < budget ? (budget - held) / STATFS_BLOCK_BYTES : 0,
        .f_files = catalog_count(daemon->catalog),
        .f_namemax = CATALOG_NAME_BYTES_MAX,
    };
    answer.f_bavail = answer.f_bfree;
    fuse_reply_statfs(request, &answer);
}

/* --- directories ------------------------------------------------------------------------------ */

static int add_name(fuse_req_t request, struct buffer *out, const char *name, uint64_t model,
                    enum node_kind kind)
{
    size_t length = fuse_add_direntry(request, NULL, 0, name, NULL, 0);
    struct stat attributes = {.st_ino = node_number(model, kind), .st_mode = node_type(kind)->mode};
    if (out->length + length > out->limit)
        return -ENOMEM;
    int status =
        memory_grow((void **)&out->bytes, &out->capacity, out->length + length, 1, out->limit);
    if (status)
        return status;
    off_t next = (off_t)(out->length + length); /* an entry's position in this listing */
    fuse_add_direntry(request, out->bytes + out->length, length, name, &attributes, next);
    out->length += length;
    return 0;
}

static int list_directory(fuse_req_t request, const struct model *model, enum node_kind parent,
                          struct buffer *out)
{
    struct catalog *catalog = daemon_of(request)->catalog;
    uint64_t id = model ? model->id : 0;
    int status = add_name(request, out, ".", id, parent);
    if (!status)
        status = add_name(request, out, "..", parent == NODE_CONFIG_DIR ? id : 0,
                          parent == NODE_CONFIG_DIR ? NODE_MODEL : NODE_ROOT);
    for (enum node_kind kind = NODE_ROOT_README; !status && kind <= node_kind_last(); kind++)
        if (kind != NODE_MODEL && node_type(kind)->parent == parent)
            status = add_name(request, out, node_name(kind), id, kind);
    if (parent == NODE_ROOT)
        for (size_t i = 0; !status && i < catalog_count(catalog); i++) {
            const struct catalog_model *entry = catalog_at(catalog, i);
            status = add_name(request, out, entry->name, entry->id, NODE_MODEL);
        }
    return status;
}

/* The listing is made at OPENDIR, so that a reader sees one moment however many READDIRs it takes.
 */
static void operation_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct model *model;
    enum node_kind kind = find_node(daemon_of(request), number, &model);
    if (kind == NODE_NONE || !S_ISDIR(node_type(kind)->mode)) {
        fuse_reply_err(request, kind == NODE_NONE ? ESTALE : ENOTDIR);
        return;
    }
    struct handle *handle = handle_new(request, model, kind, file);
    int status = handle ? list_directory(request, model, kind, &handle->text) : -ENOMEM;
    if (!handle)
        fuse_reply_err(request, ENOMEM);
    else if (status)
        handle_refused(handle, request, -status);
    else
        handle_opened(handle, request, file);
}

/* Where the entry after the one at `position` begins: struct fuse_dirent.off. */
static size_t next_entry(const struct buffer *listing, size_t position)
{
    uint64_t next;
    memcpy(&next, listing->bytes + position + sizeof(uint64_t), sizeof next);
    return (size_t)next;
}

static void operation_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                              struct fuse_file_info *file)
{
    (void)number;
    const struct buffer *listing = &handle_of(file)->text;
    size_t start = 0;
    /* seekdir() may name any position: the first entry from there on. */
    while (start < listing->length && start < (uint64_t)offset)
        start = next_entry(listing, start);
    size_t end = start;
    while (end < listing->length && next_entry(listing, end) - start <= size)
        end = next_entry(listing, end);
    fuse_reply_buf(request, listing->bytes + start, end - start);
}

static void operation_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    (void)number;
    handle_free(handle_of(file));
    fuse_reply_err(request, 0);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Mode bits do not bind root, so the daemon looks too. */
static bool may_open(const struct node_type *type, int flags)
{
    int access = flags & O_ACCMODE;
    bool reads = access != O_WRONLY, writes = access != O_RDONLY;
    return (!reads || (type->mode & 0444)) && (!writes || (type->mode & 0222));
}

static void operation_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    struct daemon *daemon = daemon_of(request);
    struct model *model;
    enum node_kind kind = find_node(daemon, number, &model);
    if (kind == NODE_NONE || !node_type(kind)->operations) {
        fuse_reply_err(request, ESTALE);
        return;
    }
    const struct node_type *type = node_type(kind);
    if (!may_open(type, file->flags)) {
        fuse_reply_err(request, EACCES);
        return;
    }
    struct handle *handle = handle_new(request, model, kind, file);
    if (handle)
        type->operations->open(handle, request, file);
    else
        fuse_reply_err(request, ENOMEM);
}

static void operation_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                           struct fuse_file_info *file)
{
    (void)number;
    struct handle *handle = handle_of(file);
    const struct file_operations *does = node_type(handle->kind)->operations;
    if (does->read)
        does->read(handle, request, size, offset);
    else
        fuse_reply_err(request, EBADF);
}

/* Nothing that was written to it counts: a prompt without its middle is not what was meant. */
static void poison(struct handle *handle, int code)
{
    handle->poison = code;
    buffer_free(&handle->written);
    park_wake(&handle->daemon->parking, &handle->waiters);
    if (handle->model)
        park_wake(&handle->daemon->parking, &handle->model->waiters);
}

static void operation_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size,
                            off_t offset, struct fuse_file_info *file)
{
    (void)number, (void)offset; /* a handle appends, wherever the writer believes to be */
    struct handle *handle = handle_of(file);
    const struct file_operations *does = node_type(handle->kind)->operations;
    int status = handle->poison ? -handle->poison
                 : does->write  ? does->write(handle, (struct text){bytes, size})
                                : -EBADF;
    if (status && does->commit) /* else each WRITE stands for itself: `ctl` */
        poison(handle, -status);
    handle_count_written(handle);
    if (status)
        fuse_reply_err(request, -status);
    else
        fuse_reply_write(request, size);
}

static int commit(struct handle *handle)
{
    const struct file_operations *does = node_type(handle->kind)->operations;
    if (handle->poison || !does->commit)
        return 0;
    int status = does->commit(handle);
    handle->written.length = 0;
    handle->replaces = false;
    handle_count_written(handle);
    return status;
}

/* A shell flushes a file that it opens for a command before anything is written. */
static int commit_bytes(struct handle *handle)
{
    return handle->written.length ? commit(handle) : 0;
}

static void operation_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    (void)number;
    struct handle *handle = handle_of(file);
    pid_t closer = fuse_req_ctx(request)->pid;
    int status = closer && closer == handle->opener ? commit_bytes(handle) : 0;
    fuse_reply_err(request, -status);
}

static void operation_fsync(fuse_req_t request, fuse_ino_t number, int data_only,
                            struct fuse_file_info *file)
{
    (void)number, (void)data_only;
    fuse_reply_err(request, -commit_bytes(handle_of(file)));
}

static void operation_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *file)
{
    (void)number;
    struct handle *handle = handle_of(file);
    if (handle->written.length || handle->replaces)
        commit(handle);
    handle_free(handle);
    fuse_reply_err(request, 0);
}

/* --- the tree is the daemon's: nobody makes, moves or removes a name -------------------------- */

static void refuse_name(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(request, EPERM);
}

static void refuse_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)mode;
    refuse_name(request, parent, name);
}

static void refuse_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                         dev_t device)
{
    (void)mode, (void)device;
    refuse_name(request, parent, name);
}

static void refuse_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                          struct fuse_file_info *file)
{
    (void)mode, (void)file;
    refuse_name(request, parent, name);
}

static void refuse_symlink(fuse_req_t request, const char *target, fuse_ino_t parent,
                           const char *name)
{
    (void)target;
    refuse_name(request, parent, name);
}

static void refuse_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name)
{
    (void)number;
    refuse_name(request, parent, name);
}

static void refuse_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
                          fuse_ino_t to_parent, const char *to_name, unsigned int flags)
{
    (void)to_parent, (void)to_name, (void)flags;
    refuse_name(request, parent, name);
}

const struct fuse_lowlevel_ops operations = {
    .init = operation_init,
    .lookup = operation_lookup,
    .getattr = operation_getattr,
    .setattr = operation_setattr,
    .readlink = operation_readlink,
    .statfs = operation_statfs,
    .opendir = operation_opendir,
    .readdir = operation_readdir,
    .releasedir = operation_releasedir,
    .open = operation_open,
    .read = operation_read,
    .write = operation_write,
    .flush = operation_flush,
    .fsync = operation_fsync,
    .release = operation_release,
    .create = refuse_create,
    .mknod = refuse_mknod,
    .mkdir = refuse_mkdir,
    .symlink = refuse_symlink,
    .link = refuse_link,
    .rename = refuse_rename,
    .unlink = refuse_name,
    .rmdir = refuse_name,
};
