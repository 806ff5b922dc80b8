/* avx2.c - the kernels for x86 with AVX2, FMA and F16C (compiled with exactly these), and a second
 * time those with AVX-VNNI besides, whose vpdpbusd takes the place of three instructions.
 *
 * Products with quantised weights: eight rows in the lanes of a register, the activations
 * broadcast.  No horizontal sums, no scalar scale, and each output is produced in one lane by one
 * order of operations whatever the number of vectors.  Two ways through the same arithmetic:
 *
 *   direct   for one vector and a few: each block is unpacked and multiplied while it is in
 *            registers; the time is that of reading the weights;
 *   panels   for more: 16 rows of up to 32 blocks are unpacked to a panel on the stack that stays
 *            in the first-level cache while tiles of up to four vectors pass over it; the sums f
 *            continue through y from one panel to the next: the same order.
 *
 * vpmaddubsw adds two products of a byte and a signed byte in 16 bits: 4-bit weights allow eight
 * such sums before 32 bits are needed (8 * 2*15*127 = 30480), 5-bit ones four (31496), 6-bit ones
 * two (32004).  For signed bytes the weight's sign moves to the activation (2*128*127 = 32512):
 * in direct() by vpsignb, for a panel by take_signs() (at most 2*128*126 and at least -2*128*128,
 * which are 16 bits).
 */
#include "math/attention_lanes.h"
#include "math/avx2_dot.h"
#include "math/avx2_quantise.h"
#include "math/avx2_unpack.h"
#include "math/multiply.h"
#include "math/table.h"
#include "math/vector_lanes.h"

enum {
    TILE = 4,           /* vectors of a tile */
    DIRECT_VECTORS = 2, /* that need no panel */
    PANEL_BANDS = 2,    /* bands of a panel: MATRIX_GRAIN rows */
    PANEL_BLOCKS = 64,  /* of all bands: 20 KiB of the first-level cache */
    PREFETCH_BYTES_MIN = 6144,
    PREFETCH_TILES = 2, /* of a panel, that prefetch */
};

/* ---- one block of weights times some vectors ---- */

/* Activations 4j..4j+3 in every lane. */
AVX2_INLINE __m256i broadcast(const struct activation_block *a, int j)
{
    int32_t dword;
    memcpy(&dword, a->q + 4 * j, sizeof dword);
    return _mm256_set1_epi32(dword);
}

AVX2_INLINE __m256i broadcast_halves(const struct activation_block *a)
{
    int32_t dword;
    memcpy(&dword, a->half, sizeof dword);
    return _mm256_set1_epi32(dword);
}

/* What the unsigned weights are larger by, times the sum of the activations. */
AVX2_INLINE __m256i excess(enum tensor_type type, const struct block *w,
                           const struct activation_block *a)
{
    __m256i halves = broadcast_halves(a);
    const int offset = traits_of[type].offset;
    if (traits_of[type].has_parts)
        return _mm256_slli_epi32(_mm256_madd_epi16(halves, w->parts),
                                 __builtin_ctz((unsigned)offset));
    return _mm256_madd_epi16(halves, _mm256_set1_epi16((short)offset));
}

/* f continued by one block, from its exact integer sum: the canonical arithmetic. */
AVX2_INLINE __m256 finish(enum tensor_type type, const struct block *w,
                          const struct activation_block *a, __m256i sum, __m256 f)
{
    const struct traits traits = traits_of[type];
    if (traits.offset)
        sum = _mm256_sub_epi32(sum, excess(type, w, a));
    __m256 scale = _mm256_mul_ps(w->scale, _mm256_set1_ps(a->scale));
    f = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, f);
    if (traits.has_minimum && traits.has_parts) {
        __m256i halves = _mm256_madd_epi16(broadcast_halves(a), w->parts);
        __m256 minimum = _mm256_mul_ps(w->minimum, _mm256_set1_ps(a->scale));
        return _mm256_fmadd_ps(_mm256_cvtepi32_ps(halves), minimum, f);
    }
    if (traits.has_minimum)
        f = _mm256_fmadd_ps(_mm256_set1_ps(a->sum), w->minimum, f);
    return f;
}

