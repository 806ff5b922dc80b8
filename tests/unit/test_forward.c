/* test_forward.c - a forward pass against the textbook's formulas, written out in double. */
#include "model/forward.h"
#include "model/rope.h"

#include "generate/kv.h"
#include "math/attention.h"
#include "tests/lib/tiny_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    TOKENS = 150,
    PAGES = TOKENS / KV_PAGE_TOKENS + 1,
    WIDTH_MAX = 256
}; /* three pages of positions */

/* A model in memory with everything that a step needs. */
struct fixture {
    struct tiny_model tiny;
    uint8_t *bytes;
    struct gguf *gguf;
    struct model model;
    struct threads *threads;
    struct forward *forward;
    struct forward_page pages[PAGES];
};

/* Half-precision NaNs: slots that are not written don't count. */
static void forget_pages(struct fixture *fixture)
{
    for (size_t i = 0; i < PAGES * FORWARD_PARTS; i++) {
        void *memory = fixture->pages[i / FORWARD_PARTS].parts[i % FORWARD_PARTS];
        if (memory)
            memset(memory, 0xFF,
                   forward_part_bytes(&fixture->model.config, i % FORWARD_PARTS, KV_F16));
    }
}

static void open_fixture(struct fixture *fixture, const struct tiny_model *tiny,
                         const float *rope_factors, const char *kernels_name)
{
    const uint64_t pairs = (uint64_t)tiny->head_size / 2;
    const struct kernels *kernels;
    size_t length;
    struct gguf_writer writer = gguf_writer_new();
    *fixture = (struct fixture){.tiny = *tiny};
    tiny_model_keys(tiny, &writer);
    tiny_model_vocabulary(tiny, &writer);
    tiny_model_tensors(tiny, &writer);
    if (rope_factors)
        gguf_writer_tensor(&writer, "rope_freqs.weight", TENSOR_F32, 1, &pairs, rope_factors,
                           pairs * sizeof(float));
    fixture->bytes = gguf_writer_finish(&writer, &length);
    gguf_writer_free(&writer);
    assert_int_equal(gguf_open_memory(fixture->bytes, length, &fixture->gguf, NULL), 0);
    assert_int_equal(model_open(fixture->gguf, &fixture->model, NULL), 0);
    assert_int_equal(kernels_choose(kernels_name, &kernels, NULL), 0);
    assert_int_equal(threads_open(2, &fixture->threads, NULL), 0);
    assert_int_equal(forward_open(&fixture->model, kernels, fixture->threads, TOKENS, TOKENS,
                                  tiny->context, KV_F16, &fixture->forward, NULL),
                     0);
    for (size_t i = 0; i < PAGES * FORWARD_PARTS; i++) {
        const enum forward_part part = i % FORWARD_PARTS;
        const size_t bytes = forward_part_bytes(&fixture->model.config, part, KV_F16);
        if (bytes == 0)
            continue;
        void *memory = aligned_alloc(4096, kv_round(bytes));
        assert_non_null(memory);
        fixture->pages[i / FORWARD_PARTS].parts[part] = memory;
    }
    forget_pages(fixture);
}

static void close_fixture(struct fixture *fixture)
{
    for (size_t i = 0; i < PAGES * FORWARD_PARTS; i++)
        free(fixture->pages[i / FORWARD_PARTS].parts[i % FORWARD_PARTS]);
    forward_close(fixture->forward);
    threads_close(fixture->threads);
    model_close(&fixture->model);
    gguf_close(fixture->gguf);
    free(fixture->bytes);
}

/* Compute positions [first, end) of a text; the logits of the last are at the returned place. */
static const float *run_on(struct fixture *fixture, int threads, const int32_t *tokens,
                           int32_t first, int32_t end)
{
    struct forward_token batch[TOKENS];
    for (int32_t i = first; i < end; i++)
        batch[i - first] =
            (struct forward_token){tokens[i], i, fixture->pages, i == end - 1, false};
    forward_run(fixture->forward, threads, batch, end - first);
    return forward_logits(fixture->forward, 0);
}

