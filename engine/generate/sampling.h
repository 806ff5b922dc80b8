/* sampling.h - what a request says about choosing tokens.
 *
 * Owns:     nothing; a plain value.
 * Source:   temperature; top-k (Fan et al. 2018); nucleus top-p (Holtzman et al. 2020); min-p
 *           (Nguyen et al. 2024); repetition penalty (Keskar et al. 2019).
 */
#ifndef GENERATE_SAMPLING_H
#define GENERATE_SAMPLING_H

#include <stdint.h>

/* The largest and smallest parameters, the same as in config/. */
#define SAMPLING_TEMPERATURE_MAX    10.0
#define SAMPLING_REPEAT_PENALTY_MIN 0.1
#define SAMPLING_REPEAT_PENALTY_MAX 10.0

struct sampling {
    float temperature;    /* 0: greedy */
    int32_t top_k;        /* 0: off */
    float top_p;          /* 1: off */
    float min_p;          /* 0: off */
    float repeat_penalty; /* 1: off; over the last SAMPLING_REPEAT_TOKENS tokens */
    uint64_t seed;        /* the same seed, request and model give the same tokens */
};

enum { SAMPLING_REPEAT_TOKENS = 64 };

#endif
