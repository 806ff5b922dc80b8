/* run.c - see run.h. */
#include "tests/lib/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void take_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct answer *answer = &((struct run *)owner)->answers[id];
    assert_false(answer->done);
    assert_true(answer->count < RUN_TOKENS_MAX);
    answer->logprobs[answer->count] = logprobs ? logprobs->chosen.logprob : 0;
    answer->tokens[answer->count++] = token;
}

static void take_text(void *owner, uint64_t id, struct text text)
{
    struct answer *answer = &((struct run *)owner)->answers[id];
    assert_false(answer->done);
    assert_true(text.length > 0 && answer->length + text.length < RUN_BYTES_MAX);
    memcpy(answer->text + answer->length, text.bytes, text.length);
    answer->length += text.length;
}

static void take_done(void *owner, uint64_t id, enum engine_finish finish,
                      const struct engine_usage *usage, const struct error *error)
{
    struct answer *answer = &((struct run *)owner)->answers[id];
    assert_false(answer->done);
    assert_int_equal(error != NULL, finish == ENGINE_FAILED);
    answer->done = true;
    answer->finish = finish;
    answer->usage = *usage;
    if (error)
        answer->error = *error;
}

static void take_need(void *owner, uint64_t bytes)
{
    struct run *run = owner;
    assert_int_equal(run->need, 0); /* asked once until answered */
    assert_true(bytes > 0);
    run->need = bytes;
    run->needs++;
}

struct engine_options run_options(void)
{
    return (struct engine_options){.threads = 2, .kv_bytes = 256 << 20};
}

struct run *run_open(const struct tiny_model *tiny, const struct engine_options *options)
{
    struct run *run = calloc(1, sizeof *run);
    struct error error;
    assert_non_null(run);
    strcpy(run->path, "/tmp/inferfs_run.XXXXXX");
    int descriptor = mkstemp(run->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(tiny_model_save(tiny, run->path), 0);
    if (engine_open(run->path, options, &run->engine, &error))
        fail_msg("%s", error.text);
    run->sink = (struct engine_sink){run, take_token, take_text, take_done, take_need};
    return run;
}

void run_close(struct run *run)
{
    engine_close(run->engine);
    unlink(run->path);
    free(run);
}

const struct sampling run_greedy = {.top_p = 1, .repeat_penalty = 1};

int run_submit_request(struct run *run, uint64_t id, const char *prompt,
                       struct engine_request request, struct error *error)
{
    const struct chat_message message = {text_of("user"), text_of(prompt)};
    request.raw = true;
    request.messages = &message;
    request.message_count = 1;
    return engine_submit(run->engine, id, &request, error);
}

int run_submit_with(struct run *run, uint64_t id, const char *prompt, int32_t max_tokens,
                    struct sampling sampling, const char *stop, struct error *error)
{
    const struct text stops[] = {text_of(stop ? stop : "")};
    return run_submit_request(run, id, prompt,
                              (struct engine_request){.sampling = sampling,
                                                      .max_tokens = max_tokens,
                                                      .stops = stops,
                                                      .stop_count = stop != NULL},
                              error);
}

void run_submit(struct run *run, uint64_t id, const char *prompt, int32_t max_tokens)
{
    assert_int_equal(run_submit_with(run, id, prompt, max_tokens, run_greedy, NULL, NULL), 0);
}

int run_all(struct run *run)
{
    int steps = 1;
    while (engine_step(run->engine, &run->sink))
        steps++;
    return steps;
}

void run_assert_same(const struct answer *a, const struct answer *b)
{
    assert_true(a->done && b->done);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->tokens, b->tokens, (size_t)a->count * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, (size_t)a->count * sizeof *a->logprobs);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->text, b->text, a->length);
}