static const float *run(struct fixture *fixture, const int32_t *tokens, int32_t first, int32_t end)
{
    return run_on(fixture, 2, tokens, first, end);
}

/* ---- the textbook ---- */

static void multiply(const struct linear *linear, const double *x, double *out)
{
    float row[WIDTH_MAX];
    for (int32_t r = 0; r < linear->weight.rows; r++) {
        double sum = linear->bias ? (double)linear->bias[r] : 0;
        matrix_row(&linear->weight, r, row);
        for (int32_t i = 0; i < linear->weight.columns; i++)
            sum += (double)row[i] * x[i];
        out[r] = sum;
    }
}

static void norm(const double *x, const float *weight, int32_t width, double epsilon, double *out)
{
    double squares = 0;
    for (int32_t i = 0; i < width; i++)
        squares += x[i] * x[i];
    for (int32_t i = 0; i < width; i++)
        out[i] = x[i] / sqrt(squares / width + epsilon) * (double)weight[i];
}

static void rotate(const struct model *model, double *head, int32_t position)
{
    const int32_t size = model->config.head_size;
    for (int32_t i = 0; i < size / 2; i++) {
        double angle = position * pow((double)model->config.rope.base, -2.0 * i / size);
        if (model->rope_factors)
            angle /= (double)model->rope_factors[i];
        double a = head[2 * i], b = head[2 * i + 1];
        head[2 * i] = a * cos(angle) - b * sin(angle);
        head[2 * i + 1] = a * sin(angle) + b * cos(angle);
    }
}

/* The keys and values of all layers and positions. */
struct memory {
    double keys[4][TOKENS][WIDTH_MAX], values[4][TOKENS][WIDTH_MAX];
};

static void attend(const struct model *model, double (*keys)[WIDTH_MAX],
                   double (*values)[WIDTH_MAX], int32_t position, const double *query, double *out)
{
    const int32_t size = model->config.head_size;
    for (int32_t head = 0; head < model->config.heads; head++) {
        int32_t shared = head / (model->config.heads / model->config.kv_heads) * size;
        double total = 0;
        for (int32_t i = 0; i < size; i++)
            out[head * size + i] = 0;
        for (int32_t p = 0; p <= position; p++) {
            double score = 0;
            for (int32_t i = 0; i < size; i++)
                score += query[head * size + i] * keys[p][shared + i];
            double weight = exp(score / sqrt(size));
            total += weight;
            for (int32_t i = 0; i < size; i++)
                out[head * size + i] += weight * values[p][shared + i];
        }
        for (int32_t i = 0; i < size; i++)
            out[head * size + i] /= total;
    }
}

/* One token through one layer: x is the residual stream. */
static void layer_step(const struct model *model, struct memory *memory, int32_t index,
                       int32_t position, double *x)
{
    const struct model_config *config = &model->config;
    const struct layer *layer = &model->layers[index];
    double normed[WIDTH_MAX], query[WIDTH_MAX], mixed[WIDTH_MAX], added[WIDTH_MAX];
    double gate[WIDTH_MAX], up[WIDTH_MAX];
    double *key = memory->keys[index][position], *value = memory->values[index][position];
    norm(x, layer->attention_norm.weight, config->width, (double)config->epsilon, normed);
    multiply(&layer->query, normed, query);
    multiply(&layer->key, normed, key);
    multiply(&layer->value, normed, value);
    for (int32_t head = 0; head < config->heads; head++)
        rotate(model, query + head * config->head_size, position);
    for (int32_t head = 0; head < config->kv_heads; head++)
        rotate(model, key + head * config->head_size, position);
    attend(model, memory->keys[index], memory->values[index], position, query, mixed);
    multiply(&layer->output, mixed, added);
    for (int32_t i = 0; i < config->width; i++)
        x[i] += added[i];
    norm(x, layer->hidden_norm.weight, config->width, (double)config->epsilon, normed);
    multiply(&layer->gate, normed, gate);
    multiply(&layer->up, normed, up);
    for (int32_t i = 0; i < config->hidden; i++)
        gate[i] *= up[i] / (1 + exp(-gate[i]));
    multiply(&layer->down, gate, added);
    for (int32_t i = 0; i < config->width; i++)
        x[i] += added[i];
}