/* Hide a sum from the compiler, which would turn the chain of sums of a tile into a tree that needs
 * four times the registers there are. */
AVX2_INLINE __m256i in_order(__m256i sum)
{
    __asm__("" : "+x"(sum));
    return sum;
}

/* Whether vpdpbusd multiplies a type.  The scale of 16 weights takes the place of the ones in
 * vpmaddwd, so that formats with parts need no other way. */
AVX2_INLINE bool has_dot(enum tensor_type type)
{
    return HAS_DOT && !traits_of[type].has_parts;
}

/* Whether the signs of a panel's weights are apart. */
AVX2_INLINE bool has_flips(enum tensor_type type)
{
    return traits_of[type].is_signed && !has_dot(type);
}

/* From a block of a panel to the next one of its band: the bands alternate, and signed weights
 * have a second block each (take_signs). */
AVX2_INLINE int panel_stride(enum tensor_type type)
{
    return has_flips(type) ? 2 * PANEL_BANDS : PANEL_BANDS;
}

/* x ^ flip, with the flip read where it lies: kept in registers they would push out the sums. */
AVX2_INLINE __m256i flipped(__m256i x, const __m256i *flip)
{
    __m256i y;
    __asm__("vpxor %2, %1, %0" : "=x"(y) : "x"(x), "m"(*flip));
    return y;
}

/* `bands` x `count` sums over `groups` dwords from group `first` on, as 16-bit pairs. */
AVX2_INLINE void multiply_groups(enum tensor_type type, const struct block *w, int bands,
                                 const struct activation_block *const *a, size_t b, int count,
                                 int first, __m256i pairs[TILE][PANEL_BANDS])
{
#pragma GCC unroll 8
    for (int j = first; j < first + traits_of[type].products; j++) {
        __m256i u[PANEL_BANDS], sign[PANEL_BANDS];
#pragma GCC unroll 2
        for (int r = 0; r < bands; r++) {
            sign[r] = w[r].u[j];
            u[r] = traits_of[type].is_signed ? _mm256_abs_epi8(sign[r]) : sign[r];
        }
#pragma GCC unroll 4
        for (int n = 0; n < count; n++) {
            __m256i x = broadcast(a[n] + b, j);
#pragma GCC unroll 2
            for (int r = 0; r < bands; r++) {
                __m256i y = traits_of[type].is_signed ? _mm256_sign_epi8(x, sign[r]) : x;
                y = _mm256_maddubs_epi16(u[r], y);
                pairs[n][r] = j == first ? y : _mm256_add_epi16(pairs[n][r], y);
                if (bands > 1)
                    pairs[n][r] = in_order(pairs[n][r]);
            }
        }
    }
}

/* The sums of the blocks w[0..1], whose signs are w[2..3]. */
AVX2_INLINE void multiply_flipped(const struct block *w, const struct activation_block *const *a,
                                  size_t b, int count, __m256i sum[TILE][PANEL_BANDS])
{
    const struct block *flips = w + PANEL_BANDS;
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++) {
        const __m256i u[PANEL_BANDS] = {w[0].u[j], w[1].u[j]};
#pragma GCC unroll 4
        for (int n = 0; n < count; n++) {
            __m256i x = broadcast(a[n] + b, j);
#pragma GCC unroll 2
            for (int r = 0; r < PANEL_BANDS; r++) {
                __m256i pairs = _mm256_maddubs_epi16(u[r], flipped(x, &flips[r].u[j]));
                __m256i wide = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                sum[n][r] = in_order(_mm256_add_epi32(j ? sum[n][r] : flips[r].parts, wide));
            }
        }
    }
}

/* The integer sums of block b by vpdpbusd.  Signed weights are raised by 128, and their sums start
 * from what this is too much. */
