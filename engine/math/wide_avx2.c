/* wide_avx2.c - wide.h for x86 with AVX2, FMA and F16C.
 *
 * A panel of 16 rows and three groups takes 12 KiB of the first-level cache, where tiles of six
 * vectors pass over it: twelve registers hold the sums, two the weights, and what is left takes a
 * broadcast pair and its products.  Sums of floats continue through y from one panel to the next.
 */
#include "math/lanes.h"
#include "math/text_attention_lanes.h"
#include "math/wide_table.h"

enum {
    BAND = 8, /* rows in the lanes of a register */
    BANDS = MATRIX_GRAIN / BAND,
    PANEL_GROUPS = 3,
    PANEL_COLUMNS = PANEL_GROUPS * WIDE_GROUP,
    CHUNK = 16, /* columns that are rounded together */
};

struct panel {
    _Alignas(64) __m256i pairs[PANEL_COLUMNS / 2][BANDS];
    __m256 scale[PANEL_GROUPS][BANDS];
};

/* ---- rounding ---- */

/* What a group is multiplied with to be rounded: 0, and a scale of 0 or NaN, where all of it is to
 * become 0.  `count` is a multiple of CHUNK. */
LANES_INLINE float inverse_of(const float *x, int32_t count, float *scale)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i most[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int32_t i = 0; i < count; i += CHUNK)
        for (int j = 0; j < 2; j++) {
            __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(x + i + 8 * j));
            most[j] = _mm256_max_epi32(most[j], _mm256_and_si256(bits, magnitude));
        }
    most[0] = _mm256_max_epi32(most[0], most[1]);
    __m128i half =
        _mm_max_epi32(_mm256_castsi256_si128(most[0]), _mm256_extracti128_si256(most[0], 1));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    const uint32_t bits = (uint32_t)_mm_cvtsi128_si32(half);
    const float amax = float_of_bits(bits);
    if (bits >= 0x7f800000 || amax < wide_flat) {
        *scale = bits >= 0x7f800000 ? NAN : 0;
        return 0;
    }
    *scale = amax / (float)WIDE_STEPS;
    return (float)WIDE_STEPS / amax;
}

/* Sixteen floats as int16. */
LANES_INLINE __m256i round_chunk(const float *x, __m256 inverse)
{
    __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
    __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), inverse));
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

/* A group of a row or a vector of `width` floats from column k on, in whole chunks: where it lies,
 * or a copy that ends in zeros.  Returns how many columns. */
LANES_INLINE int32_t group_at(const float **x, int32_t width, int32_t k, float *copy)
{
    const int32_t count = width - k < WIDE_GROUP ? width - k : WIDE_GROUP;
    *x += k;
    if (count % CHUNK == 0)
        return count;
    memset(copy, 0, WIDE_GROUP * sizeof *copy);
    memcpy(copy, *x, (size_t)count * sizeof *copy);
    *x = copy;
    return (count + CHUNK - 1) / CHUNK * CHUNK;
}

static const float zeros[WIDE_GROUP];

static void quantise(const struct wide_vectors *vectors, int32_t index, const float *x)
{
    for (int32_t k = 0; k < vectors->width; k += WIDE_GROUP) {
        float copy[WIDE_GROUP];
        const float *from = x;
        const int32_t count = group_at(&from, vectors->width, k, copy);
        int32_t *pairs = wide_pairs(vectors, index, k);
        float *scale = wide_scales(vectors, index, k / WIDE_GROUP);
        const float inverse = inverse_of(from, count, scale);
        from = inverse > 0 ? from : zeros;
        for (int32_t i = 0; i < count; i += CHUNK) {
            int32_t chunk[CHUNK / 2];
            _mm256_storeu_si256((__m256i *)(void *)chunk,
                                round_chunk(from + i, _mm256_set1_ps(inverse)));
            for (int j = 0; j < CHUNK / 2; j++)
                pairs[(i / 2 + j) * WIDE_TILE] = chunk[j];
        }
    }
}

