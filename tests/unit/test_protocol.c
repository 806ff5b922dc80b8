/* test_protocol.c - every message survives the trip; nothing else gets through. */
#include "protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

enum { TYPES = 13, REQUEST = 77 };

static const uint16_t types[TYPES] = {
    PROTOCOL_GENERATE, PROTOCOL_CANCEL, PROTOCOL_GRANT, PROTOCOL_REFUSE, PROTOCOL_THREADS,
    PROTOCOL_STOP,     PROTOCOL_PLAN,   PROTOCOL_READY, PROTOCOL_FAILED, PROTOCOL_TEXT,
    PROTOCOL_LOGPROBS, PROTOCOL_DONE,   PROTOCOL_NEED,
};

static void fill_generate(struct protocol_generate *generate)
{
    *generate = (struct protocol_generate){
        .owner = 1000,
        .raw = true,
        .thinking = PROTOCOL_THINKING_OFF,
        .format = PROTOCOL_FORMAT_F32,
        .speculate = true,
        .sampling = {.temperature = 0.5f,
                     .top_p = 0.25f,
                     .min_p = 0.125f,
                     .repeat_penalty = 1.5f,
                     .top_k = 40,
                     .mirostat_eta = -0.5f,
                     .seed = 0x0123456789abcdef},
        .max_tokens = -3,
        .logprobs = -1,
        .grammar = text_of("root ::= \"a\""),
        .json_schema = text_of("{}"),
        .message_count = 2,
        .stop_count = 2,
        .stop_token_count = 1,
        .bias_count = 2,
        .stop_tokens = {-7},
        .biases = {{5, -100}, {6, 0.25f}},
    };
    generate->messages[0] = (struct protocol_chat_message){text_of("system"), text_of("be brief")};
    generate->messages[1] = (struct protocol_chat_message){text_of("user"), text_of("")};
    generate->stops[0] = text_of("\n\n");
    generate->stops[1] = (struct text){"a\0b", 3};
}

static const struct protocol_plan plan_sample = {
    .charge_bytes = 1ull << 40, .weight_bytes = 12345, .kv_page_bytes = 678, .context = 8192};
static const struct protocol_ready ready_sample = {.started_us = 1,
                                                   .loaded_us = 2,
                                                   .configured_us = 3,
                                                   .ready_us = 4,
                                                   .loaded_bytes = 5,
                                                   .cold_bytes = 6,
                                                   .charge_bytes = 7,
                                                   .context = 8};
static const struct protocol_done done_sample = {.code = ENOMEM,
                                                 .prompt_tokens = 1,
                                                 .cached_tokens = 2,
                                                 .completion_tokens = 3,
                                                 .drafted_tokens = 8,
                                                 .accepted_tokens = 7,
                                                 .truncated_texts = 9,
                                                 .started_us = 4,
                                                 .first_token_us = 5,
                                                 .ended_us = 1ll << 50};

/* Append the sample message of types[index]. */
static int put_sample(struct buffer *output, size_t index)
{
    struct protocol_plan plan = plan_sample;
    struct protocol_ready ready = ready_sample;
    struct protocol_done done = done_sample;
    struct protocol_generate *generate;
    int status;
    switch ((enum protocol_type)types[index]) {
    case PROTOCOL_GENERATE:
        generate = malloc(sizeof *generate);
        assert_non_null(generate);
        fill_generate(generate);
        status = protocol_put_generate(output, REQUEST, generate);
        free(generate);
        return status;
    case PROTOCOL_CANCEL:
        return protocol_put_cancel(output, REQUEST);
    case PROTOCOL_GRANT:
        return protocol_put_grant(output, 1ull << 63);
    case PROTOCOL_REFUSE:
        return protocol_put_refuse(output, text_of("no room"));
    case PROTOCOL_THREADS:
        return protocol_put_threads(output, 12);
    case PROTOCOL_STOP:
        return protocol_put_stop(output);
    case PROTOCOL_PLAN:
        plan.info = text_of("{\"name\":\"x\"}");
        return protocol_put_plan(output, &plan);
    case PROTOCOL_READY:
        ready.kernels = text_of("avx2");
        return protocol_put_ready(output, &ready);
    case PROTOCOL_FAILED:
        return protocol_put_failed(
            output, &(struct protocol_failed){.code = ENOEXEC, .text = text_of("not a model")});
    case PROTOCOL_TEXT:
        return protocol_put_text(output, REQUEST, text_of("caf\xc3\xa9"));
    case PROTOCOL_LOGPROBS:
        return protocol_put_logprobs(output, REQUEST, text_of("{}\n"));
    case PROTOCOL_DONE:
        done.finish = text_of("failed");
        done.text = text_of("no memory");
        return protocol_put_done(output, REQUEST, &done);
    case PROTOCOL_NEED:
        return protocol_put_need(output, 4096);
    }
    return -EINVAL;
}

