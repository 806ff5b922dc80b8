/* cli_embed.c - see cli_embed.h. */
#include "cli_embed.h"

#include "cli.h"
#include "generate/texts.h"

#include <stdio.h>

enum { NAME_NULL = 256, NAME_FORMAT };

struct command {
    const char *model;
    struct engine_options engine;
    bool null;
    enum engine_format format;
};

struct progress {
    const struct command *command;
    bool done;
    int status;
    uint64_t needed; /* bytes of KV memory asked for in this step */
};

static const struct option long_options[] = {
    {"null", no_argument, NULL, NAME_NULL},
    {"format", required_argument, NULL, NAME_FORMAT},
    {"threads", required_argument, NULL, CLI_THREADS},
    {"kernels", required_argument, NULL, CLI_KERNELS},
    {"kv", required_argument, NULL, CLI_KV},
    {0},
};

static bool set_format(struct command *command)
{
    if (strcmp(optarg, "json") == 0)
        command->format = ENGINE_JSON;
    else if (strcmp(optarg, "f32") == 0)
        command->format = ENGINE_F32;
    else
        return cli_usage("embed", "--format: '%s' is not json or f32", optarg) == 0;
    return true;
}

static bool set_option(struct command *command, int option)
{
    if (option == NAME_NULL)
        return command->null = true;
    if (option == NAME_FORMAT)
        return set_format(command);
    return cli_engine_option("embed", option, &command->engine);
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    (void)owner;
    (void)id;
    fwrite(text.bytes, 1, text.length, stdout);
}

static void on_done(void *owner, uint64_t id, enum engine_finish finish,
                    const struct engine_usage *usage, const struct error *error)
{
    struct progress *progress = owner;
    (void)id;
    progress->done = true;
    if (finish == ENGINE_FAILED)
        progress->status = cli_fail(progress->command->model, error ? error->text : "failed");
    else if (usage->truncated_texts)
        fprintf(stderr, "inferfs-engine: %s: %d of the texts were cut to what the model reads\n",
                progress->command->model, usage->truncated_texts);
}

static void on_need(void *owner, uint64_t bytes)
{
    ((struct progress *)owner)->needed += bytes;
}

static int run(const struct command *command, struct engine *engine, const struct texts *texts)
{
    struct progress progress = {.command = command};
    const struct engine_sink sink = {
        .owner = &progress, .text = on_text, .done = on_done, .need = on_need};
    const struct engine_request request = {
        .texts = texts->items, .text_count = texts->count, .format = command->format};
    struct error error = {0};
    if (engine_submit(engine, 0, &request, &error))
        return cli_fail(command->model, error.text);
    while (!progress.done && !ferror(stdout)) {
        engine_step(engine, &sink);
        if (progress.needed)
            engine_grant(engine, progress.needed);
        progress.needed = 0;
    }
    return progress.status;
}

static int embed(const struct command *command, struct engine *engine, struct text input)
{
    struct texts texts;
    struct error error = {0};
    if (!engine_embeds(engine))
        return cli_fail(command->model, "the model generates; it makes no embeddings");
    if (texts_split(input, command->null ? 0 : '\n', false, &texts, &error))
        return cli_fail(command->model, error.text);
    int status = texts.count ? run(command, engine, &texts) : 0;
    texts_free(&texts);
    return status;
}

int cli_embed(int argc, char **argv)
{
    struct command command = {.engine = cli_engine_options()};
    command.engine.populate = true;
    for (int option; (option = cli_option(argc, argv, ":t:", long_options)) != -1;)
        if (!set_option(&command, option))
            return CLI_USAGE;
    command.model = cli_model(argc, argv);
    if (!command.model)
        return CLI_USAGE;
    struct engine *engine;
    struct buffer input;
    int status = cli_open_and_read(command.model, &command.engine, &engine, &input);
    if (status)
        return status;
    status = embed(&command, engine, buffer_text(&input));
    buffer_free(&input);
    engine_close(engine);
    return cli_finish(command.model, status);
}
