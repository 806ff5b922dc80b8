/* cpu.h - which of OpenBLAS's kernels suit this processor.
 *
 * Why:      an OpenBLAS older than the processor does not know its model number and falls back to
 *           kernels of 2004, four to seven times slower.  What a processor can do is in CPUID, and
 *           what the system lets it do in XCR0, whatever its number is.
 * Threads:  any.
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

/* A value for OPENBLAS_CORETYPE, or NULL where the library should choose by itself. */
const char *cpu_openblas_coretype(void);

#endif
