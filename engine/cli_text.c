/* cli_text.c - see cli_text.h. */
#include "cli_text.h"

#include "cli.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "text/tokens.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static int print_ids(const char *model, const struct tokenizer *tokenizer, struct text text,
                     enum tokenizer_text special)
{
    struct tokens tokens = {0};
    int status = tokenizer_encode(tokenizer, text, special, &tokens);
    if (status) {
        tokens_free(&tokens);
        return cli_fail(model, strerror(-status));
    }
    for (size_t i = 0; i < tokens.count; i++)
        printf("%s%d", i ? " " : "", tokens.ids[i]);
    putchar('\n');
    tokens_free(&tokens);
    return 0;
}

/* Separated, not ended: n NULs stand between n + 1 texts. */
static int print_ids_of_each(const char *model, const struct tokenizer *tokenizer, struct text all,
                             enum tokenizer_text special)
{
    for (;;) {
        const char *nul = all.length ? memchr(all.bytes, '\0', all.length) : NULL;
        size_t length = nul ? (size_t)(nul - all.bytes) : all.length;
        int status = print_ids(model, tokenizer, (struct text){all.bytes, length}, special);
        if (status || !nul)
            return status;
        all = (struct text){nul + 1, all.length - length - 1};
    }
}

int cli_text_tokenize(int argc, char **argv)
{
    enum { NAME_SPECIAL = 256, NAME_NULL };
    static const struct option options[] = {
        {"special", no_argument, NULL, NAME_SPECIAL}, {"null", no_argument, NULL, NAME_NULL}, {0}};
    enum tokenizer_text special = TOKENIZER_PLAIN;
    bool null = false;
    for (int option; (option = cli_option(argc, argv, ":", options)) != -1;) {
        if (option == NAME_SPECIAL)
            special = TOKENIZER_SPECIAL;
        else if (option == NAME_NULL)
            null = true;
        else
            return CLI_USAGE;
    }
    const char *model = cli_model(argc, argv);
    if (!model)
        return CLI_USAGE;
    struct engine *engine;
    struct buffer input;
    int status = cli_open_and_read(model, NULL, &engine, &input);
    if (status)
        return status;
    const struct tokenizer *tokenizer = engine_tokenizer(engine);
    status = null ? print_ids_of_each(model, tokenizer, buffer_text(&input), special)
                  : print_ids(model, tokenizer, buffer_text(&input), special);
    buffer_free(&input);
    engine_close(engine);
    return cli_finish(model, status);
}

/* The space that encoding put before the text is not part of it. */
static void print_piece(struct text piece, bool without_space)
{
    size_t skipped = without_space && piece.length && piece.bytes[0] == ' ';
    fwrite(piece.bytes + skipped, 1, piece.length - skipped, stdout);
}

static int print_pieces(const char *model, const struct tokenizer *tokenizer,
                        const struct tokens *tokens)
{
    size_t capacity = tokenizer_piece_bytes_max(tokenizer);
    char *piece = memory_try(capacity, 1);
    int status = piece ? 0 : cli_fail(model, "no memory for a token");
    for (size_t i = 0; !status && i < tokens->count; i++) {
        long length = tokenizer_decode(tokenizer, tokens->ids[i], true, piece, capacity);
        if (length < 0 || (size_t)length > capacity)
            status = cli_fail(model, "a token id is not in the vocabulary");
        else
            print_piece((struct text){piece, (size_t)length},
                        i == 0 && tokenizer_adds_space(tokenizer));
    }
    free(piece);
    return status;
}

int cli_text_detokenize(int argc, char **argv)
{
    const char *model = cli_only_model(argc, argv);
    if (!model)
        return CLI_USAGE;
    struct engine *engine;
    struct tokens tokens;
    int status = cli_open(model, NULL, &engine);
    if (status)
        return status;
    status = cli_read_ids(model, &tokens);
    if (!status) {
        status = print_pieces(model, engine_tokenizer(engine), &tokens);
        tokens_free(&tokens);
    }
    engine_close(engine);
    return cli_finish(model, status);
}

/* --- render ----------------------------------------------------------------------------------- */

static bool text_from_json(const json_t *object, const char *key, struct text *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return false;
    *out = (struct text){json_string_value(value), json_string_length(value)};
    return true;
}

/* Point messages[CHAT_MESSAGES_MAX] at the strings of a JSON array. */
static bool messages_from_json(const json_t *array, struct chat_message *messages, size_t *count)
{
    *count = json_array_size(array); /* 0 when it is none */
    if (*count == 0 || *count > CHAT_MESSAGES_MAX)
        return false;
    for (size_t i = 0; i < *count; i++) {
        const json_t *object = json_array_get(array, i);
        if (!text_from_json(object, "role", &messages[i].role) ||
            !text_from_json(object, "content", &messages[i].content))
            return false;
    }
    return true;
}