AVX2_INLINE void multiply_dots(enum tensor_type type, const struct block *w, int bands,
                               const struct activation_block *const *a, size_t b, int count,
                               __m256i sum[TILE][PANEL_BANDS])
{
    const bool is_signed = traits_of[type].is_signed;
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++) {
        __m256i u[PANEL_BANDS];
#pragma GCC unroll 2
        for (int r = 0; r < bands; r++)
            u[r] = is_signed ? _mm256_xor_si256(w[r].u[j], bytes_of(128)) : w[r].u[j];
#pragma GCC unroll 4
        for (int n = 0; n < count; n++) {
            const struct activation_block *block = a[n] + b;
            __m256i x = broadcast(block, j);
            __m256i start = _mm256_set1_epi32(is_signed ? block->start : 0);
#pragma GCC unroll 2
            for (int r = 0; r < bands; r++)
                sum[n][r] = dot(j == 0 ? start : sum[n][r], u[r], x);
        }
    }
}

/* The integer sums of block b, in as many 16-bit runs as the type allows. */
AVX2_INLINE void multiply_runs(enum tensor_type type, const struct block *w, int bands,
                               const struct activation_block *const *a, size_t b, int count,
                               __m256i sum[TILE][PANEL_BANDS])
{
    __m256i pairs[TILE][PANEL_BANDS];
#pragma GCC unroll 8
    for (int first = 0; first < GROUPS; first += traits_of[type].products) {
        multiply_groups(type, w, bands, a, b, count, first, pairs);
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
#pragma GCC unroll 2
            for (int r = 0; r < bands; r++) {
                __m256i ones = _mm256_set1_epi16(1);
                __m256i factor = traits_of[type].has_parts ? w[r].part[first / 4] : ones;
                __m256i wide = _mm256_madd_epi16(pairs[n][r], factor);
                sum[n][r] = first == 0 ? wide : _mm256_add_epi32(sum[n][r], wide);
            }
    }
}

/* f continued by block b of every vector a[n], for `bands` bands. */
AVX2_INLINE void multiply_block(enum tensor_type type, const struct block *w, int bands,
                                const struct activation_block *const *a, size_t b, int count,
                                __m256 f[TILE][PANEL_BANDS])
{
    __m256i sum[TILE][PANEL_BANDS];
    if (has_dot(type))
        multiply_dots(type, w, bands, a, b, count, sum);
    else if (has_flips(type) && bands == PANEL_BANDS)
        multiply_flipped(w, a, b, count, sum);
    else
        multiply_runs(type, w, bands, a, b, count, sum);
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < bands; r++)
            f[n][r] = finish(type, w + r, a[n] + b, sum[n][r], f[n][r]);
}

/* ---- rows ---- */

/* Rows row..row+7, of which those from row_end on repeat the last one. */
AVX2_INLINE struct band band_of(const struct matrix *matrix, int32_t row, int32_t row_end)
{
    struct band band;
    for (int32_t i = 0; i < BAND; i++) {
        int32_t at = row + i < row_end ? row + i : row_end - 1;
        band.row[i] = matrix->data + (size_t)at * matrix->row_bytes;
    }
    return band;
}

AVX2_INLINE void store_rows(float *y, __m256 f, int32_t rows)
{
    float all[BAND];
    if (rows >= BAND) {
        _mm256_storeu_ps(y, f);
    } else if (rows > 0) {
        _mm256_storeu_ps(all, f);
        memcpy(y, all, (size_t)rows * sizeof *y);
    }
}

AVX2_INLINE const struct activation_block *vector_of(const struct product *product, int32_t n)
{
    return product->activations->block + (size_t)n * product->activations->blocks;
}

/* Where row `row` of vector n's results is. */
AVX2_INLINE float *results_of(const struct product *product, int32_t n, int32_t row)
{
    return product->y + (size_t)n * product->y_stride + row;
}

/* Fetch the next `bytes` of what will be read later.  The rows of a band are one run of memory, so
 * that each line is asked for where it is first touched.  A core has about 20 lines on their way at
 * a time: what asks for more at once waits for them, so half is asked for where blocks are unpacked
 * and half, in small parts, where they are multiplied. */
