/* handle.h - an open file, and what each kind of file does.
 *
 * Owns:     a struct handle lives from OPEN to RELEASE (or until its OPEN is refused).
 * Promise:  identity (user, ancestry) is taken at OPEN: later requests may carry none.
 * Threads:  the loop's.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include "fs/daemon.h"
#include "fs/nodes.h"

struct handle {
    struct daemon *daemon;
    struct model *model;      /* NULL for the root's files */
    enum node_kind kind;
    struct handle *previous, *next; /* its model's list, or unused */
    uid_t uid;
    pid_t opener;             /* the thread that opened it; 0 outside the daemon's pid namespace */
    struct lineage reader;    /* its ancestry, where the kind needs it */
    bool non_blocking;
    struct buffer text;       /* what is read: a snapshot, or the pending part of `events` */
    struct buffer written;    /* what is not committed yet */
    int poison;               /* a positive errno once a WRITE was refused: nothing is committed */
    struct job *job;          /* output, stream: the job that it is bound to (a reference) */
    uint64_t cursor;          /* events */
    struct park_list waiters; /* of a prompt: readers that wait for its commit */
};

/* What a kind of file does; members that do not apply are NULL.  `open`, `read` answer the request
 * (or park it); `open` must have set the handle up.  `write` and `commit` return 0 or -errno. */
struct file_operations {
    void (*open)(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file);
    void (*read)(struct handle *handle, fuse_req_t request, size_t size, off_t offset);
    int (*write)(struct handle *handle, struct text bytes);
    int (*commit)(struct handle *handle); /* the writer is done with what is in `written` */
    void (*release)(struct handle *handle);
    uint64_t (*size)(struct daemon *daemon, struct model *model, const struct fuse_ctx *caller);
};

/* Answer an OPEN: success, or the errno (then the handle is freed). */
void handle_opened(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file);
void handle_refused(struct handle *handle, fuse_req_t request, int code);

/* Answer a READ from bytes that are all there. */
void handle_read_text(fuse_req_t request, struct text text, size_t size, off_t offset);

/* Read from handle->text. */
void handle_read_snapshot(struct handle *handle, fuse_req_t request, size_t size, off_t offset);

/* May this user administer the mount? */
bool handle_is_owner(const struct handle *handle);

void handle_free(struct handle *handle);

/* The kinds, by the file that implements them. */
extern const struct file_operations prompt_operations;                    /* prompt.c */
extern const struct file_operations output_operations, stream_operations; /* answer.c */
extern const struct file_operations wait_operations, events_operations;   /* waiting.c */
extern const struct file_operations info_operations;                      /* waiting.c */
extern const struct file_operations config_operations, budget_operations; /* values.c */
extern const struct file_operations root_ctl_operations, model_ctl_operations; /* control.c */
extern const struct file_operations snapshot_operations;                  /* snapshot.c */

#endif
