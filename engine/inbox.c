/* inbox.c - see inbox.h.
 *
 * Messages are parsed here only to know where they end and whether one is STOP; they travel to the
 * other thread as the bytes that they were.
 */
#include "inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, KEEP_BYTES_MAX = 1 << 20 };

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;         /* something arrived, or was taken */
    struct buffer arrived;          /* guarded by lock: whole messages */
    struct buffer unfinished;       /* the reader's: the beginning of a message */
    struct protocol_message parsed; /* the reader's */
};

static void die(const char *reason)
{
    fprintf(stderr, "inferfs-engine: %s\n", reason);
    _exit(1);
}

/* Big messages are rare: their memory goes back. */
static void shrink(struct buffer *buffer)
{
    if (buffer->length == 0 && buffer->capacity > KEEP_BYTES_MAX)
        buffer_free(buffer);
}

static void hand_over(struct inbox *inbox, struct text message)
{
    pthread_mutex_lock(&inbox->lock);
    int status;
    while ((status = buffer_append_text(&inbox->arrived, message)) == -EMSGSIZE)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
    if (status)
        die("no memory for a message");
}

static void hand_over_whole_messages(struct inbox *inbox)
{
    struct buffer *unfinished = &inbox->unfinished;
    struct error error;
    size_t at = 0, consumed;
    int status;
    while ((status = protocol_parse((struct text){unfinished->bytes + at, unfinished->length - at},
                                    &inbox->parsed, &consumed, &error)) == 1) {
        if (inbox->parsed.header.type == PROTOCOL_STOP)
            _exit(0);
        hand_over(inbox, (struct text){unfinished->bytes + at, consumed});
        at += consumed;
    }
    if (status < 0)
        die(error.text);
    buffer_consume(unfinished, at);
    shrink(unfinished);
}

static void *read_messages(void *argument)
{
    struct inbox *inbox = argument;
    char chunk[READ_BYTES];
    for (;;) {
        ssize_t count = recv(PROTOCOL_FD, chunk, sizeof chunk, 0);
        if (count == 0 || (count < 0 && errno != EINTR))
            _exit(0); /* the daemon is gone: nobody to work for, nobody to tell */
        if (count < 0)
            continue;
        if (buffer_append(&inbox->unfinished, chunk, (size_t)count))
            die("no memory for a message");
        hand_over_whole_messages(inbox);
    }
    return NULL;
}

int inbox_open(struct inbox **out, struct error *error)
{
    struct inbox *inbox = memory_try(1, sizeof *inbox);
    if (!inbox)
        return error_set(error, ENOMEM, "no memory for the worker's inbox");
    inbox->arrived = buffer_new(INBOX_BYTES_MAX);
    inbox->unfinished = buffer_new(INBOX_BYTES_MAX + READ_BYTES);
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->changed, NULL);
    pthread_t thread;
    int code = pthread_create(&thread, NULL, read_messages, inbox);
    if (code) {
        free(inbox);
        return error_set(error, code, "can't start the reading thread");
    }
    pthread_detach(thread);
    *out = inbox;
    return 0;
}

void inbox_take(struct inbox *inbox, bool wait, struct buffer *messages)
{
    shrink(messages);
    pthread_mutex_lock(&inbox->lock);
    while (wait && inbox->arrived.length == 0)
        pthread_cond_wait(&inbox->changed, &inbox->lock);
    struct buffer empty = *messages;
    *messages = inbox->arrived;
    inbox->arrived = empty;
    pthread_cond_broadcast(&inbox->changed);
    pthread_mutex_unlock(&inbox->lock);
}
