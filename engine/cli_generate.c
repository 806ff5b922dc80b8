/* cli_generate.c - see cli_generate.h.
 *
 * --batch N runs N copies of the request side by side, prints the first and fails when another one
 * chose other tokens: the promise that a result does not depend on what else runs, as a command.
 */
#include "cli_generate.h"

#include "cli.h"
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NAME_RAW = 256,
    NAME_CHAT,
    NAME_IDS,
    NAME_STOP_TOKEN,
    NAME_BIAS,
    NAME_LOGPROBS,
    NAME_GRAMMAR,
    NAME_SCHEMA,
    NAME_NO_SPECULATE,
    NAME_PARAMETER = 512, /* + index in sampling_parameters */
};

enum { LINE_BYTES_MAX = 1 << 20 };

struct command {
    const char *model;
    struct engine_options engine;
    bool raw, ids, plainly;
    struct sampling sampling;
    int32_t max_tokens;
    int32_t batch;
    const char *system;
    struct text stops[ENGINE_STOPS_MAX];
    size_t stop_count;
    int32_t stop_tokens[SAMPLING_STOP_TOKENS_MAX];
    size_t stop_token_count;
    struct token_bias biases[SAMPLING_BIASES_MAX];
    size_t bias_count;
    bool wants_logprobs;
    int32_t logprobs;
    struct chat_options chat;
    const char *grammar_file, *schema_file;
    struct buffer grammar, schema; /* their contents */
};

