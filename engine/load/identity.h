/* identity.h - which file this is, and whether it is still the one that it was.
 *
 * The kernel sets the time of the last change (ctime) of an inode at every write, truncation,
 * renaming and change of owner or times, and nobody can set it back; so two equal identities within
 * one run of the machine are the same bytes.  The exception: times have a grain (milliseconds; two
 * seconds on some file systems), and a second write in the same grain leaves no trace.  So a file
 * is known by its identity only when that was taken IDENTITY_SETTLED_S after the last change.
 * File systems that keep no such time (FAT, some of FUSE) show another in its place; there whoever
 * gives a file of the same size the old time of writing passes it off as the old one.
 * A program that goes on writing through a mapping changes the time only now and then; but nobody
 * may do so to a model that is loaded, anyway.
 *
 * Threads:  plain values.
 */
#ifndef LOAD_IDENTITY_H
#define LOAD_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum { IDENTITY_SETTLED_S = 3 };

struct identity {
    uint64_t device, inode, bytes;
    int64_t modified_s, modified_ns, changed_s, changed_ns;
};

static inline struct identity identity_of(const struct stat *facts)
{
    return (struct identity){
        .device = facts->st_dev,
        .inode = facts->st_ino,
        .bytes = (uint64_t)facts->st_size,
        .modified_s = facts->st_mtim.tv_sec,
        .modified_ns = facts->st_mtim.tv_nsec,
        .changed_s = facts->st_ctim.tv_sec,
        .changed_ns = facts->st_ctim.tv_nsec,
    };
}

/* Taken now, will it tell the file from the same one changed later? */
static inline bool identity_is_settled(const struct identity *identity)
{
    return identity->changed_s <= (int64_t)time(NULL) - IDENTITY_SETTLED_S;
}

#endif
