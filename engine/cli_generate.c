/* cli_generate.c - see cli_generate.h.
 *
 * --batch N runs N copies of the request side by side, prints the first and fails when another one
 * chose other tokens: the promise that a result does not depend on what else runs, as a command.
 */
#include "cli_generate.h"

#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAME_RAW = 256, NAME_CHAT, NAME_IDS };

struct command {
    const char *model;
    struct engine_options engine;
    bool raw, ids;
    struct sampling sampling;
    int32_t max_tokens;
    int32_t batch;
    const char *system;
    struct text stops[ENGINE_STOPS_MAX];
    size_t stop_count;
};

/* The copies' ids are their places in `trails`. */
struct progress {
    const struct command *command;
    int32_t running;
    int32_t printed; /* ids */
    uint64_t needed; /* bytes of KV memory asked for in this step */
    int status;
    uint64_t trails[ENGINE_SEQUENCES_MAX]; /* a hash of the tokens so far */
};

static const struct option long_options[] = {
    {"raw", no_argument, NULL, NAME_RAW},
    {"chat", no_argument, NULL, NAME_CHAT},
    {"ids", no_argument, NULL, NAME_IDS},
    {"max-tokens", required_argument, NULL, 'n'},
    {"temperature", required_argument, NULL, 'T'},
    {"top-k", required_argument, NULL, 'k'},
    {"top-p", required_argument, NULL, 'p'},
    {"min-p", required_argument, NULL, 'm'},
    {"repeat-penalty", required_argument, NULL, 'r'},
    {"stop", required_argument, NULL, 'S'},
    {"system", required_argument, NULL, 'y'},
    {"seed", required_argument, NULL, 's'},
    {"threads", required_argument, NULL, CLI_THREADS},
    {"chunk", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    {"kernels", required_argument, NULL, CLI_KERNELS},
    {0},
};

static bool set_integer(const char *name, int64_t low, int64_t high, int32_t *out)
{
    int64_t value;
    if (!cli_integer("generate", name, optarg, low, high, &value))
        return false;
    *out = (int32_t)value;
    return true;
}

/* Past what cli_integer() reads: every 64 bits are a seed, as in config/seed. */
static bool set_seed(struct command *command)
{
    char *end;
    errno = 0;
    command->sampling.seed = strtoull(optarg, &end, 10);
    if (!errno && !*end && *optarg >= '0' && *optarg <= '9')
        return true;
    cli_usage("generate", "--seed: '%s' is not a whole number from 0 to %llu", optarg, ULLONG_MAX);
    return false;
}

static bool add_stop(struct command *command)
{
    if (command->stop_count == ENGINE_STOPS_MAX) {
        cli_usage("generate", "at most %d --stop", ENGINE_STOPS_MAX);
        return false;
    }
    command->stops[command->stop_count++] = text_of(optarg);
    return true;
}

static bool set_option(struct command *command, int option)
{
    struct sampling *sampling = &command->sampling;
    switch (option) {
    case NAME_RAW:
    case NAME_CHAT:
        command->raw = option == NAME_RAW;
        return true;
    case NAME_IDS:
        return command->ids = true;
    case 'n':
        return set_integer("--max-tokens", 0, INT32_MAX, &command->max_tokens);
    case 'T':
        return cli_number("generate", "--temperature", optarg, 0, SAMPLING_TEMPERATURE_MAX,
                          &sampling->temperature);
    case 'k':
        return set_integer("--top-k", 0, INT32_MAX, &sampling->top_k);
    case 'p':
        return cli_number("generate", "--top-p", optarg, 0, 1, &sampling->top_p);
    case 'm':
        return cli_number("generate", "--min-p", optarg, 0, 1, &sampling->min_p);
    case 'r':
        return cli_number("generate", "--repeat-penalty", optarg, SAMPLING_REPEAT_PENALTY_MIN,
                          SAMPLING_REPEAT_PENALTY_MAX, &sampling->repeat_penalty);
    case 'S':
        return add_stop(command);
    case 'y':
        command->system = optarg;
        return true;
    case 's':
        return set_seed(command);
    case 'c':
        return set_integer("--chunk", 1, ENGINE_PREFILL_CHUNK_MAX, &command->engine.prefill_chunk);
    case 'b':
        return set_integer("--batch", 1, ENGINE_SEQUENCES_MAX, &command->batch);
    default:
        return cli_engine_option("generate", option, &command->engine);
    }
}

static void on_token(void *owner, uint64_t id, int32_t token)
{
    struct progress *progress = owner;
    progress->trails[id] = (progress->trails[id] ^ (uint32_t)token) * 0x100000001b3; /* FNV-1a */
    if (id == 0 && progress->command->ids)
        printf("%s%d", progress->printed++ ? " " : "", token);
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    const struct progress *progress = owner;
    if (id == 0 && !progress->command->ids) {
        fwrite(text.bytes, 1, text.length, stdout);
        fflush(stdout);
    }
}

static void on_done(void *owner, uint64_t id, enum engine_finish finish,
                    const struct engine_usage *usage, const struct error *error)
{
    struct progress *progress = owner;
    (void)id;
    (void)usage;
    progress->running--;
    if (finish == ENGINE_FAILED && !progress->status)
        progress->status = cli_fail(progress->command->model, error ? error->text : "failed");
}

static void on_need(void *owner, uint64_t bytes)
{
    struct progress *progress = owner;
    progress->needed += bytes;
}

static int submit(const struct command *command, struct engine *engine, struct text prompt,
                  struct progress *progress)
{
    struct chat_message messages[] = {
        {.role = text_of("system"), .content = text_of(command->system ? command->system : "")},
        {.role = text_of("user"), .content = prompt},
    };
    bool system = command->system && !command->raw;
    struct engine_request request = {
        .raw = command->raw,
        .messages = system ? messages : messages + 1,
        .message_count = system ? 2 : 1,
        .sampling = command->sampling,
        .max_tokens = command->max_tokens,
        .stops = command->stops,
        .stop_count = command->stop_count,
    };
    struct error error = {0};
    for (int32_t copy = 0; copy < command->batch; copy++) {
        if (engine_submit(engine, (uint64_t)copy, &request, &error))
            return cli_fail(command->model, error.text);
        progress->running++;
    }
    return 0;
}

static int run(const struct command *command, struct engine *engine, struct text prompt)
{
    struct progress progress = {.command = command};
    const struct engine_sink sink = {
        .owner = &progress, .token = on_token, .text = on_text, .done = on_done, .need = on_need};
    int status = submit(command, engine, prompt, &progress);
    if (status)
        return status;
    while (progress.running && !ferror(stdout)) { /* nobody to write for: cli_finish() says so */
        engine_step(engine, &sink);
        if (progress.needed)
            engine_grant(engine, progress.needed);
        progress.needed = 0;
    }
    if (command->ids || isatty(STDOUT_FILENO))
        putchar('\n');
    for (int32_t copy = 1; copy < command->batch && !progress.status; copy++)
        if (progress.trails[copy] != progress.trails[0])
            progress.status = cli_fail(command->model, "the copies of a batch differ");
    return progress.status;
}

int cli_generate(int argc, char **argv)
{
    struct command command = {
        .engine = cli_engine_options(), .sampling = {.top_p = 1, .repeat_penalty = 1}, .batch = 1};
    command.engine.populate = true;
    for (int option; (option = cli_option(argc, argv, ":n:t:", long_options)) != -1;)
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
    if (input.length && input.bytes[input.length - 1] == '\n')
        input.length--;
    status = run(&command, engine, buffer_text(&input));
    buffer_free(&input);
    engine_close(engine);
    return cli_finish(command.model, status);
}
