/* avx512.c - the kernels for x86 with AVX-512 and its VNNI (compiled with exactly these).
 *
 * Products with quantised weights: sixteen rows in the lanes of a register, the activations
 * broadcast, vpdpbusd for four products a lane.  No horizontal sums, no scalar scale, and each
 * output is produced in one lane by one order of operations whatever the number of vectors.  Two
 * ways through the same arithmetic:
 *
 *   one vector       each block is multiplied while it is in registers (avx512_direct.h); the time
 *                    is that of reading the weights;
 *   several vectors  32 rows x PANEL_BLOCKS blocks are unpacked to a panel on the stack that stays
 *                    in the first-level cache while tiles of up to six vectors pass over it
 *                    (avx512_tile.h); the sums continue through y from one panel to the next.
 */
#include "math/attention_lanes.h"
#include "math/avx2_quantise.h"
#include "math/avx512_direct.h"
#include "math/avx512_tile.h"
#include "math/multiply.h"
#include "math/table.h"
#include "math/vector_lanes.h"

enum {
    PANEL_BLOCKS = 16, /* about 20 KiB of the first-level cache */
    PANEL_ROWS = PANEL_BANDS * BAND,
    MACRO_ROWS = 8 * PANEL_ROWS, /* rows whose y stay in the second-level cache */
    STREAM_BYTES = 256 << 10,    /* activations that stay there beside the weights */
    LINE = 64,
};

/* The band that computes row `row` and those after it.  Rows that are too long for distances of 32
 * bits have bands of their own too. */
AVX512_INLINE struct band band_of(const struct product *product, int32_t row)
{
    const struct matrix *matrix = product->matrix;
    const int32_t left = product->row_end - row;
    struct band band = {.stride = matrix->row_bytes, .row = row, .rows = BAND, .mask = 0xffff};
    if (product->row_end < BAND || matrix->row_bytes > INT32_MAX / BAND) {
        band.stride = 0;
        band.rows = 1;
        band.mask = 1;
    } else if (left < BAND) {
        band.row = product->row_end - BAND;
        band.rows = left;
        band.mask = (__mmask16)(0xffff << (BAND - left));
    }
    band.first = matrix->data + (size_t)band.row * matrix->row_bytes;
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    band.distance = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)band.stride));
    return band;
}

/* ---- one vector ---- */

/* Fetch the next `bytes` of what will be read a band from now.  A band's rows are one run of
 * memory, so that every line is asked for once. */
AVX512_INLINE void prefetch(const char **ahead, size_t bytes)
{
    for (size_t line = 0; line < bytes; line += LINE)
        _mm_prefetch(*ahead + line, _MM_HINT_T1);
    *ahead += bytes;
}

AVX512_INLINE void multiply_vector(enum tensor_type type, const struct product *product)
{
    const size_t unit = (size_t)traits_of[type].unit_blocks;
    const size_t unit_bytes = (size_t)traits_of[type].unit_bytes;
    for (int32_t row = product->row_begin; row < product->row_end;) {
        const struct band band = band_of(product, row);
        const struct activation_block *a = product->activations->block;
        const struct activation_block *const end = a + product->activations->blocks;
        const char *ahead = (const char *)band.first + BAND * product->matrix->row_bytes;
        __m512 f = _mm512_setzero_ps();
        for (size_t at = 0; a < end; a += unit, at += unit_bytes) {
            const struct place place = place_of(&band, at);
            prefetch(&ahead, unit_bytes * BAND);
            f = direct(type, &place, a, f);
        }
        _mm512_mask_storeu_ps(product->y + band.row, band.mask, f);
        row += band.rows;
    }
}

/* ---- several vectors ---- */

/* Blocks first..first+blocks-1 of two bands, and where they are. */
struct panel {
    struct band band[PANEL_BANDS];
    size_t first, blocks;
    size_t first_byte, bytes; /* of each row */
    struct block *block;
};

/* Ask for the lines of row i of the panel that follows. */
AVX512_INLINE void prefetch_row(const struct product *product, const struct panel *panel, size_t i)
{
    const char *at = (const char *)panel->band[0].first + panel->first_byte;
    at += (PANEL_ROWS + i) * product->matrix->row_bytes;
    for (size_t line = 0; line < panel->bytes; line += LINE)
        _mm_prefetch(at + line, _MM_HINT_T1);
}

