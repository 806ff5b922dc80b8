/* protocol.c - messages to bytes and back.
 *
 * A payload is its numbers, each copied as it stands in memory, and its strings, each behind a
 * 32-bit length; nothing is aligned.  Where a string is all there is (TEXT, REFUSE) the payload is
 * the string.  One table says for each type how short and how long a payload may be, so that a
 * reader never has to buffer what it would refuse anyway.
 */
#include "protocol.h"

#include "base/bytes.h"

#include <errno.h>

enum {
    LENGTH_BYTES = 4,
    PARAMETER_BYTES = 4, /* a float or an int32_t */
    GENERATE_FIXED_BYTES =
        5 * 4 + SAMPLING_PARAMETERS * PARAMETER_BYTES + 8 + 2 * 4 + 4 * 4 + 2 * LENGTH_BYTES,
    PLAN_FIXED_BYTES = 3 * 8 + 4 + LENGTH_BYTES,
    READY_FIXED_BYTES = 4 * 8 + 3 * 8 + 4 + LENGTH_BYTES,
    FAILED_FIXED_BYTES = 4 + LENGTH_BYTES,
    DONE_FIXED_BYTES = 7 * 4 + 3 * 8 + 2 * LENGTH_BYTES,
};

struct shape {
    enum protocol_type type;
    uint32_t bytes_min, bytes_max; /* of the payload */
    bool of_request;               /* header.request may be other than 0 */
};

static const struct shape shapes[] = {
    {PROTOCOL_GENERATE, GENERATE_FIXED_BYTES, PROTOCOL_PAYLOAD_BYTES_MAX, true},
    {PROTOCOL_CANCEL, 0, 0, true},
    {PROTOCOL_GRANT, 8, 8, false},
    {PROTOCOL_REFUSE, 0, ERROR_TEXT_BYTES, false},
    {PROTOCOL_THREADS, 4, 4, false},
    {PROTOCOL_STOP, 0, 0, false},
    {PROTOCOL_PLAN, PLAN_FIXED_BYTES, PLAN_FIXED_BYTES + PROTOCOL_INFO_BYTES_MAX, false},
    {PROTOCOL_READY, READY_FIXED_BYTES, READY_FIXED_BYTES + PROTOCOL_WORD_BYTES_MAX, false},
    {PROTOCOL_FAILED, FAILED_FIXED_BYTES, FAILED_FIXED_BYTES + ERROR_TEXT_BYTES, false},
    {PROTOCOL_TEXT, 1, PROTOCOL_TEXT_BYTES_MAX, true},
    {PROTOCOL_DONE, DONE_FIXED_BYTES, DONE_FIXED_BYTES + PROTOCOL_WORD_BYTES_MAX + ERROR_TEXT_BYTES,
     true},
    {PROTOCOL_NEED, 8, 8, false},
    {PROTOCOL_LOGPROBS, 1, PROTOCOL_TEXT_BYTES_MAX, true},
};

static const struct shape *find_shape(uint16_t type)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

/* --- bytes to messages ------------------------------------------------------------------------ */

/* What is left of a payload.  A read that does not fit gives zeros and sets `short_of`, so that a
 * parser reads all its fields and asks once. */
struct reader {
    struct bytes_cursor cursor;
    bool short_of;
    bool refused; /* a number is out of range; the error says which */
};

static void read_bytes(struct reader *reader, void *out, size_t length)
{
    const uint8_t *at = bytes_take(&reader->cursor, length);
    if (at) {
        memcpy(out, at, length);
    } else {
        memset(out, 0, length);
        reader->short_of = true;
    }
}

static uint32_t read_u32(struct reader *reader)
{
    uint32_t value;
    read_bytes(reader, &value, sizeof value);
    return value;
}

static int32_t read_i32(struct reader *reader)
{
    int32_t value;
    read_bytes(reader, &value, sizeof value);
    return value;
}

static uint64_t read_u64(struct reader *reader)
{
    uint64_t value;
    read_bytes(reader, &value, sizeof value);
    return value;
}

static int64_t read_i64(struct reader *reader)
{
    int64_t value;
    read_bytes(reader, &value, sizeof value);
    return value;
}

static float read_f32(struct reader *reader)
{
    float value;
    read_bytes(reader, &value, sizeof value);
    return value;
}

