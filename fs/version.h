/* version.h - what `-V` and `status` say. */
#ifndef FS_VERSION_H
#define FS_VERSION_H

#define INFERFS_VERSION "0.1.0"

#endif
