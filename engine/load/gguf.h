/* gguf.h - a model as checked, read-only views: a GGUF file, or a folder in the same words.
 *
 * Owns:     the mappings of the file (all parts of a split one) and the index over them.
 * Promise:  after gguf_open() returned 0 every string, array and tensor that can be reached lies
 *           inside a mapping, every count and product has been checked, and nothing was allocated
 *           in proportion to a number that the file merely claims.  Weights stay where they are:
 *           no copy, no repacking.  A file that is changed in place afterwards voids all of this:
 *           models are replaced by renaming, and read in a process that may die.
 * Threads:  read-only after opening, any thread.
 * Limits:   GGUF_* below.
 * Source:   the GGUF specification (versions 2 and 3, little endian).
 */
#ifndef LOAD_GGUF_H
#define LOAD_GGUF_H

#include "base/error.h"
#include "base/tensor.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GGUF_KEYS_MAX = 65536,
    GGUF_TENSORS_MAX = 65536,
    GGUF_KEY_BYTES_MAX = 65535,
    GGUF_STRING_BYTES_MAX = 16 << 20,
    GGUF_ARRAY_ITEMS_MAX = 64 << 20,
    GGUF_SPLITS_MAX = 1024,
    GGUF_HEADER_BYTES_MAX = 128 << 20, /* before the tensor data, of one part */
    GGUF_DIMENSION_MAX = INT32_MAX,
    GGUF_ALIGNMENT_MIN = 8,
    GGUF_ALIGNMENT_MAX = 65536,
};

enum gguf_type {
    GGUF_UINT8,
    GGUF_INT8,
    GGUF_UINT16,
    GGUF_INT16,
    GGUF_UINT32,
    GGUF_INT32,
    GGUF_FLOAT32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_UINT64,
    GGUF_INT64,
    GGUF_FLOAT64,
};

/* One checked key.  `data` is the first of `count` items of `item_type`; what is not an array is
 * one item of its own type.  A string is its 8-byte length, then its bytes. */
struct gguf_value {
    struct text key;
    enum gguf_type type;
    enum gguf_type item_type;
    uint64_t count;
    const uint8_t *data;
    uint64_t bytes; /* of the value or of all items */
};

struct gguf;
struct identity;
struct threads;

/* Map and check the model at `path`; for a directory what folder.h says, for a split file
 * ("...-00001-of-0000N.gguf", any part may be named) all parts, which must be there, agree in count
 * and have distinct tensors.  Returns 0, or -ENOEXEC  not a GGUF, or one that breaks the
 * specification or a limit; error->text says what and where (byte offset, key or tensor name)
 *   -ENOENT, -EACCES, -EIO ...  as open(2), fstat(2), mmap(2) said
 *   -ENOMEM   no memory for the index */
int gguf_open(const char *path, struct gguf **out, struct error *error);
void gguf_close(struct gguf *gguf);

uint32_t gguf_version(const struct gguf *gguf);

/* Bytes of all files, and of all tensors. */
uint64_t gguf_file_bytes(const struct gguf *gguf);
uint64_t gguf_tensor_bytes(const struct gguf *gguf);

/* Which file a value lies in, and where.  False: in none. */
bool gguf_identity(const struct gguf *gguf, const struct gguf_value *value, struct identity *out,
                   uint64_t *offset);

/* Bytes of memory that the view holds beside the files: of a folder's keys, and of its vectors that
 * are not float32 there. */
uint64_t gguf_own_bytes(const struct gguf *gguf);

/* Bytes of the file pages that are in the page cache now, asked of the kernel by all `threads`.
 * Returns the count; pages of files whose residency the kernel hides from this user count as
 * resident.  *cached: it has vouched for every page.  An estimate for files of 128 MiB and more: if
 * it vouches for the first MiB of every 16, and for the end of each file, the rest is taken to be
 * there too; so pages may be missing in up to 15 of 16 MiB.  Whoever needs one then waits for the
 * disk. */
uint64_t gguf_resident_bytes(const struct gguf *gguf, struct threads *threads, bool *cached);

/* Bring every page of the files into the page tables, in file order, in windows of 16 MiB.  Falls
 * back to reading a byte of each page where the kernel has no MADV_POPULATE_READ.  Returns 0 or
 *   -EIO  the file could not be read, or has been truncated meanwhile. */
int gguf_populate(const struct gguf *gguf, struct error *error);

/* Keys in file order (of the first part of a split file). */
size_t gguf_key_count(const struct gguf *gguf);
const struct gguf_value *gguf_key(const struct gguf *gguf, size_t index);

/* The value of a key, or NULL. */
const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key);

/* Typed getters.  Each returns 0; -ENOENT when the key is absent (*out untouched, no error text);
 * -ENOEXEC with a text naming the key when its type is another or its value does not fit.
 * Integers accept every integer type whose value fits, floats both widths; one that is not finite
 * never fits. */
int gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *out, struct error *error);
int gguf_get_f32(const struct gguf *gguf, const char *key, float *out, struct error *error);
int gguf_get_bool(const struct gguf *gguf, const char *key, bool *out, struct error *error);
int gguf_get_string(const struct gguf *gguf, const char *key, struct text *out,
                    struct error *error);

/* The array of `key` whose items must be of `item_type`; same returns. */
int gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type item_type,
                   const struct gguf_value **out, struct error *error);

/* Walk an array of strings: start with *at = value->data, call value->count times.  The length and
 * the bytes were checked at opening. */
struct text gguf_next_string(const uint8_t **at);

/* Items of arrays of 4-byte numbers; index < value->count.  The file does not align them. */
int32_t gguf_item_i32(const struct gguf_value *value, uint64_t index);
float gguf_item_f32(const struct gguf_value *value, uint64_t index);

/* Tensors, in file order over all parts. */
size_t gguf_tensor_count(const struct gguf *gguf);
const struct tensor *gguf_tensor_at(const struct gguf *gguf, size_t index);
const struct tensor *gguf_tensor(const struct gguf *gguf, const char *name); /* or NULL */

/* The same checks on bytes in memory, for the fuzzer and the tests; `data` must outlive *out.  A
 * part of a split file is taken for itself here. */
int gguf_open_memory(const void *data, size_t bytes, struct gguf **out, struct error *error);

#endif
