/* bench_reuse.c - what is saved by computing several tokens together; prints, tests nothing.
 *
 *     bench_reuse MODEL.gguf < PROMPT
 *
 * The cost of a step of 1 to 9 columns of one sequence, in steps of one column: the constants of
 * generate/draft.c.  Then the raw PROMPT completed, plainly and with guesses in turn: tokens per
 * second after the first.  Then the same prompt once more with its pages known.  One thread, its
 * processor time, the best of RUNS.
 */
#include "generate/engine_internal.h"
#include "math/attention.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 7, COLUMNS = 1 + DRAFT_TOKENS_MAX, POSITION = 200, ANSWER_TOKENS = 200 };
enum { PROMPT_BYTES_MAX = 1 << 20 };

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void measure_columns(struct engine *engine)
{
    struct forward_page pages[(POSITION + COLUMNS) / KV_PAGE_TOKENS + 1];
    double best_ms[COLUMNS + 1];
    const size_t page_count = sizeof pages / sizeof *pages;
    for (size_t i = 0; i < page_count; i++)
        if (!prefix_take(&engine->prefix, &pages[i]))
            exit(1);
    for (int run = 0; run < RUNS; run++)
        for (int32_t columns = 1; columns <= COLUMNS; columns++) {
            for (int32_t i = 0; i < columns; i++)
                engine->batch[i] = (struct forward_token){
                    .token = i, .position = POSITION + i, .pages = pages, .wants_logits = true};
            const double start_ms = now_ms();
            forward_run(engine->forward, 1, engine->batch, columns);
            const double ms = now_ms() - start_ms;
            if (run == 0 || ms < best_ms[columns])
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
    double first_ms, last_ms;
    int tokens;
    bool done;
    struct engine_usage usage;
};

static void on_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct answer *answer = owner;
    (void)id, (void)token, (void)logprobs;
    answer->last_ms = now_ms();
    if (answer->tokens++ == 0)
        answer->first_ms = answer->last_ms;
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

/* `owner`: who asks knows only his own pages.  Returns the milliseconds up to the first token. */
static double ask(struct engine *engine, struct text prompt, uint32_t owner, bool speculate,
                  int32_t max_tokens, struct answer *answer)
{
    const struct chat_message message = {text_of("user"), prompt};
    const struct engine_request request = {.owner = owner,
                                           .raw = true,
                                           .messages = &message,
                                           .message_count = 1,
                                           .speculate = speculate,
                                           .sampling = sampling_plain(),
                                           .max_tokens = max_tokens};
    const struct engine_sink sink = {answer, on_token, on_text, on_done, on_need};
    struct error error = {0};
    *answer = (struct answer){0};
    const double start_ms = now_ms();
    if (engine_submit(engine, 0, &request, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    while (!answer->done)
        engine_step(engine, &sink);
    return answer->first_ms - start_ms;
}

static void measure_guesses(struct engine *engine, struct text prompt)
{
    double best[2] = {0};
    struct answer answer = {0};
    for (int run = 0; run < 2 * RUNS; run++) {
        ask(engine, prompt, 0, run % 2, ANSWER_TOKENS, &answer);
        const double ms = answer.last_ms - answer.first_ms;
        const double rate = ms > 0 ? (answer.tokens - 1) / ms * 1e3 : 0;
        if (rate > best[run % 2])
            best[run % 2] = rate;
    }
    printf("%d tokens: plainly %.1f tokens/s, with guesses %.1f; %d guessed, %d rightly\n",
           answer.tokens, best[0], best[1], answer.usage.drafted_tokens,
           answer.usage.accepted_tokens);
}

static void measure_known(struct engine *engine, struct text prompt)
{
    double unknown_ms = 0, known_ms = 0;
    struct answer answer = {0};
    for (uint32_t run = 1; run <= RUNS; run++) {
        const double first_ms = ask(engine, prompt, run, false, 1, &answer);
        const double again_ms = ask(engine, prompt, run, false, 1, &answer);
        unknown_ms = run == 1 || first_ms < unknown_ms ? first_ms : unknown_ms;
        known_ms = run == 1 || again_ms < known_ms ? again_ms : known_ms;
    }
    printf("%d tokens, first token after %.1f ms; with %d of them known %.1f ms\n",
           answer.usage.prompt_tokens, unknown_ms, answer.usage.cached_tokens, known_ms);
}

int main(int argc, char **argv)
{
    const struct engine_options options = {
        .threads = 1, .kv_bytes = UINT64_C(1) << 34, .populate = true, .prefix_cache = true};
    static char bytes[PROMPT_BYTES_MAX];
    struct engine *engine;
    struct error error = {0};
    if (argc != 2 || engine_open(argv[1], &options, &engine, &error)) {
        fprintf(stderr, "bench_reuse MODEL.gguf < PROMPT%s%s\n", error.code ? ": " : "",
                error.text);
        return 1;
    }
    const struct text prompt = {bytes, fread(bytes, 1, sizeof bytes, stdin)};
    measure_columns(engine);
    measure_guesses(engine, prompt);
    measure_known(engine, prompt);
    engine_close(engine);
    return 0;
}
