/* safetensors.c - see safetensors.h.
 *
 * The format demands that tensors follow each other without a gap.  Sorted by their beginning, each
 * must begin where the one before ended, and the last must end with the file: one rule that finds
 * overlaps, holes, truncated files and offsets outside of the file.
 */
#include "load/safetensors.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "load/gguf.h"
#include "load/jsonload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { LENGTH_BYTES = 8, NAME_SHOWN_MAX = 100 };

struct safetensors {
    json_t *header; /* names and dtypes point into it */
    struct safetensors_tensor *tensors;
    size_t count;
};

struct extent {
    uint64_t begin, end;
    size_t tensor;
};

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[] = {
    {"F32", 4},  {"F16", 2}, {"BF16", 2},    {"F64", 8},     {"I64", 8},     {"I32", 4},
    {"I16", 2},  {"I8", 1},  {"U64", 8},     {"U32", 4},     {"U16", 2},     {"U8", 1},
    {"BOOL", 1}, {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1},
};

/* Bytes of an item, or 0 for a dtype that is not in the table. */
static uint32_t item_bytes(const char *dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, dtype) == 0)
            return dtypes[i].bytes;
    return 0;
}

static int refuse(const char *name, const char *sentence, struct error *error)
{
    return error_set(error, ENOEXEC, "tensor %.*s %s", NAME_SHOWN_MAX, name, sentence);
}

/* Item `index` of an array of whole numbers from 0. */
static bool take_count(const json_t *array, size_t index, uint64_t *out)
{
    const json_t *item = json_array_get(array, index);
    if (!json_is_integer(item) || json_integer_value(item) < 0)
        return false;
    *out = (uint64_t)json_integer_value(item);
    return true;
}

static int take_shape(const json_t *object, struct safetensors_tensor *tensor, struct error *error)
{
    const json_t *shape = json_object_get(object, "shape");
    if (!json_is_array(shape))
        return refuse(tensor->name, "has no shape", error);
    if (json_array_size(shape) > SAFETENSORS_DIMENSIONS_MAX)
        return error_set(error, ENOEXEC, "tensor %.*s has %zu dimensions, more than %d",
                         NAME_SHOWN_MAX, tensor->name, json_array_size(shape),
                         SAFETENSORS_DIMENSIONS_MAX);
    tensor->dimensions = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        if (!take_count(shape, i, &tensor->shape[i]))
            return refuse(tensor->name, "has a dimension that is not a whole number from 0", error);
    return 0;
}

static int check_size(const struct safetensors_tensor *tensor, struct error *error)
{
    uint64_t bytes = item_bytes(tensor->dtype);
    if (!bytes)
        return 0;
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        if (__builtin_mul_overflow(bytes, tensor->shape[i], &bytes))
            return refuse(tensor->name, "has 2^64 bytes or more", error);
    if (bytes != tensor->bytes)
        return error_set(error, ENOEXEC,
                         "tensor %.*s has %" PRIu64 " bytes, but its shape and dtype %.16s take "
                         "%" PRIu64,
                         NAME_SHOWN_MAX, tensor->name, tensor->bytes, tensor->dtype, bytes);
    return 0;
}

static int take_tensor(const char *name, const json_t *object, struct safetensors_tensor *tensor,
                       struct extent *extent, struct error *error)
{
    tensor->name = name;
    if (name[0] == 0 || strlen(name) > SAFETENSORS_NAME_BYTES_MAX)
        return error_set(error, ENOEXEC, "a tensor's name has %zu bytes, not 1 to %d", strlen(name),
                         SAFETENSORS_NAME_BYTES_MAX);
    if (!json_is_object(object))
        return refuse(name, "is not an object", error);
    tensor->dtype = json_string_value(json_object_get(object, "dtype"));
    if (!tensor->dtype)
        return refuse(name, "has no dtype", error);
    int status = take_shape(object, tensor, error);
    if (status)
        return status;
    const json_t *offsets = json_object_get(object, "data_offsets");
    if (json_array_size(offsets) != 2 || !take_count(offsets, 0, &extent->begin) ||
        !take_count(offsets, 1, &extent->end) || extent->end < extent->begin)
        return refuse(name, "has no data_offsets [begin, end] with begin <= end", error);
    tensor->bytes = extent->end - extent->begin;
    return check_size(tensor, error);
}

