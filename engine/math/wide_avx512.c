/* wide_avx512.c - the sums of wide.h with AVX-512 VNNI: sixteen rows in a register.  An instruction
 * takes five cycles and two start in each, so that twice the tile's six sums are kept, of even and
 * of odd pairs. */
#include "math/avx512_intrinsics.h"
#include "math/wide_table.h"

void wide_sum_avx512(const int32_t *w, const int32_t *x, int32_t pairs,
                     int32_t out[WIDE_TILE][MATRIX_GRAIN])
{
    __m512i even[WIDE_TILE], odd[WIDE_TILE];
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++)
        even[n] = odd[n] = _mm512_setzero_si512();
#pragma GCC unroll 1
    for (int32_t k = 0; k < pairs; k += 2) {
        const __m512i first = _mm512_loadu_si512(w + k * MATRIX_GRAIN);
        const __m512i second = _mm512_loadu_si512(w + (k + 1) * MATRIX_GRAIN);
#pragma GCC unroll 6
        for (int n = 0; n < WIDE_TILE; n++) {
            even[n] = _mm512_dpwssd_epi32(even[n], first, _mm512_set1_epi32(x[k * WIDE_TILE + n]));
            odd[n] =
                _mm512_dpwssd_epi32(odd[n], second, _mm512_set1_epi32(x[(k + 1) * WIDE_TILE + n]));
        }
    }
#pragma GCC unroll 6
    for (int n = 0; n < WIDE_TILE; n++)
        _mm512_storeu_si512(out[n], _mm512_add_epi32(even[n], odd[n]));
}
