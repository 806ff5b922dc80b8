/* machine.c - what the machine can do at best: its clock, its multiply-adds, its memory. */
#include "bench.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { CHAIN = 1 << 20, STEPS = 1 << 16, LINE = 64, AHEAD_BYTES = 4096 };

/* One addition waits for the other: a cycle each, on every processor. */
double bench_hertz(void)
{
    double best = 0;
    for (int i = 0; i < 8; i++) {
        int64_t begin_us = clock_now_us();
        uint64_t x = 0;
        for (int n = 0; n < CHAIN / 16; n++)
#if defined(__x86_64__)
            __asm__ volatile(".rept 16\n add $1, %0\n .endr" : "+r"(x));
#elif defined(__aarch64__)
            __asm__ volatile(".rept 16\n add %0, %0, #1\n .endr" : "+r"(x));
#else
            x += 16;
#endif
        double rate = CHAIN / ((double)(clock_now_us() - begin_us + 1) / 1e6);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- multiply-adds ---- */

/* Runs STEPS times eight products that do not wait for each other; the multiply-adds of one of them
 * in `*width`. */
typedef void peak_function(int *width);

#ifdef __x86_64__
#define SUMS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"

static void peak_floats(int *width)
{
    *width = 8;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "vfmadd231ps %%ymm15, %%ymm14, %%ymm\\n\n"
                         ".endr" ::
                             : SUMS);
}

static void peak_bytes(int *width)
{
    *width = 32;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "vpmaddubsw %%ymm15, %%ymm14, %%ymm\\n\n"
                         ".endr" ::
                             : SUMS);
}

/* Each product is added to a sum of 16 bits: weights of 4 bits can do no better. */
static void peak_sums(int *width)
{
    *width = 32;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "vpmaddubsw %%ymm15, %%ymm14, %%ymm8\n"
                         "vpaddw %%ymm8, %%ymm\\n, %%ymm\\n\n"
                         ".endr" ::
                             : SUMS, "xmm8");
}

/* A sign that is moved, and a sum of 32 bits: weights of 8 bits can do no better. */
static void peak_signed(int *width)
{
    *width = 32;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "vpxor %%ymm15, %%ymm14, %%ymm8\n"
                         "vpmaddubsw %%ymm8, %%ymm13, %%ymm8\n"
                         "vpmaddwd %%ymm15, %%ymm8, %%ymm8\n"
                         "vpaddd %%ymm8, %%ymm\\n, %%ymm\\n\n"
                         ".endr" ::
                             : SUMS, "xmm8");
}

static void peak_dots(int *width)
{
    *width = 32;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "%{vex%} vpdpbusd %%ymm15, %%ymm14, %%ymm\\n\n"
                         ".endr" ::
                             : SUMS);
}

static void peak_wide_dots(int *width)
{
    *width = 64;
    for (int i = 0; i < STEPS; i++)
        __asm__ volatile(".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm\\n\n"
                         ".endr" ::
                             : SUMS);
}
#endif

static double multiply_adds(peak_function *function)
{
    double best = 0;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        int width;
        int64_t begin_us = clock_now_us();
        function(&width);
        double rate = 8.0 * STEPS * width / ((double)(clock_now_us() - begin_us + 1) / 1e6);
        best = rate > best ? rate : best;
    }
    return best / bench_hertz();
}

static void print_peaks(struct bench *bench)
{
    printf("clock                %6.2f GHz\n", bench_hertz() / 1e9);
#ifdef __x86_64__
    const char *name = kernels_name(bench->kernels);
    peak_function *best = strcmp(name, "avx512") == 0    ? peak_wide_dots
                          : strcmp(name, "avxvnni") == 0 ? peak_dots
                                                         : peak_bytes;
    if (strcmp(name, "portable") == 0)
        return;
    bench->peak = multiply_adds(best);
    printf("float multiply-adds  %6.1f a cycle and core\n", multiply_adds(peak_floats));
    printf("byte multiply-adds   %6.1f a cycle and core: the peak below\n", bench->peak);
    if (best == peak_bytes) {
        printf("... and sums         %6.1f a cycle and core\n", multiply_adds(peak_sums));
        printf("... and signs        %6.1f a cycle and core\n", multiply_adds(peak_signed));
    }
#endif
}

/* ---- memory ---- */

struct reading {
    struct bench *bench;
    bool prefetches;
    uint64_t sums[THREADS_MAX][8];
};

static void read_part(const struct team *team, void *argument)
{
    struct reading *reading = argument;
    int begin, end;
    threads_share(team, BENCH_SET_BYTES / LINE, 1, &begin, &end);
    const uint8_t *at = reading->bench->set;
    uint64_t sums[8] = {0};
    for (int i = begin; i < end; i++) {
        uint64_t words[8];
        if (reading->prefetches)
            __builtin_prefetch(at + (size_t)i * LINE + AHEAD_BYTES, 0, 2);
        memcpy(words, at + (size_t)i * LINE, sizeof words);
        for (int k = 0; k < 8; k++)
            sums[k] += words[k];
    }
    memcpy(reading->sums[team->index], sums, sizeof sums);
}

static void print_memory(struct bench *bench)
{
    static struct reading reading;
    reading.bench = bench;
    for (int count = 1; count <= threads_count(bench->threads); count++)
        for (int prefetches = 0; prefetches < 2; prefetches++) {
            reading.prefetches = prefetches;
            double rate = BENCH_SET_BYTES / bench_seconds(bench, count, read_part, &reading) / 1e9;
            printf("read, %d thread%s %s %6.1f GB/s\n", count, count > 1 ? "s" : " ",
                   prefetches ? "ahead" : "     ", rate);
            bench->stream_gb_per_s = rate;
        }
}

void bench_machine(struct bench *bench)
{
    printf("kernels              %s, %d threads\n", kernels_name(bench->kernels),
           threads_count(bench->threads));
    print_peaks(bench);
    print_memory(bench);
}
