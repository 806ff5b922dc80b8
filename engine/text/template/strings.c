/* strings.c - see strings.h. */
#include "text/template/strings.h"

#include "text/template/characters.h"

#include <errno.h>

static struct rope *empty(struct render *render)
{
    return rope_of(render, (struct text){0}, ROPE_TEMPLATE);
}

/* ---- strip ---- */

static bool is_in(struct render *render, struct text character, const struct text *set)
{
    size_t length;
    if (!set)
        return characters_is_space(characters_first(character, &length));
    render_work(render, set->length);
    for (size_t at = 0; at < set->length; at += length) {
        characters_first((struct text){set->bytes + at, set->length - at}, &length);
        if (text_equals(character, (struct text){set->bytes + at, length}))
            return true;
    }
    return false;
}

struct rope *strings_strip(struct render *render, struct rope *string, struct rope *set,
                           enum strings_side side)
{
    struct text text = rope_text(render, string), allowed = {0};
    size_t begin = 0, end = text.length, length;
    if (set)
        allowed = rope_text(render, set);
    while (side & STRINGS_LEFT && begin < end && !render->status) {
        characters_first((struct text){text.bytes + begin, end - begin}, &length);
        if (!is_in(render, (struct text){text.bytes + begin, length}, set ? &allowed : NULL))
            break;
        begin += length;
    }
    while (side & STRINGS_RIGHT && end > begin && !render->status) {
        length =
            characters_length_before((struct text){text.bytes + begin, end - begin}, end - begin);
        if (!is_in(render, (struct text){text.bytes + end - length, length}, set ? &allowed : NULL))
            break;
        end -= length;
    }
    render_work(render, text.length - (end - begin));
    return rope_slice(render, string, begin, end - begin);
}

/* ---- replace ---- */

/* Where `wanted` next stands, or NULL. */
static const char *find(struct text text, size_t at, struct text wanted)
{
    if (at >= text.length)
        return NULL;
    return memmem(text.bytes + at, text.length - at, wanted.bytes, wanted.length);
}

/* Between all characters, before and behind them. */
static struct rope *insert_between(struct render *render, struct rope *string,
                                   struct rope *new_text, int64_t limit)
{
    struct text text = rope_text(render, string);
    struct rope *out = empty(render);
    size_t at = 0;
    for (; limit != 0 && !render->status; limit--) {
        size_t length = 0;
        out = rope_join(render, out, new_text);
        if (at == text.length)
            return out;
        characters_first((struct text){text.bytes + at, text.length - at}, &length);
        out = rope_join(render, out, rope_slice(render, string, at, length));
        at += length;
    }
    return rope_join(render, out, rope_slice(render, string, at, text.length - at));
}

struct rope *strings_replace(struct render *render, struct rope *string, struct rope *old,
                             struct rope *new_text, int64_t limit)
{
    struct text text = rope_text(render, string), wanted = rope_text(render, old);
    if (string->origin != ROPE_TEMPLATE)
        new_text = rope_untrusted(render, new_text);
    if (!render_work(render, text.length))
        return empty(render);
    if (wanted.length == 0)
        return insert_between(render, string, new_text, limit);
    struct rope *out = empty(render);
    size_t at = 0;
    for (const char *found; limit != 0 && (found = find(text, at, wanted)) && !render->status;
         limit--) {
        size_t begin = (size_t)(found - text.bytes);
        out = rope_join(render, out, rope_slice(render, string, at, begin - at));
        out = rope_join(render, out, new_text);
        at = begin + wanted.length;
        render_step(render, 1);
    }
    return rope_join(render, out, rope_slice(render, string, at, text.length - at));
}

/* ---- split ---- */

static void add_slice(struct render *render, struct list *list, struct rope *string, size_t begin,
                      size_t end)
{
    list_append(render, list, value_string(rope_slice(render, string, begin, end - begin)));
}

static void reverse(struct list *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        struct value other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
}

static void split_words(struct render *render, struct rope *string, int64_t limit,
                        struct list *list)
{
    struct text text = rope_text(render, string);
    size_t at = 0, length;
    while (!render->status) {
        while (at < text.length && characters_is_space(characters_first(
                                       (struct text){text.bytes + at, text.length - at}, &length)))
            at += length;
        if (at == text.length)
            return;
        if (limit-- == 0) { /* the rest is one word, without the space behind it */
            struct rope *tail = rope_slice(render, string, at, text.length - at);
            list_append(render, list,
                        value_string(strings_strip(render, tail, NULL, STRINGS_RIGHT)));
            return;
        }
        size_t begin = at;
        while (at < text.length && !characters_is_space(characters_first(
                                       (struct text){text.bytes + at, text.length - at}, &length)))
            at += length;
        add_slice(render, list, string, begin, at);
    }
}

