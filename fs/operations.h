/* operations.h - the requests of the kernel. */
#ifndef FS_OPERATIONS_H
#define FS_OPERATIONS_H

#include "fs/fuse.h"

/* Every request that this filesystem answers; the session's user data is the struct daemon. */
extern const struct fuse_lowlevel_ops operations;

#endif
