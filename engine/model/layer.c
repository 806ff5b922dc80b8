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
    const enum forward_part part = layer_part(config, layer);
    for (int32_t n = 0; n < forward->count; n++) {
        const struct forward_token *token = &forward->tokens[n];
        char *page = token->pages[token->position / KV_PAGE_TOKENS].parts[part];
        for (int32_t head = begin; head < end; head++) {
            size_t at =
                (size_t)n * (size_t)key_width(config) + (size_t)head * (size_t)config->head_size;
            kv_store(page + forward->offsets[layer], forward->kv_format, head, config->head_size,
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
    const int32_t units = query_units + 2 * kv_units;
    const size_t bytes = matrix_bytes(&layer->query.weight) + matrix_bytes(&layer->key.weight) +
                         matrix_bytes(&layer->value.weight);
    int32_t begin, end;
    for (int turn = 0; product_take(worker, turn, units, 1, bytes, &begin, &end); turn++)
        project_part(worker, layer, index, input, begin, end);
}

/* This layer's part of the pages of a token's sequence, from position `first` to `last`. */
static const void **layer_pages(const struct worker *worker, const struct forward_token *token,
                                int32_t layer, int32_t first, int32_t last)
{
    const struct forward *forward = worker->forward;
    const enum forward_part part = layer_part(&forward->model->config, layer);
    for (int32_t i = first / KV_PAGE_TOKENS; i <= last / KV_PAGE_TOKENS; i++)
        worker->lane->pages[i] =
            (const char *)token->pages[i].parts[part] + forward->offsets[layer];
    return worker->lane->pages;
}

/* Tokens that follow one another in a sequence, and the query heads [begin, end) of one kv head. */
struct run {
    int32_t token, tokens, kv_head, begin, end;
};

static void attend_run(const struct worker *worker, int32_t layer, const struct run *run)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = &forward->model->config;
    const struct forward_token *token = &forward->tokens[run->token];
    const size_t width = (size_t)query_width(config);
    const size_t at = (size_t)run->token * width + (size_t)(run->begin * config->head_size);
    const int32_t window = config->windowed[layer] ? config->window : 0;
    const int32_t first = window ? larger(token->position + 1 - window, 0) : 0;
    const struct attention attention = {
        .pages = layer_pages(worker, token, layer, first, token->position + run->tokens - 1),
        .format = forward->kv_format,
        .position = token->position,
        .tokens = run->tokens,
        .window = window,
        .kv_head = run->kv_head,
        .head_size = config->head_size,
        .queries = run->end - run->begin,
        .stride = width,
        .query = forward->query + at,
        .out = forward->attended + at,
        .scale = config->attention_scale,
        .softcap = config->attention_softcap,
    };
    attention_attend(forward->kernels, &attention);
}

/* How many tokens from `token` on follow one another in one sequence: at most `most`. */
static int32_t run_length(const struct forward *forward, int32_t token, int32_t most)
{
    const struct forward_token *first = &forward->tokens[token];
    int32_t length = 1;
    while (length < most && token + length < forward->count &&
           first[length].pages == first->pages &&
           first[length].position == first->position + length)
        length++;
    return length;
}

/* Whether the unit-th piece of work is this thread's.  The cost grows with the position, so they
 * are dealt to and fro: runs of units, or always the same turn, would leave unequal work. */
static bool is_mine(const struct team *team, int32_t unit)
{
    const int32_t turn = unit % team->count;
    return (unit / team->count % 2 ? team->count - 1 - turn : turn) == team->index;
}

/* One run in the batch: the threads share its query heads. */
static void attend_heads(const struct worker *worker, int32_t layer)
{
    const struct model_config *config = &worker->forward->model->config;
    const int32_t group = config->heads / config->kv_heads;
    int begin, end;
    threads_share(worker->team, config->heads, 1, &begin, &end);
    for (int32_t head = begin / group; head * group < end; head++) {
        const struct run run = {0, worker->forward->count, head, larger(begin, head * group),
                                smaller(end, (head + 1) * group)};
        attend_run(worker, layer, &run);
    }
}

/* A run of tokens and a kv head are a unit: as many tokens as share the loads of a page well, fewer
 * where some threads would have no work. */
static void attend(const struct worker *worker, int32_t layer)
{
    const struct forward *forward = worker->forward;
    const struct model_config *config = &forward->model->config;
    const int32_t group = config->heads / config->kv_heads, count = forward->count;
    const int32_t wide = larger(ATTENTION_ROWS / group, 1);
    const int32_t share = count * config->kv_heads / (4 * worker->team->count);
    const int32_t most = larger(smaller(wide, share), 1);
    if (count <= wide && run_length(forward, 0, count) == count &&
        config->heads >= worker->team->count) {
        attend_heads(worker, layer);
        return;
    }
    for (int32_t token = 0, unit = 0, length; token < count; token += length) {
        length = run_length(forward, token, most);
        for (int32_t head = 0; head < config->kv_heads; head++, unit++) {
            const struct run run = {token, length, head, head * group, (head + 1) * group};
            if (is_mine(worker->team, unit))
                attend_run(worker, layer, &run);
        }
    }
}

void layer_project(const struct worker *worker, const struct layer *layer, int32_t index)
{
    struct forward *forward = worker->forward;
    bool quantised = product_is_quantised(&layer->query.weight) ||
                     product_is_quantised(&layer->key.weight) ||
                     product_is_quantised(&layer->value.weight);
    const struct activations *input = product_prepare(
        worker, &forward->input, forward->count, forward->x, &layer->attention_norm, quantised);
    project(worker, layer, index, input);
    threads_barrier(worker->team);
}

void layer_attention(const struct worker *worker, const struct layer *layer, int32_t index)
{
    struct forward *forward = worker->forward;
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
    const size_t bytes = matrix_bytes(&layer->gate.weight) + matrix_bytes(&layer->up.weight);
    int32_t begin, end;
    for (int turn = 0; product_take(worker, turn, hidden, MATRIX_GRAIN, bytes, &begin, &end);
         turn++)
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
