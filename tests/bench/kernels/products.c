/* products.c - matrix products: out of the second-level cache, out of memory, and of many vectors.
 */
#include "bench.h"

#include "base/tensor.h"
#include "math/matrix.h"
#include "math/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VECTORS_MAX = 512, WIDTH_MAX = 4096, ROWS_MAX = 8192 };

static const enum tensor_type types[] = {
    TENSOR_Q4_0,  TENSOR_Q4_1,   TENSOR_Q5_0,   TENSOR_Q5_1,  TENSOR_Q8_0,
    TENSOR_Q4_K,  TENSOR_Q5_K,   TENSOR_Q6_K,   TENSOR_Q2_K,  TENSOR_Q3_K,
    TENSOR_Q8_K,  TENSOR_IQ4_NL, TENSOR_IQ4_XS, TENSOR_MXFP4, TENSOR_TQ1_0,
    TENSOR_TQ2_0, TENSOR_F32,    TENSOR_F16,    TENSOR_BF16,
};

struct job {
    struct bench *bench;
    struct matrix matrix;
    size_t matrix_bytes;
    size_t copies; /* of the matrix, to go through in each run */
    struct activations *activations;
    float *x, *y;
};

static void compute(const struct team *team, void *argument)
{
    struct job *job = argument;
    struct matrix matrix = job->matrix;
    int begin, end;
    threads_share(team, matrix.rows, MATRIX_GRAIN, &begin, &end);
    for (size_t i = 0; i < job->copies; i++) {
        matrix.data = job->bench->set + i * job->matrix_bytes;
        matrix_multiply(job->bench->kernels, &matrix, job->activations, job->y, (size_t)matrix.rows,
                        begin, end);
    }
}

static void shape(struct job *job, enum tensor_type type, int32_t rows, int32_t columns)
{
    const struct tensor_format *format = tensor_format(type);
    size_t row_bytes = (size_t)columns / format->block * format->block_bytes;
    job->matrix = (struct matrix){type, job->bench->set, row_bytes, rows, columns, false};
    job->matrix_bytes = row_bytes * (size_t)rows;
}

/* Seconds of a product with `count` vectors, of the matrix alone. */
static double product_seconds(struct job *job, int threads, int32_t count, size_t copies)
{
    job->copies = copies ? copies : 1;
    activations_begin(job->activations, job->x, (size_t)job->matrix.columns, count,
                      job->matrix.columns);
    if (quant_is_block_type(job->matrix.type))
        activations_quantise(job->bench->kernels, job->activations, 0, count);
    return bench_seconds(job->bench, threads, compute, job) / (double)job->copies;
}

/* One vector: out of the cache with one thread, in cycles for 32 weights; out of memory with all
 * threads, against the machine's best stream. */
static void print_one(struct job *job, enum tensor_type type)
{
    shape(job, type, 512, 1024);
    double seconds = product_seconds(job, 1, 1, 1);
    double cycles = seconds * bench_hertz() / (512 * 1024 / 32);
    shape(job, type, ROWS_MAX, 2048);
    seconds = product_seconds(job, threads_count(job->bench->threads), 1,
                              BENCH_SET_BYTES / job->matrix_bytes);
    double rate = (double)job->matrix_bytes / seconds / 1e9;
    printf("%-6s %7.2f %8.1f %6.2f", tensor_format(type)->name, cycles, rate,
           rate / job->bench->stream_gb_per_s);
}

/* Few vectors: the time of 2, 4, 8 and 16 against that of one, out of memory. */
static void print_few(struct job *job, enum tensor_type type)
{
    static const int32_t counts[] = {2, 4, 8, 16};
    const int threads = threads_count(job->bench->threads);
    shape(job, type, 2048, WIDTH_MAX);
    size_t copies = (size_t)(32 << 20) / job->matrix_bytes;
    double one = product_seconds(job, threads, 1, copies);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        printf(" %6.2f", product_seconds(job, threads, counts[i], copies) / one);
}

/* Many vectors: multiply-adds a cycle and core, with one thread and with all. */
static void print_many(struct job *job, enum tensor_type type)
{
    static const int32_t shapes[][2] = {{2048, 2048}, {1536, 576}, {896, 4096}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int threads = 1; threads <= threads_count(job->bench->threads); threads++) {
            if ((uint32_t)shapes[i][1] % tensor_format(type)->block) {
                printf("      -     ");
                continue;
            }
            shape(job, type, shapes[i][0], shapes[i][1]);
            double seconds = product_seconds(job, threads, VECTORS_MAX, 1);
            double work = (double)shapes[i][0] * shapes[i][1] * VECTORS_MAX;
            double rate = work / seconds / threads / bench_hertz();
            printf("  %5.1f", rate);
            if (job->bench->peak > 0)
                printf(" %3.0f%%", 100 * rate / job->bench->peak);
        }
    printf("\n");
}

void bench_products_head(void)
{
    printf("\n        one vector             | time of N vectors over one |"
           " 512 vectors: MAC/cycle and core, 1 and more threads\n"
           "type    c/32 w     GB/s of best|    2      4      8     16  |"
           " 2048x2048, 1536x576, 896x4096 (rows x columns)\n");
}

void bench_products(struct bench *bench, const char *type)
{
    struct job job = {.bench = bench};
    job.x = malloc(sizeof *job.x * VECTORS_MAX * WIDTH_MAX);
    job.y = malloc(sizeof *job.y * VECTORS_MAX * ROWS_MAX);
    if (!job.x || !job.y || activations_open(VECTORS_MAX, WIDTH_MAX, &job.activations)) {
        fprintf(stderr, "bench_kernels: no memory\n");
        exit(1);
    }
    for (size_t i = 0; i < (size_t)VECTORS_MAX * WIDTH_MAX; i++)
        job.x[i] = (float)(i * 7919 % 255) / 127.0f - 1.0f;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (type && strcmp(type, tensor_format(types[i])->name) != 0)
            continue;
        print_one(&job, types[i]);
        print_few(&job, types[i]);
        print_many(&job, types[i]);
        fflush(stdout);
    }
    activations_close(job.activations);
    free(job.x);
    free(job.y);
}
