/* avx512_tile.h - blocks of 2 x 16 unpacked rows times up to six vectors.
 *
 * The integer sums and the results so far of 2 x 6 registers each, two of weights and one of
 * activations leave three of the 32 for the rest.  Formats with parts need a third register for
 * each sum and therefore take four vectors.
 *
 * All activations of a vector are read at constant distances from one address, and a sum of raised
 * weights starts from what they are too large by, so that nothing but vpdpbusd occupies the ports
 * that multiply.
 */
#ifndef MATH_AVX512_TILE_H
#define MATH_AVX512_TILE_H

#include "math/avx512_unpack.h"
#include "math/table.h"

#include <stdbool.h>
#include <string.h>

enum { TILE = 6, TILE_PARTS = 4 }; /* vectors of a tile */

/* Fixed bounds: with the number of vectors gcc would make arrays of variable length of these. */
typedef __m512i tile_sums[TILE][PANEL_BANDS];
typedef __m512 tile_floats[TILE][PANEL_BANDS];

/* The blocks of a panel times some vectors, continuing y. */
struct tile {
    const struct block *panel;
    size_t blocks;
    const struct activation_block *a; /* of the first vector and the panel's first block */
    size_t a_stride;                  /* blocks from one vector to the next */
    float *y[PANEL_BANDS];            /* of lane 0 of each band and the first vector */
    size_t y_stride;
    __mmask16 mask[PANEL_BANDS];
    bool is_first; /* the sums start at 0 in place of y */
};

AVX512_INLINE bool has_parts(enum form form)
{
    return form == FORM_RAISED_PARTS || form == FORM_MINIMUM_PARTS;
}

/* The dword at `from` in every lane. */
AVX512_INLINE __m512i broadcast(const void *from)
{
    int32_t dword;
    memcpy(&dword, from, sizeof dword);
    return _mm512_set1_epi32(dword);
}

/* Where a sum starts, of the whole block or of half `part` of it. */
AVX512_INLINE __m512i start_of(enum form form, int part, const struct activation_block *a)
{
    const __m512i zero = _mm512_setzero_si512();
    if (form == FORM_RAISED)
        return _mm512_set1_epi32(a->start);
    if (form == FORM_RAISED_PARTS) {
        const int first = -PART_RAISED_BY & 0xffff, second = -PART_RAISED_BY * 65536;
        return _mm512_dpwssd_epi32(zero, _mm512_set1_epi32(part ? second : first),
                                   broadcast(a->half));
    }
    return zero;
}

/* f continued by one block, from its exact sum t: the canonical arithmetic. */
AVX512_INLINE __m512 finish(enum form form, const struct block *w, int r,
                            const struct activation_block *a, __m512 t, __m512 f)
{
    const __m512 scale = _mm512_set1_ps(a->scale);
    f = _mm512_fmadd_ps(t, _mm512_mul_ps(w->scale[r], scale), f);
    if (form == FORM_MINIMUM)
        return _mm512_fmadd_ps(_mm512_set1_ps(a->sum), w->minimum[r], f);
    if (form == FORM_MINIMUM_PARTS) {
        __m512i sum = _mm512_setzero_si512();
        sum = _mm512_dpwssd_epi32(sum, w->minima[r], broadcast(a->half));
        f = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(w->minimum[r], scale), f);
    }
    return f;
}

/* The sums of `count` vectors over groups first..last-1 of a block. */
AVX512_INLINE void multiply_groups(const struct block *w, const struct activation_block *a,
                                   size_t a_stride, int count, int first, int last, tile_sums sum)
{
#pragma GCC unroll 8
    for (int j = first; j < last; j++) {
        const __m512i w0 = w->u[j][0], w1 = w->u[j][1];
#pragma GCC unroll 6
        for (int n = 0; n < count; n++) {
            __m512i x = broadcast(a[(size_t)n * a_stride].q + 4 * j);
            sum[n][0] = _mm512_dpbusd_epi32(sum[n][0], w0, x);
            sum[n][1] = _mm512_dpbusd_epi32(sum[n][1], w1, x);
        }
    }
}