static void assert_text(struct text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static void check_generate(const struct protocol_generate *generate)
{
    assert_int_equal(generate->owner, 1000);
    assert_true(generate->raw && generate->speculate);
    assert_int_equal(generate->thinking, PROTOCOL_THINKING_OFF);
    assert_int_equal(generate->format, PROTOCOL_FORMAT_F32);
    const struct sampling *sampling = &generate->sampling;
    assert_true(sampling->temperature == 0.5f && sampling->top_p == 0.25f);
    assert_true(sampling->min_p == 0.125f && sampling->repeat_penalty == 1.5f);
    assert_true(sampling->mirostat_eta == -0.5f);
    assert_int_equal(sampling->top_k, 40);
    assert_true(sampling->seed == 0x0123456789abcdef);
    assert_int_equal(generate->max_tokens, -3);
    assert_int_equal(generate->logprobs, -1);
    assert_text(generate->grammar, "root ::= \"a\"");
    assert_text(generate->json_schema, "{}");
    assert_int_equal(generate->stop_token_count, 1);
    assert_int_equal(generate->stop_tokens[0], -7);
    assert_int_equal(generate->bias_count, 2);
    assert_int_equal(generate->biases[0].token, 5);
    assert_true(generate->biases[0].bias == -100 && generate->biases[1].bias == 0.25f);
    assert_int_equal(generate->message_count, 2);
    assert_text(generate->messages[0].role, "system");
    assert_text(generate->messages[0].content, "be brief");
    assert_text(generate->messages[1].role, "user");
    assert_text(generate->messages[1].content, "");
    assert_int_equal(generate->stop_count, 2);
    assert_text(generate->stops[0], "\n\n");
    assert_int_equal(generate->stops[1].length, 3);
    assert_memory_equal(generate->stops[1].bytes, "a\0b", 3);
}

static void check_sample(const struct protocol_message *message)
{
    const struct protocol_ready *ready = &message->ready;
    const struct protocol_done *done = &message->done;
    switch ((enum protocol_type)message->header.type) {
    case PROTOCOL_GENERATE:
        check_generate(&message->generate);
        break;
    case PROTOCOL_GRANT:
        assert_true(message->bytes == 1ull << 63);
        break;
    case PROTOCOL_REFUSE:
        assert_text(message->text, "no room");
        break;
    case PROTOCOL_THREADS:
        assert_int_equal(message->threads, 12);
        break;
    case PROTOCOL_PLAN:
        assert_true(message->plan.charge_bytes == plan_sample.charge_bytes);
        assert_int_equal(message->plan.weight_bytes, plan_sample.weight_bytes);
        assert_int_equal(message->plan.kv_page_bytes, plan_sample.kv_page_bytes);
        assert_int_equal(message->plan.context, plan_sample.context);
        assert_text(message->plan.info, "{\"name\":\"x\"}");
        break;
    case PROTOCOL_READY:
        assert_int_equal(ready->started_us + 10 * ready->loaded_us + 100 * ready->configured_us +
                             1000 * ready->ready_us,
                         4321);
        assert_int_equal(ready->loaded_bytes + 10 * ready->cold_bytes + 100 * ready->charge_bytes,
                         765);
        assert_int_equal(ready->context, 8);
        assert_text(ready->kernels, "avx2");
        break;
    case PROTOCOL_FAILED:
        assert_int_equal(message->failed.code, ENOEXEC);
        assert_text(message->failed.text, "not a model");
        break;
    case PROTOCOL_TEXT:
        assert_text(message->text, "caf\xc3\xa9");
        break;
    case PROTOCOL_LOGPROBS:
        assert_text(message->text, "{}\n");
        break;
    case PROTOCOL_DONE:
        assert_int_equal(done->code, ENOMEM);
        assert_int_equal(done->truncated_texts, 9);
        assert_int_equal(done->drafted_tokens + 10 * done->accepted_tokens, 78);
        assert_int_equal(
            done->prompt_tokens + 10 * done->cached_tokens + 100 * done->completion_tokens, 321);
        assert_int_equal(done->started_us + 10 * done->first_token_us, 54);
        assert_true(done->ended_us == done_sample.ended_us);
        assert_text(done->finish, "failed");
        assert_text(done->text, "no memory");
        break;
    case PROTOCOL_NEED:
        assert_int_equal(message->bytes, 4096);
        break;
    case PROTOCOL_CANCEL:
    case PROTOCOL_STOP:
        break;
    }
}

/* Parse a copy of exactly `length` bytes, so that the sanitizer sees a read behind them. */
static int parse_copy(const void *bytes, size_t length, struct protocol_message *out,
                      size_t *consumed)
{
    char *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    struct error error = {0};
    int status = protocol_parse((struct text){copy, length}, out, consumed, &error);
    if (status < 0) {
        assert_int_equal(status, -EPROTO);
        assert_int_equal(error.code, EPROTO);
        assert_true(error.text[0] != '\0');
    }
    free(copy);
    return status;
}

static struct protocol_message *new_message(void)
{
    struct protocol_message *message = malloc(sizeof *message);
    assert_non_null(message);
    return message;
}

static void every_message_survives_the_trip(void **state)
{
    (void)state;
    struct buffer output = buffer_new(1 << 20);
    struct protocol_message *message = new_message();
    for (size_t i = 0; i < TYPES; i++)
        assert_int_equal(put_sample(&output, i), 0);
    size_t at = 0;
    for (size_t i = 0; i < TYPES; i++) {
        size_t consumed = 0;
        struct text input = {output.bytes + at, output.length - at};
        assert_int_equal(protocol_parse(input, message, &consumed, NULL), 1);
        assert_int_equal(message->header.type, types[i]);
        bool of_request = types[i] == PROTOCOL_GENERATE || types[i] == PROTOCOL_CANCEL ||
                          types[i] == PROTOCOL_TEXT || types[i] == PROTOCOL_LOGPROBS ||
                          types[i] == PROTOCOL_DONE;
        assert_int_equal(message->header.request, of_request ? REQUEST : 0);
        check_sample(message);
        at += consumed;
    }
    assert_int_equal(at, output.length);
    free(message);
    buffer_free(&output);
}

static void every_truncation_needs_more(void **state)
{
    (void)state;
    struct protocol_message *message = new_message();
    for (size_t i = 0; i < TYPES; i++) {
        struct buffer output = buffer_new(1 << 20);
        size_t consumed = 0;
        assert_int_equal(put_sample(&output, i), 0);
        for (size_t length = 0; length < output.length; length++)
            assert_int_equal(parse_copy(output.bytes, length, message, &consumed), 0);
        assert_int_equal(consumed, 0);
        assert_int_equal(parse_copy(output.bytes, output.length, message, &consumed), 1);
        assert_int_equal(consumed, output.length);
        buffer_free(&output);
    }
    free(message);
}

/* The header says `bytes`; zeros follow, so that as many are there. */
static int parse_with_length(const struct buffer *sample, uint32_t bytes,
                             struct protocol_message *message)
{
    size_t length = sizeof(struct protocol_header) + bytes;
    char *copy = calloc(length + 1, 1);
    assert_non_null(copy);
    memcpy(copy, sample->bytes, sample->length < length ? sample->length : length);
    memcpy(copy, &bytes, sizeof bytes);
    size_t consumed;
    int status = parse_copy(copy, length, message, &consumed);
    free(copy);
    return status;
}

static void a_payload_of_another_length_is_refused(void **state)
{
    (void)state;
    struct protocol_message *message = new_message();
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i] == PROTOCOL_TEXT || types[i] == PROTOCOL_LOGPROBS ||
            types[i] == PROTOCOL_REFUSE)
            continue; /* their length is the text's */
        struct buffer output = buffer_new(1 << 20);
        assert_int_equal(put_sample(&output, i), 0);
        uint32_t right = (uint32_t)(output.length - sizeof(struct protocol_header));
        for (uint32_t bytes = 0; bytes < right + 300; bytes++)
            if (bytes != right)
                assert_int_equal(parse_with_length(&output, bytes, message), -EPROTO);
        buffer_free(&output);
    }
    free(message);
}

