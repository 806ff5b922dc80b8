/* error.h - one plain sentence about what went wrong, and where.
 *
 * Owns:     nothing; a struct error lives in its caller.
 * Promise:  every function of the engine that can fail returns 0 or a negative errno and, when it
 *           was given a struct error, leaves there the sentence that a user will read in the
 *           file `error` or on stderr: no trailing full stop, no newline.
 * Threads:  any, each with its own struct.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>

enum { ERROR_TEXT_BYTES = 256 };

struct error {
    int code;                    /* a positive errno, 0 when nothing went wrong */
    char text[ERROR_TEXT_BYTES]; /* cut with "..." when it does not fit */
};

/* Fill *error (which may be NULL) and return -code, so that a caller can `return error_set(...)`.
 */
int error_set(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
