/* bench_matrix.c - how fast the matrix products are; prints a table, tests nothing.
 *
 *     bench_matrix [type [kernels]]
 *
 * N = 1 is printed as GB/s of weights: many copies of the matrix in turn, so that they come from
 * memory as a model's do.  Larger N are printed as multiply-adds per cycle of the time stamp
 * counter and thread; a T marks weights stored by columns.  Every number is the median of REPEATS
 * runs.
 */
#include "base/clock.h"
#include "base/tensor.h"
#include "base/threads.h"
#include "base/half.h"
#include "math/matrix.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <x86intrin.h>
static uint64_t cycles(void)
{
    return __rdtsc();
}
#else
static uint64_t cycles(void)
{
    return (uint64_t)clock_now_us() * 1000; /* as if at 1 GHz */
}
#endif

enum { REPEATS = 7, VECTORS_MAX = 512, SET_BYTES = 160 << 20 };

static const enum tensor_type types[] = {
    TENSOR_Q4_1,  TENSOR_Q8_0,   TENSOR_Q4_0,   TENSOR_Q5_0,  TENSOR_Q5_1,
    TENSOR_Q4_K,  TENSOR_Q5_K,   TENSOR_Q6_K,   TENSOR_Q2_K,  TENSOR_Q3_K,
    TENSOR_Q8_K,  TENSOR_IQ4_NL, TENSOR_IQ4_XS, TENSOR_MXFP4, TENSOR_TQ1_0,
    TENSOR_TQ2_0, TENSOR_F32,    TENSOR_F16,    TENSOR_BF16,
};

struct job {
    const struct kernels *kernels;
    struct matrix matrix;
    size_t matrix_bytes;
    uint8_t *weights;
    size_t copies; /* of the matrix, to go through in each run */
    struct activations *activations;
    float *y;
};

static void compute(const struct team *team, void *argument)
{
    struct job *job = argument;
    struct matrix matrix = job->matrix;
    int begin, end;
    threads_share(team, matrix.rows, MATRIX_GRAIN, &begin, &end);
    for (size_t i = 0; i < job->copies; i++) {
        matrix.data = job->weights + i * job->matrix_bytes;
        matrix_multiply(job->kernels, &matrix, job->activations, job->y, (size_t)matrix.rows, begin,
                        end);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Medians of seconds and of cycles for one run over `copies` matrices. */
static void measure(struct job *job, struct threads *threads, int count, double *seconds,
                    double *ticks)
{
    double time[REPEATS], clock[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        int64_t begin_us = clock_now_us();
        uint64_t begin = cycles();
        threads_run(threads, count, compute, job);
        clock[i] = (double)(cycles() - begin);
        time[i] = (double)(clock_now_us() - begin_us) / 1e6;
    }
    qsort(time, REPEATS, sizeof *time, compare);
    qsort(clock, REPEATS, sizeof *clock, compare);
    *seconds = time[REPEATS / 2];
    *ticks = clock[REPEATS / 2];
}

/* Bytes that are finite weights in every format: all f16 and f32 fields are near 0.01. */
static void fill(uint8_t *bytes, size_t size)
{
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = i % 2 ? 0x21 : (uint8_t)(state >> 24);
    }
}

static void bench_shape(struct job *job, struct threads *threads, enum tensor_type type,
                        int32_t rows, int32_t columns, bool transposed)
{
    static const int32_t counts[] = {1, 2, 4, 8, 32, 128, 512};
    const struct tensor_format *format = tensor_format(type);
    size_t row_bytes = (size_t)columns / format->block * format->block_bytes;
    size_t bytes = row_bytes * (size_t)rows;
    static float x[VECTORS_MAX * 2048];
    if ((uint32_t)columns % format->block)
        return;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = (float)(i * 7919 % 255) / 127.0f - 1.0f;
    size_t stored = transposed ? row_bytes / (size_t)columns * (size_t)rows : row_bytes;
    job->matrix = (struct matrix){type, job->weights, stored, rows, columns, transposed};
    job->matrix_bytes = bytes;
    for (int team = 1; team <= threads_count(threads); team++) {
        printf("%-6s %4dx%-4d%s %d", format->name, rows, columns, transposed ? "T" : "", team);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            double seconds, ticks, work = (double)rows * columns * counts[c];
            size_t copies = (size_t)(counts[c] < 8 ? SET_BYTES : SET_BYTES / counts[c]) / bytes;
            job->copies = copies ? copies : 1;
            activations_begin(job->activations, x, (size_t)columns, counts[c], columns);
            activations_quantise(job->kernels, job->activations, 0, counts[c]);
            measure(job, threads, team, &seconds, &ticks);
            if (counts[c] < 8)
                printf("  N=%d %5.1f GB/s", counts[c],
                       (double)(job->copies * bytes) / seconds / 1e9);
            else
                printf("  N=%d %4.1f", counts[c], work * (double)job->copies / ticks / team);
            fflush(stdout);
        }
        printf(" MAC/cycle\n");
    }
}

int main(int argc, char **argv)
{
    struct job job = {0};
    struct threads *threads;
    struct error error;
    int cores = threads_available();
    if (kernels_choose(argc > 2 ? argv[2] : NULL, &job.kernels, &error) ||
        threads_open(cores < 2 ? cores : 2, &threads, &error)) {
        fprintf(stderr, "bench_matrix: %s\n", error.text);
        return 1;
    }
    job.weights = malloc(SET_BYTES);
    job.y = malloc(sizeof *job.y * VECTORS_MAX * 2048);
    if (!job.weights || !job.y || activations_open(VECTORS_MAX, 2048, &job.activations))
        return 1;
    fill(job.weights, SET_BYTES);
    printf("kernels: %s\n", kernels_name(job.kernels));
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        if (argc > 1 && strcmp(argv[1], "all") != 0 &&
            strcmp(argv[1], tensor_format(types[t])->name) != 0)
            continue;
        bench_shape(&job, threads, types[t], 576, 1536, false);
        bench_shape(&job, threads, types[t], 1536, 576, false);
        bench_shape(&job, threads, types[t], 2048, 2048, false);
        if (tensor_format(types[t])->block == 1)
            bench_shape(&job, threads, types[t], 2304, 768, true);
    }
    activations_close(job.activations);
    threads_close(threads);
    free(job.weights);
    free(job.y);
    return 0;
}