/* What `render` was asked for. */
struct rendering {
    const char *name; /* MODEL or FILE, for messages */
    const char *template_path;
    struct text bos, eos;
    struct chat_options options;
};

static int print_chat(const struct rendering *rendering, const struct chat_format *format,
                      const json_t *array)
{
    struct chat_message *messages = memory_try(CHAT_MESSAGES_MAX, sizeof *messages);
    struct chat_text text = {.text = buffer_new(CHAT_TEXT_BYTES_MAX)};
    struct error error = {0};
    size_t count;
    int status = 0;
    if (!messages)
        status = cli_fail(rendering->name, "no memory for the messages");
    else if (!messages_from_json(array, messages, &count))
        status = cli_fail(rendering->name,
                          "standard input is not [{\"role\":\"...\",\"content\":\"...\"}]");
    else if (chat_render(format, messages, count, &rendering->options, &text, &error))
        status = cli_fail(rendering->name, error.text);
    else
        fwrite(text.text.bytes, 1, text.text.length, stdout);
    chat_text_free(&text);
    free(messages);
    return status;
}

static int print_input(const struct rendering *rendering, const struct chat_format *format,
                       const struct buffer *input)
{
    json_t *array =
        input->length ? json_loadb(input->bytes, input->length, JSON_ALLOW_NUL, NULL) : NULL;
    int status = print_chat(rendering, format, array);
    json_decref(array);
    return cli_finish(rendering->name, status);
}

static int render_model(const struct rendering *rendering)
{
    struct engine *engine;
    struct buffer input;
    int status = cli_open_and_read(rendering->name, NULL, &engine, &input);
    if (status)
        return status;
    status = engine_chat_format(engine) ? print_input(rendering, engine_chat_format(engine), &input)
                                        : cli_fail(rendering->name, engine_chat_error(engine));
    buffer_free(&input);
    engine_close(engine);
    return status;
}

/* The whole file, and no more than a template may have. */
static int read_template(const char *path, struct buffer *out)
{
    char bytes[1 << 14];
    *out = buffer_new(TEMPLATE_SOURCE_BYTES_MAX);
    FILE *file = fopen(path, "rb");
    int status = file ? 0 : cli_fail(path, strerror(errno));
    for (size_t length; !status && (length = fread(bytes, 1, sizeof bytes, file)) > 0;)
        if (buffer_append(out, bytes, length))
            status = cli_fail(path, "the chat template is too long");
    if (!status && ferror(file))
        status = cli_fail(path, "it can't be read");
    if (file)
        fclose(file);
    return status;
}

static int render_file(const struct rendering *rendering)
{
    struct chat_format format = {0};
    struct buffer source, input;
    struct error error = {0};
    int status = read_template(rendering->template_path, &source);
    if (!status &&
        chat_format_compile(buffer_text(&source), rendering->bos, rendering->eos, &format, &error))
        status = cli_fail(rendering->name, error.text);
    if (!status)
        status = cli_read_input(rendering->name, &input);
    if (!status) {
        status = print_input(rendering, &format, &input);
        buffer_free(&input);
    }
    chat_format_close(&format);
    buffer_free(&source);
    return status;
}

int cli_text_render(int argc, char **argv)
{
    enum { NAME_TEMPLATE = 256, NAME_BOS, NAME_EOS, NAME_THINKING };
    static const struct option options[] = {{"template", required_argument, NULL, NAME_TEMPLATE},
                                            {"bos", required_argument, NULL, NAME_BOS},
                                            {"eos", required_argument, NULL, NAME_EOS},
                                            {"thinking", required_argument, NULL, NAME_THINKING},
                                            {0}};
    struct rendering rendering = {0};
    for (int option; (option = cli_option(argc, argv, ":", options)) != -1;) {
        if (option == NAME_TEMPLATE)
            rendering.template_path = optarg;
        else if (option == NAME_BOS)
            rendering.bos = text_of(optarg);
        else if (option == NAME_EOS)
            rendering.eos = text_of(optarg);
        else if (option != NAME_THINKING || !cli_thinking(argv[0], optarg, &rendering.options))
            return CLI_USAGE;
    }
    rendering.name = rendering.template_path;
    if (rendering.template_path && optind < argc)
        return cli_usage(argv[0], "MODEL or --template, not both");
    if (!rendering.template_path && (rendering.bos.bytes || rendering.eos.bytes))
        return cli_usage(argv[0], "--bos and --eos only with --template");
    if (rendering.template_path)
        return render_file(&rendering);
    rendering.name = cli_model(argc, argv);
    return rendering.name ? render_model(&rendering) : CLI_USAGE;
}
