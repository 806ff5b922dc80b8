/* jsonload.c - see jsonload.h. */
#include "load/jsonload.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

/* A look at the brackets and commas outside of strings: that is what jansson allocates for.  What
 * is no JSON at all is left for it to refuse. */
static int check_size(struct text bytes, const char *file, struct error *error)
{
    size_t depth = 0, values = 0;
    bool quoted = false;
    for (size_t i = 0; i < bytes.length; i++) {
        char letter = bytes.bytes[i];
        if (quoted) {
            i += letter == '\\';
            quoted = letter != '"';
            continue;
        }
        quoted = letter == '"';
        values += letter == ',' || letter == ':' || letter == '[' || letter == '{';
        if (letter == '[' || letter == '{')
            depth++;
        else if ((letter == ']' || letter == '}') && depth)
            depth--;
        if (depth > JSONLOAD_DEPTH_MAX)
            return error_set(error, ENOEXEC, "%s is nested deeper than %d (at byte %zu)", file,
                             JSONLOAD_DEPTH_MAX, i);
        if (values > JSONLOAD_VALUES_MAX)
            return error_set(error, ENOEXEC, "%s holds more than %d values (at byte %zu)", file,
                             JSONLOAD_VALUES_MAX, i);
    }
    return 0;
}

int jsonload_parse(struct text bytes, const char *file, json_t **out, struct error *error)
{
    int status = check_size(bytes, file, error);
    if (status)
        return status;
    json_error_t reason;
    *out = json_loadb(bytes.bytes, bytes.length, JSON_REJECT_DUPLICATES, &reason);
    if (*out)
        return 0;
    if (json_error_code(&reason) == json_error_out_of_memory)
        return error_set(error, ENOMEM, "no memory for %s", file);
    return error_set(error, ENOEXEC, "%s is not valid JSON: %s (at byte %d)", file, reason.text,
                     reason.position);
}

static const json_t *value_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

int jsonload_count(const json_t *object, const char *key, int64_t minimum, int64_t maximum,
                   int64_t *out, struct error *error)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_integer(value))
        return error_set(error, ENOEXEC, "%s is not a whole number", key);
    int64_t number = json_integer_value(value);
    if (number < minimum || number > maximum)
        return error_set(error, ENOEXEC, "%s is %" PRId64 ", not %" PRId64 " to %" PRId64, key,
                         number, minimum, maximum);
    *out = number;
    return 0;
}

int jsonload_number(const json_t *object, const char *key, double *out, struct error *error)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_number(value))
        return error_set(error, ENOEXEC, "%s is not a number", key);
    double number = json_number_value(value);
    if (!isfinite((float)number))
        return error_set(error, ENOEXEC, "%s is %g, too large for a float", key, number);
    *out = number;
    return 0;
}

int jsonload_bool(const json_t *object, const char *key, bool *out, struct error *error)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_boolean(value))
        return error_set(error, ENOEXEC, "%s is neither true nor false", key);
    *out = json_is_true(value);
    return 0;
}

int jsonload_string(const json_t *object, const char *key, const char **out, struct error *error)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_string(value))
        return error_set(error, ENOEXEC, "%s is not a string", key);
    *out = json_string_value(value);
    return 0;
}

int jsonload_object(const json_t *object, const char *key, const json_t **out, struct error *error)
{
    const json_t *value = value_of(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_object(value))
        return error_set(error, ENOEXEC, "%s is not an object", key);
    *out = value;
    return 0;
}
