/* wide.c - see wide.h. */
#include "math/wide.h"

#include "math/table.h"

/* Vectors of a tile that are not there are zeros, or left over from another product. */
static size_t tiles_of(int32_t count)
{
    return ((size_t)count + WIDE_TILE - 1) / WIDE_TILE;
}

static size_t columns_of(int32_t width)
{
    return ((size_t)width + 15) / 16 * 16;
}

static size_t groups_of(int32_t width)
{
    return ((size_t)width + WIDE_GROUP - 1) / WIDE_GROUP;
}

size_t wide_bytes(int32_t count, int32_t width)
{
    return tiles_of(count) * WIDE_TILE *
           (columns_of(width) / 2 * sizeof(int32_t) + groups_of(width) * sizeof(float));
}

struct wide_vectors wide_vectors(void *memory, int32_t count, int32_t width)
{
    int32_t *pairs = memory;
    const size_t size = tiles_of(count) * WIDE_TILE * columns_of(width) / 2;
    return (struct wide_vectors){.pairs = pairs,
                                 .scales = (float *)(void *)(pairs + size),
                                 .count = count,
                                 .columns = (int32_t)columns_of(width),
                                 .width = width};
}

void wide_quantise(const struct kernels *kernels, const struct wide_vectors *vectors,
                   const float *x, int32_t begin, int32_t end)
{
    const struct wide_kernels *wide = kernels->wide;
    for (int32_t n = begin; n < end; n++)
        wide->quantise(vectors, n, x + (size_t)n * (size_t)vectors->width);
}

size_t wide_room(int32_t columns)
{
    return (size_t)MATRIX_GRAIN * (size_t)columns;
}

/* Where a row's floats lie: in the file, if floats may be read there. */
static const float *row_of(const struct matrix *matrix, int32_t row, float *room)
{
    const uint8_t *data = matrix->data + (size_t)row * matrix->row_bytes;
    if (matrix->type == TENSOR_F32 && !matrix->transposed && (uintptr_t)data % _Alignof(float) == 0)
        return (const float *)(const void *)data;
    matrix_row(matrix, row, room);
    return room;
}

void wide_multiply(const struct kernels *kernels, const struct wide_product *product,
                   int32_t row_begin, int32_t row_end, float *room)
{
    const struct wide_kernels *wide = kernels->wide;
    const struct matrix *matrix = product->matrix;
    for (int32_t first = row_begin; first < row_end; first += MATRIX_GRAIN) {
        const int32_t left = row_end - first;
        struct wide_rows rows = {.first = first,
                                 .count = left < MATRIX_GRAIN ? left : MATRIX_GRAIN};
        for (int32_t i = 0; i < MATRIX_GRAIN; i++)
            rows.row[i] = i < rows.count ? row_of(matrix, first + i,
                                                  room + (size_t)i * (size_t)matrix->columns)
                                         : rows.row[i - 1];
        wide->multiply(product, &rows);
    }
}
