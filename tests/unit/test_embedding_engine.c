/* test_embedding_engine.c - requests to a model that embeds: a decoder that takes the last state,
 * one that takes the mean, and an encoder. */
#include "engine.h"
#include "generate/embedding.h"
#include "math/attention.h"
#include "model/config.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { REQUESTS_MAX = 8, VECTORS_MAX = 400, WIDTH = 64, ORDER_MAX = 1000 };

/* What became of one request; its id is its index. */
struct answer {
    float vectors[VECTORS_MAX][WIDTH];
    size_t count;
    bool done;
    enum engine_finish finish;
    struct engine_usage usage;
    struct error error;
};

/* An opened model, a sink, and what it heard. */
struct run {
    char path[64];
    struct engine *engine;
    struct engine_sink sink;
    struct answer answers[REQUESTS_MAX];
    uint64_t order[ORDER_MAX]; /* whose vectors came */
    int order_count;
    uint64_t need; /* the last one asked for and not yet answered */
    int needs;
};

static void take_text(void *owner, uint64_t id, struct text text)
{
    struct run *run = owner;
    struct answer *answer = &run->answers[id];
    assert_false(answer->done);
    assert_true(text.length > 0 && text.length % sizeof answer->vectors[0] == 0);
    size_t count = text.length / sizeof answer->vectors[0];
    assert_true(answer->count + count <= VECTORS_MAX && run->order_count < ORDER_MAX);
    memcpy(answer->vectors[answer->count], text.bytes, text.length);
    answer->count += count;
    run->order[run->order_count++] = id;
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

/* ---- models ---- */

enum kind { LAST, MEAN, ENCODER, KINDS };

static struct tiny_model model_of(enum kind kind)
{
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 20 + kind);
    static const int32_t poolings[] = {CONFIG_POOLING_LAST, CONFIG_POOLING_MEAN,
                                       CONFIG_POOLING_MEAN};
    tiny.pooling = poolings[kind];
    tiny.ends = kind == LAST;
    if (kind == LAST)
        tiny.architecture = "qwen3";
    if (kind == ENCODER) {
        tiny.architecture = "bert";
        tiny.kv_heads = tiny.heads;
    }
    return tiny;
}

static struct engine_options usual_options(void)
{
    return (struct engine_options){.threads = 2, .kv_bytes = 256 << 20};
}

/* With `broken`, the embedding of 'z' is not a number: it is the file's first tensor. */
static void save(const struct tiny_model *tiny, bool broken, const char *path)
{
    const float bad = NAN;
    struct gguf_writer writer = gguf_writer_new();
    tiny_model_keys(tiny, &writer);
    tiny_model_vocabulary(tiny, &writer);
    tiny_model_tensors(tiny, &writer);
    if (broken)
        memcpy(writer.data.bytes + 'z' * WIDTH * sizeof bad, &bad, sizeof bad);
    assert_int_equal(gguf_writer_save(&writer, path), 0);
    gguf_writer_free(&writer);
}

static void close_run(struct run *run)
{
    engine_close(run->engine);
    unlink(run->path);
    free(run);
}

