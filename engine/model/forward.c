/* forward.c - see forward.h; forward_internal.h lists the parts. */
#include "model/forward.h"

#include "base/clock.h"
#include "base/memory.h"
#include "math/attention.h"
#include "math/vector.h"
#include "model/forward_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum forward_part layer_part(const struct model_config *config, int32_t layer)
{
    return config->windowed[layer] && config->window < config->context ? FORWARD_WINDOW
                                                                       : FORWARD_GLOBAL;
}

static int32_t part_layers(const struct model_config *config, enum forward_part part)
{
    int32_t layers = 0;
    for (int32_t i = 0; i < config->layers; i++)
        layers += layer_part(config, i) == part;
    return layers;
}

size_t forward_part_bytes(const struct model_config *config, enum forward_part part,
                          enum kv_format format)
{
    return kv_page_bytes(config->kv_heads, config->head_size, format) *
           (size_t)part_layers(config, part);
}

int32_t forward_window(const struct model_config *config)
{
    return part_layers(config, FORWARD_WINDOW) ? config->window : 0;
}

/* Where each layer's keys and values begin in its part of a page. */
static void place_layers(struct forward *forward)
{
    const struct model_config *config = &forward->model->config;
    size_t used[FORWARD_PARTS] = {0};
    for (int32_t i = 0; i < config->layers; i++) {
        const enum forward_part part = layer_part(config, i);
        forward->offsets[i] = used[part];
        used[part] += kv_page_bytes(config->kv_heads, config->head_size, forward->kv_format);
    }
}

size_t forward_bytes(const struct model_config *config, int32_t tokens_max, int32_t logits_max,
                     int32_t context, int threads)
{
    return sizeof(struct forward) + scratch_bytes(config, tokens_max, logits_max, context, threads);
}

int forward_open(const struct model *model, const struct kernels *kernels, struct threads *threads,
                 int32_t tokens_max, int32_t logits_max, int32_t context, enum kv_format format,
                 struct forward **out, struct error *error)
{
    struct forward *forward = memory_try(1, sizeof *forward);
    if (!forward)
        return error_set(error, ENOMEM, "no memory for a forward pass");
    forward->model = model;
    forward->kernels = kernels;
    forward->threads = threads;
    forward->kv_format = format;
    place_layers(forward);
    if (scratch_open(forward, tokens_max, logits_max, context)) {
        forward_close(forward);
        return error_set(
            error, ENOMEM, "no memory for %zu bytes of scratch",
            forward_bytes(&model->config, tokens_max, logits_max, context, threads_count(threads)));
    }
    for (int i = 0; i < rope_kinds(&model->config); i++)
        rope_make(model, i == 1, context, &forward->ropes[i]);
    *out = forward;
    return 0;
}

void forward_close(struct forward *forward)
{
    if (forward)
        scratch_close(forward);
    free(forward);
}

/* x = embedding rows, and the angles of the positions, which all layers share. */
static void embed(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    const struct model *model = forward->model;
    const struct model_config *config = &model->config;
    const int32_t width = config->width, rotated = config->rope.rotated;
    const int32_t kinds = rope_kinds(config);
    int begin, end;
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++) {
        const struct forward_token *token = &forward->tokens[n];
        float *x = forward->x + (size_t)n * (size_t)width;
        matrix_row(&model->embedding, token->token, x);
        if (config->family->scaled_embedding)
            vector_scale(forward->kernels, x, config->embedding_scale, width);
        if (model->positions.rows) {
            matrix_row(&model->positions, token->position, worker->lane->row);
            vector_add(forward->kernels, x, worker->lane->row, width);
        }
        for (int32_t i = 0; i < kinds; i++)
            rope_angles(forward->angles + (size_t)(n * kinds + i) * (size_t)rotated,
                        token->position, rotated / 2, forward->ropes[i].frequency,
                        forward->ropes[i].magnitude);
    }
}

/* Rows [begin, end) of the logits of the tokens that want them. */
static void head_part(struct forward *forward, const struct activations *final, int32_t begin,
                      int32_t end)
{
    const struct model_config *config = &forward->model->config;
    const int32_t count = forward->logit_count;
    product_multiply(forward, &forward->model->head, final, count, forward->logits, begin, end);
    for (int32_t n = 0; config->logit_softcap > 0 && begin < end && n < count; n++)
        vector_soft_cap(forward->kernels,
                        forward->logits + (size_t)n * (size_t)config->vocabulary + begin,
                        config->logit_softcap, end - begin);
}

