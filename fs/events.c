/* events.c - see events.h. */
#include "fs/events.h"

#include "base/clock.h"
#include "fs/jsontext.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void events_add(struct events *events, struct parking *parking, const char *kind, const char *model,
                json_t *more)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *event = json_object();
    json_object_set_new(event, "ev", json_string(kind));
    json_object_set_new(event, "t", json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9));
    json_object_set_new(event, "mono_ms", json_real(clock_ms(clock_now_us())));
    if (model)
        json_object_set_new(event, "model", jsontext_new(model));
    if (more)
        json_object_update(event, more);
    json_decref(more);
    char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(event);
    if (!text)
        return; /* no memory: an event is the first thing to do without */
    char **line = &events->lines[events->next % EVENTS_KEPT];
    free(*line);
    *line = text;
    events->next++;
    park_wake(parking, &events->waiters);
}

void events_read(const struct events *events, uint64_t *cursor, size_t size, struct buffer *out)
{
    uint64_t oldest = events->next > EVENTS_KEPT ? events->next - EVENTS_KEPT : 0;
    if (*cursor < oldest) {
        buffer_printf(out, "{\"ev\":\"lost\",\"n\":%llu}\n",
                      (unsigned long long)(oldest - *cursor));
        *cursor = oldest;
    }
    while (*cursor < events->next) {
        const char *line = events->lines[*cursor % EVENTS_KEPT];
        size_t length = strlen(line);
        if (out->length && out->length + length + 1 > size)
            return;
        if (buffer_append(out, line, length) || buffer_append(out, "\n", 1))
            return;
        ++*cursor;
    }
}

void events_free(struct events *events)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(events->lines[i]);
    *events = (struct events){0};
}
