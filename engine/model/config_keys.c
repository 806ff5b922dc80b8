/* config_keys.c - see config_keys.h. */
#include "model/config_keys.h"

#include "load/gguf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

struct config_key config_key(const struct config_keys *keys, const char *name)
{
    struct config_key key;
    snprintf(key.text, sizeof key.text, "%s.%s", keys->prefix, name);
    return key;
}

bool config_has(const struct config_keys *keys, const char *name)
{
    return gguf_find(keys->gguf, config_key(keys, name).text) != NULL;
}

static int missing(const struct config_keys *keys, const struct config_key *key)
{
    return error_set(keys->error, ENOEXEC, "%s is missing", key->text);
}

/* An integer; -ENOENT leaves *value. */
static int read_count(const struct config_keys *keys, const struct config_key *key, int32_t minimum,
                      int32_t maximum, int32_t *value)
{
    uint32_t number;
    int status = gguf_get_u32(keys->gguf, key->text, &number, keys->error);
    if (status)
        return status;
    if (number < (uint32_t)minimum || number > (uint32_t)maximum)
        return error_set(keys->error, ENOEXEC, "%s is %u, not %d to %d", key->text, number, minimum,
                         maximum);
    *value = (int32_t)number;
    return 0;
}

int config_count(const struct config_keys *keys, const char *name, int32_t otherwise,
                 int32_t minimum, int32_t maximum, int32_t *out)
{
    struct config_key key = config_key(keys, name);
    int status = read_count(keys, &key, minimum, maximum, out);
    if (status != -ENOENT)
        return status;
    if (otherwise == 0)
        return missing(keys, &key);
    if (otherwise < minimum || otherwise > maximum)
        return error_set(keys->error, ENOEXEC, "%s would be %d, not %d to %d", key.text, otherwise,
                         minimum, maximum);
    *out = otherwise;
    return 0;
}

int config_optional_count(const struct config_keys *keys, const char *name, int32_t otherwise,
                          int32_t maximum, int32_t *out)
{
    struct config_key key = config_key(keys, name);
    int status = read_count(keys, &key, 0, maximum, out);
    if (status == -ENOENT)
        *out = otherwise;
    return status == -ENOENT ? 0 : status;
}

int config_positive(const struct config_keys *keys, const char *name, float otherwise, float *out)
{
    struct config_key key = config_key(keys, name);
    float value = otherwise;
    int status = gguf_get_f32(keys->gguf, key.text, &value, keys->error);
    if (status == -ENOENT && !(otherwise > 0))
        return missing(keys, &key);
    if (status && status != -ENOENT)
        return status;
    if (!isfinite(value) || value <= 0)
        return error_set(keys->error, ENOEXEC, "%s is %g, not a finite number above 0", key.text,
                         (double)value);
    *out = value;
    return 0;
}

int config_optional(const struct config_keys *keys, const char *name, float otherwise, float *out)
{
    struct config_key key = config_key(keys, name);
    float value = otherwise;
    int status = gguf_get_f32(keys->gguf, key.text, &value, keys->error);
    if (status && status != -ENOENT)
        return status;
    if (!isfinite(value) || value < 0)
        return error_set(keys->error, ENOEXEC, "%s is %g, not a finite number of at least 0",
                         key.text, (double)value);
    *out = value;
    return 0;
}

int config_bool(const struct config_keys *keys, const char *name, bool otherwise, bool *out)
{
    struct config_key key = config_key(keys, name);
    *out = otherwise;
    int status = gguf_get_bool(keys->gguf, key.text, out, keys->error);
    return status == -ENOENT ? 0 : status;
}

int config_text(const struct config_keys *keys, const char *name, const char *otherwise,
                struct text *out)
{
    struct config_key key = config_key(keys, name);
    *out = text_of(otherwise);
    int status = gguf_get_string(keys->gguf, key.text, out, keys->error);
    return status == -ENOENT ? 0 : status;
}
