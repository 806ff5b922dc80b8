/* text_attention_lanes.h - text_attention.h in sixteen lanes; included by each implementation.
 *
 * Keys are turned so that lanes are positions; values are read with dimensions in the lanes.  So no
 * sum crosses lanes but that of the weights.
 */
#ifndef MATH_TEXT_ATTENTION_LANES_H
#define MATH_TEXT_ATTENTION_LANES_H

#include "math/lanes.h"
#include "math/text_attention.h"

/* The room, cut up; counts are rounded up to 16. */
struct text_room {
    float *keys;   /* [positions / 16][head_size][16] */
    float *values; /* [positions][dimensions] */
    float *weight; /* [TEXT_QUERIES][positions] */
    int32_t positions, dimensions;
};

LANES_INLINE int32_t whole_lanes(int32_t count)
{
    return (count + LANES - 1) / LANES * LANES;
}

LANES_INLINE struct text_room text_room_of(const struct text_attention *attention)
{
    struct text_room room = {.positions = whole_lanes(attention->count),
                             .dimensions = whole_lanes(attention->head_size)};
    room.keys = attention->room;
    room.values = room.keys + (size_t)room.positions * (size_t)attention->head_size;
    room.weight = room.values + (size_t)attention->count * (size_t)room.dimensions;
    return room;
}

/* Keys and values into the room, extended by zeros. */
LANES_INLINE void text_gather(const struct text_attention *attention, const struct text_room *room)
{
    const int32_t size = attention->head_size;
    memset(room->keys + (size_t)(room->positions - LANES) * (size_t)size, 0,
           LANES * (size_t)size * sizeof *room->keys);
    for (int32_t n = 0; n < attention->count; n++) {
        const float *key = attention->key + (size_t)n * attention->key_stride;
        const float *value = attention->value + (size_t)n * attention->key_stride;
        float *lane = room->keys + (size_t)(n / LANES * LANES) * (size_t)size + n % LANES;
        for (int32_t d = 0; d < size; d++)
            lane[d * LANES] = key[d];
        for (int32_t d = 0; d < size; d += LANES)
            lanes_store(room->values + (size_t)n * (size_t)room->dimensions + d,
                        lanes_load_part(value + d, size - d, 0));
    }
}

/* Scores of four queries with 16 positions; of places behind the last one -infinity. */
LANES_INLINE void text_score(const struct text_attention *attention, const struct text_room *room,
                             const float *const *query, int32_t position)
{
    const int32_t size = attention->head_size;
    const float *keys = room->keys + (size_t)position * (size_t)size;
    struct lanes sum[TEXT_QUERIES];
#pragma GCC unroll 4
    for (int q = 0; q < TEXT_QUERIES; q++)
        sum[q] = lanes_set(0);
    for (int32_t d = 0; d < size; d++) {
        struct lanes key = lanes_load(keys + (size_t)d * LANES);
#pragma GCC unroll 4
        for (int q = 0; q < TEXT_QUERIES; q++)
            sum[q] = lanes_fuse(key, lanes_set(query[q][d]), sum[q]);
    }
#pragma GCC unroll 4
    for (int q = 0; q < TEXT_QUERIES; q++) {
        float *weight = room->weight + q * room->positions + position;
        lanes_store(weight, lanes_multiply(sum[q], lanes_set(attention->scale)));
        for (int32_t i = attention->count - position; i < LANES; i++)
            weight[i] = -INFINITY;
    }
}

/* Scores into their exponentials, relative to the largest; returns 1 / their sum. */
LANES_INLINE float text_soften(float *weight, int32_t positions)
{
    struct lanes largest = lanes_set(-INFINITY), sum = lanes_set(0);
    for (int32_t i = 0; i < positions; i += LANES)
        largest = lanes_max(lanes_load(weight + i), largest);
    const struct lanes most = lanes_set(lanes_largest(largest));
    for (int32_t i = 0; i < positions; i += LANES) {
        struct lanes a = lanes_exp(lanes_subtract(lanes_load(weight + i), most));
        lanes_store(weight + i, a);
        sum = lanes_add(sum, a);
    }
    return 1.0f / lanes_sum(sum);
}

/* Up to four queries from `first` on; those that are not there repeat the last one. */
LANES_INLINE void text_attend_some(const struct text_attention *attention,
                                   const struct text_room *room, int32_t first)
{
    const float *query[TEXT_QUERIES];
    float share[TEXT_QUERIES];
    for (int q = 0; q < TEXT_QUERIES; q++) {
        int32_t n = first + q < attention->count ? first + q : attention->count - 1;
        query[q] = attention->query + (size_t)n * attention->query_stride;
    }
    for (int32_t i = 0; i < room->positions; i += LANES)
        text_score(attention, room, query, i);
    for (int q = 0; q < TEXT_QUERIES; q++)
        share[q] = text_soften(room->weight + q * room->positions, room->positions);
    for (int32_t d = 0; d < attention->head_size; d += LANES) {
        struct lanes sum[TEXT_QUERIES];
#pragma GCC unroll 4
        for (int q = 0; q < TEXT_QUERIES; q++)
            sum[q] = lanes_set(0);
        for (int32_t i = 0; i < attention->count; i++) {
            struct lanes value =
                lanes_load(room->values + (size_t)i * (size_t)room->dimensions + d);
#pragma GCC unroll 4
            for (int q = 0; q < TEXT_QUERIES; q++)
                sum[q] =
                    lanes_fuse(value, lanes_set(room->weight[q * room->positions + i]), sum[q]);
        }
#pragma GCC unroll 4
        for (int q = 0; q < TEXT_QUERIES; q++)
            if (first + q < attention->count)
                lanes_store_part(attention->out + (size_t)(first + q) * attention->query_stride + d,
                                 lanes_multiply(sum[q], lanes_set(share[q])),
                                 attention->head_size - d);
    }
}

static void attend_text(const struct text_attention *attention)
{
    const struct text_room room = text_room_of(attention);
    text_gather(attention, &room);
    for (int32_t first = 0; first < attention->count; first += TEXT_QUERIES)
        text_attend_some(attention, &room, first);
}

#endif
