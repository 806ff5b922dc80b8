/* chat.c - see chat.h.
 *
 * Only the markers <|im_start|> and <|im_end|> are special spans: role, newline and content stay
 * together in one plain span, because a reference tokenizer too merges across "user\n" and what the
 * user wrote.
 *
 * Source: the chat templates of SmolLM2 and Qwen2.5 (their Jinja source is in the model file). */
#include "text/chat.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_START   "<|im_start|>"
#define TURN_END     "<|im_end|>"
#define SYSTEM_START TURN_START "system"

enum { SPANS_MAX = 4 * CHAT_MESSAGES_MAX + 16 };

static struct text text_from(struct text text, size_t begin)
{
    return (struct text){text.bytes + begin, text.length - begin};
}

static bool starts_with(struct text text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.bytes, prefix, length) == 0;
}

/* Where `string` first stands at or after `from`, or haystack.length. */
static size_t find(struct text haystack, size_t from, const char *string)
{
    const char *found =
        from < haystack.length
            ? memmem(haystack.bytes + from, haystack.length - from, string, strlen(string))
            : NULL;
    return found ? (size_t)(found - haystack.bytes) : haystack.length;
}

static bool contains(struct text haystack, const char *string)
{
    return find(haystack, 0, string) < haystack.length;
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct text trim(struct text text)
{
    while (text.length && is_space(text.bytes[text.length - 1]))
        text.length--;
    while (text.length && is_space(text.bytes[0]))
        text = text_from(text, 1);
    return text;
}

/* Does the template write `| trim` or `.strip()` somewhere? */
static bool template_trims(struct text source)
{
    if (contains(source, ".strip()"))
        return true;
    for (size_t at = 0; (at = find(source, at, "trim")) < source.length; at++) {
        size_t before = at;
        while (before > 0 && is_space(source.bytes[before - 1]))
            before--;
        if (before > 0 && source.bytes[before - 1] == '|')
            return true;
    }
    return false;
}

/* The length of the constant text from `at` to TURN_END, or false when the string or the raw text
 * that `at` stands in ends before: the template puts a variable there.  quote 0: raw text.  Another
 * turn's start ends it too, so that all searches together read the source once. */
static bool constant_length(struct text source, size_t at, char quote, size_t *length)
{
    for (size_t i = at; i < source.length; i++) {
        if (starts_with(text_from(source, i), TURN_END)) {
            *length = i - at;
            return true;
        }
        if ((quote && source.bytes[i] == quote) || starts_with(text_from(source, i), TURN_START))
            return false;
        if (quote && source.bytes[i] == '\\')
            i++;
        if (!quote &&
            (starts_with(text_from(source, i), "{{") || starts_with(text_from(source, i), "{%")))
            return false;
    }
    return false;
}

/* The first system turn that the template's source holds as a constant. */
static void find_default_system(struct text source, struct chat_format *format)
{
    for (size_t at = 0; (at = find(source, at, SYSTEM_START)) < source.length; at++) {
        char quote = at > 0 ? source.bytes[at - 1] : 0;
        if (quote != '\'' && quote != '"')
            quote = 0;
        size_t begin = at + strlen(SYSTEM_START), length = 0;
        if (starts_with(text_from(source, begin), "\n"))
            begin += 1;
        else if (quote && starts_with(text_from(source, begin), "\\n"))
            begin += 2;
        else
            continue;
        if (constant_length(source, begin, quote, &length)) {
            format->default_system = (struct text){source.bytes + begin, length};
            format->escaped = quote != 0;
            return;
        }
    }
}

int chat_format_detect(const struct vocabulary *vocabulary, const struct tokenizer *tokenizer,
                       struct chat_format *out, struct error *error)
{
    struct text source = vocabulary->chat_template;
    *out = (struct chat_format){.family = CHAT_NONE};
    if (source.length == 0) {
        if (tokenizer_special_id(tokenizer, text_of(TURN_START)) != VOCABULARY_NONE &&
            tokenizer_special_id(tokenizer, text_of(TURN_END)) != VOCABULARY_NONE)
            out->family = CHAT_CHATML;
        return 0;
    }
    if (!contains(source, TURN_START) || contains(source, "<|im_sep|>") ||
        contains(source, "<end_of_utterance>"))
        return error_set(error, ENOEXEC,
                         "chat template of an unknown family (only ChatML is known)");
    out->family = CHAT_CHATML;
    out->trims = template_trims(source);
    find_default_system(source, out);
    return 0;
}

void chat_text_free(struct chat_text *text)
{
    buffer_free(&text->text);
    free(text->spans);
    text->spans = NULL;
    text->count = text->capacity = 0;
}

/* Append bytes to the text, joining them to the last span if it is of the same kind. */
static int add(struct chat_text *out, struct text bytes, bool special)
{
    size_t begin = out->text.length;
    int status = buffer_append_text(&out->text, bytes);
    if (status || bytes.length == 0)
        return status;
    if (out->count && out->spans[out->count - 1].special == special) {
        out->spans[out->count - 1].end = out->text.length;
        return 0;
    }
    status = memory_grow((void **)&out->spans, &out->capacity, out->count + 1, sizeof *out->spans,
                         SPANS_MAX);
    if (!status)
        out->spans[out->count++] = (struct chat_span){begin, out->text.length, special};
    return status;
}

/* Append a Jinja string's content, its escapes decoded. */
static int add_escaped(struct chat_text *out, struct text source)
{
    static const char letters[] = "nrt", meanings[] = "\n\r\t";
    int status = 0;
    for (size_t i = 0; i < source.length && !status; i++) {
        const char *byte = &source.bytes[i];
        if (*byte == '\\' && i + 1 < source.length) {
            byte = &source.bytes[++i];
            const char *letter = *byte ? strchr(letters, *byte) : NULL;
            if (letter)
                byte = &meanings[letter - letters];
        }
        status = add(out, (struct text){byte, 1}, false);
    }
    return status;
}

static int open_turn(struct chat_text *out, struct text role)
{
    int status = add(out, text_of(TURN_START), true);
    if (!status)
        status = add(out, role, false);
    return status ? status : add(out, text_of("\n"), false);
}

static int close_turn(struct chat_text *out)
{
    int status = add(out, text_of(TURN_END), true);
    return status ? status : add(out, text_of("\n"), false);
}

static int render_chatml(const struct chat_format *format, const struct chat_message *messages,
                         size_t count, struct chat_text *out)
{
    int status = 0;
    if (format->default_system.length && !text_is(messages[0].role, "system")) {
        status = open_turn(out, text_of("system"));
        if (!status)
            status = format->escaped ? add_escaped(out, format->default_system)
                                     : add(out, format->default_system, false);
        if (!status)
            status = close_turn(out);
    }
    for (size_t i = 0; i < count && !status; i++) {
        struct text content = messages[i].content;
        status = open_turn(out, messages[i].role);
        if (!status)
            status = add(out, format->trims ? trim(content) : content, false);
        if (!status)
            status = close_turn(out);
    }
    return status ? status : open_turn(out, text_of("assistant"));
}

static int render_plain(const struct chat_message *messages, size_t count, struct chat_text *out)
{
    int status = 0;
    for (size_t i = 0; i < count && !status; i++) {
        if (i > 0)
            status = add(out, text_of("\n"), false);
        if (!status)
            status = add(out, messages[i].content, false);
    }
    return status;
}

static int check_messages(const struct chat_format *format, const struct chat_message *messages,
                          size_t count, struct error *error)
{
    if (count == 0)
        return error_set(error, EINVAL, "a conversation needs at least one message");
    if (count > CHAT_MESSAGES_MAX)
        return error_set(error, EMSGSIZE, "%zu messages, more than %d", count, CHAT_MESSAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct text role = messages[i].role;
        bool is_user = text_is(role, "user");
        if (!is_user && !text_is(role, "assistant") && !text_is(role, "system") &&
            !text_is(role, "tool"))
            return error_set(error, EINVAL, "unknown role \"%.*s\"", TEXT_ARGUMENTS(role));
        if (!is_user && format->family == CHAT_NONE)
            return error_set(error, EINVAL,
                             "this model has no chat template: only user messages, not \"%.*s\"",
                             TEXT_ARGUMENTS(role));
    }
    return 0;
}

int chat_render(const struct chat_format *format, const struct chat_message *messages, size_t count,
                struct chat_text *out, struct error *error)
{
    *out = (struct chat_text){.text = buffer_new(CHAT_TEXT_BYTES_MAX)};
    int status = check_messages(format, messages, count, error);
    if (status)
        return status;
    status = format->family == CHAT_CHATML ? render_chatml(format, messages, count, out)
                                           : render_plain(messages, count, out);
    if (status) {
        chat_text_free(out);
        error_set(error, -status,
                  status == -EMSGSIZE ? "the conversation is longer than %d bytes"
                                      : "no memory for a conversation of up to %d bytes",
                  CHAT_TEXT_BYTES_MAX);
    }
    return status;
}

int chat_encode(const struct tokenizer *tokenizer, const struct chat_text *text, struct tokens *out)
{
    size_t count_before = out->count;
    int status = 0;
    for (size_t i = 0; i < text->count && !status; i++) {
        struct chat_span span = text->spans[i];
        struct text bytes = {text->text.bytes + span.begin, span.end - span.begin};
        status = tokenizer_encode(tokenizer, bytes,
                                  span.special ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN, out);
    }
    if (status)
        out->count = count_before;
    return status;
}
