/* report.h - the logprobs of a token as a line of JSON, the same for the mount and the terminal.
 *
 *     {"token":" Paris","id":7042,"logprob":-0.0123,"top":[{"token":...,"id":...,"logprob":...}]}
 *
 * A token that is not UTF-8 by itself has "bytes":[...] for "token"; a probability of 0 has null
 * for "logprob".  "top" is there when alternatives were asked for, the best first.
 *
 * Threads:  any.
 */
#ifndef REPORT_H
#define REPORT_H

#include "base/memory.h"
#include "generate/logprobs.h"
#include "text/tokenizer.h"

#include <stdbool.h>

/* Append the line and its newline.  Returns 0, -ENOMEM or -EMSGSIZE. */
int report_logprobs(const struct tokenizer *tokenizer, const struct logprobs *logprobs,
                    bool wants_top, struct buffer *out);

#endif
