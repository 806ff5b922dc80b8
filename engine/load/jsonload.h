/* jsonload.h - JSON from a file that nobody has checked.
 *
 * Owns:     nothing; the tree belongs to the caller (json_decref).
 * Promise:  depth and number of values are counted over the bytes before the tree is built, so the
 *           memory for it is bounded by the limits here and not by what is written.  A key that
 *           appears twice is refused.  The getters check types and ranges.
 * Threads:  any.
 * Limits:   JSONLOAD_* below; the size in bytes is the caller's.
 * Source:   RFC 8259, read by jansson.
 */
#ifndef LOAD_JSONLOAD_H
#define LOAD_JSONLOAD_H

#include "base/error.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    JSONLOAD_DEPTH_MAX = 32,
    JSONLOAD_VALUES_MAX = 1 << 20, /* values, and keys of objects */
};

/* Read an object or an array; `file` names it in errors.  Returns 0, -ENOMEM, or -ENOEXEC saying
 * what is wrong and where. */
int jsonload_parse(struct text bytes, const char *file, json_t **out, struct error *error);

/* Typed getters.  Each returns 0; -ENOENT when the key is absent or null (*out untouched, no error
 * text); -ENOEXEC with a text naming the key when it has another type or is out of range. */
int jsonload_count(const json_t *object, const char *key, int64_t minimum, int64_t maximum,
                   int64_t *out, struct error *error);
int jsonload_number(const json_t *object, const char *key, double *out, struct error *error);
int jsonload_bool(const json_t *object, const char *key, bool *out, struct error *error);
int jsonload_string(const json_t *object, const char *key, const char **out, struct error *error);
int jsonload_object(const json_t *object, const char *key, const json_t **out, struct error *error);

#endif
