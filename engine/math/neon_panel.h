/* neon_panel.h - products with several vectors: up to PANEL_ROWS rows x PANEL_BLOCKS blocks are
 * unpacked to a panel on the stack, which stays in the first-level cache while tiles of eight rows
 * and up to four vectors pass over it.  The sums continue through y from one panel to the next: the
 * same order as with one vector.
 */
#ifndef MATH_NEON_PANEL_H
#define MATH_NEON_PANEL_H

#ifdef __ARM_FEATURE_MATMUL_INT8
#include "math/neon_pairs.h"
#else
#include "math/neon_tile.h"
#endif

enum { PANEL_STRIPS = 4, PANEL_ROWS = PANEL_STRIPS * STRIP_ROWS };

/* Some rows of a product, unpacked: strip s, block b at strip[s * PANEL_BLOCKS + b]. */
struct panel {
    const struct strip *strip;
    int32_t row, rows;
    size_t first, blocks; /* of each row */
};

/* The whole panel times `count` vectors, a constant where this is inlined. */
NEON_INLINE void tile_column(struct shape shape, const struct product *product,
                             const struct panel *panel, int32_t vector, int count)
{
    struct taken taken;
    take(product, panel->first, panel->blocks, vector, count, &taken);
    for (int32_t row = 0; row < panel->rows; row += STRIP_ROWS) {
        float *y = product->y + (size_t)vector * product->y_stride + (size_t)(panel->row + row);
        tile(shape, panel->strip + row / STRIP_ROWS * PANEL_BLOCKS, &taken, panel->blocks,
             panel->first == 0, y, product->y_stride, panel->rows - row, count);
    }
}

NEON_INLINE void tiles(struct shape shape, const struct product *product, const struct panel *panel)
{
    int32_t n = 0, left = product->activations->count;
    for (; left >= TILE; left -= TILE, n += TILE)
        tile_column(shape, product, panel, n, TILE);
    if (left == 3)
        tile_column(shape, product, panel, n, 3);
    else if (left == 2)
        tile_column(shape, product, panel, n, 2);
    else if (left == 1)
        tile_column(shape, product, panel, n, 1);
}

/* The tiles are the same for all types of one shape: their code exists once. */
static __attribute__((noinline)) void tiles_plain(const struct product *product,
                                                  const struct panel *panel)
{
    tiles((struct shape){false, false}, product, panel);
}

static __attribute__((noinline)) void tiles_minimum(const struct product *product,
                                                    const struct panel *panel)
{
    tiles((struct shape){false, true}, product, panel);
}

static __attribute__((noinline)) void tiles_parts(const struct product *product,
                                                  const struct panel *panel)
{
    tiles((struct shape){true, false}, product, panel);
}

static __attribute__((noinline)) void tiles_minimum_parts(const struct product *product,
                                                          const struct panel *panel)
{
    tiles((struct shape){true, true}, product, panel);
}

/* `blocks` blocks of eight rows, from byte `at` of each row on. */
NEON_INLINE void fill_strips(enum tensor_type type, const struct product *product, int32_t row,
                             size_t at, size_t blocks, struct strip *out)
{
    const struct traits traits = traits_of[type];
    const struct band band[STRIP_BANDS] = {band_of(product, row), band_of(product, row + BAND)};
    for (size_t i = 0; i < blocks; i += traits.unit_blocks, at += traits.unit_bytes) {
        struct header header[STRIP_BANDS];
        for (int r = 0; r < STRIP_BANDS; r++)
            unpack_begin(type, band + r, at, header + r);
#pragma GCC unroll 8
        for (int b = 0; b < (int)traits.unit_blocks; b++) {
            struct block block[STRIP_BANDS];
            for (int r = 0; r < STRIP_BANDS; r++)
                unpack(type, band + r, at, header + r, b, block + r);
            strip_store(traits.shape, block, out++);
        }
    }
}

NEON_INLINE void panels(enum tensor_type type, const struct product *product)
{
    struct strip strips[PANEL_STRIPS * PANEL_BLOCKS];
    const struct traits traits = traits_of[type];
    const size_t blocks = product->activations->blocks;
    for (int32_t row = product->row_begin; row < product->row_end; row += PANEL_ROWS)
        for (size_t first = 0; first < blocks; first += PANEL_BLOCKS) {
            int32_t left = product->row_end - row;
            const struct panel panel = {
                .strip = strips,
                .row = row,
                .rows = left < PANEL_ROWS ? left : PANEL_ROWS,
                .first = first,
                .blocks = blocks - first < PANEL_BLOCKS ? blocks - first : PANEL_BLOCKS,
            };
            for (int32_t i = 0; i < panel.rows; i += STRIP_ROWS)
                fill_strips(type, product, row + i, first / traits.unit_blocks * traits.unit_bytes,
                            panel.blocks, strips + i / STRIP_ROWS * PANEL_BLOCKS);
            if (traits.shape.has_parts && traits.shape.has_minimum)
                tiles_minimum_parts(product, &panel);
            else if (traits.shape.has_parts)
                tiles_parts(product, &panel);
            else if (traits.shape.has_minimum)
                tiles_minimum(product, &panel);
            else
                tiles_plain(product, &panel);
        }
}

#endif
