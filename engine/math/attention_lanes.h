/* attention_lanes.h - attention over pages in sixteen lanes; included by each implementation.
 *
 * A row is one query of one token.  Up to ROWS rows go through a page together: scores (lanes are
 * positions, the head's dimensions in ascending order), each row's maximum, its weights
 * exp(score - maximum so far), then the values (lanes are dimensions, positions ascending).  Both
 * products work on tiles of up to TILE_ROWS rows that share each load of a key or a value, with all
 * their sums in registers.  Which rows share a tile changes nothing of a row's arithmetic.
 */
#ifndef MATH_ATTENTION_LANES_H
#define MATH_ATTENTION_LANES_H

#include "math/attention.h"
#include "math/lanes.h"
#include "math/vector_lanes.h"

#include <stdbool.h>

enum {
    ROWS = ATTENTION_ROWS,
    HEAD_GROUPS = ATTENTION_HEAD_SIZE_MAX / KV_GROUP,
    TILE_ROWS = 6, /* their sums, a key and a query fill the eight lanes of sixteen registers */
    WIDENED_ROWS = 2 * TILE_ROWS, /* from so many on bytes are made floats first */
};

/* What a page's numbers are: as the sequence holds them, or bytes made floats once for many rows
 * (that of halves takes no longer than loading floats does). */
enum page_form { PAGE_HALVES, PAGE_BYTES, PAGE_FLOATS };

/* A head's part of a page. */
struct page {
    enum page_form form;
    const uint8_t *keys, *values;
    int32_t position; /* of its first token */
    float key_scale[HEAD_GROUPS][KV_PAGE_TOKENS], value_scale[HEAD_GROUPS][KV_PAGE_TOKENS];
};

/* Rows in the order of their tokens, so that what they see begins and ends in ascending order. */
struct rows {
    const struct attention *attention;
    int32_t count;
    int32_t begin[ROWS], end[ROWS]; /* positions in sight */
    const float *query[ROWS];
    float *out[ROWS]; /* not yet divided by `sum` */
    float most[ROWS], sum[ROWS];
    float weight[ROWS][KV_PAGE_TOKENS]; /* scores, then their exponentials */
};

/* How many lanes side by side make a tile of so many rows: enough sums to hide the time that one
 * addition takes. */
LANES_INLINE int32_t columns_of(int rows)
{
    const int32_t columns = (rows == 1 ? 4 : rows == 2 ? 2 : 1) * LANES_HELD / 8;
    return columns < 4 ? columns : 4;
}

LANES_INLINE int32_t begin_in(const struct rows *rows, int32_t row, const struct page *page)
{
    const int32_t begin = rows->begin[row] - page->position;
    return begin > 0 ? begin : 0;
}

LANES_INLINE int32_t end_in(const struct rows *rows, int32_t row, const struct page *page)
{
    const int32_t end = rows->end[row] - page->position;
    return end < KV_PAGE_TOKENS ? end : KV_PAGE_TOKENS;
}

/* ---- scores ---- */

/* Dimension d of the keys at 16 positions from `position` on. */
LANES_INLINE struct lanes key_lanes(enum page_form form, const struct page *page, int32_t head_size,
                                    int32_t position, int32_t d)
{
    const int32_t at = position * head_size + d * LANES;
    if (form == PAGE_FLOATS)
        return lanes_load(page->keys + 4 * at);
    if (form == PAGE_HALVES)
        return lanes_load_half(page->keys + 2 * at);
    return lanes_multiply(lanes_load_bytes(page->keys + at),
                          lanes_load(page->key_scale[d / KV_GROUP] + position));
}

/* scale * query . K for `columns` times 16 positions from `position` on. */
LANES_INLINE void score_tile(enum page_form form, struct rows *rows, const struct page *page,
                             int32_t row, int count, int32_t position, int32_t columns)
{
    const struct attention *attention = rows->attention;
    const int32_t head_size = attention->head_size;
    const float *query[TILE_ROWS];
    struct lanes sum[TILE_ROWS][4];
#pragma GCC unroll 8
    for (int r = 0; r < count; r++) {
        query[r] = rows->query[row + r];
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++)
            sum[r][c] = lanes_set(0);
    }
    for (int32_t d = 0; d < head_size; d++) {
        struct lanes key[4];
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++)
            key[c] = key_lanes(form, page, head_size, position + c * LANES, d);
#pragma GCC unroll 8
        for (int r = 0; r < count; r++)
#pragma GCC unroll 4
            for (int32_t c = 0; c < columns; c++)
                sum[r][c] = lanes_fuse(key[c], lanes_set(query[r][d]), sum[r][c]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < count; r++)
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++) {
            struct lanes a = lanes_multiply(sum[r][c], lanes_set(attention->scale));
            lanes_store(rows->weight[row + r] + position + c * LANES, a);
        }
}

