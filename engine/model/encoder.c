/* encoder.c - see encoder.h.
 *
 * Shapes: n tokens of all texts; x is [n][width], the residual stream. */
#include "model/encoder.h"

#include "base/memory.h"
#include "math/quant.h"
#include "math/vector.h"
#include "model/rope.h"

#include <errno.h>
#include <stdlib.h>

enum {
    QUERY_ROWS = 64, /* queries whose scores are computed together */
    PANEL_ROWS = 64, /* weight rows that are unpacked together */
};

/* What one thread needs for itself. */
struct lane {
    float *scores; /* [QUERY_ROWS][tokens_max] */
    float *panel;  /* [PANEL_ROWS][widest], of unpacked weights */
};

struct encoder {
    const struct model *model;
    const struct kernels *kernels;
    const struct blas *blas;
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

static size_t scores_floats(size_t tokens_max)
{
    return rounded(QUERY_ROWS * tokens_max);
}

static size_t panel_floats(const struct model_config *config)
{
    int32_t widest = config->width > config->hidden ? config->width : config->hidden;
    widest = query_width(config) > widest ? query_width(config) : widest;
    return rounded((size_t)PANEL_ROWS * (size_t)widest);
}

size_t encoder_bytes(const struct model_config *config, int32_t tokens_max, int threads)
{
    struct encoder shape;
    size_t lane = sizeof(struct lane) +
                  (scores_floats((size_t)tokens_max) + panel_floats(config)) * sizeof(float);
    return sizeof shape + lay_out(&shape, config, (size_t)tokens_max, NULL) * sizeof(float) +
           (size_t)threads * lane;
}

static int open_lanes(struct encoder *encoder)
{
    int count = threads_count(encoder->threads);
    encoder->lanes = memory_try((size_t)count, sizeof *encoder->lanes);
    if (!encoder->lanes)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        struct lane *lane = &encoder->lanes[i];
        lane->scores =
            memory_try_aligned(scores_floats((size_t)encoder->tokens_max), sizeof(float));
        lane->panel = memory_try_aligned(panel_floats(&encoder->model->config), sizeof(float));
        if (!lane->scores || !lane->panel)
            return -ENOMEM;
    }
    return 0;
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

int encoder_open(const struct model *model, const struct kernels *kernels, const struct blas *blas,
                 struct threads *threads, int32_t tokens_max, struct encoder **out,
                 struct error *error)
{
    const struct model_config *config = &model->config;
    struct encoder *encoder = memory_try(1, sizeof *encoder);
    if (!encoder)
        return error_set(error, ENOMEM, "no memory for an encoder");
    *encoder = (struct encoder){.model = model,
                                .kernels = kernels,
                                .blas = blas,
                                .threads = threads,
                                .tokens_max = tokens_max};
    encoder->memory =
        memory_try_aligned(lay_out(encoder, config, (size_t)tokens_max, NULL), sizeof(float));
    if (!encoder->memory || open_lanes(encoder)) {
        encoder_close(encoder);
        return error_set(error, ENOMEM, "no memory for %zu bytes of scratch",
                         encoder_bytes(config, tokens_max, threads_count(threads)));
    }
    lay_out(encoder, config, (size_t)tokens_max, encoder->memory);
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
        free(encoder->lanes[i].scores);
        free(encoder->lanes[i].panel);
    }
    free(encoder->lanes);
    free(encoder->memory);
    free(encoder);
}

/* ---- products and norms ---- */

/* A float32 weight is read where it lies, if floats may be read there. */
static const float *in_place(const struct matrix *matrix)
{
    bool fits = matrix->type == TENSOR_F32 && !matrix->transposed &&
                (uintptr_t)matrix->data % _Alignof(float) == 0;
    return fits ? (const float *)(const void *)matrix->data : NULL;
}

/* y[n][row] += weight[row] . x[n], or = without `adds`, for rows [begin, end) and all tokens. */
static void multiply_rows(const struct worker *worker, const struct matrix *matrix, const float *x,
                          float *y, int32_t begin, int32_t end, bool adds)
{
    const struct encoder *encoder = worker->encoder;
    const float *weights = in_place(matrix);
    const int32_t columns = matrix->columns;
    const int32_t step = weights ? end - begin : PANEL_ROWS;
    for (int32_t first = begin; first < end; first += step) {
        int32_t rows = end - first < step ? end - first : step;
        for (int32_t row = 0; !weights && row < rows; row++)
            matrix_row(matrix, first + row, worker->lane->panel + (size_t)row * (size_t)columns);
        blas_multiply(encoder->blas, &(struct blas_product){
                                         .m = encoder->count,
                                         .n = rows,
                                         .k = columns,
                                         .scale = 1,
                                         .a = x,
                                         .a_stride = columns,
                                         .b = weights ? weights + (size_t)first * (size_t)columns
                                                      : worker->lane->panel,
                                         .b_stride = columns,
                                         .transposed = true,
                                         .c = y + first,
                                         .c_stride = matrix->rows,
                                         .adds = adds,
                                     });
    }
}

/* This thread's rows of y = weight . x + bias; [*begin, *end) says which.  The product is added to
 * the bias: OpenBLAS would go over y another time to clear it. */
