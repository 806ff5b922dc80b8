/* layer.c - one layer: attention, then the feed-forward.  The same code for every architecture;
 * their differences are fields of struct family, and tensors that are there or not. */
#include "model/forward_internal.h"

#include "math/attention.h"
#include "math/vector.h"

/* Norm and turn heads [begin, end) of all tokens; rows are `stride` floats apart. */
static void shape_heads(const struct forward *forward, float *rows, size_t stride,
                        const struct norm *norm, int32_t layer, int32_t begin, int32_t end)
{
    const struct model_config *config = &forward->model->config;
    const struct rope *rope = &forward->ropes[rope_kind(config, layer)];
    const int32_t kinds = rope_kinds(config), size = config->head_size;
    const bool turns = config_turns(config, layer);
    for (int32_t n = 0; n < forward->count; n++) {
        const int32_t at = n * kinds + rope_kind(config, layer);
        const float *angles = forward->angles + (size_t)at * (size_t)config->rope.rotated;
        for (int32_t i = begin; i < end; i++) {
            float *head = rows + (size_t)n * stride + (size_t)i * (size_t)size;
            if (norm->weight)
                vector_rms_norm(forward->kernels, head, head, norm->weight, size, config->epsilon);
            if (turns)
                rope_apply(head, angles, rope->rotated, rope->interleaved);
        }
    }
}

/* Put kv heads [begin, end) of all tokens into their pages. */
static void store(const struct forward *forward, int32_t layer, int32_t begin, int32_t end)
{
    const struct model_config *config = &forward->model->config;
    const size_t layer_bytes = kv_page_bytes(config->kv_heads, config->head_size);
    for (int32_t n = 0; n < forward->count; n++) {
        const struct forward_token *token = &forward->tokens[n];
        char *page = token->pages[token->position / KV_PAGE_TOKENS];
        for (int32_t head = begin; head < end; head++) {
            size_t at =
                (size_t)n * (size_t)key_width(config) + (size_t)head * (size_t)config->head_size;
            kv_store(page + (size_t)layer * layer_bytes, head, config->head_size,
                     token->position % KV_PAGE_TOKENS, forward->key + at, forward->value + at);
        }
    }
}

/* Parts [begin, end) of queries, keys and values, see project(). */
static void project_part(const struct worker *worker, const struct layer *layer, int32_t index,
                         const struct activations *input, int32_t begin, int32_t end)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = &forward->model->config;
    const int32_t size = config->head_size, heads = config->heads, kv_heads = config->kv_heads;
    const int32_t unit = size % MATRIX_GRAIN ? 2 : 1;
    const int32_t query_units = (heads + unit - 1) / unit;
    int32_t first = smaller(begin * unit, heads), last = smaller(end * unit, heads);
    product_multiply(forward, &layer->query, input, forward->count, forward->query, first * size,
                     last * size);
    shape_heads(forward, forward->query, (size_t)query_width(config), &layer->query_norm, index,
                first, last);

    int32_t kv_begin = (larger(begin - query_units, 0) + 1) / 2; /* units that begin in here */
    int32_t kv_end = (larger(end - query_units, 0) + 1) / 2;
    first = smaller(kv_begin * unit, kv_heads);
    last = smaller(kv_end * unit, kv_heads);
    product_multiply(forward, &layer->key, input, forward->count, forward->key, first * size,
                     last * size);
    product_multiply(forward, &layer->value, input, forward->count, forward->value, first * size,
                     last * size);
    shape_heads(forward, forward->key, (size_t)key_width(config), &layer->key_norm, index, first,
                last);
    store(forward, index, first, last);
}

/* Queries, keys and values.  A thread computes whole heads, so that it can turn and store them
 * without waiting; shares are dealt over the query heads followed by the kv heads, which count
 * twice.  Two heads make a unit where one has no whole grain. */
static void project(const struct worker *worker, const struct layer *layer, int32_t index,
                    const struct activations *input)
{
    const struct model_config *config = &worker->forward->model->config;
    const int32_t unit = config->head_size % MATRIX_GRAIN ? 2 : 1;
    const int32_t query_units = (config->heads + unit - 1) / unit;
    const int32_t kv_units = (config->kv_heads + unit - 1) / unit;
    int32_t begin, end;
    for (int turn = 0; product_take(worker, turn, query_units + 2 * kv_units, 1, &begin, &end);
         turn++)
        project_part(worker, layer, index, input, begin, end);
}

/* This layer's part of every page from position `first` up to a token's own. */
static const void **layer_pages(const struct worker *worker, const struct forward_token *token,
                                int32_t layer, int32_t first)
{
    const struct model_config *config = &worker->forward->model->config;
    const size_t offset = kv_page_bytes(config->kv_heads, config->head_size) * (size_t)layer;
    for (int32_t i = first / KV_PAGE_TOKENS; i <= token->position / KV_PAGE_TOKENS; i++)
        worker->lane->pages[i] = (const char *)token->pages[i] + offset;
    return worker->lane->pages;
}