static void textbook(const struct model *model, const int32_t *tokens, int32_t count,
                     double *logits)
{
    struct memory *memory = calloc(1, sizeof *memory);
    double x[WIDTH_MAX], normed[WIDTH_MAX];
    assert_non_null(memory);
    for (int32_t position = 0; position < count; position++) {
        float row[WIDTH_MAX];
        matrix_row(&model->embedding, tokens[position], row);
        for (int32_t i = 0; i < model->config.width; i++)
            x[i] = (double)row[i];
        for (int32_t i = 0; i < model->config.layers; i++)
            layer_step(model, memory, i, position, x);
    }
    norm(x, model->output_norm.weight, model->config.width, (double)model->config.epsilon, normed);
    multiply(&model->head, normed, logits);
    free(memory);
}

/* ---- */

static void fill_tokens(int32_t *tokens)
{
    for (int32_t i = 0; i < TOKENS; i++)
        tokens[i] = (i * 7919 + i * i) % TINY_MODEL_VOCABULARY;
}

static void expect_textbook(const struct tiny_model *tiny, const float *rope_factors,
                            double error_max)
{
    static const int32_t lengths[] = {1, 2, 63, 64, 65, TOKENS};
    struct fixture fixture;
    int32_t tokens[TOKENS];
    double expected[TINY_MODEL_VOCABULARY];
    fill_tokens(tokens);
    open_fixture(&fixture, tiny, rope_factors, NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        double squares = 0, difference = 0;
        textbook(&fixture.model, tokens, lengths[i], expected);
        const float *logits = run(&fixture, tokens, 0, lengths[i]);
        for (int32_t t = 0; t < TINY_MODEL_VOCABULARY; t++) {
            squares += expected[t] * expected[t];
            difference += pow(expected[t] - (double)logits[t], 2);
        }
        assert_true(squares > 1);
        if (!(sqrt(difference / squares) <= error_max))
            fail_msg("%d tokens: off by %g", lengths[i], sqrt(difference / squares));
    }
    close_fixture(&fixture);
}

static void float_models_agree_with_the_textbook(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 1);
    expect_textbook(&tiny, NULL, 1e-3);
    tiny.type = TENSOR_F16;
    expect_textbook(&tiny, NULL, 1e-3);
    tiny.type = TENSOR_BF16;
    expect_textbook(&tiny, NULL, 1e-3);
}

static void biases_and_tied_heads_agree_with_the_textbook(void **state)
{
    (void)state;
    struct tiny_model tiny = tiny_model_new(TENSOR_F32, 2);
    tiny.biased = tiny.tied = true;
    expect_textbook(&tiny, NULL, 1e-3);
}

static void every_shape_of_heads_agrees_with_the_textbook(void **state)
{
    (void)state;
    static const struct {
        int32_t heads, kv_heads, head_size;
    } shapes[] = {{1, 1, 8}, {3, 1, 8}, {9, 3, 8}, {3, 3, 24}, {6, 3, 40}, {7, 7, 32}, {4, 1, 64}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct tiny_model tiny = tiny_model_new(TENSOR_F32, i + 3);
        tiny.heads = shapes[i].heads;
        tiny.kv_heads = shapes[i].kv_heads;
        tiny.head_size = shapes[i].head_size;
        tiny.width = 40; /* no whole number of 16s or 32s */
        tiny.hidden = 56;
        expect_textbook(&tiny, NULL, 1e-3);
    }
}

static void rope_factors_divide_the_frequencies(void **state)
{
    (void)state;
    const float factors[] = {1, 1.5f, 2, 4, 8, 8, 16, 32};
    const struct tiny_model tiny = tiny_model_new(TENSOR_F32, 4);
    expect_textbook(&tiny, factors, 1e-3);
}