/* Eight registers of eight pairs, turned: register i then holds pair i of each. */
LANES_INLINE void turn(__m256i *r)
{
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm256_unpacklo_epi64(a[i + j], a[i + j + 2]);
            b[i + 2 * j + 1] = _mm256_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
    }
}

/* One group of eight rows into a band of the panel. */
static void fill_band(const float *const *row, int32_t width, int32_t k, __m256i (*pairs)[BANDS],
                      __m256 *scale)
{
    float copies[BAND][WIDE_GROUP], scales[BAND], inverse[BAND];
    const float *from[BAND];
    int32_t count = 0;
    for (int r = 0; r < BAND; r++) {
        from[r] = row[r];
        count = group_at(&from[r], width, k, copies[r]);
        inverse[r] = inverse_of(from[r], count, &scales[r]);
        from[r] = inverse[r] > 0 ? from[r] : zeros;
    }
    *scale = _mm256_loadu_ps(scales);
    for (int32_t i = 0; i < count; i += CHUNK) {
        __m256i turned[BAND];
        for (int r = 0; r < BAND; r++)
            turned[r] = round_chunk(from[r] + i, _mm256_set1_ps(inverse[r]));
        turn(turned);
        for (int j = 0; j < CHUNK / 2; j++)
            pairs[i / 2 + j][0] = turned[j];
    }
}

static void fill(struct panel *panel, const struct wide_rows *rows, int32_t width, int32_t k)
{
    for (int32_t at = k; at < width && at < k + PANEL_COLUMNS; at += WIDE_GROUP)
        for (int b = 0; b < BANDS; b++) {
            __m256i *pairs = &panel->pairs[(at - k) / 2][b];
            fill_band(rows->row + b * BAND, width, at, (__m256i(*)[BANDS])(void *)pairs,
                      &panel->scale[(at - k) / WIDE_GROUP][b]);
        }
}

/* ---- products ---- */

/* sum + a . b, in an instruction that the compiler can neither copy nor move: left to itself it
 * spends a move on each sum, and half of the time with them. */
LANES_INLINE __m256i add_products(__m256i sum, __m256i a, __m256i b)
{
    __m256i products = _mm256_madd_epi16(a, b);
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
    return sum;
}

/* A function of its own, so that the registers hold nothing else. */
static void sum_group(const int32_t *w, const int32_t *x, int32_t pairs,
                      int32_t out[WIDE_TILE][MATRIX_GRAIN])
{
    const __m256i *weights = (const __m256i *)(const void *)w;
    __m256i sum[WIDE_TILE][BANDS];
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++)
        sum[n][0] = sum[n][1] = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int32_t k = 0; k < pairs; k++) {
        const __m256i low = weights[BANDS * k], high = weights[BANDS * k + 1];
#pragma GCC unroll 6
        for (int n = 0; n < WIDE_TILE; n++) {
            __m256i pair = _mm256_set1_epi32(x[k * WIDE_TILE + n]);
            sum[n][0] = add_products(sum[n][0], pair, low);
            sum[n][1] = add_products(sum[n][1], pair, high);
        }
    }
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++)
        for (int b = 0; b < BANDS; b++)
            _mm256_storeu_si256((__m256i *)(void *)&out[n][b * BAND], sum[n][b]);
}

/* What the sums of vector n start at. */
LANES_INLINE struct lanes start(const struct wide_product *product, const float *y, int32_t first,
                                int32_t count)
{
    struct lanes zero = lanes_set(0);
    struct lanes before = product->adds ? lanes_load_part(y, count, 0) : zero;
    return lanes_add(before,
                     product->bias ? lanes_load_part(product->bias + first, count, 0) : zero);
}

LANES_INLINE struct lanes finish(enum wide_function function, struct lanes f)
{
    if (function == WIDE_GELU)
        return lanes_gelu(f);
    return function == WIDE_GELU_ERF ? lanes_gelu_erf(f) : f;
}