/* The next panel's rows are asked for in equal parts beside each unit. */
AVX512_INLINE void unpack_panel(enum tensor_type type, const struct product *product,
                                const struct panel *panel)
{
    const size_t unit = (size_t)traits_of[type].unit_blocks;
    const size_t unit_bytes = (size_t)traits_of[type].unit_bytes;
    const size_t rows = PANEL_ROWS * unit / PANEL_BLOCKS;
    size_t at = panel->first_byte, fetched = 0;
    for (size_t b = 0; b < panel->blocks; b += unit, at += unit_bytes) {
        for (size_t i = 0; i < rows; i++)
            prefetch_row(product, panel, fetched++);
        for (int r = 0; r < PANEL_BANDS; r++) {
            const struct place place = place_of(panel->band + r, at);
            unpack(type, &place, panel->block + b, r);
        }
    }
}

/* Ask for the results so far of vectors n..n+count-1: they lie farther apart than the processor
 * looks ahead by itself. */
static void prefetch_results(const struct product *product, const struct panel *panel, int32_t n,
                             int32_t count)
{
    for (int32_t i = n; i < n + count && i < product->activations->count; i++)
        for (int r = 0; r < PANEL_BANDS; r++) {
            const float *y = product->y + (size_t)i * product->y_stride + panel->band[r].row;
            _mm_prefetch((const char *)y, _MM_HINT_T0);
        }
}

/* All vectors, in tiles of nearly equal numbers. */
static void multiply_panel(enum form form, const struct product *product, const struct panel *panel)
{
    const struct activations *activations = product->activations;
    const int32_t most = has_parts(form) ? TILE_PARTS : TILE;
    struct tile tile = {
        .panel = panel->block,
        .blocks = panel->blocks,
        .a_stride = activations->blocks,
        .y_stride = product->y_stride,
        .mask = {panel->band[0].mask, panel->band[1].mask},
        .is_first = panel->first == 0,
    };
    for (int32_t n = 0, count; n < activations->count; n += count) {
        const int32_t left = activations->count - n, tiles = (left + most - 1) / most;
        count = (left + tiles - 1) / tiles;
        tile.a = activations->block + (size_t)n * activations->blocks + panel->first;
        for (int r = 0; r < PANEL_BANDS; r++)
            tile.y[r] = product->y + (size_t)n * product->y_stride + panel->band[r].row;
        prefetch_results(product, panel, n + count, count);
        tile_of_form[form](&tile, count);
    }
}

/* Rows row..end-1 times the blocks from `first` on that make a panel. */
AVX512_INLINE void multiply_panels(enum tensor_type type, const struct product *product,
                                   int32_t row, int32_t end, size_t first)
{
    struct block block[PANEL_BLOCKS];
    const size_t left = product->activations->blocks - first;
    const size_t blocks = left < PANEL_BLOCKS ? left : PANEL_BLOCKS;
    const size_t unit = (size_t)traits_of[type].unit_blocks;
    const size_t unit_bytes = (size_t)traits_of[type].unit_bytes;
    while (row < end) {
        struct panel panel = {
            .band = {band_of(product, row)},
            .first = first,
            .blocks = blocks,
            .first_byte = first / unit * unit_bytes,
            .bytes = blocks / unit * unit_bytes,
            .block = block,
        };
        row += panel.band[0].rows;
        panel.band[1] = row < end ? band_of(product, row) : panel.band[0];
        if (row < end)
            row += panel.band[1].rows;
        else
            panel.band[1].mask = 0;
        unpack_panel(type, product, &panel);
        multiply_panel(traits_of[type].form, product, &panel);
    }
}

/* Few vectors: all blocks of 32 rows, then of the next, as they lie in memory.  Many: the same
 * blocks of many rows, while the vectors' part of them stays in the second-level cache. */
AVX512_INLINE void multiply_vectors(enum tensor_type type, const struct product *product)
{
    const size_t blocks = product->activations->blocks;
    const size_t bytes =
        (size_t)product->activations->count * blocks * sizeof(struct activation_block);
    const int32_t step = bytes <= STREAM_BYTES ? PANEL_ROWS : MACRO_ROWS;
    for (int32_t row = product->row_begin; row < product->row_end; row += step) {
        const int32_t end = product->row_end - row < step ? product->row_end : row + step;
        for (size_t first = 0; first < blocks; first += PANEL_BLOCKS)
            multiply_panels(type, product, row, end, first);
    }
}

AVX512_INLINE void multiply_type(enum tensor_type type, const struct product *product)
{
    if (product->activations->count == 1)
        multiply_vector(type, product);
    else
        multiply_vectors(type, product);
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .wide = &wide_avx512,
    KERNELS_FUNCTIONS,
};
