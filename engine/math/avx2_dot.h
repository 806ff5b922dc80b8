/* avx2_dot.h - what AVX-VNNI adds to AVX2: four products of a byte and a signed byte, summed in 32
 * bits, in one instruction.
 *
 * avx2.c is compiled twice, with it (kernels_avxvnni) and without (kernels_avx2).  Tests compile it
 * a third time, with AVXVNNI_EMULATION naming a header that computes the same in plain C.
 */
#ifndef MATH_AVX2_DOT_H
#define MATH_AVX2_DOT_H

#include "math/avx2_band.h"

#include <stdbool.h>

#ifdef AVXVNNI_EMULATION
#include AVXVNNI_EMULATION
#endif

#if defined(__AVXVNNI__) || defined(AVXVNNI_EMULATION)

#define KERNELS_OF_AVX2      kernels_avxvnni
#define KERNELS_OF_AVX2_NAME "avxvnni"
#define WIDE_OF_AVX2         wide_avxvnni
static const bool HAS_DOT = true;

AVX2_INLINE __m256i dot(__m256i sum, __m256i u, __m256i x)
{
    return _mm256_dpbusd_avx_epi32(sum, u, x);
}

#else

#define KERNELS_OF_AVX2      kernels_avx2
#define KERNELS_OF_AVX2_NAME "avx2"
#define WIDE_OF_AVX2         wide_avx2
static const bool HAS_DOT = false;

AVX2_INLINE __m256i dot(__m256i sum, __m256i u, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(u, x); /* right for weights below 129 */
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#endif

#endif
