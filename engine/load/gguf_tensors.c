/* gguf_tensors.c - the table of tensors: names, shapes, and where the bytes lie.
 *
 *     header | keys | tensor table | padding | data section: tensor, padding, tensor, ...
 *
 * Offsets count from the start of the data section, which is only known after the table; so the
 * table is read first into extents, and these are then sorted, checked and turned into pointers.
 * Sizes are never summed up: each extent is compared with the file and with its neighbour.
 */
#include "load/gguf_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    ALIGNMENT_DEFAULT = 32,
    TENSOR_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8, /* name, dimensions, one of them, type, offset */
};

/* Where a tensor lies in the data section. */
struct extent {
    uint64_t offset;
    uint64_t bytes;
    size_t tensor;
};

/* A minimum of 8 keeps tensors of floats aligned for the processor: mappings start on a page. */
static int read_alignment(const struct gguf *gguf, uint32_t *out, struct error *error)
{
    *out = ALIGNMENT_DEFAULT;
    int status = gguf_get_u32(gguf, "general.alignment", out, error);
    if (status && status != -ENOENT)
        return status;
    if (*out < GGUF_ALIGNMENT_MIN || *out > GGUF_ALIGNMENT_MAX || (*out & (*out - 1)) != 0)
        return error_set(error, ENOEXEC,
                         "key general.alignment is %" PRIu32 ", not a power of two from %d to %d",
                         *out, GGUF_ALIGNMENT_MIN, GGUF_ALIGNMENT_MAX);
    return 0;
}

static int parse_shape(struct gguf_parser *parser, struct tensor *tensor)
{
    uint64_t offset = bytes_offset(&parser->cursor);
    int status = gguf_parse_u32(parser, &tensor->dimensions);
    if (status)
        return status;
    if (tensor->dimensions < 1 || tensor->dimensions > TENSOR_DIMENSIONS_MAX)
        return gguf_parse_refuse(parser, offset, "has %" PRIu32 " dimensions, not 1 to %d",
                                 tensor->dimensions, TENSOR_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < TENSOR_DIMENSIONS_MAX; i++)
        tensor->shape[i] = 1;
    for (uint32_t i = 0; i < tensor->dimensions; i++) {
        offset = bytes_offset(&parser->cursor);
        status = gguf_parse_u64(parser, &tensor->shape[i]);
        if (status)
            return status;
        if (tensor->shape[i] < 1 || tensor->shape[i] > GGUF_DIMENSION_MAX)
            return gguf_parse_refuse(parser, offset, "has a dimension of %" PRIu64 ", not 1 to %d",
                                     tensor->shape[i], GGUF_DIMENSION_MAX);
    }
    return 0;
}

/* Rows are whole blocks: bytes = shape[0] / block * block_bytes * shape[1] * shape[2] * shape[3].
 */
static int measure(const struct gguf_parser *parser, struct tensor *tensor,
                   const struct tensor_format *format)
{
    uint64_t offset = bytes_offset(&parser->cursor);
    if (tensor->shape[0] % format->block != 0)
        return gguf_parse_refuse(parser, offset,
                                 "has rows of %" PRIu64 " weights, not a multiple of the %" PRIu32
                                 " in a block of %s",
                                 tensor->shape[0], format->block, format->name);
    tensor->bytes = tensor->shape[0] / format->block * format->block_bytes; /* < 2^31 * 4 */
    for (uint32_t i = 1; i < TENSOR_DIMENSIONS_MAX; i++)
        if (__builtin_mul_overflow(tensor->bytes, tensor->shape[i], &tensor->bytes))
            return gguf_parse_refuse(parser, offset, "has 2^64 bytes or more");
    return 0;
}

static int parse_format(struct gguf_parser *parser, struct tensor *tensor)
{
    uint32_t type;
    uint64_t offset = bytes_offset(&parser->cursor);
    int status = gguf_parse_u32(parser, &type);
    if (status)
        return status;
    const struct tensor_format *format = tensor_format(type);
    if (!format)
        return gguf_parse_refuse(parser, offset,
                                 "has type %" PRIu32 " (%s), which is not supported", type,
                                 tensor_type_name(type));
    tensor->type = format->type;
    return measure(parser, tensor, format);
}

