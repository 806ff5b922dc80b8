/* bench.h - what the sections of bench_kernels share: the machine, time, and work on all threads.
 *
 * Every figure is the median of BENCH_ROUNDS.  Cycles are those of a core, from its clock measured
 * beside each figure, as the clock of a shared machine wanders.
 */
#ifndef BENCH_H
#define BENCH_H

#include "base/threads.h"
#include "math/kernels.h"

#include <stddef.h>
#include <stdint.h>

enum { BENCH_ROUNDS = 21, BENCH_SET_BYTES = 192 << 20 };

struct bench {
    const struct kernels *kernels;
    struct threads *threads;
    uint8_t *set;           /* BENCH_SET_BYTES that are finite weights of every type */
    double peak;            /* multiply-adds a cycle of the best integer instruction */
    double stream_gb_per_s; /* of a prefetched read with all threads */
};

/* The median of BENCH_ROUNDS runs of `function` on `count` threads, in seconds. */
double bench_seconds(struct bench *bench, int count, threads_function *function, void *argument);

/* Cycles of one core in a second, now. */
double bench_hertz(void);

/* ---- machine.c: prints the clock, the peaks, the memory; fills in peak and stream ---- */
void bench_machine(struct bench *bench);

/* ---- products.c ---- */
void bench_products_head(void);
void bench_products(struct bench *bench, const char *type); /* NULL: of all types */

/* ---- between.c: what lies between the products: quantising, attention, sampling, barriers ---- */
void bench_between(struct bench *bench);

/* ---- text.c: opening a model and turning text into tokens ---- */
int bench_text(const char *model);

#endif
