/* test_prefix.c - pages that are known, and requests that begin with a known text. */
#include "generate/prefix.h"
#include "tests/lib/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A model with windows or without, and room for so many pages. */
struct books {
    struct model_config config;
    struct kv kv;
    struct prefix prefix;
};

static struct books *open_books(uint64_t pages, bool enabled, int32_t window)
{
    struct books *books = test_calloc(1, sizeof *books);
    books->config = (struct model_config){
        .layers = 2, .kv_heads = 1, .head_size = 8, .context = 512, .window = window};
    books->config.windowed[1] = window > 0;
    books->kv = prefix_open_kv(&books->config, KV_F16, 0);
    kv_grant(&books->kv, pages * kv_page_total(&books->kv));
    prefix_open(&books->prefix, &books->kv, enabled, window);
    return books;
}

static void close_books(struct books *books)
{
    assert_int_equal(books->kv.used_bytes, 0);
    prefix_close(&books->prefix);
    assert_int_equal(books->kv.used_bytes + books->kv.resting_bytes, 0);
    kv_close(&books->kv);
    test_free(books);
}

/* The tokens of a page that differ from another's in the last one alone. */
static const int32_t *page_of(int32_t last)
{
    static int32_t tokens[KV_PAGE_TOKENS];
    tokens[KV_PAGE_TOKENS - 1] = last;
    return tokens;
}

static struct prefix_note *add(struct books *books, uint32_t owner, struct prefix_note *before,
                               int32_t last)
{
    struct forward_page page;
    assert_true(prefix_take(&books->prefix, &page));
    memset(page.parts[FORWARD_GLOBAL], last,
           forward_part_bytes(&books->config, FORWARD_GLOBAL, KV_F16));
    return prefix_add(&books->prefix, owner, before, page_of(last), &page);
}

static struct prefix_note *find(struct books *books, uint32_t owner, struct prefix_note *before,
                                int32_t last)
{
    return prefix_find(&books->prefix, owner, before, page_of(last));
}

static void a_page_is_known_by_owner_chain_and_tokens(void **state)
{
    (void)state;
    struct books *books = open_books(8, true, 0);
    assert_null(find(books, 1, NULL, 5));
    struct prefix_note *first = add(books, 1, NULL, 5);
    struct prefix_note *second = add(books, 1, first, 6);
    assert_ptr_equal(find(books, 1, NULL, 5), first);
    assert_ptr_equal(find(books, 1, first, 6), second);
    assert_null(find(books, 2, NULL, 5));
    assert_null(find(books, 1, NULL, 6));
    assert_null(find(books, 1, first, 5));
    assert_null(find(books, 1, second, 6));
    const unsigned char *bytes = prefix_page(second).parts[FORWARD_GLOBAL];
    assert_int_equal(bytes[0], 6);
    assert_int_equal(bytes[forward_part_bytes(&books->config, FORWARD_GLOBAL, KV_F16) - 1], 6);
    prefix_release(&books->prefix, second); /* and first with it */
    prefix_release(&books->prefix, second);
    close_books(books);
}

static void an_equal_page_is_used_instead(void **state)
{
    (void)state;
    struct books *books = open_books(2, true, 0);
    struct prefix_note *first = add(books, 1, NULL, 5);
    assert_ptr_equal(add(books, 1, NULL, 5), first);
    assert_int_equal(books->kv.used_bytes, kv_page_total(&books->kv));
    prefix_release(&books->prefix, first);
    assert_int_equal(books->kv.resting_bytes, 0); /* one still uses it */
    prefix_release(&books->prefix, first);
    assert_int_equal(books->kv.resting_bytes, kv_page_total(&books->kv));
    close_books(books);
}

static void pages_that_rest_count_as_available_and_go_from_the_end_of_the_oldest(void **state)
{
    (void)state;
    struct books *books = open_books(4, true, 0);
    struct prefix_note *first = add(books, 1, NULL, 1), *second = add(books, 1, first, 2);
    struct prefix_note *other = add(books, 1, NULL, 9);
    prefix_release(&books->prefix, second);
    prefix_release(&books->prefix, other);
    assert_int_equal(kv_available(&books->kv), 4);
    struct forward_page taken[4], none;
    assert_true(prefix_take(&books->prefix, &taken[0])); /* nobody's */
    assert_true(prefix_take(&books->prefix, &taken[1]));
    assert_null(find(books, 1, first, 2));
    assert_ptr_equal(find(books, 1, NULL, 1), first);
    prefix_release(&books->prefix, first); /* now it is the youngest */
    assert_true(prefix_take(&books->prefix, &taken[2]));
    assert_null(find(books, 1, NULL, 9));
    assert_true(prefix_take(&books->prefix, &taken[3]));
    assert_null(find(books, 1, NULL, 1));
    assert_false(prefix_take(&books->prefix, &none));
    assert_int_equal(books->kv.mapped_bytes, 4 * kv_page_total(&books->kv));
    for (int i = 0; i < 4; i++) {
        memset(taken[i].parts[FORWARD_GLOBAL], i, kv_page_total(&books->kv));
        kv_give(&books->kv, &taken[i]);
    }
    close_books(books);
}

