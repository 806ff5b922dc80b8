/* echo.c - see echo.h. */
#include "echo.h"

#include "base/clock.h"
#include "base/memory.h"
#include "channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 << 10,
    INPUT_BYTES_MAX = PROTOCOL_PAYLOAD_BYTES_MAX + 2 * READ_BYTES,
    OUTPUT_BYTES_MAX = 2 * PROTOCOL_PAYLOAD_BYTES_MAX,
};

struct request {
    struct request *next;
    uint64_t id;
    char *bytes; /* the answer */
    size_t length, at;
    int32_t prompt_tokens, tokens, tokens_max;
    int64_t started_us, first_token_us;
};

struct echo {
    const struct echo_options *options;
    int32_t context;
    uint64_t file_bytes;
    int64_t ready_us; /* when loading ends */
    bool ready;
    bool stopped;
    int request_count;
    struct request *requests;
    struct buffer input, output;
    struct protocol_message message;
};

/* --- tokens ----------------------------------------------------------------------------------- */

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The length of the token at the start of `text`, which is not empty. */
static size_t token_length(struct text text)
{
    for (size_t i = 0; i <= ECHO_WORD_BYTES_MAX; i++) {
        if (i == text.length)
            return i;
        if (is_space(text.bytes[i]))
            return i + 1;
    }
    size_t length = ECHO_PIECE_BYTES;
    for (int i = 0; i < 3 && ((unsigned char)text.bytes[length] & 0xc0) == 0x80; i++)
        length++; /* the word is longer than this: there is a byte to look at */
    return length;
}

static int32_t count_tokens(struct text text)
{
    int32_t count = 0;
    while (text.length && count < INT32_MAX) {
        size_t length = token_length(text);
        text.bytes += length;
        text.length -= length;
        count++;
    }
    return count;
}

/* --- requests --------------------------------------------------------------------------------- */

static int put_done(struct echo *echo, const struct request *request, int code, const char *finish,
                    const char *why)
{
    struct protocol_done done = {
        .code = code,
        .prompt_tokens = request->prompt_tokens,
        .completion_tokens = request->tokens,
        .started_us = request->started_us,
        .first_token_us = request->first_token_us,
        .ended_us = clock_now_us(),
        .finish = text_of(finish),
        .text = text_of(why),
    };
    return protocol_put_done(&echo->output, request->id, &done);
}

static void unlink_request(struct echo *echo, struct request **link)
{
    struct request *request = *link;
    *link = request->next;
    free(request->bytes);
    free(request);
    echo->request_count--;
}

/* Fill *request from the message.  Returns 0, or the errno of its DONE and why. */
static int prepare(struct echo *echo, struct request *request, const char **why)
{
    const struct protocol_generate *generate = &echo->message.generate;
    for (uint32_t i = 0; i < generate->message_count; i++)
        request->prompt_tokens += count_tokens(generate->messages[i].content);
    *why = "the prompt is empty";
    if (request->prompt_tokens == 0)
        return EINVAL;
    *why = "the prompt and max_tokens do not fit the context";
    request->tokens_max = generate->max_tokens > 0 ? generate->max_tokens : 0;
    if ((int64_t)request->prompt_tokens + request->tokens_max > echo->context)
        return EMSGSIZE;
    *why = "too many requests";
    if (echo->request_count == ECHO_REQUESTS_MAX)
        return EAGAIN;
    struct text answer = generate->messages[generate->message_count - 1].content;
    *why = "no memory for the prompt";
    request->bytes = memory_try(answer.length, 1);
    if (!request->bytes)
        return ENOMEM;
    memcpy(request->bytes, answer.bytes, answer.length);
    request->length = answer.length;
    return 0;
}

static int start_request(struct echo *echo)
{
    int64_t now = clock_now_us();
    struct request *request = memory_try(1, sizeof *request);
    if (!request)
        return -ENOMEM;
    const char *why;
    request->id = echo->message.header.request;
    int code = prepare(echo, request, &why);
    if (code) {
        int status = put_done(echo, request, code, "failed", why);
        free(request);
        return status;
    }
    request->started_us = now > echo->ready_us ? now : echo->ready_us;
    request->next = echo->requests;
    echo->requests = request;
    echo->request_count++;
    return 0;
}

