/* catalog.h - the models folder, watched.
 *
 * Every regular file `NAME.gguf` directly in the folder is the model NAME, unless NAME begins with
 * a dot; the parts of a split file `NAME-00001-of-0000N.gguf`, once all are there, are one model
 * NAME; so is a directory NAME that holds config.json and *.safetensors (subfolder.h), unless its
 * name ends with .gguf.  A model added, replaced or removed is noticed without a restart (inotify),
 * a file that somebody still writes is not a model yet.  Of two that would be called the same, the
 * file that comes first in order of names is the model; one that would hide a file of the mount's
 * root is not shown.
 *
 * Owns:     the inotify descriptor and the list of models.
 * Promise:  no path leaves the folder (openat2 beneath it; symbolic links only when asked for); a
 *           FIFO, device or directory named x.gguf is not opened for reading and is no model; a
 *           model's number is never used for another one; models are in order of their names.
 * Threads:  the loop's; nothing blocks but readdir and stat of the folder.
 * Limits:   CATALOG_* below.
 */
#ifndef FS_CATALOG_H
#define FS_CATALOG_H

#include "base/error.h"
#include "fs/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    CATALOG_MODELS_MAX = 4096,
    CATALOG_NAME_BYTES_MAX = 255,
    CATALOG_SETTLE_MS = 200, /* how long a file that may still be written is left alone, again and
                              * again, where its writers can't be seen (no lease) */
    CATALOG_OLD_S = 10,      /* a file that was not touched for so long is not waited for */
};

/* Which file it is: two equal fingerprints are the same bytes, as far as stat(2) can tell. */
struct fingerprint {
    uint64_t device, inode, bytes;
    int64_t modified_ns;
};

struct catalog_model {
    uint64_t id; /* 1, 2, 3 ...: never reused */
    char *name;  /* the directory in the mount: no '/', never "." or "..", not a reserved
                  * name of the root (README status events budget resident ctl metrics) */
    char *file;  /* its (first) file's name in the folder, or the directory's */
    bool split;  /* its files are found by their names: a split file, or a directory */
    struct fingerprint fingerprint; /* of the first file, or of all its files mixed */
    uint64_t bytes;                 /* all its files */
    struct timespec modified;
    bool removed; /* gone from the folder; kept until catalog_forget() */
    void *owner;  /* the daemon's own record; not touched here */
};

/* Called from the loop, catalog_open() and catalog_rescan(), when the list is already up to date; a
 * callback may call anything here but catalog_rescan() and catalog_close(). */
struct catalog_callbacks {
    void (*added)(void *owner, struct catalog_model *model);
    void (*changed)(void *owner, struct catalog_model *model);
    void (*removed)(void *owner, struct catalog_model *model);
};

struct catalog;

/* Open the folder (an O_DIRECTORY descriptor, which after success is the catalog's), watch it, and
 * call `added` for what is there; *out is set before.  Symbolic links that are followed may lead
 * anywhere, and what changes behind them is noticed by the next look only.  Returns 0, -ENOMEM,
 * -EMFILE (also: no inotify instance left), -ENOSPC (no inotify watch left), -EACCES, -ENOTDIR,
 * -ENOENT (no /proc), -EIO. */
int catalog_open(struct loop *loop, int folder_fd, bool follow_symlinks,
                 const struct catalog_callbacks *callbacks, void *owner, struct catalog **out,
                 struct error *error);
void catalog_close(struct catalog *catalog);

/* Look again at once (ctl: rescan): afterwards the catalog is the folder's present content; here a
 * file is taken even if it is still open for writing.  Returns 0, -EIO, -EACCES, -EMFILE, -ENFILE
 * or -ENOMEM: then nothing changed. */
int catalog_rescan(struct catalog *catalog, struct error *error);

/* In order of names, removed ones not among them. */
size_t catalog_count(const struct catalog *catalog);
struct catalog_model *catalog_at(const struct catalog *catalog, size_t index);
struct catalog_model *catalog_find(const struct catalog *catalog, const char *name);
/* By number, removed ones too; NULL when forgotten. */
struct catalog_model *catalog_by_id(const struct catalog *catalog, uint64_t id);

/* Free a removed model for good (one that `removed` was called for; others stay). */
void catalog_forget(struct catalog *catalog, struct catalog_model *model);

/* Open the model's (first) file for reading, beneath the folder.  Returns a descriptor
 * (O_RDONLY|O_CLOEXEC), -ESTALE when it is no longer the file of the fingerprint, or -ENOENT,
 * -EACCES, -ELOOP, -EXDEV (something mounted there), -ENOEXEC (not a regular file), -EAGAIN
 * (another program keeps it closed with a lease), -EMFILE. */
int catalog_open_model(const struct catalog *catalog, const struct catalog_model *model,
                       struct error *error);

#endif
