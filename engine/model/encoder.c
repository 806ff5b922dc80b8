/* encoder.c - see encoder.h.
 *
 * Shapes: n tokens of all texts; x is [n][width], the residual stream. */
#include "model/encoder.h"

#include "base/memory.h"
#include "math/text_attention.h"
#include "math/vector.h"
#include "math/wide.h"
#include "model/rope.h"

#include <errno.h>
#include <stdlib.h>

/* What one thread needs for itself. */
struct lane {
    float *rows;      /* wide_room(): weights of a panel that are not float32 */
    float *attention; /* text_attention_room() */
};

struct encoder {
    const struct model *model;
    const struct kernels *kernels;
    struct threads *threads;
    int32_t tokens_max;

    const int32_t *tokens; /* of this pass */
    const struct encoder_text *texts;
    int32_t text_count;
    int32_t count; /* of tokens */

    float *memory;   /* the arrays below lie in it */
    float *x;        /* [tokens][width] */
    float *query;    /* [tokens][heads * head_size] */
    float *key;      /* [tokens][kv_heads * head_size] */
    float *value;    /* [tokens][kv_heads * head_size] */
    float *attended; /* [tokens][heads * head_size] */
    float *gate;     /* [tokens][hidden], of gated ones */
    float *up;       /* [tokens][hidden] */
    float *angles;   /* [tokens_max][rotated]: of each position */
    void *rounded;   /* the input of the next product, as wide_vectors */
    struct lane *lanes;
};

/* A thread inside a pass. */
struct worker {
    struct encoder *encoder;
    const struct team *team;
    struct lane *lane;
};

static int32_t query_width(const struct model_config *config)
{
    return config->heads * config->head_size;
}

static int32_t key_width(const struct model_config *config)
{
    return config->kv_heads * config->head_size;
}

/* ---- memory ---- */

static size_t rounded(size_t floats)
{
    const size_t line = 64 / sizeof(float);
    return (floats + line - 1) / line * line;
}

/* Cut the arrays out of `memory`; with NULL only count the floats.  Each begins on a cache line. */
static size_t lay_out(struct encoder *encoder, const struct model_config *config, size_t tokens,
                      float *memory)
{
    const size_t width = (size_t)config->width, hidden = (size_t)config->hidden;
    const size_t queries = (size_t)query_width(config), keys = (size_t)key_width(config);
    const struct {
        float **array;
        size_t floats;
    } parts[] = {
        {&encoder->x, tokens * width},
        {&encoder->query, tokens * queries},
        {&encoder->key, tokens * keys},
        {&encoder->value, tokens * keys},
        {&encoder->attended, tokens * queries},
        {&encoder->gate, config->family->gated ? tokens * hidden : 0},
        {&encoder->up, tokens * hidden},
        {&encoder->angles, tokens * (size_t)config->rope.rotated},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].array = memory ? memory + used : NULL;
        used += rounded(parts[i].floats);
    }
    return used;
}

/* The widest input of a product. */
static int32_t widest(const struct model_config *config)
{
    const int32_t most = config->width > config->hidden ? config->width : config->hidden;
    return query_width(config) > most ? query_width(config) : most;
}

static size_t attention_floats(const struct model_config *config, int32_t tokens_max)
{
    return text_attention_room(tokens_max, config->head_size);
}

size_t encoder_bytes(const struct model_config *config, int32_t tokens_max, int threads)
{
    struct encoder shape;
    size_t lane =
        sizeof(struct lane) +
        (wide_room(widest(config)) + attention_floats(config, tokens_max)) * sizeof(float);
    return sizeof shape + lay_out(&shape, config, (size_t)tokens_max, NULL) * sizeof(float) +
           wide_bytes(tokens_max, widest(config)) + (size_t)threads * lane;
}

static int open_lanes(struct encoder *encoder)
{
    const struct model_config *config = &encoder->model->config;
    int count = threads_count(encoder->threads);
    encoder->lanes = memory_try((size_t)count, sizeof *encoder->lanes);
    if (!encoder->lanes)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        struct lane *lane = &encoder->lanes[i];
        lane->rows = memory_try_aligned(wide_room(widest(config)), sizeof(float));
        lane->attention =
            memory_try_aligned(attention_floats(config, encoder->tokens_max), sizeof(float));
        if (!lane->rows || !lane->attention)
            return -ENOMEM;
    }
    return 0;
}

