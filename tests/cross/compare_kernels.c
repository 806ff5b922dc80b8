/* compare_kernels.c - every implementation of the kernels against the portable one, bit for bit.
 *
 *     compare_kernels [NAME...]
 *
 * Without names: all that this processor can run.  With names: these, and the first must be the one
 * that the engine would choose.  Needs no library, so that it also runs under an emulator of
 * another processor (kernels.sh).  Prints what was compared; exit status 0 when all was equal, 1
 * when not, 77 when there is nothing to compare.
 */
#include "base/half.h"
#include "base/threads.h"
#include "math/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OTHERS_MAX = 8, SHOWN_MAX = 10, VECTORS_MAX = 17, COLUMNS_MAX = 1056, PADDING = 3 };
enum {
    WIDTH_MAX = 600,
    HEAD_MAX = 128,
    LENGTH_MAX = 150,
    GROUP_MAX = 5,
    KV_HEADS = 2,
    PAGES = 3,
    TOKENS = 7
};

static const enum tensor_type types[] = {
    TENSOR_F32,    TENSOR_F16,   TENSOR_BF16,  TENSOR_Q4_0,  TENSOR_Q4_1,
    TENSOR_Q5_0,   TENSOR_Q5_1,  TENSOR_Q8_0,  TENSOR_Q2_K,  TENSOR_Q3_K,
    TENSOR_Q4_K,   TENSOR_Q5_K,  TENSOR_Q6_K,  TENSOR_Q8_K,  TENSOR_IQ4_NL,
    TENSOR_IQ4_XS, TENSOR_TQ1_0, TENSOR_TQ2_0, TENSOR_MXFP4,
};
enum { TYPES = sizeof types / sizeof *types };

struct comparison {
    const struct kernels *portable, *other[OTHERS_MAX];
    int others;
    uint32_t seed;
    long compared; /* numbers, each with all others */
    long differences;
};

static uint32_t random_next(struct comparison *comparison)
{
    comparison->seed = comparison->seed * 1664525u + 1013904223u;
    return comparison->seed >> 8;
}

static float random_float(struct comparison *comparison)
{
    return (float)random_next(comparison) / (float)(1 << 23) - 1.0f;
}

/* Equal bits, or NaN in both: its payload is not promised. */
static void expect_equal(struct comparison *comparison, int other, const char *what,
                         const float *expected, const float *found, size_t count)
{
    comparison->compared += other == 0 ? (long)count : 0;
    for (size_t i = 0; i < count; i++) {
        if (float_bits(expected[i]) == float_bits(found[i]) ||
            (isnan(expected[i]) && isnan(found[i])))
            continue;
        if (comparison->differences++ < SHOWN_MAX)
            printf("%s differs in %s: number %zu is %a in place of %a\n",
                   comparison->other[other]->name, what, i, (double)found[i], (double)expected[i]);
    }
}

static void *must(void *memory)
{
    if (!memory || memory == MAP_FAILED) {
        perror("compare_kernels");
        _exit(1);
    }
    return memory;
}

/* ---- activations ---- */

static const float odd_values[] = {0.0f,      -0.0f,  1e-45f, -1e-39f,  0x1p-101f, 0x1p-100f,
                                   -3e38f,    0.5f,   127.0f, 63.5f,    -1.5f,     2.5f,
                                   INFINITY,  1.0f,   -2.0f,  65504.0f, NAN,       -INFINITY,
                                   0x1p-126f, 1e-30f, -1e30f, 88.5f,    -87.5f,    0.625f};
enum { ODD_VALUES = sizeof odd_values / sizeof *odd_values };

/* Values of usual size; with `odd`, some of the odd ones up to that number among them. */
static void fill(struct comparison *comparison, float *x, size_t count, float size, uint32_t odd)
{
    for (size_t i = 0; i < count; i++) {
        x[i] = random_float(comparison) * size;
        if (odd && random_next(comparison) % 24 == 0)
            x[i] = odd_values[random_next(comparison) % odd];
    }
}

