/* avx512_emulation.h - AVX-512 for machines without it: SIMDe's, and what SIMDe 0.7.4 lacks.
 *
 * For engine/math/avx512_intrinsics.h, in the second build of the kernels that only tests use.
 * Compiled with AVX2, FMA and F16C, so that each operation on floats is rounded as it should be.
 */
#ifndef LIB_AVX512_EMULATION_H
#define LIB_AVX512_EMULATION_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#define SIMDE_ENABLE_NATIVE_ALIASES
#define SIMDE_NO_INLINE /* else compiling takes minutes */
#include <simde/x86/avx512.h>
#pragma GCC diagnostic pop

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define EMULATED static __attribute__((noinline, unused))

/* A register, its halves and its parts. */
union emulated {
    __m512i all;
    __m512 floats;
    __m256i half[2];
    __m256 float_half[2];
    int32_t dword[16];
};

EMULATED __m512 emulated_cvtph_ps(__m256i halves)
{
    union emulated out;
    out.float_half[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    out.float_half[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
    return out.floats;
}

EMULATED __m512 emulated_cvtepi32_ps(__m512i dwords)
{
    union emulated in = {.all = dwords}, out;
    out.float_half[0] = _mm256_cvtepi32_ps(in.half[0]);
    out.float_half[1] = _mm256_cvtepi32_ps(in.half[1]);
    return out.floats;
}

EMULATED __m512i emulated_cvtepu16_epi32(__m256i words)
{
    union emulated out;
    out.half[0] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words));
    out.half[1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1));
    return out.all;
}

EMULATED __m256i emulated_cvtepi32_epi16(__m512i dwords)
{
    union emulated in = {.all = dwords};
    int16_t out[16];
    for (int i = 0; i < 16; i++)
        out[i] = (int16_t)in.dword[i];
    return _mm256_loadu_si256((const __m256i *)(const void *)out);
}

EMULATED __m512i emulated_srai_epi32(__m512i dwords, int by)
{
    union emulated in = {.all = dwords}, out;
    out.half[0] = _mm256_srai_epi32(in.half[0], by);
    out.half[1] = _mm256_srai_epi32(in.half[1], by);
    return out.all;
}

EMULATED __m512i emulated_i32gather_epi32(__m512i distances, const void *from, int scale)
{
    union emulated in = {.all = distances}, out;
    for (int i = 0; i < 16; i++)
        memcpy(out.dword + i, (const uint8_t *)from + (int64_t)in.dword[i] * scale,
               sizeof *out.dword);
    return out.all;
}

EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 mask, const float *from)
{
    float out[16] = {0};
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            out[i] = from[i];
    return _mm512_loadu_ps(out);
}

EMULATED void emulated_mask_storeu_ps(float *to, __mmask16 mask, __m512 a)
{
    float in[16];
    _mm512_storeu_ps(in, a);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1)
            to[i] = in[i];
}

#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 emulated_srai_epi32
#undef _mm512_i32gather_epi32
#define _mm512_i32gather_epi32 emulated_i32gather_epi32
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps

#endif