/* A string of more than `bytes_max` is as wrong as one that does not fit. */
static struct text read_string(struct reader *reader, size_t bytes_max)
{
    uint32_t length = read_u32(reader);
    const uint8_t *at = length <= bytes_max ? bytes_take(&reader->cursor, length) : NULL;
    if (!at) {
        reader->short_of = true;
        return (struct text){"", 0};
    }
    return (struct text){(const char *)at, length};
}

static struct text read_rest(struct reader *reader)
{
    size_t length = bytes_left(&reader->cursor);
    return (struct text){(const char *)bytes_take(&reader->cursor, length), length};
}

/* A number that stands for one of a few words. */
static uint32_t read_choice(struct reader *reader, uint32_t highest, struct error *error)
{
    uint32_t choice = read_u32(reader);
    if (choice > highest) {
        error_set(error, EPROTO, "protocol: GENERATE has %u where at most %u may be", choice,
                  highest);
        reader->refused = true;
    }
    return choice;
}

static uint32_t read_count(struct reader *reader, const char *things, uint32_t most,
                           struct error *error)
{
    uint32_t count = read_u32(reader);
    if (count > most) {
        error_set(error, EPROTO, "protocol: GENERATE has %u %s, at most %u may be", count, things,
                  most);
        reader->refused = true;
    }
    return count;
}

/* Every parameter takes 4 bytes, whatever its kind. */
static void read_sampling(struct reader *reader, struct sampling *out)
{
    for (int i = 0; i < SAMPLING_PARAMETERS; i++)
        read_bytes(reader, (char *)out + sampling_parameters[i].offset, PARAMETER_BYTES);
    out->seed = read_u64(reader);
}

static void read_lists(struct reader *reader, struct protocol_generate *out)
{
    for (uint32_t i = 0; i < out->message_count; i++) {
        out->messages[i].role = read_string(reader, PROTOCOL_PAYLOAD_BYTES_MAX);
        out->messages[i].content = read_string(reader, PROTOCOL_PAYLOAD_BYTES_MAX);
    }
    for (uint32_t i = 0; i < out->stop_count; i++)
        out->stops[i] = read_string(reader, PROTOCOL_PAYLOAD_BYTES_MAX);
    for (uint32_t i = 0; i < out->stop_token_count; i++)
        out->stop_tokens[i] = read_i32(reader);
    for (uint32_t i = 0; i < out->bias_count; i++) {
        out->biases[i].token = read_i32(reader);
        out->biases[i].bias = read_f32(reader);
    }
}

static int read_generate(struct reader *reader, struct protocol_generate *out, struct error *error)
{
    out->owner = read_u32(reader);
    out->raw = read_choice(reader, 1, error) != 0;
    out->thinking = (enum protocol_thinking)read_choice(reader, PROTOCOL_THINKING_OFF, error);
    out->format = (enum protocol_format)read_choice(reader, PROTOCOL_FORMAT_F32, error);
    out->speculate = read_choice(reader, 1, error) != 0;
    read_sampling(reader, &out->sampling);
    out->max_tokens = read_i32(reader);
    out->logprobs = read_i32(reader);
    out->message_count = read_count(reader, "messages", PROTOCOL_MESSAGES_MAX, error);
    out->stop_count = read_count(reader, "stops", PROTOCOL_STOPS_MAX, error);
    out->stop_token_count = read_count(reader, "stop tokens", SAMPLING_STOP_TOKENS_MAX, error);
    out->bias_count = read_count(reader, "biases", SAMPLING_BIASES_MAX, error);
    if (reader->refused)
        return -EPROTO;
    out->grammar = read_string(reader, PROTOCOL_GRAMMAR_BYTES_MAX);
    out->json_schema = read_string(reader, PROTOCOL_GRAMMAR_BYTES_MAX);
    read_lists(reader, out);
    return 0;
}

static void read_plan(struct reader *reader, struct protocol_plan *out)
{
    out->charge_bytes = read_u64(reader);
    out->weight_bytes = read_u64(reader);
    out->kv_page_bytes = read_u64(reader);
    out->context = read_i32(reader);
    out->info = read_string(reader, PROTOCOL_INFO_BYTES_MAX);
}

static void read_ready(struct reader *reader, struct protocol_ready *out)
{
    out->started_us = read_i64(reader);
    out->loaded_us = read_i64(reader);
    out->configured_us = read_i64(reader);
    out->ready_us = read_i64(reader);
    out->loaded_bytes = read_u64(reader);
    out->cold_bytes = read_u64(reader);
    out->charge_bytes = read_u64(reader);
    out->context = read_i32(reader);
    out->kernels = read_string(reader, PROTOCOL_WORD_BYTES_MAX);
}

