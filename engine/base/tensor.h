/* tensor.h - the tensor types of GGUF and a view of one tensor.
 *
 * Owns:     nothing; a view points into the mapping of its file.
 * Source:   the GGUF format specification (type ids, dimension order) and the block layouts listed
 *           in docs/FORMATS.md.
 * Threads:  plain values and a constant table.
 */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_DIMENSIONS_MAX = 4, TENSOR_NAME_BYTES = 64 };

/* The numbers are the file's. */
enum tensor_type {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q5_0 = 6,
    TENSOR_Q5_1 = 7,
    TENSOR_Q8_0 = 8,
    TENSOR_Q2_K = 10,
    TENSOR_Q3_K = 11,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_Q8_K = 15,
    TENSOR_IQ4_NL = 20,
    TENSOR_IQ4_XS = 23,
    TENSOR_BF16 = 30,
    TENSOR_TQ1_0 = 34,
    TENSOR_TQ2_0 = 35,
    TENSOR_MXFP4 = 39,
};

enum { TENSOR_TYPES = 40 }; /* every id is below */

struct tensor_format {
    enum tensor_type type;
    const char *name;     /* "Q4_1" */
    uint32_t block;       /* weights in a block */
    uint32_t block_bytes; /* bytes of a block */
};

/* The format of a type id from a file, or NULL for one that this engine does not read. */
const struct tensor_format *tensor_format(uint32_t type);

/* What people call a type id, also of those that are not read; "unknown" for the rest. */
const char *tensor_type_name(uint32_t type);

struct tensor {
    char name[TENSOR_NAME_BYTES];
    enum tensor_type type;
    uint32_t dimensions;                   /* 1..TENSOR_DIMENSIONS_MAX */
    uint64_t shape[TENSOR_DIMENSIONS_MAX]; /* shape[0] is the input dimension, contiguous; rest 1 */
    const uint8_t *data;
    uint64_t bytes;
    bool transposed; /* float matrices of some folders: the data is [shape[0]][shape[1]], so that
                      * weight (row r, column k) is item k * shape[1] + r */
};

#endif
