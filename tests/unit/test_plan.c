/* test_plan.c - the plan of a model against the memory that a busy one really holds. */
#include "base/clock.h"
#include "engine.h"
#include "load/gguf.h"
#include "math/attention.h"
#include "tests/lib/tiny_folder.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static char tiny_path[] = "/tmp/test_plan.XXXXXX";

static int save_tiny(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 1);
    int descriptor = mkstemp(tiny_path);
    return descriptor < 0 || close(descriptor) || tiny_model_save(&tiny, tiny_path);
}

static int remove_tiny(void **state)
{
    (void)state;
    return unlink(tiny_path);
}

/* Anonymous memory of this process. */
static uint64_t anonymous_bytes(void)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status)
        return 0;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "RssAnon: %llu", &kilobytes) == 1)
            break;
    fclose(status);
    return kilobytes << 10;
}

/* A page is half prompt and half answer: the last prompt is read before the first answer ends. */
enum { PROMPT_TOKENS = KV_PAGE_TOKENS / 2, ANSWER_TOKENS = KV_PAGE_TOKENS / 2 };

/* What the children below count. */
struct tally {
    int ended;
    int32_t prompt_tokens;
};

static void ignore_text(void *owner, uint64_t id, struct text text)
{
    (void)owner, (void)id, (void)text;
}

static void count_done(void *owner, uint64_t id, enum engine_finish finish,
                       const struct engine_usage *usage, const struct error *error)
{
    struct tally *tally = owner;
    (void)id, (void)error;
    tally->ended += finish != ENGINE_FAILED;
    tally->prompt_tokens = usage->prompt_tokens;
}

static void ignore_need(void *owner, uint64_t bytes)
{
    (void)owner, (void)bytes; /* what all need is granted; a request that waits doesn't end */
}

/* As many sequences at once as there may be, each of which fills one KV page, and every chunk full
 * of prompts; no sampler parameter is off.  All scratch is touched. */
static struct tally work_hard(struct engine *engine, const char *prompt)
{
    struct tally tally = {0};
    const struct engine_sink sink = {&tally, NULL, ignore_text, count_done, ignore_need};
    const struct chat_message message = {text_of("user"), text_of(prompt)};
    const struct engine_request request = {.raw = true,
                                           .messages = &message,
                                           .message_count = 1,
                                           .max_tokens = ANSWER_TOKENS,
                                           .sampling = {.temperature = 0.1f,
                                                        .top_p = 0.99f,
                                                        .min_p = 0.01f,
                                                        .repeat_penalty = 1.01f,
                                                        .seed = 1}};
    engine_grant(engine, ENGINE_SEQUENCES_MAX * engine_plan(engine)->kv_page_bytes);
    for (uint64_t id = 0; id < ENGINE_SEQUENCES_MAX; id++)
        if (engine_submit(engine, id, &request, NULL))
            tally.ended -= 1000;
    while (engine_step(engine, &sink))
        ;
    return tally;
}

/* In a process of its own, whose memory is the model's alone: 0, or which check failed. */
static int measure(const char *path, const char *prompt, uint64_t slack_bytes)
{
    const struct engine_options options = {.threads = 2, .populate = true};
    struct engine *engine;
    if (engine_open(path, &options, &engine, NULL))
        return 1;
    struct tally tally = work_hard(engine, prompt);
    if (tally.ended != ENGINE_SEQUENCES_MAX || tally.prompt_tokens != PROMPT_TOKENS)
        return 2;
    const struct engine_plan *plan = engine_plan(engine);
    uint64_t held = anonymous_bytes() - ENGINE_SEQUENCES_MAX * plan->kv_page_bytes;
    fprintf(stderr, "planned %llu KiB, held %llu KiB\n",
            (unsigned long long)plan->fixed_bytes >> 10, (unsigned long long)held >> 10);
    if (held > plan->fixed_bytes)
        return 3;
    bool honest = held + slack_bytes >= plan->fixed_bytes;
    engine_close(engine);
    return honest ? 0 : 4;
}

/* The same of one that embeds: many short texts, which fill every batch. */
static int measure_embedder(const char *path, const char *text, uint64_t slack_bytes)
{
    enum { TEXTS = 1000, PAGES = 32 };
    const struct engine_options options = {.threads = 2, .populate = true};
    struct engine *engine;
    struct error error;
    struct text texts[TEXTS];
    struct tally tally = {0};
    const struct engine_sink sink = {&tally, NULL, ignore_text, count_done, ignore_need};
    for (int i = 0; i < TEXTS; i++)
        texts[i] = text_of(text);
    if (engine_open(path, &options, &engine, &error))
        return 1;
    const uint64_t pages_bytes = PAGES * engine_plan(engine)->kv_page_bytes;
    engine_grant(engine, pages_bytes);
    if (engine_submit(engine, 0, &(struct engine_request){.texts = texts, .text_count = TEXTS},
                      NULL))
        return 1;
    while (engine_step(engine, &sink))
        ;
    if (tally.ended != 1)
        return 2;
    const uint64_t held = anonymous_bytes() - pages_bytes;
    const uint64_t planned = engine_plan(engine)->fixed_bytes;
    fprintf(stderr, "planned %llu KiB, held %llu KiB\n", (unsigned long long)planned >> 10,
            (unsigned long long)held >> 10);
    engine_close(engine);
    return held > planned ? 3 : held + slack_bytes < planned ? 4 : 0;
}

