/* forward.c - see forward.h.
 *
 * Shapes: n tokens; x is [n][width], the residual stream.  Weight rows are dealt to the threads,
 * vectors are shared by all of them. */
#include "model/forward.h"

#include "base/memory.h"
#include "math/attention.h"
#include "math/quant.h"
#include "math/vector.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Vectors that several products read: where the rows are, and their quantised form. */
struct vectors {
    const float *rows; /* [count][width] */
    int32_t width;
    struct activations *activations;
};

/* What one thread needs for itself. */
struct lane {
    struct activations *single; /* a step of one token: each thread prepares its own copy */
    float *row;                 /* [width] */
    const void **pages;         /* [pages of a whole context]: of one layer */
};

struct forward {
    const struct model *model;
    const struct kernels *kernels;
    struct threads *threads;
    const struct forward_token *tokens; /* of this step */
    int32_t count;
    int32_t *logit_rows; /* [logits_max]: tokens that want logits */
    int32_t logit_count;

    float *memory;    /* the arrays below lie in it */
    float *x;         /* [tokens][width] */
    float *normed;    /* [tokens][width] */
    float *angles;    /* [tokens][head_size] */
    float *query;     /* [tokens][heads * head_size] */
    float *key;       /* [tokens][kv_heads * head_size] */
    float *value;     /* [tokens][kv_heads * head_size] */
    float *attended;  /* [tokens][heads * head_size] */
    float *projected; /* [tokens][width]: what a layer's half adds to x */
    float *gate;      /* [tokens][hidden] */
    float *up;        /* [tokens][hidden] */
    float *finals;    /* [logits][width] */
    float *logits;    /* [logits][vocabulary] */

    struct vectors input;  /* normed x: of query, key, value, gate and up */
    struct vectors mixed;  /* attended: of the attention's output */
    struct vectors hidden; /* gated: of down */
    struct vectors final;  /* finals: of the head */
    struct lane *lanes;    /* [threads] */
};

/* A thread inside a step. */
struct worker {
    struct forward *forward;
    const struct team *team;
    struct lane *lane;
};

size_t forward_page_bytes(const struct model_config *config)
{
    return kv_page_bytes(config->kv_heads, config->head_size) * (size_t)config->layers;
}

/* ---- memory ---- */

