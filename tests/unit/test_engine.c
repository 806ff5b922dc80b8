/* test_engine.c - requests to a loaded model: what they answer, beside what, and how they end. */
#include "engine.h"
#include "math/attention.h"
#include "tests/lib/run.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A request that names no number of tokens, for a caller that has a limit of its own. */
static void submit_default(struct run *run, uint64_t id, const char *prompt, int32_t tokens)
{
    const struct chat_message message = {text_of("user"), text_of(prompt)};
    const struct engine_request request = {.raw = true,
                                           .messages = &message,
                                           .message_count = 1,
                                           .sampling = run_greedy,
                                           .default_tokens = tokens};
    assert_int_equal(engine_submit(run->engine, id, &request, NULL), 0);
}

static const char long_prompt[] =
    "A prompt that is longer than one page of keys and values, so that its pages, its chunks and "
    "the batches that it shares with others all end in different places: neither of them may be "
    "seen in its answer.  Here it goes on for a while, because 256 is the largest chunk, and ends.";

/* The answer to the long prompt under these options, alone or as the last of 8. */
static void answer_with(const struct tiny_model *tiny, const struct engine_options *options,
                        bool crowded, struct answer *out)
{
    struct run *run = run_open(tiny, options);
    for (uint64_t id = 1; crowded && id < 8; id++)
        run_submit(run, id, &long_prompt[30 * id], (int32_t)(20 + 3 * id));
    run_submit(run, 0, long_prompt, 60);
    run_all(run);
    *out = run->answers[0];
    run_close(run);
}

static void answers_do_not_depend_on_threads_chunks_and_company(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_Q4_0, TENSOR_Q8_0, TENSOR_Q4_1};
    static const int32_t chunks[] = {1, 7, 64, 256};
    struct answer expected, got;
    for (size_t type = 0; type < sizeof types / sizeof *types; type++) {
        const struct tiny_model tiny = tiny_model_new(types[type], type + 1);
        struct engine_options options = run_options();
        answer_with(&tiny, &options, false, &expected);
        assert_in_range(expected.count, 20, 60);
        assert_int_equal(expected.usage.prompt_tokens, strlen(long_prompt) - 6); /* 6 "he" */
        for (int threads = 1; threads <= 3; threads++) {
            options = run_options();
            options.threads = threads;
            answer_with(&tiny, &options, threads == 3, &got);
            run_assert_same(&got, &expected);
        }
        for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
            options = run_options();
            options.prefill_chunk = chunks[i];
            answer_with(&tiny, &options, i % 2, &got);
            run_assert_same(&got, &expected);
        }
        options = run_options();
        options.kernels = "portable";
        answer_with(&tiny, &options, true, &got);
        run_assert_same(&got, &expected);
    }
}

static void threads_may_change_between_steps(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 1);
    struct engine_options options = run_options();
    options.threads = 3;
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, long_prompt, 40);
    run_all(run);
    run_submit(run, 1, long_prompt, 40);
    for (int threads = 0; engine_step(run->engine, &run->sink); threads++)
        engine_set_threads(run->engine, threads % 5); /* 0 and 4 are brought into range */
    run_assert_same(&run->answers[0], &run->answers[1]);
    run_close(run);
}

/* Keeps the last row. */
static bool keep_row(void *owner, size_t position, const float *logits, int32_t count)
{
    (void)position;
    memcpy(owner, logits, (size_t)count * sizeof *logits);
    return true;
}

static void an_answer_begins_with_the_likeliest_token_of_the_logits(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 3);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    float row[TINY_MODEL_VOCABULARY];
    int32_t text[100];
    int32_t best = 0;
    for (int i = 0; i < 100; i++)
        text[i] = (unsigned char)long_prompt[i] == 'h' ? 'H' : (unsigned char)long_prompt[i];
    char prompt[101] = "";
    for (int i = 0; i < 100; i++)
        prompt[i] = (char)text[i];
    assert_int_equal(engine_logits(run->engine, text, 100, keep_row, row, NULL), 0);
    for (int32_t i = 0; i < TINY_MODEL_VOCABULARY; i++)
        best = row[i] > row[best] ? i : best;
    run_submit(run, 0, prompt, 1);
    run_all(run);
    assert_int_equal(run->answers[0].count, 1);
    assert_int_equal(run->answers[0].tokens[0], best);
    run_close(run);
}

