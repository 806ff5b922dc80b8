/* options.c - see options.h. */
#include "fs/options.h"

#include "base/kernel_names.h"
#include "base/threads.h"
#include "fs/config.h"
#include "fs/job.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION(template, member)                                                                   \
    {                                                                                              \
        template, offsetof(struct options, member), 1                                              \
    }

static const struct fuse_opt option_table[] = {
    OPTION("budget=%s", budget),
    OPTION("engine=%s", engine),
    OPTION("kernels=%s", kernels),
    OPTION("max_prompt=%s", max_prompt),
    OPTION("program=%s", program),
    OPTION("context=%s", numbers[OPTION_CONTEXT]),
    OPTION("echo_load_ms=%s", numbers[OPTION_ECHO_LOAD_MS]),
    OPTION("echo_token_ms=%s", numbers[OPTION_ECHO_TOKEN_MS]),
    OPTION("threads=%s", numbers[OPTION_THREADS]),
    OPTION("ttl=%s", numbers[OPTION_TTL]),
    OPTION("nolineage", no_lineage),
    OPTION("symlinks", symlinks),
    FUSE_OPT_END,
};

/* Positional arguments: the first is the models folder; the second, the mount point, is libfuse's.
 */
static int take_argument(void *data, const char *argument, int key, struct fuse_args *out)
{
    struct options *options = data;
    (void)out;
    if (key == FUSE_OPT_KEY_NONOPT && !options->models_dir) {
        options->models_dir = strdup(argument);
        return options->models_dir ? 0 : -1;
    }
    if (key == FUSE_OPT_KEY_OPT && strcmp(argument, "allow_other") == 0)
        options->allow_other = 1;
    return 1;
}

int options_parse_size(struct text text, uint64_t whole_bytes, uint64_t *out)
{
    static const char units[] = "KMGT";
    uint64_t value = 0, scale = 1;
    size_t at = 0;
    for (; at < text.length && isdigit((unsigned char)text.bytes[at]); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.bytes[at] - '0'), &value))
            return -ERANGE;
    if (at == 0)
        return -EINVAL;
    if (at + 1 == text.length && text.bytes[at] == '%') {
        if (value == 0 || value > 100)
            return -ERANGE;
        *out = whole_bytes / 100 * value;
        return 0;
    }
    if (at < text.length) {
        const char *unit = strchr(units, toupper((unsigned char)text.bytes[at]));
        if (!unit || !*unit || at + 1 != text.length)
            return -EINVAL;
        scale = UINT64_C(1024) << 10 * (unit - units);
    }
    if (__builtin_mul_overflow(value, scale, out) || *out == 0 || *out > INT64_MAX)
        return -ERANGE;
    return 0;
}

uint64_t options_memory_available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[256];
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return (uint64_t)kib * 1024;
}

static int refuse(const char *option, const char *value, const char *accepted)
{
    fprintf(stderr, "inferfs: %s=%s: not %s\n", option, value, accepted);
    return 1;
}

/* Digits alone, within [min, max]. */
static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || value < min || value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

static int check_numbers(struct options *options)
{
    const struct {
        const char *name, *accepted;
        uint32_t min, max, *out;
    } rules[OPTION_NUMBERS] = {
        [OPTION_CONTEXT] = {"context", "a number of tokens from 16 to 16777216", CONFIG_CONTEXT_MIN,
                            CONFIG_CONTEXT_MAX, &options->context},
        [OPTION_ECHO_LOAD_MS] = {"echo_load_ms", "a number from 0 to 3600000", 0,
                                 OPTION_ECHO_MS_MAX, &options->echo_load_ms},
        [OPTION_ECHO_TOKEN_MS] = {"echo_token_ms", "a number from 0 to 3600000", 0,
                                  OPTION_ECHO_MS_MAX, &options->echo_token_ms},
        [OPTION_THREADS] = {"threads", "a number from 1 to 64", 1, THREADS_MAX, &options->threads},
        [OPTION_TTL] = {"ttl", "a number of seconds up to 1073741824", 0, OPTION_TTL_S_MAX,
                        &options->ttl_s},
    };
    for (size_t i = 0; i < OPTION_NUMBERS; i++)
        if (options->numbers[i] &&
            !parse_number(options->numbers[i], rules[i].min, rules[i].max, rules[i].out))
            return refuse(rules[i].name, options->numbers[i], rules[i].accepted);
    return 0;
}

