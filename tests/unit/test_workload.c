/* test_workload.c - requests that come, wait, starve, are cancelled and refused in any order: the
 * books of the pages stay true, and what each answer says is what it says alone.
 *
 * And models whose layers see a window of a text: what has left it is given back, and not missed.
 */
#include "generate/engine_internal.h"
#include "math/attention.h"
#include "tests/lib/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const texts[] = {
    "The lighthouse keeper wrote down the weather every evening, and the ships that passed.  In "
    "winter there were few of them, and he had time to read by the lamp.  In winter there were few "
    "of them, and he had time to read by the lamp, and time to sleep.",
    "The lighthouse keeper wrote down the weather every evening, and the ships that passed, and "
    "their names.  In summer there were many of them: "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abababababababababababababababababababababababababababababababababababababababababababababa",
};
enum { TEXTS = sizeof texts / sizeof *texts, TEXT_BYTES = 300, STEPS_MAX = 100000 };

/* What one request asks for; answers of few letters, one of them likelier, mostly repeat. */
struct wish {
    char prompt[TEXT_BYTES];
    struct token_bias biases[TINY_MODEL_VOCABULARY];
    struct engine_request request;
};

static uint32_t below(unsigned *seed, uint32_t limit)
{
    return (uint32_t)rand_r(seed) % limit;
}

/* What else decides about a token, or ends an answer. */
static void choose_extra(struct engine_request *request, unsigned *seed)
{
    static const struct text stop = {"jiiiij", 6};
    struct sampling *sampling = &request->sampling;
    switch (below(seed, 8)) {
    case 0:
        sampling->repeat_penalty = 1.1f;
        sampling->frequency_penalty = 0.1f;
        break;
    case 1:
        sampling->dry_multiplier = 0.5f;
        sampling->dry_base = 1.1f;
        sampling->dry_allowed_length = 4;
        break;
    case 2:
        sampling->mirostat = 2;
        sampling->mirostat_tau = 0.5f;
        sampling->mirostat_eta = 0.1f;
        break;
    case 3:
        sampling->top_k = 2;
        sampling->min_p = 0.1f;
        break;
    case 4:
        request->stops = &stop;
        request->stop_count = 1;
        break;
    case 5:
        request->grammar = text_of("root ::= (\"iiiiij\" | \"iik\")*");
        break;
    default: /* nothing */
        break;
    }
}

static void make_wish(struct wish *wish, unsigned *seed)
{
    const char *text = texts[below(seed, TEXTS)];
    size_t length = 1 + below(seed, (uint32_t)strlen(text) - 1);
    *wish = (struct wish){0};
    memcpy(wish->prompt, text, length);
    wish->request = (struct engine_request){
        .owner = below(seed, 2),
        .speculate = below(seed, 3) > 0,
        .sampling = run_greedy,
        .max_tokens = 1 + (int32_t)below(seed, 100),
        .wants_logprobs = below(seed, 2),
    };
    wish->request.sampling.seed = below(seed, 5);
    wish->request.sampling.temperature = below(seed, 2) ? 1 : 0;
    wish->request.biases = wish->biases;
    for (int32_t token = 0; token < TINY_MODEL_VOCABULARY; token++)
        if (token < 'i' || token > 'k')
            wish->biases[wish->request.bias_count++] = (struct token_bias){token, -1000};
    wish->biases[wish->request.bias_count++] = (struct token_bias){'i', below(seed, 3) ? 5 : 60};
    choose_extra(&wish->request, seed);
}

/* Each alone, with nothing shared or guessed. */
static struct run *answer_alone(const struct tiny_model *tiny, enum kv_format format,
                                const struct wish *wishes, int count)
{
    struct engine_options options = run_options();
    options.threads = 1;
    options.kv_format = format;
    struct run *run = run_open(tiny, &options);
    for (int id = 0; id < count; id++) {
        struct engine_request request = wishes[id].request;
        request.speculate = false;
        assert_int_equal(run_submit_request(run, (uint64_t)id, wishes[id].prompt, request, NULL),
                         0);
        run_all(run);
    }
    return run;
}

static uint64_t free_bytes(const struct kv *kv)
{
    uint64_t bytes = 0;
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
        for (void *at = kv->free[part]; at; memcpy(&at, at, sizeof at))
            bytes += kv->part_bytes[part];
    return bytes;
}

/* What sequences hold, page by page: each once, however many share it. */
static void check_books(const struct engine *engine)
{
    const struct kv *kv = &engine->kv;
    assert_true(kv->mapped_bytes <= kv->granted_bytes);
    assert_int_equal(kv->used_bytes + kv->resting_bytes + free_bytes(kv), kv->mapped_bytes);
    uint64_t held = 0;
    for (int i = 0; i < engine->running_count; i++) {
        const struct sequence *sequence = engine->running[i];
        for (int32_t page = sequence->known_count; page < sequence->page_count; page++)
            for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
                held += sequence->pages[page].parts[part] ? kv->part_bytes[part] : 0;
    }
    assert_true(held <= kv->used_bytes);
    if (engine->running_count == 0)
        assert_int_equal(kv->used_bytes, 0);
}

