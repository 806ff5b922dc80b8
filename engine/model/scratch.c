/* scratch.c - the memory of a step, allocated once for the largest batch. */
#include "model/forward_internal.h"

#include "base/memory.h"
#include "math/attention.h"

#include <errno.h>
#include <stdlib.h>

static int32_t widest(const struct model_config *config)
{
    return larger(larger(config->width, config->hidden), query_width(config));
}

/* How often the tokens of a batch go through a feed-forward. */
static int32_t routes_of(const struct model_config *config, int32_t tokens)
{
    return config->experts ? tokens * config->experts_used : tokens;
}

/* Cut the arrays out of `memory`; with NULL only count the floats.  Each begins on a cache line. */
static size_t lay_out(struct forward *forward, const struct model_config *config,
                      int32_t tokens_max, size_t logits, float *memory)
{
    const size_t tokens = (size_t)tokens_max, routes = (size_t)routes_of(config, tokens_max);
    const size_t width = (size_t)config->width, hidden = (size_t)config->hidden;
    const size_t queries = (size_t)query_width(config), keys = (size_t)key_width(config);
    const size_t angles = (size_t)(rope_kinds(config) * config->rope.rotated);
    const struct {
        float **array;
        size_t floats;
    } parts[] = {
        {&forward->x, tokens * width},
        {&forward->normed, tokens * width},
        {&forward->angles, tokens * angles},
        {&forward->query, tokens * queries},
        {&forward->key, tokens * keys},
        {&forward->value, tokens * keys},
        {&forward->attended, tokens * queries},
        {&forward->projected, tokens * width},
        {&forward->gate, routes * hidden},
        {&forward->up, routes * hidden},
        {&forward->finals, logits * width},
        {&forward->logits, logits * (size_t)config->vocabulary},
        {&forward->scores, tokens * (size_t)config->experts},
        {&forward->routed, config->experts ? routes * width : 0},
    };
    const size_t line = 64 / sizeof(float);
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].array = memory ? memory + used : NULL;
        used += (parts[i].floats + line - 1) / line * line;
    }
    return used;
}

static size_t context_pages(int32_t context)
{
    return ((size_t)context + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
}

static size_t expert_bytes(const struct model_config *config, int32_t tokens_max)
{
    if (!config->experts)
        return 0;
    const int32_t routes = routes_of(config, tokens_max);
    return (size_t)routes * (sizeof(struct route) + sizeof(int32_t)) +
           ((size_t)config->experts + 1) * sizeof(int32_t) +
           activations_bytes(routes, config->width);
}

size_t scratch_bytes(const struct model_config *config, int32_t tokens_max, int32_t logits_max,
                     int32_t context, int threads)
{
    struct forward shape;
    size_t lane = sizeof(struct lane) + activations_bytes(1, widest(config)) +
                  (size_t)config->width * sizeof(float) + context_pages(context) * sizeof(void *);
    return lay_out(&shape, config, tokens_max, (size_t)logits_max, NULL) * sizeof(float) +
           (size_t)logits_max * sizeof(int32_t) +
           (size_t)tokens_max * sizeof(struct forward_token) +
           activations_bytes(tokens_max, config->width) +
           activations_bytes(tokens_max, query_width(config)) +
           activations_bytes(routes_of(config, tokens_max), config->hidden) +
           activations_bytes(logits_max, config->width) + expert_bytes(config, tokens_max) +
           (size_t)threads * lane;
}

static int open_vectors(struct vectors *vectors, const float *rows, int32_t count, int32_t width)
{
    *vectors = (struct vectors){.rows = rows, .width = width};
    return activations_open(count, width, &vectors->activations);
}

static int open_lanes(struct forward *forward, const struct model_config *config, int32_t context)
{
    int count = threads_count(forward->threads);
    forward->lanes = memory_try((size_t)count, sizeof *forward->lanes);
    if (!forward->lanes)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        struct lane *lane = &forward->lanes[i];
        lane->row = memory_try_aligned((size_t)config->width, sizeof(float));
        lane->pages = memory_try(context_pages(context), sizeof *lane->pages);
        int status = activations_open(1, widest(config), &lane->single);
        if (status || !lane->row || !lane->pages)
            return -ENOMEM;
    }
    return 0;
}

static int open_experts(struct forward *forward, const struct model_config *config,
                        int32_t tokens_max)
{
    const int32_t routes = routes_of(config, tokens_max);
    if (!config->experts)
        return 0;
    forward->routes = memory_try((size_t)routes, sizeof *forward->routes);
    forward->slot_tokens = memory_try((size_t)routes, sizeof *forward->slot_tokens);
    forward->expert_slots = memory_try((size_t)config->experts + 1, sizeof *forward->expert_slots);
    int status = open_vectors(&forward->chosen, forward->routed, routes, config->width);
    if (!forward->routes || !forward->slot_tokens || !forward->expert_slots)
        return -ENOMEM;
    return status;
}

int scratch_open(struct forward *forward, int32_t tokens_max, int32_t logits_max, int32_t context)
{
    const struct model_config *config = &forward->model->config;
    const int32_t routes = routes_of(config, tokens_max);
    size_t floats = lay_out(forward, config, tokens_max, (size_t)logits_max, NULL);
    forward->memory = memory_try_aligned(floats, sizeof(float));
    forward->logit_rows = memory_try((size_t)logits_max, sizeof(int32_t));
    forward->read_tokens = memory_try((size_t)tokens_max, sizeof *forward->read_tokens);
    if (!forward->memory || !forward->logit_rows || !forward->read_tokens)
        return -ENOMEM;
    lay_out(forward, config, tokens_max, (size_t)logits_max, forward->memory);
    int status = open_vectors(&forward->input, forward->normed, tokens_max, config->width);
    if (!status)
        status = open_vectors(&forward->mixed, forward->attended, tokens_max, query_width(config));
    if (!status)
        status = open_vectors(&forward->hidden, forward->gate, routes, config->hidden);
    if (!status)
        status = open_vectors(&forward->final, forward->finals, logits_max, config->width);
    if (!status)
        status = open_experts(forward, config, tokens_max);
    return status ? status : open_lanes(forward, config, context);
}

void scratch_close(struct forward *forward)
{
    for (int i = 0; forward->lanes && i < threads_count(forward->threads); i++) {
        activations_close(forward->lanes[i].single);
        free(forward->lanes[i].row);
        free(forward->lanes[i].pages);
    }
    free(forward->lanes);
    activations_close(forward->input.activations);
    activations_close(forward->mixed.activations);
    activations_close(forward->hidden.activations);
    activations_close(forward->final.activations);
    activations_close(forward->chosen.activations);
    free(forward->routes);
    free(forward->slot_tokens);
    free(forward->expert_slots);
    free(forward->logit_rows);
    free(forward->read_tokens);
    free(forward->memory);
}
