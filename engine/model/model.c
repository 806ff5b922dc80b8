/* model.c - see model.h. */
#include "model/model.h"

#include "base/memory.h"
#include "load/gguf.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a search for tensors needs; `prefix` is "" or "blk.3.".  After the first failure nothing is
 * bound any more and `status` keeps it. */
struct binder {
    const struct gguf *gguf;
    const struct model_config *config;
    struct error *error;
    int status;
    char prefix[16];
};

/* The name of a tensor with its prefix. */
struct name {
    char text[TENSOR_NAME_BYTES];
};

static struct name name_of(const struct binder *binder, const char *stem, const char *kind)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%s.%s", binder->prefix, stem, kind);
    return name;
}

static bool has(const struct binder *binder, const char *stem)
{
    return gguf_tensor(binder->gguf, name_of(binder, stem, "weight").text) != NULL;
}

/* The tensor, or NULL with the status set where it is missing. */
static const struct tensor *need(struct binder *binder, const struct name *name)
{
    const struct tensor *tensor = gguf_tensor(binder->gguf, name->text);
    if (!tensor)
        binder->status = error_set(binder->error, ENOEXEC, "tensor %s is missing", name->text);
    return tensor;
}

/* A vector of `width` floats, read in place; NULL when it is not there. */
static const float *bind_vector(struct binder *binder, const struct name *name, int32_t width)
{
    const struct tensor *tensor = binder->status ? NULL : gguf_tensor(binder->gguf, name->text);
    if (!tensor)
        return NULL;
    const void *data = tensor->data;
    if (tensor->type != TENSOR_F32)
        binder->status = error_set(binder->error, ENOEXEC, "tensor %s is not F32", name->text);
    else if (tensor->dimensions != 1 || tensor->shape[0] != (uint64_t)width)
        binder->status = error_set(
            binder->error, ENOEXEC, "tensor %s has %llu items in %u dimensions, not %d in one",
            name->text, (unsigned long long)tensor->shape[0], tensor->dimensions, width);
    else if ((uintptr_t)data % _Alignof(float))
        binder->status =
            error_set(binder->error, ENOEXEC, "tensor %s is not aligned to 4 bytes", name->text);
    return binder->status ? NULL : data;
}

static const float *need_vector(struct binder *binder, const char *stem, const char *kind,
                                int32_t width)
{
    struct name name = name_of(binder, stem, kind);
    if (binder->status || !need(binder, &name))
        return NULL;
    return bind_vector(binder, &name, width);
}

static void bind_norm(struct binder *binder, const char *stem, struct norm *out)
{
    const int32_t width = binder->config->width;
    out->weight = need_vector(binder, stem, "weight", width);
    if (binder->config->family->norm == FAMILY_LAYER)
        out->bias = need_vector(binder, stem, "bias", width);
}

static const float *bind_bias(struct binder *binder, const char *stem, int32_t rows)
{
    struct name name = name_of(binder, stem, "bias");
    return bind_vector(binder, &name, rows);
}

static void bind_matrix(struct binder *binder, const char *stem, int32_t rows, int32_t columns,
                        struct matrix *out)
{
    struct name name = name_of(binder, stem, "weight");
    const struct tensor *tensor = binder->status ? NULL : need(binder, &name);
    if (tensor)
        binder->status = matrix_view(tensor, rows, columns, out, binder->error);
}

static void bind_linear(struct binder *binder, const char *stem, int32_t rows, int32_t columns,
                        struct linear *out)
{
    bind_matrix(binder, stem, rows, columns, &out->weight);
    out->bias = bind_bias(binder, stem, rows);
}

/* Rows [first, first + count) of a fused product. */
static struct linear part_of(const struct linear *whole, int32_t first, int32_t count)
{
    return (struct linear){matrix_rows(&whole->weight, first, count),
                           whole->bias ? whole->bias + first : NULL};
}

/* ---- a layer ---- */

static void bind_projections(struct binder *binder, struct layer *layer)
{
    const struct model_config *config = binder->config;
    const int32_t queries = config->heads * config->head_size;
    const int32_t keys = config->kv_heads * config->head_size;
    if (!has(binder, "attn_qkv")) {
        bind_linear(binder, "attn_q", queries, config->width, &layer->query);
        bind_linear(binder, "attn_k", keys, config->width, &layer->key);
        bind_linear(binder, "attn_v", keys, config->width, &layer->value);
        return;
    }
    struct linear fused = {0};
    bind_linear(binder, "attn_qkv", queries + 2 * keys, config->width, &fused);
    if (binder->status)
        return;
    layer->query = part_of(&fused, 0, queries);
    layer->key = part_of(&fused, queries, keys);
    layer->value = part_of(&fused, queries + keys, keys);
    if (!fused.bias) { /* some files keep them apart */
        layer->query.bias = bind_bias(binder, "attn_q", queries);
        layer->key.bias = bind_bias(binder, "attn_k", keys);
        layer->value.bias = bind_bias(binder, "attn_v", keys);
    }
}