/* Scores of `count` rows from `row` on, for all positions that any of them sees; `count` is a
 * constant. */
LANES_INLINE void score_rows(enum page_form form, struct rows *rows, const struct page *page,
                             int32_t row, int count)
{
    const int32_t columns = columns_of(count), end = end_in(rows, row + count - 1, page);
    int32_t position = begin_in(rows, row, page) / LANES * LANES;
    for (; position + (columns - 1) * LANES < end; position += columns * LANES)
        score_tile(form, rows, page, row, count, position, columns);
    for (; columns > 1 && position < end; position += LANES)
        score_tile(form, rows, page, row, count, position, 1);
}

/* ---- weights ---- */

/* out = out * factor */
LANES_INLINE void shrink(float *out, int32_t head_size, float factor)
{
    for (int32_t d = 0; d < head_size; d += LANES) {
        struct lanes a = lanes_load_part(out + d, head_size - d, 0);
        lanes_store_part(out + d, lanes_multiply(a, lanes_set(factor)), head_size - d);
    }
}

/* What was summed before becomes less by e^(before - most). */
static void fade(struct rows *rows, int32_t row, float before, float most)
{
    float factor[LANES];
    lanes_store(factor, lanes_exp(lanes_set(before - most)));
    rows->most[row] = most;
    rows->sum[row] *= factor[0];
    shrink(rows->out[row], rows->attention->head_size, factor[0]);
}

static void cap_scores(float *score, float cap)
{
    for (int32_t i = 0; i < KV_PAGE_TOKENS; i += LANES)
        lanes_store(score + i, softly_capped(lanes_load(score + i), cap, 1 / cap));
}

/* Fill the places of a row that are out of sight. */
static void hide(struct rows *rows, const struct page *page, int32_t row, float value)
{
    for (int32_t i = 0; i < begin_in(rows, row, page); i++)
        rows->weight[row][i] = value;
    for (int32_t i = end_in(rows, row, page); i < KV_PAGE_TOKENS; i++)
        rows->weight[row][i] = value;
}

/* Turn the scores of some rows into weights; where a maximum grows, what was summed before shrinks.
 * Each loop goes over all rows, because the steps of one row wait for each other.  What is out of
 * sight adds zeros to a sum, which change nothing. */
static void soften(struct rows *rows, const struct page *page, int32_t row, int32_t count)
{
    const float cap = rows->attention->softcap;
    for (int32_t r = row; r < row + count; r++) {
        struct lanes largest = lanes_set(-INFINITY);
        if (cap > 0)
            cap_scores(rows->weight[r], cap);
        hide(rows, page, r, -INFINITY);
#pragma GCC unroll 4
        for (int32_t i = 0; i < KV_PAGE_TOKENS; i += LANES)
            largest = lanes_max(lanes_load(rows->weight[r] + i), largest);
        const float most = lanes_largest(largest), before = rows->most[r];
        if (most > before)
            fade(rows, r, before, most);
    }
    for (int32_t r = row; r < row + count; r++)
#pragma GCC unroll 4
        for (int32_t i = 0; i < KV_PAGE_TOKENS; i += LANES) {
            struct lanes a = lanes_load(rows->weight[r] + i);
            a = lanes_exp(lanes_subtract(a, lanes_set(rows->most[r])));
            lanes_store(rows->weight[r] + i, a);
        }
    for (int32_t r = row; r < row + count; r++) {
        struct lanes sum = lanes_set(0);
        hide(rows, page, r, 0);
#pragma GCC unroll 4
        for (int32_t i = 0; i < KV_PAGE_TOKENS; i += LANES)
            sum = lanes_add(sum, lanes_load(rows->weight[r] + i));
        rows->sum[r] += lanes_sum(sum);
    }
}

/* ---- values ---- */

/* 16 dimensions from `dimension` on (8 where the head ends) of the value at position i. */
LANES_INLINE struct lanes value_lanes(enum page_form form, const struct page *page,
                                      int32_t head_size, int32_t i, int32_t dimension, bool whole)
{
    const int32_t at = i * head_size + dimension;
    uint16_t half[LANES] = {0};
    if (form == PAGE_FLOATS)
        return lanes_load(page->values + 4 * at);
    if (form == PAGE_BYTES)
        return lanes_multiply(lanes_load_bytes(page->values + at),
                              lanes_set(page->value_scale[dimension / KV_GROUP][i]));
    if (whole)
        return lanes_load_half(page->values + 2 * at);
    memcpy(half, page->values + 2 * at, sizeof half / 2);
    return lanes_load_half(half);
}