static struct run *open_run(const struct tiny_model *tiny, const struct engine_options *options,
                            bool broken)
{
    struct run *run = calloc(1, sizeof *run);
    struct error error;
    assert_non_null(run);
    strcpy(run->path, "/tmp/test_embedding.XXXXXX");
    int descriptor = mkstemp(run->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    save(tiny, broken, run->path);
    int status = engine_open(run->path, options, &run->engine, &error);
    if (status)
        fail_msg("%s", error.text);
    assert_true(engine_embeds(run->engine));
    run->sink = (struct engine_sink){run, NULL, take_text, take_done, take_need};
    return run;
}

static struct run *open_usual(enum kind kind)
{
    const struct tiny_model tiny = model_of(kind);
    const struct engine_options options = usual_options();
    return open_run(&tiny, &options, false);
}

static uint64_t page_bytes(const struct run *run)
{
    return engine_plan(run->engine)->kv_page_bytes;
}

/* ---- requests ---- */

static void submit(struct run *run, uint64_t id, const struct text *texts, size_t count)
{
    const struct engine_request request = {
        .texts = texts, .text_count = count, .format = ENGINE_F32};
    assert_int_equal(engine_submit(run->engine, id, &request, NULL), 0);
}

static void run_all(struct run *run)
{
    while (engine_step(run->engine, &run->sink))
        ;
}

static const char story[] =
    "A text that is longer than one page of keys and values, so that its pages, its chunks and the "
    "batches that it shares with others all end in different places: none of them may be seen in "
    "its vector.  Here it goes on for a while, because 256 is the largest chunk of a prompt, and a "
    "text behind that must have been computed in two steps at least; and ends.";

/* Pieces of the story of many lengths, the last of them all of it. */
static size_t many_texts(struct text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = 1 + i * i * 7 % (i % 9 ? 60 : sizeof story - 1);
        texts[i] = (struct text){story + i % 7, length - (length > 7 ? 7 : 0)};
    }
    texts[count - 1] = text_of(story);
    return count;
}

static void assert_same_vectors(const struct answer *got, const struct answer *expected)
{
    assert_true(got->done && got->finish == ENGINE_STOP);
    assert_int_equal(got->count, expected->count);
    assert_memory_equal(got->vectors, expected->vectors, got->count * sizeof got->vectors[0]);
}

static void assert_length_1(const float *vector)
{
    double squares = 0;
    for (int i = 0; i < WIDTH; i++)
        squares += (double)vector[i] * (double)vector[i];
    assert_true(fabs(squares - 1) < 1e-5);
}

/* The same texts one by one, in a request each. */
static void assert_same_alone(struct run *run, const struct text *texts, size_t count)
{
    struct answer *alone = &run->answers[1];
    for (size_t i = 0; i < count; i++) {
        *alone = (struct answer){0};
        submit(run, 1, &texts[i], 1);
        run_all(run);
        assert_int_equal(alone->count, 1);
        assert_length_1(alone->vectors[0]);
        assert_memory_equal(alone->vectors[0], run->answers[0].vectors[i],
                            sizeof alone->vectors[0]);
    }
}

static void a_vector_does_not_depend_on_the_texts_beside(void **state)
{
    struct run *run = open_usual(*(const enum kind *)*state);
    struct text texts[300];
    size_t count = many_texts(texts, 300);
    submit(run, 0, texts, count);
    run_all(run);
    assert_true(run->answers[0].done);
    assert_int_equal(run->answers[0].finish, ENGINE_STOP);
    assert_int_equal(run->answers[0].count, count);
    assert_true(run->order_count > 1);
    assert_true(run->answers[0].usage.started_us > 0);
    assert_same_alone(run, texts, count);
    close_run(run);
}

static void a_vector_does_not_depend_on_threads_and_chunks(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    static const struct engine_options all[] = {{.threads = 1, .prefill_chunk = 1},
                                                {.threads = 2, .prefill_chunk = 33},
                                                {.threads = 3, .prefill_chunk = 64},
                                                {.threads = 1, .prefill_chunk = 2048}};
    struct text texts[40];
    size_t count = many_texts(texts, 40);
    struct answer *expected = calloc(1, sizeof *expected);
    assert_non_null(expected);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct engine_options options = all[i];
        options.kv_bytes = 256 << 20;
        struct run *run = open_run(&tiny, &options, false);
        submit(run, 0, texts, count);
        run_all(run);
        if (i == 0)
            *expected = run->answers[0];
        assert_same_vectors(&run->answers[0], expected);
        close_run(run);
    }
    assert_int_equal(expected->count, count);
    free(expected);
}