static int cancel_request(struct echo *echo, uint64_t id)
{
    for (struct request **link = &echo->requests; *link; link = &(*link)->next) {
        if ((*link)->id != id)
            continue;
        int status = put_done(echo, *link, ECANCELED, "cancelled", "");
        unlink_request(echo, link);
        return status;
    }
    return 0;
}

static int64_t due_us(const struct echo *echo, const struct request *request)
{
    int64_t token_us = (int64_t)echo->options->token_ms * 1000;
    return request->started_us + token_us * (request->tokens + (int64_t)1);
}

/* Say what is due of one request; *ended when that was all. */
static int advance(struct echo *echo, struct request *request, int64_t now, bool *ended)
{
    size_t start = request->at;
    bool full = false;
    while (request->at < request->length && !full && due_us(echo, request) <= now) {
        request->at += token_length(
            (struct text){request->bytes + request->at, request->length - request->at});
        request->tokens++;
        full = request->tokens == request->tokens_max;
        if (!request->first_token_us)
            request->first_token_us = now;
    }
    *ended = full || request->at == request->length;
    int status = protocol_put_text(&echo->output, request->id,
                                   (struct text){request->bytes + start, request->at - start});
    if (!status && *ended)
        status = put_done(echo, request, 0, request->at < request->length ? "length" : "stop", "");
    return status ? status : channel_send(&echo->output);
}

static int advance_all(struct echo *echo)
{
    int64_t now = clock_now_us();
    int status = 0;
    for (struct request **link = &echo->requests; *link && !status;) {
        bool ended = false;
        status = advance(echo, *link, now, &ended);
        if (ended)
            unlink_request(echo, link);
        else
            link = &(*link)->next;
    }
    return status;
}

/* --- the daemon ------------------------------------------------------------------------------- */

static int handle(struct echo *echo)
{
    switch ((enum protocol_type)echo->message.header.type) {
    case PROTOCOL_GENERATE:
        return start_request(echo);
    case PROTOCOL_CANCEL:
        return cancel_request(echo, echo->message.header.request);
    case PROTOCOL_STOP:
        echo->stopped = true;
        return 0;
    case PROTOCOL_GRANT:
    case PROTOCOL_REFUSE:
    case PROTOCOL_THREADS:
        return 0;
    case PROTOCOL_PLAN:
    case PROTOCOL_READY:
    case PROTOCOL_FAILED:
    case PROTOCOL_TEXT:
    case PROTOCOL_LOGPROBS:
    case PROTOCOL_DONE:
    case PROTOCOL_NEED:
        break;
    }
    return -EPROTO;
}

