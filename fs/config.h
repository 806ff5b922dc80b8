/* config.h - the values in MODEL/config/, one per file.
 *
 * Owns:     the strings of a struct config.
 * Promise:  a value is valid or it is not taken: the old one stays.
 * Threads:  the loop's.
 * Limits:   CONFIG_* below.
 */
#ifndef FS_CONFIG_H
#define FS_CONFIG_H

#include "base/error.h"
#include "base/memory.h"
#include "base/sampling.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CONFIG_TEXT_BYTES_MAX = 1 << 20, /* system, grammar, json_schema */
    CONFIG_STOPS_MAX = 16,           /* lines of `stop` */
    CONFIG_STOP_BYTES_MAX = 256,
    CONFIG_CONTEXT_MIN = 16,
    CONFIG_CONTEXT_MAX = 1 << 24,
    CONFIG_TIMEOUT_S_MAX = 1000000000,
};

/* The files.  Those of the sampling parameters come first, in the order of base/sampling.h. */
enum config_key {
    CONFIG_TEMPERATURE,        /* 0..10, 0: greedy */
    CONFIG_TOP_K,              /* 0: off */
    CONFIG_TOP_P,              /* 0..1, 1: off */
    CONFIG_MIN_P,              /* 0..1, 0: off */
    CONFIG_TYPICAL_P,          /* 0..1, 0 or 1: off */
    CONFIG_REPEAT_PENALTY,     /* 0.1..10, 1: off */
    CONFIG_PRESENCE_PENALTY,   /* -10..10, 0: off */
    CONFIG_FREQUENCY_PENALTY,  /* -10..10, 0: off */
    CONFIG_DRY_MULTIPLIER,     /* 0..100, 0: off */
    CONFIG_DRY_BASE,           /* 0..10 */
    CONFIG_DRY_ALLOWED_LENGTH, /* 0..1024 tokens */
    CONFIG_MIROSTAT,           /* 0 or 2 */
    CONFIG_MIROSTAT_TAU,       /* 0..100 */
    CONFIG_MIROSTAT_ETA,       /* 0..10 */
    CONFIG_CONTEXT,            /* tokens a sequence may hold; 0: what the model was trained for */
    CONFIG_FORMAT,             /* of embeddings: json, f32 */
    CONFIG_GRAMMAR,            /* GBNF that answers follow; empty: none */
    CONFIG_JSON_SCHEMA,        /* a schema that answers follow; empty: none */
    CONFIG_KV,                 /* how keys and values are kept: f16, q8_0 */
    CONFIG_LOGIT_BIAS,         /* lines "ID BIAS" */
    CONFIG_LOGPROBS,           /* 0..20 alternatives of each token in `logprobs`; 0: off */
    CONFIG_MAX_TOKENS,         /* 0: as many as the context leaves room for, at most 2048 */
    CONFIG_RAW,                /* 0|1: complete the prompt as it is, no chat template */
    CONFIG_SEED,               /* 0..2^64-1; 0: a new one for each request */
    CONFIG_SPECULATE,          /* 0|1: guess tokens that repeat; answers stay the same */
    CONFIG_STOP,               /* lines, each a stop string (\n, \t, \r and \\ as in C) */
    CONFIG_STOP_TOKENS,        /* ids that end an answer */
    CONFIG_SYSTEM,             /* the system message; empty: the template's own */
    CONFIG_THINKING,           /* auto, on, off */
    CONFIG_TIMEOUT,            /* seconds a request may take, 0: no limit */
    CONFIG_KEYS,
};

/* Values of CONFIG_FORMAT, CONFIG_KV and CONFIG_THINKING, in the order of their words above. */
enum config_format { CONFIG_FORMAT_JSON, CONFIG_FORMAT_F32 };
enum config_kv { CONFIG_KV_F16, CONFIG_KV_Q8_0 };
enum config_thinking { CONFIG_THINKING_AUTO, CONFIG_THINKING_ON, CONFIG_THINKING_OFF };

struct config {
    struct sampling sampling; /* seed 0: a new one for each request */
    int32_t context, max_tokens, logprobs;
    int32_t format, kv, thinking; /* as the enums above */
    double timeout_s;
    bool raw, speculate;
    char *system, *grammar, *json_schema; /* malloc'ed, never NULL after config_open() */
    struct text stops[CONFIG_STOPS_MAX];  /* views into stop_bytes */
    uint32_t stop_count;
    char *stop_text;  /* as written, for reading back; never NULL either */
    char *stop_bytes; /* with escapes resolved; NULL: no stops */
    int32_t stop_tokens[SAMPLING_STOP_TOKENS_MAX];
    uint32_t stop_token_count;
    struct token_bias biases[SAMPLING_BIASES_MAX];
    uint32_t bias_count;
};

/* Defaults: those of the sampling parameters' table; format json, kv f16, thinking auto, speculate
 * 1, the rest 0 or empty.  Returns 0 or -ENOMEM. */
int config_open(struct config *config);
int config_copy(const struct config *from, struct config *to); /* a job's snapshot: the same */
void config_close(struct config *config);

const char *config_key_name(enum config_key key); /* the file's name */

/* Does the file take several lines (buffered, applied when the writer is done)? */
bool config_is_multiline(enum config_key key);

/* Append the value and a newline (an empty text value: nothing), so that config_set() of it gives
 * the same value again.  Returns 0, -ENOMEM or -EMSGSIZE. */
int config_format(const struct config *config, enum config_key key, struct buffer *out);

/* Parse and set one value; surrounding white space of one-line values is ignored, of text one
 * newline at the end, in `stop` empty lines too.  Numbers are decimal in every locale.  Returns 0,
 * -EINVAL (not a value of this kind), -ERANGE (out of range), -EMSGSIZE, -ENOMEM; the text says
 * what is accepted. */
int config_set(struct config *config, enum config_key key, struct text value, struct error *error);

/* Parse without setting: what a WRITE answers. */
int config_check(enum config_key key, struct text value, struct error *error);

#endif
