/* nodes.h - the tree: which files there are, and their inode numbers.
 *
 * An inode number is computed, never a pointer: a model's number in the high bits, the kind of file
 * in the low eight.  A model's number is never used again, so neither is an inode.  Nothing is kept
 * per looked-up node, and FORGET has nothing to do.
 *
 * Threads:  constant tables.
 */
#ifndef FS_NODES_H
#define FS_NODES_H

#include "fs/fuse.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum node_kind {
    NODE_NONE,
    NODE_ROOT, /* = FUSE_ROOT_ID */
    NODE_ROOT_README,
    NODE_ROOT_BUDGET,
    NODE_ROOT_CTL,
    NODE_ROOT_EVENTS,
    NODE_ROOT_RESIDENT,
    NODE_ROOT_STATUS,
    NODE_MODEL,
    NODE_CONFIG_DIR,
    NODE_CTL,
    NODE_ERROR,
    NODE_INFO,
    NODE_LOGPROBS,
    NODE_OUTPUT,
    NODE_PROMPT,
    NODE_STATE,
    NODE_STATUS,
    NODE_STREAM,
    NODE_WAIT,
    NODE_WEIGHTS,
    NODE_CONFIG, /* + enum config_key */
};

struct file_operations;

struct node_type {
    const char *name;
    mode_t mode; /* type and permissions */
    enum node_kind parent;
    const struct file_operations *operations; /* of a regular file */
};

/* The type of a kind; the name of a config file is its key's. */
const struct node_type *node_type(enum node_kind kind);
const char *node_name(enum node_kind kind);

/* The kinds from NODE_ROOT to node_kind_last(), the config files among them. */
enum node_kind node_kind_last(void);

fuse_ino_t node_number(uint64_t model, enum node_kind kind);
uint64_t node_model(fuse_ino_t number);
enum node_kind node_kind(fuse_ino_t number); /* NODE_NONE for a number that is none of ours */

/* The file `name` in a directory of kind `parent`, or NODE_NONE. */
enum node_kind node_find(enum node_kind parent, const char *name);

#endif