static int parse_with_header(struct protocol_header header, struct protocol_message *message)
{
    size_t consumed;
    return parse_copy(&header, sizeof header, message, &consumed);
}

static void a_bad_header_is_refused_before_its_payload(void **state)
{
    (void)state;
    struct protocol_message *message = new_message();
    struct protocol_header text = {1, PROTOCOL_TEXT, PROTOCOL_VERSION, 1};
    assert_int_equal(parse_with_header(text, message), 0);
    for (uint32_t version = 0; version <= UINT16_MAX; version++) {
        text.version = (uint16_t)version;
        assert_int_equal(parse_with_header(text, message),
                         version == PROTOCOL_VERSION ? 0 : -EPROTO);
    }
    uint32_t known = 0;
    for (uint32_t type = 0; type <= UINT16_MAX; type++) {
        struct protocol_header huge = {UINT32_MAX, (uint16_t)type, PROTOCOL_VERSION, 0};
        assert_int_equal(parse_with_header(huge, message), -EPROTO);
        assert_int_equal(message->header.type, type);
        struct protocol_header stop = {0, (uint16_t)type, PROTOCOL_VERSION, 0};
        known += parse_with_header(stop, message) == 1;
    }
    assert_int_equal(known, 3); /* CANCEL, STOP and an empty REFUSE need no payload */
    text =
        (struct protocol_header){PROTOCOL_TEXT_BYTES_MAX + 1, PROTOCOL_TEXT, PROTOCOL_VERSION, 1};
    assert_int_equal(parse_with_header(text, message), -EPROTO);
    assert_int_equal(
        parse_with_header((struct protocol_header){0, PROTOCOL_STOP, PROTOCOL_VERSION, 5}, message),
        -EPROTO);
    free(message);
}

