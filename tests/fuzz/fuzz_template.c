/* fuzz_template.c - any chat template with any conversation: no crash, no hang, and no byte of a
 * user that is called the template's.
 *
 * The input is a template, a NUL byte, and a user's text.  That text has a byte put between all of
 * its own that the template can't write: where it turns up it must be untrusted.
 * Build with -fsanitize=fuzzer,address,undefined. */
#include "text/template.h"

#include <stdlib.h>

enum { MARK = 0x01 };

/* Can the template itself write the mark?  It would need the byte, an escape, or a date. */
static bool can_write_mark(struct text source)
{
    return source.length && (memchr(source.bytes, MARK, source.length) ||
                             memchr(source.bytes, '\\', source.length) ||
                             memmem(source.bytes, source.length, "strftime_now", 12));
}

static void check_spans(const struct template_text *text, bool may_have_marks)
{
    size_t end = 0;
    for (size_t i = 0; i < text->span_count; i++) {
        const struct template_span *span = &text->spans[i];
        if (span->begin != end || span->end <= span->begin)
            abort();
        if (i > 0 && span->trusted == text->spans[i - 1].trusted)
            abort();
        if (span->trusted && !may_have_marks &&
            memchr(text->text.bytes + span->begin, MARK, span->end - span->begin))
            abort();
        end = span->end;
    }
    if (end != text->text.length)
        abort();
}

static char *marked(const uint8_t *data, size_t size)
{
    char *text = malloc(2 * size + 2);
    if (!text)
        abort();
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = MARK;
        text[2 * i + 1] = (char)data[i];
    }
    text[2 * size] = MARK;
    return text;
}

static void render(const struct template *compiled, struct text user, bool may_have_marks)
{
    const struct template_limits limits = {
        .steps = 20000, .memory_bytes = 4 << 20, .text_bytes = 1 << 20};
    const struct template_string strings[] = {{text_of("bos_token"), text_of("<s>"), true},
                                              {text_of("eos_token"), text_of("</s>"), true}};
    const struct template_string fields[] = {
        {text_of("role"), text_of("system"), true},
        {text_of("content"), user, false},
        {text_of("role"), text_of("user"), true},
        {text_of("content"), user, false},
    };
    const struct template_message messages[] = {{fields, 2}, {fields + 2, 2}};
    const struct template_inputs inputs = {.messages = messages,
                                           .message_count = 2,
                                           .strings = strings,
                                           .string_count = 2,
                                           .add_generation_prompt = true,
                                           .now = {.tm_year = 126, .tm_mday = 1}};
    struct template_text out;
    struct error error = {0};
    int status = template_render(compiled, &inputs, &limits, &out, &error);
    if (status && (error.code != -status || out.text.length))
        abort();
    check_spans(&out, may_have_marks);
    template_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    struct text source = {(const char *)data, length};
    struct template *compiled;
    struct error error = {0};
    int status = template_compile(source, &compiled, &error);
    if (status && (error.code != -status || error.text[0] == 0))
        abort();
    if (status)
        return 0;
    size_t rest = nul ? size - length - 1 : 0;
    char *user = marked(data + size - rest, rest);
    render(compiled, (struct text){user, 2 * rest + 1}, can_write_mark(source));
    template_free(compiled);
    free(user);
    return 0;
}
