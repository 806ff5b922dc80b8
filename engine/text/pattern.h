/* pattern.h - one regular expression, and finding its matches without ever hanging.
 *
 * Our own expressions are known to be linear: they are compiled to machine code and run free. Those
 * of a model file (foreign) are hostile until proven otherwise: they are interpreted, each step is
 * counted, and a search that takes more steps than the text deserves ends with an error.
 *
 * Owns:     the compiled expression; a search owns its memory and its count.
 * Promise:  a foreign expression cannot make a text of n bytes cost more than
 *           PATTERN_STEPS_PER_BYTE_MAX * n steps, nor PATTERN_STEPS_MAX; a step is a look at one
 *           item of the expression, or PATTERN_SCAN_BYTES of a run.
 * Threads:  a pattern is read-only after opening, any thread; a search belongs to one.
 * Limits:   a foreign expression has PATTERN_BYTES_MAX bytes, nests PATTERN_NESTING_MAX deep,
 *           repeats at most PATTERN_REPEAT_MAX times by number, looks behind
 *           PATTERN_LOOKBEHIND_MAX characters, and takes PATTERN_HEAP_BYTES_MAX to backtrack.
 * Source:   the syntax of foreign ones is Oniguruma's (Ruby), in which tokenizer.json is written.
 */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PATTERN_BYTES_MAX = 4096,
    PATTERN_NESTING_MAX = 16,
    PATTERN_REPEAT_MAX = 1024,
    PATTERN_LOOKBEHIND_MAX = 16,
    PATTERN_HEAP_BYTES_MAX = 128 << 20,
    PATTERN_SCAN_BYTES = 16,
    PATTERN_STEPS_PER_BYTE_MAX = 256,
    PATTERN_STEPS_MAX = 1 << 30,
};

/* Inside [...]: Unicode White_Space without the ends of lines, and all of it.  PCRE2's \s has
 * U+180E too, which Unicode took out. */
#define PATTERN_BLANK                                                                              \
    "\\t\\x{b}\\x{c} "                                                                             \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define PATTERN_SPACE "\\r\\n" PATTERN_BLANK

struct pattern;

/* Returns 0, -ENOMEM, or -ENOEXEC with a text for a foreign expression that is malformed, over a
 * limit, needs what has no bound (back references, recursion, callouts, verbs, \X), or would mean
 * something else to PCRE2 (a class inside a class, &&). */
int pattern_open(const char *source, bool foreign, struct pattern **out, struct error *error);
void pattern_close(struct pattern *pattern);

/* The memory and the steps of searches in one text. */
struct pattern_search;

/* For a text of `bytes` bytes.  NULL: no memory. */
struct pattern_search *pattern_search_open(size_t bytes);
void pattern_search_close(struct pattern_search *search);

/* The first match in `text`, which is valid UTF-8, from `from` on.  Returns 1 and its bounds; 0
 * when there is none; -EMSGSIZE when a foreign expression has used up its steps or memory; -ENOMEM.
 */
int pattern_find(const struct pattern *pattern, struct pattern_search *search, struct text text,
                 size_t from, size_t *begin, size_t *end);

#endif
