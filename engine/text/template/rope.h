/* rope.h - strings that remember which of their bytes the template wrote.
 *
 * A rope is a run of bytes, or two ropes joined; joining costs nothing, and what needs the bytes
 * side by side makes them so once.  Every byte is marked as trusted (the template's own) or not;
 * slices keep the marks of their bytes.
 *
 * Owns:     nothing: ropes live in the arena of the rendering, bytes there or with the caller.
 * Promise:  no function returns NULL: after a failure (render->status) they return an empty rope.
 *           Work is charged to the rendering, TEMPLATE_STEP_BYTES a step.
 * Threads:  one rendering each; flat ropes are read-only.
 * Limits:   template_limits.text_bytes.
 */
#ifndef TEXT_TEMPLATE_ROPE_H
#define TEXT_TEMPLATE_ROPE_H

#include "base/text.h"

#include <stdint.h>

struct render;

enum rope_origin { ROPE_USER, ROPE_TEMPLATE, ROPE_MIXED };

struct rope {
    size_t length;
    enum rope_origin origin;
    uint32_t depth;             /* of joints below; 0: flat */
    const char *bytes;          /* flat */
    const unsigned char *marks; /* flat and ROPE_MIXED: 1 for a byte of the template */
    struct rope *left, *right;  /* not flat */
};

/* A view of bytes that outlive the rendering (or lie in its arena). */
struct rope *rope_of(struct render *render, struct text text, enum rope_origin origin);

/* A copy of the bytes. */
struct rope *rope_copy(struct render *render, struct text text, enum rope_origin origin);

struct rope *rope_join(struct render *render, struct rope *left, struct rope *right);

/* Put the bytes side by side; the view is good as long as the rendering. */
struct text rope_text(struct render *render, struct rope *rope);

/* Bytes [begin, begin + length), which the rope has. */
struct rope *rope_slice(struct render *render, struct rope *rope, size_t begin, size_t length);

/* The same marks for as many other bytes, which lie in the arena; and with the bytes changed by a
 * function of each. */
struct rope *rope_like(struct render *render, struct rope *rope, const char *bytes);
struct rope *rope_map(struct render *render, struct rope *rope, char (*map)(char byte));

/* The same bytes, untrusted. */
struct rope *rope_untrusted(struct render *render, struct rope *rope);

struct rope *rope_repeat(struct render *render, struct rope *rope, int64_t count);

#endif
