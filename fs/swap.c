/* swap.c - see swap.h. */
#include "fs/swap.h"

#include "base/clock.h"
#include "fs/jsontext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Page cache: up to this share of the loaded bytes read from disk is "warm", all but it "cold". */
static const double mixed_share = 0.02;

void swap_begin(struct swap *swap, const char *model, const char *reason, int64_t asked_us)
{
    swap_free(swap);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(swap->model, sizeof swap->model, "%s", model);
    swap->open = true;
    swap->reason = reason;
    swap->asked_us = asked_us;
    swap->started_s =
        (double)now.tv_sec + (double)now.tv_nsec / 1e9 - (double)(clock_now_us() - asked_us) / 1e6;
}

void swap_victim(struct swap *swap, const char *name, uint64_t charge_bytes)
{
    swap->freed_bytes += charge_bytes;
    if (!swap->evicted)
        swap->evicted = calloc(SWAP_VICTIMS_MAX, sizeof *swap->evicted);
    if (swap->evicted && swap->evicted_count < SWAP_VICTIMS_MAX)
        snprintf(swap->evicted[swap->evicted_count++], SWAP_NAME_BYTES, "%s", name);
}

void swap_free(struct swap *swap)
{
    free(swap->evicted);
    *swap = (struct swap){0};
}

/* Milliseconds from one moment to another, null when either did not happen. */
static json_t *phase(int64_t from_us, int64_t to_us)
{
    if (!from_us || !to_us)
        return json_null();
    return json_real(clock_ms(to_us - from_us));
}

static const char *page_cache(const struct swap *swap)
{
    double cold_share =
        swap->loaded_bytes ? (double)swap->cold_bytes / (double)swap->loaded_bytes : 0;
    if (cold_share <= mixed_share)
        return "warm";
    return cold_share >= 1 - mixed_share ? "cold" : "mixed";
}

static void add_phases(json_t *object, const struct swap *swap)
{
    int64_t last_us = swap->first_byte_us ? swap->first_byte_us : swap->ready_us;
    json_object_set_new(object, "queue_ms", phase(swap->asked_us, swap->decided_us));
    json_object_set_new(object, "drain_ms", phase(swap->decided_us, swap->drained_us));
    json_object_set_new(object, "evict_ms", phase(swap->drained_us, swap->told_us));
    json_object_set_new(object, "shutdown_ms", phase(swap->told_us, swap->exited_us));
    json_object_set_new(object, "unload_ms", phase(swap->exited_us, swap->started_us));
    json_object_set_new(object, "load_ms", phase(swap->started_us, swap->loaded_us));
    json_object_set_new(object, "reconfigure_ms", phase(swap->loaded_us, swap->configured_us));
    json_object_set_new(object, "reinit_ms", phase(swap->configured_us, swap->ready_us));
    json_object_set_new(object, "restore_ms", json_null());
    json_object_set_new(object, "first_token_ms", phase(swap->ready_us, swap->first_byte_us));
    json_object_set_new(object, "total_ms", phase(swap->asked_us, last_us));
}

static void add_amounts(json_t *object, const struct swap *swap)
{
    bool loaded = swap->loaded_us && swap->started_us;
    double load_ms = loaded ? clock_ms(swap->loaded_us - swap->started_us) : 0;
    json_object_set_new(object, "loaded_bytes", json_integer((json_int_t)swap->loaded_bytes));
    json_object_set_new(object, "cold_bytes", json_integer((json_int_t)swap->cold_bytes));
    json_object_set_new(object, "mb_per_s",
                        load_ms > 0 ? json_real((double)swap->loaded_bytes / 1e3 / load_ms)
                                    : json_null());
    json_object_set_new(object, "freed_bytes", json_integer((json_int_t)swap->freed_bytes));
    /* Everything that a victim held went with its process: by then it has been reaped. */
    json_object_set_new(object, "reclaimed_percent",
                        swap->exited_us ? json_real(100.0) : json_null());
    json_object_set_new(object, "page_cache", loaded ? json_string(page_cache(swap)) : json_null());
}

json_t *swap_json(const struct swap *swap)
{
    json_t *object = json_object();
    json_object_set_new(object, "seq", json_integer((json_int_t)swap->seq));
    json_object_set_new(object, "model", jsontext_new(swap->model));
    json_object_set_new(object, "reason", json_string(swap->reason));
    json_object_set_new(object, "started", json_real(swap->started_s));
    json_t *evicted = json_array();
    for (uint32_t i = 0; i < swap->evicted_count; i++)
        json_array_append_new(evicted, jsontext_new(swap->evicted[i]));
    json_object_set_new(object, "evicted", evicted);
    add_phases(object, swap);
    add_amounts(object, swap);
    return object;
}
