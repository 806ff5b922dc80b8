/* channel.c - see channel.h. */
#include "channel.h"

#include <errno.h>
#include <sys/socket.h>

int channel_send(struct buffer *output)
{
    size_t sent = 0;
    while (sent < output->length) {
        ssize_t count =
            send(PROTOCOL_FD, output->bytes + sent, output->length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0)
            sent += (size_t)count;
    }
    output->length = 0;
    return 0;
}

int channel_fail(int code, const char *text)
{
    struct buffer output = buffer_new(4096);
    struct protocol_failed failed = {.code = code, .text = text_of(text)};
    int status = protocol_put_failed(&output, &failed);
    if (!status)
        status = channel_send(&output);
    buffer_free(&output);
    return status;
}