/* out = out + weights . V for `columns` times 16 dimensions and positions [begin, end). */
LANES_INLINE void mix_tile(enum page_form form, struct rows *rows, const struct page *page,
                           int32_t row, int count, int32_t begin, int32_t end, int32_t dimension,
                           int32_t columns, bool whole)
{
    const int32_t head_size = rows->attention->head_size, part = whole ? LANES : LANES / 2;
    struct lanes sum[TILE_ROWS][4];
#pragma GCC unroll 8
    for (int r = 0; r < count; r++)
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++)
            sum[r][c] = lanes_load_part(rows->out[row + r] + dimension + c * LANES, part, 0);
    for (int32_t i = begin; i < end; i++) {
        struct lanes value[4];
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++)
            value[c] = value_lanes(form, page, head_size, i, dimension + c * LANES, whole);
#pragma GCC unroll 8
        for (int r = 0; r < count; r++)
#pragma GCC unroll 4
            for (int32_t c = 0; c < columns; c++)
                sum[r][c] = lanes_fuse(value[c], lanes_set(rows->weight[row + r][i]), sum[r][c]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < count; r++)
#pragma GCC unroll 4
        for (int32_t c = 0; c < columns; c++)
            lanes_store_part(rows->out[row + r] + dimension + c * LANES, sum[r][c], part);
}

/* The same for all dimensions; `count` is a constant. */
LANES_INLINE void mix_rows(enum page_form form, struct rows *rows, const struct page *page,
                           int32_t row, int count, int32_t begin, int32_t end)
{
    const int32_t head_size = rows->attention->head_size, columns = columns_of(count);
    int32_t d = 0;
    for (; d + columns * LANES <= head_size; d += columns * LANES)
        mix_tile(form, rows, page, row, count, begin, end, d, columns, true);
    for (; columns > 1 && d + LANES <= head_size; d += LANES)
        mix_tile(form, rows, page, row, count, begin, end, d, 1, true);
    if (d < head_size)
        mix_tile(form, rows, page, row, count, begin, end, d, 1, false);
}

static void mix_one(enum page_form form, struct rows *rows, const struct page *page, int32_t row,
                    int32_t begin, int32_t end)
{
    if (begin >= end)
        return;
    if (form == PAGE_FLOATS)
        mix_rows(PAGE_FLOATS, rows, page, row, 1, begin, end);
    else if (form == PAGE_HALVES)
        mix_rows(PAGE_HALVES, rows, page, row, 1, begin, end);
    else
        mix_rows(PAGE_BYTES, rows, page, row, 1, begin, end);
}

/* Each row over the positions that it sees: those that not all see one row at a time. */
LANES_INLINE void mix_seen(enum page_form form, struct rows *rows, const struct page *page,
                           int32_t row, int count)
{
    const int32_t begin = begin_in(rows, row + count - 1, page), end = end_in(rows, row, page);
    if (begin >= end) { /* they have no position in common */
        for (int32_t r = row; r < row + count; r++)
            mix_one(form, rows, page, r, begin_in(rows, r, page), end_in(rows, r, page));
        return;
    }
    for (int32_t r = row; r < row + count; r++)
        mix_one(form, rows, page, r, begin_in(rows, r, page), begin);
    mix_rows(form, rows, page, row, count, begin, end);
    for (int32_t r = row; r < row + count; r++)
        mix_one(form, rows, page, r, end, end_in(rows, r, page));
}

/* ---- pages ---- */

LANES_INLINE void attend_tile(enum page_form form, struct rows *rows, const struct page *page,
                              int32_t row, int count)
{
    score_rows(form, rows, page, row, count);
    soften(rows, page, row, count);
    mix_seen(form, rows, page, row, count);
}

/* Each number of rows has its own code, with its sums in registers. */
LANES_INLINE void attend_some(enum page_form form, struct rows *rows, const struct page *page,
                              int32_t row, int32_t count)
{
    switch (count) {
    case 1:
        attend_tile(form, rows, page, row, 1);
        break;
    case 2:
        attend_tile(form, rows, page, row, 2);
        break;
    case 3:
        attend_tile(form, rows, page, row, 3);
        break;
    case 4:
        attend_tile(form, rows, page, row, 4);
        break;
    case 5:
        attend_tile(form, rows, page, row, 5);
        break;
    default:
        attend_tile(form, rows, page, row, 6);
        break;
    }
}

static void attend_halves(struct rows *rows, const struct page *page, int32_t row, int32_t count)
{
    attend_some(PAGE_HALVES, rows, page, row, count);
}

static void attend_bytes(struct rows *rows, const struct page *page, int32_t row, int32_t count)
{
    attend_some(PAGE_BYTES, rows, page, row, count);
}

static void attend_floats(struct rows *rows, const struct page *page, int32_t row, int32_t count)
{
    attend_some(PAGE_FLOATS, rows, page, row, count);
}

