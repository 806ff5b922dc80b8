/* inbox.h - a thread that reads what the daemon says while the engine computes.
 *
 * Why:      a step may take a second and a load minutes.  STOP and a closed socket must not wait
 *           for either, so this thread ends the process on the spot; everything else is kept for
 *           the engine's thread to take between two steps.
 * Owns:     the reading half of PROTOCOL_FD and one thread, until the process ends.
 * Promise:  only whole, well-formed messages are handed over; a daemon that speaks another protocol
 *           ends the process with status 1.
 * Threads:  inbox_take() by one.
 * Limits:   INBOX_BYTES_MAX not yet taken; then reading waits.
 */
#ifndef INBOX_H
#define INBOX_H

#include "protocol.h"

enum { INBOX_BYTES_MAX = PROTOCOL_PAYLOAD_BYTES_MAX + sizeof(struct protocol_header) };

struct inbox;

/* Start reading.  Returns 0, -ENOMEM or -EAGAIN. */
int inbox_open(struct inbox **out, struct error *error);

/* Exchange `messages`, which must be empty, for what has arrived; with `wait` sleep until something
 * has.  Start with buffer_new(INBOX_BYTES_MAX). */
void inbox_take(struct inbox *inbox, bool wait, struct buffer *messages);

#endif
