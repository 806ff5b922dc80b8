/* bench_reuse.c - what is saved by computing several tokens together; prints, tests nothing.
 *
 *     bench_reuse columns [-t THREADS] [-r ROUNDS] MODEL.gguf
 *     bench_reuse guesses [-t THREADS] [-r ROUNDS] [-T TEMPERATURE] MODEL.gguf < PROMPT
 *     bench_reuse known [-t THREADS] [-r ROUNDS] MODEL.gguf < PROMPT
 *     bench_reuse watch [-r ROUNDS]
 *
 * columns: the cost of a step of 1 to 9 columns of one sequence, in steps of one column: what
 * generate/draft.c counts with.  guesses: up to 200 tokens in answer to PROMPT, plainly and with
 * guesses, token by token in turn, another seed in each round; how much faster all behind the first
 * came.  known: the first token of PROMPT, and once more with its pages known.  watch: what it
 * costs to look for repetition behind a long text.  One thread (the default) is measured by its
 * processor time, more of them by the clock on the wall.
 */
#include "generate/engine_internal.h"
#include "math/attention.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COLUMNS = 1 + DRAFT_TOKENS_MAX, POSITION = 200, ANSWER_TOKENS = 200 };
enum { PROMPT_BYTES_MAX = 1 << 20, ROUNDS_MAX = 1000 };

struct bench {
    struct engine *engines[2]; /* the second for `guesses` alone */
    struct text prompt;
    int threads, rounds;
    float temperature;
};