static int32_t largest(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int32_t query_width(const struct model_config *config)
{
    return config->heads * config->head_size;
}

static int32_t key_width(const struct model_config *config)
{
    return config->kv_heads * config->head_size;
}

static int32_t widest(const struct model_config *config)
{
    return largest(largest(config->width, config->hidden), query_width(config));
}

/* Cut the arrays out of `memory`; with NULL only count the floats.  Each begins on a cache line. */
static size_t lay_out(struct forward *forward, const struct model_config *config, size_t tokens,
                      size_t logits, float *memory)
{
    const size_t width = (size_t)config->width, hidden = (size_t)config->hidden;
    const size_t queries = (size_t)query_width(config), keys = (size_t)key_width(config);
    const struct {
        float **array;
        size_t floats;
    } parts[] = {
        {&forward->x, tokens * width},
        {&forward->normed, tokens * width},
        {&forward->angles, tokens * (size_t)config->head_size},
        {&forward->query, tokens * queries},
        {&forward->key, tokens * keys},
        {&forward->value, tokens * keys},
        {&forward->attended, tokens * queries},
        {&forward->projected, tokens * width},
        {&forward->gate, tokens * hidden},
        {&forward->up, tokens * hidden},
        {&forward->finals, logits * width},
        {&forward->logits, logits * (size_t)config->vocabulary},
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

size_t forward_bytes(const struct model_config *config, int32_t tokens_max, int32_t logits_max,
                     int32_t context, int threads)
{
    struct forward shape;
    size_t lane = activations_bytes(1, widest(config)) + (size_t)config->width * sizeof(float) +
                  context_pages(context) * sizeof(void *);
    return lay_out(&shape, config, (size_t)tokens_max, (size_t)logits_max, NULL) * sizeof(float) +
           activations_bytes(tokens_max, config->width) +
           activations_bytes(tokens_max, query_width(config)) +
           activations_bytes(tokens_max, config->hidden) +
           activations_bytes(logits_max, config->width) + (size_t)threads * lane;
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

static int open_scratch(struct forward *forward, int32_t tokens_max, int32_t logits_max,
                        int32_t context)
{
    const struct model_config *config = &forward->model->config;
    size_t floats = lay_out(forward, config, (size_t)tokens_max, (size_t)logits_max, NULL);
    forward->memory = memory_try_aligned(floats, sizeof(float));
    forward->logit_rows = memory_try((size_t)logits_max, sizeof(int32_t));
    if (!forward->memory || !forward->logit_rows)
        return -ENOMEM;
    lay_out(forward, config, (size_t)tokens_max, (size_t)logits_max, forward->memory);
    int status = open_vectors(&forward->input, forward->normed, tokens_max, config->width);
    if (!status)
        status = open_vectors(&forward->mixed, forward->attended, tokens_max, query_width(config));
    if (!status)
        status = open_vectors(&forward->hidden, forward->gate, tokens_max, config->hidden);
    if (!status)
        status = open_vectors(&forward->final, forward->finals, logits_max, config->width);
    return status ? status : open_lanes(forward, config, context);
}

int forward_open(const struct model *model, const struct kernels *kernels, struct threads *threads,
                 int32_t tokens_max, int32_t logits_max, int32_t context, struct forward **out,
                 struct error *error)
{
    struct forward *forward = memory_try(1, sizeof *forward);
    if (!forward)
        return error_set(error, ENOMEM, "no memory for a forward pass");
    forward->model = model;
    forward->kernels = kernels;
    forward->threads = threads;
    if (open_scratch(forward, tokens_max, logits_max, context)) {
        forward_close(forward);
        return error_set(
            error, ENOMEM, "no memory for %zu bytes of scratch",
            forward_bytes(&model->config, tokens_max, logits_max, context, threads_count(threads)));
    }
    *out = forward;
    return 0;
}

void forward_close(struct forward *forward)
{
    if (!forward)
        return;
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
    free(forward->logit_rows);
    free(forward->memory);
    free(forward);
}

/* ---- vectors and products ---- */

/* Whether products with this matrix read quantised vectors. */
static bool is_quantised(const struct matrix *matrix)
{
    return quant_is_block_type(matrix->type);
}

/* Make vectors ready for products: norm `source` (NULL: the rows are there already) and quantise.
 * Of several, each thread takes some, and a barrier follows.  A single one is prepared by every
 * thread for itself: that costs no more than waiting for it, and saves the barrier. */
static const struct activations *prepare(const struct worker *worker, struct vectors *vectors,
                                         int32_t count, const float *source, const float *norm,
                                         bool quantised)
{
    const struct forward *forward = worker->forward;
    const int32_t width = vectors->width;
    const float epsilon = forward->model->config.epsilon;
    if (count == 1) {
        struct activations *single = worker->lane->single;
        if (source)
            vector_rms_norm(forward->kernels, worker->lane->row, source, norm, width, epsilon);
        activations_begin(single, source ? worker->lane->row : vectors->rows, (size_t)width, 1,
                          width);
        if (quantised)
            activations_quantise(forward->kernels, single, 0, 1);
        return single;
    }
    int begin, end;
    threads_share(worker->team, count, 1, &begin, &end);
    for (int32_t n = begin; source && n < end; n++)
        vector_rms_norm(forward->kernels, forward->normed + (size_t)n * (size_t)width,
                        source + (size_t)n * (size_t)width, norm, width, epsilon);
    if (quantised)
        activations_quantise(forward->kernels, vectors->activations, begin, end);
    threads_barrier(worker->team);
    return vectors->activations;
}

/* Rows [begin, end) of y = weight . vectors + bias, of all `count` vectors. */
static void multiply(const struct forward *forward, const struct linear *linear,
                     const struct activations *vectors, int32_t count, float *y, int32_t begin,
                     int32_t end)
{
    if (begin >= end)
        return;
    const size_t rows = (size_t)linear->weight.rows;
    matrix_multiply(forward->kernels, &linear->weight, vectors, y, rows, begin, end);
    for (int32_t n = 0; linear->bias && n < count; n++)
        vector_add(forward->kernels, y + (size_t)n * rows + begin, linear->bias + begin,
                   end - begin);
}

/* This thread's rows of x += weight . vectors + bias. */
static void multiply_into_stream(const struct worker *worker, const struct linear *linear,
                                 const struct activations *vectors)
{
    struct forward *forward = worker->forward;
    const size_t width = (size_t)linear->weight.rows;
    int begin, end;
    threads_share(worker->team, linear->weight.rows, MATRIX_GRAIN, &begin, &end);
    multiply(forward, linear, vectors, forward->count, forward->projected, begin, end);
    for (int32_t n = 0; begin < end && n < forward->count; n++) {
        size_t at = (size_t)n * width + (size_t)begin;
        vector_add(forward->kernels, forward->x + at, forward->projected + at, end - begin);
    }
}

/* ---- the steps of a layer ---- */

/* x = embedding rows, and the angles of the positions, which all layers share. */
static void embed(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    const struct model *model = forward->model;
    const struct model_config *config = &model->config;
    int begin, end;
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++) {
        const struct forward_token *token = &forward->tokens[n];
        matrix_row(&model->embedding, token->token, forward->x + (size_t)n * (size_t)config->width);
        rope_angles(forward->angles + (size_t)n * (size_t)config->head_size, token->position,
                    config->head_size, config->rope_base, model->rope_factors);
    }
}

/* Rotate heads [begin, end) of all tokens; rows are `stride` floats apart. */
static void rotate(const struct forward *forward, float *rows, size_t stride, int32_t begin,
                   int32_t end)
{
    const struct model_config *config = &forward->model->config;
    const size_t size = (size_t)config->head_size;
    for (int32_t n = 0; n < forward->count; n++)
        for (int32_t head = begin; head < end; head++)
            rope_apply(rows + (size_t)n * stride + (size_t)head * size,
                       forward->angles + (size_t)n * size, config->head_size,
                       config->family->rope_interleaved);
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

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Queries, keys and values, rotated, keys and values stored.  The unit of work is whole heads, so
 * that a thread can rotate and store what it has computed without waiting: first the query units,
 * then the kv units, which count twice.  Two heads make a unit where one has no whole grain. */
static void project(const struct worker *worker, const struct layer *layer, int32_t index,
                    const struct activations *input)
{
    struct forward *forward = worker->forward;
    const struct model_config *config = &forward->model->config;
    const int32_t size = config->head_size, heads = config->heads, kv_heads = config->kv_heads;
    const int32_t unit = size % MATRIX_GRAIN ? 2 : 1;
    const int32_t query_units = (heads + unit - 1) / unit, kv_units = (kv_heads + unit - 1) / unit;
    int begin, end;
    threads_share(worker->team, query_units + 2 * kv_units, 1, &begin, &end);

    int32_t first = smaller(begin * unit, heads), last = smaller(end * unit, heads);
    multiply(forward, &layer->query, input, forward->count, forward->query, first * size,
             last * size);
    rotate(forward, forward->query, (size_t)query_width(config), first, last);

    int32_t kv_begin = (largest(begin - query_units, 0) + 1) / 2; /* units that begin in here */
    int32_t kv_end = (largest(end - query_units, 0) + 1) / 2;
    first = smaller(kv_begin * unit, kv_heads);
    last = smaller(kv_end * unit, kv_heads);
    multiply(forward, &layer->key, input, forward->count, forward->key, first * size, last * size);
    multiply(forward, &layer->value, input, forward->count, forward->value, first * size,
             last * size);
    rotate(forward, forward->key, (size_t)key_width(config), first, last);
    store(forward, index, first, last);
}

/* This layer's part of every page up to a token's position. */
static const void **layer_pages(const struct worker *worker, const struct forward_token *token,
                                int32_t layer)
{
    const struct model_config *config = &worker->forward->model->config;
    const size_t offset = kv_page_bytes(config->kv_heads, config->head_size) * (size_t)layer;
    for (int32_t i = 0; i <= token->position / KV_PAGE_TOKENS; i++)
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
        const struct attention attention = {
            .pages = layer_pages(worker, &forward->tokens[n], layer),
            .length = forward->tokens[n].position + 1,
            .kv_head = kv_head,
            .head_size = config->head_size,
            .queries = group,
            .query = forward->query + at,
            .out = forward->attended + at,
            .scale = 1 / sqrtf((float)config->head_size),
        };
        attention_attend(forward->kernels, &attention);
    }
}

static void attention_half(const struct worker *worker, const struct layer *layer, int32_t index)
{
    struct forward *forward = worker->forward;
    bool quantised = is_quantised(&layer->query.weight) || is_quantised(&layer->key.weight) ||
                     is_quantised(&layer->value.weight);
    const struct activations *input = prepare(worker, &forward->input, forward->count, forward->x,
                                              layer->attention_norm, quantised);
    project(worker, layer, index, input);
    threads_barrier(worker->team);
    attend(worker, index);
    threads_barrier(worker->team);
    const struct activations *mixed = prepare(worker, &forward->mixed, forward->count, NULL, NULL,
                                              is_quantised(&layer->output.weight));
    multiply_into_stream(worker, &layer->output, mixed);
    threads_barrier(worker->team);
}

/* This thread's rows of silu(gate) * up, in blocks whose results are still in the cache. */
static void gate(const struct worker *worker, const struct layer *layer,
                 const struct activations *input)
{
    enum { BLOCK_ROWS = 8 * MATRIX_GRAIN };
    struct forward *forward = worker->forward;
    const int32_t hidden = forward->model->config.hidden, count = forward->count;
    int begin, end;
    threads_share(worker->team, hidden, MATRIX_GRAIN, &begin, &end);
    for (int32_t row = begin; row < end; row += BLOCK_ROWS) {
        int32_t rows = smaller(BLOCK_ROWS, end - row);
        multiply(forward, &layer->gate, input, count, forward->gate, row, row + rows);
        multiply(forward, &layer->up, input, count, forward->up, row, row + rows);
        for (int32_t n = 0; n < count; n++) {
            size_t at = (size_t)n * (size_t)hidden + (size_t)row;
            vector_silu_multiply(forward->kernels, forward->gate + at, forward->up + at, rows);
        }
    }
}

static void hidden_half(const struct worker *worker, const struct layer *layer)
{
    struct forward *forward = worker->forward;
    bool quantised = is_quantised(&layer->gate.weight) || is_quantised(&layer->up.weight);
    const struct activations *input =
        prepare(worker, &forward->input, forward->count, forward->x, layer->hidden_norm, quantised);
    gate(worker, layer, input);
    threads_barrier(worker->team);
    const struct activations *hidden = prepare(worker, &forward->hidden, forward->count, NULL, NULL,
                                               is_quantised(&layer->down.weight));
    multiply_into_stream(worker, &layer->down, hidden);
    threads_barrier(worker->team);
}

/* Logits of the tokens that want them. */
static void head(const struct worker *worker)
{
    struct forward *forward = worker->forward;
    const struct model *model = forward->model;
    const int32_t width = model->config.width, count = forward->logit_count;
    int begin, end;
    if (count == 0)
        return;
    threads_share(worker->team, count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        vector_rms_norm(forward->kernels, forward->finals + (size_t)n * (size_t)width,
                        forward->x + (size_t)forward->logit_rows[n] * (size_t)width,
                        model->output_norm, width, model->config.epsilon);
    threads_barrier(worker->team);
    const struct activations *final =
        prepare(worker, &forward->final, count, NULL, NULL, is_quantised(&model->head));
    threads_share(worker->team, model->head.rows, MATRIX_GRAIN, &begin, &end);
    const struct linear linear = {.weight = model->head};
    multiply(forward, &linear, final, count, forward->logits, begin, end);
}

static void step(const struct team *team, void *argument)
{
    struct forward *forward = argument;
    const struct worker worker = {forward, team, &forward->lanes[team->index]};
    const struct model *model = forward->model;
    embed(&worker);
    threads_barrier(team);
    for (int32_t i = 0; i < model->config.layers; i++) {
        attention_half(&worker, &model->layers[i], i);
        hidden_half(&worker, &model->layers[i]);
    }
    head(&worker);
}

static void begin(const struct vectors *vectors, int32_t count)
{
    activations_begin(vectors->activations, vectors->rows, (size_t)vectors->width, count,
                      vectors->width);
}

void forward_run(struct forward *forward, int threads, const struct forward_token *tokens,
                 int32_t count)
{
    forward->tokens = tokens;
    forward->count = count;
    forward->logit_count = 0;
    for (int32_t n = 0; n < count; n++)
        if (tokens[n].wants_logits)
            forward->logit_rows[forward->logit_count++] = n;
    begin(&forward->input, count);
    begin(&forward->mixed, count);
    begin(&forward->hidden, count);
    begin(&forward->final, forward->logit_count);
    threads_run(forward->threads, threads, step, forward);
}

float *forward_logits(struct forward *forward, int32_t index)
{
    return forward->logits + (size_t)index * (size_t)forward->model->config.vocabulary;
}
