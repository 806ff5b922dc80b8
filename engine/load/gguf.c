/* gguf.c - opening and closing, joining the parts of a split file, and the plain accessors. */
#include "load/gguf.h"

#include "base/memory.h"
#include "load/folder.h"
#include "load/gguf_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A model of one mapping, checked; takes over the mapping even when it fails. */
static int open_mapping(struct mapping mapping, struct gguf **out, struct error *error)
{
    struct gguf *gguf = memory_try(1, sizeof *gguf);
    struct mapping *parts = memory_try(1, sizeof *parts);
    if (!gguf || !parts) {
        free(gguf);
        free(parts);
        mapping_close(&mapping);
        return error_set(error, ENOMEM, "no memory to open a model");
    }
    *parts = mapping;
    gguf->parts = parts;
    gguf->part_count = 1;
    gguf->part_capacity = 1;
    int status = gguf_parse(gguf, error);
    if (status)
        gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

static int open_file(const char *path, struct gguf **out, struct error *error)
{
    struct mapping mapping;
    int status = mapping_open(path, &mapping, error);
    return status ? status : open_mapping(mapping, out, error);
}

/* Move the mapping and the tensors of `part` behind those of `first`; the keys stay behind. */
static int adopt(struct gguf *first, struct gguf *part, struct error *error)
{
    int status = gguf_build_tensors(first, part->tensors, part->tensor_count, error);
    if (status)
        return status;
    part->part_count = 0;
    return gguf_build_part(first, part->parts[0], error);
}

/* Open the part of that number and join it to *first, or become it. */
static int open_part(char *path, struct gguf_split split, struct gguf **first, struct error *error)
{
    struct gguf *part = NULL;
    if (split.count > 1)
        gguf_split_rename(path, split);
    int status = open_file(path, &part, error);
    if (status)
        return status;
    if (!*first) {
        *first = part;
        return gguf_split_check(part, part, split, error);
    }
    status = gguf_split_check(*first, part, split, error);
    if (!status)
        status = adopt(*first, part, error);
    gguf_close(part);
    return status;
}

static int open_parts(char *path, uint32_t count, struct gguf **first, struct error *error)
{
    for (uint32_t number = 1; number <= count; number++) {
        struct error reason = {0};
        int status = open_part(path, (struct gguf_split){number, count}, first, &reason);
        if (!status)
            continue;
        if (count == 1)
            return error_set(error, -status, "%s", reason.text);
        return error_set(error, -status, "part %" PRIu32 " of %" PRIu32 ": %s", number, count,
                         reason.text);
    }
    int status = count > 1 ? gguf_split_check_total(*first, error) : 0;
    return status ? status : gguf_tensors_index(*first, error);
}

int gguf_open(const char *path, struct gguf **out, struct error *error)
{
    if (folder_is(path))
        return folder_translate(path, out, error);
    uint32_t count = gguf_split_of(path).count;
    if (count > GGUF_SPLITS_MAX)
        return error_set(error, ENOEXEC, "named as one of %" PRIu32 " parts, at most %d are read",
                         count, GGUF_SPLITS_MAX);
    char *part_path = strdup(path);
    if (!part_path)
        return error_set(error, ENOMEM, "no memory to open a model");
    struct gguf *gguf = NULL;
    int status = open_parts(part_path, count, &gguf, error);
    free(part_path);
    if (status)
        gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

int gguf_open_memory(const void *data, size_t bytes, struct gguf **out, struct error *error)
{
    struct gguf *gguf = NULL;
    int status = open_mapping(mapping_borrow(data, bytes), &gguf, error);
    if (status)
        return status;
    status = gguf_tensors_index(gguf, error);
    if (status)
        gguf_close(gguf);
    else
        *out = gguf;
    return status;
}

void gguf_close(struct gguf *gguf)
{
    if (!gguf)
        return;
    gguf_index_free(&gguf->key_index);
    gguf_index_free(&gguf->tensor_index);
    free(gguf->keys);
    free(gguf->tensors);
    for (size_t i = 0; i < gguf->part_count; i++)
        mapping_close(&gguf->parts[i]);
    for (size_t i = 0; i < gguf->own_count; i++)
        free(gguf->own[i]);
    free(gguf->own);
    free(gguf->parts);
    free(gguf);
}

uint32_t gguf_version(const struct gguf *gguf)
{
    return gguf->version;
}

uint64_t gguf_file_bytes(const struct gguf *gguf)
{
    uint64_t total = 0;
    for (size_t i = 0; i < gguf->part_count; i++)
        total += gguf->parts[i].length;
    return total;
}

bool gguf_identity(const struct gguf *gguf, const struct gguf_value *value, struct identity *out,
                   uint64_t *offset)
{
    const struct mapping *file = gguf->parts;
    uintptr_t start = gguf->part_count ? (uintptr_t)file->bytes : 0, at = (uintptr_t)value->data;
    if (!start || file->borrowed || at < start || at - start >= file->length)
        return false;
    *out = file->identity;
    *offset = at - start;
    return true;
}

uint64_t gguf_own_bytes(const struct gguf *gguf)
{
    return gguf->own_bytes;
}

/* Cannot wrap: tensors do not overlap, and all files together fit the address space. */
uint64_t gguf_tensor_bytes(const struct gguf *gguf)
{
    uint64_t total = 0;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        total += gguf->tensors[i].bytes;
    return total;
}

size_t gguf_key_count(const struct gguf *gguf)
{
    return gguf->key_count;
}

const struct gguf_value *gguf_key(const struct gguf *gguf, size_t index)
{
    return &gguf->keys[index];
}

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key)
{
    size_t position;
    return gguf_index_find(&gguf->key_index, text_of(key), &position) ? &gguf->keys[position]
                                                                      : NULL;
}

size_t gguf_tensor_count(const struct gguf *gguf)
{
    return gguf->tensor_count;
}

const struct tensor *gguf_tensor_at(const struct gguf *gguf, size_t index)
{
    return &gguf->tensors[index];
}

const struct tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
    size_t position;
    return gguf_index_find(&gguf->tensor_index, text_of(name), &position) ? &gguf->tensors[position]
                                                                          : NULL;
}
