/* gguf_build.c - a struct gguf put together from pieces: the parts of a split file, or a folder
 * that was translated. */
#include "load/gguf_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { OWN_MAX = GGUF_TENSORS_MAX + 1 };

/* Take over memory that is freed with the view; frees it when that fails. */
static bool keep(struct gguf *gguf, void *memory, size_t bytes)
{
    void *own = gguf->own;
    int status =
        memory_grow(&own, &gguf->own_capacity, gguf->own_count + 1, sizeof *gguf->own, OWN_MAX);
    gguf->own = own;
    if (status) {
        free(memory);
        return false;
    }
    gguf->own[gguf->own_count++] = memory;
    gguf->own_bytes += bytes;
    return true;
}

int gguf_build(void *header, size_t bytes, struct gguf **out, struct error *error)
{
    struct gguf *gguf = memory_try(1, sizeof *gguf);
    if (!gguf) {
        free(header);
        return error_set(error, ENOMEM, "no memory to open a model");
    }
    int status = keep(gguf, header, bytes) ? 0 : error_set(error, ENOMEM, "no memory for keys");
    if (!status)
        status = gguf_build_part(gguf, mapping_borrow(header, bytes), error);
    if (!status)
        status = gguf_parse(gguf, error);
    gguf->part_count = 0; /* the header is memory of the view, no file */
    if (status)
        gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

int gguf_build_part(struct gguf *gguf, struct mapping part, struct error *error)
{
    void *parts = gguf->parts;
    int status = memory_grow(&parts, &gguf->part_capacity, gguf->part_count + 1,
                             sizeof *gguf->parts, GGUF_SPLITS_MAX);
    gguf->parts = parts;
    if (status) {
        mapping_close(&part);
        return status == -EMSGSIZE
                   ? error_set(error, ENOEXEC, "more than %d files", GGUF_SPLITS_MAX)
                   : error_set(error, ENOMEM, "no memory for %zu files", gguf->part_count + 1);
    }
    gguf->parts[gguf->part_count++] = part;
    return 0;
}

int gguf_build_tensors(struct gguf *gguf, const struct tensor *tensors, size_t count,
                       struct error *error)
{
    void *all = gguf->tensors;
    int status = memory_grow(&all, &gguf->tensor_capacity, gguf->tensor_count + count,
                             sizeof *gguf->tensors, GGUF_TENSORS_MAX);
    gguf->tensors = all;
    if (status == -EMSGSIZE)
        return error_set(error, ENOEXEC, "more than %d tensors in all parts", GGUF_TENSORS_MAX);
    if (status)
        return error_set(error, ENOMEM, "no memory for %zu tensors", gguf->tensor_count + count);
    if (count)
        memcpy(gguf->tensors + gguf->tensor_count, tensors, count * sizeof *tensors);
    gguf->tensor_count += count;
    return 0;
}

float *gguf_build_vector(struct gguf *gguf, size_t count)
{
    float *vector = memory_try_aligned(count, sizeof *vector);
    return vector && keep(gguf, vector, count * sizeof *vector) ? vector : NULL;
}
