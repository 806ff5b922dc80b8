/* echo.h - an engine that needs no model: it answers a prompt with the prompt.
 *
 * Why:      everything above the protocol (files, queues, the pool) is tested with it, at loading
 *           and token times that the test chooses.  It looks at no byte of the file: every regular
 *           file that can be opened is a model, an empty one too.
 *
 *   answer    the content of the last message; sampling parameters and stop strings are ignored,
 *             max_tokens is obeyed
 *   token     a word with the white space byte behind it; of a word longer than
 *             ECHO_WORD_BYTES_MAX the next ECHO_PIECE_BYTES; always whole UTF-8 characters
 *   charge    the size of the file; ECHO_EMPTY_CHARGE_BYTES for an empty one
 *
 * Promise:  token n of a request comes n token times after its start, measured from the start, so
 *           lateness does not add up; requests do not slow each other down.
 * Threads:  none; one poll() waits for the daemon and for the next token.
 * Limits:   ECHO_*.
 */
#ifndef ECHO_H
#define ECHO_H

#include <stdbool.h>
#include <stdint.h>

enum {
    ECHO_REQUESTS_MAX = 4096,
    ECHO_WORD_BYTES_MAX = 16,
    ECHO_PIECE_BYTES = 4,
    ECHO_EMPTY_CHARGE_BYTES = 1 << 20,
    ECHO_CONTEXT = 64 << 20, /* unless the options say otherwise: any message fits */
};

struct echo_options {
    const char *path;
    int64_t started_us; /* when main() was entered */
    bool probe;         /* PLAN and return */
    uint32_t load_ms, token_ms;
    int32_t context; /* tokens that prompt and answer may have; 0: ECHO_CONTEXT */
};

/* Serve on PROTOCOL_FD.  Returns 0 when told to stop, when the daemon is gone, or after FAILED was
 * sent; else -errno. */
int echo_run(const struct echo_options *options);

#endif
