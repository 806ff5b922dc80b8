/* matrix.c - see matrix.h. */
#include "math/matrix.h"

#include "base/memory.h"
#include "math/quant.h"
#include "math/table.h"

#include <errno.h>
#include <stdlib.h>

int matrix_view(const struct tensor *tensor, int32_t rows, int32_t columns, struct matrix *out,
                struct error *error)
{
    const struct tensor_format *format = tensor_format((uint32_t)tensor->type);
    const uint64_t *shape = tensor->shape;
    if (!format || rows < 1 || columns < 1 || (uint32_t)columns % format->block != 0 ||
        shape[0] != (uint64_t)columns || shape[1] != (uint64_t)rows || shape[2] != 1 ||
        shape[3] != 1)
        return error_set(error, ENOEXEC,
                         "tensor %.*s has the shape [%llu, %llu, %llu, %llu] in place of [%d, %d]",
                         (int)TENSOR_NAME_BYTES, tensor->name, (unsigned long long)shape[0],
                         (unsigned long long)shape[1], (unsigned long long)shape[2],
                         (unsigned long long)shape[3], columns, rows);
    if (tensor->transposed && quant_is_block_type(tensor->type))
        return error_set(error, ENOEXEC, "tensor %.*s has the type %s and cannot be transposed",
                         (int)TENSOR_NAME_BYTES, tensor->name, format->name);
    size_t items = (size_t)(tensor->transposed ? rows : columns);
    size_t row_bytes = items / format->block * format->block_bytes;
    if (tensor->bytes / row_bytes < (uint64_t)(tensor->transposed ? columns : rows))
        return error_set(
            error, ENOEXEC, "tensor %.*s holds %llu bytes, too few for the shape [%d, %d]",
            (int)TENSOR_NAME_BYTES, tensor->name, (unsigned long long)tensor->bytes, columns, rows);
    *out =
        (struct matrix){tensor->type, tensor->data, row_bytes, rows, columns, tensor->transposed};
    return 0;
}

int matrix_view_stack(const struct tensor *tensor, int32_t count, int32_t rows, int32_t columns,
                      struct matrix *out, struct error *error)
{
    if (tensor->shape[2] != (uint64_t)count || tensor->shape[1] != (uint64_t)rows ||
        (int64_t)count * rows > INT32_MAX)
        return error_set(error, ENOEXEC,
                         "tensor %.*s has the shape [%llu, %llu, %llu, %llu] in place of "
                         "[%d, %d, %d]",
                         (int)TENSOR_NAME_BYTES, tensor->name, (unsigned long long)tensor->shape[0],
                         (unsigned long long)tensor->shape[1], (unsigned long long)tensor->shape[2],
                         (unsigned long long)tensor->shape[3], columns, rows, count);
    struct tensor flat = *tensor;
    flat.shape[1] = (uint64_t)count * (uint64_t)rows;
    flat.shape[2] = 1;
    return matrix_view(&flat, count * rows, columns, out, error);
}

static size_t item_bytes(enum tensor_type type)
{
    return tensor_format((uint32_t)type)->block_bytes;
}

size_t matrix_bytes(const struct matrix *matrix)
{
    if (matrix->transposed) /* its stored rows may be parts of longer ones */
        return (size_t)matrix->columns * (size_t)matrix->rows * item_bytes(matrix->type);
    return (size_t)matrix->rows * matrix->row_bytes;
}

struct matrix matrix_rows(const struct matrix *matrix, int32_t first, int32_t count)
{
    struct matrix part = *matrix;
    size_t step = matrix->transposed ? item_bytes(matrix->type) : matrix->row_bytes;
    part.data += (size_t)first * step;
    part.rows = count;
    return part;
}

void matrix_row(const struct matrix *matrix, int32_t row, float *out)
{
    if (!matrix->transposed) {
        const uint8_t *from = matrix->data + (size_t)row * matrix->row_bytes;
        quant_dequantise(matrix->type, from, matrix->columns, out);
        return;
    }
    const uint8_t *from = matrix->data + (size_t)row * item_bytes(matrix->type);
    for (size_t k = 0; k < (size_t)matrix->columns; k++)
        quant_dequantise(matrix->type, from + k * matrix->row_bytes, 1, out + k);
}

/* Blocks of the quantised form; 0 for a negative or overflowing product, which no caller needs. */
static size_t capacity(int32_t count, int32_t width)
{
    if (count < 0 || width < 0)
        return 0;
    return (size_t)count * (((size_t)width + QUANT_BLOCK - 1) / QUANT_BLOCK);
}

size_t activations_bytes(int32_t count, int32_t width)
{
    return sizeof(struct activations) + capacity(count, width) * sizeof(struct activation_block);
}

int activations_open(int32_t count, int32_t width, struct activations **out)
{
    struct activations *activations = memory_try(1, sizeof *activations);
    *out = NULL;
    if (!activations)
        return -ENOMEM;
    activations->block =
        memory_try_aligned(capacity(count, width), sizeof(struct activation_block));
    if (!activations->block) {
        free(activations);
        return -ENOMEM;
    }
    *out = activations;
    return 0;
}

void activations_close(struct activations *activations)
{
    if (activations)
        free(activations->block);
    free(activations);
}

void activations_begin(struct activations *activations, const float *x, size_t stride,
                       int32_t count, int32_t width)
{
    activations->x = x;
    activations->stride = stride;
    activations->count = count;
    activations->width = width;
    activations->blocks = (size_t)width / QUANT_BLOCK;
}

void activations_quantise(const struct kernels *kernels, struct activations *activations,
                          int32_t begin, int32_t end)
{
    for (int32_t n = begin; n < end; n++)
        kernels->quantise(activations->block + (size_t)n * activations->blocks,
                          activations->x + (size_t)n * activations->stride, activations->width);
}

void matrix_multiply(const struct kernels *kernels, const struct matrix *matrix,
                     const struct activations *activations, float *y, size_t y_stride,
                     int32_t row_begin, int32_t row_end)
{
    if (row_begin < row_end)
        kernels->multiply(matrix, activations, y, y_stride, row_begin, row_end);
}

void matrix_multiply_some(const struct kernels *kernels, const struct matrix *matrix,
                          const struct activations *activations, int32_t first, int32_t count,
                          float *y, size_t y_stride, int32_t row_begin, int32_t row_end)
{
    struct activations some = *activations;
    some.x += (size_t)first * some.stride;
    some.block += (size_t)first * some.blocks;
    some.count = count;
    if (count > 0)
        matrix_multiply(kernels, matrix, &some, y + (size_t)first * y_stride, y_stride, row_begin,
                        row_end);
}
