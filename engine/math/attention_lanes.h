/* attention_lanes.h - attention over pages in sixteen lanes; included by each implementation.
 *
 * Up to four query heads share each load of a key or a value.  Per page: scores (lanes are
 * positions, the head's dimensions in ascending order), the page's maximum, the weights
 * exp(score - maximum so far), then the values (lanes are dimensions, positions ascending).
 */
#ifndef MATH_ATTENTION_LANES_H
#define MATH_ATTENTION_LANES_H

#include "math/attention.h"
#include "math/lanes.h"
#include "math/vector_lanes.h"

enum { QUERIES = 4 }; /* heads at a time: 8 accumulators of the 16 registers of AVX2 */

struct attended {
    float out[QUERIES][ATTENTION_HEAD_SIZE_MAX]; /* not yet divided by `sum` */
    float weight[QUERIES][KV_PAGE_TOKENS];       /* scores, then their exponentials */
    float most[QUERIES];
    float sum[QUERIES];
};

/* scale * query . K for the 16 positions from `position` of the page on. */
LANES_INLINE void score(struct attended *state, const uint16_t *keys, const float *query,
                        const struct attention *attention, int32_t position, int queries)
{
    const int32_t head_size = attention->head_size;
    const float cap = attention->softcap;
    struct lanes sum[QUERIES];
#pragma GCC unroll 4
    for (int q = 0; q < queries; q++)
        sum[q] = lanes_set(0);
    for (int32_t d = 0; d < head_size; d++) {
        struct lanes key = lanes_load_half(keys + position * head_size + d * LANES);
#pragma GCC unroll 4
        for (int q = 0; q < queries; q++)
            sum[q] = lanes_fuse(key, lanes_set(query[q * head_size + d]), sum[q]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < queries; q++)
        lanes_store(state->weight[q] + position,
                    lanes_multiply(sum[q], lanes_set(attention->scale)));
    for (int q = 0; cap > 0 && q < queries; q++) {
        struct lanes a = lanes_load(state->weight[q] + position);
        lanes_store(state->weight[q] + position, softly_capped(a, cap, 1 / cap));
    }
}

/* Fill the places before `begin` in its group of 16 positions, which are out of sight. */
LANES_INLINE void hide(float *weight, int32_t begin, float value)
{
    for (int32_t i = begin / LANES * LANES; i < begin; i++)
        weight[i] = value;
}

/* Turn a page's scores into weights; what was summed before shrinks by the factor returned. */
LANES_INLINE float soften(struct attended *state, int q, int32_t begin, int32_t count)
{
    float *weight = state->weight[q];
    struct lanes largest = lanes_set(-INFINITY);
    const int32_t start = begin / LANES * LANES;
    hide(weight, begin, -INFINITY);
    for (int32_t i = start; i < count; i += LANES)
        largest = lanes_max(lanes_load_part(weight + i, count - i, -INFINITY), largest);
    float before = state->most[q], page = lanes_largest(largest);
    float most = page > before ? page : before;
    struct lanes sum = lanes_set(0), shrunk = lanes_exp(lanes_set(before - most));
    for (int32_t i = start; i < count; i += LANES) {
        struct lanes a = lanes_load_part(weight + i, count - i, -INFINITY);
        lanes_store(weight + i, lanes_exp(lanes_subtract(a, lanes_set(most))));
        if (i < begin)
            hide(weight, begin, 0);
        sum = lanes_add(sum, lanes_load_part(weight + i, count - i, 0));
    }
    float factor[LANES];
    lanes_store(factor, shrunk);
    state->most[q] = most;
    state->sum[q] = state->sum[q] * factor[0] + lanes_sum(sum);
    return factor[0];
}

/* out = out * factor + weights . V for 16 dimensions. */
LANES_INLINE void mix(struct attended *state, const uint16_t *values, int32_t head_size,
                      int32_t dimension, int32_t begin, int32_t count, int queries,
                      const float *factor)
{
    struct lanes sum[QUERIES];
#pragma GCC unroll 4
    for (int q = 0; q < queries; q++)
        sum[q] = lanes_multiply(lanes_load(state->out[q] + dimension), lanes_set(factor[q]));
    for (int32_t i = begin; i < count; i++) {
        struct lanes value = lanes_load_half(values + i * head_size + dimension);
#pragma GCC unroll 4
        for (int q = 0; q < queries; q++)
            sum[q] = lanes_fuse(value, lanes_set(state->weight[q][i]), sum[q]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < queries; q++)
        lanes_store(state->out[q] + dimension, sum[q]);
}

/* The last 8 dimensions of a head whose size is not a multiple of 16: copied out, because 16
 * values of the page's last position would end behind the page. */
LANES_INLINE void mix_last(struct attended *state, const uint16_t *values, int32_t head_size,
                           int32_t begin, int32_t count, int queries, const float *factor)
{
    uint16_t padded[KV_PAGE_TOKENS * LANES];
    int32_t dimension = head_size / LANES * LANES, left = head_size - dimension;
    memset(padded, 0, sizeof padded);
    for (int32_t i = begin; i < count; i++)
        memcpy(padded + i * LANES, values + i * head_size + dimension, (size_t)left * 2);
    struct lanes sum[QUERIES];
    for (int q = 0; q < queries; q++) {
        sum[q] = lanes_multiply(lanes_load(state->out[q] + dimension), lanes_set(factor[q]));
        for (int32_t i = begin; i < count; i++)
            sum[q] = lanes_fuse(lanes_load_half(padded + i * LANES), lanes_set(state->weight[q][i]),
                                sum[q]);
        lanes_store(state->out[q] + dimension, sum[q]);
    }
}

LANES_INLINE void attend_page(struct attended *state, const struct attention *attention,
                              const float *query, int32_t page, int queries)
{
    int32_t head_size = attention->head_size, count = attention->length - page * KV_PAGE_TOKENS;
    int32_t begin = attention->first - page * KV_PAGE_TOKENS;
    const uint16_t *keys = attention->pages[page];
    keys += (size_t)attention->kv_head * 2 * KV_PAGE_TOKENS * (size_t)head_size;
    const uint16_t *values = keys + (size_t)KV_PAGE_TOKENS * (size_t)head_size;
    float factor[QUERIES];
    count = count < KV_PAGE_TOKENS ? count : KV_PAGE_TOKENS;
    begin = begin > 0 ? begin : 0;
    for (int32_t i = begin / LANES * LANES; i < count; i += LANES)
        score(state, keys, query, attention, i, queries);
    for (int q = 0; q < queries; q++)
        factor[q] = soften(state, q, begin, count);
    int32_t dimension = 0;
    for (; dimension + LANES <= head_size; dimension += LANES)
        mix(state, values, head_size, dimension, begin, count, queries, factor);
    if (dimension < head_size)
        mix_last(state, values, head_size, begin, count, queries, factor);
}

LANES_INLINE void attend_group(const struct attention *attention, int32_t first, int queries)
{
    struct attended state;
    int32_t head_size = attention->head_size;
    const float *query = attention->query + (size_t)first * (size_t)head_size;
    for (int q = 0; q < queries; q++) {
        for (int32_t d = 0; d < head_size; d += LANES)
            lanes_store(state.out[q] + d, lanes_set(0));
        state.most[q] = -INFINITY;
        state.sum[q] = 0;
    }
    int32_t page = attention->first / KV_PAGE_TOKENS;
    for (; page * KV_PAGE_TOKENS < attention->length; page++)
        attend_page(&state, attention, query, page, queries);
    for (int q = 0; q < queries; q++) {
        float *out = attention->out + (size_t)(first + q) * (size_t)head_size;
        struct lanes scale = lanes_set(1.0f / state.sum[q]);
        for (int32_t d = 0; d < head_size; d += LANES)
            lanes_store_part(out + d, lanes_multiply(lanes_load(state.out[q] + d), scale),
                             head_size - d);
    }
}

static void attend(const struct attention *attention)
{
    int32_t first = 0, left;
    for (; (left = attention->queries - first) >= QUERIES; first += QUERIES)
        attend_group(attention, first, 4);
    switch (left) { /* constants: each gets its own code, with its sums in registers */
    case 3:
        attend_group(attention, first, 3);
        break;
    case 2:
        attend_group(attention, first, 2);
        break;
    case 1:
        attend_group(attention, first, 1);
        break;
    default:
        break;
    }
}

#endif