static void answer_need(struct run *run, unsigned *seed)
{
    const uint64_t need = run->need;
    if (need == 0)
        return;
    run->need = 0;
    if (below(seed, 4) == 0)
        engine_refuse(run->engine, &run->sink, "no");
    else
        engine_grant(run->engine, below(seed, 2) ? need : need / 2 + 1);
}

/* A whole answer is the one that it is alone; one that was cut off is a beginning of it. */
static void check_answer(const struct answer *answer, const struct answer *alone)
{
    if (answer->finish == ENGINE_STOP || answer->finish == ENGINE_LENGTH) {
        run_assert_same(answer, alone);
        return;
    }
    if (answer->finish == ENGINE_FAILED)
        assert_int_equal(answer->error.code, ENOMEM);
    assert_true(answer->count <= alone->count && answer->length <= alone->length);
    assert_memory_equal(answer->tokens, alone->tokens,
                        (size_t)answer->count * sizeof *answer->tokens);
    assert_memory_equal(answer->text, alone->text, answer->length);
}

/* Pages that were used before: of ones, which are no numbers in any format. */
static void spoil_pages(struct run *run)
{
    enum { PAGES = 4 };
    struct kv *kv = &run->engine->kv;
    struct forward_page pages[PAGES];
    engine_grant(run->engine, PAGES * kv_page_total(kv));
    for (int i = 0; i < PAGES; i++) {
        assert_true(kv_take(kv, &pages[i]));
        for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
            if (pages[i].parts[part])
                memset(pages[i].parts[part], 0xff, kv->part_bytes[part]);
    }
    for (int i = 0; i < PAGES; i++)
        kv_give(kv, &pages[i]);
}

static void run_workload(const struct tiny_model *tiny, enum kv_format format, unsigned seed)
{
    enum { WISHES = 24 };
    struct wish wishes[WISHES];
    int submitted = 0, ended = 0, whole = 0;
    int32_t cached = 0, accepted = 0;
    for (int id = 0; id < WISHES; id++)
        make_wish(&wishes[id], &seed);
    struct run *alone = answer_alone(tiny, format, wishes, WISHES);
    struct engine_options options = {
        .threads = 1, .kv_format = format, .prefix_cache = true, .prefill_chunk = 48};
    struct run *run = run_open(tiny, &options);
    spoil_pages(run);
    for (int round = 0; ended < WISHES && round < STEPS_MAX; round++) {
        const int arrivals =
            submitted < WISHES && below(&seed, 24) == 0 ? 1 + (int)below(&seed, 4) : 0;
        for (int i = 0; i < arrivals && submitted < WISHES; i++, submitted++)
            assert_int_equal(run_submit_request(run, (uint64_t)submitted, wishes[submitted].prompt,
                                                wishes[submitted].request, NULL),
                             0);
        if (submitted && below(&seed, 100) == 0)
            engine_cancel(run->engine, below(&seed, (uint32_t)submitted));
        engine_step(run->engine, &run->sink);
        check_books(run->engine);
        if (below(&seed, 3) == 0)
            answer_need(run, &seed);
        check_books(run->engine);
        ended = 0;
        for (int id = 0; id < submitted; id++)
            ended += run->answers[id].done;
    }
    assert_int_equal(ended, WISHES);
    for (int id = 0; id < WISHES; id++) {
        const struct answer *answer = &run->answers[id];
        check_answer(answer, &alone->answers[id]);
        whole += answer->finish == ENGINE_STOP || answer->finish == ENGINE_LENGTH;
        cached += answer->usage.cached_tokens;
        accepted += answer->usage.accepted_tokens;
    }
    assert_true(whole > 0 && accepted > 0);
    assert_int_equal(cached > 0, tiny->window == 0 || tiny->window >= KV_PAGE_TOKENS);
    assert_int_equal(run->engine->kv.used_bytes, 0);
    run_close(run);
    run_close(alone);
}

static void any_order_of_events_leaves_books_and_answers_true(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 31);
    for (unsigned seed = 1; seed <= 4; seed++)
        run_workload(&tiny, seed % 2 ? KV_F16 : KV_Q8_0, seed);
}

static struct tiny_model windowed(const char *architecture, int32_t window)
{
    struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 32);
    tiny.architecture = architecture;
    tiny.layers = strcmp(architecture, "gemma3") == 0 ? 6 : 4; /* the sixth sees all */
    tiny.window = window;
    tiny.fused = strcmp(architecture, "phi3") == 0;
    return tiny;
}

static void so_it_does_where_layers_have_windows(void **state)
{
    (void)state;
    const struct tiny_model half = windowed("gemma2", 20), all = windowed("phi3", 70);
    for (unsigned seed = 1; seed <= 2; seed++) {
        run_workload(&half, KV_F16, seed);
        run_workload(&all, KV_F16, seed);
    }
}

