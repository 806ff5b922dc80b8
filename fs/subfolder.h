/* subfolder.h - a directory in the models folder that is a model: one that holds config.json and
 * *.safetensors, as Hugging Face's libraries write it.
 *
 * It is told by one struct stat, as a file is: the sum of the sizes, the newest time, and for an
 * inode a number made of all its files', so that no file can change unnoticed.  Only files that
 * describe a model count: *.json, *.safetensors, *.jinja, and 1_Pooling/config.json.
 *
 * Owns:     nothing; descriptors are closed again.
 * Promise:  no path leaves the folder (folder.h); since the engine opens its files by their names,
 *           one with a symbolic link in it is no model where links are not followed.
 * Threads:  any; nothing blocks but readdir, open and stat.
 * Limits:   SUBFOLDER_* below.
 */
#ifndef FS_SUBFOLDER_H
#define FS_SUBFOLDER_H

#include "fs/folder.h"

enum {
    SUBFOLDER_FILES_MAX = 4096, /* entries of it that are looked at */
};

/* Fill file->status and file->complete.  Returns 0, -ENOTDIR (no directory), -ENOENT, -EACCES,
 * -ELOOP, -EXDEV, -ENOMEM, -EMFILE or another -errno of open(2). */
int subfolder_examine(const struct folder *folder, struct folder_file *file);

/* folder_probe() of all its files; refreshes the status afterwards. */
enum folder_use subfolder_probe(const struct folder *folder, struct folder_file *file);

/* Does an event about this name in a sub-folder concern a model? */
bool subfolder_counts(const char *name);

#endif