static void multiply(const struct worker *worker, const struct linear *linear, const float *x,
                     float *y, int *begin, int *end)
{
    const struct encoder *encoder = worker->encoder;
    const size_t rows = (size_t)linear->weight.rows;
    threads_share(worker->team, linear->weight.rows, MATRIX_GRAIN, begin, end);
    if (*begin >= *end)
        return;
    for (int32_t n = 0; linear->bias && n < encoder->count; n++)
        memcpy(y + (size_t)n * rows + *begin, linear->bias + *begin,
               (size_t)(*end - *begin) * sizeof *y);
    multiply_rows(worker, &linear->weight, x, y, *begin, *end, linear->bias != NULL);
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

/* x = norm(x + weight . input + bias): every thread its rows of the product, then, behind a
 * barrier, its tokens of the norm.  Ends with a barrier. */
static void multiply_into_stream(const struct worker *worker, const struct linear *linear,
                                 const float *input, const struct norm *norm)
{
    struct encoder *encoder = worker->encoder;
    const int32_t width = encoder->model->config.width;
    float *x = encoder->x;
    int begin, end;
    threads_share(worker->team, width, MATRIX_GRAIN, &begin, &end);
    for (int32_t n = 0; linear->bias && n < encoder->count; n++)
        vector_add(encoder->kernels, x + (size_t)n * (size_t)width + begin, linear->bias + begin,
                   end - begin);
    multiply_rows(worker, &linear->weight, input, x, begin, end, true);
    threads_barrier(worker->team);
    threads_share(worker->team, encoder->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++)
        normalise(encoder, x + (size_t)n * (size_t)width, norm);
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
        float *row = worker->lane->panel;
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
    threads_share(worker->team, encoder->count, 1, &begin, &end);
    for (int32_t i = 0; i < encoder->text_count; i++) {
        const struct encoder_text *text = &encoder->texts[i];
        int32_t first = text->begin > begin ? text->begin : begin;
        int32_t last = text->begin + text->count < end ? text->begin + text->count : end;
        embed_text(worker, text, first, last);
    }
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

/* One head of one text: softmax(scale Q K^T) V, a block of queries at a time. */
static void attend(const struct worker *worker, const struct encoder_text *text, int32_t head)
{
    const struct encoder *encoder = worker->encoder;
    const struct model_config *config = &encoder->model->config;
    const int32_t size = config->head_size, queries = query_width(config), keys = key_width(config);
    const int32_t kv_head = head / (config->heads / config->kv_heads);
    float *query = encoder->query + (size_t)text->begin * (size_t)queries + head * size;
    float *out = encoder->attended + (size_t)text->begin * (size_t)queries + head * size;
    const size_t kv_at = (size_t)text->begin * (size_t)keys + (size_t)kv_head * (size_t)size;
    float *scores = worker->lane->scores;
    turn(encoder, query, queries, text);
    for (int32_t first = 0; first < text->count; first += QUERY_ROWS) {
        const int32_t rows =
            text->count - first < QUERY_ROWS ? text->count - first : (int32_t)QUERY_ROWS;
        const size_t at = (size_t)first * (size_t)queries;
        blas_multiply(encoder->blas, &(struct blas_product){.m = rows,
                                                            .n = text->count,
                                                            .k = size,
                                                            .scale = config->attention_scale,
                                                            .a = query + at,
                                                            .a_stride = queries,
                                                            .b = encoder->key + kv_at,
                                                            .b_stride = keys,
                                                            .transposed = true,
                                                            .c = scores,
                                                            .c_stride = text->count});
        for (int32_t row = 0; row < rows; row++)
            vector_softmax(encoder->kernels, scores + (size_t)row * (size_t)text->count,
                           text->count);
        blas_multiply(encoder->blas, &(struct blas_product){.m = rows,
                                                            .n = size,
                                                            .k = text->count,
                                                            .scale = 1,
                                                            .a = scores,
                                                            .a_stride = text->count,
                                                            .b = encoder->value + kv_at,
                                                            .b_stride = keys,
                                                            .c = out + at,
                                                            .c_stride = queries});
    }
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

/* This thread's columns of the feed-forward's middle, which is `gate` in gated families. */
static void activate(const struct worker *worker, int32_t begin, int32_t end)
{
    struct encoder *encoder = worker->encoder;
    const struct kernels *kernels = encoder->kernels;
    const struct family *family = encoder->model->config.family;
    const size_t hidden = (size_t)encoder->model->config.hidden;
    for (int32_t n = 0; n < encoder->count && begin < end; n++) {
        const size_t at = (size_t)n * hidden + (size_t)begin;
        if (family->gated && family->activation == FAMILY_SILU)
            vector_silu_multiply(kernels, encoder->gate + at, encoder->up + at, end - begin);
        else if (family->gated)
            vector_gelu_multiply(kernels, encoder->gate + at, encoder->up + at, end - begin);
        else if (family->activation == FAMILY_GELU_ERF)
            vector_gelu_erf(kernels, encoder->up + at, end - begin);
        else
            vector_gelu(kernels, encoder->up + at, end - begin);
    }
}

static void run_layer(const struct worker *worker, const struct layer *layer)
{
    struct encoder *encoder = worker->encoder;
    const bool gated = encoder->model->config.family->gated;
    int begin, end;
    multiply(worker, &layer->query, encoder->x, encoder->query, &begin, &end);
    multiply(worker, &layer->key, encoder->x, encoder->key, &begin, &end);
    multiply(worker, &layer->value, encoder->x, encoder->value, &begin, &end);
    threads_barrier(worker->team);
    attend_all(worker);
    multiply_into_stream(worker, &layer->output, encoder->attended, &layer->attention_after);
    if (gated)
        multiply(worker, &layer->gate, encoder->x, encoder->gate, &begin, &end);
    multiply(worker, &layer->up, encoder->x, encoder->up, &begin, &end);
    activate(worker, begin, end);
    threads_barrier(worker->team);
    multiply_into_stream(worker, &layer->down, gated ? encoder->gate : encoder->up,
                         &layer->hidden_after);
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