static void so_it_does_where_pages_are_of_bytes(void **state)
{
    (void)state;
    const struct tiny_model most = windowed("gemma3", 130), all = windowed("phi3", 65);
    for (unsigned seed = 5; seed <= 6; seed++) {
        run_workload(&most, KV_Q8_0, seed);
        run_workload(&all, KV_Q8_0, seed);
    }
}

/* ---- windows ---- */

/* A text, and at each of its positions the likeliest next token. */
struct likeliest {
    int32_t next[512]; /* other than what ends a text */
};

static bool keep_best(void *owner, size_t position, const float *logits, int32_t count)
{
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++)
        best = i < TINY_MODEL_END && logits[i] > logits[best] ? i : best;
    ((struct likeliest *)owner)->next[position] = best;
    return true;
}

/* engine_logits() keeps all of a text. */
static void check_against_logits(struct run *run, const char *prompt, const struct answer *answer)
{
    static struct likeliest likeliest;
    int32_t tokens[512], count = 0;
    for (const char *at = prompt; *at; at++)
        tokens[count++] = *at;
    const int32_t first = count - 1;
    for (int i = 0; i + 1 < answer->count; i++)
        tokens[count++] = answer->tokens[i];
    assert_int_equal(engine_logits(run->engine, tokens, (size_t)count, keep_best, &likeliest, NULL),
                     0);
    for (int i = 0; i < answer->count; i++)
        assert_int_equal(answer->tokens[i], likeliest.next[first + i]);
}

/* A text of 500 tokens asks for so many parts of each kind, and they are enough. */
static void check_needs(const char *architecture, int32_t window, int32_t chunk, bool prefix_cache,
                        uint64_t globals, uint64_t windows)
{
    const struct tiny_model tiny = windowed(architecture, window);
    struct engine_options options = {
        .threads = 1, .prefill_chunk = chunk, .prefix_cache = prefix_cache};
    struct run *run = run_open(&tiny, &options);
    const uint64_t page = engine_plan(run->engine)->kv_page_bytes;
    const struct token_bias ends[] = {
        {TINY_MODEL_END, -100}, {TINY_MODEL_TURN_START, -100}, {TINY_MODEL_TURN_END, -100}};
    char prompt[301] = "";
    for (int i = 0; i < 300; i++)
        prompt[i] = (char)('a' + i * i % 23);
    for (char *he = strstr(prompt, "he"); he; he = strstr(prompt, "he"))
        *he = 'x'; /* which would be one token */
    struct engine_request request = {.sampling = run_greedy,
                                     .max_tokens = 200,
                                     .speculate = true,
                                     .biases = ends,
                                     .bias_count = sizeof ends / sizeof *ends};
    assert_int_equal(run_submit_request(run, 0, prompt, request, NULL), 0);
    run_all(run);
    const size_t *part_bytes = run->engine->kv.part_bytes;
    assert_int_equal(run->need,
                     globals * part_bytes[FORWARD_GLOBAL] + windows * part_bytes[FORWARD_WINDOW]);
    engine_grant(run->engine, run->need);
    run->need = 0;
    run_all(run);
    assert_int_equal(run->needs, 1);
    assert_int_equal(run->answers[0].count, 200);
    engine_grant(run->engine, 8 * page);
    check_against_logits(run, prompt, &run->answers[0]);
    run_close(run);
}

static void a_text_holds_a_window_of_what_windows_see(void **state)
{
    (void)state;
    /* 8 pages; (70 + 64) / 64 + 2 parts of the window */
    check_needs("gemma2", 70, 64, false, 8, 4);
    check_needs("gemma2", 1, 16, false, 8, 2);
    check_needs("gemma2", 128, 16, false, 8, 4);
    check_needs("phi3", 33, 100, false, 0, 4);
    check_needs("phi3", 128, 256, false, 0, 8);
    check_needs("phi3", 512, 64, false, 8, 0); /* no shorter than the context */
}

static void the_first_window_that_stays_known_is_asked_for_too(void **state)
{
    (void)state;
    check_needs("gemma2", 70, 64, true, 8, 4 + 1);
    check_needs("gemma2", 1, 16, true, 8, 2);
    check_needs("gemma2", 128, 16, true, 8, 4 + 2);
    check_needs("phi3", 33, 100, true, 0, 4);
    check_needs("phi3", 128, 256, true, 0, 8);
    check_needs("phi3", 512, 64, true, 8, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_events_leaves_books_and_answers_true),
        cmocka_unit_test(so_it_does_where_layers_have_windows),
        cmocka_unit_test(so_it_does_where_pages_are_of_bytes),
        cmocka_unit_test(a_text_holds_a_window_of_what_windows_see),
        cmocka_unit_test(the_first_window_that_stays_known_is_asked_for_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