static void expect_honest(int (*measured)(const char *path, const char *prompt,
                                          uint64_t slack_bytes),
                          const char *path, const char *prompt, uint64_t slack_bytes)
{
    int status = 0;
    if (SANITIZED)
        skip(); /* their own memory is larger than ours */
    pid_t child = fork();
    if (child == 0)
        _exit(measured(path, prompt, slack_bytes));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_honest_plan(const char *path, const char *prompt, uint64_t slack_bytes)
{
    expect_honest(measure, path, prompt, slack_bytes);
}

static void expect_honest_tiny_plan(const char *path)
{
    char prompt[PROMPT_TOKENS + 1] = "";
    for (size_t i = 0; i < sizeof prompt - 1; i++)
        prompt[i] = (char)('a' + i * 7 % 26);
    expect_honest_plan(path, prompt, 6 << 20);
}

static void a_tiny_model_holds_what_its_plan_says(void **state)
{
    (void)state;
    expect_honest_tiny_plan(tiny_path);
}

/* Another model's file for one test. */
struct other {
    char path[32];
};

static struct other save_other(const struct tiny_model *tiny)
{
    struct other other = {"/tmp/test_plan.XXXXXX"};
    int descriptor = mkstemp(other.path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(tiny_model_save(tiny, other.path), 0);
    return other;
}

/* Its scratch, 26 MB, is many times the slack. */
static void a_mixture_of_experts_holds_what_its_plan_says(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 2);
    tiny.architecture = "qwen3moe";
    tiny.experts = 16;
    tiny.experts_used = 8;
    tiny.hidden = 1024;
    struct other other = save_other(&tiny);
    expect_honest_tiny_plan(other.path);
    unlink(other.path);
}

static void a_context_ends_with_the_learned_positions(void **state)
{
    (void)state;
    const struct engine_options options = {.context = 200};
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 3);
    struct engine *engine;
    tiny.architecture = "gpt2";
    tiny.context = 100;
    struct other other = save_other(&tiny);
    assert_int_equal(engine_open(other.path, &options, &engine, NULL), 0);
    assert_int_equal(engine_context(engine), 100);
    assert_int_equal(engine_plan(engine)->context, 100);
    engine_close(engine);
    unlink(other.path);
}

static void a_folder_holds_what_its_plan_says(void **state)
{
    (void)state;
    char path[] = "/tmp/test_plan.XXXXXX", prompt[PROMPT_TOKENS + 1] = "";
    memset(prompt, 'x', PROMPT_TOKENS);
    assert_non_null(mkdtemp(path));
    tiny_folder_save(path, TINY_FOLDER_TOKENS_MAX, TINY_FOLDER_TOKENS_MAX);
    setenv("XDG_CACHE_HOME", path, 1); /* the index of the merges is made, not found */
    expect_honest_plan(path, prompt, 12 << 20);
    tiny_folder_remove(path);
}

static void a_decoder_that_embeds_holds_what_its_plan_says(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 4);
    tiny.pooling = 3;
    tiny.hidden = 4096; /* 8 MB of scratch */
    struct other other = save_other(&tiny);
    expect_honest(measure_embedder, other.path, "eight of", 6 << 20);
    unlink(other.path);
}

static void an_encoder_holds_what_its_plan_says(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 5);
    tiny.architecture = "bert";
    tiny.kv_heads = tiny.heads;
    tiny.hidden = 4096; /* 16 MB of scratch */
    struct other other = save_other(&tiny);
    expect_honest(measure_embedder, other.path, "eight of", 6 << 20);
    unlink(other.path);
}

static void a_real_model_holds_what_its_plan_says(void **state)
{
    (void)state;
    const char *path = getenv("INFERFS_SMOLLM2");
    char prompt[2 * PROMPT_TOKENS + 1] = "";
    if (!path || access(path, R_OK))
        skip();
    for (size_t i = 0; i < sizeof prompt - 1; i += 2)
        memcpy(prompt + i, " x", 3);
    expect_honest_plan(path, prompt, 8 << 20);
}

static void a_real_encoder_holds_what_its_plan_says(void **state)
{
    (void)state;
    const char *path = getenv("INFERFS_MINILM");
    if (!path || access(path, R_OK))
        skip();
    /* More than of other models: two of the three buffers of an answer are the worker's. */
    expect_honest(measure_embedder, path, "eight words of a text to be embedded", 8 << 20);
}