static void the_end_token_has_a_part_and_stays_when_a_text_is_cut(void **state)
{
    (void)state;
    struct tiny_model tiny = model_of(LAST);
    const struct engine_options options = usual_options();
    tiny.context = 16;
    struct run *run = open_run(&tiny, &options, false);
    const struct text texts[] = {text_of("abcdefghijklmnopqrs"), text_of("abcdefghijklmno"),
                                 text_of("abcdefghijklmn"), text_of("")};
    submit(run, 0, texts, 4);
    run_all(run);
    struct answer *answer = &run->answers[0];
    assert_int_equal(answer->count, 4);
    assert_int_equal(answer->usage.truncated_texts, 1);
    assert_int_equal(answer->usage.prompt_tokens, 16 + 16 + 15 + 1);
    assert_memory_equal(answer->vectors[0], answer->vectors[1], sizeof answer->vectors[0]);
    assert_memory_not_equal(answer->vectors[1], answer->vectors[2], sizeof answer->vectors[0]);
    close_run(run);
    run = open_usual(MEAN); /* which has no token to put behind an empty text */
    submit(run, 0, texts + 3, 1);
    run_all(run);
    assert_int_equal(run->answers[0].error.code, ENODATA);
    close_run(run);
}

static void requests_take_turns(void **state)
{
    struct run *run = open_usual(*(const enum kind *)*state);
    struct text texts[300];
    size_t count = many_texts(texts, 300);
    submit(run, 0, texts, count);
    submit(run, 1, texts, count);
    submit(run, 2, texts, 1);
    run_all(run);
    assert_int_equal(run->order[0], 0);
    assert_int_equal(run->order[1], 1);
    assert_int_equal(run->order[2], 2);
    for (int i = 3; i < run->order_count; i++)
        assert_int_equal(run->order[i], (i - 3) % 2);
    assert_same_vectors(&run->answers[1], &run->answers[0]);
    assert_int_equal(run->answers[2].count, 1);
    close_run(run);
}

static void a_request_can_be_cancelled(void **state)
{
    struct run *run = open_usual(*(const enum kind *)*state);
    struct text texts[300];
    size_t count = many_texts(texts, 300);
    for (uint64_t id = 0; id < 3; id++)
        submit(run, id, texts, count);
    assert_true(engine_step(run->engine, &run->sink));
    engine_cancel(run->engine, 0);
    engine_cancel(run->engine, 2); /* which has not begun */
    engine_cancel(run->engine, 7); /* which is not there */
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_CANCELLED);
    assert_in_range(run->answers[0].count, 1, count - 1);
    assert_int_equal(run->answers[1].finish, ENGINE_STOP);
    assert_int_equal(run->answers[1].count, count);
    assert_int_equal(run->answers[2].finish, ENGINE_CANCELLED);
    assert_int_equal(run->answers[2].count, 0);
    close_run(run);
}

/* A long text is computed in several steps; its pages come back when it is cancelled between two.
 */
static void a_text_can_be_cancelled_between_two_chunks(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {.threads = 1, .prefill_chunk = 16};
    struct run *run = open_run(&tiny, &options, false);
    const struct text text = text_of(story);
    engine_grant(run->engine, 6 * page_bytes(run)); /* just enough for one */
    submit(run, 0, &text, 1);
    submit(run, 1, &text, 1);
    for (int i = 0; i < 3; i++)
        assert_true(engine_step(run->engine, &run->sink));
    engine_cancel(run->engine, 0);
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_CANCELLED);
    assert_int_equal(run->answers[0].count, 0);
    assert_int_equal(run->answers[1].finish, ENGINE_STOP);
    assert_int_equal(run->answers[1].count, 1);
    assert_int_equal(run->needs, 0);
    close_run(run);
}

/* ---- memory ---- */

