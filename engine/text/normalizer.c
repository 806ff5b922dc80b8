/* normalizer.c - see normalizer.h.
 *
 * Each step reads one text and writes another; two buffers take turns. */
#include "text/normalizer.h"

#include "text/charsmap.h"
#include "text/codepoint.h"
#include "text/normalform.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdbool.h>

enum {
    GROWTH_BYTES = 1024,
    FIRST_MARK = 0x300,    /* no character below is a mark */
    CAPITAL_I_DOT = 0x130, /* the only character whose lower case is two */
};

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

int normalizer_check(const struct normalizer_step *steps, size_t count, struct error *error)
{
    if (count > NORMALIZER_STEPS_MAX)
        return error_set(error, ENOEXEC, "a normalizer of %zu steps, at most %d", count,
                         NORMALIZER_STEPS_MAX);
    for (size_t i = 0; i < count; i++) {
        bool replaces =
            steps[i].kind == NORMALIZE_REPLACE || steps[i].kind == NORMALIZE_REPLACE_RUNS;
        if (replaces && steps[i].from.length == 0)
            return error_set(error, ENOEXEC, "a normalizer that replaces the empty text");
        int status = steps[i].kind == NORMALIZE_CHARSMAP ? charsmap_check(steps[i].from, error) : 0;
        if (status)
            return status;
    }
    return 0;
}

static int replace_invalid(struct text text, struct buffer *out)
{
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        struct text rest = {text.bytes + at, text.length - at};
        size_t valid = utf8_valid_length(rest.bytes, rest.length);
        status = buffer_append(out, rest.bytes, valid);
        if (!status && valid < rest.length)
            status = buffer_append(out, replacement, sizeof replacement - 1);
        at += valid + 1;
    }
    return status;
}

/* --- single characters ------------------------------------------------------------------------ */

/* Of the kind that the step removes? */
static bool is_stripped(int32_t point, enum normalizer_kind kind)
{
    if (point < FIRST_MARK)
        return false;
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_MN ||
           (kind == NORMALIZE_STRIP_MARKS &&
            (category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME));
}

bool normalizer_is_space(int32_t point)
{
    if (point < 0x80)
        return point == ' ' || (point >= '\t' && point <= '\r');
    utf8proc_category_t category = utf8proc_category(point);
    return point == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

static bool is_dropped_by_clean(int32_t point)
{
    if (point == '\t' || point == '\n' || point == '\r')
        return false;
    if (point < 0x80)
        return point < ' ' || point == 0x7F;
    utf8proc_category_t category = utf8proc_category(point);
    return point == 0xFFFD || category == UTF8PROC_CATEGORY_CC ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

/* As BERT's own tokenizer has the blocks, with its slip (0x2B920 for 0x2B820). */
static bool is_cjk(int32_t point)
{
    static const int32_t ranges[][2] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (point >= ranges[i][0] && point <= ranges[i][1])
            return true;
    return false;
}

static int put_lower(struct buffer *out, int32_t point)
{
    if (point == CAPITAL_I_DOT)
        return buffer_append(out, "i\xCC\x87", 3);
    if (point < 0x80)
        return codepoint_append(out, point >= 'A' && point <= 'Z' ? point + 32 : point);
    return codepoint_append(out, utf8proc_tolower(point));
}

static int put_base_letter(struct buffer *out, int32_t point)
{
    int32_t points[NORMALFORM_DECOMPOSED_MAX];
    if (point >= 0x80 && utf8proc_decompose_char(point, points, NORMALFORM_DECOMPOSED_MAX,
                                                 UTF8PROC_DECOMPOSE, NULL) > 0)
        point = points[0];
    return codepoint_append(out, point);
}

static int put_cjk(struct buffer *out, int32_t point)
{
    if (!is_cjk(point))
        return codepoint_append(out, point);
    int status = codepoint_append(out, ' ');
    if (!status)
        status = codepoint_append(out, point);
    return status ? status : codepoint_append(out, ' ');
}

static int put_mapped(struct buffer *out, int32_t point, enum normalizer_kind kind)
{
    if (kind == NORMALIZE_LOWERCASE)
        return put_lower(out, point);
    if (kind == NORMALIZE_BASE_LETTERS)
        return put_base_letter(out, point);
    if (kind == NORMALIZE_SPACE_CJK)
        return put_cjk(out, point);
    if (kind == NORMALIZE_STRIP_ACCENTS || kind == NORMALIZE_STRIP_MARKS)
        return is_stripped(point, kind) ? 0 : codepoint_append(out, point);
    if (kind == NORMALIZE_CLEAN && is_dropped_by_clean(point))
        return 0;
    return codepoint_append(out, normalizer_is_space(point) ? ' ' : point);
}

static int map_characters(struct text text, enum normalizer_kind kind, struct buffer *out)
{
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        int32_t point;
        at += codepoint_at(text, at, &point);
        status = put_mapped(out, point, kind);
    }
    return status;
}

/* --- whole texts ------------------------------------------------------------------------------ */

static struct text strip_left(struct text text)
{
    size_t at = 0;
    while (at < text.length) {
        int32_t point;
        size_t length = codepoint_at(text, at, &point);
        if (!normalizer_is_space(point))
            break;
        at += length;
    }
    return (struct text){text.bytes + at, text.length - at};
}

static struct text strip_right(struct text text)
{
    while (text.length) {
        size_t at = text.length - 1;
        while (at > 0 && (text.bytes[at] & 0xC0) == 0x80)
            at--;
        int32_t point;
        codepoint_at(text, at, &point);
        if (!normalizer_is_space(point))
            break;
        text.length = at;
    }
    return text;
}

static int collapse_spaces(struct text text, struct buffer *out)
{
    int status = 0;
    size_t length_before = out->length;
    for (size_t at = 0; at < text.length && !status;) {
        const char *space = memchr(text.bytes + at, ' ', text.length - at);
        size_t end = space ? (size_t)(space - text.bytes) : text.length;
        if (end > at && out->length > length_before)
            status = codepoint_append(out, ' ');
        if (!status)
            status = buffer_append(out, text.bytes + at, end - at);
        at = end + 1;
    }
    return status;
}

static bool starts_with(struct text text, struct text start)
{
    return text.length >= start.length && memcmp(text.bytes, start.bytes, start.length) == 0;
}

/* How many bytes at the start of `text`, which begins with `from`, are nothing but `from`. */
static size_t run_length(struct text text, struct text from)
{
    size_t length = 0;
    while (starts_with((struct text){text.bytes + length, text.length - length}, from))
        length += from.length;
    return length;
}

/* Each `from`, or each run of two or more, becomes `to`. */
static int replace(struct text text, struct text from, struct text to, bool runs,
                   struct buffer *out)
{
    int status = 0;
    size_t at = 0;
    while (!status) {
        const char *found = at < text.length
                                ? memmem(text.bytes + at, text.length - at, from.bytes, from.length)
                                : NULL;
        size_t end = found ? (size_t)(found - text.bytes) : text.length;
        status = buffer_append(out, text.bytes + at, end - at);
        if (!found)
            break;
        size_t length =
            runs ? run_length((struct text){found, text.length - end}, from) : from.length;
        if (!status)
            status = buffer_append_text(out, runs && length == from.length ? from : to);
        at = end + length;
    }
    return status;
}

static int map_by_charsmap(struct text text, struct text map, struct buffer *out)
{
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        struct text rest = {text.bytes + at, text.length - at}, to;
        size_t length = charsmap_find(map, rest, &to);
        if (length == 0) {
            int32_t point;
            length = codepoint_at(text, at, &point);
            to = (struct text){rest.bytes, length};
        }
        status = buffer_append_text(out, to);
        at += length;
    }
    return status;
}