/* f continued by a group: the canonical arithmetic. */
LANES_INLINE struct lanes continue_sums(struct lanes f, const int32_t *sum, const float *scale,
                                        const __m256 *weight_scale)
{
    const __m256 x = _mm256_broadcast_ss(scale);
    const __m256i *bands = (const __m256i *)(const void *)sum;
    __m256 low = _mm256_cvtepi32_ps(_mm256_loadu_si256(bands));
    __m256 high = _mm256_cvtepi32_ps(_mm256_loadu_si256(bands + 1));
    return (struct lanes){_mm256_fmadd_ps(low, _mm256_mul_ps(weight_scale[0], x), f.low),
                          _mm256_fmadd_ps(high, _mm256_mul_ps(weight_scale[1], x), f.high)};
}

/* A panel, which holds the columns [begin, end). */
struct work {
    const struct wide_product *product;
    const struct wide_rows *rows;
    wide_sum *sum;
    int32_t begin, end;
    struct panel panel;
};

/* The panel times the tile that starts at vector n. */
static void multiply_tile(const struct work *work, int32_t n)
{
    const struct wide_product *product = work->product;
    const struct wide_vectors *vectors = product->vectors;
    const int32_t rows = work->rows->count, left = vectors->count - n;
    const int32_t count = left < WIDE_TILE ? left : WIDE_TILE;
    float *y = product->y + (size_t)n * product->y_stride + work->rows->first;
    struct lanes f[WIDE_TILE];
    for (int i = 0; i < WIDE_TILE; i++)
        f[i] = lanes_set(0);
    for (int32_t i = 0; i < count; i++) {
        const float *at = y + (size_t)i * product->y_stride;
        f[i] = work->begin == 0 ? start(product, at, work->rows->first, rows)
                                : lanes_load_part(at, rows, 0);
    }
    for (int32_t k = work->begin; k < work->end; k += WIDE_GROUP) {
        const int32_t size = work->end - k < WIDE_GROUP ? work->end - k : WIDE_GROUP;
        const float *scale = wide_scales(vectors, n, k / WIDE_GROUP);
        const struct panel *panel = &work->panel;
        int32_t sum[WIDE_TILE][MATRIX_GRAIN];
        work->sum((const int32_t *)(const void *)panel->pairs[(k - work->begin) / 2],
                  wide_pairs(vectors, n, k), size / 2, sum);
#pragma GCC unroll 6
        for (int i = 0; i < WIDE_TILE; i++)
            f[i] = continue_sums(f[i], sum[i], scale + i,
                                 panel->scale[(k - work->begin) / WIDE_GROUP]);
    }
    for (int32_t i = 0; i < count; i++)
        lanes_store_part(y + (size_t)i * product->y_stride,
                         work->end == vectors->columns ? finish(product->function, f[i]) : f[i],
                         rows);
}

static void multiply_by(wide_sum *sum, const struct wide_product *product,
                        const struct wide_rows *rows)
{
    const struct wide_vectors *vectors = product->vectors;
    struct work work;
    work.product = product;
    work.rows = rows;
    work.sum = sum;
    work.end = 0;
    while (work.end < vectors->columns) {
        const int32_t left = vectors->columns - work.end;
        work.begin = work.end;
        work.end += left < PANEL_COLUMNS ? left : PANEL_COLUMNS;
        fill(&work.panel, rows, vectors->width, work.begin);
        for (int32_t n = 0; n < vectors->count; n += WIDE_TILE)
            multiply_tile(&work, n);
    }
}

static void multiply_avx2(const struct wide_product *product, const struct wide_rows *rows)
{
    multiply_by(sum_group, product, rows);
}

static void multiply_avxvnni(const struct wide_product *product, const struct wide_rows *rows)
{
    multiply_by(wide_sum_avxvnni, product, rows);
}

static void multiply_avx512(const struct wide_product *product, const struct wide_rows *rows)
{
    multiply_by(wide_sum_avx512, product, rows);
}

const struct wide_kernels wide_avx2 = {
    .quantise = quantise, .multiply = multiply_avx2, .attend_text = attend_text};
const struct wide_kernels wide_avxvnni = {
    .quantise = quantise, .multiply = multiply_avxvnni, .attend_text = attend_text};
const struct wide_kernels wide_avx512 = {
    .quantise = quantise, .multiply = multiply_avx512, .attend_text = attend_text};
