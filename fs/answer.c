/* answer.c - the files `output` (a document: open waits until it is complete), `stream` (its bytes
 * as they come) and `logprobs` (what the model thought of each token of it).
 *
 * All belong to one job, chosen when the file is opened: of the same user's jobs the one that was
 * written nearest to the reader in the process tree.  A prompt that is being written right now by
 * somebody at least as near is waited for: its close may still be on its way to us.
 */
#include "fs/handle.h"

#include <errno.h>
#include <unistd.h>

/* The nearest prompt of this user that has bytes but is not committed, or NULL. */
static struct handle *pending_prompt(const struct handle *reader, uint32_t *distance)
{
    struct handle *best = NULL;
    for (struct handle *at = reader->model->handles; at; at = at->next) {
        if (at->kind != NODE_PROMPT || at->uid != reader->uid || !at->written.length || at->poison)
            continue;
        uint32_t here = lineage_distance(&reader->reader, &at->reader);
        if (!best || here < *distance) {
            best = at;
            *distance = here;
        }
    }
    return best;
}

/* Bind the handle to its job.  Returns 0, -ENODATA when there is none (-ESTALE: nor will there be),
 * or -EAGAIN with the list to wait on when its prompt is still being written. */
static int bind(struct handle *handle, struct park_list **list)
{
    uint32_t job_distance = 0, prompt_distance = 0;
    struct job *job = model_choose_job(handle->model, handle->uid, &handle->reader, &job_distance);
    struct handle *prompt = pending_prompt(handle, &prompt_distance);
    if (prompt && (!job || prompt_distance <= job_distance)) {
        *list = &prompt->waiters;
        return -EAGAIN;
    }
    if (!job)
        return handle->model->removed ? -ESTALE : -ENODATA;
    job_hold(job);
    handle->job = job;
    return 0;
}

static void take_lineage(struct handle *handle)
{
    if (!handle->daemon->options.no_lineage)
        lineage_take(handle->opener, &handle->reader);
}

/* --- output --------------------------------------------------------------------------------- */

/* Answer the open of `output` if that is possible now. */
static bool output_resume(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    if (!handle->job) {
        int status = bind(handle, list);
        if (status == -EAGAIN && !handle->non_blocking)
            return false;
        if (status) {
            handle_refused(handle, park->request, -status);
            return true;
        }
    }
    struct job *job = handle->job;
    if (!job_ended(job)) {
        *list = &job->waiters;
        if (!handle->non_blocking)
            return false;
        handle_refused(handle, park->request, EAGAIN);
    } else if (job->code) {
        handle_refused(handle, park->request, job->code);
    } else {
        handle_opened(handle, park->request, &park->file);
    }
    return true;
}

static void output_open(struct handle *handle, fuse_req_t request,
                        const struct fuse_file_info *file)
{
    take_lineage(handle);
    handle_open_when(output_resume, handle, request, file);
}

static void output_read(struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
    handle_read_text(request, buffer_text(&handle->job->answer), size, offset);
}

static void logprobs_read(struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
    handle_read_text(request, buffer_text(&handle->job->logprobs), size, offset);
}

/* lseek comes with the handle, fstat without it: there the caller's own open file tells which
 * answer is meant, and else what an open would choose now. */
static const struct job *meant_job(const struct model *model, const struct handle *handle,
                                   const struct fuse_ctx *caller)
{
    if (handle)
        return handle->job;
    for (const struct handle *at = model->handles; at; at = at->next)
        if (at->job && caller->pid && at->opener == caller->pid && at->uid == caller->uid)
            return at->job;
    struct lineage lineage = {.count = 0};
    uint32_t distance = 0;
    if (model->newest && model->newest->older && !model->daemon->options.no_lineage)
        lineage_take(caller->pid, &lineage);
    return model_choose_job(model, caller->uid, &lineage, &distance);
}

/* Exact when the answer is complete, 0 while it is not: a wrong size would cut copies of it. */
static uint64_t answer_size(struct model *model, const struct handle *handle,
                            const struct fuse_ctx *caller)
{
    const struct job *job = meant_job(model, handle, caller);
    return job && job->state == JOB_DONE ? job->answer.length : 0;
}

static uint64_t logprobs_size(struct model *model, const struct handle *handle,
                              const struct fuse_ctx *caller)
{
    const struct job *job = meant_job(model, handle, caller);
    return job && job->state == JOB_DONE ? job->logprobs.length : 0;
}

/* --- stream --------------------------------------------------------------------------------- */

static void stream_open(struct handle *handle, fuse_req_t request,
                        const struct fuse_file_info *file)
{
    struct park_list *list = NULL;
    take_lineage(handle);
    bind(handle, &list); /* when there is no job yet, the first read waits for it */
    handle_opened(handle, request, file);
}

/* How much of `length` bytes may be shown so that no UTF-8 character is cut: step back to the start
 * of the last character, unless that leaves nothing. */
static size_t whole_characters(const char *bytes, size_t length, size_t available)
{
    size_t cut = length;
    if (length < available)
        while (cut > 0 && length - cut < 4 && ((unsigned char)bytes[cut] & 0xC0) == 0x80)
            cut--;
    return cut ? cut : length;
}

static bool stream_resume(struct park *park, struct park_list **list)
{
    struct handle *handle = park->handle;
    if (!handle->job) {
        int status = bind(handle, list);
        if (status == -ENODATA)
            *list = &handle->model->waiters;
        if (status && status != -ESTALE && !handle->non_blocking)
            return false;
        if (status) {
            fuse_reply_err(park->request, status == -ESTALE ? ESTALE : EAGAIN);
            return true;
        }
    }
    const struct job *job = handle->job;
    struct text answer = buffer_text(&job->answer);
    if (park->offset >= 0 && (uint64_t)park->offset < answer.length) {
        const char *from = answer.bytes + park->offset;
        size_t left = answer.length - (size_t)park->offset;
        size_t length = left < park->size ? left : park->size;
        fuse_reply_buf(park->request, from, whole_characters(from, length, left));
    } else if (job_ended(job) && job->code && !handle->poison) {
        handle->poison = job->code; /* told once, after the partial text; then it is the end */
        fuse_reply_err(park->request, job->code);
    } else if (job_ended(job)) {
        fuse_reply_buf(park->request, NULL, 0);
    } else if (handle->non_blocking) {
        fuse_reply_err(park->request, EAGAIN);
    } else {
        *list = &handle->job->readers;
        return false;
    }
    return true;
}

static void stream_read(struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
    handle_read_when(stream_resume, handle, request, size, offset);
}

const struct file_operations output_operations = {
    .open = output_open,
    .read = output_read,
    .size = answer_size,
};

const struct file_operations logprobs_operations = {
    .open = output_open,
    .read = logprobs_read,
    .size = logprobs_size,
};

const struct file_operations stream_operations = {
    .open = stream_open,
    .read = stream_read,
    .size = answer_size,
};