static void read_failed(struct reader *reader, struct protocol_failed *out)
{
    out->code = read_i32(reader);
    out->text = read_string(reader, ERROR_TEXT_BYTES);
}

static void read_done(struct reader *reader, struct protocol_done *out)
{
    out->code = read_i32(reader);
    out->prompt_tokens = read_i32(reader);
    out->cached_tokens = read_i32(reader);
    out->completion_tokens = read_i32(reader);
    out->drafted_tokens = read_i32(reader);
    out->accepted_tokens = read_i32(reader);
    out->truncated_texts = read_i32(reader);
    out->started_us = read_i64(reader);
    out->first_token_us = read_i64(reader);
    out->ended_us = read_i64(reader);
    out->finish = read_string(reader, PROTOCOL_WORD_BYTES_MAX);
    out->text = read_string(reader, ERROR_TEXT_BYTES);
}

static int read_payload(struct reader *reader, struct protocol_message *out, struct error *error)
{
    switch ((enum protocol_type)out->header.type) {
    case PROTOCOL_GENERATE:
        return read_generate(reader, &out->generate, error);
    case PROTOCOL_GRANT:
    case PROTOCOL_NEED:
        out->bytes = read_u64(reader);
        return 0;
    case PROTOCOL_THREADS:
        out->threads = read_i32(reader);
        return 0;
    case PROTOCOL_PLAN:
        read_plan(reader, &out->plan);
        return 0;
    case PROTOCOL_READY:
        read_ready(reader, &out->ready);
        return 0;
    case PROTOCOL_FAILED:
        read_failed(reader, &out->failed);
        return 0;
    case PROTOCOL_TEXT:
    case PROTOCOL_LOGPROBS:
    case PROTOCOL_REFUSE:
        out->text = read_rest(reader);
        return 0;
    case PROTOCOL_DONE:
        read_done(reader, &out->done);
        return 0;
    case PROTOCOL_CANCEL:
    case PROTOCOL_STOP:
        return 0;
    }
    return error_set(error, EPROTO, "protocol: unknown message type %u", out->header.type);
}

static int check_header(const struct protocol_header *header, struct error *error)
{
    if (header->version != PROTOCOL_VERSION)
        return error_set(error, EPROTO, "protocol: version %u where %d is spoken", header->version,
                         PROTOCOL_VERSION);
    const struct shape *shape = find_shape(header->type);
    if (!shape)
        return error_set(error, EPROTO, "protocol: unknown message type %u", header->type);
    if (header->bytes < shape->bytes_min || header->bytes > shape->bytes_max)
        return error_set(error, EPROTO, "protocol: message type %u of %u bytes, %u to %u may be",
                         header->type, header->bytes, shape->bytes_min, shape->bytes_max);
    if (header->request && !shape->of_request)
        return error_set(error, EPROTO, "protocol: message type %u belongs to no request",
                         header->type);
    return 0;
}

int protocol_parse(struct text input, struct protocol_message *out, size_t *consumed,
                   struct error *error)
{
    if (input.length < sizeof out->header)
        return 0;
    memcpy(&out->header, input.bytes, sizeof out->header);
    int status = check_header(&out->header, error);
    if (status)
        return status;
    if (input.length - sizeof out->header < out->header.bytes)
        return 0;
    struct reader reader = {
        .cursor = bytes_cursor_of(input.bytes + sizeof out->header, out->header.bytes)};
    status = read_payload(&reader, out, error);
    if (status)
        return status;
    if (reader.short_of || bytes_left(&reader.cursor))
        return error_set(error, EPROTO, "protocol: message type %u: its lengths disagree",
                         out->header.type);
    *consumed = sizeof out->header + out->header.bytes;
    return 1;
}

/* --- messages to bytes ------------------------------------------------------------------------ */

/* A message being appended; after the first failure nothing more is. */
struct writer {
    struct buffer *output;
    size_t start;
    uint16_t type;
    uint64_t request;
    int status;
};

static void write_bytes(struct writer *writer, const void *bytes, size_t length)
{
    if (!writer->status)
        writer->status = buffer_append(writer->output, bytes, length);
}