static void chains_are_as_long_as_a_window(void **state)
{
    (void)state;
    static const struct {
        bool enabled;
        int32_t window, depth_max;
    } cases[] = {{false, 0, 0}, {false, 200, 0}, {true, 0, INT32_MAX},
                 {true, 63, 0}, {true, 64, 1},   {true, 200, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct books *books = open_books(2, cases[i].enabled, cases[i].window);
        assert_int_equal(books->prefix.depth_max, cases[i].depth_max);
        close_books(books);
    }
}

/* Notes lie behind both kinds of parts, and the pages rest and wake whole. */
static void pages_with_windows_are_known_whole(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct books *books = open_books(2, true, 100);
        books->config.windowed[0] = all;
        books->kv = prefix_open_kv(&books->config, KV_F16, 0);
        kv_grant(&books->kv, 2 * kv_page_total(&books->kv));
        struct forward_page page;
        assert_true(prefix_take(&books->prefix, &page));
        for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
            if (page.parts[part])
                memset(page.parts[part], 7, forward_part_bytes(&books->config, part, KV_F16));
        struct prefix_note *note = prefix_add(&books->prefix, 1, NULL, page_of(1), &page);
        for (enum forward_part part = 0; part < FORWARD_PARTS; part++) {
            const size_t bytes = forward_part_bytes(&books->config, part, KV_F16);
            const unsigned char *data = prefix_page(note).parts[part];
            assert_true(bytes == 0 || (data[0] == 7 && data[bytes - 1] == 7));
        }
        prefix_release(&books->prefix, note);
        assert_int_equal(books->kv.resting_bytes, kv_page_total(&books->kv));
        assert_ptr_equal(find(books, 1, NULL, 1), note);
        prefix_release(&books->prefix, note);
        close_books(books);
    }
}

/* ---- requests ---- */

static const char story[] =
    "The lighthouse keeper wrote down the weather every evening, and the ships that passed.  In "
    "winter there were few of them, and he had time to read by the lamp.  One night, when the wind "
    "had turned to the north, somebody knocked at the door: a boy, wet to the skin, with a letter "
    "in his hand and salt in his hair.";

static void ask(struct run *run, uint64_t id, const char *prompt, uint32_t owner)
{
    const struct engine_request request = {
        .owner = owner,
        .sampling = {.temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = 7},
        .max_tokens = 80,
    };
    assert_int_equal(run_submit_request(run, id, prompt, request, NULL), 0);
}

static struct engine_options caching(void)
{
    struct engine_options options = run_options();
    options.prefix_cache = true;
    return options;
}

/* Beginnings of the story, so that requests have any number of full pages in common. */
static const char *beginning(char *room, size_t length)
{
    memcpy(room, story, length);
    room[length] = 0;
    return room;
}

/* `known_max`: tokens that can be known at most. */
static void compare_with_cache(const struct tiny_model *tiny, int32_t known_max)
{
    static const size_t lengths[] = {280, 60, 66, 70, 64, 65, 129, 130, 200, 199, 280, 256};
    struct engine_options options = run_options();
    options.threads = 1;
    struct run *plain = run_open(tiny, &options);
    options.prefix_cache = true;
    struct run *cached = run_open(tiny, &options);
    char prompt[sizeof story];
    for (uint64_t id = 0; id < sizeof lengths / sizeof *lengths; id++) {
        ask(plain, id, beginning(prompt, lengths[id]), 1);
        run_all(plain);
        ask(cached, id, beginning(prompt, lengths[id]), 1);
        run_all(cached);
        run_assert_same(&cached->answers[id], &plain->answers[id]);
        assert_int_equal(plain->answers[id].usage.cached_tokens, 0);
        const struct engine_usage *usage = &cached->answers[id].usage;
        /* what is in full pages, but for the last token: the first one was the longest */
        int32_t expected = (usage->prompt_tokens - 1) / KV_PAGE_TOKENS * KV_PAGE_TOKENS;
        expected = expected < known_max ? expected : known_max;
        assert_int_equal(usage->cached_tokens, id ? expected : 0);
    }
    run_close(plain);
    run_close(cached);
}