static void the_description_is_json_with_the_plans_numbers(void **state)
{
    (void)state;
    struct engine_plan plan;
    struct engine *engine;
    struct stat file;
    char *line;
    assert_int_equal(engine_inspect(tiny_path, KV_F16, &plan, &line, NULL), 0);
    assert_null(strchr(line, '\n'));
    json_t *json = json_loads(line, 0, NULL);
    assert_non_null(json);
    free(line);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "tiny");
    assert_string_equal(json_string_value(json_object_get(json, "architecture")), "llama");
    assert_string_equal(json_string_value(json_object_get(json, "quantisation")), "Q8_0");
    assert_int_equal(json_integer_value(json_object_get(json, "context")), 512);
    assert_int_equal(json_integer_value(json_object_get(json, "layers")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "vocabulary")),
                     TINY_MODEL_VOCABULARY);
    assert_int_equal(json_integer_value(json_object_get(json, "fixed_bytes")), plan.fixed_bytes);
    assert_int_equal(json_integer_value(json_object_get(json, "charge_bytes")), plan.charge_bytes);
    assert_true(json_is_true(json_object_get(json, "chat"))); /* it has the turn tokens */
    json_decref(json);

    assert_int_equal(stat(tiny_path, &file), 0);
    assert_int_equal(plan.weight_bytes, file.st_size);
    assert_int_equal(plan.context, 512);
    assert_int_equal(plan.charge_bytes, plan.weight_bytes + plan.fixed_bytes +
                                            512 / KV_PAGE_TOKENS * plan.kv_page_bytes);
    const struct engine_options options = {0}, bytes = {.kv_format = KV_Q8_0};
    assert_int_equal(engine_open(tiny_path, &options, &engine, NULL), 0);
    assert_int_equal(engine_plan(engine)->fixed_bytes, plan.fixed_bytes);
    assert_int_equal(engine_plan(engine)->charge_bytes, plan.charge_bytes);
    engine_close(engine);
    assert_int_equal(engine_open(tiny_path, &bytes, &engine, NULL), 0);
    assert_true(engine_plan(engine)->kv_page_bytes < plan.kv_page_bytes);
    assert_true(engine_plan(engine)->charge_bytes < plan.charge_bytes);
    engine_close(engine);
}

static void the_phases_of_loading_follow_each_other(void **state)
{
    (void)state;
    const struct engine_options options = {.populate = true};
    struct engine *engine;
    int64_t before = clock_now_us();
    assert_int_equal(engine_open(tiny_path, &options, &engine, NULL), 0);
    const struct engine_loading *loading = engine_loading(engine);
    assert_true(before <= loading->started_us && loading->started_us <= loading->opened_us);
    assert_true(loading->opened_us <= loading->populated_us);
    assert_true(loading->populated_us <= loading->configured_us);
    assert_true(loading->configured_us <= loading->ready_us);
    assert_true(loading->ready_us <= clock_now_us());
    assert_int_equal(loading->loaded_bytes, engine_plan(engine)->weight_bytes);
    assert_true(loading->cold_bytes <= loading->loaded_bytes);
    engine_close(engine);
}

static void files_and_options_that_can_not_be_used_are_refused(void **state)
{
    (void)state;
    struct engine_options options = {0};
    struct engine *engine;
    struct engine_plan plan;
    struct error error;
    char *line;
    assert_int_equal(engine_open("/nonexistent", &options, &engine, &error), -ENOENT);
    assert_int_equal(engine_inspect("/nonexistent", KV_F16, &plan, &line, &error), -ENOENT);
    assert_int_equal(engine_open("/proc/self/exe", &options, &engine, &error), -ENOEXEC);
    assert_int_equal(engine_inspect("/proc/self/exe", KV_F16, &plan, &line, &error), -ENOEXEC);
    options.threads = 65;
    assert_int_equal(engine_open(tiny_path, &options, &engine, &error), -EINVAL);
    assert_non_null(strstr(error.text, "65"));
    options = (struct engine_options){.prefill_chunk = ENGINE_PREFILL_CHUNK_MAX + 1};
    assert_int_equal(engine_open(tiny_path, &options, &engine, &error), -EINVAL);
    options = (struct engine_options){.context = -1};
    assert_int_equal(engine_open(tiny_path, &options, &engine, &error), -EINVAL);
    options = (struct engine_options){.kernels = "abacus"};
    assert_int_equal(engine_open(tiny_path, &options, &engine, &error), -EINVAL);
    options = (struct engine_options){.context = 1 << 20}; /* more than the model has */
    assert_int_equal(engine_open(tiny_path, &options, &engine, &error), 0);
    assert_int_equal(engine_context(engine), 512);
    engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tiny_model_holds_what_its_plan_says),
        cmocka_unit_test(a_mixture_of_experts_holds_what_its_plan_says),
        cmocka_unit_test(a_context_ends_with_the_learned_positions),
        cmocka_unit_test(a_decoder_that_embeds_holds_what_its_plan_says),
        cmocka_unit_test(a_folder_holds_what_its_plan_says),
        cmocka_unit_test(an_encoder_holds_what_its_plan_says),
        cmocka_unit_test(a_real_model_holds_what_its_plan_says),
        cmocka_unit_test(a_real_encoder_holds_what_its_plan_says),
        cmocka_unit_test(the_description_is_json_with_the_plans_numbers),
        cmocka_unit_test(the_phases_of_loading_follow_each_other),
        cmocka_unit_test(files_and_options_that_can_not_be_used_are_refused),
    };
    return cmocka_run_group_tests(tests, save_tiny, remove_tiny);
}
