/* swap.h - the record of one swap: who left, who came, how long each phase took.
 *
 * The phases are the time between consecutive moments of one clock, so they add up to the total:
 *
 *   asked ─queue─▶ decided ─drain─▶ drained ─evict─▶ told ─shutdown─▶ exited ─unload─▶ started
 *         ─load─▶ loaded ─reconfigure─▶ configured ─reinit─▶ ready ─first_token─▶ first byte
 *
 * Without victims `decided` is followed by `started` at once: those phases did not happen (null).
 *
 * Owns:     the names of the victims.
 * Threads:  the loop's.
 * Limits:   SWAP_VICTIMS_MAX are named; more are counted in freed_bytes.
 */
#ifndef FS_SWAP_H
#define FS_SWAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SWAP_VICTIMS_MAX = 32, SWAP_NAME_BYTES = 256 };

struct swap {
    bool open;    /* being recorded */
    uint64_t seq; /* given at its end */
    char model[SWAP_NAME_BYTES];
    const char *reason;               /* "request", "load", "pin" */
    double started_s;                 /* Unix time of `asked` */
    char (*evicted)[SWAP_NAME_BYTES]; /* [SWAP_VICTIMS_MAX], NULL while there are none */
    uint32_t evicted_count;
    /* CLOCK_MONOTONIC microseconds, 0 while it has not happened */
    int64_t asked_us, decided_us, drained_us, told_us, exited_us, started_us;
    int64_t loaded_us, configured_us, ready_us, first_byte_us;
    uint64_t loaded_bytes, cold_bytes, freed_bytes;
};

/* Begin a record; what *swap held is freed. */
void swap_begin(struct swap *swap, const char *model, const char *reason, int64_t asked_us);

/* A victim is gone. */
void swap_victim(struct swap *swap, const char *name, uint64_t charge_bytes);

void swap_free(struct swap *swap);

/* The record as a JSON object (a new reference; NULL without memory). */
json_t *swap_json(const struct swap *swap);

#endif
