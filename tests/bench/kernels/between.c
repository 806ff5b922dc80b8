/* between.c - what lies between the products: quantising, attention, barriers, sampling. */
#include "bench.h"

#include "base/clock.h"
#include "generate/sampler.h"
#include "math/attention.h"
#include "math/matrix.h"
#include "math/vector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 2048,
    CONTEXT = 4096,
    PAGES = CONTEXT / KV_PAGE_TOKENS,
    BARRIERS = 10000,
    VOCABULARY = 151936,
    REPEATS = 64, /* of what takes microseconds */
};

static void *room(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory) {
        fprintf(stderr, "bench_kernels: no memory\n");
        exit(1);
    }
    return memory;
}

/* ---- quantising ---- */

struct quantising {
    struct bench *bench;
    struct activations *activations;
};

static void quantise(const struct team *team, void *argument)
{
    struct quantising *job = argument;
    (void)team;
    activations_quantise(job->bench->kernels, job->activations, 0, REPEATS);
}

static void print_quantising(struct bench *bench)
{
    struct quantising job = {.bench = bench};
    float *x = room(sizeof *x * WIDTH * REPEATS);
    for (size_t i = 0; i < (size_t)WIDTH * REPEATS; i++)
        x[i] = (float)(i * 7919 % 255) / 127.0f - 1.0f;
    if (activations_open(REPEATS, WIDTH, &job.activations))
        exit(1);
    activations_begin(job.activations, x, WIDTH, REPEATS, WIDTH);
    double seconds = bench_seconds(bench, 1, quantise, &job) / REPEATS / WIDTH;
    printf("quantise             %6.2f cycles a value\n", seconds * bench_hertz());
    activations_close(job.activations);
    free(x);
}

/* ---- attention ---- */

struct attending {
    struct bench *bench;
    const char *name;
    int32_t kv_heads, group, head_size, tokens; /* the last `tokens` of `context` attend */
    int32_t context;
    enum kv_format format;
    const void *pages[PAGES];
    float *query, *out; /* [tokens][kv_heads][group][head_size] */
};

static void attend(const struct team *team, void *argument)
{
    struct attending *job = argument;
    const size_t head = (size_t)(job->group * job->head_size);
    for (int32_t kv_head = team->index; kv_head < job->kv_heads; kv_head += team->count) {
        const size_t at = (size_t)kv_head * head;
        const struct attention attention = {
            .pages = job->pages,
            .format = job->format,
            .position = job->context - job->tokens,
            .tokens = job->tokens,
            .kv_head = kv_head,
            .head_size = job->head_size,
            .queries = job->group,
            .stride = (size_t)job->kv_heads * head,
            .query = job->query + at,
            .out = job->out + at,
            .scale = 0.1f,
        };
        attention_attend(job->bench->kernels, &attention);
    }
}

static void fill_pages(struct attending *job, uint8_t *memory, size_t page_bytes)
{
    float key[ATTENTION_HEAD_SIZE_MAX];
    for (int32_t i = 0; i < job->head_size; i++)
        key[i] = (float)(i * 7919 % 255) / 127.0f - 1.0f;
    for (int32_t position = 0; position < job->context; position++) {
        uint8_t *page = memory + (size_t)(position / KV_PAGE_TOKENS) * page_bytes;
        job->pages[position / KV_PAGE_TOKENS] = page;
        for (int32_t head = 0; head < job->kv_heads; head++)
            kv_store(page, job->format, head, job->head_size, position % KV_PAGE_TOKENS, key, key);
    }
}

static void print_attention(struct bench *bench, struct attending job)
{
    const int32_t width = job.kv_heads * job.group * job.head_size;
    const size_t page_bytes = kv_page_bytes(job.kv_heads, job.head_size, job.format);
    const size_t pages = (size_t)(job.context / KV_PAGE_TOKENS);
    const int threads = threads_count(bench->threads);
    uint8_t *memory = room(page_bytes * pages);
    job.bench = bench;
    job.query = room(sizeof(float) * (size_t)width * (size_t)job.tokens);
    job.out = room(sizeof(float) * (size_t)width * (size_t)job.tokens);
    fill_pages(&job, memory, page_bytes);
    double seconds = bench_seconds(bench, threads, attend, &job);
    double seen = (double)job.context - (job.tokens - 1) / 2.0; /* positions a token sees */
    double work = 2.0 * width * job.tokens * seen;
    printf("attention, %-34s %7.1f GB/s %6.1f MAC/cycle and core\n", job.name,
           (double)(page_bytes * pages) / seconds / 1e9, work / seconds / threads / bench_hertz());
    free(memory);
    free(job.query);
    free(job.out);
}

/* ---- barriers and sampling ---- */

static void meet(const struct team *team, void *argument)
{
    (void)argument;
    for (int i = 0; i < BARRIERS; i++)
        threads_barrier(team);
}