static int open_memory(struct encoder *encoder)
{
    const struct model_config *config = &encoder->model->config;
    const int32_t tokens_max = encoder->tokens_max;
    const size_t bytes = wide_bytes(tokens_max, widest(config));
    encoder->memory =
        memory_try_aligned(lay_out(encoder, config, (size_t)tokens_max, NULL), sizeof(float));
    encoder->rounded = memory_try_aligned(bytes, 1);
    if (!encoder->memory || !encoder->rounded)
        return -ENOMEM;
    lay_out(encoder, config, (size_t)tokens_max, encoder->memory);
    memset(encoder->rounded, 0, bytes);
    return open_lanes(encoder);
}

/* The angles of every position that a text can have. */
static void turn_positions(struct encoder *encoder)
{
    const struct model_config *config = &encoder->model->config;
    struct rope rope;
    rope_make(encoder->model, false, config->context, &rope);
    for (int32_t position = 0; position < encoder->tokens_max; position++)
        rope_angles(encoder->angles + (size_t)position * (size_t)rope.rotated, position,
                    rope.rotated / 2, rope.frequency, rope.magnitude);
}

int encoder_open(const struct model *model, const struct kernels *kernels, struct threads *threads,
                 int32_t tokens_max, struct encoder **out, struct error *error)
{
    const struct model_config *config = &model->config;
    struct encoder *encoder = memory_try(1, sizeof *encoder);
    if (!encoder)
        return error_set(error, ENOMEM, "no memory for an encoder");
    *encoder = (struct encoder){
        .model = model, .kernels = kernels, .threads = threads, .tokens_max = tokens_max};
    if (open_memory(encoder)) {
        encoder_close(encoder);
        return error_set(error, ENOMEM, "no memory for %zu bytes of scratch",
                         encoder_bytes(config, tokens_max, threads_count(threads)));
    }
    if (config->rope.rotated)
        turn_positions(encoder);
    *out = encoder;
    return 0;
}

void encoder_close(struct encoder *encoder)
{
    if (!encoder)
        return;
    for (int i = 0; encoder->lanes && i < threads_count(encoder->threads); i++) {
        free(encoder->lanes[i].rows);
        free(encoder->lanes[i].attention);
    }
    free(encoder->lanes);
    free(encoder->rounded);
    free(encoder->memory);
    free(encoder);
}

/* ---- products and norms ---- */

/* This thread's tokens, in whole tiles. */
static void share_tokens(const struct worker *worker, int *begin, int *end)
{
    threads_share(worker->team, worker->encoder->count, WIDE_TILE, begin, end);
}

/* The input of the next product, `width` floats a token. */
static struct wide_vectors rounded_input(const struct encoder *encoder, int32_t width)
{
    return wide_vectors(encoder->rounded, encoder->count, width);
}

/* Make tokens [begin, end) of x the input of the next product. */
static void round_tokens(const struct encoder *encoder, const float *x, int32_t width, int begin,
                         int end)
{
    const struct wide_vectors vectors = rounded_input(encoder, width);
    wide_quantise(encoder->kernels, &vectors, x, begin, end);
}

/* This thread's rows of y = function(weight . input + bias), or of y += that. */
static void multiply(const struct worker *worker, const struct linear *linear, float *y,
                     enum wide_function function, bool adds)
{
    const struct encoder *encoder = worker->encoder;
    const struct matrix *matrix = &linear->weight;
    const struct wide_vectors vectors = rounded_input(encoder, matrix->columns);
    const struct wide_product product = {.matrix = matrix,
                                         .vectors = &vectors,
                                         .bias = linear->bias,
                                         .adds = adds,
                                         .function = function,
                                         .y = y,
                                         .y_stride = (size_t)matrix->rows};
    int begin, end;
    threads_share(worker->team, matrix->rows, MATRIX_GRAIN, &begin, &end);
    wide_multiply(encoder->kernels, &product, begin, end, worker->lane->rows);
}

