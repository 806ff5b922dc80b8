/* options.h - the command line.
 *
 * Owns:     its strings.
 * Promise:  an option that is not known is refused, not ignored.
 * Threads:  before the loop runs.
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "base/error.h"
#include "base/text.h"
#include "fs/fuse.h"

#include <stdbool.h>
#include <stdint.h>

enum option_number {
    OPTION_CONTEXT,
    OPTION_ECHO_LOAD_MS,
    OPTION_ECHO_TOKEN_MS,
    OPTION_THREADS,
    OPTION_TTL,
    OPTION_NUMBERS,
};

enum {
    BUDGET_DEFAULT_PERCENT = 60,
    OPTION_ECHO_MS_MAX = 3600000,
    OPTION_TTL_S_MAX = 1 << 30,
};

struct options {
    char *models_dir; /* as given */
    char *mountpoint;
    char *budget; /* as given, NULL for the default */
    char *engine; /* "echo", or NULL for the real one */
    char *kernels;
    char *max_prompt;
    char *program; /* inferfs-engine; NULL: beside this program, else in PATH */
    uint64_t budget_bytes;
    uint64_t prompt_bytes_max;
    char *numbers[OPTION_NUMBERS]; /* as given */
    uint32_t echo_load_ms, echo_token_ms;
    uint32_t ttl_s;   /* idle models leave after this; 0: never */
    uint32_t threads; /* per worker; 0: what the machine has */
    uint32_t context; /* 0: the model's */
    int no_lineage;
    int symlinks;
    int allow_other;
    bool echo;
    bool foreground, debug, help, version;
};

/* Parse argv; *args keeps what is libfuse's.  Returns 0, or an exit status of FUSE programs (1 bad
 * options, 2 no mount point) after one line on stderr. */
int options_parse(struct fuse_args *args, struct options *out);
void options_free(struct options *options);

void options_help(const char *program);

/* "5G", "300M", "4096", "60%" (of `whole_bytes`) -> bytes.  Returns 0, -EINVAL or -ERANGE. */
int options_parse_size(struct text text, uint64_t whole_bytes, uint64_t *out);

/* MemAvailable now (the whole for a budget in percent). */
uint64_t options_memory_available_bytes(void);

#endif
