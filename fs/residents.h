/* residents.h - the worker processes of the models that are (or are about to be) in memory.
 *
 * Carries out the pool's actions on processes and turns their messages into the pool's events and
 * the jobs' progress.
 *
 * Promise:  a model has at most one worker and one probe; each started generation answers the pool
 *           with POOL_LOADED at most once and POOL_EXITED exactly once.
 * Threads:  the loop's.
 */
#ifndef FS_RESIDENTS_H
#define FS_RESIDENTS_H

#include "fs/daemon.h"

/* Read the model's plan (and its info) with a short-lived process; known ones are answered at
 * once. */
void residents_plan(struct model *model);

/* The same for a reader of `info`: wakes the model's waiters when it is there or has failed. */
void residents_inspect(struct model *model);

/* Another file stands under this name, or it is to be loaded otherwise: forget what was read, and
 * have what is in memory replaced. */
void residents_reload(struct model *model);

void residents_start(struct model *model, uint64_t generation);
void residents_stop(struct model *model, uint64_t generation);
void residents_run(struct model *model, struct job *job);
void residents_cancel(struct model *model, const struct job *job);
void residents_grant(struct model *model, uint64_t generation, uint64_t bytes);
void residents_refuse(struct model *model, uint64_t generation, const char *why);

#endif
