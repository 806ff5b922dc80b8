/* test_forward.c - a forward pass against the textbook's formulas, written out in double. */
#include "model/forward.h"

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

enum { TOKENS = 150, WIDTH_MAX = 256 }; /* three pages of positions */

/* A model in memory with everything that a step needs. */
struct fixture {
    struct tiny_model tiny;
    uint8_t *bytes;
    struct gguf *gguf;
    struct model model;
    struct threads *threads;
    struct forward *forward;
    void *pages[TOKENS / KV_PAGE_TOKENS + 1];
};

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
                                  tiny->context, &fixture->forward, NULL),
                     0);
    for (size_t i = 0; i < TOKENS / KV_PAGE_TOKENS + 1; i++) {
        size_t bytes = forward_page_bytes(&fixture->model.config);
        fixture->pages[i] = aligned_alloc(4096, kv_round(bytes));
        assert_non_null(fixture->pages[i]);
        memset(fixture->pages[i], 0xFF,
               bytes); /* half-precision NaNs: unwritten slots don't count */
    }
}

static void close_fixture(struct fixture *fixture)
{
    for (size_t i = 0; i < TOKENS / KV_PAGE_TOKENS + 1; i++)
        free(fixture->pages[i]);
    forward_close(fixture->forward);
    threads_close(fixture->threads);
    model_close(&fixture->model);
    gguf_close(fixture->gguf);
    free(fixture->bytes);
}

/* Compute positions [first, end) of a text; the logits of the last are at the returned place. */
static const float *run(struct fixture *fixture, const int32_t *tokens, int32_t first, int32_t end)
{
    struct forward_token batch[TOKENS];
    for (int32_t i = first; i < end; i++)
        batch[i - first] = (struct forward_token){tokens[i], i, fixture->pages, i == end - 1};
    forward_run(fixture->forward, 2, batch, end - first);
    return forward_logits(fixture->forward, 0);
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
        double angle = position * pow((double)model->config.rope_base, -2.0 * i / size);
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
    norm(x, layer->attention_norm, config->width, (double)config->epsilon, normed);
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
    norm(x, layer->hidden_norm, config->width, (double)config->epsilon, normed);
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
    const struct linear head = {.weight = model->head};
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
    norm(x, model->output_norm, model->config.width, (double)model->config.epsilon, normed);
    multiply(&head, normed, logits);
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

static void logits_do_not_depend_on_how_a_text_is_cut(void **state)
{
    (void)state;
    static const int32_t cuts[] = {1, 7, 64, 65};
    const struct tiny_model tiny = tiny_model_new(TENSOR_Q4_0, 11);
    struct fixture fixture;
    int32_t tokens[TOKENS];
    float whole[TINY_MODEL_VOCABULARY];
    fill_tokens(tokens);
    open_fixture(&fixture, &tiny, NULL, NULL);
    memcpy(whole, run(&fixture, tokens, 0, TOKENS), sizeof whole);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const float *logits = NULL;
        for (int32_t at = 0; at < TOKENS; at += cuts[i])
            logits = run(&fixture, tokens, at, at + cuts[i] < TOKENS ? at + cuts[i] : TOKENS);
        assert_memory_equal(logits, whole, sizeof whole);
    }
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_models_agree_with_the_textbook),
        cmocka_unit_test(biases_and_tied_heads_agree_with_the_textbook),
        cmocka_unit_test(every_shape_of_heads_agrees_with_the_textbook),
        cmocka_unit_test(rope_factors_divide_the_frequencies),
        cmocka_unit_test(quantised_models_are_near_the_textbook),
        cmocka_unit_test(logits_do_not_depend_on_how_a_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