static void compare_quantised(struct comparison *comparison)
{
    for (int round = 0; round < 2000; round++) {
        float x[QUANT_BLOCK];
        struct activation_block expected, found;
        fill(comparison, x, QUANT_BLOCK, round % 5 ? 1 : 1e-30f, (uint32_t)round % 3 * 12);
        for (int i = 0; round % 7 == 0 && i < QUANT_BLOCK; i++) /* ties of the rounding */
            x[i] = i ? (float)(random_next(comparison) % 255) - 127.5f : 127.0f;
        for (int i = 0; round % 7 == 0 && i < QUANT_BLOCK; i++)
            x[i] = x[i] < -127 ? 0 : x[i];
        comparison->portable->quantise(&expected, x, QUANT_BLOCK);
        for (int k = 0; k < comparison->others; k++) {
            memset(&found, 0x55, sizeof found);
            comparison->other[k]->quantise(&found, x, QUANT_BLOCK);
            float a[QUANT_BLOCK + 4] = {expected.scale, expected.sum, expected.half[0],
                                        expected.half[1]};
            float b[QUANT_BLOCK + 4] = {found.scale, found.sum, found.half[0], found.half[1]};
            for (int i = 0; i < QUANT_BLOCK; i++) {
                a[4 + i] = expected.q[i];
                b[4 + i] = found.q[i];
            }
            expect_equal(comparison, k, "quantised vectors", a, b, QUANT_BLOCK + 4);
        }
    }
}

/* ---- products ---- */

/* Weights that end where a page ends behind which nothing may be read, and start at an address that
 * is aligned to no more than their block is. */
struct weights {
    struct matrix matrix;
    uint8_t *map;
    size_t map_bytes;
};