static void logits_refuse_what_is_out_of_range(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 3);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    float row[TINY_MODEL_VOCABULARY];
    int32_t tokens[513] = {0};
    struct engine *engine = run->engine;
    assert_int_equal(engine_logits(engine, tokens, 513, keep_row, row, NULL), -EMSGSIZE);
    assert_int_equal(engine_logits(engine, tokens, 1, keep_row, row, NULL), -ENOMEM);
    engine_grant(engine, engine_plan(engine)->kv_page_bytes);
    assert_int_equal(engine_logits(engine, tokens, 1, keep_row, row, NULL), 0);
    assert_int_equal(engine_logits(engine, tokens, 65, keep_row, row, NULL), -ENOMEM);
    assert_int_equal(engine_logits(engine, tokens, 64, keep_row, row, NULL), 0);
    tokens[5] = TINY_MODEL_VOCABULARY;
    assert_int_equal(engine_logits(engine, tokens, 6, keep_row, row, NULL), -EINVAL);
    tokens[5] = -1;
    assert_int_equal(engine_logits(engine, tokens, 6, keep_row, row, NULL), -EINVAL);
    run_close(run);
}

static void the_text_is_the_tokens_bytes(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 2);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 300);
    run_all(run);
    const struct answer *answer = &run->answers[0];
    char expected[RUN_BYTES_MAX];
    size_t length = 0;
    for (int i = 0; i < answer->count; i++) {
        long bytes = tokenizer_decode(engine_tokenizer(run->engine), answer->tokens[i], false,
                                      expected + length, 16);
        assert_true(bytes >= 0);
        length += (size_t)bytes;
    }
    assert_int_equal(answer->length, length);
    assert_memory_equal(answer->text, expected, length);
    assert_int_equal(answer->usage.completion_tokens, answer->count);
    assert_true(answer->usage.started_us <= answer->usage.first_token_us);
    assert_true(answer->usage.first_token_us <= answer->usage.ended_us);
    run_close(run);
}

static void an_answer_ends_at_max_tokens_or_with_the_context(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F16, 5);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 17);
    run_submit(run, 1, "hello", 0);
    submit_default(run, 2, "hello", 25);
    submit_default(run, 3, "hello", 100000);
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_LENGTH);
    assert_int_equal(run->answers[0].count, 17);
    assert_int_equal(run->answers[2].finish, ENGINE_LENGTH);
    assert_int_equal(run->answers[2].count, 25);
    assert_int_equal(run->answers[3].count, 512 - 4);
    assert_int_equal(run->answers[1].finish, ENGINE_LENGTH);
    assert_int_equal(run->answers[1].count, 512 - 4);
    assert_memory_equal(run->answers[0].tokens, run->answers[1].tokens, 17 * sizeof(int32_t));
    run_close(run);
}

static void an_answer_ends_at_an_end_token(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    const struct engine_options options = run_options();
    int ended = 0;
    for (tiny.seed = 1; tiny.seed <= 12; tiny.seed++) { /* one token in 130 ends a random answer */
        struct run *run = run_open(&tiny, &options);
        struct sampling sampling = {.temperature = 2, .top_p = 1, .repeat_penalty = 1};
        sampling.seed = tiny.seed;
        assert_int_equal(run_submit_with(run, 0, "hello", 200, sampling, NULL, NULL), 0);
        run_all(run);
        const struct answer *answer = &run->answers[0];
        for (int i = 0; i < answer->count - 1; i++)
            assert_false(tokenizer_is_end(engine_tokenizer(run->engine), answer->tokens[i]));
        bool end =
            tokenizer_is_end(engine_tokenizer(run->engine), answer->tokens[answer->count - 1]);
        assert_int_equal(answer->finish, end ? ENGINE_STOP : ENGINE_LENGTH);
        ended += end;
        run_close(run);
    }
    assert_in_range(ended, 1, 12);
}

