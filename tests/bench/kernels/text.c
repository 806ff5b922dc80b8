/* text.c - opening a model, and turning English into tokens. */
#include "bench.h"

#include "base/clock.h"
#include "engine.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 100 << 10 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* No sentence is like another: a few dozen words in an order without a period. */
static void write_text(char *out)
{
    static const char *const words[] = {
        "the",    "keeper", "wrote",   "weather",  "every",   "evening", "ships", "passed",
        "winter", "few",    "reading", "lamp",     "harbour", "because", "it's",  "1984,",
        "under",  "stones", "nobody",  "answered", "slowly",  "again.",  "Then",  "she"};
    uint32_t state = 1;
    for (size_t length = 0; length < TEXT_BYTES;) {
        state = state * 1664525u + 1013904223u;
        const char *word = words[(state >> 16) % (sizeof words / sizeof *words)];
        for (; *word && length < TEXT_BYTES; word++)
            out[length++] = *word;
        if (length < TEXT_BYTES)
            out[length++] = ' ';
    }
}

/* Median milliseconds from opening the file to being ready. */
static int open_ms(const char *path, double *out)
{
    double times[BENCH_ROUNDS];
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        const struct engine_options options = {.populate = true};
        struct engine *engine;
        struct error error;
        if (engine_open(path, &options, &engine, &error)) {
            fprintf(stderr, "%s: %s\n", path, error.text);
            return 1;
        }
        times[i] = clock_ms(engine_loading(engine)->ready_us - engine_loading(engine)->started_us);
        engine_close(engine);
    }
    qsort(times, BENCH_ROUNDS, sizeof *times, compare);
    *out = times[BENCH_ROUNDS / 2];
    return 0;
}

int bench_text(const char *model)
{
    static char text[TEXT_BYTES];
    double times[BENCH_ROUNDS], ready_ms = 0;
    struct engine *engine;
    struct error error;
    if (open_ms(model, &ready_ms))
        return 1;
    if (engine_open_tokenizer(model, &engine, &error)) {
        fprintf(stderr, "%s: %s\n", model, error.text);
        return 1;
    }
    write_text(text);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        struct tokens tokens = {0};
        int64_t begin_us = clock_now_us();
        tokenizer_encode(engine_tokenizer(engine), (struct text){text, TEXT_BYTES}, TOKENIZER_PLAIN,
                         &tokens);
        times[i] = (double)(clock_now_us() - begin_us + 1);
        tokens_free(&tokens);
    }
    qsort(times, BENCH_ROUNDS, sizeof *times, compare);
    printf("%s: open to ready %.1f ms, English %.1f MB/s\n", model, ready_ms,
           TEXT_BYTES / times[BENCH_ROUNDS / 2]);
    engine_close(engine);
    return 0;
}