static void split_words_from_right(struct render *render, struct rope *string, int64_t limit,
                                   struct list *list)
{
    struct text text = rope_text(render, string);
    size_t end = text.length, read;
    for (;; limit--) {
        struct rope *head = rope_slice(render, string, 0, end);
        end = strings_strip(render, head, NULL, STRINGS_RIGHT)->length;
        if (end == 0 || render->status)
            break;
        size_t begin = limit == 0 ? 0 : end; /* the rest is one word, with the space before it */
        while (begin > 0 && limit != 0) {
            size_t length = characters_length_before(text, begin);
            if (characters_is_space(
                    characters_first((struct text){text.bytes + begin - length, length}, &read)))
                break;
            begin -= length;
        }
        add_slice(render, list, string, begin, end);
        end = begin;
    }
    reverse(list);
}

static void split_at(struct render *render, struct rope *string, struct text separator,
                     int64_t limit, struct list *list)
{
    struct text text = rope_text(render, string);
    size_t at = 0;
    for (const char *found; limit != 0 && (found = find(text, at, separator)) && !render->status;
         limit--) {
        size_t begin = (size_t)(found - text.bytes);
        add_slice(render, list, string, at, begin);
        at = begin + separator.length;
    }
    add_slice(render, list, string, at, text.length);
}

static void split_at_from_right(struct render *render, struct rope *string, struct text separator,
                                int64_t limit, struct list *list)
{
    struct text text = rope_text(render, string);
    size_t end = text.length, at = text.length;
    while (limit != 0 && at >= separator.length && !render->status) {
        size_t begin = at - separator.length;
        if (text.bytes[begin] == separator.bytes[0] && render_work(render, separator.length) &&
            memcmp(text.bytes + begin, separator.bytes, separator.length) == 0) {
            add_slice(render, list, string, at, end);
            end = at = begin;
            limit--;
        } else {
            at--;
        }
    }
    add_slice(render, list, string, 0, end);
    reverse(list);
}

struct list *strings_split(struct render *render, struct rope *string, struct rope *separator,
                           int64_t limit, bool from_right)
{
    struct list *list = list_new(render, LIST_PLAIN, 0);
    render_work(render, string->length);
    if (separator && separator->length == 0)
        render_fail(render, ENOEXEC, "an empty separator");
    if (render->status)
        return list;
    if (!separator)
        (from_right ? split_words_from_right : split_words)(render, string, limit, list);
    else
        (from_right ? split_at_from_right : split_at)(render, string, rope_text(render, separator),
                                                      limit, list);
    return list;
}

struct list *strings_lines(struct render *render, struct rope *string, bool keep_ends)
{
    struct text text = rope_text(render, string);
    struct list *list = list_new(render, LIST_PLAIN, 0);
    size_t begin = 0, length;
    render_work(render, text.length);
    for (size_t at = 0; at < text.length && !render->status; at += length) {
        struct text rest = {text.bytes + at, text.length - at};
        if (!characters_is_line_end(characters_first(rest, &length)))
            continue;
        if (*rest.bytes == '\r' && rest.length > 1 && rest.bytes[1] == '\n')
            length = 2;
        add_slice(render, list, string, begin, keep_ends ? at + length : at);
        begin = at + length;
    }
    if (begin < text.length)
        add_slice(render, list, string, begin, text.length);
    return list;
}

struct rope *strings_join(struct render *render, struct rope *separator, const struct list *items)
{
    struct rope *out = empty(render);
    for (size_t i = 0; i < items->count && render_step(render, 1); i++) {
        if (i > 0)
            out = rope_join(render, out, separator);
        out = rope_join(render, out, print_string(render, items->items[i]));
    }
    return out;
}

/* ---- letters ---- */

static bool begins_word(char before, bool filter)
{
    if (filter)
        return before && (strchr("-({[<", before) || characters_is_space((unsigned char)before));
    return !characters_is_letter(before) && (unsigned char)before < 0x80;
}

struct rope *strings_title(struct render *render, struct rope *string, bool filter)
{
    struct text text = rope_text(render, string);
    char *bytes = render_allocate(render, text.length, 1);
    render_work(render, text.length);
    for (size_t i = 0; bytes && i < text.length; i++)
        bytes[i] = i == 0 || begins_word(text.bytes[i - 1], filter)
                       ? characters_upper(text.bytes[i])
                       : characters_lower(text.bytes[i]);
    return rope_like(render, string, bytes);
}

struct rope *strings_capitalize(struct render *render, struct rope *string)
{
    struct text text = rope_text(render, string);
    char *bytes = render_allocate(render, text.length, 1);
    render_work(render, text.length);
    for (size_t i = 0; bytes && i < text.length; i++)
        bytes[i] = i == 0 ? characters_upper(text.bytes[i]) : characters_lower(text.bytes[i]);
    return rope_like(render, string, bytes);
}
