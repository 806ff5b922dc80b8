/* cli.c - see cli.h. */
#include "cli.h"

#include "base/threads.h"
#include "text/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cli_fail(const char *model, const char *reason)
{
    fprintf(stderr, "inferfs-engine: %s: %s\n", model, reason);
    return CLI_FAILED;
}

int cli_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "inferfs-engine: %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (see inferfs-engine --help)\n");
    va_end(arguments);
    return CLI_USAGE;
}

int cli_option(int argc, char **argv, const char *letters, const struct option *options)
{
    opterr = 0;
    int option = getopt_long(argc, argv, letters, options, NULL);
    if (option == ':')
        cli_usage(argv[0], "%s needs a value", argv[optind - 1]);
    else if (option == '?' && optopt > UCHAR_MAX)
        cli_usage(argv[0], "%s: it takes no value", argv[optind - 1]);
    else if (option == '?' && optopt)
        cli_usage(argv[0], "unknown option -%c", optopt);
    else if (option == '?')
        cli_usage(argv[0], "unknown option %s", argv[optind - 1]);
    return option == ':' ? '?' : option;
}

const char *cli_model(int argc, char **argv)
{
    if (optind + 1 == argc)
        return argv[optind];
    cli_usage(argv[0], optind == argc ? "MODEL is missing" : "one MODEL only");
    return NULL;
}

const char *cli_only_model(int argc, char **argv)
{
    static const struct option none[] = {{0}};
    return cli_option(argc, argv, ":", none) == -1 ? cli_model(argc, argv) : NULL;
}

bool cli_integer(const char *command, const char *name, const char *value, int64_t low,
                 int64_t high, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < low || number > high) {
        cli_usage(command, "%s: '%s' is not a whole number from %lld to %lld", name, value,
                  (long long)low, (long long)high);
        return false;
    }
    *out = number;
    return true;
}

bool cli_number(const char *command, const char *name, const char *value, double low, double high,
                float *out)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= low && number <= high)) {
        cli_usage(command, "%s: '%s' is not a number from %g to %g", name, value, low, high);
        return false;
    }
    *out = (float)number;
    return true;
}

static bool set_kv_format(const char *command, enum kv_format *out)
{
    *out = strcmp(optarg, "q8_0") == 0 ? KV_Q8_0 : KV_F16;
    return *out == KV_Q8_0 || strcmp(optarg, "f16") == 0 ||
           !cli_usage(command, "--kv: '%s' is neither f16 nor q8_0", optarg);
}

bool cli_engine_option(const char *command, int option, struct engine_options *options)
{
    int64_t threads;
    if (option == CLI_KERNELS) {
        options->kernels = optarg;
        return true;
    }
    if (option == CLI_KV)
        return set_kv_format(command, &options->kv_format);
    if (option != CLI_THREADS || !cli_integer(command, "-t", optarg, 1, THREADS_MAX, &threads))
        return false;
    options->threads = (int)threads;
    return true;
}

/* All of `input` into a new buffer.  Returns 0 or -errno; then the buffer is empty. */
static int read_all(int input, struct buffer *out)
{
    char chunk[64 << 10];
    *out = buffer_new(CLI_INPUT_BYTES_MAX);
    for (;;) {
        ssize_t count = read(input, chunk, sizeof chunk);
        if (count == 0)
            return 0;
        if (count < 0 && errno == EINTR)
            continue;
        int status = count < 0 ? -errno : buffer_append(out, chunk, (size_t)count);
        if (status) {
            buffer_free(out);
            return status;
        }
    }
}

static const char *reason(int status)
{
    return status == -EMSGSIZE ? "more than 64 MiB" : strerror(-status);
}

bool cli_thinking(const char *command, const char *value, struct chat_options *options)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0) {
        cli_usage(command, "--thinking: '%s' is neither on nor off", value);
        return false;
    }
    options->thinking = on ? CHAT_THINKING_ON : CHAT_THINKING_OFF;
    return true;
}

int cli_read_input(const char *model, struct buffer *out)
{
    char text[ERROR_TEXT_BYTES];
    int status = read_all(STDIN_FILENO, out);
    if (!status)
        return 0;
    snprintf(text, sizeof text, "standard input: %s", reason(status));
    return cli_fail(model, text);
}

int cli_read_file(const char *path, struct buffer *out)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int status = file < 0 ? -errno : read_all(file, out);
    if (file >= 0)
        close(file);
    return status ? cli_fail(path, reason(status)) : 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static int parse_ids(const char *model, struct text text, struct tokens *out)
{
    for (size_t at = 0;;) {
        while (at < text.length && is_blank(text.bytes[at]))
            at++;
        if (at == text.length)
            return 0;
        int64_t id = 0;
        size_t first = at;
        for (; at < text.length && text.bytes[at] >= '0' && text.bytes[at] <= '9'; at++)
            id = id > INT32_MAX ? id : id * 10 + text.bytes[at] - '0';
        if (at == first || id > INT32_MAX || (at < text.length && !is_blank(text.bytes[at])))
            return cli_fail(model, "standard input is not a list of token ids");
        if (tokens_append(out, (int32_t)id))
            return cli_fail(model, "no memory for the token ids");
    }
}

int cli_read_ids(const char *model, struct tokens *out)
{
    struct buffer input;
    *out = (struct tokens){0};
    int status = cli_read_input(model, &input);
    if (status)
        return status;
    status = parse_ids(model, buffer_text(&input), out);
    buffer_free(&input);
    if (status)
        tokens_free(out);
    return status;
}

struct engine_options cli_engine_options(void)
{
    return (struct engine_options){
        .kernels = getenv("INFERFS_KERNELS"), .kv_bytes = INT64_MAX, .prefix_cache = true};
}

int cli_open(const char *model, const struct engine_options *options, struct engine **out)
{
    struct error error = {0};
    int status = options ? engine_open(model, options, out, &error)
                         : engine_open_tokenizer(model, out, &error);
    return status ? cli_fail(model, error.text) : 0;
}

int cli_open_and_read(const char *model, const struct engine_options *options, struct engine **out,
                      struct buffer *input)
{
    int status = cli_open(model, options, out);
    if (status)
        return status;
    status = cli_read_input(model, input);
    if (status)
        engine_close(*out);
    return status;
}

int cli_finish(const char *model, int status)
{
    if ((fflush(stdout) || ferror(stdout)) && !status)
        return cli_fail(model, "standard output can't be written");
    return status;
}