static void bind_attention(struct binder *binder, struct layer *layer)
{
    const struct model_config *config = binder->config;
    const struct family *family = config->family;
    if (family->norms != FAMILY_AFTER)
        bind_norm(binder, "attn_norm", &layer->attention_norm);
    bind_projections(binder, layer);
    if (family->head_norms) {
        layer->query_norm.weight = need_vector(binder, "attn_q_norm", "weight", config->head_size);
        layer->key_norm.weight = need_vector(binder, "attn_k_norm", "weight", config->head_size);
    }
    bind_linear(binder, "attn_output", config->width, config->heads * config->head_size,
                &layer->output);
    if (family->norms != FAMILY_BEFORE)
        bind_norm(binder,
                  family->norms == FAMILY_AROUND ? "post_attention_norm" : "attn_output_norm",
                  &layer->attention_after);
}

/* What products read, floats or quantised vectors, is asked of the first expert alone. */
static void check_alike(struct binder *binder, const char *stem, const struct matrix *first,
                        const struct matrix *other)
{
    if (!binder->status && first->type != other->type)
        binder->status = error_set(binder->error, ENOEXEC,
                                   "tensor %s has the type %s, that of the first expert %s",
                                   name_of(binder, stem, "weight").text,
                                   tensor_type_name(other->type), tensor_type_name(first->type));
}

/* One of the three matrices of all experts of a layer: a stack, or in older files one by one;
 * `offset` is its place in struct expert. */
static void bind_experts(struct binder *binder, const char *stem, int32_t rows, int32_t columns,
                         struct expert *experts, size_t offset)
{
    const int32_t count = binder->config->experts;
    char full[32];
    struct matrix all = {0};
    snprintf(full, sizeof full, "%s_exps", stem);
    const bool stacked = has(binder, full);
    if (stacked && !binder->status) {
        struct name name = name_of(binder, full, "weight");
        binder->status = matrix_view_stack(gguf_tensor(binder->gguf, name.text), count, rows,
                                           columns, &all, binder->error);
    }
    for (int32_t i = 0; i < count && !binder->status; i++) {
        struct matrix *out = (struct matrix *)((char *)&experts[i] + offset);
        snprintf(full, sizeof full, "%s.%d", stem, i);
        if (stacked)
            *out = matrix_rows(&all, i * rows, rows);
        else
            bind_matrix(binder, full, rows, columns, out);
        check_alike(binder, full, (struct matrix *)((char *)experts + offset), out);
    }
}

static void bind_hidden(struct binder *binder, struct layer *layer)
{
    const struct model_config *config = binder->config;
    const struct family *family = config->family;
    const int32_t width = config->width, hidden = config->hidden;
    if (family->norms != FAMILY_AFTER)
        bind_norm(binder, "ffn_norm", &layer->hidden_norm);
    if (config->experts) {
        bind_linear(binder, "ffn_gate_inp", config->experts, width, &layer->router);
        bind_experts(binder, "ffn_gate", hidden, width, layer->experts,
                     offsetof(struct expert, gate));
        bind_experts(binder, "ffn_up", hidden, width, layer->experts, offsetof(struct expert, up));
        bind_experts(binder, "ffn_down", width, hidden, layer->experts,
                     offsetof(struct expert, down));
    } else if (family->gate_in_up) {
        struct linear fused = {0};
        bind_linear(binder, "ffn_up", 2 * hidden, width, &fused);
        layer->gate = part_of(&fused, 0, hidden);
        layer->up = part_of(&fused, hidden, hidden);
    } else {
        if (family->gated)
            bind_linear(binder, "ffn_gate", hidden, width, &layer->gate);
        bind_linear(binder, "ffn_up", hidden, width, &layer->up);
    }
    if (!config->experts)
        bind_linear(binder, "ffn_down", width, hidden, &layer->down);
    if (family->norms != FAMILY_BEFORE)
        bind_norm(binder, family->norms == FAMILY_AROUND ? "post_ffw_norm" : "layer_output_norm",
                  &layer->hidden_after);
}

/* ---- the rest ---- */