static int compare_extents(const void *first, const void *second)
{
    const struct extent *a = first, *b = second;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* Point each tensor at its bytes. */
static int place(struct safetensors *file, struct extent *extents, struct bytes_cursor *data,
                 struct error *error)
{
    uint64_t data_bytes = bytes_left(data);
    qsort(extents, file->count, sizeof *extents, compare_extents);
    for (size_t i = 0; i < file->count; i++) {
        struct safetensors_tensor *tensor = &file->tensors[extents[i].tensor];
        uint64_t expected = i ? extents[i - 1].end : 0;
        if (extents[i].begin != expected)
            return error_set(error, ENOEXEC,
                             "tensor %.*s begins at %" PRIu64 " of the data, not where the one "
                             "before ends, at %" PRIu64,
                             NAME_SHOWN_MAX, tensor->name, extents[i].begin, expected);
        tensor->data = bytes_take(data, tensor->bytes);
        if (!tensor->data)
            return error_set(error, ENOEXEC,
                             "tensor %.*s ends at %" PRIu64 " of the data, but there are %" PRIu64
                             " bytes",
                             NAME_SHOWN_MAX, tensor->name, extents[i].end, data_bytes);
    }
    if (bytes_left(data))
        return error_set(error, ENOEXEC, "%zu bytes after the last tensor", bytes_left(data));
    return 0;
}

static int take_tensors(struct safetensors *file, struct extent *extents, struct error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach(file->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        extents[file->count].tensor = file->count;
        int status =
            take_tensor(name, value, &file->tensors[file->count], &extents[file->count], error);
        if (status)
            return status;
        file->count++;
    }
    return 0;
}

static int parse_header(struct bytes_cursor *cursor, json_t **out, struct error *error)
{
    uint64_t length;
    if (!bytes_take_u64(cursor, &length))
        return error_set(error, ENOEXEC, "not a safetensors file: it has fewer than %d bytes",
                         LENGTH_BYTES);
    if (length > SAFETENSORS_HEADER_BYTES_MAX || length > bytes_left(cursor))
        return error_set(error, ENOEXEC,
                         "not a safetensors file: it claims a header of %" PRIu64
                         " bytes, where %zu are left and at most %d are read",
                         length, bytes_left(cursor), SAFETENSORS_HEADER_BYTES_MAX);
    const uint8_t *header = bytes_take(cursor, length);
    if (length == 0 || header[0] != '{')
        return error_set(error, ENOEXEC, "not a safetensors file: its header is no JSON object");
    return jsonload_parse((struct text){(const char *)header, length}, "the header", out, error);
}

static int parse_all(struct safetensors *file, struct bytes_cursor *cursor, struct error *error)
{
    int status = parse_header(cursor, &file->header, error);
    if (status)
        return status;
    size_t count = json_object_size(file->header);
    if (count > GGUF_TENSORS_MAX)
        return error_set(error, ENOEXEC, "the header names %zu tensors, more than %d", count,
                         GGUF_TENSORS_MAX);
    file->tensors = memory_try(count, sizeof *file->tensors);
    struct extent *extents = memory_try(count, sizeof *extents);
    if (!file->tensors || !extents)
        status = error_set(error, ENOMEM, "no memory for %zu tensors", count);
    if (!status)
        status = take_tensors(file, extents, error);
    if (!status)
        status = place(file, extents, cursor, error);
    free(extents);
    return status;
}

int safetensors_parse(const void *bytes, size_t length, struct safetensors **out,
                      struct error *error)
{
    if (length == 0) /* nothing is mapped then */
        return error_set(error, ENOEXEC, "not a safetensors file: it is empty");
    struct safetensors *file = memory_try(1, sizeof *file);
    if (!file)
        return error_set(error, ENOMEM, "no memory to open a safetensors file");
    struct bytes_cursor cursor = bytes_cursor_of(bytes, length);
    int status = parse_all(file, &cursor, error);
    if (status)
        safetensors_close(file);
    else
        *out = file;
    return status;
}

void safetensors_close(struct safetensors *file)
{
    if (!file)
        return;
    json_decref(file->header);
    free(file->tensors);
    free(file);
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->count;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *file, size_t index)
{
    return &file->tensors[index];
}
