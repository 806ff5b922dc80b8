/* test_constraint.c - answers that follow a grammar, and the masks behind them. */
#include "engine.h"
#include "generate/constraint.h"
#include "generate/matcher.h"
#include "load/gguf.h"
#include "tests/lib/tiny_model.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { REQUESTS_MAX = 64, ANSWER_BYTES_MAX = 2048 };

struct answer {
    char text[ANSWER_BYTES_MAX];
    size_t length;
    bool done;
    enum engine_finish finish;
};

/* An opened model and what its answers are; a request's id is its index. */
struct run {
    char path[64];
    struct engine *engine;
    struct engine_sink sink;
    struct answer answers[REQUESTS_MAX];
};

static const struct sampling greedy = {.top_p = 1, .repeat_penalty = 1};

static void take_text(void *owner, uint64_t id, struct text text)
{
    struct answer *answer = &((struct run *)owner)->answers[id];
    assert_true(answer->length + text.length < ANSWER_BYTES_MAX);
    memcpy(answer->text + answer->length, text.bytes, text.length);
    answer->length += text.length;
}

static void take_done(void *owner, uint64_t id, enum engine_finish finish,
                      const struct engine_usage *usage, const struct error *error)
{
    (void)usage;
    (void)error;
    ((struct run *)owner)->answers[id].done = true;
    ((struct run *)owner)->answers[id].finish = finish;
}

static struct run *open_run(const struct tiny_model *tiny)
{
    const struct engine_options options = {.threads = 2, .kv_bytes = 64 << 20};
    struct run *run = calloc(1, sizeof *run);
    struct error error;
    assert_non_null(run);
    strcpy(run->path, "/tmp/test_constraint.XXXXXX");
    int descriptor = mkstemp(run->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(tiny_model_save(tiny, run->path), 0);
    if (engine_open(run->path, &options, &run->engine, &error))
        fail_msg("%s", error.text);
    run->sink = (struct engine_sink){.owner = run, .text = take_text, .done = take_done};
    return run;
}

static void close_run(struct run *run)
{
    engine_close(run->engine);
    unlink(run->path);
    free(run);
}

static void run_all(struct run *run)
{
    while (engine_step(run->engine, &run->sink))
        ;
}

/* A request with a grammar, or with a schema. */
static int submit_constrained(struct run *run, uint64_t id, const char *grammar, const char *schema,
                              int32_t max_tokens, struct sampling sampling, struct error *error)
{
    const struct chat_message message = {text_of("user"), text_of("Go on: ")};
    const struct engine_request request = {
        .raw = true,
        .messages = &message,
        .message_count = 1,
        .sampling = sampling,
        .max_tokens = max_tokens,
        .grammar = text_of(grammar),
        .json_schema = text_of(schema),
    };
    return engine_submit(run->engine, id, &request, error);
}

/* Whether a text is of the grammar, or the beginning of such a text. */
static bool follows(const struct answer *answer, const char *grammar, bool complete)
{
    struct grammar *compiled;
    struct matcher *matcher;
    assert_int_equal(grammar_parse(text_of(grammar), &compiled, NULL), 0);
    assert_int_equal(matcher_open(compiled, &matcher, NULL), 0);
    int32_t state = matcher_start(matcher);
    for (size_t i = 0; i < answer->length && state > MATCHER_DEAD; i++)
        state = matcher_step(matcher, state, (uint8_t)answer->text[i], NULL);
    bool right = state > MATCHER_DEAD && (!complete || matcher_is_complete(matcher, state));
    matcher_close(matcher);
    grammar_close(compiled);
    return right;
}

static void answers_follow_their_grammar(void **state)
{
    (void)state;
    static const char *const grammars[] = {
        "root ::= \"he\" [a-h]{3,9} \"!\"",
        "root ::= item (\",\" item)*\nitem ::= \"(\" root? \")\" | [0-9]{1,3}",
        "root ::= [\u0400-\u04ff\u20ac\U0001F600-\U0001F64F]{4,12}",
        "root ::= \"yes\" | \"no\" | \"he said\"",
        "root ::= \"h\" \"e\" | \"hello\"",
        "root ::= \"\"",
    };
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 11);
    struct run *run = open_run(&tiny);
    const int count = sizeof grammars / sizeof *grammars;
    for (int i = 0; i < 5 * count; i++) {
        struct sampling sampling = greedy;
        sampling.temperature = (float)(i / count);
        sampling.seed = (uint64_t)i;
        assert_int_equal(
            submit_constrained(run, (uint64_t)i, grammars[i % count], "", 40, sampling, NULL), 0);
    }
    run_all(run);
    for (int i = 0; i < 5 * count; i++) {
        const struct answer *answer = &run->answers[i];
        assert_true(answer->done && answer->finish != ENGINE_FAILED);
        if (!follows(answer, grammars[i % count], answer->finish == ENGINE_STOP))
            fail_msg("%s: %s", grammars[i % count], answer->text);
        if (i % count != 1) /* which may go on for ever */
            assert_int_equal(answer->finish, ENGINE_STOP);
    }
    close_run(run);
}