/* f of every vector continued by one block. */
AVX512_INLINE void multiply_block(enum form form, const struct block *w,
                                  const struct activation_block *a, size_t a_stride, int count,
                                  tile_floats f)
{
    const int parts = has_parts(form) ? 2 : 1;
    tile_floats t;
#pragma GCC unroll 2
    for (int part = 0; part < parts; part++) {
        tile_sums sum;
#pragma GCC unroll 6
        for (int n = 0; n < count; n++)
            sum[n][0] = sum[n][1] = start_of(form, part, a + (size_t)n * a_stride);
        multiply_groups(w, a, a_stride, count, part * 4, part * 4 + GROUPS / parts, sum);
#pragma GCC unroll 6
        for (int n = 0; n < count; n++)
#pragma GCC unroll 2
            for (int r = 0; r < PANEL_BANDS; r++) {
                __m512 next = _mm512_cvtepi32_ps(sum[n][r]);
                if (parts == 1)
                    t[n][r] = next;
                else if (part == 0)
                    t[n][r] = _mm512_mul_ps(next, w->part[0][r]); /* all of these are exact */
                else
                    t[n][r] = _mm512_fmadd_ps(next, w->part[1][r], t[n][r]);
            }
    }
#pragma GCC unroll 6
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < PANEL_BANDS; r++)
            f[n][r] = finish(form, w, r, a + (size_t)n * a_stride, t[n][r], f[n][r]);
}

AVX512_INLINE void multiply_tile(enum form form, const struct tile *tile, int count)
{
    const struct block *w = tile->panel, *end = w + tile->blocks;
    const struct activation_block *a = tile->a;
    const size_t a_stride = tile->a_stride;
    tile_floats f;
#pragma GCC unroll 6
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < PANEL_BANDS; r++) {
            const float *y = tile->y[r] + (size_t)n * tile->y_stride;
            f[n][r] =
                tile->is_first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(tile->mask[r], y);
        }
    for (; w < end; w++, a++)
        multiply_block(form, w, a, a_stride, count, f);
#pragma GCC unroll 6
    for (int n = 0; n < count; n++)
#pragma GCC unroll 2
        for (int r = 0; r < PANEL_BANDS; r++)
            _mm512_mask_storeu_ps(tile->y[r] + (size_t)n * tile->y_stride, tile->mask[r], f[n][r]);
}

/* Each number of vectors has its own code with its sums in registers, and each form one function,
 * so that the loops of its callers claim none of them. */
AVX512_INLINE void multiply_any_tile(enum form form, const struct tile *tile, int count)
{
    switch (count) {
    case 6:
        if (!has_parts(form))
            multiply_tile(form, tile, 6);
        break;
    case 5:
        if (!has_parts(form))
            multiply_tile(form, tile, 5);
        break;
    case 4:
        multiply_tile(form, tile, 4);
        break;
    case 3:
        multiply_tile(form, tile, 3);
        break;
    case 2:
        multiply_tile(form, tile, 2);
        break;
    default:
        multiply_tile(form, tile, 1);
        break;
    }
}

static __attribute__((noinline)) void tile_raised(const struct tile *tile, int count)
{
    multiply_any_tile(FORM_RAISED, tile, count);
}

static __attribute__((noinline)) void tile_minimum(const struct tile *tile, int count)
{
    multiply_any_tile(FORM_MINIMUM, tile, count);
}

static __attribute__((noinline)) void tile_raised_parts(const struct tile *tile, int count)
{
    multiply_any_tile(FORM_RAISED_PARTS, tile, count);
}

static __attribute__((noinline)) void tile_minimum_parts(const struct tile *tile, int count)
{
    multiply_any_tile(FORM_MINIMUM_PARTS, tile, count);
}

static void (*const tile_of_form[FORMS])(const struct tile *tile, int count) = {
    [FORM_RAISED] = tile_raised,
    [FORM_MINIMUM] = tile_minimum,
    [FORM_RAISED_PARTS] = tile_raised_parts,
    [FORM_MINIMUM_PARTS] = tile_minimum_parts,
};

#endif
