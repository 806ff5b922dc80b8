/* mount.h - what is checked about the two folders before anything is mounted.
 *
 * Threads:  before the loop runs.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "fs/options.h"

/* Make both paths absolute, detach a mount that a killed daemon left behind, refuse a models folder
 * on or under the mount point (the daemon would wait for itself), and open the models folder.
 * Returns a descriptor, or -1 after one line on stderr. */
int mount_prepare(struct options *options);

/* Find inferfs-engine: options->program, else beside this program, else in PATH.  Returns 0, or -1
 * after one line on stderr. */
int mount_find_engine(struct options *options);

#endif
