/* chat.c - see chat.h.
 *
 * Only markers are special spans; role, newline and content stay together in one plain span,
 * because a reference tokenizer too merges across "user\n" and what the user wrote. */
#include "text/chat.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_START "<|im_start|>"
#define TURN_END   "<|im_end|>"

_Static_assert((int)CHAT_TEXT_BYTES_MAX == (int)TEMPLATE_TEXT_BYTES_MAX,
               "chat.h promises what template.h does");

/* For a model whose vocabulary has the markers but whose file has no template. */
static const char chatml[] =
    "{% for message in messages %}" TURN_START
    "{{ message.role + '\\n' + message.content }}" TURN_END
    "{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}" TURN_START "assistant{{ '\\n' }}"
    "{% endif %}";

/* ---- formats ---- */

int chat_format_compile(struct text source, struct text bos, struct text eos,
                        struct chat_format *out, struct error *error)
{
    *out = (struct chat_format){.bos = bos, .eos = eos};
    int status = template_compile(source, &out->template, error);
    if (!status)
        out->family = CHAT_TEMPLATE;
    return status;
}

static struct text token_text(const struct vocabulary *vocabulary, int32_t id)
{
    return id == VOCABULARY_NONE ? (struct text){0} : vocabulary_token(vocabulary, id);
}

int chat_format_open(const struct vocabulary *vocabulary, const struct tokenizer *tokenizer,
                     struct chat_format *out, struct error *error)
{
    struct text source = vocabulary->chat_template;
    *out = (struct chat_format){.family = CHAT_NONE};
    if (source.length == 0) {
        if (tokenizer_special_id(tokenizer, text_of(TURN_START)) == VOCABULARY_NONE ||
            tokenizer_special_id(tokenizer, text_of(TURN_END)) == VOCABULARY_NONE)
            return 0;
        source = text_of(chatml);
    }
    int status = chat_format_compile(source, token_text(vocabulary, vocabulary->bos),
                                     token_text(vocabulary, vocabulary->eos), out, error);
    out->tokenizer = tokenizer;
    return status;
}

void chat_format_close(struct chat_format *format)
{
    template_free(format->template);
    *format = (struct chat_format){.family = CHAT_NONE};
}

/* ---- spans ---- */

void chat_text_free(struct chat_text *text)
{
    buffer_free(&text->text);
    free(text->spans);
    text->spans = NULL;
    text->count = text->capacity = 0;
}

/* The next bytes, up to `end`, are of this kind; neighbours of one kind are one span. */
static int add_span(struct chat_text *out, size_t end, bool special)
{
    size_t begin = out->count ? out->spans[out->count - 1].end : 0;
    if (begin == end)
        return 0;
    if (out->count && out->spans[out->count - 1].special == special) {
        out->spans[out->count - 1].end = end;
        return 0;
    }
    int status = memory_grow((void **)&out->spans, &out->capacity, out->count + 1,
                             sizeof *out->spans, CHAT_TEXT_BYTES_MAX);
    if (!status)
        out->spans[out->count++] = (struct chat_span){begin, end, special};
    return status;
}

/* The markers in a run of the template's own bytes. */
static int add_markers(const struct tokenizer *tokenizer, const struct template_span *run,
                       struct chat_text *out)
{
    struct text text = {out->text.bytes, run->end};
    int status = 0;
    for (size_t at = run->begin, begin, end; !status; at = end) {
        if (tokenizer_next_special(tokenizer, text, at, &begin, &end) == VOCABULARY_NONE)
            break;
        status = add_span(out, begin, false);
        if (!status)
            status = add_span(out, end, true);
    }
    return status ? status : add_span(out, run->end, false);
}

/* The bytes change hands; the spans are made anew. */
static int take_rendered(const struct chat_format *format, struct template_text *rendered,
                         struct chat_text *out)
{
    int status = 0;
    out->text = rendered->text;
    rendered->text = buffer_new(rendered->text.limit);
    for (size_t i = 0; i < rendered->span_count && !status; i++) {
        const struct template_span *run = &rendered->spans[i];
        status = run->trusted && format->tokenizer ? add_markers(format->tokenizer, run, out)
                                                   : add_span(out, run->end, false);
    }
    return status;
}

/* ---- rendering ---- */