static void bad_counts_and_flags_of_generate_are_refused(void **state)
{
    (void)state;
    enum {
        RAW = 4, /* behind the owner */
        THINKING = RAW + 4,
        FORMAT = THINKING + 4,
        SPECULATE = FORMAT + 4,
        SAMPLING = SPECULATE + 4,
        MAX_TOKENS = SAMPLING + 4 * SAMPLING_PARAMETERS + 8, /* and the seed */
        MESSAGES = MAX_TOKENS + 4 + 4,                       /* logprobs stands between */
        STOPS = MESSAGES + 4,
        STOP_TOKENS = STOPS + 4,
        BIASES = STOP_TOKENS + 4,
        FIRST_LENGTH = BIASES + 4,
    };
    static const struct {
        size_t offset;
        uint32_t value;
    } cases[] = {
        {RAW, 2},
        {RAW, UINT32_MAX},
        {THINKING, PROTOCOL_THINKING_OFF + 1},
        {FORMAT, PROTOCOL_FORMAT_F32 + 1},
        {SPECULATE, 2},
        {MESSAGES, 0},
        {MESSAGES, 1},
        {MESSAGES, 3},
        {MESSAGES, PROTOCOL_MESSAGES_MAX + 1},
        {STOPS, 1},
        {STOPS, 3},
        {STOPS, PROTOCOL_STOPS_MAX + 1},
        {STOPS, UINT32_MAX},
        {STOP_TOKENS, 0},
        {STOP_TOKENS, SAMPLING_STOP_TOKENS_MAX + 1},
        {BIASES, 1},
        {BIASES, SAMPLING_BIASES_MAX + 1},
        {MESSAGES, UINT32_MAX},
        {FIRST_LENGTH, UINT32_MAX},
        {FIRST_LENGTH, 7},
    };
    struct protocol_message *message = new_message();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer output = buffer_new(1 << 20);
        size_t consumed;
        assert_int_equal(put_sample(&output, 0), 0);
        memcpy(output.bytes + sizeof(struct protocol_header) + cases[i].offset, &cases[i].value, 4);
        assert_int_equal(parse_copy(output.bytes, output.length, message, &consumed), -EPROTO);
        buffer_free(&output);
    }
    free(message);
}

