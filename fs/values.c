/* values.c - the files that hold one value: config/NAME and the root's `budget`.
 *
 * A value is checked at WRITE, where a shell sees the error, and taken when the writer is done; a
 * value that is not accepted changes nothing.
 */
#include "fs/dispatch.h"
#include "fs/handle.h"
#include "fs/residents.h"

#include <errno.h>
#include <string.h>

static bool wants_to_write(const struct fuse_file_info *file)
{
    return (file->flags & O_ACCMODE) != O_RDONLY;
}

/* --- config/NAME ------------------------------------------------------------------------------ */

static enum config_key key_of(const struct handle *handle)
{
    return (enum config_key)(handle->kind - NODE_CONFIG);
}

static void config_file_open(struct handle *handle, fuse_req_t request,
                             const struct fuse_file_info *file)
{
    int status = wants_to_write(file) && !handle_is_owner(handle) ? -EACCES : 0;
    if (!status)
        status = config_format(&handle->model->config, key_of(handle), &handle->text);
    handle->replaces =
        wants_to_write(file) && (file->flags & O_TRUNC) && config_is_multiline(key_of(handle));
    if (status)
        handle_refused(handle, request, -status);
    else
        handle_opened(handle, request, file);
}

static int config_file_write(struct handle *handle, struct text bytes)
{
    struct error error = {0};
    int status = buffer_append_text(&handle->written, bytes);
    if (!status && !config_is_multiline(key_of(handle)))
        status = config_check(key_of(handle), buffer_text(&handle->written), &error);
    if (status)
        model_set_error(handle->model, handle->uid, error.text[0] ? error.text : strerror(-status));
    return status;
}

static int config_file_commit(struct handle *handle)
{
    struct error error = {0};
    struct model *model = handle->model;
    int32_t context = model->config.context, kv = model->config.kv;
    int status = config_set(&model->config, key_of(handle), buffer_text(&handle->written), &error);
    model_set_error(model, handle->uid, status ? error.text : "");
    if (model->config.context != context || model->config.kv != kv) /* a worker is started so */
        residents_reload(model);
    return status;
}

const struct file_operations config_operations = {
    .open = config_file_open,
    .read = handle_read_snapshot,
    .write = config_file_write,
    .commit = config_file_commit,
};

/* --- budget ----------------------------------------------------------------------------------- */

static void budget_open(struct handle *handle, fuse_req_t request,
                        const struct fuse_file_info *file)
{
    int status = wants_to_write(file) && !handle_is_owner(handle) ? -EACCES : 0;
    if (!status)
        status = buffer_printf(&handle->text, "%llu\n",
                               (unsigned long long)pool_budget_bytes(handle->daemon->pool));
    if (status)
        handle_refused(handle, request, -status);
    else
        handle_opened(handle, request, file);
}

/* The budget that was written so far.  Returns 0, -EINVAL or -ERANGE. */
static int written_budget(const struct handle *handle, uint64_t *out)
{
    struct text text = buffer_text(&handle->written);
    while (text.length && strchr(" \n\t\r", text.bytes[text.length - 1]))
        text.length--;
    return options_parse_size(text, options_memory_available_bytes(), out);
}

static int budget_write(struct handle *handle, struct text bytes)
{
    uint64_t budget;
    int status = buffer_append_text(&handle->written, bytes);
    return status ? status : written_budget(handle, &budget);
}

static int budget_commit(struct handle *handle)
{
    struct pool_event event = {.kind = POOL_BUDGET};
    int status = written_budget(handle, &event.bytes);
    if (!status)
        dispatch_post(handle->daemon, &event);
    return status;
}

const struct file_operations budget_operations = {
    .open = budget_open,
    .read = handle_read_snapshot,
    .write = budget_write,
    .commit = budget_commit,
};
