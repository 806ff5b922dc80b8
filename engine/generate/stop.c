/* stop.c - see stop.h. */
#include "generate/stop.h"

#include "text/utf8.h"

#include <errno.h>
#include <stdlib.h>

enum { UTF8_TAIL_BYTES_MAX = 3 };

static int check(const struct text *strings, size_t count, struct error *error)
{
    if (count > STOP_STRINGS_MAX)
        return error_set(error, EINVAL, "%zu stop strings, more than %d", count, STOP_STRINGS_MAX);
    for (size_t i = 0; i < count; i++)
        if (strings[i].length == 0 || strings[i].length > STOP_BYTES_MAX)
            return error_set(error, EINVAL, "stop string %zu has %zu bytes, not 1 to %d", i + 1,
                             strings[i].length, STOP_BYTES_MAX);
    return 0;
}

int stop_open(struct stop *stop, const struct text *strings, size_t count, size_t piece_bytes_max,
              struct error *error)
{
    *stop = (struct stop){0};
    int status = check(strings, count, error);
    if (status)
        return status;
    size_t capacity = STOP_BYTES_MAX + UTF8_TAIL_BYTES_MAX + piece_bytes_max;
    stop->copies = memory_try(STOP_STRINGS_MAX, STOP_BYTES_MAX);
    stop->held = buffer_new(capacity);
    stop->held.bytes = memory_try(capacity, 1);
    stop->held.capacity = capacity;
    if (!stop->copies || !stop->held.bytes) {
        stop_close(stop);
        return error_set(error, ENOMEM, "no memory for stop strings");
    }
    char *copy = stop->copies;
    for (size_t i = 0; i < count; i++) {
        memcpy(copy, strings[i].bytes, strings[i].length);
        stop->strings[i] = (struct text){copy, strings[i].length};
        copy += strings[i].length;
    }
    stop->count = count;
    return 0;
}

void stop_close(struct stop *stop)
{
    free(stop->copies);
    buffer_free(&stop->held);
    *stop = (struct stop){0};
}

/* Where the longest stop string begins that ends at `end`; `end` itself when there is none. */
static size_t match_before(const struct stop *stop, size_t end)
{
    size_t begin = end;
    for (size_t i = 0; i < stop->count; i++) {
        struct text string = stop->strings[i];
        if (string.length <= end && end - string.length < begin &&
            memcmp(stop->held.bytes + end - string.length, string.bytes, string.length) == 0)
            begin = end - string.length;
    }
    return begin;
}

/* Where the longest end of the held bytes begins that is the beginning of a stop string. */
static size_t possible_match(const struct stop *stop)
{
    const size_t length = stop->held.length;
    size_t begin = length;
    for (size_t i = 0; i < stop->count; i++) {
        struct text string = stop->strings[i];
        size_t longest = string.length - 1 < length ? string.length - 1 : length;
        for (size_t tail = longest; tail > length - begin; tail--)
            if (memcmp(stop->held.bytes + length - tail, string.bytes, tail) == 0)
                begin = length - tail;
    }
    return begin;
}

static void drop_shown(struct stop *stop)
{
    buffer_consume(&stop->held, stop->shown);
    stop->shown = 0;
}

static struct text show(struct stop *stop, size_t length)
{
    stop->shown = length;
    return (struct text){stop->held.bytes, length};
}

bool stop_feed(struct stop *stop, const char *bytes, size_t length, struct text *out)
{
    drop_shown(stop);
    size_t end = stop->held.length;
    /* It fits: what was held is shorter than a stop string and a character. */
    (void)buffer_append(&stop->held, bytes, length);
    while (stop->count && end < stop->held.length) {
        size_t begin = match_before(stop, ++end);
        if (begin < end) {
            *out = show(stop, begin);
            stop->shown = stop->held.length; /* the stop string and what follows it is dropped */
            return true;
        }
    }
    *out = show(stop, utf8_complete_length(stop->held.bytes, possible_match(stop)));
    return false;
}

struct text stop_flush(struct stop *stop)
{
    drop_shown(stop);
    return show(stop, stop->held.length);
}
