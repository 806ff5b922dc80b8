/* test_draft.c - guesses at what comes next, and that answers do not depend on them. */
#include "generate/draft.h"
#include "tests/lib/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_TOKENS = 200 };

/* A text that grows token by token, watched as an answer is. */
struct text_so_far {
    struct draft draft;
    int32_t tokens[TEXT_TOKENS + DRAFT_TOKENS_MAX];
    int32_t count;
};

static void say(struct text_so_far *text, const char *letters)
{
    for (; *letters; letters++) {
        assert_true(text->count < TEXT_TOKENS);
        text->tokens[text->count++] = *letters;
        draft_watch(&text->draft, text->tokens, text->count);
    }
}

static int32_t guess(struct text_so_far *text, int32_t most)
{
    return draft_write(&text->draft, text->tokens, text->count, most, 0);
}

static void assert_guess(const struct text_so_far *text, int32_t count, const char *letters)
{
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(text->tokens[text->count + i], letters[i]);
}

static void nothing_is_guessed_of_a_text_without_repetition(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    say(&text, "abcdefghijklmnopqrstuvwxyzacbdcedfe");
    assert_int_equal(text.draft.next, 0);
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), 0);
}

static void what_followed_the_latest_time_is_guessed(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    say(&text, "12 ducks. A fox met 12");
    assert_true(guess(&text, DRAFT_TOKENS_MAX) > 0); /* from the first time on */
    say(&text, " ducks. ");
    const int32_t short_count = guess(&text, DRAFT_TOKENS_MAX);
    assert_in_range(short_count, 1, DRAFT_TOKENS_MAX - 1); /* few were right so far */
    assert_guess(&text, short_count, "A fox met");
    say(&text, "A fox met 12 ducks. A ");
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), DRAFT_TOKENS_MAX);
    assert_guess(&text, DRAFT_TOKENS_MAX, "fox met ");
    assert_int_equal(guess(&text, 3), 3);
    assert_int_equal(guess(&text, 0), 0);
    say(&text, "fog. Here is the foe, Ofo"); /* "fo" occurred several times, in "foe" the last */
    assert_int_equal(text.tokens[text.draft.next], 'e');
}

static void a_short_cycle_is_guessed_beyond_its_length(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    say(&text, "xyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxy");
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), DRAFT_TOKENS_MAX);
    assert_guess(&text, DRAFT_TOKENS_MAX, "xyxyxyxy");
}

static void wrong_guesses_end_the_drafts_and_right_ones_bring_them_back(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    say(&text, "aaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), DRAFT_TOKENS_MAX);
    for (char other = 'b'; other < 'i'; other++) {
        say(&text, (char[]){other, 0});
        say(&text, "aaa"); /* a guess, which the next letter belies */
    }
    assert_true(text.draft.next > 0);
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), 0);
    say(&text, "aaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), DRAFT_TOKENS_MAX);
}

/* What a text costs in which nothing is ever right: "ab" comes again and again, and what follows is
 * new each time. */
static void few_wrong_guesses_are_made_in_a_new_text(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    int wrong = 0;
    say(&text, "ab");
    for (char other = '0'; other < 'Z'; other++) {
        say(&text, (char[]){other, 'a', 'b', 0});
        assert_true(text.draft.next > 0);
        wrong += guess(&text, DRAFT_TOKENS_MAX) > 0;
        assert_in_range(guess(&text, DRAFT_TOKENS_MAX), 0, wrong == 1 ? 2 : 1);
    }
    assert_int_equal(wrong, 6);
    assert_int_equal(guess(&text, DRAFT_TOKENS_MAX), 0);
}

/* What other sequences get from a step has to be worth waiting for a longer one. */
static void company_makes_drafts_shorter(void **state)
{
    (void)state;
    struct text_so_far text = {.draft = draft_new()};
    say(&text, "xyxyxyxyxyxy");
    const int32_t alone = guess(&text, DRAFT_TOKENS_MAX);
    const int32_t beside = draft_write(&text.draft, text.tokens, text.count, DRAFT_TOKENS_MAX, 1);
    assert_in_range(beside, 1, alone - 1);
}