static void few_pages_make_small_batches(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {.threads = 2};
    struct text texts[40];
    size_t count = many_texts(texts, 40);
    struct run *run = open_run(&tiny, &options, false);
    struct run *rich = open_usual(*(const enum kind *)*state);
    engine_grant(run->engine, 6 * page_bytes(run));
    submit(run, 0, texts, count);
    submit(rich, 0, texts, count);
    run_all(run);
    run_all(rich);
    assert_int_equal(run->needs, 0);
    assert_true(run->order_count > rich->order_count);
    assert_same_vectors(&run->answers[0], &rich->answers[0]);
    close_run(run);
    close_run(rich);
}

static void a_long_text_asks_for_pages_and_lets_others_pass(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {.threads = 1};
    struct run *run = open_run(&tiny, &options, false);
    const struct text texts[] = {text_of("short"), text_of(story)};
    engine_grant(run->engine, 2 * page_bytes(run));
    submit(run, 0, texts, 2);
    submit(run, 1, texts + 1, 1);
    submit(run, 2, texts, 1);
    run_all(run);
    assert_int_equal(run->needs, 1);
    assert_int_equal(run->need, 4 * page_bytes(run)); /* 6 in all */
    assert_int_equal(run->answers[0].count, 1);
    assert_true(run->answers[2].done);
    assert_false(run->answers[0].done || run->answers[1].done);
    assert_false(engine_step(run->engine, &run->sink)); /* it waits, and does not spin */
    run->need = 0;
    engine_grant(run->engine, 3 * page_bytes(run)); /* too little: asked for again */
    run_all(run);
    assert_int_equal(run->need, page_bytes(run));
    engine_grant(run->engine, run->need);
    run->need = 0;
    run_all(run);
    assert_int_equal(run->needs, 2);
    assert_int_equal(run->answers[0].finish, ENGINE_STOP);
    assert_int_equal(run->answers[0].count, 2);
    assert_memory_equal(run->answers[1].vectors[0], run->answers[0].vectors[1],
                        sizeof run->answers[0].vectors[0]);
    close_run(run);
}

static void a_refusal_ends_the_request_that_asked(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {.threads = 1};
    struct run *run = open_run(&tiny, &options, false);
    const struct text longer = text_of(story), shorter = {story, 100};
    engine_grant(run->engine, page_bytes(run));
    submit(run, 0, &longer, 1);
    submit(run, 1, &shorter, 1);
    submit(run, 2, &longer, 1);
    run_all(run);
    assert_int_equal(run->need, 5 * page_bytes(run));
    engine_cancel(run->engine, 2); /* while it waits */
    assert_false(run->answers[2].done);
    run_all(run);
    assert_int_equal(run->answers[2].finish, ENGINE_CANCELLED);
    run->need = 0;
    engine_refuse(run->engine, &run->sink, "the budget is spent");
    assert_int_equal(run->answers[0].finish, ENGINE_FAILED);
    assert_int_equal(run->answers[0].error.code, ENOMEM);
    assert_string_equal(run->answers[0].error.text, "the budget is spent");
    run_all(run);
    assert_int_equal(run->need, page_bytes(run)); /* the next one's turn to ask */
    engine_grant(run->engine, run->need);
    run_all(run);
    assert_int_equal(run->answers[1].finish, ENGINE_STOP);
    assert_int_equal(run->answers[1].count, 1);
    close_run(run);
}

static void who_was_granted_pages_does_not_answer_for_another(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {.threads = 1};
    struct run *run = open_run(&tiny, &options, false);
    const struct text texts[] = {{story, 100}, text_of(story)};
    engine_grant(run->engine, page_bytes(run));
    submit(run, 0, texts, 2);
    submit(run, 1, texts + 1, 1);
    run_all(run);
    assert_int_equal(run->need, page_bytes(run)); /* for the first text */
    engine_grant(run->engine, run->need);
    run->need = 0;
    run_all(run);
    assert_int_equal(run->answers[0].count, 1);
    assert_int_equal(run->need, 4 * page_bytes(run)); /* the second request's turn to ask */
    run->need = 0;
    engine_refuse(run->engine, &run->sink, "the budget is spent");
    assert_int_equal(run->answers[1].finish, ENGINE_FAILED);
    assert_true(run->answers[1].done);
    assert_false(run->answers[0].done);
    close_run(run);
}