static void an_answer_ends_before_a_stop_string(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 7);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 100);
    run_all(run);
    const struct answer *whole = &run->answers[0];
    /* Somewhere in the answer are two printable bytes one after the other. */
    size_t at = 1;
    while (at + 2 < whole->length &&
           (whole->text[at] < ' ' || whole->text[at + 1] < ' ' || whole->text[at] == 127))
        at++;
    assert_true(at + 2 < whole->length);
    char stop[3] = {whole->text[at], whole->text[at + 1], 0};
    size_t first = (size_t)((char *)memmem(whole->text, whole->length, stop, 2) - whole->text);
    assert_int_equal(run_submit_with(run, 1, "hello", 100, run_greedy, stop, NULL), 0);
    run_all(run);
    assert_int_equal(run->answers[1].finish, ENGINE_STOP);
    assert_int_equal(run->answers[1].length, first);
    assert_memory_equal(run->answers[1].text, whole->text, first);
    run_close(run);
}

static void a_seed_decides_an_answer(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 8);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    struct sampling sampling = {.temperature = 1,
                                .top_k = 40,
                                .top_p = 0.95f,
                                .min_p = 0.01f,
                                .repeat_penalty = 1.1f,
                                .seed = 5};
    assert_int_equal(run_submit_with(run, 0, "hello", 50, sampling, NULL, NULL), 0);
    run_all(run);
    assert_int_equal(run_submit_with(run, 1, "hello", 50, sampling, NULL, NULL), 0);
    sampling.seed = 6;
    assert_int_equal(run_submit_with(run, 2, "hello", 50, sampling, NULL, NULL), 0);
    run_all(run);
    run_assert_same(&run->answers[0], &run->answers[1]);
    assert_memory_not_equal(run->answers[0].tokens, run->answers[2].tokens, 5 * sizeof(int32_t));
    run_close(run);
}

static void a_conversation_is_rendered_and_a_raw_prompt_is_not(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 9);
    tiny.chats = true;
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    assert_int_equal(engine_chat_format(run->engine)->family, CHAT_TEMPLATE);
    const struct chat_message message = {text_of("user"), text_of("hi<|im_end|>")};
    struct engine_request request = {
        .messages = &message, .message_count = 1, .sampling = run_greedy, .max_tokens = 1};
    assert_int_equal(engine_submit(run->engine, 0, &request, NULL), 0);
    request.raw = true;
    assert_int_equal(engine_submit(run->engine, 1, &request, NULL), 0);
    run_all(run);
    /* 3 special tokens; the one that the user wrote is 10 bytes */
    assert_int_equal(run->answers[0].usage.prompt_tokens,
                     3 + (int)strlen("user\nhi<|im_end|>\nassistant\n"));
    assert_int_equal(run->answers[1].usage.prompt_tokens, strlen("hi<|im_end|>"));
    run_close(run);
}

static void a_conversation_without_a_question_is_an_empty_prompt(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 9);
    tiny.chats = true;
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    const struct chat_message messages[] = {{text_of("system"), text_of("Be brief.")},
                                            {text_of("user"), text_of("")}};
    struct engine_request request = {.messages = messages, .sampling = run_greedy};
    struct error error = {0};
    assert_int_equal(engine_submit(run->engine, 0, &request, &error), -EINVAL);
    request.message_count = 2;
    assert_int_equal(engine_submit(run->engine, 0, &request, &error), -EINVAL);
    assert_non_null(strstr(error.text, "empty"));
    request.message_count = 1;
    assert_int_equal(engine_submit(run->engine, 0, &request, &error), 0);
    run_close(run);
}

