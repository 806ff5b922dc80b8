/* avx512_direct.h - one band times one vector, while the weights are in registers.
 *
 * The time should be that of reading the weights, so the common formats are unpacked no further
 * than the product needs: high nibbles stay where they are, sixteen times their value, and one
 * shift of their sum takes the place of a shift of each register.
 */
#ifndef MATH_AVX512_DIRECT_H
#define MATH_AVX512_DIRECT_H

#include "math/avx512_tile.h"

AVX512_INLINE __m512i dot(__m512i sum, __m512i u, const struct activation_block *a, int j)
{
    return _mm512_dpbusd_epi32(sum, u, broadcast(a->q + 4 * j));
}

/* The weights of a block in two chains of sums, because one would wait for its own results. */
AVX512_INLINE __m512i dot_block(enum form form, const __m512i u[GROUPS],
                                const struct activation_block *a)
{
    __m512i even = start_of(form, 0, a), odd = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int j = 0; j < GROUPS; j += 2) {
        even = dot(even, u[j], a, j);
        odd = dot(odd, u[j + 1], a, j + 1);
    }
    return _mm512_add_epi32(even, odd);
}

/* Q4_0 and Q4_1.  The high nibbles' sum starts from what all weights are too large by: a sixteenth
 * of 128 is the 8 of Q4_0. */
AVX512_INLINE __m512 direct_nibbles(enum tensor_type type, const struct place *place,
                                    const struct activation_block *a, __m512 f)
{
    const enum form form = traits_of[type].form;
    __m512i head = gather(place, 0), q[4];
    __m512i low = _mm512_setzero_si512(), high = start_of(form, 0, a);
    struct block w = {.scale = {low_half(head)}, .minimum = {high_half(head)}};
    transpose(place, (type == TENSOR_Q4_1 ? 4 : 2), q);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        low = dot(low, low_nibbles(q[j]), a, j);
        high = dot(high, high_nibbles_in_place(q[j]), a, j + 4);
    }
    __m512i sum = _mm512_add_epi32(low, _mm512_srai_epi32(high, 4));
    return finish(form, &w, 0, a, _mm512_cvtepi32_ps(sum), f);
}

/* Dwords 0 and 2, 1 and 3 of each quarter of a and of b. */
AVX512_INLINE __m512i add_dwords(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
}

AVX512_INLINE __m512i add_qwords(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Q8_0: each register holds two rows that lie four apart, and the sums are turned into lanes in
 * place of the weights, whose registers are twice as many. */
AVX512_INLINE __m512 direct_q8_0(const struct place *place, const struct activation_block *a,
                                 __m512 f)
{
    const __m512i x = _mm512_broadcast_i64x4(load_32_bytes((const uint8_t *)a->q));
    const size_t distance[4] = {0, place->one, 2 * place->one, place->three};
    __m512i sum[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const uint8_t *low = place->row[i / 4 * 2] + distance[i % 4] + 2;
        const uint8_t *high = place->row[i / 4 * 2 + 1] + distance[i % 4] + 2;
        __m512i w = _mm512_castsi256_si512(load_32_bytes(low));
        w = _mm512_inserti64x4(w, load_32_bytes(high), 1);
        w = _mm512_xor_si512(w, bytes_of(RAISED_BY));
        sum[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x);
    }
    __m512i first = add_qwords(add_dwords(sum[0], sum[1]), add_dwords(sum[2], sum[3]));
    __m512i second = add_qwords(add_dwords(sum[4], sum[5]), add_dwords(sum[6], sum[7]));
    __m512i even = _mm512_shuffle_i32x4(first, second, 0x88);
    __m512i odd = _mm512_shuffle_i32x4(first, second, 0xdd);
    __m512i all = _mm512_add_epi32(_mm512_add_epi32(even, odd), start_of(FORM_RAISED, 0, a));
    struct block w = {.scale = {low_half(gather(place, 0))}};
    return finish(FORM_RAISED, &w, 0, a, _mm512_cvtepi32_ps(all), f);
}

/* Q4_K and Q5_K: two blocks share their bytes. */
AVX512_INLINE __m512 direct_k(enum tensor_type type, const struct place *place,
                              const struct activation_block *a, __m512 f)
{
    const struct k_head head = unpack_k_head(place);
    const size_t low = type == TENSOR_Q5_K ? 48 : 16;
    const bool in_place = type == TENSOR_Q4_K;
    __m512i high[GROUPS] = {_mm512_setzero_si512()};
    if (type == TENSOR_Q5_K) {
        transpose(place, 16, high);
        transpose(place, 32, high + 4);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i u[2][GROUPS];
        unpack_k_pair(type, place, low, c, high, in_place, u[0], u[1]);
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            const int b = 2 * c + i;
            struct block w = {.scale = {k_scale(head.d, head.scale, b)},
                              .minimum = {k_scale(head.dmin, head.minimum, b)}};
            __m512i sum = dot_block(FORM_MINIMUM, u[i], a + b);
            if (i == 1 && in_place)
                sum = _mm512_srai_epi32(sum, 4);
            f = finish(FORM_MINIMUM, &w, 0, a + b, _mm512_cvtepi32_ps(sum), f);
        }
    }
    return f;
}