static int parse_tensor(struct gguf_parser *parser, uint32_t alignment, struct tensor *tensor,
                        struct extent *extent)
{
    int status = gguf_parse_name(parser, TENSOR_NAME_BYTES - 1);
    if (!status)
        status = parse_shape(parser, tensor);
    if (!status)
        status = parse_format(parser, tensor);
    uint64_t offset = bytes_offset(&parser->cursor);
    if (!status)
        status = gguf_parse_u64(parser, &extent->offset);
    if (status)
        return status;
    if (extent->offset % alignment != 0)
        return gguf_parse_refuse(
            parser, offset, "starts at %" PRIu64 " of the data section, not a multiple of %" PRIu32,
            extent->offset, alignment);
    extent->bytes = tensor->bytes;
    memcpy(tensor->name, parser->name.bytes, parser->name.length); /* the rest is zero */
    return 0;
}

static int compare_extents(const void *first, const void *second)
{
    const struct extent *a = first, *b = second;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int refuse_end(const struct gguf_parser *parser, const struct tensor *tensor,
                      uint64_t data_start, const struct extent *extent)
{
    uint64_t end; /* for the reader of the message: all bits set stands for "even more" */
    if (__builtin_add_overflow(data_start, extent->offset, &end) ||
        __builtin_add_overflow(end, extent->bytes, &end))
        end = UINT64_MAX;
    return error_set(parser->error, ENOEXEC,
                     "tensor %s ends at byte %" PRIu64 " but the file has %" PRIu64, tensor->name,
                     end, parser->file_bytes);
}

/* Point each tensor at its bytes. */
static int place(const struct gguf_parser *parser, const struct gguf *gguf, uint32_t alignment,
                 struct extent *extents)
{
    struct bytes_cursor data = bytes_cursor_of(gguf->parts[0].bytes, gguf->parts[0].length);
    uint64_t header_bytes = bytes_offset(&parser->cursor);
    uint64_t data_start = (header_bytes + alignment - 1) / alignment * alignment;
    qsort(extents, gguf->tensor_count, sizeof *extents, compare_extents);
    if (!bytes_take(&data, data_start))
        return gguf->tensor_count
                   ? refuse_end(parser, &gguf->tensors[extents[0].tensor], data_start, &extents[0])
                   : 0;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct tensor *tensor = &gguf->tensors[extents[i].tensor];
        tensor->data = bytes_ahead(&data, extents[i].offset, extents[i].bytes);
        if (!tensor->data)
            return refuse_end(parser, tensor, data_start, &extents[i]);
        if (i && extents[i].offset - extents[i - 1].offset < extents[i - 1].bytes)
            return error_set(parser->error, ENOEXEC,
                             "tensor %s overlaps tensor %s (at byte %" PRIu64 ")", tensor->name,
                             gguf->tensors[extents[i - 1].tensor].name,
                             data_start + extents[i].offset);
    }
    return 0;
}

static int parse_table(struct gguf_parser *parser, struct gguf *gguf, size_t count,
                       uint32_t alignment, struct extent *extents)
{
    parser->kind = "tensor";
    for (gguf->tensor_count = 0; gguf->tensor_count < count; gguf->tensor_count++) {
        size_t i = gguf->tensor_count;
        parser->number = i + 1;
        extents[i].tensor = i;
        int status = parse_tensor(parser, alignment, &gguf->tensors[i], &extents[i]);
        if (status)
            return status;
    }
    return place(parser, gguf, alignment, extents);
}

int gguf_tensors_parse(struct gguf_parser *parser, struct gguf *gguf, uint64_t count)
{
    parser->kind = "the header";
    parser->number = 0;
    parser->name = (struct text){0};
    uint32_t alignment;
    int status = read_alignment(gguf, &alignment, parser->error);
    if (!status)
        status = gguf_parse_check_count(parser, "tensors", GGUF_TENSORS_OFFSET, count,
                                        TENSOR_BYTES_MIN, GGUF_TENSORS_MAX);
    if (status)
        return status;
    gguf->tensors = memory_try(count, sizeof *gguf->tensors);
    gguf->tensor_capacity = count;
    struct extent *extents = memory_try(count, sizeof *extents);
    if (gguf->tensors && extents)
        status = parse_table(parser, gguf, count, alignment, extents);
    else
        status = error_set(parser->error, ENOMEM, "no memory for %" PRIu64 " tensors", count);
    free(extents);
    return status;
}

int gguf_tensors_index(struct gguf *gguf, struct error *error)
{
    int status = gguf_index_new(&gguf->tensor_index, gguf->tensor_count, error);
    if (status)
        return status;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        gguf->tensor_index.names[i] = (struct gguf_name){text_of(gguf->tensors[i].name), i};
    const struct gguf_name *twice = gguf_index_sort(&gguf->tensor_index);
    if (twice)
        return error_set(error, ENOEXEC, "tensor %s appears twice",
                         gguf->tensors[twice->position].name);
    return 0;
}
