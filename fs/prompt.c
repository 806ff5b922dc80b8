/* prompt.c - the file `prompt`: what is written to one open file is one prompt.
 *
 * When is the writer done?  Not at each WRITE (a two-line echo is two of them), not at each FLUSH
 * (every child that inherits the descriptor sends one).  The rule that holds for what shells and
 * programs really do: FLUSH by the process that opened the file, with new bytes; or RELEASE, when
 * the last descriptor is gone; or FSYNC.  A handle whose WRITE was refused commits nothing.
 */
#include "fs/handle.h"
#include "fs/jobs.h"

#include <errno.h>
#include <string.h>

static void prompt_open(struct handle *handle, fuse_req_t request,
                        const struct fuse_file_info *file)
{
    if (handle->model->removed) {
        handle_refused(handle, request, ESTALE);
        return;
    }
    if (!handle->daemon->options.no_lineage)
        lineage_take(handle->opener, &handle->reader);
    handle->written.limit = handle->daemon->options.prompt_bytes_max;
    handle_opened(handle, request, file);
}

/* Leave the reason of a refusal in `error`. */
static int explain(struct handle *handle, int status)
{
    if (status == -EMSGSIZE)
        model_set_error(handle->model, handle->uid, "the prompt is too long (-o max_prompt)");
    else if (status)
        model_set_error(handle->model, handle->uid, strerror(-status));
    return status;
}

static int prompt_write(struct handle *handle, struct text bytes)
{
    int status = jobs_admit(handle->daemon, handle->model, handle->uid, bytes.length);
    if (!status)
        status = buffer_append_text(&handle->written, bytes);
    return explain(handle, status);
}

/* A prompt's last newline belongs to `echo`, not to the question. */
static void strip_newline(struct buffer *prompt)
{
    if (prompt->length && prompt->bytes[prompt->length - 1] == '\n')
        prompt->length--;
}

static int prompt_commit(struct handle *handle)
{
    struct model *model = handle->model;
    int status = 0;
    if (!model->config.raw)
        strip_newline(&handle->written);
    if (handle->written.length)
        status = jobs_submit(handle->daemon, model, handle->uid, &handle->reader, &handle->written);
    if (status)
        handle->poison = -status;
    /* Submitted or not: nothing is being written any more. */
    park_wake(&handle->daemon->parking, &handle->waiters);
    park_wake(&handle->daemon->parking, &model->waiters);
    return explain(handle, status);
}

const struct file_operations prompt_operations = {
    .open = prompt_open,
    .write = prompt_write,
    .commit = prompt_commit,
};
