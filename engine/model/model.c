/* model.c - see model.h. */
#include "model/model.h"

#include "base/memory.h"
#include "load/gguf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a search for tensors needs; `prefix` is "" or "blk.3.". */
struct binder {
    const struct gguf *gguf;
    struct error *error;
    char prefix[16];
};

static const struct tensor *find(const struct binder *binder, const char *name, char *full)
{
    snprintf(full, TENSOR_NAME_BYTES, "%s%s", binder->prefix, name);
    return gguf_tensor(binder->gguf, full);
}

/* A vector of `width` floats, read in place.  Returns 0 with *out NULL when it is not there. */
static int bind_vector(const struct binder *binder, const char *name, int32_t width,
                       const float **out)
{
    char full[TENSOR_NAME_BYTES];
    const struct tensor *tensor = find(binder, name, full);
    *out = NULL;
    if (!tensor)
        return 0;
    if (tensor->type != TENSOR_F32)
        return error_set(binder->error, ENOEXEC, "tensor %s is not F32", full);
    if (tensor->dimensions != 1 || tensor->shape[0] != (uint64_t)width)
        return error_set(binder->error, ENOEXEC,
                         "tensor %s has %llu items in %u dimensions, "
                         "not %d in one",
                         full, (unsigned long long)tensor->shape[0], tensor->dimensions, width);
    const void *data = tensor->data;
    if ((uintptr_t)data % _Alignof(float))
        return error_set(binder->error, ENOEXEC, "tensor %s is not aligned to 4 bytes", full);
    *out = data;
    return 0;
}

static int bind_norm(const struct binder *binder, const char *name, int32_t width,
                     const float **out)
{
    int status = bind_vector(binder, name, width, out);
    if (!status && !*out)
        return error_set(binder->error, ENOEXEC, "tensor %s%s is missing", binder->prefix, name);
    return status;
}

static int bind_matrix(const struct binder *binder, const char *name, int32_t rows, int32_t columns,
                       struct matrix *out)
{
    char full[TENSOR_NAME_BYTES];
    const struct tensor *tensor = find(binder, name, full);
    if (!tensor)
        return error_set(binder->error, ENOEXEC, "tensor %s is missing", full);
    return matrix_view(tensor, rows, columns, out, binder->error);
}

static int bind_linear(const struct binder *binder, const char *name, int32_t rows, int32_t columns,
                       struct linear *out)
{
    char full[TENSOR_NAME_BYTES];
    snprintf(full, sizeof full, "%s.weight", name);
    int status = bind_matrix(binder, full, rows, columns, &out->weight);
    if (status)
        return status;
    snprintf(full, sizeof full, "%s.bias", name);
    return bind_vector(binder, full, rows, &out->bias);
}

static int bind_layer(struct binder *binder, const struct model_config *config, int32_t index,
                      struct layer *layer)
{
    int32_t width = config->width, hidden = config->hidden;
    int32_t query_rows = config->heads * config->head_size;
    int32_t key_rows = config->kv_heads * config->head_size;
    snprintf(binder->prefix, sizeof binder->prefix, "blk.%d.", index);
    int status = bind_norm(binder, "attn_norm.weight", width, &layer->attention_norm);
    if (!status)
        status = bind_linear(binder, "attn_q", query_rows, width, &layer->query);
    if (!status)
        status = bind_linear(binder, "attn_k", key_rows, width, &layer->key);
    if (!status)
        status = bind_linear(binder, "attn_v", key_rows, width, &layer->value);
    if (!status)
        status = bind_linear(binder, "attn_output", width, query_rows, &layer->output);
    if (!status)
        status = bind_norm(binder, "ffn_norm.weight", width, &layer->hidden_norm);
    if (!status)
        status = bind_linear(binder, "ffn_gate", hidden, width, &layer->gate);
    if (!status)
        status = bind_linear(binder, "ffn_up", hidden, width, &layer->up);
    if (!status)
        status = bind_linear(binder, "ffn_down", width, hidden, &layer->down);
    return status;
}

/* Divisors of the rotation's frequencies: the file's own list, which replaces linear scaling, or
 * the scaling factor for all of them. */
static int bind_rope(const struct binder *binder, struct model *model)
{
    const struct model_config *config = &model->config;
    int32_t pairs = config->head_size / 2;
    const float *listed;
    int status = bind_vector(binder, "rope_freqs.weight", pairs, &listed);
    if (status || (!listed && config->rope_factor == 1))
        return status;
    model->rope_factors = memory_try((size_t)pairs, sizeof(float));
    if (!model->rope_factors)
        return error_set(binder->error, ENOMEM, "no memory for rope factors");
    for (int32_t i = 0; i < pairs; i++) {
        float factor = listed ? listed[i] : config->rope_factor;
        if (!isfinite(factor) || factor <= 0)
            return error_set(binder->error, ENOEXEC, "rope_freqs.weight[%d] is %g", i,
                             (double)factor);
        model->rope_factors[i] = factor;
    }
    return 0;
}

static int bind_all(const struct gguf *gguf, struct model *model, struct error *error)
{
    const struct model_config *config = &model->config;
    struct binder binder = {.gguf = gguf, .error = error};
    int status = bind_matrix(&binder, "token_embd.weight", config->vocabulary, config->width,
                             &model->embedding);
    model->head = model->embedding;
    if (!status && gguf_tensor(gguf, "output.weight"))
        status =
            bind_matrix(&binder, "output.weight", config->vocabulary, config->width, &model->head);
    if (!status)
        status = bind_norm(&binder, "output_norm.weight", config->width, &model->output_norm);
    if (!status)
        status = bind_rope(&binder, model);
    for (int32_t i = 0; !status && i < config->layers; i++)
        status = bind_layer(&binder, config, i, &model->layers[i]);
    return status;
}

int model_open(const struct gguf *gguf, struct model *out, struct error *error)
{
    struct model model = {0};
    int status = config_read(gguf, &model.config, error);
    if (status)
        return status;
    model.layers = memory_try((size_t)model.config.layers, sizeof *model.layers);
    if (!model.layers)
        return error_set(error, ENOMEM, "no memory for %d layers", model.config.layers);
    status = bind_all(gguf, &model, error);
    if (status)
        model_close(&model);
    else
        *out = model;
    return status;
}

void model_close(struct model *model)
{
    free(model->rope_factors);
    free(model->layers);
    *model = (struct model){0};
}
