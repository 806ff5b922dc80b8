/* render.c - compiling and rendering as a whole; see ../template.h and render.h. */
#include "text/template/render.h"

#include "text/template/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct template
{
    struct arena arena;
    const struct node *statements;
};

int template_compile(struct text source, struct template **out, struct error *error)
{
    *out = NULL;
    if (source.length > TEMPLATE_SOURCE_BYTES_MAX)
        return error_set(error, EMSGSIZE, "a chat template of %zu bytes, more than %d",
                         source.length, TEMPLATE_SOURCE_BYTES_MAX);
    struct template *made = memory_try(1, sizeof *made);
    struct lexer_token *tokens = NULL;
    size_t count;
    if (!made)
        return error_set(error, ENOMEM, "no memory for a chat template");
    made->arena = arena_new(TEMPLATE_TREE_BYTES_MAX);
    int status = lexer_read(source, &made->arena, &tokens, &count, error);
    if (!status) {
        struct parser parser = {.at = tokens, .arena = &made->arena, .error = error};
        made->statements = parser_template(&parser);
        status = parser.status;
        free(tokens);
    }
    if (status)
        template_free(made);
    else
        *out = made;
    return status;
}

void template_free(struct template *source)
{
    if (!source)
        return;
    arena_free(&source->arena);
    free(source);
}

size_t template_bytes(const struct template *source)
{
    return sizeof *source + source->arena.total;
}

void template_text_free(struct template_text *text)
{
    buffer_free(&text->text);
    free(text->spans);
    text->spans = NULL;
    text->span_count = text->span_capacity = 0;
}

struct template_limits template_limits_default(void)
{
    return (struct template_limits){.steps = TEMPLATE_STEPS_MAX,
                                    .memory_bytes = TEMPLATE_MEMORY_BYTES_MAX,
                                    .text_bytes = TEMPLATE_TEXT_BYTES_MAX};
}

/* ---- the budget ---- */

struct value render_fail(struct render *render, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    if (!render->status) {
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        render->status =
            error_set(render->error, code, "chat template, line %u: %s", render->line, text);
    }
    return value_undefined(NULL);
}

void *render_allocate(struct render *render, size_t count, size_t size)
{
    void *memory = render->status ? NULL : arena_allocate(&render->arena, count, size);
    if (memory || render->status)
        return memory;
    if (render->arena.status == -ENOMEM)
        render_fail(render, ENOMEM, "no memory");
    else
        render_fail(render, ENOEXEC, "more than %zu bytes of values", render->limits.memory_bytes);
    return NULL;
}

bool render_step(struct render *render, uint64_t steps)
{
    if (steps > render->limits.steps - render->steps)
        render_fail(render, ENOEXEC, "more than %llu steps",
                    (unsigned long long)render->limits.steps);
    else
        render->steps += steps;
    return render->status == 0;
}

bool render_work(struct render *render, size_t bytes)
{
    return render_step(render, 1 + bytes / TEMPLATE_STEP_BYTES);
}

bool render_enter(struct render *render)
{
    if (render->nesting == TEMPLATE_NESTING_MAX)
        render_fail(render, ENOEXEC, "nested deeper than %d", TEMPLATE_NESTING_MAX);
    if (!render_step(render, 1))
        return false;
    render->nesting++;
    return true;
}

void render_leave(struct render *render)
{
    render->nesting--;
}

/* ---- inputs ---- */

static struct value string_input(struct render *render, const struct template_string *string)
{
    return value_string(
        rope_of(render, string->value, string->trusted ? ROPE_TEMPLATE : ROPE_USER));
}

static struct value message_value(struct render *render, const struct template_message *message)
{
    struct dict *dict = dict_new(render);
    for (size_t i = 0; i < message->field_count; i++)
        dict_set(render, dict,
                 value_string(rope_of(render, message->fields[i].name, ROPE_TEMPLATE)),
                 string_input(render, &message->fields[i]));
    return (struct value){.kind = VALUE_DICT, .dict = dict};
}

static struct scope *input_scope(struct render *render)
{
    const struct template_inputs *inputs = render->inputs;
    struct scope *scope = scope_open(render, NULL);
    struct list *messages = list_new(render, LIST_PLAIN, inputs->message_count);
    for (size_t i = 0; i < inputs->message_count; i++)
        list_append(render, messages, message_value(render, &inputs->messages[i]));
    scope_set(render, scope, text_of("messages"), list_value(messages));
    scope_set(render, scope, text_of("tools"), value_none());
    scope_set(render, scope, text_of("documents"), value_none());
    scope_set(render, scope, text_of("add_generation_prompt"),
              value_bool(inputs->add_generation_prompt));
    for (size_t i = 0; i < inputs->string_count; i++)
        scope_set(render, scope, inputs->strings[i].name,
                  string_input(render, &inputs->strings[i]));
    for (size_t i = 0; i < inputs->flag_count; i++)
        scope_set(render, scope, inputs->flags[i].name, value_bool(inputs->flags[i].value));
    return scope;
}

/* ---- the result ---- */

/* Spans may take as much as the values: one repeated pair of bytes makes a span of every byte. */
static int add_span(struct render *render, struct template_text *out, struct template_span span)
{
    size_t memory_bytes = render->limits.memory_bytes;
    int status = memory_grow((void **)&out->spans, &out->span_capacity, out->span_count + 1,
                             sizeof *out->spans, memory_bytes / sizeof *out->spans);
    if (status == -EMSGSIZE)
        return error_set(render->error, ENOEXEC,
                         "chat template: text and values are mixed in more than %zu places",
                         memory_bytes / sizeof *out->spans);
    if (!status)
        out->spans[out->span_count++] = span;
    return status;
}

static int take_result(struct render *render, struct template_text *out)
{
    struct rope *rope = render->output;
    struct text text = rope_text(render, rope);
    int status = render->status ? render->status : buffer_append_text(&out->text, text);
    for (size_t begin = 0, end; begin < text.length && !status; begin = end) {
        bool trusted = rope->marks ? rope->marks[begin] : rope->origin == ROPE_TEMPLATE;
        end = text.length;
        if (rope->marks) {
            const void *border = memchr(rope->marks + begin, !trusted, text.length - begin);
            end = border ? (size_t)((const unsigned char *)border - rope->marks) : end;
        }
        status = add_span(render, out, (struct template_span){begin, end, trusted});
    }
    if (status == -ENOMEM)
        error_set(render->error, ENOMEM, "no memory for a conversation");
    return status;
}

int template_render(const struct template *source, const struct template_inputs *inputs,
                    const struct template_limits *limits, struct template_text *out,
                    struct error *error)
{
    *out = (struct template_text){.text = buffer_new(limits->text_bytes)};
    struct render render = {.arena = arena_new(limits->memory_bytes),
                            .limits = *limits,
                            .inputs = inputs,
                            .line = 1,
                            .error = error};
    render.output = rope_of(&render, (struct text){0}, ROPE_TEMPLATE);
    render.scope = scope_open(&render, input_scope(&render));
    statements_run(&render, source->statements);
    int status = take_result(&render, out);
    arena_free(&render.arena);
    if (status)
        template_text_free(out);
    return status;
}
