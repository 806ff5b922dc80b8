/* strings.h - what filters and methods do with strings alike; Python's str methods.
 *
 * Promise:  slices keep the marks of their bytes; what is put into a string that holds untrusted
 *           bytes (replace) is untrusted, because those bytes chose its place.
 * Threads:  one rendering.
 */
#ifndef TEXT_TEMPLATE_STRINGS_H
#define TEXT_TEMPLATE_STRINGS_H

#include "text/template/render.h"

enum strings_side { STRINGS_LEFT = 1, STRINGS_RIGHT = 2, STRINGS_BOTH = 3 };

/* Without white space, or without the characters of `set` if there is one, on these sides. */
struct rope *strings_strip(struct render *render, struct rope *string, struct rope *set,
                           enum strings_side side);

/* At most `limit` times; below 0: all. */
struct rope *strings_replace(struct render *render, struct rope *string, struct rope *old,
                             struct rope *new_text, int64_t limit);

/* A list; without a separator at runs of white space.  From the right: the limit counts from there.
 */
struct list *strings_split(struct render *render, struct rope *string, struct rope *separator,
                           int64_t limit, bool from_right);
struct list *strings_lines(struct render *render, struct rope *string, bool keep_ends);

struct rope *strings_join(struct render *render, struct rope *separator, const struct list *items);

/* The first letter of each word large, the rest small: a word begins behind what is no letter, or
 * (as jinja2's filter has it) behind white space and ({[<- only. */
struct rope *strings_title(struct render *render, struct rope *string, bool filter);
struct rope *strings_capitalize(struct render *render, struct rope *string);

#endif
