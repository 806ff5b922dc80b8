/* handle.c - see handle.h. */
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The list that the handle is in. */
static struct handle **list_of(struct handle *handle)
{
    return handle->model ? &handle->model->handles : &handle->daemon->handles;
}

struct handle *handle_new(fuse_req_t request, struct model *model, enum node_kind kind,
                          const struct fuse_file_info *file)
{
    const struct fuse_ctx *caller = fuse_req_ctx(request);
    struct handle *handle = memory_try(1, sizeof *handle);
    if (!handle)
        return NULL;
    *handle = (struct handle){
        .daemon = fuse_req_userdata(request),
        .model = model,
        .kind = kind,
        .uid = caller->uid,
        .opener = caller->pid,
        .non_blocking = (file->flags & O_NONBLOCK) != 0,
        .text = buffer_new(HANDLE_TEXT_BYTES_MAX),
        .written = buffer_new(HANDLE_WRITTEN_BYTES_MAX),
    };
    struct handle **first = list_of(handle);
    handle->next = *first;
    if (*first)
        (*first)->previous = handle;
    *first = handle;
    return handle;
}

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

static void abandon(struct park *park)
{
    handle_free(park->handle);
}

static void try_or_park(struct park park)
{
    struct park_list *list = NULL;
    if (!park.resume(&park, &list))
        park_wait(&park.handle->daemon->parking, &park, list);
}

void handle_open_when(park_resume *resume, struct handle *handle, fuse_req_t request,
                      const struct fuse_file_info *file)
{
    try_or_park((struct park){
        .request = request, .resume = resume, .abandon = abandon, .handle = handle, .file = *file});
}

void handle_read_when(park_resume *resume, struct handle *handle, fuse_req_t request, size_t size,
                      off_t offset)
{
    try_or_park((struct park){
        .request = request, .resume = resume, .handle = handle, .size = size, .offset = offset});
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

void handle_count_written(struct handle *handle)
{
    handle->daemon->written_bytes -= handle->counted_bytes;
    handle->counted_bytes = handle->written.length;
    handle->daemon->written_bytes += handle->counted_bytes;
}

void handle_free(struct handle *handle)
{
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        *list_of(handle) = handle->next;
    if (handle->next)
        handle->next->previous = handle->previous;
    if (handle->job)
        job_release(handle->job);
    park_wake(&handle->daemon->parking, &handle->waiters);
    buffer_free(&handle->text);
    buffer_free(&handle->written);
    handle_count_written(handle);
    free(handle);
}
