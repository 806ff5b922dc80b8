/* control.c - the `ctl` files: one verb per line, done (or refused) by the WRITE that brings it.
 *
 *     root    rescan | unload MODEL|all
 *     model   load | unload | pin | unpin | cancel [ID|all]
 */
#include "base/clock.h"
#include "fs/dispatch.h"
#include "fs/handle.h"
#include "fs/jobs.h"
#include "fs/log.h"
#include "fs/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 512 };

static const char cancelled[] = "cancelled through ctl";

typedef int verb_function(struct handle *handle, const char *argument);

struct verb {
    const char *name;
    verb_function *function;
    bool owner_only;
};

static void control_open(struct handle *handle, fuse_req_t request,
                         const struct fuse_file_info *file)
{
    handle_opened(handle, request, file);
}

/* --- the verbs -------------------------------------------------------------------------------- */

static int no_argument(const char *argument)
{
    return argument[0] ? -EINVAL : 0;
}

static int post(struct model *model, enum pool_event_kind kind)
{
    dispatch_post(model->daemon, &(struct pool_event){.kind = kind, .model = model->id});
    return 0;
}

/* Post an event that has the model loaded. */
static int bring(struct handle *handle, const char *argument, const char *reason,
                 enum pool_event_kind kind)
{
    if (no_argument(argument))
        return -EINVAL;
    if (handle->model->removed)
        return -ESTALE;
    recorder_asked(handle->model, reason, clock_now_us());
    return post(handle->model, kind);
}

static int load(struct handle *handle, const char *argument)
{
    return bring(handle, argument, "load", POOL_LOAD);
}

static int pin(struct handle *handle, const char *argument)
{
    return bring(handle, argument, "pin", POOL_PIN);
}

static int unload(struct handle *handle, const char *argument)
{
    return no_argument(argument) ? -EINVAL : post(handle->model, POOL_UNLOAD);
}

static int unpin(struct handle *handle, const char *argument)
{
    return no_argument(argument) ? -EINVAL : post(handle->model, POOL_UNPIN);
}

static bool may_cancel(const struct handle *handle, const struct job *job)
{
    return !job_ended(job) && (job->uid == handle->uid || handle->uid == 0);
}

static int cancel_all(struct handle *handle)
{
    struct job *older;
    for (struct job *job = handle->model->newest; job; job = older) {
        older = job->older;
        if (may_cancel(handle, job))
            jobs_cancel(handle->daemon, job, ECANCELED, cancelled);
    }
    return 0;
}

/* Without an argument: the job whose answer this process would read. */
static int cancel(struct handle *handle, const char *argument)
{
    struct job *job;
    uint32_t distance = 0;
    if (strcmp(argument, "all") == 0)
        return cancel_all(handle);
    if (argument[0]) {
        char *end;
        errno = 0;
        unsigned long long id = strtoull(argument, &end, 10);
        if (*end || errno || argument[0] < '0' || argument[0] > '9')
            return -EINVAL;
        job = jobs_find(handle->daemon, id);
        if (!job || job->model != handle->model || !may_cancel(handle, job))
            return -ENOENT;
    } else {
        struct lineage lineage = {.count = 0};
        if (!handle->daemon->options.no_lineage)
            lineage_take(handle->opener, &lineage);
        job = model_choose_job(handle->model, handle->uid, &lineage, &distance);
    }
    if (job && !job_ended(job)) /* one that has just ended needs no cancelling */
        jobs_cancel(handle->daemon, job, ECANCELED, cancelled);
    return 0;
}

static int rescan(struct handle *handle, const char *argument)
{
    struct error error = {0};
    if (no_argument(argument))
        return -EINVAL;
    int status = catalog_rescan(handle->daemon->catalog, &error);
    if (status)
        log_write(LOG_ERR, "rescan: %s", error.text);
    return status;
}

static int root_unload(struct handle *handle, const char *argument)
{
    struct catalog *catalog = handle->daemon->catalog;
    if (strcmp(argument, "all") == 0) {
        for (size_t i = 0; i < catalog_count(catalog); i++)
            post(catalog_at(catalog, i)->owner, POOL_UNLOAD);
        return 0;
    }
    struct catalog_model *entry = catalog_find(catalog, argument);
    return entry ? post(entry->owner, POOL_UNLOAD) : -ENOENT;
}

/* --- lines ------------------------------------------------------------------------------------ */

static int obey(struct handle *handle, const struct verb *verbs, struct text line)
{
    char text[LINE_BYTES_MAX];
    if (line.length >= sizeof text || memchr(line.bytes, 0, line.length))
        return -EINVAL;
    memcpy(text, line.bytes, line.length);
    text[line.length] = 0;
    char *name = text + strspn(text, " \t\r");
    char *argument = name + strcspn(name, " \t\r");
    if (*argument)
        *argument++ = 0;
    argument += strspn(argument, " \t\r");
    argument[strcspn(argument, "\r")] = 0;
    if (!*name)
        return 0;
    for (const struct verb *verb = verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb->owner_only && !handle_is_owner(handle) ? -EPERM
                                                                : verb->function(handle, argument);
    return -EINVAL;
}

static int obey_lines(struct handle *handle, const struct verb *verbs, struct text bytes)
{
    while (bytes.length) {
        const char *newline = memchr(bytes.bytes, '\n', bytes.length);
        size_t length = newline ? (size_t)(newline - bytes.bytes) : bytes.length;
        int status = obey(handle, verbs, (struct text){bytes.bytes, length});
        if (status)
            return status;
        length += newline != NULL;
        bytes.bytes += length;
        bytes.length -= length;
    }
    return 0;
}

static int root_ctl_write(struct handle *handle, struct text bytes)
{
    static const struct verb verbs[] = {
        {"rescan", rescan, true},
        {"unload", root_unload, true},
        {NULL, NULL, false},
    };
    return obey_lines(handle, verbs, bytes);
}

static int model_ctl_write(struct handle *handle, struct text bytes)
{
    static const struct verb verbs[] = {
        {"load", load, true},   {"unload", unload, true},  {"pin", pin, true},
        {"unpin", unpin, true}, {"cancel", cancel, false}, {NULL, NULL, false},
    };
    int status = obey_lines(handle, verbs, bytes);
    if (status == -EINVAL)
        model_set_error(handle->model, handle->uid,
                        "ctl takes: load, unload, pin, unpin, cancel [ID|all]");
    return status;
}

const struct file_operations root_ctl_operations = {
    .open = control_open,
    .write = root_ctl_write,
};

const struct file_operations model_ctl_operations = {
    .open = control_open,
    .write = model_ctl_write,
};