static void quantised_models_are_near_the_textbook(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0, TENSOR_Q5_1,
                                             TENSOR_Q8_0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const struct tiny_model tiny = tiny_model_new(types[i], i + 5);
        expect_textbook(&tiny, NULL, 0.05); /* activations have 8 bits */
    }
}

/* ---- every family ---- */

static const struct {
    const char *architecture;
    int32_t window, experts, experts_used;
    float softcap;
    bool biased, fused, single_experts;
} variants[] = {
    {.architecture = "llama"},
    {.architecture = "llama", .biased = true, .fused = true},
    {.architecture = "llama", .experts = 8, .experts_used = 2},
    {.architecture = "llama", .experts = 3, .experts_used = 3, .single_experts = true},
    {.architecture = "smollm3"},
    {.architecture = "qwen2", .biased = true},
    {.architecture = "qwen3"},
    {.architecture = "qwen3moe", .experts = 16, .experts_used = 4},
    {.architecture = "gemma2", .window = 20, .softcap = 2},
    {.architecture = "gemma3", .window = 20},
    {.architecture = "gpt2", .biased = true, .fused = true},
    {.architecture = "phi3", .window = 33, .fused = true},
};

static struct tiny_model variant(size_t index, enum tensor_type type)
{
    struct tiny_model tiny = tiny_model_new(type, index + 20);
    tiny.layers = 4; /* one without rotation in smollm3, two with windows in gemma2 */
    tiny.architecture = variants[index].architecture;
    tiny.window = variants[index].window;
    tiny.experts = variants[index].experts;
    tiny.experts_used = variants[index].experts_used;
    tiny.softcap = variants[index].softcap;
    tiny.biased = variants[index].biased;
    tiny.fused = variants[index].fused;
    tiny.single_experts = variants[index].single_experts;
    return tiny;
}

static void expect_equal(size_t index, const char *how, const float *logits, const float *whole)
{
    for (int i = 0; i < TINY_MODEL_VOCABULARY; i++)
        if (!isfinite(whole[i]))
            fail_msg("%s (%zu): logit %d is not finite", variants[index].architecture, index, i);
    if (memcmp(logits, whole, TINY_MODEL_VOCABULARY * sizeof *whole) != 0)
        fail_msg("%s (%zu): other logits %s", variants[index].architecture, index, how);
}

/* The last logits of a text, in one step of two threads; then cut, by one thread, and portable. */
static void expect_independence(size_t index, enum tensor_type type)
{
    static const int32_t cuts[] = {1, 7, 64, 65};
    const struct tiny_model tiny = variant(index, type);
    struct fixture fixture;
    int32_t tokens[TOKENS];
    float whole[TINY_MODEL_VOCABULARY];
    fill_tokens(tokens);
    open_fixture(&fixture, &tiny, NULL, NULL);
    memcpy(whole, run(&fixture, tokens, 0, TOKENS), sizeof whole);
    expect_equal(index, "by one thread", run_on(&fixture, 1, tokens, 0, TOKENS), whole);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const float *logits = NULL;
        for (int32_t at = 0; at < TOKENS; at += cuts[i])
            logits = run(&fixture, tokens, at, at + cuts[i] < TOKENS ? at + cuts[i] : TOKENS);
        expect_equal(index, "when the text is cut", logits, whole);
    }
    close_fixture(&fixture);
    open_fixture(&fixture, &tiny, NULL, "portable");
    expect_equal(index, "from the portable kernels", run(&fixture, tokens, 0, TOKENS), whole);
    close_fixture(&fixture);
}

static void logits_depend_on_no_cut_no_thread_and_no_kernel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        expect_independence(i, TENSOR_F32);
        expect_independence(i, TENSOR_Q4_0);
    }
}