/* A list of divisors of the rotation's frequencies, checked; NULL when it is not there. */
static const float *bind_factors(struct binder *binder, const char *stem)
{
    const int32_t pairs = binder->config->rope.rotated / 2;
    struct name name = name_of(binder, stem, "weight");
    const float *factors = pairs ? bind_vector(binder, &name, pairs) : NULL;
    for (int32_t i = 0; factors && i < pairs; i++)
        if (!isfinite(factors[i]) || factors[i] <= 0) {
            binder->status =
                error_set(binder->error, ENOEXEC, "%s[%d] is %g", name.text, i, (double)factors[i]);
            return NULL;
        }
    return factors;
}

static void bind_rope(struct binder *binder, struct model *model)
{
    model->rope_factors = bind_factors(binder, "rope_freqs");
    model->rope_short = bind_factors(binder, "rope_factors_short");
    model->rope_long = bind_factors(binder, "rope_factors_long");
    if (binder->status)
        return;
    const bool any = model->rope_short || model->rope_long;
    if (any != (model->rope_short && model->rope_long) ||
        (!any && model->config.rope.scaling == CONFIG_LONGROPE))
        binder->status =
            error_set(binder->error, ENOEXEC, "tensor rope_factors_%s.weight is missing",
                      model->rope_short ? "long" : "short");
}

/* A table of rows that are added to the embedding's; its height is its own. */
static void bind_table(struct binder *binder, const char *stem, struct matrix *out)
{
    struct name name = name_of(binder, stem, "weight");
    const struct tensor *tensor = gguf_tensor(binder->gguf, name.text);
    int32_t rows = tensor && tensor->shape[1] <= INT32_MAX ? (int32_t)tensor->shape[1] : 0;
    bind_matrix(binder, stem, rows, binder->config->width, out);
}

static void bind_input(struct binder *binder, struct model *model)
{
    struct model_config *config = &model->config;
    bind_matrix(binder, "token_embd", config->vocabulary, config->width, &model->embedding);
    if (config->family->positions) {
        bind_table(binder, "position_embd", &model->positions);
        if (!binder->status && model->positions.rows < config->context)
            config->context = model->positions.rows; /* there is nothing to add behind them */
    }
    if (config->family->encoder) {
        if (has(binder, "token_types"))
            bind_table(binder, "token_types", &model->token_types);
        bind_norm(binder, "token_embd_norm", &model->embedding_norm);
    }
}

static void bind_output(struct binder *binder, struct model *model)
{
    const struct model_config *config = &model->config;
    if (config->family->encoder)
        return;
    bind_norm(binder, "output_norm", &model->output_norm);
    model->head.weight = model->embedding;
    if (has(binder, "output"))
        bind_matrix(binder, "output", config->vocabulary, config->width, &model->head.weight);
    model->head.bias = bind_bias(binder, "output", config->vocabulary);
}

static int bind_all(const struct gguf *gguf, struct model *model, struct error *error)
{
    const struct model_config *config = &model->config;
    struct binder binder = {.gguf = gguf, .config = config, .error = error};
    bind_input(&binder, model);
    bind_output(&binder, model);
    bind_rope(&binder, model);
    for (int32_t i = 0; !binder.status && i < config->layers; i++) {
        struct layer *layer = &model->layers[i];
        snprintf(binder.prefix, sizeof binder.prefix, "blk.%d.", i);
        if (config->experts)
            layer->experts = model->experts + (size_t)i * (size_t)config->experts;
        bind_attention(&binder, layer);
        bind_hidden(&binder, layer);
    }
    return binder.status;
}

static size_t expert_count(const struct model_config *config)
{
    return (size_t)config->layers * (size_t)config->experts;
}

size_t model_bytes(const struct model_config *config)
{
    return (size_t)config->layers * sizeof(struct layer) +
           expert_count(config) * sizeof(struct expert);
}

int model_open(const struct gguf *gguf, struct model *out, struct error *error)
{
    struct model model = {0};
    int status = config_read(gguf, &model.config, error);
    if (status)
        return status;
    const size_t experts = expert_count(&model.config);
    model.layers = memory_try((size_t)model.config.layers, sizeof *model.layers);
    model.experts = experts ? memory_try(experts, sizeof *model.experts) : NULL;
    if (!model.layers || (experts && !model.experts))
        status = error_set(error, ENOMEM, "no memory for %d layers", model.config.layers);
    else
        status = bind_all(gguf, &model, error);
    if (status)
        model_close(&model);
    else
        *out = model;
    return status;
}

void model_close(struct model *model)
{
    free(model->experts);
    free(model->layers);
    *model = (struct model){0};
}
