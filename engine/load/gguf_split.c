/* gguf_split.c - one model in several files: their names, and the keys that tie them together.
 *
 * "model-00002-of-00004.gguf" holds split.no = 1 (from 0), split.count = 4 and split.tensors.count,
 * the tensors of all parts.  Only such names are followed; a name never comes out of a file.
 */
#include "load/gguf_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_DIGITS = 5, NUMBER_AT = 1, OF_AT = 6, COUNT_AT = 10, EXTENSION_AT = 15 };

static bool read_digits(const char *digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(digits[i] - '0');
    }
    return true;
}

struct gguf_split gguf_split_of(const char *path)
{
    struct gguf_split split = {1, 1}, found;
    size_t length = strlen(path);
    if (length < GGUF_SPLIT_SUFFIX_BYTES)
        return split;
    const char *suffix = path + length - GGUF_SPLIT_SUFFIX_BYTES;
    if (suffix[0] == '-' && read_digits(suffix + NUMBER_AT, &found.number) &&
        strncmp(suffix + OF_AT, "-of-", 4) == 0 && read_digits(suffix + COUNT_AT, &found.count) &&
        strcmp(suffix + EXTENSION_AT, ".gguf") == 0 && found.number >= 1 &&
        found.number <= found.count)
        split = found;
    return split;
}

void gguf_split_rename(char *path, struct gguf_split split)
{
    char digits[NUMBER_DIGITS + 1];
    snprintf(digits, sizeof digits, "%05" PRIu32, split.number % 100000);
    memcpy(path + strlen(path) - GGUF_SPLIT_SUFFIX_BYTES + NUMBER_AT, digits, NUMBER_DIGITS);
}

static int check_key(const struct gguf *part, const char *key, uint32_t expected,
                     struct error *error)
{
    uint32_t value;
    int status = gguf_get_u32(part, key, &value, error);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "key %s is missing, %" PRIu32 " was expected", key,
                         expected);
    if (!status && value != expected)
        return error_set(error, ENOEXEC, "key %s is %" PRIu32 ", but %" PRIu32 " was expected", key,
                         value, expected);
    return status;
}

/* A file with a plain name must be a whole model. */
static int check_alone(const struct gguf *gguf, struct error *error)
{
    uint32_t count = 1;
    int status = gguf_get_u32(gguf, "split.count", &count, error);
    if (count > 1)
        return error_set(error, ENOEXEC,
                         "one of %" PRIu32 " parts, but not named \"...-00001-of-%05" PRIu32
                         ".gguf\"",
                         count, count);
    return status == -ENOENT ? 0 : status;
}

int gguf_split_check(const struct gguf *first, const struct gguf *part, struct gguf_split split,
                     struct error *error)
{
    if (split.count == 1)
        return check_alone(part, error);
    int status = check_key(part, "split.count", split.count, error);
    if (!status)
        status = check_key(part, "split.no", split.number - 1, error);
    uint32_t total;
    if (!status)
        status = gguf_get_u32(first, "split.tensors.count", &total, error);
    if (!status)
        status = check_key(part, "split.tensors.count", total, error);
    return status == -ENOENT ? error_set(error, ENOEXEC, "key split.tensors.count is missing")
                             : status;
}

int gguf_split_check_total(const struct gguf *first, struct error *error)
{
    uint32_t total;
    int status = gguf_get_u32(first, "split.tensors.count", &total, error);
    if (!status && total != first->tensor_count)
        status = error_set(error, ENOEXEC,
                           "key split.tensors.count is %" PRIu32 ", but the parts have %zu tensors",
                           total, first->tensor_count);
    return status;
}
