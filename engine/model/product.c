/* product.c - vectors made ready for products, products, norms; see forward_internal.h. */
#include "model/forward_internal.h"

#include "math/quant.h"
#include "math/vector.h"

/* The work of a product is the bytes of its weights times the tokens of the step. */
enum {
    TAKEN_WORK_MIN = 2 << 20,  /* from which on parts are taken: less is done before that pays */
    PART_WORK_MIN = 128 << 10, /* of a part: where it begins, memory is waited for */
    PARTS_MIN = 4,             /* for each thread, whatever their size */
};

bool product_is_quantised(const struct matrix *matrix)
{
    return quant_is_block_type(matrix->type);
}

void product_norm(const struct forward *forward, float *out, const float *x,
                  const struct norm *norm)
{
    const struct model_config *config = &forward->model->config;
    if (config->family->norm == FAMILY_LAYER)
        vector_layer_norm(forward->kernels, out, x, norm->weight, norm->bias, config->width,
                          config->epsilon);
    else
        vector_rms_norm(forward->kernels, out, x, norm->weight, config->width, config->epsilon);
}

const struct activations *product_prepare(const struct worker *worker, struct vectors *vectors,
                                          int32_t count, const float *source,
                                          const struct norm *norm, bool quantised)
{
    const struct forward *forward = worker->forward;
    const int32_t width = vectors->width;
    if (count == 1) {
        struct activations *single = worker->lane->single;
        if (source)
            product_norm(forward, worker->lane->row, source, norm);
        activations_begin(single, source ? worker->lane->row : vectors->rows, (size_t)width, 1,
                          width);
        if (quantised)
            activations_quantise(forward->kernels, single, 0, 1);
        return single;
    }
    int begin, end;
    threads_share(worker->team, count, 1, &begin, &end);
    for (int32_t n = begin; source && n < end; n++)
        product_norm(forward, forward->normed + (size_t)n * (size_t)width,
                     source + (size_t)n * (size_t)width, norm);
    if (quantised)
        activations_quantise(forward->kernels, vectors->activations, begin, end);
    threads_barrier(worker->team);
    return vectors->activations;
}

void product_multiply(const struct forward *forward, const struct linear *linear,
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

bool product_take(const struct worker *worker, int turn, int32_t items, int grain, size_t bytes,
                  int32_t *begin, int32_t *end)
{
    const size_t work = bytes * (size_t)worker->forward->count;
    if (work < TAKEN_WORK_MIN) {
        threads_share(worker->team, items, grain, begin, end);
        return turn == 0;
    }
    const size_t grain_work = work / (size_t)items * (size_t)grain + 1;
    const int grains = (int)((PART_WORK_MIN + grain_work - 1) / grain_work);
    const int most = items / (grain * PARTS_MIN * worker->team->count);
    return threads_take(worker->team, turn, items, grain * larger(smaller(grains, most), 1), begin,
                        end);
}

/* This thread's tokens of x += after(projected). */
static void add_normed(const struct worker *worker, const struct norm *after)
{
    struct forward *forward = worker->forward;
    const int32_t width = forward->model->config.width;
    int begin, end;
    threads_share(worker->team, forward->count, 1, &begin, &end);
    for (int32_t n = begin; n < end; n++) {
        size_t at = (size_t)n * (size_t)width;
        product_norm(forward, worker->lane->row, forward->projected + at, after);
        vector_add(forward->kernels, forward->x + at, worker->lane->row, width);
    }
}

/* Rows [begin, end) of the product, and unless a norm follows, added to the stream. */
static void rows_into_stream(const struct worker *worker, const struct linear *linear,
                             const struct activations *vectors, bool adds, int32_t begin,
                             int32_t end)
{
    struct forward *forward = worker->forward;
    const size_t width = (size_t)linear->weight.rows;
    product_multiply(forward, linear, vectors, forward->count, forward->projected, begin, end);
    for (int32_t n = 0; adds && begin < end && n < forward->count; n++) {
        size_t at = (size_t)n * width + (size_t)begin;
        vector_add(forward->kernels, forward->x + at, forward->projected + at, end - begin);
    }
}

void product_into_stream(const struct worker *worker, const struct linear *linear,
                         const struct activations *vectors, const struct norm *after)
{
    const int32_t rows = linear->weight.rows;
    int32_t begin, end;
    const size_t bytes = matrix_bytes(&linear->weight);
    for (int turn = 0; product_take(worker, turn, rows, MATRIX_GRAIN, bytes, &begin, &end); turn++)
        rows_into_stream(worker, linear, vectors, !after->weight, begin, end);
    if (after->weight) {
        threads_barrier(worker->team);
        add_normed(worker, after);
    }
}
