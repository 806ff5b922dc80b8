/* cli.h - what the sub-commands of inferfs-engine share.
 *
 * A sub-command gets its own argv (argv[0] is its name) and returns the exit status: 0, CLI_FAILED
 * after one line `inferfs-engine: MODEL: reason` on stderr, or CLI_USAGE after one line about the
 * command line.
 *
 * Threads:  one.
 * Limits:   CLI_INPUT_BYTES_MAX of standard input.
 */
#ifndef CLI_H
#define CLI_H

#include "base/memory.h"
#include "engine.h"
#include "text/tokenizer.h"

#include <getopt.h>

enum { CLI_FAILED = 1, CLI_USAGE = 2 };
/* --threads, --kernels, --kv in the tables of options */
enum { CLI_THREADS = 't', CLI_KERNELS = 'K', CLI_KV = 'Q' };
enum { CLI_INPUT_BYTES_MAX = 64 << 20 };

/* Print one line and return the exit status. */
int cli_fail(const char *model, const char *reason);
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* getopt_long() without its own messages.  Returns the option's value, -1 at the end, or '?' after
 * the line about an unknown option or a missing value was printed. */
int cli_option(int argc, char **argv, const char *letters, const struct option *options);

/* The one positional argument behind the options: MODEL.  NULL after the line about it. */
const char *cli_model(int argc, char **argv);

/* The same for a sub-command that has no option. */
const char *cli_only_model(int argc, char **argv);

/* A whole number or a decimal from an option, within [low, high].  False after the line about it.
 */
bool cli_integer(const char *command, const char *name, const char *value, int64_t low,
                 int64_t high, int64_t *out);
bool cli_number(const char *command, const char *name, const char *value, double low, double high,
                float *out);

/* Take CLI_THREADS, CLI_KERNELS or CLI_KV; false for any other option, and after the line about a
 * value. */
bool cli_engine_option(const char *command, int option, struct engine_options *options);

/* The value of --thinking: on or off.  False after the line about another. */
bool cli_thinking(const char *command, const char *value, struct chat_options *options);

/* All of standard input into a new buffer.  Returns 0, or an exit status (the line printed). */
int cli_read_input(const char *model, struct buffer *out);

/* The same of a file; the line names it. */
int cli_read_file(const char *path, struct buffer *out);

/* Token ids in standard input, separated by white space; free them with tokens_free().  Returns 0
 * or an exit status. */
int cli_read_ids(const char *model, struct tokens *out);

/* Options for one user at a terminal: all memory that there is for KV pages; kernels as
 * $INFERFS_KERNELS says. */
struct engine_options cli_engine_options(void);

/* Open, or say why not.  Without options only the tokenizer: see engine_open_tokenizer(). */
int cli_open(const char *model, const struct engine_options *options, struct engine **out);

/* The same, and all of standard input besides; after a failure nothing is open. */
int cli_open_and_read(const char *model, const struct engine_options *options, struct engine **out,
                      struct buffer *input);

/* Push out what was printed: a full disk or a closed pipe is a failure too.  Returns `status` when
 * that is not 0. */
int cli_finish(const char *model, int status);

#endif