static void normalise(const struct encoder *encoder, float *x, const struct norm *norm)
{
    const struct model_config *config = &encoder->model->config;
    if (config->family->norm == FAMILY_LAYER)
        vector_layer_norm(encoder->kernels, x, x, norm->weight, norm->bias, config->width,
                          config->epsilon);
    else
        vector_rms_norm(encoder->kernels, x, x, norm->weight, config->width, config->epsilon);
}

/* x = norm(x + weight . input + bias), which becomes the input of the next product.  Begins and
 * ends with a barrier. */
static void multiply_into_stream(const struct worker *worker, const struct linear *linear,
                                 const struct norm *norm)
{
    struct encoder *encoder = worker->encoder;
    const int32_t width = encoder->model->config.width;
    int begin, end;
    threads_barrier(worker->team);
    multiply(worker, linear, encoder->x, WIDE_AS_IT_IS, true);
    threads_barrier(worker->team);
    share_tokens(worker, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        normalise(encoder, encoder->x + (size_t)n * (size_t)width, norm);
    round_tokens(encoder, encoder->x, width, begin, end);
    threads_barrier(worker->team);
}

/* ---- the steps of a pass ---- */

/* x = norm(word + position + token type 0) for this thread's tokens of a text. */
static void embed_text(const struct worker *worker, const struct encoder_text *text, int32_t begin,
                       int32_t end)
{
    const struct encoder *encoder = worker->encoder;
    const struct model *model = encoder->model;
    const int32_t width = model->config.width;
    for (int32_t n = begin; n < end; n++) {
        float *x = encoder->x + (size_t)n * (size_t)width;
        float *row = worker->lane->rows;
        matrix_row(&model->embedding, encoder->tokens[n], x);
        if (model->positions.rows) {
            matrix_row(&model->positions, n - text->begin, row);
            vector_add(encoder->kernels, x, row, width);
        }
        if (model->token_types.rows) {
            matrix_row(&model->token_types, 0, row);
            vector_add(encoder->kernels, x, row, width);
        }
        if (model->embedding_norm.weight)
            normalise(encoder, x, &model->embedding_norm);
    }
}

static void embed(const struct worker *worker)
{
    struct encoder *encoder = worker->encoder;
    int begin, end;
    share_tokens(worker, &begin, &end);
    for (int32_t i = 0; i < encoder->text_count; i++) {
        const struct encoder_text *text = &encoder->texts[i];
        int32_t first = text->begin > begin ? text->begin : begin;
        int32_t last = text->begin + text->count < end ? text->begin + text->count : end;
        embed_text(worker, text, first, last);
    }
    round_tokens(encoder, encoder->x, encoder->model->config.width, begin, end);
    threads_barrier(worker->team);
}

static void turn(const struct encoder *encoder, float *rows, int32_t stride,
                 const struct encoder_text *text)
{
    const struct model_config *config = &encoder->model->config;
    const int32_t rotated = config->rope.rotated;
    for (int32_t position = 0; position < text->count && rotated; position++)
        rope_apply(rows + (size_t)position * (size_t)stride,
                   encoder->angles + (size_t)position * (size_t)rotated, rotated,
                   config->rope.interleaved);
}

static void attend(const struct worker *worker, const struct encoder_text *text, int32_t head)
{
    const struct encoder *encoder = worker->encoder;
    const struct model_config *config = &encoder->model->config;
    const size_t size = (size_t)config->head_size, begin = (size_t)text->begin;
    const size_t queries = (size_t)query_width(config), keys = (size_t)key_width(config);
    const size_t kv_head = (size_t)(head / (config->heads / config->kv_heads));
    const size_t at = begin * queries + (size_t)head * size, kv_at = begin * keys + kv_head * size;
    turn(encoder, encoder->query + at, query_width(config), text);
    text_attention_attend(encoder->kernels,
                          &(struct text_attention){.count = text->count,
                                                   .head_size = config->head_size,
                                                   .query = encoder->query + at,
                                                   .out = encoder->attended + at,
                                                   .query_stride = queries,
                                                   .key = encoder->key + kv_at,
                                                   .value = encoder->value + kv_at,
                                                   .key_stride = keys,
                                                   .scale = config->attention_scale,
                                                   .room = worker->lane->attention});
}

/* Whole heads are dealt, so that a thread turns the keys that it reads. */
static void attend_all(const struct worker *worker)
{
    struct encoder *encoder = worker->encoder;
    const struct model_config *config = &encoder->model->config;
    const int32_t group = config->heads / config->kv_heads;
    int begin, end;
    threads_share(worker->team, config->kv_heads, 1, &begin, &end);
    for (int32_t kv_head = begin; kv_head < end; kv_head++)
        for (int32_t i = 0; i < encoder->text_count; i++) {
            const struct encoder_text *text = &encoder->texts[i];
            turn(encoder,
                 encoder->key + (size_t)text->begin * (size_t)key_width(config) +
                     (size_t)kv_head * (size_t)config->head_size,
                 key_width(config), text);
            for (int32_t head = kv_head * group; head < (kv_head + 1) * group; head++)
                attend(worker, text, head);
        }
    threads_barrier(worker->team);
}

/* Gated families: gate = activation(gate) * up, for this thread's tokens. */
static void close_gates(const struct encoder *encoder, int begin, int end)
{
    const size_t hidden = (size_t)encoder->model->config.hidden;
    const bool silu = encoder->model->config.family->activation == FAMILY_SILU;
    for (size_t n = (size_t)begin; n < (size_t)end; n++) {
        float *gate = encoder->gate + n * hidden;
        const float *up = encoder->up + n * hidden;
        if (silu)
            vector_silu_multiply(encoder->kernels, gate, up, (int32_t)hidden);
        else
            vector_gelu_multiply(encoder->kernels, gate, up, (int32_t)hidden);
    }
}

/* The middle of the feed-forward, made the input of the last product. */
static void expand(const struct worker *worker, const struct layer *layer)
{
    struct encoder *encoder = worker->encoder;
    const struct model_config *config = &encoder->model->config;
    const enum wide_function gelu =
        config->family->activation == FAMILY_GELU_ERF ? WIDE_GELU_ERF : WIDE_GELU;
    const bool gated = config->family->gated;
    int begin, end;
    if (gated)
        multiply(worker, &layer->gate, encoder->gate, WIDE_AS_IT_IS, false);
    multiply(worker, &layer->up, encoder->up, gated ? WIDE_AS_IT_IS : gelu, false);
    threads_barrier(worker->team);
    share_tokens(worker, &begin, &end);
    if (gated)
        close_gates(encoder, begin, end);
    round_tokens(encoder, gated ? encoder->gate : encoder->up, config->hidden, begin, end);
}

static void run_layer(const struct worker *worker, const struct layer *layer)
{
    struct encoder *encoder = worker->encoder;
    int begin, end;
    multiply(worker, &layer->query, encoder->query, WIDE_AS_IT_IS, false);
    multiply(worker, &layer->key, encoder->key, WIDE_AS_IT_IS, false);
    multiply(worker, &layer->value, encoder->value, WIDE_AS_IT_IS, false);
    threads_barrier(worker->team);
    attend_all(worker);
    share_tokens(worker, &begin, &end);
    round_tokens(encoder, encoder->attended, query_width(&encoder->model->config), begin, end);
    multiply_into_stream(worker, &layer->output, &layer->attention_after);
    expand(worker, layer);
    multiply_into_stream(worker, &layer->down, &layer->hidden_after);
}

static void run_thread(const struct team *team, void *argument)
{
    struct encoder *encoder = argument;
    const struct worker worker = {encoder, team, &encoder->lanes[team->index]};
    embed(&worker);
    for (int32_t i = 0; i < encoder->model->config.layers; i++)
        run_layer(&worker, &encoder->model->layers[i]);
}

const float *encoder_run(struct encoder *encoder, int threads, const int32_t *tokens,
                         const struct encoder_text *texts, int32_t text_count)
{
    encoder->tokens = tokens;
    encoder->texts = texts;
    encoder->text_count = text_count;
    encoder->count = texts[text_count - 1].begin + texts[text_count - 1].count;
    threads_run(encoder->threads, threads, run_thread, encoder);
    return encoder->x;
}