/* ---- answers ---- */

enum { LETTERS = 4 };

/* Only these letters, and one of them much likelier: answers that mostly repeat. */
struct letters {
    struct token_bias biases[TINY_MODEL_VOCABULARY];
    size_t count;
};

static struct letters few_letters(float favour)
{
    struct letters letters = {0};
    for (int32_t token = 0; token < TINY_MODEL_VOCABULARY; token++)
        if (token < 'p' || token >= 'p' + LETTERS)
            letters.biases[letters.count++] = (struct token_bias){token, -100};
    letters.biases[letters.count++] = (struct token_bias){'p', favour};
    return letters;
}

static const char prompt[] = "pqrs pqrs pppp ssss";

/* Without a second thread, which would change nothing but the time. */
static struct engine_options alone(void)
{
    struct engine_options options = run_options();
    options.threads = 1;
    return options;
}

/* The answers with guesses and without; returns the steps that the guesses saved. */
static int compare(struct run *run, struct engine_request request)
{
    run->answers[0] = run->answers[1] = (struct answer){0};
    request.speculate = false;
    assert_int_equal(run_submit_request(run, 0, prompt, request, NULL), 0);
    int steps = run_all(run);
    request.speculate = true;
    assert_int_equal(run_submit_request(run, 1, prompt, request, NULL), 0);
    steps -= run_all(run);
    const struct engine_usage *plain = &run->answers[0].usage, *usage = &run->answers[1].usage;
    run_assert_same(&run->answers[1], &run->answers[0]);
    assert_int_equal(plain->drafted_tokens + plain->accepted_tokens, 0);
    assert_in_range(usage->accepted_tokens, 0, usage->drafted_tokens);
    assert_int_equal(usage->completion_tokens, run->answers[1].count);
    return steps;
}

static struct engine_request drawing(const struct letters *letters)
{
    return (struct engine_request){
        .sampling = {.temperature = 1, .top_p = 1, .repeat_penalty = 1, .seed = 11},
        .max_tokens = 250,
        .biases = letters->biases,
        .bias_count = letters->count,
        .wants_logprobs = true,
    };
}

static void a_text_that_repeats_takes_fewer_steps(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 21);
    const struct engine_options options = alone();
    struct run *run = run_open(&tiny, &options);
    const struct letters letters = few_letters(0);
    struct engine_request request = drawing(&letters);
    request.sampling = run_greedy;
    assert_true(compare(run, request) > 120);
    run_close(run);
}

static void drawn_answers_are_the_same(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 22);
    struct engine_options options = alone();
    options.prefix_cache = true;
    struct run *run = run_open(&tiny, &options);
    const struct letters letters = few_letters(4);
    const struct engine_request usual = drawing(&letters);
    struct engine_request request = usual;
    int wrong = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        request.sampling.seed = seed;
        compare(run, request);
        const struct engine_usage *usage = &run->answers[1].usage;
        wrong += usage->drafted_tokens - usage->accepted_tokens;
    }
    assert_true(wrong > 20); /* otherwise this would not have looked at much */
    request = usual;
    request.sampling.repeat_penalty = 1.1f;
    request.sampling.presence_penalty = 0.2f;
    request.sampling.frequency_penalty = -0.1f;
    compare(run, request);
    request = usual;
    request.sampling.dry_multiplier = 0.5f;
    request.sampling.dry_base = 1.1f;
    request.sampling.dry_allowed_length = 20;
    compare(run, request);
    request = usual;
    request.sampling.mirostat = 2;
    request.sampling.mirostat_tau = 0.5f;
    request.sampling.mirostat_eta = 0.1f;
    compare(run, request);
    request = usual;
    request.sampling.top_k = 2;
    request.sampling.min_p = 0.1f;
    request.logprobs = 3;
    compare(run, request);
    run_close(run);
}