/* The copies' ids are their places in `trails`. */
struct progress {
    const struct command *command;
    const struct engine *engine;
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
    {"stop", required_argument, NULL, 'S'},
    {"system", required_argument, NULL, 'y'},
    {"thinking", required_argument, NULL, 'T'},
    {"seed", required_argument, NULL, 's'},
    {"stop-token", required_argument, NULL, NAME_STOP_TOKEN},
    {"logit-bias", required_argument, NULL, NAME_BIAS},
    {"logprobs", required_argument, NULL, NAME_LOGPROBS},
    {"grammar", required_argument, NULL, NAME_GRAMMAR},
    {"json-schema", required_argument, NULL, NAME_SCHEMA},
    {"no-speculate", no_argument, NULL, NAME_NO_SPECULATE},
    {"threads", required_argument, NULL, CLI_THREADS},
    {"chunk", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    {"kernels", required_argument, NULL, CLI_KERNELS},
    {"kv", required_argument, NULL, CLI_KV},
    {0},
};

enum {
    OWN_OPTIONS = sizeof long_options / sizeof *long_options - 1,
    OPTIONS = OWN_OPTIONS + SAMPLING_PARAMETERS + 1,
    OPTION_BYTES = 32,
};

/* The options of getopt_long(): ours, and one for each sampling parameter, its name with dashes. */
struct options {
    struct option list[OPTIONS];
    char names[SAMPLING_PARAMETERS][OPTION_BYTES];
};

static void collect_options(struct options *options)
{
    *options = (struct options){0};
    memcpy(options->list, long_options, sizeof long_options);
    for (int i = 0; i < SAMPLING_PARAMETERS; i++) {
        char *name = options->names[i];
        snprintf(name, OPTION_BYTES, "%s", sampling_parameters[i].name);
        for (char *at = strchr(name, '_'); at; at = strchr(at, '_'))
            *at = '-';
        options->list[OWN_OPTIONS + i] =
            (struct option){name, required_argument, NULL, NAME_PARAMETER + i};
    }
}

static bool set_parameter(struct command *command, int index)
{
    const struct sampling_parameter *parameter = &sampling_parameters[index];
    float real;
    int64_t whole;
    if (parameter->kind == SAMPLING_INTEGER) {
        if (!cli_integer("generate", parameter->name, optarg, (int64_t)parameter->minimum,
                         (int64_t)parameter->maximum, &whole))
            return false;
        sampling_set(&command->sampling, parameter, (double)whole);
        return true;
    }
    if (!cli_number("generate", parameter->name, optarg, parameter->minimum, parameter->maximum,
                    &real))
        return false;
    sampling_set(&command->sampling, parameter, (double)real);
    return true;
}

/* ID=BIAS */
static bool add_bias(struct command *command)
{
    char *equals = strchr(optarg, '=');
    int64_t token;
    if (command->bias_count == SAMPLING_BIASES_MAX || !equals) {
        cli_usage("generate", "--logit-bias takes ID=BIAS, at most %d times", SAMPLING_BIASES_MAX);
        return false;
    }
    struct token_bias *bias = &command->biases[command->bias_count++];
    *equals = 0;
    if (!cli_integer("generate", "--logit-bias", optarg, 0, INT32_MAX, &token) ||
        !cli_number("generate", "--logit-bias", equals + 1, -1e6, 1e6, &bias->bias))
        return false;
    bias->token = (int32_t)token;
    return true;
}

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

static bool add_stop_token(struct command *command)
{
    if (command->stop_token_count == SAMPLING_STOP_TOKENS_MAX) {
        cli_usage("generate", "at most %d --stop-token", SAMPLING_STOP_TOKENS_MAX);
        return false;
    }
    return set_integer("--stop-token", 0, INT32_MAX,
                       &command->stop_tokens[command->stop_token_count++]);
}

static bool set_option(struct command *command, int option)
{
    if (option >= NAME_PARAMETER)
        return set_parameter(command, option - NAME_PARAMETER);
    switch (option) {
    case NAME_RAW:
    case NAME_CHAT:
        command->raw = option == NAME_RAW;
        return true;
    case NAME_IDS:
        return command->ids = true;
    case NAME_NO_SPECULATE:
        return command->plainly = true;
    case 'n':
        return set_integer("--max-tokens", 0, INT32_MAX, &command->max_tokens);
    case 'S':
        return add_stop(command);
    case NAME_STOP_TOKEN:
        return add_stop_token(command);
    case NAME_BIAS:
        return add_bias(command);
    case NAME_LOGPROBS:
        command->wants_logprobs = true;
        return set_integer("--logprobs", 1, SAMPLING_LOGPROBS_MAX, &command->logprobs);
    case NAME_GRAMMAR:
        command->grammar_file = optarg;
        return true;
    case NAME_SCHEMA:
        command->schema_file = optarg;
        return true;
    case 'y':
        command->system = optarg;
        return true;
    case 'T':
        return cli_thinking("generate", optarg, &command->chat);
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

static void print_logprobs(struct progress *progress, const struct logprobs *logprobs)
{
    struct buffer line = buffer_new(LINE_BYTES_MAX);
    if (report_logprobs(engine_tokenizer(progress->engine), logprobs,
                        progress->command->logprobs > 0, &line))
        progress->status = cli_fail(progress->command->model, "no memory for a line of logprobs");
    fwrite(line.bytes, 1, line.length, stdout);
    fflush(stdout);
    buffer_free(&line);
}

static void on_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct progress *progress = owner;
    progress->trails[id] = (progress->trails[id] ^ (uint32_t)token) * 0x100000001b3; /* FNV-1a */
    if (id == 0 && progress->command->ids)
        printf("%s%d", progress->printed++ ? " " : "", token);
    if (id == 0 && logprobs)
        print_logprobs(progress, logprobs);
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    const struct progress *progress = owner;
    if (id == 0 && !progress->command->ids && !progress->command->wants_logprobs) {
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
        .speculate = !command->plainly,
        .messages = system ? messages : messages + 1,
        .message_count = system ? 2 : 1,
        .chat = command->chat,
        .sampling = command->sampling,
        .max_tokens = command->max_tokens,
        .stops = command->stops,
        .stop_count = command->stop_count,
        .stop_tokens = command->stop_tokens,
        .stop_token_count = command->stop_token_count,
        .biases = command->biases,
        .bias_count = command->bias_count,
        .wants_logprobs = command->wants_logprobs,
        .logprobs = command->logprobs,
        .grammar = buffer_text(&command->grammar),
        .json_schema = buffer_text(&command->schema),
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
    struct progress progress = {.command = command, .engine = engine};
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

/* The command of the options, or an exit status with the line printed. */
static int read_command(int argc, char **argv, struct command *command)
{
    struct options options;
    collect_options(&options);
    for (int option; (option = cli_option(argc, argv, ":n:t:", options.list)) != -1;)
        if (!set_option(command, option))
            return CLI_USAGE;
    command->model = cli_model(argc, argv);
    if (!command->model)
        return CLI_USAGE;
    int status = 0;
    if (command->grammar_file)
        status = cli_read_file(command->grammar_file, &command->grammar);
    if (!status && command->schema_file)
        status = cli_read_file(command->schema_file, &command->schema);
    return status;
}

static int answer(const struct command *command)
{
    struct engine *engine;
    struct buffer input;
    int status = cli_open_and_read(command->model, &command->engine, &engine, &input);
    if (status)
        return status;
    if (input.length && input.bytes[input.length - 1] == '\n')
        input.length--;
    status = run(command, engine, buffer_text(&input));
    buffer_free(&input);
    engine_close(engine);
    return cli_finish(command->model, status);
}

int cli_generate(int argc, char **argv)
{
    struct command command = {
        .engine = cli_engine_options(), .sampling = sampling_plain(), .batch = 1};
    command.engine.populate = true;
    int status = read_command(argc, argv, &command);
    if (!status)
        status = answer(&command);
    buffer_free(&command.grammar);
    buffer_free(&command.schema);
    return status;
}
