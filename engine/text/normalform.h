/* normalform.h - the four normal forms of Unicode.
 *
 * Promise:  linear in the text, however many marks follow each other.
 * Threads:  pure functions.
 * Source:   Unicode Standard Annex 15; the tables are utf8proc's.
 */
#ifndef TEXT_NORMALFORM_H
#define TEXT_NORMALFORM_H

#include "base/memory.h"

#include <stdbool.h>

/* Code points of the longest decomposition, that of U+FDFA. */
enum { NORMALFORM_DECOMPOSED_MAX = 18 };

/* Append the text in its normal form: composed (C) or decomposed (D), compatible (K) or not.
 * Returns 0, -ENOMEM or -EMSGSIZE. */
int normalform_append(struct text text, bool composed, bool compatible, struct buffer *out);

#endif
