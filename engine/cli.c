/* cli.c - see cli.h. */
#include "cli.h"

#include "text/tokens.h"

#include <errno.h>
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

int cli_read_input(const char *model, struct buffer *out)
{
    char chunk[64 << 10];
    *out = buffer_new(CLI_INPUT_BYTES_MAX);
    for (;;) {
        ssize_t count = read(STDIN_FILENO, chunk, sizeof chunk);
        if (count == 0)
            return 0;
        if (count < 0 && errno == EINTR)
            continue;
        int status = count < 0 ? -errno : buffer_append(out, chunk, (size_t)count);
        if (status) {
            buffer_free(out);
            return cli_fail(model, status == -EMSGSIZE ? "standard input has more than 64 MiB"
                                                       : strerror(-status));
        }
    }
}

static int parse_ids(const char *model, const char *at, struct tokens *out)
{
    static const char blanks[] = " \t\r\n";
    for (at += strspn(at, blanks); *at; at += strspn(at, blanks)) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (errno || end == at || (*end && !strchr(blanks, *end)) || id < 0 || id > INT32_MAX)
            return cli_fail(model, "standard input is not a list of token ids");
        if (tokens_append(out, (int32_t)id))
            return cli_fail(model, "no memory for the token ids");
        at = end;
    }
    return 0;
}

int cli_read_ids(const char *model, struct tokens *out)
{
    struct buffer input;
    *out = (struct tokens){0};
    int status = cli_read_input(model, &input);
    if (status)
        return status;
    status = buffer_append(&input, "", 1) ? cli_fail(model, "no memory for the token ids")
                                          : parse_ids(model, input.bytes, out);
    buffer_free(&input);
    if (status)
        tokens_free(out);
    return status;
}

struct engine_options cli_engine_options(void)
{
    return (struct engine_options){.kernels = getenv("INFERFS_KERNELS"), .kv_bytes = INT64_MAX};
}

int cli_open(const char *model, const struct engine_options *options, struct engine **out)
{
    struct error error = {0};
    return engine_open(model, options, out, &error) ? cli_fail(model, error.text) : 0;
}

int cli_finish(const char *model, int status)
{
    if ((fflush(stdout) || ferror(stdout)) && !status)
        return cli_fail(model, "standard output can't be written");
    return status;
}