/* The fields of all messages, two each.  Roles are trusted: check_messages() knows all of them, and
 * many templates write them into a marker ('<|' + role + '|>'). */
static struct template_string *fields_of(const struct chat_message *messages, size_t count)
{
    struct template_string *fields = memory_try(count, 2 * sizeof *fields);
    for (size_t i = 0; fields && i < count; i++) {
        fields[2 * i] = (struct template_string){text_of("role"), messages[i].role, true};
        fields[2 * i + 1] =
            (struct template_string){text_of("content"), messages[i].content, false};
    }
    return fields;
}

static struct tm local_time(void)
{
    time_t now = time(NULL);
    struct tm local = {.tm_mday = 1};
    localtime_r(&now, &local);
    return local;
}

static int render_template(const struct chat_format *format, const struct template_inputs *common,
                           const struct chat_options *options, struct template_text *out,
                           struct error *error)
{
    const struct template_string strings[] = {{text_of("bos_token"), format->bos, true},
                                              {text_of("eos_token"), format->eos, true}};
    const struct template_flag thinking = {text_of("enable_thinking"),
                                           options->thinking == CHAT_THINKING_ON};
    const struct template_limits limits = template_limits_default();
    struct template_inputs inputs = *common;
    inputs.strings = format->bos.length ? strings : strings + 1;
    inputs.string_count = (format->bos.length > 0) + (format->eos.length > 0);
    inputs.flags = &thinking;
    inputs.flag_count = options->thinking != CHAT_THINKING_UNSET;
    inputs.add_generation_prompt = true;
    inputs.now = options->now ? *options->now : local_time();
    return template_render(format->template, &inputs, &limits, out, error);
}

static int render_messages(const struct chat_format *format, const struct chat_message *messages,
                           size_t count, const struct chat_options *options, struct chat_text *out,
                           struct error *error)
{
    struct template_string *fields = fields_of(messages, count);
    struct template_message *inputs = memory_try(count, sizeof *inputs);
    struct template_text rendered = {0};
    int status = fields && inputs ? 0 : -ENOMEM;
    for (size_t i = 0; !status && i < count; i++)
        inputs[i] = (struct template_message){&fields[2 * i], 2};
    if (!status)
        status = render_template(
            format, &(struct template_inputs){.messages = inputs, .message_count = count}, options,
            &rendered, error);
    if (!status)
        status = take_rendered(format, &rendered, out);
    if (!status && out->text.length == 0)
        status = error_set(error, EINVAL, "the chat template writes nothing for this conversation");
    template_text_free(&rendered);
    free(inputs);
    free(fields);
    return status;
}

static int render_plain(const struct chat_message *messages, size_t count, struct chat_text *out)
{
    int status = 0;
    for (size_t i = 0; i < count && !status; i++) {
        if (i > 0)
            status = buffer_append_text(&out->text, text_of("\n"));
        if (!status)
            status = buffer_append_text(&out->text, messages[i].content);
    }
    return status ? status : add_span(out, out->text.length, false);
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
                const struct chat_options *options, struct chat_text *out, struct error *error)
{
    *out = (struct chat_text){.text = buffer_new(CHAT_TEXT_BYTES_MAX)};
    int status = check_messages(format, messages, count, error);
    if (status)
        return status;
    status = format->family == CHAT_TEMPLATE
                 ? render_messages(format, messages, count, options, out, error)
                 : render_plain(messages, count, out);
    if (status)
        chat_text_free(out);
    if (status == -EMSGSIZE)
        error_set(error, EMSGSIZE, "the conversation is longer than %d bytes", CHAT_TEXT_BYTES_MAX);
    else if (status == -ENOMEM)
        error_set(error, ENOMEM, "no memory for a conversation of up to %d bytes",
                  CHAT_TEXT_BYTES_MAX);
    return status;
}

int chat_encode(const struct tokenizer *tokenizer, const struct chat_text *text, struct tokens *out)
{
    size_t count_before = out->count;
    int status = 0;
    for (size_t i = 0; i < text->count && !status; i++) {
        struct chat_span span = text->spans[i];
        struct text bytes = {text->text.bytes + span.begin, span.end - span.begin};
        enum tokenizer_text kind = span.special ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN;
        status = tokenizer_encode(tokenizer, bytes, i ? kind | TOKENIZER_CONTINUES : kind, out);
    }
    if (status)
        out->count = count_before;
    return status;
}
