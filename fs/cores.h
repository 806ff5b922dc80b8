/* cores.h - who computes with how many cores, while several models answer at the same time.
 *
 * The daemon hands out the requests and hears of their ends and of every worker's death, so it
 * knows at any moment which models compute.  Each of them is told its share in a THREADS message
 * whenever that changes, and keeps to it from its next step on.
 *
 * Promise:  the shares add up to the cores, or are 1 each where more models compute than there are
 *           cores; what a model that has ended or died had goes to the others at once.
 * Threads:  the loop's.
 */
#ifndef FS_CORES_H
#define FS_CORES_H

#include "fs/daemon.h"

/* The share of the index-th of `busy` models: at least 1; the first ones get what is left over. */
int cores_part(int cores, int busy, int index);

/* Another set of models computes: tell those whose share has changed.  What is still in their
 * queues goes out with it. */
void cores_share(struct daemon *daemon);

#endif
