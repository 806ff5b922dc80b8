/* cli_model.c - see cli_model.h. */
#include "cli_model.h"

#include "cli.h"
#include "math/vector.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int cli_model_info(int argc, char **argv)
{
    const char *model = cli_only_model(argc, argv);
    if (!model)
        return CLI_USAGE;
    struct engine_plan plan;
    struct error error = {0};
    char *json = NULL;
    if (engine_inspect(model, KV_F16, &plan, &json, &error))
        return cli_fail(model, error.text);
    puts(json);
    free(json);
    return cli_finish(model, 0);
}

/* The options that logits and nll share, and --out where `out` is not NULL. */
static bool parse_options(int argc, char **argv, struct engine_options *engine, const char **out)
{
    static const struct option options[] = {{"out", required_argument, NULL, 'o'},
                                            {"threads", required_argument, NULL, CLI_THREADS},
                                            {"kernels", required_argument, NULL, CLI_KERNELS},
                                            {"kv", required_argument, NULL, CLI_KV},
                                            {0}};
    *engine = cli_engine_options();
    engine->populate = true;
    for (int option; (option = cli_option(argc, argv, ":t:", options)) != -1;) {
        if (option == 'o' && out) {
            *out = optarg;
        } else if (!cli_engine_option(argv[0], option, engine)) {
            if (option == 'o')
                cli_usage(argv[0], "unknown option --out");
            return false;
        }
    }
    return true;
}

/* --- logits ----------------------------------------------------------------------------------- */

static bool write_row(void *owner, size_t position, const float *logits, int32_t count)
{
    (void)position;
    FILE *file = owner;
    return fwrite(logits, sizeof *logits, (size_t)count, file) == (size_t)count;
}

static int write_logits(const char *model, struct engine *engine, const struct tokens *tokens,
                        const char *path)
{
    struct error error = {0};
    FILE *file = fopen(path, "we");
    if (!file)
        return cli_fail(path, strerror(errno));
    int status = engine_logits(engine, tokens->ids, tokens->count, write_row, file, &error);
    bool written = !ferror(file);
    written = fclose(file) == 0 && written;
    if (status)
        return cli_fail(model, error.text);
    return written ? 0 : cli_fail(path, "can't be written");
}

int cli_model_logits(int argc, char **argv)
{
    struct engine_options options;
    const char *path = NULL;
    if (!parse_options(argc, argv, &options, &path))
        return CLI_USAGE;
    const char *model = cli_model(argc, argv);
    if (!model)
        return CLI_USAGE;
    if (!path)
        return cli_usage(argv[0], "--out FILE is missing");
    struct engine *engine;
    struct tokens tokens;
    int status = cli_open(model, &options, &engine);
    if (status)
        return status;
    status = cli_read_ids(model, &tokens);
    if (!status) {
        status = write_logits(model, engine, &tokens, path);
        tokens_free(&tokens);
    }
    engine_close(engine);
    return status;
}

/* --- nll -------------------------------------------------------------------------------------- */

struct surprise {
    const struct tokens *tokens;
    double *nll; /* [tokens->count]; nll[0] is not used */
};

/* The logits at a position are about the token behind it. */
static bool note_surprise(void *owner, size_t position, const float *logits, int32_t count)
{
    struct surprise *surprise = owner;
    if (position + 1 < surprise->tokens->count) {
        int32_t next = surprise->tokens->ids[position + 1];
        surprise->nll[position + 1] = vector_log_sum_exp(logits, count) - (double)logits[next];
    }
    return true;
}

static void print_surprise(const struct surprise *surprise)
{
    const struct tokens *tokens = surprise->tokens;
    double sum = 0;
    printf("{\"tokens\":[");
    for (size_t i = 0; i < tokens->count; i++)
        printf("%s%d", i ? "," : "", tokens->ids[i]);
    printf("],\"nll\":[");
    for (size_t i = 1; i < tokens->count; i++) {
        printf("%s%.6f", i > 1 ? "," : "", surprise->nll[i]);
        sum += surprise->nll[i];
    }
    if (tokens->count > 1)
        printf("],\"mean\":%.6f}\n", sum / (double)(tokens->count - 1));
    else
        printf("],\"mean\":null}\n");
}

static int measure_surprise(const char *model, struct engine *engine, struct text text)
{
    const struct tokenizer *tokenizer = engine_tokenizer(engine);
    struct tokens tokens = {0};
    struct surprise surprise = {.tokens = &tokens};
    struct error error = {0};
    int32_t bos = tokenizer_bos(tokenizer);
    int status = bos == VOCABULARY_NONE ? 0 : tokens_append(&tokens, bos);
    if (!status)
        status = tokenizer_encode(tokenizer, text, TOKENIZER_PLAIN, &tokens);
    if (!status && !(surprise.nll = memory_try(tokens.count, sizeof *surprise.nll)))
        status = -ENOMEM;
    if (status)
        error_set(&error, -status, "%s", strerror(-status));
    else if (tokens.count)
        status = engine_logits(engine, tokens.ids, tokens.count, note_surprise, &surprise, &error);
    if (status)
        status = cli_fail(model, error.text);
    else
        print_surprise(&surprise);
    free(surprise.nll);
    tokens_free(&tokens);
    return status;
}

int cli_model_nll(int argc, char **argv)
{
    struct engine_options options;
    if (!parse_options(argc, argv, &options, NULL))
        return CLI_USAGE;
    const char *model = cli_model(argc, argv);
    if (!model)
        return CLI_USAGE;
    struct engine *engine;
    struct buffer input;
    int status = cli_open_and_read(model, &options, &engine, &input);
    if (status)
        return status;
    status = measure_surprise(model, engine, buffer_text(&input));
    buffer_free(&input);
    engine_close(engine);
    return cli_finish(model, status);
}