/* Two texts in one batch, each of which decides for itself which experts it needs. */
static void experts_do_not_mix_the_texts_of_a_batch(void **state)
{
    (void)state;
    enum { EACH = 20 };
    const struct tiny_model tiny = variant(2, TENSOR_Q8_0);
    struct fixture fixture, other;
    struct forward_token batch[2 * EACH];
    int32_t tokens[TOKENS];
    float alone[TINY_MODEL_VOCABULARY];
    fill_tokens(tokens);
    open_fixture(&fixture, &tiny, NULL, NULL);
    open_fixture(&other, &tiny, NULL, NULL); /* for its pages */
    memcpy(alone, run(&fixture, tokens, 0, EACH), sizeof alone);
    for (int32_t i = 0; i < EACH; i++) {
        batch[2 * i] = (struct forward_token){tokens[i], i, fixture.pages, i == EACH - 1, false};
        batch[2 * i + 1] = (struct forward_token){tokens[i + 50], i, other.pages, false, false};
    }
    forward_run(fixture.forward, 2, batch, 2 * EACH);
    assert_memory_equal(forward_logits(fixture.forward, 0), alone, sizeof alone);
    close_fixture(&other);
    close_fixture(&fixture);
}

/* The last layer leaves out what nobody reads: logits and states are those of a batch of which
 * everything is read, also behind a part of which nothing is. */
static void expect_read_tokens_alone(size_t index)
{
    enum { UNREAD = 20, EACH = 40, WIDTH = 512 };
    const struct tiny_model tiny = variant(index, TENSOR_Q4_0);
    struct fixture fixture;
    struct forward_token batch[EACH];
    int32_t tokens[TOKENS];
    float all[EACH][TINY_MODEL_VOCABULARY], state[WIDTH], same[WIDTH];
    fill_tokens(tokens);
    open_fixture(&fixture, &tiny, NULL, NULL);
    assert_true(fixture.model.config.width <= WIDTH);
    for (int32_t i = 0; i < EACH; i++)
        batch[i] = (struct forward_token){tokens[i], i, fixture.pages, true, false};
    forward_run(fixture.forward, 2, batch, EACH);
    for (int32_t i = 0; i < EACH; i++)
        memcpy(all[i], forward_logits(fixture.forward, i), sizeof all[i]);
    forward_state(fixture.forward, 27, state);
    for (int32_t i = 0; i < EACH; i++) {
        batch[i].wants_logits = i == 23 || i == 30;
        batch[i].wants_state = i == 27;
    }
    for (int threads = 1; threads <= 2; threads++) {
        forget_pages(&fixture);
        forward_run(fixture.forward, threads, batch, UNREAD);
        forward_run(fixture.forward, threads, batch + UNREAD, EACH - UNREAD);
        expect_equal(index, "of the first one read", forward_logits(fixture.forward, 0), all[23]);
        expect_equal(index, "of the last one read", forward_logits(fixture.forward, 1), all[30]);
        forward_state(fixture.forward, 1, same);
        assert_memory_equal(same, state, (size_t)fixture.model.config.width * sizeof *same);
    }
    close_fixture(&fixture);
}

static void what_nobody_reads_changes_nothing_that_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        expect_read_tokens_alone(i);
}

/* In phi3 every layer has the window, so that a text's beginning leaves the reach of its end. */
static void what_left_all_windows_is_not_read(void **state)
{
    (void)state;
    const struct tiny_model tiny = variant(sizeof variants / sizeof *variants - 1, TENSOR_F32);
    struct fixture fixture;
    int32_t tokens[TOKENS];
    float whole[TINY_MODEL_VOCABULARY];
    fill_tokens(tokens);
    open_fixture(&fixture, &tiny, NULL, NULL);
    memcpy(whole, run(&fixture, tokens, 0, TOKENS), sizeof whole);
    assert_int_equal(forward_part_bytes(&fixture.model.config, FORWARD_GLOBAL, KV_F16), 0);
    free(fixture.pages[0].parts[FORWARD_WINDOW]);
    fixture.pages[0].parts[FORWARD_WINDOW] = NULL;
    assert_memory_equal(run(&fixture, tokens, TOKENS - 1, TOKENS), whole, sizeof whole);
    close_fixture(&fixture);
}

/* ---- rotations ---- */

