/* run.h - an opened tiny model, and what became of the requests to it.
 *
 * Owns:     the model's file and the engine.
 * Promise:  what an engine must never say fails the test: a word after the end, a need that was
 *           asked twice.
 * Threads:  one.
 */
#ifndef TESTS_LIB_RUN_H
#define TESTS_LIB_RUN_H

#include "engine.h"
#include "tests/lib/tiny_model.h"

enum { RUN_REQUESTS_MAX = 64, RUN_TOKENS_MAX = 600, RUN_BYTES_MAX = 8192 };

/* What became of one request; its id is its index. */
struct answer {
    int32_t tokens[RUN_TOKENS_MAX];
    float logprobs[RUN_TOKENS_MAX]; /* of those tokens; 0 when none were asked for */
    int count;
    char text[RUN_BYTES_MAX];
    size_t length;
    bool done;
    enum engine_finish finish;
    struct engine_usage usage;
    struct error error;
};

/* An opened model, a sink, and what it heard. */
struct run {
    char path[64];
    struct engine *engine;
    struct engine_sink sink;
    struct answer answers[RUN_REQUESTS_MAX];
    uint64_t need; /* the last one asked for and not yet answered */
    int needs;
};

extern const struct sampling run_greedy;

/* Two threads, more memory than any test needs. */
struct engine_options run_options(void);

struct run *run_open(const struct tiny_model *tiny, const struct engine_options *options);
void run_close(struct run *run);

/* Queue a raw prompt; the request says everything else.  As engine_submit(). */
int run_submit_request(struct run *run, uint64_t id, const char *prompt,
                       struct engine_request request, struct error *error);

/* The same, with what most tests want: `stop` (or NULL) ends the answer. */
int run_submit_with(struct run *run, uint64_t id, const char *prompt, int32_t max_tokens,
                    struct sampling sampling, const char *stop, struct error *error);
void run_submit(struct run *run, uint64_t id, const char *prompt, int32_t max_tokens);

/* Until nothing is left to do without more memory; returns how many steps that took. */
int run_all(struct run *run);

void run_assert_same(const struct answer *a, const struct answer *b);

#endif
