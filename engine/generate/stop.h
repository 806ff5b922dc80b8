/* stop.h - turns the bytes of tokens into text that may be shown.
 *
 * Why:      tokens end anywhere, in the middle of a character or of a string that ends the answer.
 *           What may still become a stop string is held back until it is clear; so is an
 *           unfinished character.
 * Owns:     copies of the stop strings and the bytes held back.
 * Promise:  no byte of a stop string is ever shown; everything else is, once, in order.  The string
 *           that is complete first ends the answer; of several that are complete at the same byte,
 *           the longest.
 * Threads:  one.
 * Limits:   STOP_STRINGS_MAX strings of STOP_BYTES_MAX.
 */
#ifndef GENERATE_STOP_H
#define GENERATE_STOP_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

enum { STOP_STRINGS_MAX = 16, STOP_BYTES_MAX = 256 };

struct stop {
    struct text strings[STOP_STRINGS_MAX]; /* into `copies` */
    size_t count;
    char *copies;
    struct buffer held; /* the first `shown` bytes of it have been handed out */
    size_t shown;
};

/* `piece_bytes_max`: of one stop_feed().  All memory is taken here.  Returns 0, -ENOMEM, or -EINVAL
 * for too many strings, an empty or a too long one. */
int stop_open(struct stop *stop, const struct text *strings, size_t count, size_t piece_bytes_max,
              struct error *error);
void stop_close(struct stop *stop);

/* The bytes of one more token.  *out is what may be shown now, valid until the next call.  Returns
 * true when a stop string is complete: the answer ends behind *out. */
bool stop_feed(struct stop *stop, const char *bytes, size_t length, struct text *out);

/* All that is held back, when the answer ends for another reason. */
struct text stop_flush(struct stop *stop);

#endif
