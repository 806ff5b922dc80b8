/* cli_bench.c - see cli_bench.h. */
#include "cli_bench.h"

#include "base/clock.h"
#include "base/threads.h"
#include "cli.h"
#include "load/gguf.h"
#include "text/tokens.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_JSON = 256 };

enum {
    RUNS_MAX = 100,
    BATCHES_MAX = 16,
    SHORT_PROMPT_TOKENS = 32, /* before decoding */
    READ_UNIT_BYTES = 4096,
};

struct bench {
    const char *model;
    struct engine_options options;
    int32_t prompt_tokens, decode_tokens, runs;
    int32_t batches[BATCHES_MAX];
    int32_t batch_count;
    bool json;
    struct engine *engine;
};

/* Where the time from open to ready goes. */
enum phase { CHECKED, POPULATED, CONFIGURED, READY, PHASES };

struct load_times {
    double load_ms, phase_ms[PHASES];
};

struct figures {
    struct load_times load;
    double first, prefill, decode, read_gb_per_s, fraction;
    double batches[BATCHES_MAX];
};

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static int compare_loads(const void *left, const void *right)
{
    const struct load_times *a = left, *b = right;
    return compare_doubles(&a->load_ms, &b->load_ms);
}

static double median(double *values, int32_t count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* --- requests --------------------------------------------------------------------------------- */

/* The window in which all sequences decode: from the last one's first token to the first end. */
struct window {
    const char *model;
    int32_t sequences, started, ended;
    int64_t begin_us, end_us;
    int64_t tokens;
    uint64_t needed;
    int status;
    struct engine_usage usage; /* of the last one to end */
    bool seen[ENGINE_SEQUENCES_MAX];
};

static void on_token(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs)
{
    struct window *window = owner;
    (void)token;
    (void)logprobs;
    if (window->begin_us && !window->ended)
        window->tokens++;
    if (window->seen[id])
        return;
    window->seen[id] = true;
    if (++window->started == window->sequences)
        window->begin_us = clock_now_us();
}

static void on_text(void *owner, uint64_t id, struct text text)
{
    (void)owner;
    (void)id;
    (void)text;
}

static void on_done(void *owner, uint64_t id, enum engine_finish finish,
                    const struct engine_usage *usage, const struct error *error)
{
    struct window *window = owner;
    (void)id;
    if (window->ended++ == 0)
        window->end_us = clock_now_us();
    window->usage = *usage;
    if (finish == ENGINE_FAILED && !window->status)
        window->status = cli_fail(window->model, error ? error->text : "failed");
}

static void on_need(void *owner, uint64_t bytes)
{
    struct window *window = owner;
    window->needed += bytes;
}

/* Run `sequences` copies of a raw prompt to their end. */
static int run(struct bench *bench, struct text prompt, int32_t sequences, int32_t max_tokens,
               struct window *window)
{
    struct chat_message message = {.role = text_of("user"), .content = prompt};
    struct engine_request request = {.raw = true,
                                     .messages = &message,
                                     .message_count = 1,
                                     .sampling = sampling_plain(),
                                     .max_tokens = max_tokens};
    const struct engine_sink sink = {
        .owner = window, .token = on_token, .text = on_text, .done = on_done, .need = on_need};
    struct error error = {0};
    *window = (struct window){.model = bench->model, .sequences = sequences};
    for (int32_t i = 0; i < sequences; i++)
        if (engine_submit(bench->engine, (uint64_t)i, &request, &error))
            return cli_fail(bench->model, error.text);
    while (window->ended < sequences) {
        engine_step(bench->engine, &sink);
        if (window->needed)
            engine_grant(bench->engine, window->needed);
        window->needed = 0;
    }
    return window->status;
}

/* English of about `tokens` tokens; how many they are is read from the answer's usage. */
static int make_prompt(const struct bench *bench, int32_t tokens, struct buffer *out)
{
    static const char story[] =
        "The lighthouse keeper wrote down the weather every evening, and the ships that passed. "
        "In winter there were few of them, and he had time to read by the lamp. ";
    struct tokens counted = {0};
    *out = buffer_new(CLI_INPUT_BYTES_MAX);
    int status = tokenizer_encode(engine_tokenizer(bench->engine), text_of(story), TOKENIZER_PLAIN,
                                  &counted);
    size_t count = counted.count;
    tokens_free(&counted);
    if (status || count == 0)
        return cli_fail(bench->model, "its tokenizer can't encode a prompt");
    size_t length = (size_t)tokens * (sizeof story - 1) / count + 1;
    while (out->length < length) {
        size_t left = length - out->length;
        if (buffer_append(out, story, left < sizeof story - 1 ? left : sizeof story - 1))
            return cli_fail(bench->model, "no memory for a prompt");
    }
    return 0;
}

/* --- measurements ----------------------------------------------------------------------------- */

/* The phases are those of the run that took the median time, so that they add up to it. */
static int measure_load(struct bench *bench, struct figures *figures)
{
    struct load_times runs[RUNS_MAX];
    for (int32_t i = 0; i < bench->runs; i++) {
        if (bench->engine)
            engine_close(bench->engine);
        bench->engine = NULL;
        int status = cli_open(bench->model, &bench->options, &bench->engine);
        if (status)
            return status;
        const struct engine_loading *loading = engine_loading(bench->engine);
        runs[i].load_ms = clock_ms(loading->ready_us - loading->started_us);
        runs[i].phase_ms[CHECKED] = clock_ms(loading->opened_us - loading->started_us);
        runs[i].phase_ms[POPULATED] = clock_ms(loading->populated_us - loading->opened_us);
        runs[i].phase_ms[CONFIGURED] = clock_ms(loading->configured_us - loading->populated_us);
        runs[i].phase_ms[READY] = clock_ms(loading->ready_us - loading->configured_us);
    }
    qsort(runs, (size_t)bench->runs, sizeof *runs, compare_loads);
    figures->load = runs[(bench->runs - 1) / 2];
    return 0;
}

/* Read a prompt; its tokens a second. */
static int read_prompt(struct bench *bench, struct text prompt, double *out)
{
    struct window window;
    int status = run(bench, prompt, 1, 1, &window);
    double us = (double)(window.usage.first_token_us - window.usage.started_us);
    *out = us > 0 ? window.usage.prompt_tokens / us * 1e6 : 0;
    return status;
}

/* The first prompt counts by itself: while it is read the weights and the scratch are mapped. */
static int measure_prefill(struct bench *bench, struct figures *figures)
{
    double rates[RUNS_MAX];
    struct buffer prompt;
    int status = make_prompt(bench, bench->prompt_tokens, &prompt);
    if (!status)
        status = read_prompt(bench, buffer_text(&prompt), &figures->first);
    for (int32_t i = 0; i < bench->runs && !status; i++)
        status = read_prompt(bench, buffer_text(&prompt), &rates[i]);
    if (!status)
        figures->prefill = median(rates, bench->runs);
    buffer_free(&prompt);
    return status;
}

static int measure_decode(struct bench *bench, int32_t sequences, double *out)
{
    double rates[RUNS_MAX];
    struct window window;
    struct buffer prompt;
    int status = make_prompt(bench, SHORT_PROMPT_TOKENS, &prompt);
    for (int32_t i = 0; i < bench->runs && !status; i++) {
        status = run(bench, buffer_text(&prompt), sequences, bench->decode_tokens, &window);
        double us = (double)(window.end_us - window.begin_us);
        rates[i] = window.tokens && us > 0 ? (double)window.tokens / us * 1e6 : 0;
    }
    if (!status)
        *out = median(rates, bench->runs);
    buffer_free(&prompt);
    return status;
}

struct sum {
    const struct gguf *gguf;
    uint64_t parts[THREADS_MAX][8]; /* a cache line for each thread */
};

/* This thread's part of a tensor, but for its last bytes.  Sums that do not wait for each other:
 * what is measured is the memory, not the adding. */
static void add_tensor(const struct team *team, const struct tensor *tensor, uint64_t lanes[8])
{
    int begin, end;
    threads_share(team, (int)(tensor->bytes / READ_UNIT_BYTES), 1, &begin, &end);
    const uint8_t *at = tensor->data + (size_t)begin * READ_UNIT_BYTES;
    uint64_t sums[8] = {0};
    for (size_t left = (size_t)(end - begin) * READ_UNIT_BYTES; left; left -= sizeof sums) {
        uint64_t words[8];
        memcpy(words, at, sizeof words);
        at += sizeof words;
        for (int i = 0; i < 8; i++)
            sums[i] += words[i];
    }
    for (int i = 0; i < 8; i++)
        lanes[i] += sums[i];
}

static void add_up(const struct team *team, void *argument)
{
    struct sum *sum = argument;
    for (size_t i = 0; i < gguf_tensor_count(sum->gguf); i++)
        add_tensor(team, gguf_tensor_at(sum->gguf, i), sum->parts[team->index]);
}

/* All parts of a split model.  The first pass brings the file in and is not counted. */
static int measure_read(struct bench *bench, struct figures *figures)
{
    double rates[RUNS_MAX];
    struct gguf *gguf;
    struct threads *threads;
    struct error error = {0};
    if (gguf_open(bench->model, &gguf, &error))
        return cli_fail(bench->model, error.text);
    struct sum *sum = memory_try(1, sizeof *sum);
    if (!sum || threads_open(bench->options.threads, &threads, &error)) {
        free(sum);
        gguf_close(gguf);
        return cli_fail(bench->model, "no memory for the threads");
    }
    sum->gguf = gguf;
    for (int32_t i = -1; i < bench->runs; i++) {
        int64_t start_us = clock_now_us();
        threads_run(threads, bench->options.threads, add_up, sum);
        if (i >= 0)
            rates[i] =
                (double)gguf_tensor_bytes(gguf) / (double)(clock_now_us() - start_us + 1) / 1e3;
    }
    figures->read_gb_per_s = median(rates, bench->runs);
    threads_close(threads);
    gguf_close(gguf);
    free(sum);
    return 0;
}

static int measure(struct bench *bench, struct figures *figures)
{
    int status = measure_load(bench, figures);
    if (!status)
        status = measure_prefill(bench, figures);
    if (!status)
        status = measure_decode(bench, 1, &figures->decode);
    for (int32_t i = 0; i < bench->batch_count && !status; i++) {
        if (bench->batches[i] == 1)
            figures->batches[i] = figures->decode;
        else
            status = measure_decode(bench, bench->batches[i], &figures->batches[i]);
    }
    if (!status)
        status = measure_read(bench, figures);
    if (!status)
        figures->fraction = (double)engine_plan(bench->engine)->weight_bytes * figures->decode /
                            (figures->read_gb_per_s * 1e9);
    return status;
}

/* --- output ----------------------------------------------------------------------------------- */

static void print_json(const struct bench *bench, const struct figures *figures)
{
    json_t *batches = json_array();
    for (int32_t i = 0; i < bench->batch_count; i++)
        json_array_append_new(batches, json_pack("{s:i,s:f}", "sequences", bench->batches[i],
                                                 "tokens_per_s", figures->batches[i]));
    json_t *object = json_pack(
        "{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:f,s:f,s:s,s:i}", "load_ms", figures->load.load_ms,
        "header_ms", figures->load.phase_ms[CHECKED], "pages_ms", figures->load.phase_ms[POPULATED],
        "scratch_ms", figures->load.phase_ms[CONFIGURED], "tokenizer_ms",
        figures->load.phase_ms[READY], "first_prefill_tokens_per_s", figures->first,
        "prefill_tokens_per_s", figures->prefill, "decode_tokens_per_s", figures->decode, "batch",
        batches, "read_gb_per_s", figures->read_gb_per_s, "decode_bandwidth_fraction",
        figures->fraction, "kernels", engine_kernels(bench->engine), "threads",
        bench->options.threads);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

static void print_table(const struct bench *bench, const struct figures *figures)
{
    printf("kernels   %s, %d threads\n", engine_kernels(bench->engine), bench->options.threads);
    printf("load      %10.2f ms\n", figures->load.load_ms);
    printf("header    %10.2f ms of it\n", figures->load.phase_ms[CHECKED]);
    printf("pages     %10.2f ms of it\n", figures->load.phase_ms[POPULATED]);
    printf("scratch   %10.2f ms of it\n", figures->load.phase_ms[CONFIGURED]);
    printf("tokenizer %10.2f ms of it\n", figures->load.phase_ms[READY]);
    printf("first     %10.1f tokens/s of the first prompt\n", figures->first);
    printf("prefill   %10.1f tokens/s of the others\n", figures->prefill);
    printf("decode    %10.1f tokens/s\n", figures->decode);
    for (int32_t i = 0; i < bench->batch_count; i++)
        printf("batch %-3d %10.1f tokens/s\n", bench->batches[i], figures->batches[i]);
    printf("read      %10.1f GB/s\n", figures->read_gb_per_s);
    printf("fraction  %10.2f of it used by decode\n", figures->fraction);
}

/* --- command line ----------------------------------------------------------------------------- */

static bool set_integer(const char *name, const char *value, int64_t high, int32_t *out)
{
    int64_t number;
    if (!cli_integer("bench", name, value, 1, high, &number))
        return false;
    *out = (int32_t)number;
    return true;
}

static bool set_batches(struct bench *bench, char *list)
{
    char *rest = list;
    bench->batch_count = 0;
    for (char *item; (item = strsep(&rest, ",")) != NULL; bench->batch_count++) {
        if (bench->batch_count == BATCHES_MAX) {
            cli_usage("bench", "-b: at most %d numbers", BATCHES_MAX);
            return false;
        }
        if (!set_integer("-b", item, ENGINE_SEQUENCES_MAX, &bench->batches[bench->batch_count]))
            return false;
    }
    return true;
}

static bool set_option(struct bench *bench, int option)
{
    switch (option) {
    case 'p':
        return set_integer("-p", optarg, 1 << 20, &bench->prompt_tokens);
    case 'n':
        return set_integer("-n", optarg, 1 << 20, &bench->decode_tokens);
    case 'r':
        return set_integer("-r", optarg, RUNS_MAX, &bench->runs);
    case 'b':
        return set_batches(bench, optarg);
    case NAME_JSON:
        return bench->json = true;
    default:
        return cli_engine_option("bench", option, &bench->options);
    }
}

int cli_bench(int argc, char **argv)
{
    static const struct option long_options[] = {{"json", no_argument, NULL, NAME_JSON},
                                                 {"threads", required_argument, NULL, CLI_THREADS},
                                                 {"kernels", required_argument, NULL, CLI_KERNELS},
                                                 {"kv", required_argument, NULL, CLI_KV},
                                                 {0}};
    struct bench bench = {.options = cli_engine_options(),
                          .prompt_tokens = 512,
                          .decode_tokens = 128,
                          .runs = 5,
                          .batches = {1, 8},
                          .batch_count = 2};
    struct figures figures = {0};
    bench.options.populate = true;
    bench.options.prefix_cache = false; /* every run reads its whole prompt */
    bench.options.threads = threads_available();
    for (int option; (option = cli_option(argc, argv, ":t:p:n:b:r:", long_options)) != -1;)
        if (!set_option(&bench, option))
            return CLI_USAGE;
    bench.model = cli_model(argc, argv);
    if (!bench.model)
        return CLI_USAGE;
    int status = measure(&bench, &figures);
    if (!status && bench.json)
        print_json(&bench, &figures);
    else if (!status)
        print_table(&bench, &figures);
    if (bench.engine)
        engine_close(bench.engine);
    return cli_finish(bench.model, status);
}
