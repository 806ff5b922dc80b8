/* handle.c - see handle.h. */
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void handle_opened(struct handle *handle, fuse_req_t request, const struct fuse_file_info *file)
{
    struct fuse_file_info reply = *file;
    reply.fh = (uint64_t)(uintptr_t)handle;
    reply.direct_io = 1; /* sizes change: no page cache between us and the reader */
    if (fuse_reply_open(request, &reply) == -ENOENT)
        handle_free(handle); /* the opener was killed meanwhile: no RELEASE will come */
}

void handle_refused(struct handle *handle, fuse_req_t request, int code)
{
    handle_free(handle);
    fuse_reply_err(request, code);
}

void handle_read_text(fuse_req_t request, struct text text, size_t size, off_t offset)
{
    if (offset < 0 || (uint64_t)offset >= text.length) {
        fuse_reply_buf(request, NULL, 0);
        return;
    }
    size_t left = text.length - (size_t)offset;
    fuse_reply_buf(request, text.bytes + offset, left < size ? left : size);
}

void handle_read_snapshot(struct handle *handle, fuse_req_t request, size_t size, off_t offset)
{
    handle_read_text(request, buffer_text(&handle->text), size, offset);
}

bool handle_is_owner(const struct handle *handle)
{
    return handle->uid == handle->daemon->uid || handle->uid == 0;
}

void handle_free(struct handle *handle)
{
    struct model *model = handle->model;
    if (model) {
        if (handle->previous)
            handle->previous->next = handle->next;
        else if (model->handles == handle)
            model->handles = handle->next;
        if (handle->next)
            handle->next->previous = handle->previous;
    }
    if (handle->job)
        job_release(handle->job);
    park_wake(&handle->daemon->parking, &handle->waiters);
    buffer_free(&handle->text);
    buffer_free(&handle->written);
    free(handle);
}
