/* cores.c - see cores.h. */
#include "fs/cores.h"

int cores_part(int cores, int busy, int index)
{
    int part = cores / busy + (index < cores % busy);
    return part > 1 ? part : 1;
}

/* Its worker has a request.  Nothing that the worker itself says is asked: a process that was
 * killed computes nothing from the moment that it is reaped. */
static bool is_computing(const struct model *model)
{
    if (!model || !model->worker_ready || !model->jobs_active)
        return false;
    for (const struct job *job = model->newest; job; job = job->older)
        if (job->state == JOB_RUNNING)
            return true;
    return false;
}

static void tell(struct model *model, int part)
{
    if (model->threads == part || protocol_put_threads(worker_output(model->worker), part))
        return;
    model->threads = part;
    worker_flush(model->worker);
}

/* Returns how many models compute; once that is known (`busy` is not 0), tells each its part. */
static int visit(struct daemon *daemon, int busy)
{
    int index = 0;
    for (size_t i = 0; i < catalog_count(daemon->catalog); i++) {
        struct model *model = catalog_at(daemon->catalog, i)->owner;
        if (!is_computing(model))
            continue;
        if (busy)
            tell(model, cores_part(daemon->threads, busy, index));
        index++;
    }
    for (struct model *model = daemon->removed; model; model = model->next_removed) {
        if (!is_computing(model))
            continue;
        if (busy)
            tell(model, cores_part(daemon->threads, busy, index));
        index++;
    }
    return index;
}

void cores_share(struct daemon *daemon)
{
    int busy = visit(daemon, 0);
    if (busy)
        visit(daemon, busy);
}