/* ---- errors ---- */

static void a_weight_that_is_not_a_number_ends_the_request_alone(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = usual_options();
    struct run *run = open_run(&tiny, &options, true);
    const struct text texts[] = {text_of("quit"), text_of("quiz"), text_of("quit")};
    submit(run, 0, texts, 3);
    submit(run, 1, texts, 1);
    run_all(run);
    assert_int_equal(run->answers[0].finish, ENGINE_FAILED);
    assert_int_equal(run->answers[0].error.code, EIO);
    assert_int_equal(run->answers[0].count, 0);
    assert_int_equal(run->answers[1].finish, ENGINE_STOP);
    assert_int_equal(run->answers[1].count, 1);
    close_run(run);
}

static bool no_row(void *owner, size_t position, const float *logits, int32_t count)
{
    (void)owner;
    (void)position;
    (void)logits;
    (void)count;
    fail();
    return false;
}

static void it_neither_generates_nor_has_logits(void **state)
{
    struct run *run = open_usual(*(const enum kind *)*state);
    const struct chat_message message = {text_of("user"), text_of("hello")};
    struct engine_request request = {.raw = true, .messages = &message, .message_count = 1};
    struct error error;
    const int32_t token = 'a';
    assert_int_equal(engine_submit(run->engine, 0, &request, &error), -EINVAL);
    assert_non_null(strstr(error.text, "does not generate"));
    request.message_count = 0;
    assert_int_equal(engine_submit(run->engine, 0, &request, &error), -EINVAL);
    assert_non_null(strstr(error.text, "no text"));
    assert_int_equal(engine_logits(run->engine, &token, 1, no_row, NULL, &error), -EINVAL);
    assert_non_null(strstr(error.text, "no logits"));
    assert_false(engine_step(run->engine, &run->sink));
    close_run(run);
}

static void a_model_may_be_closed_at_any_time(void **state)
{
    const struct tiny_model tiny = model_of(*(const enum kind *)*state);
    const struct engine_options options = {
        .threads = 1, .prefill_chunk = 16, .kv_bytes = 256 << 20};
    const struct text text = text_of(story);
    for (int steps = 0; steps < 3; steps++) {
        struct run *run = open_run(&tiny, &options, false);
        submit(run, 0, &text, 1);
        submit(run, 1, &text, 1);
        for (int i = 0; i < steps; i++)
            engine_step(run->engine, &run->sink);
        close_run(run);
    }
}

int main(void)
{
    static enum kind kinds[] = {LAST, MEAN, ENCODER};
#define WITH(kind, function)                                                                       \
    {                                                                                              \
#function " " #kind, function, NULL, NULL, &kinds[kind]                                    \
    }
#define DECODERS(function) WITH(LAST, function), WITH(MEAN, function)
#define ALL(function)      DECODERS(function), WITH(ENCODER, function)
    const struct CMUnitTest tests[] = {
        ALL(a_vector_does_not_depend_on_the_texts_beside),
        ALL(a_vector_does_not_depend_on_threads_and_chunks),
        cmocka_unit_test(the_end_token_has_a_part_and_stays_when_a_text_is_cut),
        ALL(requests_take_turns),
        ALL(a_request_can_be_cancelled),
        DECODERS(a_text_can_be_cancelled_between_two_chunks),
        DECODERS(few_pages_make_small_batches),
        DECODERS(a_long_text_asks_for_pages_and_lets_others_pass),
        DECODERS(a_refusal_ends_the_request_that_asked),
        DECODERS(who_was_granted_pages_does_not_answer_for_another),
        ALL(a_weight_that_is_not_a_number_ends_the_request_alone),
        ALL(it_neither_generates_nor_has_logits),
        ALL(a_model_may_be_closed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