static int receive(struct echo *echo)
{
    char chunk[READ_BYTES];
    ssize_t count = recv(PROTOCOL_FD, chunk, sizeof chunk, MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    echo->stopped = count == 0;
    int status = buffer_append(&echo->input, chunk, (size_t)count);
    size_t at = 0, consumed;
    while (!status && !echo->stopped) {
        struct text input = {echo->input.bytes + at, echo->input.length - at};
        status = protocol_parse(input, &echo->message, &consumed, NULL);
        if (status <= 0)
            break;
        status = handle(echo);
        at += consumed;
    }
    buffer_consume(&echo->input, at);
    return status ? status : channel_send(&echo->output);
}

/* Sleep until the daemon speaks or something is due. */
static int wait_for_work(const struct echo *echo)
{
    int64_t next_us = echo->ready ? INT64_MAX : echo->ready_us;
    for (const struct request *request = echo->requests; request; request = request->next)
        if (due_us(echo, request) < next_us)
            next_us = due_us(echo, request);
    int64_t wait_us = next_us - clock_now_us();
    wait_us = wait_us < 0 ? 0 : wait_us;
    struct timespec timeout = {wait_us / 1000000, wait_us % 1000000 * 1000};
    struct pollfd watched = {.fd = PROTOCOL_FD, .events = POLLIN};
    if (ppoll(&watched, 1, next_us == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

static int put_ready(struct echo *echo)
{
    echo->ready = true;
    int64_t now = clock_now_us();
    struct protocol_ready ready = {
        .started_us = echo->options->started_us,
        .loaded_us = now,
        .configured_us = now,
        .ready_us = now,
        .loaded_bytes = echo->file_bytes,
        .charge_bytes = echo->file_bytes ? echo->file_bytes : ECHO_EMPTY_CHARGE_BYTES,
        .context = echo->context,
        .kernels = text_of("echo"),
    };
    int status = protocol_put_ready(&echo->output, &ready);
    return status ? status : channel_send(&echo->output);
}

static int put_plan(struct echo *echo)
{
    struct buffer info = buffer_new(1024);
    int status = buffer_printf(&info,
                               "{\"name\":\"echo\",\"architecture\":\"echo\",\"context\":%d,"
                               "\"file_bytes\":%llu,\"chat\":true}",
                               echo->context, (unsigned long long)echo->file_bytes);
    struct protocol_plan plan = {
        .charge_bytes = echo->file_bytes ? echo->file_bytes : ECHO_EMPTY_CHARGE_BYTES,
        .weight_bytes = echo->file_bytes,
        .context = echo->context,
        .info = buffer_text(&info),
    };
    if (!status)
        status = protocol_put_plan(&echo->output, &plan);
    buffer_free(&info);
    return status ? status : channel_send(&echo->output);
}

/* The weights of a folder, which takes over the descriptor. */
static uint64_t sum_folder(int fd)
{
    uint64_t total = 0;
    struct stat file;
    DIR *directory = fdopendir(fd);
    if (!directory)
        close(fd);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (fnmatch("*.safetensors", entry->d_name, 0) == 0 &&
            fstatat(dirfd(directory), entry->d_name, &file, 0) == 0)
            total += (uint64_t)file.st_size;
    if (directory)
        closedir(directory);
    return total;
}

/* Returns 0, or a positive errno and why. */
static int look_at_file(struct echo *echo, const char **why)
{
    struct stat file;
    int fd = open(echo->options->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int code = fd < 0 || fstat(fd, &file) ? errno : 0;
    *why = strerror(code);
    if (!code && S_ISDIR(file.st_mode)) {
        echo->file_bytes = sum_folder(fd);
        return 0;
    }
    if (!code && !S_ISREG(file.st_mode)) {
        code = ENOEXEC;
        *why = "not a regular file";
    }
    if (!code)
        echo->file_bytes = (uint64_t)file.st_size;
    if (fd >= 0)
        close(fd);
    return code;
}

static int serve(struct echo *echo)
{
    int status = 0;
    while (!status && !echo->stopped) {
        status = wait_for_work(echo);
        if (!status)
            status = receive(echo);
        if (!status && !echo->ready && clock_now_us() >= echo->ready_us)
            status = put_ready(echo);
        if (!status && echo->ready && !echo->stopped)
            status = advance_all(echo);
    }
    return status == -EPIPE || status == -ECONNRESET ? 0 : status;
}

int echo_run(const struct echo_options *options)
{
    struct echo *echo = memory_try(1, sizeof *echo);
    if (!echo)
        return -ENOMEM;
    echo->options = options;
    echo->context = options->context > 0 ? options->context : ECHO_CONTEXT;
    echo->ready_us = options->started_us + (int64_t)options->load_ms * 1000;
    echo->input = buffer_new(INPUT_BYTES_MAX);
    echo->output = buffer_new(OUTPUT_BYTES_MAX);
    const char *why;
    int code = look_at_file(echo, &why);
    int status = code ? channel_fail(code, why) : options->probe ? put_plan(echo) : serve(echo);
    while (echo->requests)
        unlink_request(echo, &echo->requests);
    buffer_free(&echo->input);
    buffer_free(&echo->output);
    free(echo);
    return status;
}