/* The exact sum of two halves with their scales. */
AVX512_INLINE __m512 join_parts(__m512i first, __m512 first_part, __m512i second,
                                __m512 second_part)
{
    __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(first), first_part);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), second_part, t);
}

/* Q6_K: the bytes of four blocks lie together, so that four pairs of sums grow side by side. */
AVX512_INLINE __m512 direct_q6_k(const struct place *place, const struct activation_block *a,
                                 __m512 f)
{
    __m512i scales[4];
    transpose(place, 192, scales);
    struct block w = {.scale = {high_half(gather(place, 206))}};
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        __m512i sum[2][4];
#pragma GCC unroll 2
        for (int c = 0; c < 2; c++) {
            __m512i u[16];
            const size_t low = (size_t)(h * 64 + c * 16);
            unpack_q6_k_quarter(place, low, (size_t)(128 + h * 32 + c * 16), u);
#pragma GCC unroll 4
            for (int b = 0; b < 4; b++) {
                sum[c][b] = start_of(FORM_RAISED_PARTS, c, a + 4 * h + b);
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++)
                    sum[c][b] = dot(sum[c][b], u[4 * b + i], a + 4 * h + b, 4 * c + i);
            }
        }
#pragma GCC unroll 4
        for (int b = 0; b < 4; b++) {
            const __m512i bytes = scales[2 * h + b / 2];
            __m512 t = join_parts(sum[0][b], signed_byte(bytes, b % 2 * 2), sum[1][b],
                                  signed_byte(bytes, b % 2 * 2 + 1));
            f = finish(FORM_RAISED_PARTS, &w, 0, a + 4 * h + b, t, f);
        }
    }
    return f;
}

/* One unpacked block. */
AVX512_INLINE __m512 direct_block(enum form form, const struct block *w,
                                  const struct activation_block *a, __m512 f)
{
    if (has_parts(form)) {
        __m512i sum[2] = {start_of(form, 0, a), start_of(form, 1, a)};
#pragma GCC unroll 8
        for (int j = 0; j < GROUPS; j++)
            sum[j / 4] = dot(sum[j / 4], w->u[j][0], a, j);
        return finish(form, w, 0, a, join_parts(sum[0], w->part[0][0], sum[1], w->part[1][0]), f);
    }
    __m512i u[GROUPS];
#pragma GCC unroll 8
    for (int j = 0; j < GROUPS; j++)
        u[j] = w->u[j][0];
    return finish(form, w, 0, a, _mm512_cvtepi32_ps(dot_block(form, u, a)), f);
}

/* The other formats: unpacked like a panel's, and multiplied from there. */
AVX512_INLINE __m512 direct_unpacked(enum tensor_type type, const struct place *place,
                                     const struct activation_block *a, __m512 f)
{
    struct block block[UNIT_BLOCKS_MAX];
    unpack(type, place, block, 0);
    for (int b = 0; b < traits_of[type].unit_blocks; b++)
        f = direct_block(traits_of[type].form, block + b, a + b, f);
    return f;
}

/* f continued by the unit at byte `at` of the rows. */
AVX512_INLINE __m512 direct(enum tensor_type type, const struct place *place,
                            const struct activation_block *a, __m512 f)
{
    if (type == TENSOR_Q4_0 || type == TENSOR_Q4_1)
        return direct_nibbles(type, place, a, f);
    if (type == TENSOR_Q8_0)
        return direct_q8_0(place, a, f);
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K)
        return direct_k(type, place, a, f);
    if (type == TENSOR_Q6_K)
        return direct_q6_k(place, a, f);
    return direct_unpacked(type, place, a, f);
}

#endif
