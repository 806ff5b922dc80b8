/* snapshot.c - the files whose whole text is made when they are opened, so that one reader sees one
 * moment: README, resident, status, state, error. */
#include "fs/handle.h"
#include "fs/readme.h"
#include "fs/status.h"

#include <errno.h>

static int make_text(struct handle *handle)
{
    const struct model *model = handle->model;
    const char *text;
    if (handle->kind == NODE_ROOT_STATUS)
        return status_root(handle->daemon, &handle->text);
    if (handle->kind == NODE_STATUS)
        return status_model(model, handle->uid, &handle->text);
    if (handle->kind == NODE_STATE)
        return buffer_printf(&handle->text, "%s\n", status_word(model));
    if (handle->kind == NODE_ROOT_RESIDENT)
        return buffer_printf(&handle->text, "%llu\n",
                             (unsigned long long)pool_charged_bytes(handle->daemon->pool));
    if (handle->kind == NODE_ROOT_README)
        return buffer_append_text(&handle->text, text_of(readme_text));
    text = model_error(model, handle->uid);
    return text[0] ? buffer_printf(&handle->text, "%s\n", text) : 0;
}

static void snapshot_open(struct handle *handle, fuse_req_t request,
                          const struct fuse_file_info *file)
{
    int status = make_text(handle);
    if (status)
        handle_refused(handle, request, -status);
    else
        handle_opened(handle, request, file);
}

const struct file_operations snapshot_operations = {
    .open = snapshot_open,
    .read = handle_read_snapshot,
};
