/* gguf_writer.h - makes GGUF files for tests: good ones, and ones with any single lie.
 *
 * A file is three parts (keys, tensor table, data) that grow independently; gguf_writer_finish()
 * puts the header in front.  To lie: change the public fields before finishing (counts, version,
 * magic), append raw bytes where a key or a tensor belongs, write a table row without data, or poke
 * the finished bytes.
 *
 * Owns:     its buffers; gguf_writer_free().
 * Promise:  out of memory aborts the test program: there is nothing to test then.
 * Threads:  one thread a writer.
 */
#ifndef TESTS_LIB_GGUF_WRITER_H
#define TESTS_LIB_GGUF_WRITER_H

#include "base/memory.h"
#include "load/gguf.h"

struct gguf_writer {
    char magic[4];
    uint32_t version;
    uint64_t key_count;
    uint64_t tensor_count;
    uint64_t alignment; /* of tensors and of the data section */
    struct buffer keys;
    struct buffer table;
    struct buffer data;
};

/* Version 3, alignment 32, nothing in it. */
struct gguf_writer gguf_writer_new(void);
void gguf_writer_free(struct gguf_writer *writer);

/* Align tensors to `alignment` bytes and say so in general.alignment.  Before the first tensor. */
void gguf_writer_align(struct gguf_writer *writer, uint32_t alignment);

/* Keys.  An integer is cut to the width of its type, a number is written as FLOAT32 or FLOAT64. */
void gguf_writer_integer(struct gguf_writer *writer, const char *key, enum gguf_type type,
                         int64_t value);
void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_writer_number(struct gguf_writer *writer, const char *key, enum gguf_type type,
                        double value);
void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_string(struct gguf_writer *writer, const char *key, struct text value);

/* Arrays: `items` are the `bytes` bytes as they stand in the file; of strings, `count` texts. */
void gguf_writer_array(struct gguf_writer *writer, const char *key, enum gguf_type item_type,
                       uint64_t count, const void *items, size_t bytes);
void gguf_writer_strings(struct gguf_writer *writer, const char *key, size_t count,
                         const struct text *strings);

/* A tensor with its bytes at the next aligned place.  `shape` has `dimensions` items. */
void gguf_writer_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                        uint32_t dimensions, const uint64_t *shape, const void *bytes,
                        size_t length);

/* A row of the tensor table alone, with whatever it claims. */
void gguf_writer_row(struct gguf_writer *writer, struct text name, uint32_t dimensions,
                     const uint64_t *shape, uint32_t type, uint64_t offset);

/* A key whose value is the raw bytes after its type; counted as one key. */
void gguf_writer_raw_key(struct gguf_writer *writer, struct text key, uint32_t type,
                         const void *value, size_t bytes);

/* Little-endian numbers and strings, for raw values and pokes. */
void gguf_writer_put_u32(struct buffer *buffer, uint32_t value);
void gguf_writer_put_u64(struct buffer *buffer, uint64_t value);
void gguf_writer_put_string(struct buffer *buffer, struct text value);

/* The whole file; free() it. */
uint8_t *gguf_writer_finish(const struct gguf_writer *writer, size_t *bytes);

/* The same into a file.  Returns 0 or -errno. */
int gguf_writer_save(const struct gguf_writer *writer, const char *path);

#endif
