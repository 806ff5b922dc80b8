/* folder.h - which model files a folder holds at this moment, and whether somebody writes them.
 *
 * The stateless half of catalog.h: names, stat and open, nothing remembered.
 *
 * Owns:     nothing; the descriptor belongs to the caller.
 * Promise:  no path leaves the folder; nothing but a regular file is opened for reading.
 * Threads:  any; nothing blocks but readdir, open and stat of the folder.
 * Limits:   FOLDER_* below.
 */
#ifndef FS_FOLDER_H
#define FS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
    FOLDER_FILES_MAX = 1 << 16, /* *.gguf and directories; more are not looked at */
};

struct folder {
    int fd;
    bool follow_symlinks; /* out of the folder too */
};

/* A model's file, or one part of it: NAME.gguf, or NAME-00001-of-00003.gguf; or a directory NAME,
 * which may be a model. */
struct folder_file {
    char *file;           /* its name in the folder */
    size_t name_length;   /* NAME is the beginning of it */
    uint32_t part, parts; /* 1-based; 0 of 0: a whole model */
    bool directory;
    bool complete; /* of a directory: it holds what makes it a model (subfolder.h) */
    struct stat status;
    int64_t still_since_us; /* the catalog's: when it was first seen with this status */
};

/* Take a file's name apart.  False when it is no model's: no ".gguf" (in lower case) after a
 * name, or a name that begins with a dot (hidden, or a copy on its way).  `out` borrows the name;
 * its status is not set. */
bool folder_parse(char *file, struct folder_file *out);

/* All regular files that are called like models, in order of names, parts before wholes before
 * directories, parts in their order; and all directories that are neither
 * hidden nor called like files.  Free with
 * folder_free().  Returns 0, -ENOMEM, -EMFILE, -ENFILE or -errno of reading the folder; a single
 * file that can't be examined is left out. */
int folder_list(const struct folder *folder, struct folder_file **out, size_t *count);
void folder_free(struct folder_file *files, size_t count);

/* That order: negative, 0 (the same file) or positive. */
int folder_compare(const struct folder_file *a, const struct folder_file *b);

/* A descriptor for reading.  Returns -ENOEXEC (not a regular file), -ENOENT, -EACCES, -ELOOP (a
 * symbolic link), -EXDEV (something mounted there), -EAGAIN (a lease of another program), or
 * another -errno of open(2). */
int folder_open(const struct folder *folder, const char *file, struct stat *status);

/* The same errors, without opening it for reading. */
int folder_stat(const struct folder *folder, const char *file, struct stat *status);

/* A descriptor of a directory in the folder.  Returns -ENOTDIR, or as folder_open(). */
int folder_open_directory(const struct folder *folder, const char *name);

enum folder_use {
    FOLDER_QUIET,   /* nobody has it open for writing */
    FOLDER_WRITTEN, /* somebody has */
    FOLDER_UNKNOWN, /* not ours to ask, or the file system does not tell */
};

/* Does anybody write the file?  Refreshes its status after having asked: what is in it then was
 * complete. */
enum folder_use folder_probe(const struct folder *folder, struct folder_file *file);

#endif
