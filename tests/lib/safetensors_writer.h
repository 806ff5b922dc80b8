/* safetensors_writer.h - makes safetensors files for tests: good ones tensor by tensor, and ones
 * with any lie in the header.
 *
 * Owns:     its buffers; safetensors_writer_free().
 * Promise:  out of memory aborts the test program: there is nothing to test then.
 * Threads:  one thread a writer.
 */
#ifndef TESTS_LIB_SAFETENSORS_WRITER_H
#define TESTS_LIB_SAFETENSORS_WRITER_H

#include "base/memory.h"

#include <stdint.h>

struct safetensors_writer {
    struct buffer header; /* without the closing brace */
    struct buffer data;
};

struct safetensors_writer safetensors_writer_new(void);
void safetensors_writer_free(struct safetensors_writer *writer);

/* A tensor of `rows` x `columns` items (rows 0: a vector) in "F32", "F16" or "BF16"; item i is
 * (i % 64) / 64, which is exact in all of them. */
void safetensors_writer_tensor(struct safetensors_writer *writer, const char *name,
                               const char *dtype, uint64_t rows, uint64_t columns);

/* The whole file; free() it. */
uint8_t *safetensors_writer_finish(const struct safetensors_writer *writer, size_t *bytes);

/* A file of this header and so many zero bytes of data; free() it. */
uint8_t *safetensors_writer_raw(const char *header, size_t data_bytes, size_t *bytes);

#endif
