/* config_parse.h - the values of config/ files as they are written: numbers and lists.
 *
 * Numbers are matched against a grammar before the C library converts them: strtod(3) alone would
 * take "nan", "0x1p3" and "+1", and read the decimal point of the user's locale.
 *
 * Owns:     nothing.
 * Threads:  any.
 */
#ifndef FS_CONFIG_PARSE_H
#define FS_CONFIG_PARSE_H

#include "fs/config.h"

/* Without the white space around it. */
struct text config_trim(struct text text);

/* Digits that fit 64 bits.  Returns 0, -EINVAL, or -ERANGE (also for a number below 0). */
int config_parse_whole(struct text text, uint64_t *out);

/* A decimal number.  Returns 0, -EINVAL, -ERANGE or -ENOMEM. */
int config_parse_real(struct text text, double *out);

/* The fewest digits, from 6 on, that config_parse_real() makes the same value of, and a newline.
 * Returns 0, -ENOMEM or -EMSGSIZE. */
int config_format_real(double value, bool is_float, struct buffer *out);

/* Lines, each a stop string: *bytes is malloc'ed and holds them one after the other, each with a
 * NUL.  It is set after a failure too. */
int config_parse_stops(struct text text, char **bytes, struct text stops[CONFIG_STOPS_MAX],
                       uint32_t *count, struct error *error);

/* Token ids, separated by white space. */
int config_parse_tokens(struct text text, int32_t tokens[SAMPLING_STOP_TOKENS_MAX], uint32_t *count,
                        struct error *error);

/* Lines "ID BIAS". */
int config_parse_biases(struct text text, struct token_bias biases[SAMPLING_BIASES_MAX],
                        uint32_t *count, struct error *error);

#endif