static void an_answer_ends_in_the_middle_of_a_draft(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_1, 23);
    const struct engine_options options = alone();
    struct run *run = run_open(&tiny, &options);
    const struct letters letters = few_letters(4);
    struct engine_request request = drawing(&letters);
    int saved = 0;
    for (request.max_tokens = 1; request.max_tokens <= 60; request.max_tokens++)
        saved += compare(run, request);
    assert_true(saved > 100);
    static const char *const stops[] = {"pppppppppppq", "ppppppppppppppppppppppppp", "rp", "s"};
    request.max_tokens = 250;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        const struct text stop = text_of(stops[i]);
        request.stops = &stop;
        request.stop_count = 1;
        compare(run, request);
    }
    request.stop_count = 0;
    request.stop_tokens = (const int32_t[]){'r'};
    request.stop_token_count = 1;
    compare(run, request);
    request = drawing(&letters);
    request.max_tokens = 0; /* up to the end of the context */
    compare(run, request);
    run_close(run);
}

static void a_grammar_sees_accepted_tokens_only(void **state)
{
    (void)state;
    static const char *const grammars[] = {
        "root ::= (\"pq\" | \"ppp\" | \"rs\")*",
        "root ::= \"pqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpqpq\"",
        "root ::= (\"pppppppppppppppppppppppppppp\" [q-s])+",
    };
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 24);
    const struct engine_options options = alone();
    struct run *run = run_open(&tiny, &options);
    const struct letters letters = few_letters(4);
    int saved = 0;
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
        struct engine_request request = drawing(&letters);
        request.grammar = text_of(grammars[i]);
        saved += compare(run, request);
        assert_true(run->answers[0].length > 0);
    }
    assert_true(saved > 50);
    run_close(run);
}

/* Step by step, with one page at a time when one is missing, until a request has ended. */
static void feed(struct run *run, uint64_t id)
{
    for (int i = 0; !run->answers[id].done && i < 10000; i++) {
        run_all(run);
        if (run->need)
            engine_grant(run->engine, engine_plan(run->engine)->kv_page_bytes);
        run->need = 0;
    }
}

/* Two sequences guess beside each other, three do not; memory comes page by page. */
static void company_and_missing_memory_change_nothing(void **state)
{
    (void)state;
    enum { COPIES = 5, SEEDS = 3 };
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 25);
    const struct letters letters = few_letters(4);
    struct engine_request request = drawing(&letters);
    struct engine_options options = alone();
    struct run *run = run_open(&tiny, &options);
    for (uint64_t id = 0; id < SEEDS; id++) {
        request.sampling.seed = id;
        assert_int_equal(run_submit_request(run, id, prompt, request, NULL), 0);
        run_all(run);
    }
    options.kv_bytes = 0;
    options.prefix_cache = true;
    struct run *poor = run_open(&tiny, &options);
    request.speculate = true;
    for (uint64_t id = 0; id < COPIES; id++) {
        request.sampling.seed = id % SEEDS;
        assert_int_equal(run_submit_request(poor, id, prompt, request, NULL), 0);
        if (id >= SEEDS - 1) /* then there are three, two, and two */
            feed(poor, id - SEEDS + 1);
    }
    feed(poor, COPIES - 1);
    int drafted = 0;
    for (uint64_t id = 0; id < COPIES; id++) {
        feed(poor, id);
        run_assert_same(&poor->answers[id], &run->answers[id % SEEDS]);
        drafted += poor->answers[id].usage.drafted_tokens;
    }
    assert_true(drafted > 0);
    run_close(poor);
    run_close(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_guessed_of_a_text_without_repetition),
        cmocka_unit_test(what_followed_the_latest_time_is_guessed),
        cmocka_unit_test(a_short_cycle_is_guessed_beyond_its_length),
        cmocka_unit_test(wrong_guesses_end_the_drafts_and_right_ones_bring_them_back),
        cmocka_unit_test(few_wrong_guesses_are_made_in_a_new_text),
        cmocka_unit_test(company_makes_drafts_shorter),
        cmocka_unit_test(a_text_that_repeats_takes_fewer_steps),
        cmocka_unit_test(drawn_answers_are_the_same),
        cmocka_unit_test(an_answer_ends_in_the_middle_of_a_draft),
        cmocka_unit_test(a_grammar_sees_accepted_tokens_only),
        cmocka_unit_test(company_and_missing_memory_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
