/* texts.h - the texts in a prompt for a model that embeds: one a line.
 *
 * A line that is a JSON string ("a\nb") stands for its value, so that a text can hold line feeds;
 * any other line is the text itself, without its end (a line feed, or CR and line feed).  An empty
 * line is an empty text; what follows the last line feed counts if it is not empty, or if the end
 * of the last line was taken away before.
 *
 * Owns:     the list and the decoded strings; plain lines are views of the input.
 * Threads:  one.
 * Limits:   TEXTS_MAX texts.
 */
#ifndef GENERATE_TEXTS_H
#define GENERATE_TEXTS_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { TEXTS_MAX = 1 << 20 };

struct texts {
    struct text *items;
    size_t count, capacity;
    void *decoded; /* json_t array of the strings that views point into */
};

/* Split at `end` ('\n', or 0 for NUL-separated texts, which are never JSON); `open` when the last
 * text has no end, even if there is nothing behind the last one.  `input` must outlive *out.
 * Returns 0, -ENOMEM, or -EMSGSIZE for more than TEXTS_MAX; *out is empty on failure. */
int texts_split(struct text input, char end, bool open, struct texts *out, struct error *error);
void texts_free(struct texts *texts);

#endif