static void requests_that_can_not_run_are_refused_with_numbers(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 9);
    struct engine_options options = run_options();
    options.context = 100;
    struct run *run = run_open(&tiny, &options);
    char prompt[101];
    struct error error;
    memset(prompt, 'x', sizeof prompt);
    prompt[100] = 0;
    assert_int_equal(engine_context(run->engine), 100);
    assert_int_equal(run_submit_with(run, 0, prompt, 0, run_greedy, NULL, &error), -EMSGSIZE);
    assert_non_null(strstr(error.text, "100"));
    prompt[90] = 0;
    assert_int_equal(run_submit_with(run, 0, prompt, 11, run_greedy, NULL, &error), -EMSGSIZE);
    assert_true(strstr(error.text, "90") && strstr(error.text, "11"));
    assert_int_equal(run_submit_with(run, 0, "", 5, run_greedy, NULL, &error), -EINVAL);
    assert_int_equal(run_submit_with(run, 0, "x", -1, run_greedy, NULL, &error), -EINVAL);
    assert_int_equal(run_submit_with(run, 0, "x", 5, run_greedy, "", &error), -EINVAL);
    struct sampling wild = run_greedy;
    wild.top_p = 3;
    assert_int_equal(run_submit_with(run, 0, "x", 5, wild, NULL, &error), -EINVAL);
    assert_int_equal(run_submit_with(run, 0, prompt, 10, run_greedy, NULL, NULL), 0);
    run_all(run);
    assert_int_equal(run->answers[0].count, 10);
    run_close(run);
}

static void more_requests_than_sequences_all_get_their_answer(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_1, 10);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, long_prompt, 15);
    run_all(run);
    for (uint64_t id = 1; id <= 40; id++)
        run_submit(run, id, id % 4 ? &long_prompt[id] : long_prompt, 15);
    run_all(run);
    for (uint64_t id = 1; id <= 40; id++) {
        assert_true(run->answers[id].done);
        assert_int_equal(run->answers[id].count, 15);
        if (id % 4 == 0)
            run_assert_same(&run->answers[id], &run->answers[0]);
    }
    run_close(run);
}

static void cancelling_ends_one_request_and_not_its_company(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 12);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 30);
    run_all(run);
    for (uint64_t id = 1; id <= 35; id++)
        run_submit(run, id, "hello", 30);
    for (int i = 0; i < 10; i++)
        engine_step(run->engine, &run->sink);
    engine_cancel(run->engine, 1);  /* decoding */
    engine_cancel(run->engine, 35); /* in the queue */
    engine_cancel(run->engine, 63); /* unknown */
    assert_true(engine_step(run->engine, &run->sink));
    for (uint64_t id = 1; id <= 35; id += 34) {
        assert_true(run->answers[id].done);
        assert_int_equal(run->answers[id].finish, ENGINE_CANCELLED);
    }
    assert_int_equal(run->answers[1].count, 10);
    assert_int_equal(run->answers[35].count, 0);
    run_all(run);
    for (uint64_t id = 2; id <= 34; id++)
        run_assert_same(&run->answers[id], &run->answers[0]);
    run_close(run);
}

static void closing_ends_what_runs_and_waits(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 12);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    for (uint64_t id = 0; id < 40; id++)
        run_submit(run, id, long_prompt, 30);
    engine_step(run->engine, &run->sink);
    run_close(run); /* the sanitizers and valgrind see what stays */
}

static void memory_is_asked_for_once_and_answers_stay_the_same(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 13);
    struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, long_prompt, 200);
    run_all(run);
    struct answer expected = run->answers[0];
    assert_int_equal(run->needs, 0);
    run_close(run);

    options.kv_bytes = 0;
    run = run_open(&tiny, &options);
    uint64_t page = engine_plan(run->engine)->kv_page_bytes, granted = 0;
    for (uint64_t id = 0; id < 8; id++)
        run_submit(run, id, long_prompt, 200);
    int rounds = 0;
    for (; !run->answers[7].done && rounds < 1000; rounds++) {
        run_all(run);
        if (!run->need)
            continue;
        for (int i = 0; i < 3; i++)
            assert_false(engine_step(run->engine, &run->sink)); /* waits, and asks no more */
        granted += run->need;
        engine_grant(run->engine, run->need);
        run->need = 0;
    }
    for (uint64_t id = 0; id < 8; id++)
        run_assert_same(&run->answers[id], &expected);
    assert_in_range(run->needs, 1, 20);
    /* 8 sequences of 8 pages (477 tokens) each */
    assert_true(granted >= 8 * 8 * page && granted <= 10 * 8 * page);
    run_close(run);
}

