/* main.c - bench_kernels: how fast the parts of the engine are; prints tables, tests nothing.
 *
 *     bench_kernels [-t THREADS] [-k KERNELS] [TYPE|MODEL.gguf]...
 *
 * Without arguments: the machine, products of all types, and what lies between them.  With types
 * (Q4_K ...), only their products; with models, opening and tokenising these.
 */
#include "bench.h"

#include "base/clock.h"
#include "base/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_seconds(struct bench *bench, int count, threads_function *function, void *argument)
{
    double seconds[BENCH_ROUNDS];
    threads_run(bench->threads, count, function, argument); /* caches and clocks warm up */
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        int64_t begin_us = clock_now_us();
        threads_run(bench->threads, count, function, argument);
        seconds[i] = (double)(clock_now_us() - begin_us + 1) / 1e6;
    }
    qsort(seconds, BENCH_ROUNDS, sizeof *seconds, compare);
    return seconds[BENCH_ROUNDS / 2];
}

/* Finite in every format: all f16 and f32 fields are near 0.01. */
static void fill(uint8_t *bytes, size_t size)
{
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = i % 2 ? 0x21 : (uint8_t)(state >> 24);
    }
}

static bool is_type(const char *name)
{
    for (uint32_t type = 0; type < TENSOR_TYPES; type++)
        if (tensor_format(type) && strcmp(tensor_format(type)->name, name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct error error;
    const char *kernels = getenv("INFERFS_KERNELS");
    int count = threads_available();
    for (int option; (option = getopt(argc, argv, "t:k:")) != -1;)
        if (option == 't')
            count = atoi(optarg);
        else if (option == 'k')
            kernels = optarg;
        else
            return 1;
    if (kernels_choose(kernels, &bench.kernels, &error) ||
        threads_open(count, &bench.threads, &error)) {
        fprintf(stderr, "bench_kernels: %s\n", error.text);
        return 1;
    }
    bench.set = aligned_alloc(64, BENCH_SET_BYTES);
    if (!bench.set)
        return 1;
    fill(bench.set, BENCH_SET_BYTES);
    bench_machine(&bench);
    if (optind == argc || is_type(argv[optind]))
        bench_products_head();
    for (int i = optind; i < argc; i++)
        if (is_type(argv[i]))
            bench_products(&bench, argv[i]);
        else if (bench_text(argv[i]))
            return 1;
    if (optind == argc) {
        bench_products(&bench, NULL);
        bench_between(&bench);
    }
    free(bench.set);
    threads_close(bench.threads);
    return 0;
}