/* Values that fuse_opt can't check. */
static int check_values(struct options *options)
{
    uint64_t available = options_memory_available_bytes();
    options->budget_bytes = available / 100 * BUDGET_DEFAULT_PERCENT;
    options->prompt_bytes_max = JOB_PROMPT_BYTES_DEFAULT;
    options->echo = options->engine != NULL;
    if (options->engine && strcmp(options->engine, "echo") != 0)
        return refuse("engine", options->engine, "an engine; the only one to name is echo");
    if (options->budget &&
        options_parse_size(text_of(options->budget), available, &options->budget_bytes))
        return refuse("budget", options->budget, "a size such as 5G, 300M or 60%");
    if (options->max_prompt &&
        (options_parse_size(text_of(options->max_prompt), available, &options->prompt_bytes_max) ||
         options->prompt_bytes_max > JOB_PROMPT_BYTES_MAX))
        return refuse("max_prompt", options->max_prompt, "a size of at most 48M");
    if (options->kernels && !kernel_names_have(options->kernels))
        return refuse("kernels", options->kernels, "one of " KERNEL_NAMES);
    return check_numbers(options);
}

int options_parse(struct fuse_args *args, struct options *out)
{
    struct fuse_cmdline_opts common;
    *out = (struct options){0};
    if (fuse_opt_parse(args, out, option_table, take_argument) || fuse_parse_cmdline(args, &common))
        return 1;
    out->mountpoint = common.mountpoint;
    out->foreground = common.foreground || common.debug;
    out->debug = common.debug;
    out->help = common.show_help;
    out->version = common.show_version;
    if (out->help || out->version)
        return 0;
    if (!out->models_dir || !out->mountpoint) {
        fprintf(stderr, "inferfs: %s is missing; usage: inferfs MODELS_DIR MOUNTPOINT [options]\n",
                out->models_dir ? "the mount point" : "the models folder");
        return 2;
    }
    return check_values(out);
}

void options_free(struct options *options)
{
    free(options->models_dir);
    free(options->mountpoint);
    free(options->budget);
    free(options->engine);
    free(options->kernels);
    free(options->max_prompt);
    free(options->program);
    for (size_t i = 0; i < OPTION_NUMBERS; i++)
        free(options->numbers[i]);
}

void options_help(const char *program)
{
    printf("usage: %s MODELS_DIR MOUNTPOINT [options]\n\n", program);
    printf(
        "Presents every model (NAME.gguf, or a folder NAME with config.json and\n"
        "*.safetensors) of MODELS_DIR as the directory MOUNTPOINT/NAME.\n\n"
        "    -o budget=SIZE         memory for models: 5G, 300M, 60%% (default: 60%% of what is\n"
        "                           available at start)\n"
        "    -o ttl=SECONDS         unload a model that was not used for so long (default: never)\n"
        "    -o threads=N           threads of a model's worker (default: the physical cores)\n"
        "    -o context=N           most tokens of a conversation (default: the model's)\n"
        "    -o max_prompt=SIZE     longest prompt (default: 8M)\n"
        "    -o kernels=NAME        " KERNEL_NAMES "\n"
        "                           (default: $INFERFS_KERNELS, else the best for this CPU)\n"
        "    -o nolineage           `output` is the newest answer, whoever asked\n"
        "    -o symlinks            follow symbolic links in MODELS_DIR\n"
        "    -o program=PATH        the engine's program (default: inferfs-engine beside inferfs)\n"
        "    -o engine=echo         a fake engine that answers with the prompt\n"
        "    -o echo_load_ms=N      ... and takes so long to load\n"
        "    -o echo_token_ms=N     ... and for each word\n\n"
        "    -f                     stay in the foreground\n"
        "    -d   -o debug          the same, and show each request of the kernel\n"
        "    -s                     accepted: the daemon has one thread anyway\n"
        "    -h   --help            this text\n"
        "    -V   --version         version\n\n");
    fuse_lowlevel_help();
}