static void those_with_memory_go_on_while_others_wait_and_are_refused(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 16);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    uint64_t page = engine_plan(run->engine)->kv_page_bytes;
    engine_grant(run->engine, 2 * page);
    run_submit(run, 0, "short", 40); /* one page */
    run_submit(run, 1, long_prompt, 40);
    for (int i = 0; i < 5; i++)
        assert_true(engine_step(run->engine, &run->sink));
    assert_true(run->need >= 4 * page); /* of the 5 or 6 in all, one is there */
    assert_int_equal(run->answers[0].count, 5);
    assert_int_equal(run->answers[1].count, 0);
    engine_refuse(run->engine, &run->sink, "no more memory for you");
    run->need = 0;
    assert_true(run->answers[1].done);
    assert_int_equal(run->answers[1].finish, ENGINE_FAILED);
    assert_int_equal(run->answers[1].error.code, ENOMEM);
    assert_string_equal(run->answers[1].error.text, "no more memory for you");
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_LENGTH);
    assert_int_equal(run->answers[0].count, 40);
    run_submit(run, 2, "another that fits the pages of those that have ended", 60);
    run_all(run);
    assert_int_equal(run->answers[2].count, 60);
    assert_int_equal(run->needs, 1);
    run_close(run);
}

/* Ending all three at once would be two too many: the pages of one are enough for another. */
static void a_refusal_ends_the_youngest_until_another_can_go_on(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 16);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    engine_grant(run->engine, 3 * engine_plan(run->engine)->kv_page_bytes);
    for (uint64_t id = 0; id < 3; id++)
        run_submit(run, id, "one page, and then a second", 60);
    run_all(run);
    assert_true(run->need > 0); /* each has one page and waits for another */
    engine_refuse(run->engine, &run->sink, "no");
    run->need = 0;
    assert_false(run->answers[0].done);
    assert_false(run->answers[1].done);
    assert_int_equal(run->answers[2].finish, ENGINE_FAILED);
    assert_int_equal(run->answers[2].error.code, ENOMEM);
    run_all(run); /* the first takes the page, ends, and leaves two */
    assert_int_equal(run->answers[0].count, 60);
    run_assert_same(&run->answers[0], &run->answers[1]);
    run_close(run);
}

static void a_refusal_that_comes_too_late_ends_nobody(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 14);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    engine_grant(run->engine, engine_plan(run->engine)->kv_page_bytes);
    run_submit(run, 0, "one page", 3);
    run_submit(run, 1, "one page", 3);
    run_submit(run, 2, "one page", 3);
    while (!run->answers[0].done)
        engine_step(run->engine, &run->sink);
    assert_true(run->need > 0);
    engine_refuse(run->engine, &run->sink, "no"); /* but a page has come free */
    assert_false(run->answers[1].done || run->answers[2].done);
    run->need = 0;
    while (!run->answers[1].done)
        engine_step(run->engine, &run->sink);
    assert_int_equal(run->answers[1].count, 3);
    run_close(run);
}

static void who_is_cancelled_is_not_refused(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 14);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 40);
    engine_step(run->engine, &run->sink);
    engine_cancel(run->engine, 0);
    engine_refuse(run->engine, &run->sink, "no");
    engine_step(run->engine, &run->sink);
    assert_int_equal(run->answers[0].finish, ENGINE_CANCELLED);
    run_close(run);
}

static void pages_that_come_free_end_the_waiting(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 14);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    engine_grant(run->engine, engine_plan(run->engine)->kv_page_bytes);
    run_submit(run, 0, "one page", 40);
    run_submit(run, 1, "one page", 40);
    run_all(run); /* the need is never answered */
    assert_int_equal(run->needs, 1);
    assert_true(run->answers[0].done);
    run_assert_same(&run->answers[0], &run->answers[1]);
    run_close(run);
}

static void a_waiting_request_can_be_cancelled(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 14);
    struct engine_options options = run_options();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    run_submit(run, 0, "hello", 40);
    assert_false(engine_step(run->engine, &run->sink));
    engine_cancel(run->engine, 0);
    assert_false(engine_step(run->engine, &run->sink));
    assert_int_equal(run->answers[0].finish, ENGINE_CANCELLED);
    assert_int_equal(run->answers[0].usage.started_us, 0);
    engine_grant(run->engine, run->need);
    run_close(run);
}