AVX2_INLINE void prefetch(const char **ahead, size_t bytes)
{
    for (size_t line = 0; line < bytes; line += 64)
        _mm_prefetch(*ahead + line, _MM_HINT_T0);
    *ahead += bytes;
}

/* What is fetched while these rows are multiplied: those that follow them. */
AVX2_INLINE const char *prefetch_begin(const struct band *band, size_t bytes)
{
    return (const char *)band->row[0] + (bytes < PREFETCH_BYTES_MIN ? PREFETCH_BYTES_MIN : bytes);
}

/* ---- one vector and a few ---- */

/* Up to how many vectors are faster without a panel: where signs are taken off for it, more. */
AVX2_INLINE int direct_most(enum tensor_type type)
{
    return has_flips(type) ? TILE : DIRECT_VECTORS;
}

AVX2_INLINE void direct(enum tensor_type type, const struct product *product, int count)
{
    const struct activation_block *a[TILE];
    const size_t unit = (size_t)traits_of[type].unit_blocks;
    const size_t unit_bytes = (size_t)traits_of[type].unit_bytes;
    const size_t units = product->activations->blocks / unit;
    const size_t late_bytes = unit > 1 ? unit_bytes * BAND / 2 / unit : 0;
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
        a[n] = vector_of(product, n);
    for (int32_t row = product->row_begin; row < product->row_end; row += BAND) {
        const struct band band = band_of(product->matrix, row, product->row_end);
        const char *ahead = prefetch_begin(&band, BAND * product->matrix->row_bytes);
        __m256 f[TILE][PANEL_BANDS];
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
            f[n][0] = _mm256_setzero_ps();
        for (size_t i = 0; i < units; i++) {
            struct block block[UNIT_BLOCKS_MAX];
            prefetch(&ahead, unit_bytes * BAND - late_bytes * unit);
            unpack(type, &band, i * unit_bytes, block, 1);
            for (size_t b = 0; b < unit; b++) {
                prefetch(&ahead, late_bytes);
                multiply_block(type, block + b, 1, a, i * unit + b, count, f);
            }
        }
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
            store_rows(results_of(product, n, row), f[n][0], product->row_end - row);
    }
}

/* ---- several vectors ---- */

/* What a panel's blocks are multiplied from, and what is fetched meanwhile. */
struct panel {
    const struct block *block;
    size_t first, blocks; /* of a row */
    int32_t row;
    const char *ahead;
    size_t ahead_bytes; /* with each block of a tile */
};

/* The first `rows` of a panel's results; the others are 0. */
static float *copy_of_edge(float edge[MATRIX_GRAIN], const float *y, int32_t rows)
{
    memset(edge, 0, MATRIX_GRAIN * sizeof *edge);
    return memcpy(edge, y, (size_t)rows * sizeof *edge);
}

/* The panel's two bands times `count` vectors from `vector` on.  All rows of a panel are computed;
 * where the matrix has fewer, the results go through `edge`. */
AVX2_INLINE void tile(enum tensor_type type, const struct product *product, struct panel *panel,
                      int32_t vector, int count)
{
    const struct activation_block *a[TILE];
    const int32_t rows = product->row_end - panel->row;
    const size_t ahead_bytes = vector < PREFETCH_TILES * TILE ? panel->ahead_bytes : 0;
    float edge[TILE][MATRIX_GRAIN], *y[TILE];
    __m256 f[TILE][PANEL_BANDS];
#pragma GCC unroll 4
    for (int n = 0; n < count; n++) {
        a[n] = vector_of(product, vector + n) + panel->first;
        y[n] = results_of(product, vector + n, panel->row);
        _mm_prefetch((const char *)(y[n] + TILE * product->y_stride), _MM_HINT_T0);
        if (rows < MATRIX_GRAIN)
            y[n] = copy_of_edge(edge[n], y[n], rows);
        for (int r = 0; r < PANEL_BANDS; r++)
            f[n][r] = panel->first == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(y[n] + r * BAND);
    }
    for (size_t b = 0; b < panel->blocks; b++) {
        const struct block *block = panel->block + b * (size_t)panel_stride(type);
        prefetch(&panel->ahead, ahead_bytes);
        multiply_block(type, block, PANEL_BANDS, a, b, count, f);
    }
#pragma GCC unroll 4
    for (int n = 0; n < count; n++)
        for (int r = 0; r < PANEL_BANDS; r++)
            _mm256_storeu_ps(y[n] + r * BAND, f[n][r]);
    for (int n = 0; rows < MATRIX_GRAIN && n < count; n++)
        memcpy(results_of(product, vector + n, panel->row), edge[n], (size_t)rows * sizeof(float));
}

