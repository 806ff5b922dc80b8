/* wide_avxvnni.c - the sums of wide.h with AVX-VNNI, which adds the products in one instruction. */
#include "math/wide_table.h"

#include <immintrin.h>

#ifdef AVXVNNI_EMULATION /* see avx2_dot.h */
#include AVXVNNI_EMULATION
#endif

void wide_sum_avxvnni(const int32_t *w, const int32_t *x, int32_t pairs,
                      int32_t out[WIDE_TILE][MATRIX_GRAIN])
{
    const __m256i *weights = (const __m256i *)(const void *)w;
    __m256i low[WIDE_TILE], high[WIDE_TILE];
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++)
        low[n] = high[n] = _mm256_setzero_si256();
#pragma GCC unroll 1
    for (int32_t k = 0; k < pairs; k++) {
#pragma GCC unroll 6
        for (int n = 0; n < WIDE_TILE; n++) {
            const __m256i pair = _mm256_set1_epi32(x[k * WIDE_TILE + n]);
            low[n] = _mm256_dpwssd_avx_epi32(low[n], pair, weights[2 * k]);
            high[n] = _mm256_dpwssd_avx_epi32(high[n], pair, weights[2 * k + 1]);
        }
    }
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++) {
        _mm256_storeu_si256((__m256i *)(void *)out[n], low[n]);
        _mm256_storeu_si256((__m256i *)(void *)&out[n][MATRIX_GRAIN / 2], high[n]);
    }
}
