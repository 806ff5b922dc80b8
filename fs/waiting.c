/* waiting.c - the files whose reader may wait: `wait`, `info`, `events`. */
#include "fs/handle.h"
#include "fs/residents.h"

#include <errno.h>

/* Wait for the model's next change, or refuse a reader that does not want to. */
static bool wait_for_model(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    if (handle->non_blocking) {
        handle_refused(handle, park->request, EAGAIN);
        return true;
    }
    *list = &handle->model->waiters;
    return false;
}

/* --- wait: opens when nothing of the model is queued or running ------------------------------- */

static bool is_being_written(const struct model *model)
{
    for (const struct handle *at = model->handles; at; at = at->next)
        if (at->kind == NODE_PROMPT && at->written.length && !at->poison)
            return true;
    return false;
}

static bool wait_resume(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    const struct model *model = handle->model;
    if (model->jobs_active || is_being_written(model))
        return wait_for_model(park, list);
    const struct model_totals *totals = &model->totals;
    int status = buffer_printf(
        &handle->text, "idle jobs=%llu errors=%llu cancelled=%llu completion_tokens=%llu\n",
        (unsigned long long)totals->jobs, (unsigned long long)totals->errors,
        (unsigned long long)totals->cancelled, (unsigned long long)totals->completion_tokens);
    if (status)
        handle_refused(handle, park->request, -status);
    else
        handle_opened(handle, park->request, &park->file);
    return true;
}

static void wait_open(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file)
{
    handle_open_when(wait_resume, handle, request, file);
}

/* --- info: opens when the model's header has been read ---------------------------------------- */

static bool info_resume(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    struct model *model = handle->model;
    if (!model->planned && !model->probe && !model->failure_code)
        residents_inspect(model); /* the file has changed since */
    if (!model->planned && model->probe)
        return wait_for_model(park, list);
    int code = model->failure_code;
    if (model->planned)
        code = -buffer_printf(&handle->text, "%s\n", model->info);
    else
        model_set_error(model, handle->uid, model->failure);
    if (code)
        handle_refused(handle, park->request, code);
    else
        handle_opened(handle, park->request, &park->file);
    return true;
}

static void info_open(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file)
{
    if (!handle->model->planned)
        residents_inspect(handle->model); /* a failure is tried again */
    handle_open_when(info_resume, handle, request, file);
}

/* --- events: what happened, then what happens ------------------------------------------------- */

static void events_open(struct handle *handle, fuse_req_t request,
                        const struct fuse_file_info *file)
{
    uint64_t next = handle->daemon->events.next;
    handle->cursor = next > EVENTS_KEPT ? next - EVENTS_KEPT : 0;
    handle_opened(handle, request, file);
}

/* The handle's cursor says where the reader is, not the offset. */
static bool events_resume(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    struct events *events = &handle->daemon->events;
    if (!handle->text.length)
        events_read(events, &handle->cursor, park->size, &handle->text);
    size_t length = handle->text.length < park->size ? handle->text.length : park->size;
    if (length) {
        fuse_reply_buf(park->request, handle->text.bytes, length);
        buffer_consume(&handle->text, length);
    } else if (handle->non_blocking) {
        fuse_reply_err(park->request, EAGAIN);
    } else {
        *list = &events->waiters;
        return false;
    }
    return true;
}

static void events_file_read(struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
    handle_read_when(events_resume, handle, request, size, offset);
}

const struct file_operations wait_operations = {
    .open = wait_open,
    .read = handle_read_snapshot,
};

const struct file_operations info_operations = {
    .open = info_open,
    .read = handle_read_snapshot,
};

const struct file_operations events_operations = {
    .open = events_open,
    .read = events_file_read,
};