static struct writer write_begin(struct buffer *output, enum protocol_type type, uint64_t request)
{
    struct writer writer = {output, output->length, (uint16_t)type, request, 0};
    const struct protocol_header none = {0};
    write_bytes(&writer, &none, sizeof none);
    return writer;
}

static void write_u32(struct writer *writer, uint32_t value)
{
    write_bytes(writer, &value, sizeof value);
}

static void write_i32(struct writer *writer, int32_t value)
{
    write_bytes(writer, &value, sizeof value);
}

static void write_u64(struct writer *writer, uint64_t value)
{
    write_bytes(writer, &value, sizeof value);
}

static void write_i64(struct writer *writer, int64_t value)
{
    write_bytes(writer, &value, sizeof value);
}

static void write_f32(struct writer *writer, float value)
{
    write_bytes(writer, &value, sizeof value);
}

/* A string of more than `bytes_max` fails the message. */
static void write_string(struct writer *writer, struct text text, size_t bytes_max)
{
    if (text.length > bytes_max && !writer->status)
        writer->status = -EMSGSIZE;
    write_u32(writer, (uint32_t)text.length);
    write_bytes(writer, text.bytes, text.length);
}

/* Write the header over its place, or take all of it back. */
static int write_end(struct writer *writer)
{
    struct buffer *output = writer->output;
    const struct shape *shape = find_shape(writer->type);
    size_t bytes = output->length - writer->start;
    if (!writer->status && (!shape || bytes - sizeof(struct protocol_header) > shape->bytes_max))
        writer->status = -EMSGSIZE;
    if (writer->status) {
        output->length = writer->start;
        return writer->status;
    }
    const struct protocol_header header = {(uint32_t)(bytes - sizeof header), writer->type,
                                           PROTOCOL_VERSION, writer->request};
    memcpy(output->bytes + writer->start, &header, sizeof header);
    return 0;
}

static void write_sampling(struct writer *writer, const struct sampling *sampling)
{
    for (int i = 0; i < SAMPLING_PARAMETERS; i++)
        write_bytes(writer, (const char *)sampling + sampling_parameters[i].offset,
                    PARAMETER_BYTES);
    write_u64(writer, sampling->seed);
}

static void write_lists(struct writer *writer, const struct protocol_generate *generate)
{
    for (uint32_t i = 0; i < generate->message_count; i++) {
        write_string(writer, generate->messages[i].role, PROTOCOL_PAYLOAD_BYTES_MAX);
        write_string(writer, generate->messages[i].content, PROTOCOL_PAYLOAD_BYTES_MAX);
    }
    for (uint32_t i = 0; i < generate->stop_count; i++)
        write_string(writer, generate->stops[i], PROTOCOL_PAYLOAD_BYTES_MAX);
    for (uint32_t i = 0; i < generate->stop_token_count; i++)
        write_i32(writer, generate->stop_tokens[i]);
    for (uint32_t i = 0; i < generate->bias_count; i++) {
        write_i32(writer, generate->biases[i].token);
        write_f32(writer, generate->biases[i].bias);
    }
}

int protocol_put_generate(struct buffer *output, uint64_t request,
                          const struct protocol_generate *generate)
{
    if (generate->message_count > PROTOCOL_MESSAGES_MAX ||
        generate->stop_count > PROTOCOL_STOPS_MAX ||
        generate->stop_token_count > SAMPLING_STOP_TOKENS_MAX ||
        generate->bias_count > SAMPLING_BIASES_MAX)
        return -EMSGSIZE;
    struct writer writer = write_begin(output, PROTOCOL_GENERATE, request);
    write_u32(&writer, generate->owner);
    write_u32(&writer, generate->raw);
    write_u32(&writer, generate->thinking);
    write_u32(&writer, generate->format);
    write_u32(&writer, generate->speculate);
    write_sampling(&writer, &generate->sampling);
    write_i32(&writer, generate->max_tokens);
    write_i32(&writer, generate->logprobs);
    write_u32(&writer, generate->message_count);
    write_u32(&writer, generate->stop_count);
    write_u32(&writer, generate->stop_token_count);
    write_u32(&writer, generate->bias_count);
    write_string(&writer, generate->grammar, PROTOCOL_GRAMMAR_BYTES_MAX);
    write_string(&writer, generate->json_schema, PROTOCOL_GRAMMAR_BYTES_MAX);
    write_lists(&writer, generate);
    return write_end(&writer);
}

