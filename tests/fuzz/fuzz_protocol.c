/* fuzz_protocol.c - any bytes as a stream of messages; what parses must pack to the same bytes. */
#include "protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put_again(struct buffer *output, const struct protocol_message *message)
{
    uint64_t request = message->header.request;
    switch ((enum protocol_type)message->header.type) {
    case PROTOCOL_GENERATE:
        return protocol_put_generate(output, request, &message->generate);
    case PROTOCOL_CANCEL:
        return protocol_put_cancel(output, request);
    case PROTOCOL_GRANT:
        return protocol_put_grant(output, message->bytes);
    case PROTOCOL_REFUSE:
        return protocol_put_refuse(output, message->text);
    case PROTOCOL_THREADS:
        return protocol_put_threads(output, message->threads);
    case PROTOCOL_STOP:
        return protocol_put_stop(output);
    case PROTOCOL_PLAN:
        return protocol_put_plan(output, &message->plan);
    case PROTOCOL_READY:
        return protocol_put_ready(output, &message->ready);
    case PROTOCOL_FAILED:
        return protocol_put_failed(output, &message->failed);
    case PROTOCOL_TEXT:
        return protocol_put_text(output, request, message->text);
    case PROTOCOL_LOGPROBS:
        return protocol_put_logprobs(output, request, message->text);
    case PROTOCOL_DONE:
        return protocol_put_done(output, request, &message->done);
    case PROTOCOL_NEED:
        return protocol_put_need(output, message->bytes);
    }
    abort(); /* parsed, but of no type */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct protocol_message *message = malloc(sizeof *message);
    struct buffer again = buffer_new(128 << 20);
    struct text input = {(const char *)data, size};
    size_t consumed;
    while (message && protocol_parse(input, message, &consumed, NULL) == 1) {
        again.length = 0;
        if (put_again(&again, message) ||
            !text_equals(buffer_text(&again), (struct text){input.bytes, consumed}))
            abort();
        input.bytes += consumed;
        input.length -= consumed;
    }
    buffer_free(&again);
    free(message);
    return 0;
}