static void head(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    const struct model *model = forward->model;
    const struct model_config *config = &model->config;
    const int32_t width = config->width, count = forward->logit_count;
    int begin, end;
    if (count == 0)
        return;
    threads_share(worker->team, count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        product_norm(forward, forward->finals + (size_t)n * (size_t)width,
                     forward->x + (size_t)forward->logit_rows[n] * (size_t)width,
                     &model->output_norm);
    threads_barrier(worker->team);
    const struct activations *final = product_prepare(worker, &forward->final, count, NULL, NULL,
                                                      product_is_quantised(&model->head.weight));
    const size_t bytes = matrix_bytes(&model->head.weight);
    for (int turn = 0;
         product_take(worker, turn, config->vocabulary, MATRIX_GRAIN, bytes, &begin, &end); turn++)
        head_part(forward, final, begin, end);
}

static void begin(const struct vectors *vectors, int32_t count)
{
    if (vectors->activations)
        activations_begin(vectors->activations, vectors->rows, (size_t)vectors->width, count,
                          vectors->width);
}

/* The batch is `count` tokens from here on. */
static void begin_batch(struct forward *forward, const struct forward_token *tokens, int32_t count)
{
    const struct model_config *config = &forward->model->config;
    const int32_t routes = config->experts ? count * config->experts_used : count;
    forward->tokens = tokens;
    forward->count = count;
    forward->logit_count = 0;
    for (int32_t n = 0; n < count; n++)
        if (tokens[n].wants_logits)
            forward->logit_rows[forward->logit_count++] = n;
    begin(&forward->input, count);
    begin(&forward->mixed, count);
    begin(&forward->hidden, routes);
    begin(&forward->chosen, routes);
    begin(&forward->final, forward->logit_count);
}

static bool is_read(const struct forward_token *token)
{
    return token->wants_logits || token->wants_state;
}

/* Move what the rest of the last layer reads of those tokens to the front. */
static void gather_read(struct forward *forward)
{
    const struct model_config *config = &forward->model->config;
    const size_t width = (size_t)config->width, queries = (size_t)query_width(config);
    size_t to = 0;
    for (int32_t n = 0; n < forward->count; n++) {
        if (!is_read(&forward->tokens[n]))
            continue;
        forward->read_tokens[to] = forward->tokens[n];
        if (to < (size_t)n) {
            memcpy(forward->x + to * width, forward->x + (size_t)n * width,
                   width * sizeof *forward->x);
            memcpy(forward->query + to * queries, forward->query + (size_t)n * queries,
                   queries * sizeof *forward->query);
        }
        to++;
    }
    begin_batch(forward, forward->read_tokens, (int32_t)to);
}

/* In the last layer, the keys and values stored: go on with the tokens that are read, whose results
 * do not depend on the others'.  False when there are none. */
static bool keep_read(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    if (forward->read_count == 0)
        return false;
    if (forward->narrows) {
        if (worker->team->index == 0)
            gather_read(forward);
        threads_barrier(worker->team);
    }
    return true;
}

static void step(const struct team *team, void *argument)
{
    struct forward *forward = argument;
    const struct worker worker = {forward, team, &forward->lanes[team->index]};
    const struct model *model = forward->model;
    embed(&worker);
    threads_barrier(team);
    for (int32_t i = 0; i < model->config.layers; i++) {
        layer_project(&worker, &model->layers[i], i);
        if (i == model->config.layers - 1 && !keep_read(&worker))
            return;
        layer_attention(&worker, &model->layers[i], i);
        layer_hidden(&worker, &model->layers[i]);
    }
    head(&worker);
}

static void run_paced(struct forward *forward, int most)
{
    const int64_t begin_us = clock_now_us(), before_us = threads_waited_us(forward->threads);
    threads_run(forward->threads, pace_count(&forward->pace, most, begin_us), step, forward);
    const int64_t end_us = clock_now_us();
    pace_note(&forward->pace, end_us, end_us - begin_us,
              threads_waited_us(forward->threads) - before_us);
}

void forward_run(struct forward *forward, int threads, const struct forward_token *tokens,
                 int32_t count)
{
    begin_batch(forward, tokens, count);
    forward->read_count = 0;
    for (int32_t n = 0; n < count; n++)
        forward->read_count += is_read(&tokens[n]);
    forward->narrows = forward->read_count < count;
    run_paced(forward, threads);
}

float *forward_logits(struct forward *forward, int32_t index)
{
    return forward->logits + (size_t)index * (size_t)forward->model->config.vocabulary;
}

void forward_state(const struct forward *forward, int32_t index, float *out)
{
    const struct model *model = forward->model;
    product_norm(forward, out, forward->x + (size_t)index * (size_t)model->config.width,
                 &model->output_norm);
}