static int apply(const struct normalizer_step *step, struct text text, struct buffer *out)
{
    switch (step->kind) {
    case NORMALIZE_NFC:
        return normalform_append(text, true, false, out);
    case NORMALIZE_NFD:
        return normalform_append(text, false, false, out);
    case NORMALIZE_NFKC:
        return normalform_append(text, true, true, out);
    case NORMALIZE_NFKD:
        return normalform_append(text, false, true, out);
    case NORMALIZE_LOWERCASE:
    case NORMALIZE_STRIP_ACCENTS:
    case NORMALIZE_STRIP_MARKS:
    case NORMALIZE_BASE_LETTERS:
    case NORMALIZE_SPACES:
    case NORMALIZE_CLEAN:
    case NORMALIZE_SPACE_CJK:
        return map_characters(text, step->kind, out);
    case NORMALIZE_STRIP_LEFT:
        return buffer_append_text(out, strip_left(text));
    case NORMALIZE_STRIP_RIGHT:
        return buffer_append_text(out, strip_right(text));
    case NORMALIZE_COLLAPSE_SPACES:
        return collapse_spaces(text, out);
    case NORMALIZE_PREPEND: {
        int status = text.length ? buffer_append_text(out, step->to) : 0;
        return status ? status : buffer_append_text(out, text);
    }
    case NORMALIZE_PREPEND_ONCE: {
        bool prepends = text.length && !starts_with(text, step->to);
        int status = prepends ? buffer_append_text(out, step->to) : 0;
        return status ? status : buffer_append_text(out, text);
    }
    case NORMALIZE_REPLACE:
    case NORMALIZE_REPLACE_RUNS:
        return replace(text, step->from, step->to, step->kind == NORMALIZE_REPLACE_RUNS, out);
    case NORMALIZE_CHARSMAP:
        return map_by_charsmap(text, step->from, out);
    }
    return -EINVAL;
}

int normalizer_apply(const struct normalizer_step *steps, size_t count, struct text text,
                     struct buffer *out)
{
    size_t limit = text.length * NORMALIZER_GROWTH_MAX + GROWTH_BYTES;
    struct buffer buffers[2] = {buffer_new(limit), buffer_new(limit)};
    int current = 0;
    int status = replace_invalid(text, &buffers[0]);
    /* No step makes something of nothing. */
    for (size_t i = 0; i < count && !status && buffers[current].length; i++) {
        buffers[!current].length = 0;
        status = apply(&steps[i], buffer_text(&buffers[current]), &buffers[!current]);
        current = !current;
    }
    if (!status)
        status = buffer_append_text(out, buffer_text(&buffers[current]));
    buffer_free(&buffers[0]);
    buffer_free(&buffers[1]);
    return status;
}
