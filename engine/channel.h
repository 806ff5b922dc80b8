/* channel.h - the worker's end of the socketpair, outwards.
 *
 * Promise:  a call blocks only while the daemon does not read, and it always reads; a daemon that
 *           is gone is an error and never a signal.
 * Threads:  one at a time.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "protocol.h"

/* Send all of `output` and empty it.  Returns 0, or -errno as send(2) said (-EPIPE: no daemon). */
int channel_send(struct buffer *output);

/* Send FAILED.  Returns as channel_send(), or -ENOMEM. */
int channel_fail(int code, const char *text);

#endif