static struct weights weights_new(enum tensor_type type, int32_t rows, int32_t columns)
{
    const struct tensor_format *format = tensor_format(type);
    struct weights weights;
    size_t row_bytes = (size_t)columns / format->block * format->block_bytes;
    size_t bytes = row_bytes * (size_t)rows, page = (size_t)sysconf(_SC_PAGESIZE);
    weights.map_bytes = (bytes + page - 1) / page * page + page;
    weights.map = must(
        mmap(NULL, weights.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (mprotect(weights.map + weights.map_bytes - page, page, PROT_NONE) != 0)
        must(NULL);
    const uint8_t *data = weights.map + weights.map_bytes - page - bytes;
    weights.matrix = (struct matrix){type, data, row_bytes, rows, columns, false};
    return weights;
}

static void weights_free(struct weights *weights)
{
    munmap(weights->map, weights->map_bytes);
}

/* Where the scale of a block is; that of the minimum is the next half. */
static size_t scale_at(enum tensor_type type)
{
    return type == TENSOR_Q2_K    ? 80
           : type == TENSOR_Q3_K  ? 108
           : type == TENSOR_Q6_K  ? 208
           : type == TENSOR_TQ1_0 ? 52
           : type == TENSOR_TQ2_0 ? 64
                                  : 0;
}

static void put_half(uint8_t *at, float value)
{
    uint16_t half = half_of_float(value);
    memcpy(at, &half, sizeof half);
}

enum content { SANE, ANY_BYTES, EXTREME, CONTENTS };
static const char *const content_names[CONTENTS] = {"usual", "any", "extreme"};

/* Random bytes, or only the largest and smallest; then scales as a model has them. */
static void weights_fill(struct comparison *comparison, struct weights *weights,
                         enum content content)
{
    static const uint8_t extremes[] = {0x00, 0x7f, 0x80, 0xff};
    const enum tensor_type type = weights->matrix.type;
    const struct tensor_format *format = tensor_format(type);
    size_t bytes = weights->matrix.row_bytes * (size_t)weights->matrix.rows;
    uint8_t *data = weights->map + (weights->matrix.data - weights->map);
    for (size_t i = 0; i < bytes; i++)
        data[i] = content == EXTREME ? extremes[i / 256 % 4] : (uint8_t)random_next(comparison);
    for (size_t at = 0; content != ANY_BYTES && at < bytes; at += format->block_bytes) {
        uint8_t *block = data + at, *scale = block + scale_at(type);
        float value = random_float(comparison);
        uint32_t bits = float_bits(value);
        if (type == TENSOR_F32 || type == TENSOR_Q8_K)
            memcpy(block, &value, sizeof value);
        else if (type == TENSOR_BF16)
            memcpy(block, (uint8_t *)&bits + 2, 2);
        else if (type == TENSOR_MXFP4)
            *block = (uint8_t)(120 + random_next(comparison) % 8);
        else
            put_half(scale, value * (type == TENSOR_F16 ? 1.0f : 0.05f));
        if (quant_has_minimum(type))
            put_half(scale + 2, random_float(comparison) * 0.05f);
    }
}

static struct activation_block blocks[VECTORS_MAX * COLUMNS_MAX / QUANT_BLOCK];
static float vectors[VECTORS_MAX * COLUMNS_MAX];

/* The product in two ranges of rows, into a y whose rows are longer than they must be. */
static void multiply(const struct kernels *kernels, const struct matrix *matrix, int32_t count,
                     float *y)
{
    struct activations activations = {
        .x = vectors,
        .stride = (size_t)matrix->columns,
        .count = count,
        .width = matrix->columns,
        .blocks = (size_t)matrix->columns / QUANT_BLOCK,
        .block = blocks,
    };
    size_t stride = (size_t)matrix->rows + PADDING;
    int32_t middle = matrix->rows < MATRIX_GRAIN ? matrix->rows : MATRIX_GRAIN;
    memset(y, 0x55, stride * (size_t)count * sizeof *y); /* what is not written stays equal */
    for (int32_t n = 0; n < count && quant_is_block_type(matrix->type); n++)
        kernels->quantise(blocks + (size_t)n * activations.blocks,
                          vectors + (size_t)n * activations.stride, matrix->columns);
    kernels->multiply(matrix, &activations, y, stride, 0, middle);
    if (middle < matrix->rows)
        kernels->multiply(matrix, &activations, y, stride, middle, matrix->rows);
}

static void compare_matrix(struct comparison *comparison, const struct matrix *matrix,
                           int32_t count, enum content content)
{
    char what[128];
    size_t outputs = ((size_t)matrix->rows + PADDING) * (size_t)count;
    float *expected = must(malloc(outputs * sizeof *expected));
    float *found = must(malloc(outputs * sizeof *found));
    snprintf(what, sizeof what, "%s%s, %d rows x %d, %d vectors, %s weights",
             tensor_format(matrix->type)->name, matrix->transposed ? " by columns" : "",
             matrix->rows, matrix->columns, count, content_names[content]);
    fill(comparison, vectors, (size_t)count * (size_t)matrix->columns, 3, content == SANE ? 0 : 2);
    for (int32_t k = 0; content == EXTREME && k < count * matrix->columns; k++)
        vectors[k] = k / matrix->columns % 2 ? -1.0f : 1.0f; /* every q is 127 or -127 */
    if (count == 5) /* one vector of the tile holds what must not reach the others */
        fill(comparison, vectors + matrix->columns, (size_t)matrix->columns, 1, ODD_VALUES);
    multiply(comparison->portable, matrix, count, expected);
    for (int k = 0; k < comparison->others; k++) {
        multiply(comparison->other[k], matrix, count, found);
        expect_equal(comparison, k, what, expected, found, outputs);
    }
    free(expected);
    free(found);
}

static void compare_shape(struct comparison *comparison, enum tensor_type type, int32_t rows,
                          int32_t columns, int32_t step)
{
    struct weights weights = weights_new(type, rows, columns);
    for (enum content content = SANE; content < CONTENTS; content++) {
        weights_fill(comparison, &weights, content);
        for (int32_t count = 1; count <= VECTORS_MAX; count += content == SANE ? step : 4)
            compare_matrix(comparison, &weights.matrix, count, content);
    }
    weights_free(&weights);
    if (quant_is_block_type(type))
        return;
    weights = weights_new(type, columns, rows); /* item k * rows + r */
    weights.matrix.transposed = true;
    weights.matrix.rows = rows;
    weights.matrix.columns = columns;
    struct matrix stored = {type, weights.matrix.data, weights.matrix.row_bytes, columns, rows,
                            false};
    struct weights filled = {stored, weights.map, weights.map_bytes};
    weights_fill(comparison, &filled, SANE);
    for (int32_t count = 1; count <= VECTORS_MAX; count += step)
        compare_matrix(comparison, &weights.matrix, count, SANE);
    weights_free(&weights);
}

static void compare_products(struct comparison *comparison)
{
    static const int32_t rows[] = {1, 7, 16, 35, 50};
    static const int32_t simple[] = {32, 96, 1056}, super[] = {256, 768}, floats[] = {1, 15, 577};
    for (size_t t = 0; t < TYPES; t++) {
        long before = comparison->compared;
        uint32_t block = tensor_format(types[t])->block;
        const int32_t *columns = block == 1 ? floats : block == QUANT_BLOCK ? simple : super;
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (size_t c = 0; c < (block == 256 ? 2 : 3); c++)
                compare_shape(comparison, types[t], rows[r], columns[c], 3);
        compare_shape(comparison, types[t], 19, block == 1 ? 33 : block * 2, 1);
        printf("  %-7s products     %8ld numbers\n", tensor_format(types[t])->name,
               comparison->compared - before);
    }
}

/* ---- vectors ---- */

enum operation {
    RMS_NORM,
    LAYER_NORM,
    ADD,
    ADD_SCALED,
    SCALE,
    SOFT_CAP,
    SILU_MULTIPLY,
    GELU_MULTIPLY,
    GELU,
    GELU_ERF,
    SOFTMAX,
    LARGEST,
    WEIGH,
    FIND,
    OPERATIONS,
};
static const char *const operation_names[OPERATIONS] = {
    "rms_norm",      "layer_norm", "add",      "add_scaled", "scale",   "soft_cap", "silu_multiply",
    "gelu_multiply", "gelu",       "gelu_erf", "softmax",    "largest", "weigh",    "find",
};

static void apply(const struct kernels *kernels, enum operation operation, float *out,
                  const float *x, const float *y, int32_t width)
{
    int32_t found[WIDTH_MAX], hits;
    float sum;
    memcpy(out, x, (size_t)width * sizeof *out);
    switch (operation) {
    case RMS_NORM:
        kernels->rms_norm(out, x, y, width, 1e-5f);
        break;
    case LAYER_NORM:
        kernels->layer_norm(out, x, y, x, width, 1e-5f);
        break;
    case ADD:
        kernels->add(out, y, width);
        break;
    case ADD_SCALED:
        kernels->add_scaled(out, y, 0.3f, width);
        break;
    case SCALE:
        kernels->scale(out, 1.7f, width);
        break;
    case SOFT_CAP:
        kernels->soft_cap(out, 30, width);
        break;
    case SILU_MULTIPLY:
        kernels->silu_multiply(out, y, width);
        break;
    case GELU_MULTIPLY:
        kernels->gelu_multiply(out, y, width);
        break;
    case GELU:
        kernels->gelu(out, width);
        break;
    case GELU_ERF:
        kernels->gelu_erf(out, width);
        break;
    case SOFTMAX:
        kernels->softmax(out, width);
        break;
    case LARGEST:
        out[0] = kernels->largest(x, width);
        break;
    case WEIGH:
        sum = kernels->weigh(out, x, width, 1.5f, 0.7f);
        out[0] += sum;
        break;
    case FIND:
        hits = kernels->find(found, x, width, 0.4f);
        for (int32_t i = 0; i < hits; i++)
            out[i] = (float)found[i];
        break;
    case OPERATIONS:
        break;
    }
}

static void compare_vectors(struct comparison *comparison)
{
    float x[WIDTH_MAX], y[WIDTH_MAX], expected[WIDTH_MAX], found[WIDTH_MAX];
    long before = comparison->compared;
    for (int32_t width = 1; width <= WIDTH_MAX; width += width < 40 ? 1 : 53)
        for (uint32_t odd = 0; odd <= ODD_VALUES; odd += 12) { /* none, finite ones, all */
            fill(comparison, x, (size_t)width, 30, odd);
            fill(comparison, y, (size_t)width, 2, odd);
            for (enum operation i = 0; i < OPERATIONS; i++) {
                char what[64];
                snprintf(what, sizeof what, "%s of %d", operation_names[i], width);
                apply(comparison->portable, i, expected, x, y, width);
                for (int k = 0; k < comparison->others; k++) {
                    apply(comparison->other[k], i, found, x, y, width);
                    expect_equal(comparison, k, what, expected, found, (size_t)width);
                }
            }
        }
    printf("  %-20s %8ld numbers\n", "vector functions", comparison->compared - before);
}

/* ---- attention ---- */

static void compare_attention_of(struct comparison *comparison, struct attention attention)
{
    static float expected[TOKENS * GROUP_MAX * HEAD_MAX], found[TOKENS * GROUP_MAX * HEAD_MAX];
    char what[128];
    size_t outputs = (size_t)attention.tokens * attention.stride;
    snprintf(what, sizeof what, "attention of %d tokens from %d on, %d heads of %d, window %d, %s",
             attention.tokens, attention.position, attention.queries, attention.head_size,
             attention.window, attention.format == KV_F16 ? "f16" : "q8_0");
    memset(expected, 0x55, sizeof expected);
    attention.out = expected;
    comparison->portable->attend(&attention);
    attention.out = found;
    for (int k = 0; k < comparison->others; k++) {
        memset(found, 0x55, sizeof found);
        comparison->other[k]->attend(&attention);
        expect_equal(comparison, k, what, expected, found, outputs);
    }
}

static void compare_attention_to(struct comparison *comparison, void *const *pages,
                                 enum kv_format format, int32_t head_size)
{
    static const int32_t positions[] = {0, 14, 63, 64, LENGTH_MAX - TOKENS};
    static const int32_t windows[] = {0, 11, 70};
    static float query[TOKENS * GROUP_MAX * HEAD_MAX];
    struct attention attention = {.pages = (const void *const *)pages,
                                  .format = format,
                                  .kv_head = 1,
                                  .head_size = head_size,
                                  .stride = (size_t)(GROUP_MAX * head_size),
                                  .query = query,
                                  .scale = 1.0f / sqrtf((float)head_size)};
    fill(comparison, query, TOKENS * GROUP_MAX * HEAD_MAX, 3, 0);
    for (size_t p = 0; p < sizeof positions / sizeof *positions; p++)
        for (attention.queries = 1; attention.queries <= GROUP_MAX; attention.queries++) {
            attention.position = positions[p];
            attention.tokens = attention.queries % 2 ? 1 : TOKENS;
            attention.window = windows[(p + (size_t)attention.queries) % 3];
            attention.softcap = p % 2 ? 5.0f : 0;
            compare_attention_of(comparison, attention);
        }
}

static void compare_attention(struct comparison *comparison)
{
    static const int32_t heads[] = {8, 40, 64, HEAD_MAX};
    long before = comparison->compared;
    for (size_t h = 0; h < 2 * sizeof heads / sizeof *heads; h++) {
        const int32_t size = heads[h / 2];
        const enum kv_format format = h % 2 ? KV_Q8_0 : KV_F16;
        const size_t bytes = kv_page_bytes(KV_HEADS, size, format);
        void *pages[PAGES];
        float key[HEAD_MAX], value[HEAD_MAX];
        for (int i = 0; i < PAGES; i++)
            memset(pages[i] = must(malloc(bytes)), 0xff, bytes);
        for (int32_t position = 0; position < LENGTH_MAX; position++) {
            fill(comparison, key, HEAD_MAX, 2, 0);
            fill(comparison, value, HEAD_MAX, 2, 0);
            kv_store(pages[position / KV_PAGE_TOKENS], format, 1, size, position % KV_PAGE_TOKENS,
                     key, value);
        }
        compare_attention_to(comparison, pages, format, size);
        for (int i = 0; i < PAGES; i++)
            free(pages[i]);
    }
    printf("  %-20s %8ld numbers\n", "attention", comparison->compared - before);
}

/* ---- which ---- */

static void add_if_there(struct comparison *comparison, const char *name)
{
    if (kernels_choose(name, &comparison->other[comparison->others], NULL) == 0)
        comparison->others++;
}

/* Returns 0, or 1 when this processor can't run one of the names or prefers another. */
static int choose(struct comparison *comparison, int names, char **name)
{
    static const char *const known[] = {"avx512", "avx2", "i8mm", "dotprod", "neon"};
    const struct kernels *best;
    kernels_choose("portable", &comparison->portable, NULL);
    kernels_choose(NULL, &best, NULL);
    printf("this processor's kernels: %s\n", kernels_name(best));
    for (size_t i = 0; names == 0 && i < sizeof known / sizeof *known; i++)
        add_if_there(comparison, known[i]);
    for (int i = 0; i < names && i < OTHERS_MAX; i++) {
        add_if_there(comparison, name[i]);
        if (comparison->others != i + 1 || (i == 0 && comparison->other[0] != best)) {
            printf("%s is not there, or not what would be chosen\n", name[i]);
            return 1;
        }
    }
    return 0;
}

/* As the engine computes: with denormals flushed to zero. */
static void compare(const struct team *team, void *argument)
{
    struct comparison *comparison = argument;
    (void)team;
    compare_quantised(comparison);
    compare_products(comparison);
    compare_vectors(comparison);
    compare_attention(comparison);
}

int main(int count, char **arguments)
{
    struct comparison comparison = {.seed = 1};
    struct threads *threads;
    if (choose(&comparison, count - 1, arguments + 1) != 0 || threads_open(1, &threads, NULL) != 0)
        return 1;
    if (comparison.others == 0) {
        printf("nothing to compare: only the portable kernels are there\n");
        return 77;
    }
    threads_run(threads, 1, compare, &comparison);
    threads_close(threads);
    printf("%ld numbers of", comparison.compared);
    for (int k = 0; k < comparison.others; k++)
        printf("%s %s", k ? "," : "", comparison.other[k]->name);
    printf(" compared with portable, %ld differ\n", comparison.differences);
    return comparison.differences != 0;
}
