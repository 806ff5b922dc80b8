/* test_engine_refusals.c - requests that a loaded model can't answer, and the sentences that say
 * why.
 */
#include "engine.h"
#include "tests/lib/tiny_folder.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const struct engine_options options = {.threads = 2, .kv_bytes = 64 << 20};

/* How the last request ended. */
struct end {
    bool done;
    enum engine_finish finish;
    struct error error;
};

static void ignore_text(void *owner, uint64_t id, struct text text)
{
    (void)owner, (void)id, (void)text;
}

static void take_done(void *owner, uint64_t id, enum engine_finish finish,
                      const struct engine_usage *usage, const struct error *error)
{
    struct end *end = owner;
    (void)id, (void)usage;
    *end = (struct end){.done = true, .finish = finish};
    if (error)
        end->error = *error;
}

static void ignore_need(void *owner, uint64_t bytes)
{
    (void)owner, (void)bytes;
}

static struct end run(struct engine *engine)
{
    struct end end = {0};
    const struct engine_sink sink = {
        .owner = &end, .text = ignore_text, .done = take_done, .need = ignore_need};
    while (engine_step(engine, &sink))
        ;
    return end;
}

static int submit(struct engine *engine, const char *prompt, const struct token_bias *biases,
                  size_t bias_count, struct error *error)
{
    const struct chat_message message = {text_of("user"), text_of(prompt)};
    const struct engine_request request = {.raw = true,
                                           .messages = &message,
                                           .message_count = 1,
                                           .max_tokens = 3,
                                           .sampling = sampling_plain(),
                                           .biases = biases,
                                           .bias_count = bias_count};
    return engine_submit(engine, 0, &request, error);
}

/* A model in a file, which is not needed any more once it is open. */
static int open_tiny(const struct tiny_model *tiny, struct engine **out, struct error *error)
{
    char path[] = "/tmp/test_engine_refusals.XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(tiny_model_save(tiny, path), 0);
    int status = engine_open(path, &options, out, error);
    unlink(path);
    return status;
}

static void biases_that_forbid_everything_are_named(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 1);
    struct token_bias biases[TINY_MODEL_VOCABULARY];
    struct engine *engine;
    assert_int_equal(open_tiny(&tiny, &engine, NULL), 0);
    for (int32_t i = 0; i < TINY_MODEL_VOCABULARY; i++)
        biases[i] = (struct token_bias){i, -100};
    assert_int_equal(submit(engine, "a", biases, TINY_MODEL_VOCABULARY, NULL), 0);
    struct end end = run(engine);
    assert_int_equal(end.finish, ENGINE_FAILED);
    assert_string_equal(end.error.text, "the biases leave no token to choose");
    engine_close(engine);
}

static void a_token_without_a_row_of_weights_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/test_engine_refusals.XXXXXX";
    struct engine *engine;
    struct error error = {0};
    assert_non_null(mkdtemp(path));
    tiny_folder_save(path, 32, 40);
    if (engine_open(path, &options, &engine, &error))
        fail_msg("%s", error.text);
    tiny_folder_remove(path);
    assert_int_equal(submit(engine, "aaF", NULL, 0, NULL), 0);
    assert_true(run(engine).done);
    assert_int_equal(submit(engine, "aaG", NULL, 0, &error), -EINVAL);
    assert_non_null(strstr(error.text, "no weights"));
    engine_close(engine);
}

static bool refuse_row(void *owner, size_t position, const float *logits, int32_t count)
{
    (void)owner, (void)position, (void)logits, (void)count;
    return false;
}

static void a_model_that_embeds_has_no_logits_and_talks_to_nobody(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    struct engine *engine;
    struct error error = {0};
    tiny.architecture = "bert";
    tiny.kv_heads = tiny.heads;
    assert_int_equal(open_tiny(&tiny, &engine, &error), 0);
    const int32_t tokens[] = {1, 2};
    assert_int_equal(engine_logits(engine, tokens, 2, refuse_row, NULL, &error), -EINVAL);
    assert_int_equal(submit(engine, "talk", NULL, 0, &error), -EINVAL);
    assert_non_null(strstr(error.text, "embeddings"));
    engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(biases_that_forbid_everything_are_named),
        cmocka_unit_test(a_token_without_a_row_of_weights_is_refused),
        cmocka_unit_test(a_model_that_embeds_has_no_logits_and_talks_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
