/* avxvnni_emulation.h - AVX-VNNI for machines without it, for engine/math/avx2_dot.h
 * and wide_avxvnni.c: SIMDe knows the same operations as part of AVX-512. */
#ifndef LIB_AVXVNNI_EMULATION_H
#define LIB_AVXVNNI_EMULATION_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#define SIMDE_NO_INLINE /* else compiling takes minutes */
#include <simde/x86/avx512/dpbusd.h>
#include <simde/x86/avx512/dpwssd.h>
#pragma GCC diagnostic pop

#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 simde_mm256_dpwssd_epi32

#endif