static void random_bytes_never_hurt(void **state)
{
    (void)state;
    struct protocol_message *message = new_message();
    unsigned seed = 1;
    int refused = 0;
    for (int round = 0; round < 200000; round++) {
        struct buffer output = buffer_new(1 << 20);
        size_t consumed = 0;
        assert_int_equal(put_sample(&output, (size_t)rand_r(&seed) % TYPES), 0);
        for (int flips = 1 + rand_r(&seed) % 3; flips; flips--)
            output.bytes[(size_t)rand_r(&seed) % output.length] = (char)rand_r(&seed);
        int status = parse_copy(output.bytes, output.length, message, &consumed);
        assert_true(status == 1 || status == 0 || status == -EPROTO);
        if (status == 1)
            assert_in_range(consumed, sizeof(struct protocol_header), output.length);
        refused += status < 0;
        buffer_free(&output);
    }
    assert_true(refused > 1000);
    free(message);
}

static void a_long_text_becomes_several_messages(void **state)
{
    (void)state;
    enum { LENGTH = 2 * PROTOCOL_TEXT_BYTES_MAX + 5 };
    char *bytes = malloc(LENGTH);
    struct protocol_message *message = new_message();
    struct buffer output = buffer_new(1 << 20);
    assert_non_null(bytes);
    for (size_t i = 0; i < LENGTH; i++)
        bytes[i] = (char)(i * 7);
    assert_int_equal(protocol_put_text(&output, REQUEST, (struct text){bytes, LENGTH}), 0);
    size_t at = 0, seen = 0;
    while (at < output.length) {
        size_t consumed;
        assert_int_equal(protocol_parse((struct text){output.bytes + at, output.length - at},
                                        message, &consumed, NULL),
                         1);
        assert_memory_equal(message->text.bytes, bytes + seen, message->text.length);
        seen += message->text.length;
        at += consumed;
    }
    assert_int_equal(seen, LENGTH);
    assert_int_equal(protocol_put_text(&output, REQUEST, text_of("")), 0);
    assert_int_equal(at, output.length);
    buffer_free(&output);
    free(message);
    free(bytes);
}

static void a_message_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct buffer one = buffer_new(1 << 20);
        assert_int_equal(put_sample(&one, i), 0);
        for (size_t limit = 3; limit < 3 + one.length; limit++) {
            struct buffer tight = buffer_new(limit);
            assert_int_equal(buffer_append(&tight, "abc", 3), 0);
            assert_int_equal(put_sample(&tight, i), -EMSGSIZE);
            assert_int_equal(tight.length, 3);
            buffer_free(&tight);
        }
        buffer_free(&one);
    }
}

static void what_parse_would_refuse_is_not_put(void **state)
{
    (void)state;
    static char bytes[PROTOCOL_INFO_BYTES_MAX + 1];
    struct buffer output = buffer_new(128 << 20);
    struct protocol_generate *generate = malloc(sizeof *generate);
    assert_non_null(generate);
    fill_generate(generate);
    generate->message_count = PROTOCOL_MESSAGES_MAX + 1;
    assert_int_equal(protocol_put_generate(&output, 1, generate), -EMSGSIZE);
    fill_generate(generate);
    generate->stop_count = PROTOCOL_STOPS_MAX + 1;
    assert_int_equal(protocol_put_generate(&output, 1, generate), -EMSGSIZE);
    free(generate);
    struct text of_one_more = {bytes, sizeof bytes};
    assert_int_equal(protocol_put_plan(&output, &(struct protocol_plan){.info = of_one_more}),
                     -EMSGSIZE);
    of_one_more.length = ERROR_TEXT_BYTES + 1;
    assert_int_equal(protocol_put_refuse(&output, of_one_more), -EMSGSIZE);
    assert_int_equal(protocol_put_failed(&output, &(struct protocol_failed){.text = of_one_more}),
                     -EMSGSIZE);
    assert_int_equal(protocol_put_done(&output, 1, &(struct protocol_done){.text = of_one_more}),
                     -EMSGSIZE);
    assert_int_equal(output.length, 0);
    buffer_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_trip),
        cmocka_unit_test(every_truncation_needs_more),
        cmocka_unit_test(a_payload_of_another_length_is_refused),
        cmocka_unit_test(a_bad_header_is_refused_before_its_payload),
        cmocka_unit_test(bad_counts_and_flags_of_generate_are_refused),
        cmocka_unit_test(random_bytes_never_hurt),
        cmocka_unit_test(a_long_text_becomes_several_messages),
        cmocka_unit_test(a_message_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(what_parse_would_refuse_is_not_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
