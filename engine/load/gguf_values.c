/* gguf_values.c - what a key holds, as the type that the caller needs.
 *
 * A value of another type is refused, never converted in silence; only the width of an integer or a
 * float is free, since writers choose it differently.
 */
#include "load/gguf_internal.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>

static const char *const type_names[] = {
    [GGUF_UINT8] = "UINT8",     [GGUF_INT8] = "INT8",     [GGUF_UINT16] = "UINT16",
    [GGUF_INT16] = "INT16",     [GGUF_UINT32] = "UINT32", [GGUF_INT32] = "INT32",
    [GGUF_FLOAT32] = "FLOAT32", [GGUF_BOOL] = "BOOL",     [GGUF_STRING] = "STRING",
    [GGUF_ARRAY] = "ARRAY",     [GGUF_UINT64] = "UINT64", [GGUF_INT64] = "INT64",
    [GGUF_FLOAT64] = "FLOAT64",
};

static uint64_t offset_of(const struct gguf *gguf, const struct gguf_value *value)
{
    return (uint64_t)(value->data - gguf->parts[0].bytes);
}

static int refuse_type(const struct gguf *gguf, const struct gguf_value *value, const char *wanted,
                       struct error *error)
{
    return error_set(error, ENOEXEC, "key %.*s is of type %s, not %s (at byte %" PRIu64 ")",
                     TEXT_ARGUMENTS(value->key), type_names[value->type], wanted,
                     offset_of(gguf, value));
}

/* An integer of any width, sign-extended to 64 bits; false when it is no integer. */
static bool read_integer(const struct gguf_value *value, uint64_t *out)
{
    const uint8_t *data = value->data;
    switch (value->type) {
    case GGUF_UINT8:
        *out = data[0];
        return true;
    case GGUF_INT8:
        *out = (uint64_t)(int8_t)data[0];
        return true;
    case GGUF_UINT16:
        *out = bytes_u16(data);
        return true;
    case GGUF_INT16:
        *out = (uint64_t)(int16_t)bytes_u16(data);
        return true;
    case GGUF_UINT32:
        *out = bytes_u32(data);
        return true;
    case GGUF_INT32:
        *out = (uint64_t)(int32_t)bytes_u32(data);
        return true;
    case GGUF_UINT64:
    case GGUF_INT64:
        *out = bytes_u64(data);
        return true;
    case GGUF_FLOAT32:
    case GGUF_FLOAT64:
    case GGUF_BOOL:
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
    return false;
}

int gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return -ENOENT;
    uint64_t number;
    if (!read_integer(value, &number))
        return refuse_type(gguf, value, "an integer", error);
    if (number > UINT32_MAX) /* negative numbers, sign-extended, are among these */
        return error_set(error, ENOEXEC,
                         "key %s holds a number that is not in 0 to %" PRIu32 " (at byte %" PRIu64
                         ")",
                         key, UINT32_MAX, offset_of(gguf, value));
    *out = (uint32_t)number;
    return 0;
}

static float float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

int gguf_get_f32(const struct gguf *gguf, const char *key, float *out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return -ENOENT;
    double number;
    if (value->type == GGUF_FLOAT32) {
        number = float_of(bytes_u32(value->data));
    } else if (value->type == GGUF_FLOAT64) {
        uint64_t bits = bytes_u64(value->data);
        memcpy(&number, &bits, sizeof number);
    } else {
        return refuse_type(gguf, value, "a float", error);
    }
    if (!isfinite(number) || fabs(number) > (double)FLT_MAX)
        return error_set(error, ENOEXEC,
                         "key %s is infinite, not a number, or too large (at byte %" PRIu64 ")",
                         key, offset_of(gguf, value));
    *out = (float)number;
    return 0;
}

int gguf_get_bool(const struct gguf *gguf, const char *key, bool *out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return -ENOENT;
    if (value->type != GGUF_BOOL)
        return refuse_type(gguf, value, "BOOL", error);
    *out = value->data[0] != 0;
    return 0;
}

int gguf_get_string(const struct gguf *gguf, const char *key, struct text *out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return -ENOENT;
    if (value->type != GGUF_STRING)
        return refuse_type(gguf, value, "STRING", error);
    const uint8_t *at = value->data;
    *out = gguf_next_string(&at);
    return 0;
}

int gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type item_type,
                   const struct gguf_value **out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return -ENOENT;
    if (value->type != GGUF_ARRAY)
        return refuse_type(gguf, value, "ARRAY", error);
    if (value->item_type != item_type)
        return error_set(
            error, ENOEXEC, "key %s is an array of %s, not of %s (at byte %" PRIu64 ")", key,
            type_names[value->item_type], type_names[item_type], offset_of(gguf, value));
    *out = value;
    return 0;
}

struct text gguf_next_string(const uint8_t **at)
{
    uint64_t length = bytes_u64(*at);
    const uint8_t *bytes = *at + sizeof length;
    *at = bytes + length;
    return (struct text){(const char *)bytes, length};
}

int32_t gguf_item_i32(const struct gguf_value *value, uint64_t index)
{
    return (int32_t)bytes_u32(value->data + index * sizeof(int32_t));
}

float gguf_item_f32(const struct gguf_value *value, uint64_t index)
{
    return float_of(bytes_u32(value->data + index * sizeof(float)));
}
