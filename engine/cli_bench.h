/* cli_bench.h - `bench`: how fast a model loads, reads prompts and writes answers here.
 *
 * Every figure is the median of -r runs, but the phases of loading, which are those of the run
 * with the median time.  Nothing is guessed, and no run knows what another read.
 *   prefill   prompt tokens / (first token chosen - first prefill step begun), alone
 *   decode    tokens per second of one sequence after its first token
 *   batch     tokens per second of N sequences together, counted only while all N run
 *   read      GB/s (10^9) of summing up the mapped weights of all parts with the same threads
 *   fraction  file bytes * decode rate / read rate: 1 would be a model that is read once for each
 *             token as fast as it can be read (what a lookup table of embeddings holds is counted,
 *             so a model with a separate output matrix can look better than it is)
 *
 * Returns an exit status, see cli.h.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

int cli_bench(int argc, char **argv);

#endif