static double now_ms(const struct bench *bench)
{
    struct timespec time;
    clock_gettime(bench->threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void measure_columns(const struct bench *bench)
{
    struct engine *engine = bench->engines[0];
    struct forward_page pages[(POSITION + COLUMNS) / KV_PAGE_TOKENS + 1];
    double best_ms[COLUMNS + 1];
    const size_t page_count = sizeof pages / sizeof *pages;
    for (size_t i = 0; i < page_count; i++)
        if (!prefix_take(&engine->prefix, &pages[i]))
            exit(1);
    for (int round = 0; round < bench->rounds; round++)
        for (int32_t columns = 1; columns <= COLUMNS; columns++) {
            for (int32_t i = 0; i < columns; i++)
                engine->batch[i] = (struct forward_token){
                    .token = i, .position = POSITION + i, .pages = pages, .wants_logits = true};
            const double start_ms = now_ms(bench);
            forward_run(engine->forward, bench->threads, engine->batch, columns);
            const double ms = now_ms(bench) - start_ms;
            if (round == 0 || ms < best_ms[columns])
                best_ms[columns] = ms;
        }
    printf("one column %.2f ms; columns:cost", best_ms[1]);
    for (int32_t columns = 2; columns <= COLUMNS; columns++)
        printf(" %d:%.2f", columns, best_ms[columns] / best_ms[1]);
    putchar('\n');
    for (size_t i = 0; i < page_count; i++)
        kv_give(&engine->kv, &pages[i]);
}

/* One answer as it comes. */
struct answer {
    struct engine *engine;
    int32_t tokens;
    bool done;
    struct engine_usage usage;
};

static void on_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct answer *answer = owner;
    (void)id, (void)token, (void)logprobs;
    answer->tokens++;
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    (void)owner, (void)id, (void)text;
}

static void on_done(void *owner, uint64_t id, enum engine_finish finish,
                    const struct engine_usage *usage, const struct error *error)
{
    struct answer *answer = owner;
    (void)id, (void)finish, (void)error;
    answer->done = true;
    answer->usage = *usage;
}

static void on_need(void *owner, uint64_t bytes)
{
    (void)owner, (void)bytes;
}

/* `owner`: who asks knows only his own pages. */
static void submit(const struct bench *bench, struct engine *engine, uint32_t owner, bool speculate,
                   int32_t max_tokens, struct answer *answer)
{
    const struct chat_message message = {text_of("user"), bench->prompt};
    struct engine_request request = {.owner = owner,
                                     .messages = &message,
                                     .message_count = 1,
                                     .speculate = speculate,
                                     .sampling = sampling_plain(),
                                     .max_tokens = max_tokens};
    struct error error = {0};
    request.sampling.temperature = bench->temperature;
    request.sampling.seed = owner;
    *answer = (struct answer){.engine = engine};
    if (engine_submit(engine, 0, &request, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

/* Returns the milliseconds that it took. */
static double step(const struct bench *bench, struct answer *answer)
{
    const struct engine_sink sink = {answer, on_token, on_text, on_done, on_need};
    const double start_ms = now_ms(bench);
    engine_step(answer->engine, &sink);
    return now_ms(bench) - start_ms;
}

/* Two answers side by side, each by an engine of its own over the same weights: it is the turn of
 * the one that is behind, so what else runs on the machine does the same to both.  Adds up the
 * milliseconds behind their first tokens. */
static void race(const struct bench *bench, uint32_t seed, struct answer answers[2], double ms[2])
{
    for (int i = 0; i < 2; i++) {
        submit(bench, bench->engines[i], seed, i == 1, ANSWER_TOKENS, &answers[i]);
        while (answers[i].tokens == 0)
            step(bench, &answers[i]);
    }
    while (!answers[0].done || !answers[1].done) {
        const int turn =
            answers[0].done || (!answers[1].done && answers[1].tokens < answers[0].tokens);
        ms[turn] += step(bench, &answers[turn]);
    }
}

static int compare_numbers(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void measure_guesses(const struct bench *bench)
{
    double ratios[ROUNDS_MAX], sum_ms[2] = {1e-9, 1e-9};
    int64_t tokens = 0, guessed = 0, right = 0;
    for (int round = 0; round < bench->rounds; round++) {
        double ms[2] = {1e-9, 1e-9};
        struct answer answers[2];
        race(bench, (uint32_t)round, answers, ms);
        ratios[round] = ms[0] / ms[1];
        for (int i = 0; i < 2; i++)
            sum_ms[i] += ms[i];
        tokens += answers[1].tokens - 1;
        guessed += answers[1].usage.drafted_tokens;
        right += answers[1].usage.accepted_tokens;
    }
    qsort(ratios, (size_t)bench->rounds, sizeof *ratios, compare_numbers);
    printf("%d tokens/s plainly, %d with guesses; of %d answers, %lld tokens, %lld guessed, %lld "
           "rightly\n",
           (int)((double)tokens / sum_ms[0] * 1e3), (int)((double)tokens / sum_ms[1] * 1e3),
           bench->rounds, (long long)tokens, (long long)guessed, (long long)right);
    printf("faster by %.3f in all; by answers: median %.3f, quarters below %.3f and above %.3f\n",
           sum_ms[0] / sum_ms[1], ratios[bench->rounds / 2], ratios[bench->rounds / 4],
           ratios[bench->rounds * 3 / 4]);
}

static void measure_known(const struct bench *bench)
{
    double unknown_ms = INFINITY, known_ms = INFINITY;
    struct answer answer = {0};
    for (int round = 0; round < bench->rounds; round++) {
        double ms[2] = {0};
        for (int known = 0; known < 2; known++) {
            submit(bench, bench->engines[0], (uint32_t)round, false, 1, &answer);
            while (!answer.done)
                ms[known] += step(bench, &answer);
        }
        unknown_ms = fmin(unknown_ms, ms[0]);
        known_ms = fmin(known_ms, ms[1]);
    }
    printf("%d tokens, first token after %.1f ms; with %d of them known %.1f ms\n",
           answer.usage.prompt_tokens, unknown_ms, answer.usage.cached_tokens, known_ms);
}

/* A text in which nothing is said twice, so that each token looks through all of it. */
static void measure_watching(const struct bench *bench, int32_t count)
{
    enum { WATCHED_TOKENS = 100 };
    int32_t *tokens = malloc((size_t)(count + WATCHED_TOKENS) * sizeof *tokens);
    double best_ms = INFINITY;
    if (!tokens)
        exit(1);
    for (int32_t i = 0; i < count + WATCHED_TOKENS; i++)
        tokens[i] = i;
    for (int round = 0; round < bench->rounds; round++) {
        struct draft draft = draft_new();
        const double start_ms = now_ms(bench);
        for (int32_t i = 1; i <= WATCHED_TOKENS; i++)
            draft_watch(&draft, tokens, count + i);
        best_ms = fmin(best_ms, now_ms(bench) - start_ms);
    }
    printf("behind %d tokens: %.2f us a token\n", count, best_ms * 1e3 / WATCHED_TOKENS);
    free(tokens);
}

static int usage(const char *text)
{
    fprintf(stderr,
            "bench_reuse columns|guesses|known|watch [-t THREADS] [-r ROUNDS] [-T TEMPERATURE] "
            "[MODEL.gguf] < PROMPT%s%s\n",
            *text ? ": " : "", text);
    return 1;
}

static int run(struct bench *bench, const char *what, const char *path)
{
    static char bytes[PROMPT_BYTES_MAX];
    const struct engine_options options = {.threads = bench->threads,
                                           .kv_bytes = UINT64_C(1) << 34,
                                           .populate = true,
                                           .prefix_cache = true};
    struct error error = {0};
    const int engine_count = strcmp(what, "guesses") == 0 ? 2 : 1;
    for (int i = 0; i < engine_count; i++)
        if (engine_open(path, &options, &bench->engines[i], &error))
            return usage(error.text);
    if (strcmp(what, "columns") != 0)
        bench->prompt = (struct text){bytes, fread(bytes, 1, sizeof bytes, stdin)};
    if (strcmp(what, "columns") == 0)
        measure_columns(bench);
    else if (strcmp(what, "guesses") == 0)
        measure_guesses(bench);
    else
        measure_known(bench);
    for (int i = 0; i < engine_count; i++)
        engine_close(bench->engines[i]);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.threads = 1, .rounds = 7};
    const char *what = argc > 1 ? argv[1] : "";
    int option;
    optind = 2;
    while ((option = getopt(argc, argv, "t:r:T:")) != -1)
        if (option == 't')
            bench.threads = atoi(optarg);
        else if (option == 'r')
            bench.rounds = atoi(optarg);
        else if (option == 'T')
            bench.temperature = strtof(optarg, NULL);
        else
            return usage("");
    if (strcmp(what, "watch") == 0) {
        for (int32_t count = 2048; count <= 131072; count *= 4)
            measure_watching(&bench, count);
        return 0;
    }
    if (bench.threads < 1 || bench.rounds < 1 || bench.rounds > ROUNDS_MAX || argc != optind + 1)
        return usage("");
    return run(&bench, what, argv[optind]);
}