static void nothing(const struct team *team, void *argument)
{
    (void)team;
    (void)argument;
}

struct choosing {
    struct bench *bench;
    struct sampler sampler;
    float *logits;
    struct odds_room room;
};

static void choose(const struct team *team, void *argument)
{
    struct choosing *job = argument;
    (void)team;
    sampler_choose(&job->sampler, job->bench->kernels, job->logits, VOCABULARY, job->room);
}

/* Logits as even as they come, which is the worst case, or a few likely tokens before a normal
 * distribution of the others, as a model gives them. */
static void make_logits(float *logits, bool even)
{
    uint32_t state = 1;
    for (int32_t i = 0; i < VOCABULARY; i++) {
        float sum = 0;
        for (int k = 0; k < (even ? 1 : 12); k++) {
            state = state * 1664525u + 1013904223u;
            sum += (float)(state >> 8) / (1 << 24);
        }
        logits[i] = even ? sum * 8 - 4 : (sum - 6) * 2.5f;
    }
    for (int32_t i = 0; !even && i < 30; i++)
        logits[i * 5003] = 18.0f - 4 * log2f((float)(i + 1));
}

/* What is chosen by; all else is as in sampling_plain(). */
struct setting {
    const char *name;
    float temperature;
    int32_t top_k;
    float min_p, top_p, typical_p;
    int32_t mirostat;
};

static const struct setting settings[] = {
    {"greedy", 0, 0, 0, 1, 1, 0},
    {"all", 0.8f, 0, 0, 1, 1, 0},
    {"top-k 40", 0.8f, 40, 0, 1, 1, 0},
    {"top-k 1000", 0.8f, 1000, 0, 1, 1, 0},
    {"min-p 0.05", 0.8f, 0, 0.05f, 1, 1, 0},
    {"top-p 0.95 and min-p", 0.8f, 0, 0.05f, 0.95f, 1, 0},
    {"top-p 0.95", 0.8f, 0, 0, 0.95f, 1, 0},
    {"typical-p 0.95", 0.8f, 0, 0, 1, 0.95f, 0},
    {"mirostat", 0.8f, 0, 0, 1, 1, 2},
};

static struct sampling sampling_of(const struct setting *setting)
{
    struct sampling sampling = sampling_plain();
    sampling.temperature = setting->temperature;
    sampling.top_k = setting->top_k;
    sampling.min_p = setting->min_p;
    sampling.top_p = setting->top_p;
    sampling.typical_p = setting->typical_p;
    sampling.mirostat = setting->mirostat;
    sampling.mirostat_tau = 5;
    sampling.mirostat_eta = 0.1f;
    return sampling;
}

static void print_sampling(struct bench *bench, const struct setting *setting)
{
    double us[2];
    const struct sampling sampling = sampling_of(setting);
    struct choosing job = {.bench = bench,
                           .sampler = sampler_new(&sampling),
                           .logits = room(sizeof(float) * VOCABULARY)};
    if (!odds_room_open(&job.room, VOCABULARY))
        abort();
    for (int even = 0; even < 2; even++) {
        make_logits(job.logits, even);
        us[even] = bench_seconds(bench, 1, choose, &job) * 1e6;
    }
    printf("sampling, %-20s %7.0f us of %d logits, %7.0f of even ones\n", setting->name, us[0],
           VOCABULARY, us[1]);
    free(job.logits);
    odds_room_close(&job.room);
}

void bench_between(struct bench *bench)
{
    const int threads = threads_count(bench->threads);
    printf("\n");
    print_quantising(bench);
    print_attention(bench, (struct attending){.name = "1 token of 4096, 8 kv x 4 x 64, f16",
                                              .kv_heads = 8,
                                              .group = 4,
                                              .head_size = 64,
                                              .tokens = 1,
                                              .context = CONTEXT});
    print_attention(bench, (struct attending){.name = "1 token of 4096, 8 kv x 4 x 64, q8_0",
                                              .kv_heads = 8,
                                              .group = 4,
                                              .head_size = 64,
                                              .tokens = 1,
                                              .context = CONTEXT,
                                              .format = KV_Q8_0});
    print_attention(bench, (struct attending){.name = "512 tokens, 8 kv x 2 x 128, f16",
                                              .kv_heads = 8,
                                              .group = 2,
                                              .head_size = 128,
                                              .tokens = 512,
                                              .context = 512});
    print_attention(bench, (struct attending){.name = "512 tokens, 8 kv x 4 x 64, f16",
                                              .kv_heads = 8,
                                              .group = 4,
                                              .head_size = 64,
                                              .tokens = 512,
                                              .context = 512});
    printf("barrier, %d threads   %6.2f us\n", threads,
           bench_seconds(bench, threads, meet, NULL) * 1e6 / BARRIERS);
    printf("an empty run         %6.2f us\n", bench_seconds(bench, threads, nothing, NULL) * 1e6);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        print_sampling(bench, &settings[i]);
}