/* A model that has only what the rotation reads. */
static struct model rotating(const struct config_rope *rope)
{
    return (struct model){.config = {.family = family_find(text_of("qwen2")), .rope = *rope}};
}

static void frequencies_follow_the_formulas(void **state)
{
    (void)state;
    const struct config_rope plain = {
        .rotated = 8, .base = 100, .factor = 1, .magnitude = 1, .original = 64};
    struct config_rope linear = plain, yarn = plain;
    struct rope rope;
    linear.factor = 4;
    struct model model = rotating(&linear);
    rope_make(&model, false, 256, &rope);
    for (int i = 0; i < 4; i++)
        assert_float_equal(rope.frequency[i], pow(100, -i / 4.0) / 4, 1e-12);

    yarn.scaling = CONFIG_YARN;
    yarn.factor = 4;
    yarn.extrapolation = 1;
    yarn.beta_fast = 8;
    yarn.beta_slow = 1;
    yarn.magnitude = 1.25f;
    model = rotating(&yarn);
    rope_make(&model, false, 256, &rope);
    /* 8 turns in 64 positions: pair 0.21, hence 0; one turn: pair 2.02, hence 3 */
    for (int i = 0; i < 4; i++)
        assert_float_equal(rope.frequency[i], pow(100, -i / 4.0) * (1 - i / 3.0 * 0.75), 1e-12);
    assert_true(rope.magnitude == 1.25f);
    assert_int_equal(rope_kinds(&model.config), 1);
}

static void longer_contexts_take_the_longer_divisors(void **state)
{
    (void)state;
    const float brief[4] = {1, 1, 2, 2}, extended[4] = {1, 2, 4, 8};
    const struct config_rope plain = {.rotated = 8,
                                      .base = 100,
                                      .factor = 1,
                                      .magnitude = 1.5f,
                                      .original = 64,
                                      .scaling = CONFIG_LONGROPE};
    struct model model = rotating(&plain);
    struct rope rope;
    model.rope_short = brief;
    model.rope_long = extended;
    rope_make(&model, false, 64, &rope);
    assert_float_equal(rope.frequency[3], pow(100, -0.75) / 2, 1e-12);
    rope_make(&model, false, 65, &rope);
    assert_float_equal(rope.frequency[3], pow(100, -0.75) / 8, 1e-12);
    assert_true(rope.magnitude == 1.5f);
}

static void layers_with_windows_turn_at_their_own_base(void **state)
{
    (void)state;
    const struct config_rope linear = {
        .rotated = 8, .base = 1e6f, .window_base = 10000, .factor = 8, .magnitude = 1};
    struct model model = rotating(&linear);
    struct rope rope;
    model.config.window = 16;
    model.config.windowed[1] = true;
    assert_int_equal(rope_kinds(&model.config), 2);
    assert_int_equal(rope_kind(&model.config, 0), 0);
    assert_int_equal(rope_kind(&model.config, 1), 1);
    rope_make(&model, true, 64, &rope);
    assert_float_equal(rope.frequency[1], 0.1, 1e-12);
    rope_make(&model, false, 64, &rope);
    assert_float_equal(rope.frequency[1], pow(1e6, -0.25) / 8, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_models_agree_with_the_textbook),
        cmocka_unit_test(biases_and_tied_heads_agree_with_the_textbook),
        cmocka_unit_test(every_shape_of_heads_agrees_with_the_textbook),
        cmocka_unit_test(rope_factors_divide_the_frequencies),
        cmocka_unit_test(quantised_models_are_near_the_textbook),
        cmocka_unit_test(logits_depend_on_no_cut_no_thread_and_no_kernel),
        cmocka_unit_test(experts_do_not_mix_the_texts_of_a_batch),
        cmocka_unit_test(what_nobody_reads_changes_nothing_that_is_read),
        cmocka_unit_test(what_left_all_windows_is_not_read),
        cmocka_unit_test(frequencies_follow_the_formulas),
        cmocka_unit_test(longer_contexts_take_the_longer_divisors),
        cmocka_unit_test(layers_with_windows_turn_at_their_own_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