/* Every (token, kv head) pair is a unit.  They are dealt in turn: the cost grows with the position,
 * so runs of them would leave the threads with unequal work. */
static void attend(const struct worker *worker, int32_t layer)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = &forward->model->config;
    const int32_t group = config->heads / config->kv_heads;
    const size_t width = (size_t)query_width(config);
    for (int32_t unit = worker->team->index; unit < forward->count * config->kv_heads;
         unit += worker->team->count) {
        int32_t kv_head = unit / forward->count, n = unit % forward->count;
        size_t at = (size_t)n * width + (size_t)kv_head * (size_t)(group * config->head_size);
        const int32_t length = forward->tokens[n].position + 1;
        const int32_t first = config->windowed[layer] ? larger(length - config->window, 0) : 0;
        const struct attention attention = {
            .pages = layer_pages(worker, &forward->tokens[n], layer, first),
            .first = first,
            .length = length,
            .kv_head = kv_head,
            .head_size = config->head_size,
            .queries = group,
            .query = forward->query + at,
            .out = forward->attended + at,
            .scale = config->attention_scale,
            .softcap = config->attention_softcap,
        };
        attention_attend(forward->kernels, &attention);
    }
}

void layer_attention(const struct worker *worker, const struct layer *layer, int32_t index)
{
    struct forward *forward = worker->forward;
    bool quantised = product_is_quantised(&layer->query.weight) ||
                     product_is_quantised(&layer->key.weight) ||
                     product_is_quantised(&layer->value.weight);
    const struct activations *input = product_prepare(
        worker, &forward->input, forward->count, forward->x, &layer->attention_norm, quantised);
    project(worker, layer, index, input);
    threads_barrier(worker->team);
    attend(worker, index);
    threads_barrier(worker->team);
    const struct activations *mixed =
        product_prepare(worker, &forward->mixed, forward->count, NULL, NULL,
                        product_is_quantised(&layer->output.weight));
    product_into_stream(worker, &layer->output, mixed, &layer->attention_after);
    threads_barrier(worker->team);
}

void layer_activate(const struct forward *forward, float *x, const float *up, int32_t width)
{
    const struct family *family = forward->model->config.family;
    const struct kernels *kernels = forward->kernels;
    if (family->activation == FAMILY_SILU)
        vector_silu_multiply(kernels, x, up, width);
    else if (family->gated)
        vector_gelu_multiply(kernels, x, up, width);
    else
        vector_gelu(kernels, x, width);
}

/* Rows [begin, end) of activation(gate) * up, in blocks whose results are still in the cache.
 * Without a gate `up` stands in its place. */
static void gate_part(const struct worker *worker, const struct layer *layer,
                      const struct activations *input, int32_t begin, int32_t end)
{
    enum { BLOCK_ROWS = 8 * MATRIX_GRAIN };
    struct forward *forward = worker->forward;
    const int32_t hidden = forward->model->config.hidden, count = forward->count;
    const bool gated = forward->model->config.family->gated;
    const struct linear *activated = gated ? &layer->gate : &layer->up;
    for (int32_t row = begin; row < end; row += BLOCK_ROWS) {
        int32_t rows = smaller(BLOCK_ROWS, end - row);
        product_multiply(forward, activated, input, count, forward->gate, row, row + rows);
        if (gated)
            product_multiply(forward, &layer->up, input, count, forward->up, row, row + rows);
        for (int32_t n = 0; n < count; n++) {
            size_t at = (size_t)n * (size_t)hidden + (size_t)row;
            layer_activate(forward, forward->gate + at, forward->up + at, rows);
        }
    }
}

static void gate(const struct worker *worker, const struct layer *layer,
                 const struct activations *input)
{
    const int32_t hidden = worker->forward->model->config.hidden;
    int32_t begin, end;
    for (int turn = 0; product_take(worker, turn, hidden, MATRIX_GRAIN, &begin, &end); turn++)
        gate_part(worker, layer, input, begin, end);
}

void layer_hidden(const struct worker *worker, const struct layer *layer)
{
    struct forward *forward = worker->forward;
    if (layer->experts) {
        experts_run(worker, layer);
        return;
    }
    bool quantised = (layer->gate.weight.data && product_is_quantised(&layer->gate.weight)) ||
                     product_is_quantised(&layer->up.weight);
    const struct activations *input = product_prepare(worker, &forward->input, forward->count,
                                                      forward->x, &layer->hidden_norm, quantised);
    gate(worker, layer, input);
    threads_barrier(worker->team);
    const struct activations *hidden =
        product_prepare(worker, &forward->hidden, forward->count, NULL, NULL,
                        product_is_quantised(&layer->down.weight));
    product_into_stream(worker, &layer->down, hidden, &layer->hidden_after);
    threads_barrier(worker->team);
}
