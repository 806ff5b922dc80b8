/* folder_tensors.c - the tensors of a safetensors file under their GGUF names.
 *
 * Matrices stay where they are mapped.  Vectors (norms, biases) must be float32 for the engine:
 * those that are not, or are not aligned, or need 1 added, become small copies.
 */
#include "load/folder_internal.h"

#include "base/bytes.h"
#include "base/half.h"

#include <errno.h>
#include <stdio.h>

enum { LAYER_DIGITS_MAX = 5, NAME_SHOWN_MAX = 100, STEM_BYTES = 256 };

/* What different classes put in front of the same names; the longer ones first. */
static const char *const prefixes[] = {
    "model.language_model.",
    "language_model.model.",
    "language_model.",
    "transformer.",
    "model.",
    "bert.",
};

/* "weight" or "bias", and what very old files call them. */
static const struct {
    const char *suffix, *gguf;
} suffixes[] = {
    {".weight", ".weight"},
    {".bias", ".bias"},
    {".gamma", ".weight"},
    {".beta", ".bias"},
};

/* A tensor's name without its prefix, taken apart. */
struct name {
    char stem[STEM_BYTES];
    const char *suffix; /* GGUF's */
};

static bool take_apart(const char *name, struct name *out)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], length) == 0) {
            name += length;
            break;
        }
    }
    const char *dot = strrchr(name, '.');
    if (!dot || (size_t)(dot - name) >= sizeof out->stem)
        return false;
    memcpy(out->stem, name, (size_t)(dot - name));
    out->stem[dot - name] = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(dot, suffixes[i].suffix) == 0) {
            out->suffix = suffixes[i].gguf;
            return true;
        }
    return false;
}

/* Does the stem fit the pattern?  The layer's digits, which '#' stands for, go to *layer: no zero
 * in front, so that each layer has one name. */
static bool matches(const char *stem, const char *pattern, struct text *layer)
{
    const char *mark = strchr(pattern, '#');
    if (!mark)
        return strcmp(stem, pattern) == 0;
    size_t before = (size_t)(mark - pattern);
    if (strncmp(stem, pattern, before) != 0)
        return false;
    size_t digits = strspn(stem + before, "0123456789");
    *layer = (struct text){stem + before, digits};
    return digits >= 1 && digits <= LAYER_DIGITS_MAX && (digits == 1 || stem[before] != '0') &&
           strcmp(stem + before + digits, mark + 1) == 0;
}

static const struct folder_name *find(const struct folder_family *family, const struct name *name,
                                      struct text *layer)
{
    for (const struct folder_name *row = family->tensors; row->name; row++)
        if (matches(name->stem, row->name, layer))
            return row;
    return NULL;
}

static void write_name(const struct folder_name *row, const struct name *name, struct text layer,
                       char *out)
{
    const char *mark = strchr(row->gguf, '#');
    size_t before = mark ? (size_t)(mark - row->gguf) : strlen(row->gguf);
    snprintf(out, TENSOR_NAME_BYTES, "%.*s%.*s%s%s", (int)before, row->gguf, (int)layer.length,
             mark ? layer.bytes : "", mark ? mark + 1 : "", name->suffix);
}

static int read_type(const struct safetensors_tensor *from, enum tensor_type *out,
                     struct error *error)
{
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(from->dtype, tensor_format(types[i])->name) == 0) {
            *out = types[i];
            return 0;
        }
    return error_set(error, ENOEXEC, "tensor %.*s has dtype %.16s, which is not supported",
                     NAME_SHOWN_MAX, from->name, from->dtype);
}

/* GGUF counts dimensions from the contiguous one; a transposed matrix keeps the order in which it
 * lies, [in][out]. */
static int read_shape(const struct safetensors_tensor *from, struct tensor *to, struct error *error)
{
    if (from->dimensions < 1 || from->dimensions > TENSOR_DIMENSIONS_MAX)
        return error_set(error, ENOEXEC, "tensor %.*s has %u dimensions, not 1 to %d",
                         NAME_SHOWN_MAX, from->name, from->dimensions, TENSOR_DIMENSIONS_MAX);
    to->dimensions = from->dimensions;
    for (uint32_t i = 0; i < TENSOR_DIMENSIONS_MAX; i++)
        to->shape[i] = 1;
    for (uint32_t i = 0; i < from->dimensions; i++) {
        uint64_t size = from->shape[i];
        if (size < 1 || size > GGUF_DIMENSION_MAX)
            return error_set(error, ENOEXEC, "tensor %.*s has a dimension of %llu, not 1 to %d",
                             NAME_SHOWN_MAX, from->name, (unsigned long long)size,
                             GGUF_DIMENSION_MAX);
        to->shape[to->transposed ? i : from->dimensions - 1 - i] = size;
    }
    return 0;
}

static float item(const struct tensor *tensor, size_t index)
{
    if (tensor->type == TENSOR_F32)
        return float_of_bits(bytes_u32(tensor->data + index * 4));
    uint16_t bits = bytes_u16(tensor->data + index * 2);
    return tensor->type == TENSOR_F16 ? half_to_float(bits) : bfloat_to_float(bits);
}

/* A vector as the engine reads it.  The size is that of a part of the file, already checked. */
static int convert(struct gguf *gguf, struct tensor *tensor, float plus, struct error *error)
{
    size_t count = (size_t)tensor->shape[0];
    float *vector = gguf_build_vector(gguf, count);
    if (!vector)
        return error_set(error, ENOMEM, "no memory for tensor %s", tensor->name);
    for (size_t i = 0; i < count; i++)
        vector[i] = item(tensor, i) + plus;
    tensor->type = TENSOR_F32;
    tensor->data = (const uint8_t *)vector;
    tensor->bytes = count * sizeof *vector;
    return 0;
}

static int add(const struct folder_name *row, const struct safetensors_tensor *from,
               struct tensor *to, struct gguf *gguf, struct error *error)
{
    to->transposed = row->change == FOLDER_TRANSPOSED && from->dimensions == 2;
    to->data = from->data;
    to->bytes = from->bytes;
    int status = read_type(from, &to->type, error);
    if (!status)
        status = read_shape(from, to, error);
    bool plus = row->change == FOLDER_PLUS_ONE;
    if (!status && to->dimensions == 1 &&
        (plus || to->type != TENSOR_F32 || (uintptr_t)to->data % _Alignof(float)))
        status = convert(gguf, to, plus ? 1 : 0, error);
    return status ? status : gguf_build_tensors(gguf, to, 1, error);
}

int folder_tensors_add(const struct folder_config *config, const struct safetensors *file,
                       struct gguf *gguf, struct error *error)
{
    int status = 0;
    for (size_t i = 0; i < safetensors_count(file) && !status; i++) {
        const struct safetensors_tensor *from = safetensors_at(file, i);
        struct name name;
        struct text layer = {0};
        if (!take_apart(from->name, &name))
            continue;
        const struct folder_name *row = find(config->family, &name, &layer);
        if (!row || (row->change == FOLDER_HEAD && config->tied))
            continue;
        struct tensor to = {0};
        write_name(row, &name, layer, to.name);
        status = add(row, from, &to, gguf, error);
    }
    return status;
}