static void answers_with_the_cache_are_those_without(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 3);
    compare_with_cache(&tiny, INT32_MAX);
    tiny.layers = 4;
    tiny.window = 140;
    tiny.architecture = "gemma2"; /* every other layer has the window */
    compare_with_cache(&tiny, 128);
    tiny.architecture = "phi3"; /* every layer */
    tiny.fused = true;
    compare_with_cache(&tiny, 128);
}

/* The answer keeps to letters that stay single tokens when they are read again. */
static void an_answer_is_known_too(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 4);
    struct engine_options options = caching();
    struct run *run = run_open(&tiny, &options);
    struct token_bias biases[TINY_MODEL_VOCABULARY];
    struct engine_request request = {
        .sampling = run_greedy, .max_tokens = 150, .biases = biases, .bias_count = 0};
    for (int32_t token = 0; token < TINY_MODEL_VOCABULARY; token++)
        if (token < 'i' || token > 'z')
            biases[request.bias_count++] = (struct token_bias){token, -100};
    char prompt[RUN_BYTES_MAX] = "0123456789";
    assert_int_equal(run_submit_request(run, 0, prompt, request, NULL), 0);
    run_all(run);
    const struct answer *answer = &run->answers[0];
    assert_int_equal(answer->length, 150);
    memcpy(prompt + 10, answer->text, answer->length);
    run_submit(run, 1, prompt, 1);
    run_all(run);
    assert_int_equal(run->answers[1].usage.prompt_tokens, 160);
    assert_int_equal(run->answers[1].usage.cached_tokens, 128);
    run_close(run);
}

static void owners_do_not_meet(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 4);
    struct engine_options options = caching();
    struct run *run = run_open(&tiny, &options);
    static const uint32_t owners[] = {1000, 0, 1000, 1001, 0};
    static const bool knows[] = {false, false, true, false, true};
    for (uint64_t id = 0; id < 5; id++) {
        ask(run, id, story, owners[id]);
        run_all(run);
        assert_int_equal(run->answers[id].usage.cached_tokens > 0, knows[id]);
        run_assert_same(&run->answers[id], &run->answers[0]);
    }
    run_close(run);
}

/* Of equal requests that come together the first one reads, the others follow page by page. */
static void requests_that_run_together_share(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 5);
    struct engine_options options = caching();
    options.prefill_chunk = 64;
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    const uint64_t page = engine_plan(run->engine)->kv_page_bytes;
    engine_grant(run->engine, (5 + 8 * 3) * page); /* one and a bit for each, and the common 4 */
    for (uint64_t id = 0; id < 8; id++)
        ask(run, id, story, 1);
    run_all(run);
    assert_int_equal(run->needs, 0);
    for (uint64_t id = 1; id < 8; id++) {
        run_assert_same(&run->answers[id], &run->answers[0]);
        assert_true(run->answers[id].usage.cached_tokens >= 3 * KV_PAGE_TOKENS);
    }
    run_close(run);
}

static void what_rests_makes_room_before_more_is_asked_for(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 6);
    struct engine_options options = caching();
    options.kv_bytes = 0;
    struct run *run = run_open(&tiny, &options);
    const uint64_t page = engine_plan(run->engine)->kv_page_bytes;
    engine_grant(run->engine, 6 * page); /* what one request needs */
    for (uint64_t id = 0; id < 6; id++) {
        ask(run, id, &story[id % 2 ? 0 : 20], 1);
        run_all(run);
        assert_true(run->answers[id].done);
    }
    assert_int_equal(run->needs, 0);
    for (uint64_t id = 2; id < 6; id++)
        run_assert_same(&run->answers[id], &run->answers[id - 2]);
    run_close(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_known_by_owner_chain_and_tokens),
        cmocka_unit_test(an_equal_page_is_used_instead),
        cmocka_unit_test(pages_that_rest_count_as_available_and_go_from_the_end_of_the_oldest),
        cmocka_unit_test(chains_are_as_long_as_a_window),
        cmocka_unit_test(pages_with_windows_are_known_whole),
        cmocka_unit_test(answers_with_the_cache_are_those_without),
        cmocka_unit_test(an_answer_is_known_too),
        cmocka_unit_test(owners_do_not_meet),
        cmocka_unit_test(requests_that_run_together_share),
        cmocka_unit_test(what_rests_makes_room_before_more_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