AVX2_INLINE void tiles(enum tensor_type type, const struct product *product, struct panel *panel)
{
    int32_t n = 0, left = product->activations->count;
    for (; left >= TILE; left -= TILE, n += TILE)
        tile(type, product, panel, n, TILE);
    if (left == 3)
        tile(type, product, panel, n, 3);
    else if (left == 2)
        tile(type, product, panel, n, 2);
    else if (left == 1)
        tile(type, product, panel, n, 1);
}

/* The unit at byte `at` of a band's rows, to the panel's blocks from `to` on. */
AVX2_INLINE void unpack_to_panel(enum tensor_type type, const struct band *band, size_t at,
                                 struct block *to)
{
    const int stride = panel_stride(type);
    unpack(type, band, at, to, stride);
    for (int b = 0; has_flips(type) && b < traits_of[type].unit_blocks; b++)
        take_signs(to + b * stride, to + b * stride + PANEL_BANDS);
}

AVX2_INLINE void panels(enum tensor_type type, const struct product *product)
{
    struct block block[PANEL_BLOCKS];
    const size_t stride = (size_t)panel_stride(type), panel_blocks = PANEL_BLOCKS / stride;
    const size_t unit = (size_t)traits_of[type].unit_blocks;
    const size_t unit_bytes = (size_t)traits_of[type].unit_bytes;
    const size_t blocks = product->activations->blocks;
    const size_t half_bytes = unit_bytes * MATRIX_GRAIN / 2; /* of a unit of all rows */
    struct panel panel = {.block = block};
    panel.ahead_bytes = half_bytes / unit;
    if (product->activations->count > TILE)
        panel.ahead_bytes /= PREFETCH_TILES;
    for (panel.row = product->row_begin; panel.row < product->row_end; panel.row += MATRIX_GRAIN) {
        const struct band bands[PANEL_BANDS] = {
            band_of(product->matrix, panel.row, product->row_end),
            band_of(product->matrix, panel.row + BAND, product->row_end),
        };
        panel.ahead = prefetch_begin(bands, MATRIX_GRAIN * product->matrix->row_bytes);
        for (panel.first = 0; panel.first < blocks; panel.first += panel_blocks) {
            const size_t left = blocks - panel.first;
            panel.blocks = left < panel_blocks ? left : panel_blocks;
            for (size_t b = 0; b < panel.blocks; b += unit) {
                prefetch(&panel.ahead, half_bytes);
                for (int r = 0; r < PANEL_BANDS; r++)
                    unpack_to_panel(type, bands + r, (panel.first + b) / unit * unit_bytes,
                                    block + b * stride + (size_t)r);
            }
            tiles(type, product, &panel);
        }
    }
}

AVX2_INLINE void multiply_type(enum tensor_type type, const struct product *product)
{
    const int count = product->activations->count;
    if (count == 1)
        direct(type, product, 1);
    else if (count == 2)
        direct(type, product, 2);
    else if (count == 3 && count <= direct_most(type))
        direct(type, product, 3);
    else if (count == 4 && count <= direct_most(type))
        direct(type, product, 4);
    else
        panels(type, product);
}

const struct kernels KERNELS_OF_AVX2 = {
    .name = KERNELS_OF_AVX2_NAME,
    .wide = &WIDE_OF_AVX2,
    KERNELS_FUNCTIONS,
};
