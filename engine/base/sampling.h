/* sampling.h - what a request says about choosing tokens, and the one table of its parameters.
 *
 * The daemon's config/ files, the protocol, the command line and the sampler all read the table, so
 * that a parameter has one name, one range and one default.
 *
 * Owns:     nothing; plain values and a constant table.
 * Threads:  any.
 * Source:   temperature; top-k (Fan et al. 2018); nucleus top-p (Holtzman et al. 2020); locally
 *           typical sampling (Meister et al. 2022); min-p (Nguyen et al. 2024); repetition penalty
 *           (Keskar et al. 2019); presence and frequency penalties as the OpenAI API defines them;
 *           DRY (p-e-w 2024); Mirostat 2 (Basu et al. 2021).
 */
#ifndef BASE_SAMPLING_H
#define BASE_SAMPLING_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAMPLING_REPEAT_TOKENS = 64,    /* that the three penalties look back */
    SAMPLING_HISTORY_TOKENS = 1024, /* that DRY looks back */
    SAMPLING_BIASES_MAX = 512,      /* of logit_bias */
    SAMPLING_LOGPROBS_MAX = 20,     /* alternatives that are reported for a token */
    SAMPLING_STOP_TOKENS_MAX = 16,
};

struct sampling {
    float temperature;       /* 0: greedy */
    int32_t top_k;           /* 0: off */
    float top_p;             /* 1: off */
    float min_p;             /* 0: off */
    float typical_p;         /* 0 or 1: off */
    float repeat_penalty;    /* 1: off */
    float presence_penalty;  /* 0: off; taken from the logit of each recent token */
    float frequency_penalty; /* 0: off; the same, times how often it occurred */
    float dry_multiplier;    /* 0: off; penalty of a token that would go on repeating a passage */
    float dry_base;          /* grows by this factor for each token of the passage beyond ... */
    int32_t dry_allowed_length; /* ... this length */
    int32_t mirostat;           /* 0: off; 2: instead of top-k, top-p, min-p and typical-p */
    float mirostat_tau;         /* the surprise that it aims at, in bits */
    float mirostat_eta;         /* how fast it learns */
    uint64_t seed;              /* the same seed, request and model give the same tokens */
};

enum sampling_kind { SAMPLING_REAL, SAMPLING_INTEGER };

/* The parameters but the seed, whose range is all of 64 bits. */
struct sampling_parameter {
    const char *name; /* the file in config/; with dashes the option */
    enum sampling_kind kind;
    size_t offset; /* of a float or an int32_t in struct sampling */
    double minimum, maximum;
    double daemon_default; /* of config/ */
    double engine_default; /* of the command line: plain, greedy */
};

enum { SAMPLING_PARAMETERS = 14 };
extern const struct sampling_parameter sampling_parameters[SAMPLING_PARAMETERS];

/* The values of the command line, all off. */
struct sampling sampling_plain(void);

double sampling_get(const struct sampling *sampling, const struct sampling_parameter *parameter);
void sampling_set(struct sampling *sampling, const struct sampling_parameter *parameter,
                  double value);

/* Returns 0, or -EINVAL naming the parameter that is out of range. */
int sampling_check(const struct sampling *sampling, struct error *error);

/* One item of logit_bias. */
struct token_bias {
    int32_t token;
    float bias; /* added to its logit; -100 or less forbids it */
};

#define SAMPLING_BIAS_FORBIDS (-100.0f)

#endif
