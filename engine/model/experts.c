/* experts.c - a feed-forward of several experts, of which a router chooses a few for each token.
 *
 *     y = sum over the chosen e of weight_e * down_e(activation(gate_e x) * up_e x)
 *
 * The (token, expert) pairs of the batch, its routes, are sorted by expert, so that each row of
 * weights is read once for all tokens that need it.  What a token gets does not depend on the
 * others: a product's bits do not, and its routes are summed in the order of their scores.
 *
 * Source: Shazeer et al. 2017; the softmax over the chosen scores alone is Mixtral's and Qwen 3's.
 */
#include "model/forward_internal.h"

#include "math/vector.h"

#include <math.h>
#include <string.h>

static const struct model_config *config_of(const struct worker *worker)
{
    return &worker->forward->model->config;
}

/* The highest scores [experts_used], the lower index first of equals; scores are used up. */
static void choose(const struct model_config *config, float *scores, struct route *routes)
{
    double sum = 0, most = 0;
    if (!config->expert_weights_sum_1) {
        for (int32_t e = 0; e < config->experts; e++)
            most = e == 0 || (double)scores[e] > most ? (double)scores[e] : most;
        for (int32_t e = 0; e < config->experts; e++)
            sum += exp((double)scores[e] - most);
    }
    for (int32_t i = 0; i < config->experts_used; i++) {
        int32_t best = 0;
        for (int32_t e = 1; e < config->experts; e++)
            if (scores[e] > scores[best])
                best = e;
        routes[i] = (struct route){.expert = best, .weight = scores[best]};
        scores[best] = -INFINITY;
    }
    if (config->expert_weights_sum_1) {
        most = (double)routes[0].weight;
        for (int32_t i = 0; i < config->experts_used; i++)
            sum += exp((double)routes[i].weight - most);
    }
    for (int32_t i = 0; i < config->experts_used; i++)
        routes[i].weight =
            (float)(exp((double)routes[i].weight - most) / sum) * config->expert_weights_scale;
}

/* Count the routes of each expert, then number them: expert by expert, tokens ascending. */
static void sort_routes(struct forward *forward)
{
    const struct model_config *config = &forward->model->config;
    const int32_t used = config->experts_used, routes = forward->count * used;
    int32_t *slots = forward->expert_slots;
    memset(slots, 0, ((size_t)config->experts + 1) * sizeof *slots);
    for (int32_t i = 0; i < routes; i++)
        slots[forward->routes[i].expert + 1]++;
    for (int32_t e = 0; e < config->experts; e++)
        slots[e + 1] += slots[e];
    for (int32_t i = 0; i < routes; i++) { /* moves each beginning to its end */
        struct route *route = &forward->routes[i];
        route->slot = slots[route->expert]++;
        forward->slot_tokens[route->slot] = i / used;
    }
    for (int32_t e = config->experts; e > 0; e--) /* which is where the next one began */
        slots[e] = slots[e - 1];
    slots[0] = 0;
}

/* Norm the tokens and choose the experts of each. */
static void route(const struct worker *worker, const struct layer *layer)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = config_of(worker);
    const size_t width = (size_t)config->width, experts = (size_t)config->experts;
    const bool quantised = product_is_quantised(&layer->router.weight);
    int begin, end;
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        product_norm(forward, forward->normed + (size_t)n * width, forward->x + (size_t)n * width,
                     &layer->hidden_norm);
    if (quantised)
        activations_quantise(forward->kernels, forward->input.activations, begin, end);
    threads_barrier(worker->team);
    threads_share(worker->team, config->experts, MATRIX_GRAIN, &begin, &end);
    product_multiply(forward, &layer->router, forward->input.activations, forward->count,
                     forward->scores, begin, end);
    threads_barrier(worker->team);
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        choose(config, forward->scores + (size_t)n * experts,
               forward->routes + (size_t)n * (size_t)config->experts_used);
    threads_barrier(worker->team);
    if (worker->team->index == 0)
        sort_routes(forward);
    threads_barrier(worker->team);
}

/* Copy each token to the slots of its routes. */
static void gather(const struct worker *worker, const struct layer *layer)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = config_of(worker);
    const size_t width = (size_t)config->width;
    int begin, end;
    threads_share(worker->team, forward->count * config->experts_used, 1, &begin, &end);
    for (int32_t slot = begin; slot < end; slot++)
        memcpy(forward->routed + (size_t)slot * width,
               forward->normed + (size_t)forward->slot_tokens[slot] * width, width * sizeof(float));
    if (product_is_quantised(&layer->experts->gate) || product_is_quantised(&layer->experts->up))
        activations_quantise(forward->kernels, forward->chosen.activations, begin, end);
    threads_barrier(worker->team);
}

/* This thread's rows of activation(gate) * up of one expert's slots. */
static void activate(const struct worker *worker, const struct expert *expert, int32_t first,
                     int32_t count)
{
    struct forward *forward = worker->forward;
    const size_t hidden = (size_t)config_of(worker)->hidden;
    const struct activations *input = forward->chosen.activations;
    int begin, end;
    threads_share(worker->team, config_of(worker)->hidden, MATRIX_GRAIN, &begin, &end);
    matrix_multiply_some(forward->kernels, &expert->gate, input, first, count, forward->gate,
                         hidden, begin, end);
    matrix_multiply_some(forward->kernels, &expert->up, input, first, count, forward->up, hidden,
                         begin, end);
    for (int32_t slot = first; begin < end && slot < first + count; slot++) {
        size_t at = (size_t)slot * hidden + (size_t)begin;
        layer_activate(forward, forward->gate + at, forward->up + at, end - begin);
    }
}

/* This thread's rows of down of one expert's slots. */
static void bring_down(const struct worker *worker, const struct expert *expert, int32_t first,
                       int32_t count)
{
    struct forward *forward = worker->forward;
    const int32_t width = config_of(worker)->width;
    int begin, end;
    threads_share(worker->team, width, MATRIX_GRAIN, &begin, &end);
    matrix_multiply_some(forward->kernels, &expert->down, forward->hidden.activations, first, count,
                         forward->routed, (size_t)width, begin, end);
}

/* x += what a token's experts gave, by weight. */
static void combine(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = config_of(worker);
    const size_t width = (size_t)config->width;
    int begin, end;
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        for (int32_t i = 0; i < config->experts_used; i++) {
            const struct route *route = &forward->routes[n * config->experts_used + i];
            vector_add_scaled(forward->kernels, forward->x + (size_t)n * width,
                              forward->routed + (size_t)route->slot * width, route->weight,
                              config->width);
        }
}

void experts_run(const struct worker *worker, const struct layer *layer)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = config_of(worker);
    const int32_t *slots = forward->expert_slots;
    int begin, end;
    route(worker, layer);
    gather(worker, layer);
    for (int32_t e = 0; e < config->experts; e++)
        activate(worker, &layer->experts[e], slots[e], slots[e + 1] - slots[e]);
    threads_barrier(worker->team);
    threads_share(worker->team, forward->count * config->experts_used, 1, &begin, &end);
    if (product_is_quantised(&layer->experts->down))
        activations_quantise(forward->kernels, forward->hidden.activations, begin, end);
    threads_barrier(worker->team);
    for (int32_t e = 0; e < config->experts; e++)
        bring_down(worker, &layer->experts[e], slots[e], slots[e + 1] - slots[e]);
    threads_barrier(worker->team);
    combine(worker);
    threads_barrier(worker->team);
}