static void answers_follow_their_schema(void **state)
{
    (void)state;
    const char *schema =
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\","
        "\"minimum\":7,\"maximum\":23},\"s\":{\"type\":\"string\",\"maxLength\":9}},"
        "\"required\":[\"n\",\"s\"],\"additionalProperties\":false}";
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q8_0, 3);
    struct run *run = open_run(&tiny);
    for (uint64_t id = 0; id < 20; id++) {
        struct sampling sampling = greedy;
        sampling.temperature = 2;
        sampling.seed = id;
        assert_int_equal(submit_constrained(run, id, "", schema, 120, sampling, NULL), 0);
    }
    run_all(run);
    for (int id = 0; id < 20; id++) {
        int n, end = 0;
        assert_int_equal(run->answers[id].finish, ENGINE_STOP);
        run->answers[id].text[run->answers[id].length] = 0;
        const char *text = run->answers[id].text;
        if (sscanf(text, " { \"n\" : %d , \"s\" : %n", &n, &end) != 1 || end == 0)
            fail_msg("%s", text);
        assert_in_range(n, 7, 23);
        assert_int_equal(text[run->answers[id].length - 1], '}');
    }
    close_run(run);
}

static void a_grammar_that_does_not_parse_is_refused(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    struct run *run = open_run(&tiny);
    struct error error;
    assert_int_equal(submit_constrained(run, 0, "root ::= \"a\"\n?", "", 5, greedy, &error),
                     -EINVAL);
    assert_non_null(strstr(error.text, "grammar, line 2"));
    assert_int_equal(submit_constrained(run, 0, "", "{\"not\":{}}", 5, greedy, &error), -EINVAL);
    assert_non_null(strstr(error.text, "\"not\""));
    assert_int_equal(submit_constrained(run, 0, "root ::= \"a\"", "{}", 5, greedy, &error),
                     -EINVAL);
    assert_non_null(strstr(error.text, "both"));
    close_run(run);
}

/* ---- masks ---- */

static const char json_grammar[] =
    "root ::= value\n"
    "value ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" | "
    "\"[\" ws (value (\",\" ws value)*)? \"]\" | string | number | \"true\" | \"null\"\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\bfnrt])* \"\\\"\"\n"
    "number ::= \"-\"? [0-9]{1,15} (\".\" [0-9]{1,9})?\nws ::= \" \"?\n";

