/* safetensors.h - the header of a safetensors file as checked, read-only views.
 *
 *     0  8   length of the header, little endian
 *     8      the header: a JSON object, {"NAME": {"dtype": "F16", "shape": [rows, columns],
 *            "data_offsets": [begin, end]}, ..., "__metadata__": {...}}; offsets count from its end
 *            the tensors' bytes, without gap or overlap, up to the end of the file
 *
 * Owns:     the header's tree and the list of views; the file's bytes must outlive them.
 * Promise:  after safetensors_parse() returned 0 every tensor lies inside the bytes, names appear
 *           once, and of a known dtype the size is the shape's product.  Nothing was allocated in
 *           proportion to a number that the header merely claims.
 * Threads:  read-only after parsing, any thread.
 * Limits:   SAFETENSORS_* below, GGUF_TENSORS_MAX, JSONLOAD_*.
 * Source:   the safetensors format description.
 */
#ifndef LOAD_SAFETENSORS_H
#define LOAD_SAFETENSORS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SAFETENSORS_HEADER_BYTES_MAX = 100000000, /* the format's own limit */
    SAFETENSORS_DIMENSIONS_MAX = 8,
    SAFETENSORS_NAME_BYTES_MAX = 255,
};

struct safetensors_tensor {
    const char *name;
    const char *dtype;                          /* "F32"; may be one that nobody knows */
    uint32_t dimensions;                        /* 0: a single number */
    uint64_t shape[SAFETENSORS_DIMENSIONS_MAX]; /* the last one is contiguous */
    const uint8_t *data;
    uint64_t bytes;
};

struct safetensors;

/* Check the file whose `length` bytes are given.  Returns 0, -ENOMEM, or -ENOEXEC with the tensor
 * or the byte in the text. */
int safetensors_parse(const void *bytes, size_t length, struct safetensors **out,
                      struct error *error);
void safetensors_close(struct safetensors *file);

/* In the header's order. */
size_t safetensors_count(const struct safetensors *file);
const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index);

#endif
