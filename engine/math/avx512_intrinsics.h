/* avx512_intrinsics.h - the intrinsics of AVX-512, or what a test puts in their place.
 *
 * Few machines have AVX-512.  So that the kernels are tested on the others as well, tests/ compiles
 * them a second time with AVX512_EMULATION naming a header that computes the same in plain C.
 */
#ifndef MATH_AVX512_INTRINSICS_H
#define MATH_AVX512_INTRINSICS_H

#ifdef AVX512_EMULATION
#include AVX512_EMULATION
#else
#include <immintrin.h>
#endif

#define AVX512_INLINE static inline __attribute__((always_inline))

#endif