/* A token is in the mask if and only if its bytes lead somewhere, one after the other. */
static void assert_right_mask(const struct tokenizer *tokenizer, struct matcher *matcher,
                              int32_t state, const float *logits, int32_t count)
{
    char piece[TOKEN_TRIE_DEPTH_MAX];
    for (int32_t token = 0; token < count; token++) {
        long length = tokenizer_decode(tokenizer, token, false, piece, sizeof piece);
        int32_t at = length > 0 ? state : MATCHER_DEAD;
        for (long i = 0; i < length && at > MATCHER_DEAD; i++)
            at = matcher_step(matcher, at, (uint8_t)piece[i], NULL);
        bool allowed = tokenizer_is_end(tokenizer, token) ? matcher_is_complete(matcher, state)
                                                          : at > MATCHER_DEAD;
        assert_int_equal(allowed, isfinite(logits[token]));
    }
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Write a text token by token; after each, the mask is compared with what the grammar says. */
static void check_masks(const struct tokenizer *tokenizer, const char *grammar, const char *text,
                        int32_t count)
{
    struct token_trie *trie;
    struct constraint *constraint;
    struct grammar *compiled;
    struct matcher *matcher;
    struct tokens tokens = {0};
    float *logits = calloc((size_t)count, sizeof *logits);
    double started = milliseconds(), worst = 0, sum = 0;
    assert_int_equal(token_trie_open(tokenizer, count, &trie, NULL), 0);
    double opened = milliseconds() - started;
    assert_int_equal(
        constraint_open(CONSTRAINT_GRAMMAR, text_of(grammar), tokenizer, trie, &constraint, NULL),
        0);
    assert_int_equal(grammar_parse(text_of(grammar), &compiled, NULL), 0);
    assert_int_equal(matcher_open(compiled, &matcher, NULL), 0);
    assert_int_equal(tokenizer_encode(tokenizer, text_of(text), TOKENIZER_PLAIN, &tokens), 0);
    int32_t state = matcher_start(matcher);
    for (size_t i = 0; i < tokens.count; i++) {
        char piece[TOKEN_TRIE_DEPTH_MAX];
        memset(logits, 0, (size_t)count * sizeof *logits);
        started = milliseconds();
        assert_true(constraint_mask(constraint, logits, count, NULL) > 0);
        double elapsed = milliseconds() - started;
        worst = elapsed > worst ? elapsed : worst;
        sum += elapsed;
        assert_right_mask(tokenizer, matcher, state, logits, count);
        assert_int_equal(constraint_accept(constraint, tokens.ids[i], NULL), 0);
        long length = tokenizer_decode(tokenizer, tokens.ids[i], false, piece, sizeof piece);
        for (long j = 0; j < length; j++)
            state = matcher_step(matcher, state, (uint8_t)piece[j], NULL);
    }
    print_message("%d tokens: tree in %.1f ms, masks %.2f ms on average, %.2f ms at worst\n", count,
                  opened, sum / (double)tokens.count, worst);
    assert_int_equal(constraint_accept(constraint, -1, NULL), -EINVAL);
    tokens_free(&tokens);
    constraint_close(constraint);
    token_trie_close(trie);
    matcher_close(matcher);
    grammar_close(compiled);
    free(logits);
}

static const char json_text[] = "{\"name\": \"J\xC3\xBCrgen \xF0\x9F\x98\x80\",\"tags\": [\"some "
                                "longer text, with a comma\", 12.5,"
                                "-3,null], \"inner\": {\"a\":{\"b\":[[[true]]]}}}";

static void masks_are_what_the_grammar_says(void **state)
{
    (void)state;
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    struct run *run = open_run(&tiny);
    check_masks(engine_tokenizer(run->engine), json_grammar, json_text, TINY_MODEL_VOCABULARY);
    close_run(run);
}

static void masks_of_real_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"qwen2", "llama-bpe", "gpt-2"};
    const char *shared = getenv("INFERFS_SHARED");
    if (!shared)
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        struct gguf *gguf;
        struct vocabulary vocabulary;
        struct tokenizer *tokenizer;
        snprintf(path, sizeof path, "%s/vectors/tokenizers/ggml-vocab-%s.gguf", shared, names[i]);
        if (access(path, R_OK))
            skip();
        assert_int_equal(gguf_open(path, &gguf, NULL), 0);
        assert_int_equal(vocabulary_from_gguf(gguf, &vocabulary, NULL), 0);
        assert_int_equal(tokenizer_open(&vocabulary, &tokenizer, NULL), 0);
        check_masks(tokenizer, json_grammar, json_text, vocabulary.token_count);
        tokenizer_close(tokenizer);
        vocabulary_free(&vocabulary);
        gguf_close(gguf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_follow_their_grammar),
        cmocka_unit_test(answers_follow_their_schema),
        cmocka_unit_test(a_grammar_that_does_not_parse_is_refused),
        cmocka_unit_test(masks_are_what_the_grammar_says),
        cmocka_unit_test(masks_of_real_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
