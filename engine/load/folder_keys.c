/* folder_keys.c - the keys of a folder, written as the header of a GGUF file.
 *
 * A detour with a purpose: the same parser checks them, the same getters read them.
 */
#include "load/folder_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { GGUF_VERSION_WRITTEN = 3 };

static void put(struct folder_keys *keys, const void *bytes, size_t length)
{
    if (!keys->status)
        keys->status = buffer_append(&keys->bytes, bytes, length);
}

/* GGUF is little-endian, and so are the machines that this engine runs on. */
static void put_u32(struct folder_keys *keys, uint32_t value)
{
    put(keys, &value, sizeof value);
}

static void put_u64(struct folder_keys *keys, uint64_t value)
{
    put(keys, &value, sizeof value);
}

static void put_string(struct folder_keys *keys, const char *value)
{
    put_u64(keys, strlen(value));
    put(keys, value, strlen(value));
}

static void put_name(struct folder_keys *keys, const char *name, enum gguf_type type)
{
    char full[FOLDER_KEY_BYTES];
    snprintf(full, sizeof full, "%s%s", name[0] == '.' ? keys->family : "", name);
    put_string(keys, full);
    put_u32(keys, type);
    keys->count++;
}

struct folder_keys folder_keys_new(const char *family)
{
    struct folder_keys keys = {.bytes = buffer_new(FOLDER_KEYS_BYTES_MAX), .family = family};
    put(&keys, "GGUF", 4);
    put_u32(&keys, GGUF_VERSION_WRITTEN);
    put_u64(&keys, 0); /* tensors */
    put_u64(&keys, 0); /* keys: set at the end */
    return keys;
}

void folder_keys_u32(struct folder_keys *keys, const char *name, uint32_t value)
{
    put_name(keys, name, GGUF_UINT32);
    put_u32(keys, value);
}

void folder_keys_f32(struct folder_keys *keys, const char *name, double value)
{
    float narrow = (float)value;
    put_name(keys, name, GGUF_FLOAT32);
    put(keys, &narrow, sizeof narrow);
}

void folder_keys_bool(struct folder_keys *keys, const char *name, bool value)
{
    uint8_t byte = value;
    put_name(keys, name, GGUF_BOOL);
    put(keys, &byte, sizeof byte);
}

void folder_keys_bools(struct folder_keys *keys, const char *name, const uint8_t *values,
                       uint64_t count)
{
    put_name(keys, name, GGUF_ARRAY);
    put_u32(keys, GGUF_BOOL);
    put_u64(keys, count);
    put(keys, values, count);
}

void folder_keys_string(struct folder_keys *keys, const char *name, const char *value)
{
    put_name(keys, name, GGUF_STRING);
    put_string(keys, value);
}

int folder_keys_finish(struct folder_keys *keys, void **out, size_t *bytes, struct error *error)
{
    int status = keys->status;
    if (status) {
        buffer_free(&keys->bytes);
        return status == -EMSGSIZE
                   ? error_set(error, ENOEXEC, "config.json: more than %d bytes of keys",
                               FOLDER_KEYS_BYTES_MAX)
                   : error_set(error, ENOMEM, "no memory for keys");
    }
    memcpy(keys->bytes.bytes + GGUF_KEYS_OFFSET, &keys->count, sizeof keys->count);
    *out = keys->bytes.bytes;
    *bytes = keys->bytes.length;
    keys->bytes = buffer_new(0);
    return 0;
}
