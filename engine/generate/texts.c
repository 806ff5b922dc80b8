/* texts.c - see texts.h. */
#include "generate/texts.h"

#include "base/memory.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* The value of a line that is a JSON string; its object goes to texts->decoded.  Returns 1, 0 when
 * the line is none, or -ENOMEM. */
static int decode(struct texts *texts, struct text line, struct text *out)
{
    if (line.length < 2 || line.bytes[0] != '"' || line.bytes[line.length - 1] != '"')
        return 0;
    json_t *string = json_loadb(line.bytes, line.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!json_is_string(string)) {
        json_decref(string);
        return 0;
    }
    if (!texts->decoded)
        texts->decoded = json_array();
    *out = (struct text){json_string_value(string), json_string_length(string)};
    return json_array_append_new(texts->decoded, string) ? -ENOMEM : 1;
}

static int add(struct texts *texts, struct text line, char end)
{
    int status = memory_grow((void **)&texts->items, &texts->capacity, texts->count + 1,
                             sizeof *texts->items, TEXTS_MAX);
    if (status)
        return status;
    struct text *item = &texts->items[texts->count];
    if (end == '\n' && line.length && line.bytes[line.length - 1] == '\r')
        line.length--;
    *item = line;
    status = end == '\n' ? decode(texts, line, item) : 0;
    if (status < 0)
        return status;
    texts->count++;
    return 0;
}

int texts_split(struct text input, char end, bool open, struct texts *out, struct error *error)
{
    int status = 0;
    *out = (struct texts){0};
    for (size_t at = 0; at < input.length && !status;) {
        const char *found = memchr(input.bytes + at, end, input.length - at);
        size_t next = found ? (size_t)(found - input.bytes) : input.length;
        status = add(out, (struct text){input.bytes + at, next - at}, end);
        at = next + 1;
    }
    if (!status && open && input.length && input.bytes[input.length - 1] == end)
        status = add(out, (struct text){"", 0}, end);
    if (!status)
        return 0;
    texts_free(out);
    return status == -EMSGSIZE ? error_set(error, EMSGSIZE, "more than %d texts", TEXTS_MAX)
                               : error_set(error, ENOMEM, "no memory for the texts");
}

void texts_free(struct texts *texts)
{
    free(texts->items);
    json_decref(texts->decoded);
    *texts = (struct texts){0};
}