/* A model whose embedding of 'z' is not a number. */
static struct run *open_broken(void)
{
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 15);
    const struct engine_options options = run_options();
    struct run *run = run_open(&tiny, &options);
    const float bad = NAN;
    struct gguf *gguf;
    engine_close(run->engine);
    assert_int_equal(gguf_open(run->path, &gguf, NULL), 0);
    const struct tensor *tensor = gguf_tensor(gguf, "token_embd.weight");
    FILE *file = fopen(run->path, "r+b");
    assert_non_null(file);
    char *bytes = malloc(gguf_file_bytes(gguf));
    assert_non_null(bytes);
    size_t length = fread(bytes, 1, gguf_file_bytes(gguf), file);
    char *embedding = memmem(bytes, length, tensor->data, tensor->bytes);
    assert_non_null(embedding);
    assert_int_equal(fseek(file, embedding - bytes + (long)('z' * 64 * sizeof bad), SEEK_SET), 0);
    assert_int_equal(fwrite(&bad, sizeof bad, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    free(bytes);
    gguf_close(gguf);
    assert_int_equal(engine_open(run->path, &options, &run->engine, NULL), 0);
    return run;
}

static void a_weight_that_is_not_a_number_ends_the_request_alone(void **state)
{
    (void)state;
    struct run *run = open_broken();
    float row[TINY_MODEL_VOCABULARY];
    const int32_t tokens[] = {'a', 'z'};
    run_submit(run, 0, "quiz", 10);
    run_submit(run, 1, "quit", 3);
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_FAILED);
    assert_int_equal(run->answers[0].error.code, EIO);
    assert_non_null(strstr(run->answers[0].error.text, "not finite"));
    assert_int_equal(run->answers[0].count, 0);
    assert_int_equal(run->answers[1].finish, ENGINE_LENGTH);
    assert_int_equal(run->answers[1].count, 3);
    assert_int_equal(engine_logits(run->engine, tokens, 1, keep_row, row, NULL), 0);
    assert_int_equal(engine_logits(run->engine, tokens, 2, keep_row, row, NULL), -EIO);
    run_close(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_do_not_depend_on_threads_chunks_and_company),
        cmocka_unit_test(threads_may_change_between_steps),
        cmocka_unit_test(an_answer_begins_with_the_likeliest_token_of_the_logits),
        cmocka_unit_test(logits_refuse_what_is_out_of_range),
        cmocka_unit_test(the_text_is_the_tokens_bytes),
        cmocka_unit_test(an_answer_ends_at_max_tokens_or_with_the_context),
        cmocka_unit_test(an_answer_ends_at_an_end_token),
        cmocka_unit_test(an_answer_ends_before_a_stop_string),
        cmocka_unit_test(a_seed_decides_an_answer),
        cmocka_unit_test(a_conversation_is_rendered_and_a_raw_prompt_is_not),
        cmocka_unit_test(a_conversation_without_a_question_is_an_empty_prompt),
        cmocka_unit_test(requests_that_can_not_run_are_refused_with_numbers),
        cmocka_unit_test(more_requests_than_sequences_all_get_their_answer),
        cmocka_unit_test(cancelling_ends_one_request_and_not_its_company),
        cmocka_unit_test(closing_ends_what_runs_and_waits),
        cmocka_unit_test(memory_is_asked_for_once_and_answers_stay_the_same),
        cmocka_unit_test(those_with_memory_go_on_while_others_wait_and_are_refused),
        cmocka_unit_test(a_refusal_ends_the_youngest_until_another_can_go_on),
        cmocka_unit_test(a_refusal_that_comes_too_late_ends_nobody),
        cmocka_unit_test(who_is_cancelled_is_not_refused),
        cmocka_unit_test(pages_that_come_free_end_the_waiting),
        cmocka_unit_test(a_waiting_request_can_be_cancelled),
        cmocka_unit_test(a_weight_that_is_not_a_number_ends_the_request_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
