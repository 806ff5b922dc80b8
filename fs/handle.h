/* handle.h - an open file or directory, and what each kind of file does.
 *
 * Owns:     a struct handle lives from OPEN to RELEASE (or until its OPEN is refused), or until the
 *           daemon ends.
 * Promise:  identity (user, ancestry) is taken at OPEN: later requests may carry none.
 * Threads:  the loop's.
 * Limits:   HANDLE_* below, and DAEMON_PROMPT_BYTES_MAX for all of them.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include "fs/daemon.h"
#include "fs/nodes.h"

enum {
    HANDLE_TEXT_BYTES_MAX = 64 << 20,   /* a snapshot, a directory's listing */
    HANDLE_WRITTEN_BYTES_MAX = 2 << 20, /* a value; a prompt has its own limit */
};

struct handle {
    struct daemon *daemon;
    struct model *model; /* NULL for the root and its files */
    enum node_kind kind;
    struct handle *previous, *next; /* its model's list, or the daemon's for the root's */
    uid_t uid;
    pid_t opener;          /* the thread that opened it; 0 outside the daemon's pid namespace */
    struct lineage reader; /* its ancestry, where the kind needs it */
    bool non_blocking;
    struct buffer text;    /* what is read: a snapshot, or the pending part of `events` */
    struct buffer written; /* what is not committed yet */
    size_t counted_bytes;  /* ... of which the daemon's sum knows */
    bool replaces;         /* a text that was opened with O_TRUNC: written or not, it is replaced */
    int poison;            /* a positive errno once a WRITE was refused: nothing is committed */
    struct job *job;       /* output, stream: the job that it is bound to (a reference) */
    uint64_t cursor;       /* events */
    struct park_list waiters; /* of a prompt: readers that wait for its commit */
};

/* What a kind of file does; members that do not apply are NULL.  `open`, `read` answer the request
 * (or park it); `open` must have set the handle up.  `write` and `commit` return 0 or -errno. */
struct file_operations {
    void (*open)(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file);
    void (*read)(struct handle *handle, fuse_req_t request, size_t size, off_t offset);
    int (*write)(struct handle *handle, struct text bytes);
    int (*commit)(struct handle *handle); /* the writer is done with what is in `written` */
    /* The size for stat; `handle` is NULL when the caller names the file by its path. */
    uint64_t (*size)(struct model *model, const struct handle *handle,
                     const struct fuse_ctx *caller);
};

/* A handle of the caller on this file, in its list.  Returns NULL without memory. */
struct handle *handle_new(fuse_req_t request, struct model *model, enum node_kind kind,
                          const struct fuse_file_info *file);

/* Answer an OPEN: success, or the errno (then the handle is freed). */
void handle_opened(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file);
void handle_refused(struct handle *handle, fuse_req_t request, int code);

/* Answer an OPEN or a READ through `resume`: now, or parked until that is possible (park.h).  An
 * OPEN that ends without it frees the handle. */
void handle_open_when(park_resume *resume, struct handle *handle, fuse_req_t request,
                      const struct fuse_file_info *file);
void handle_read_when(park_resume *resume, struct handle *handle, fuse_req_t request, size_t size,
                      off_t offset);

/* Answer a READ from bytes that are all there. */
void handle_read_text(fuse_req_t request, struct text text, size_t size, off_t offset);

/* Read from handle->text. */
void handle_read_snapshot(struct handle *handle, fuse_req_t request, size_t size, off_t offset);

/* May this user administer the mount? */
bool handle_is_owner(const struct handle *handle);

/* Tell the daemon's sum how much `written` holds now; to be called when that has changed. */
void handle_count_written(struct handle *handle);

void handle_free(struct handle *handle);

/* The kinds, by the file that implements them. */
extern const struct file_operations prompt_operations; /* prompt.c */
extern const struct file_operations output_operations, logprobs_operations,
    stream_operations;                                                         /* answer.c */
extern const struct file_operations wait_operations, events_operations;        /* waiting.c */
extern const struct file_operations info_operations;                           /* waiting.c */
extern const struct file_operations config_operations, budget_operations;      /* values.c */
extern const struct file_operations root_ctl_operations, model_ctl_operations; /* control.c */
extern const struct file_operations snapshot_operations;                       /* snapshot.c */

#endif