static void load_scales(float (*out)[KV_PAGE_TOKENS], const uint8_t *scales, int32_t head_size)
{
    for (int32_t g = 0; g * KV_GROUP < head_size; g++)
        for (int32_t i = 0; i < KV_PAGE_TOKENS; i += LANES)
            lanes_store(out[g] + i, lanes_load_half(scales + 2 * (g * KV_PAGE_TOKENS + i)));
}

static void open_page(struct page *page, const struct attention *attention, int32_t index)
{
    const size_t size = (size_t)attention->head_size;
    const size_t bytes = kv_page_bytes(1, attention->head_size, attention->format);
    page->keys = attention->pages[index];
    page->keys += (size_t)attention->kv_head * bytes;
    page->values = page->keys + bytes / 2;
    page->position = index * KV_PAGE_TOKENS;
    page->form = attention->format == KV_F16 ? PAGE_HALVES : PAGE_BYTES;
    if (attention->format == KV_Q8_0) {
        load_scales(page->key_scale, page->keys + size * KV_PAGE_TOKENS, attention->head_size);
        load_scales(page->value_scale, page->values + size * KV_PAGE_TOKENS, attention->head_size);
    }
}

/* The positions [begin, end) of a page as floats; the last dimensions of a value may be followed by
 * anything. */
struct floats {
    float keys[KV_PAGE_TOKENS * ATTENTION_HEAD_SIZE_MAX];
    float values[KV_PAGE_TOKENS * ATTENTION_HEAD_SIZE_MAX + LANES / 2];
};

static void widen(struct page *page, int32_t head_size, int32_t begin, int32_t end,
                  struct floats *out)
{
    for (int32_t i = begin / LANES * LANES; i < end; i += LANES)
        for (int32_t d = 0; d < head_size; d++)
            lanes_store(out->keys + i * head_size + d * LANES,
                        key_lanes(PAGE_BYTES, page, head_size, i, d));
    for (int32_t i = begin; i < end; i++)
        for (int32_t d = 0; d < head_size; d += LANES)
            lanes_store(out->values + i * head_size + d,
                        value_lanes(PAGE_BYTES, page, head_size, i, d, true));
    page->keys = (const uint8_t *)out->keys;
    page->values = (const uint8_t *)out->values;
    page->form = PAGE_FLOATS;
}

/* The rows that see anything of a page, in tiles of nearly equal size. */
static void attend_page(struct rows *rows, int32_t index)
{
    struct page page;
    struct floats floats;
    int32_t first = 0, last = rows->count;
    open_page(&page, rows->attention, index);
    while (rows->end[first] <= page.position)
        first++;
    while (rows->begin[last - 1] >= page.position + KV_PAGE_TOKENS)
        last--;
    if (page.form == PAGE_BYTES && last - first >= WIDENED_ROWS)
        widen(&page, rows->attention->head_size, begin_in(rows, first, &page),
              end_in(rows, last - 1, &page), &floats);
    for (int32_t tiles = (last - first + TILE_ROWS - 1) / TILE_ROWS; tiles > 0; tiles--) {
        const int32_t count = (last - first + tiles - 1) / tiles;
        if (page.form == PAGE_FLOATS)
            attend_floats(rows, &page, first, count);
        else if (page.form == PAGE_HALVES)
            attend_halves(rows, &page, first, count);
        else
            attend_bytes(rows, &page, first, count);
        first += count;
    }
}

static void open_rows(struct rows *rows, const struct attention *attention, int32_t first,
                      int32_t count)
{
    rows->attention = attention;
    rows->count = count;
    for (int32_t r = 0; r < count; r++) {
        const int32_t token = (first + r) / attention->queries;
        const int32_t query = (first + r) % attention->queries;
        const size_t at =
            (size_t)token * attention->stride + (size_t)query * (size_t)attention->head_size;
        const int32_t end = attention->position + token + 1;
        const int32_t seen = attention->window ? attention->window : end;
        rows->begin[r] = end > seen ? end - seen : 0;
        rows->end[r] = end;
        rows->query[r] = attention->query + at;
        rows->out[r] = attention->out + at;
        rows->most[r] = -INFINITY;
        rows->sum[r] = 0;
        memset(rows->out[r], 0, (size_t)attention->head_size * sizeof(float));
    }
}

static void attend(const struct attention *attention)
{
    const int32_t total = attention->tokens * attention->queries;
    struct rows rows;
    for (int32_t first = 0; first < total; first += ROWS) {
        const int32_t count = total - first < ROWS ? total - first : ROWS;
        open_rows(&rows, attention, first, count);
        int32_t page = rows.begin[0] / KV_PAGE_TOKENS;
        for (; page * KV_PAGE_TOKENS < rows.end[count - 1]; page++)
            attend_page(&rows, page);
        for (int32_t r = 0; r < count; r++)
            shrink(rows.out[r], attention->head_size, 1.0f / rows.sum[r]);
    }
}

#endif
