/* status.h - the JSON of the `status` files: one line, keys only ever added.
 *
 * Times are milliseconds of the monotonic clock; null where a phase did not happen.
 */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "fs/daemon.h"

/* Append the line.  Returns 0 or -ENOMEM. */
int status_root(const struct daemon *daemon, struct buffer *out);
int status_model(const struct model *model, uid_t reader, struct buffer *out);

/* The word in `state`: cold, loading, ready, busy, draining, failed. */
const char *status_word(const struct model *model);

#endif
