/* template.h - a chat template (Jinja) compiled, and conversations rendered with it.
 *
 * The language is what jinja2's ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks and
 * loop controls renders, as far as chat templates use it: docs/TEMPLATES.md lists it.  The result
 * is equal to Python's byte for byte.
 *
 * Owns:     struct template its tree; struct template_text its bytes and spans.
 * Promise:  a template is untrusted: it sees nothing but its inputs and can do nothing but compute
 *           text, within the limits, whose passing ends it with an error that names the line.
 *           Every byte of the result is marked: trusted when it was written by the template itself
 *           (or came in with an input that the caller calls trusted), else not; whatever was
 *           computed from an untrusted byte, or printed from a number, list or dict, is untrusted.
 * Threads:  a compiled template is read-only: any thread may render with it.
 * Limits:   the constants below, and struct template_limits.
 */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
    TEMPLATE_SOURCE_BYTES_MAX = 1 << 20,
    TEMPLATE_TREE_BYTES_MAX = 64 << 20, /* of a compiled template */
    TEMPLATE_DEPTH_MAX = 100,           /* expressions, or statements, inside each other */
    TEMPLATE_NESTING_MAX = 1000,        /* of an evaluation: calls of macros add up */
    TEMPLATE_STEPS_MAX = 50 << 20,      /* nodes evaluated, and TEMPLATE_STEP_BYTES of text each */
    TEMPLATE_STEP_BYTES = 32,
    TEMPLATE_TEXT_BYTES_MAX = 64 << 20,    /* of the result, and of any string on the way */
    TEMPLATE_MEMORY_BYTES_MAX = 256 << 20, /* of all values of one rendering */
    TEMPLATE_RANGE_MAX = 100000,           /* numbers in a range(), as jinja2's sandbox has it */
};

struct template;

/* Compile.  The bytes of `source` are not needed afterwards.  Returns 0, or
 *   -EMSGSIZE  a source longer than TEMPLATE_SOURCE_BYTES_MAX
 *   -ENOEXEC   no template: the text says what, and in which line; or nested too deeply
 *   -ENOMEM */
int template_compile(struct text source, struct template **out, struct error *error);
void template_free(struct template *source);

/* What the compiled template takes. */
size_t template_bytes(const struct template *source);

struct template_string {
    struct text name;
    struct text value;
    bool trusted; /* not a word of it was chosen by a user */
};

struct template_flag {
    struct text name;
    bool value;
};

/* One message: the fields of a dict, in this order ("role", "content", ...). */
struct template_message {
    const struct template_string *fields;
    size_t field_count;
};

/* What the template sees: `messages`, `add_generation_prompt`, the strings and flags by their
 * names, and `tools` and `documents`, which are none. */
struct template_inputs {
    const struct template_message *messages;
    size_t message_count;
    const struct template_string *strings;
    size_t string_count;
    const struct template_flag *flags;
    size_t flag_count;
    bool add_generation_prompt;
    struct tm now; /* what strftime_now() tells */
};

struct template_limits {
    uint64_t steps;      /* at most TEMPLATE_STEPS_MAX makes sense, like the others */
    size_t memory_bytes; /* of all values */
    size_t text_bytes;   /* of the result, and of any string */
};

/* The constants above. */
struct template_limits template_limits_default(void);

struct template_span {
    size_t begin, end; /* in template_text.text */
    bool trusted;
};

struct template_text {
    struct buffer text;
    struct template_span *spans; /* they cover the text, in order; neighbours differ */
    size_t span_count, span_capacity;
};
void template_text_free(struct template_text *text);

/* Render.  Returns 0, or
 *   -EINVAL    the template called raise_exception(): the text is its text
 *   -ENOEXEC   an error of the template (jinja2 fails there too), or more steps, nesting or memory
 *              than it may use: the text says what, and in which line
 *   -EMSGSIZE  a text longer than limits->text_bytes
 *   -ENOMEM
 * *out is empty on failure. */
int template_render(const struct template *source, const struct template_inputs *inputs,
                    const struct template_limits *limits, struct template_text *out,
                    struct error *error);

#endif