int protocol_put_cancel(struct buffer *output, uint64_t request)
{
    struct writer writer = write_begin(output, PROTOCOL_CANCEL, request);
    return write_end(&writer);
}

int protocol_put_grant(struct buffer *output, uint64_t bytes)
{
    struct writer writer = write_begin(output, PROTOCOL_GRANT, 0);
    write_u64(&writer, bytes);
    return write_end(&writer);
}

int protocol_put_refuse(struct buffer *output, struct text why)
{
    struct writer writer = write_begin(output, PROTOCOL_REFUSE, 0);
    write_bytes(&writer, why.bytes, why.length);
    return write_end(&writer);
}

int protocol_put_threads(struct buffer *output, int32_t threads)
{
    struct writer writer = write_begin(output, PROTOCOL_THREADS, 0);
    write_i32(&writer, threads);
    return write_end(&writer);
}

int protocol_put_stop(struct buffer *output)
{
    struct writer writer = write_begin(output, PROTOCOL_STOP, 0);
    return write_end(&writer);
}

int protocol_put_plan(struct buffer *output, const struct protocol_plan *plan)
{
    struct writer writer = write_begin(output, PROTOCOL_PLAN, 0);
    write_u64(&writer, plan->charge_bytes);
    write_u64(&writer, plan->weight_bytes);
    write_u64(&writer, plan->kv_page_bytes);
    write_i32(&writer, plan->context);
    write_string(&writer, plan->info, PROTOCOL_INFO_BYTES_MAX);
    return write_end(&writer);
}

int protocol_put_ready(struct buffer *output, const struct protocol_ready *ready)
{
    struct writer writer = write_begin(output, PROTOCOL_READY, 0);
    write_i64(&writer, ready->started_us);
    write_i64(&writer, ready->loaded_us);
    write_i64(&writer, ready->configured_us);
    write_i64(&writer, ready->ready_us);
    write_u64(&writer, ready->loaded_bytes);
    write_u64(&writer, ready->cold_bytes);
    write_u64(&writer, ready->charge_bytes);
    write_i32(&writer, ready->context);
    write_string(&writer, ready->kernels, PROTOCOL_WORD_BYTES_MAX);
    return write_end(&writer);
}

int protocol_put_failed(struct buffer *output, const struct protocol_failed *failed)
{
    struct writer writer = write_begin(output, PROTOCOL_FAILED, 0);
    write_i32(&writer, failed->code);
    write_string(&writer, failed->text, ERROR_TEXT_BYTES);
    return write_end(&writer);
}

int protocol_put_text(struct buffer *output, uint64_t request, struct text text)
{
    size_t start = output->length;
    for (size_t at = 0; at < text.length;) {
        size_t left = text.length - at;
        size_t length = left < PROTOCOL_TEXT_BYTES_MAX ? left : PROTOCOL_TEXT_BYTES_MAX;
        struct writer writer = write_begin(output, PROTOCOL_TEXT, request);
        write_bytes(&writer, text.bytes + at, length);
        int status = write_end(&writer);
        if (status) {
            output->length = start;
            return status;
        }
        at += length;
    }
    return 0;
}

int protocol_put_logprobs(struct buffer *output, uint64_t request, struct text lines)
{
    struct writer writer = write_begin(output, PROTOCOL_LOGPROBS, request);
    write_bytes(&writer, lines.bytes, lines.length);
    return write_end(&writer);
}

int protocol_put_done(struct buffer *output, uint64_t request, const struct protocol_done *done)
{
    struct writer writer = write_begin(output, PROTOCOL_DONE, request);
    write_i32(&writer, done->code);
    write_i32(&writer, done->prompt_tokens);
    write_i32(&writer, done->cached_tokens);
    write_i32(&writer, done->completion_tokens);
    write_i32(&writer, done->drafted_tokens);
    write_i32(&writer, done->accepted_tokens);
    write_i32(&writer, done->truncated_texts);
    write_i64(&writer, done->started_us);
    write_i64(&writer, done->first_token_us);
    write_i64(&writer, done->ended_us);
    write_string(&writer, done->finish, PROTOCOL_WORD_BYTES_MAX);
    write_string(&writer, done->text, ERROR_TEXT_BYTES);
    return write_end(&writer);
}

int protocol_put_need(struct buffer *output, uint64_t bytes)
{
    struct writer writer = write_begin(output, PROTOCOL_NEED, 0);
    write_u64(&writer, bytes);
    return write_end(&writer);
}
