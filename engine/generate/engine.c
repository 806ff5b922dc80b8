/* engine.c - opening and closing a model, phase by phase; see ../engine.h.
 *
 * Everything that can refuse a file comes first, so that no model is brought into memory that can't
 * run: header, configuration and tensors; then the weights' pages; then memory; then the tokenizer.
 *
 * Pages that are in the page cache already are left where they are: whoever computes first maps
 * them sixteen at a time and on all threads, in less than half of the time that it takes to map
 * them beforehand. */
#include "generate/engine_internal.h"

#include "base/clock.h"
#include "generate/embedding.h"
#include "load/folder.h"
#include "text/hf_folder.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

static int settle(int64_t value, int64_t otherwise, int64_t maximum, const char *name, int *out,
                  struct error *error)
{
    if (value < 0 || value > maximum)
        return error_set(error, EINVAL, "%s is %lld, not 1 to %lld (0: default)", name,
                         (long long)value, (long long)maximum);
    *out = (int)(value ? value : otherwise);
    return 0;
}

int engine_settle_options(const struct engine_options *options, const struct model_config *config,
                          struct engine_options *out, struct error *error)
{
    *out = *options;
    int status =
        settle(options->threads, threads_available(), THREADS_MAX, "threads", &out->threads, error);
    if (!status)
        status = settle(options->prefill_chunk, ENGINE_PREFILL_CHUNK, ENGINE_PREFILL_CHUNK_MAX,
                        "prefill chunk", &out->prefill_chunk, error);
    if (!status)
        status = settle(options->context, config->context, CONFIG_CONTEXT_MAX, "context",
                        &out->context, error);
    if (out->context > config->context) /* a cap, and no promise that the model can't keep */
        out->context = config->context;
    return status;
}

static int open_file(struct engine *engine, const char *path, struct error *error)
{
    int status = gguf_open(path, &engine->gguf, error);
    if (!status)
        status = model_open(engine->gguf, &engine->model, error);
    engine->loading.opened_us = clock_now_us();
    return status;
}

static int populate(struct engine *engine, const struct engine_options *options,
                    struct error *error)
{
    struct engine_loading *loading = &engine->loading;
    bool cached;
    engine->threads_used = options->threads;
    int status = threads_open(options->threads, &engine->threads, error);
    if (status)
        return status;
    loading->loaded_bytes = gguf_file_bytes(engine->gguf);
    loading->cold_bytes =
        loading->loaded_bytes - gguf_resident_bytes(engine->gguf, engine->threads, &cached);
    if (options->populate && !cached)
        status = gguf_populate(engine->gguf, error);
    loading->populated_us = clock_now_us();
    return status;
}

/* What generating takes. */
static int open_generation(struct engine *engine, const struct engine_options *options,
                           struct error *error)
{
    const struct model_config *config = &engine->model.config;
    int32_t batch = options->prefill_chunk + ENGINE_SEQUENCES_MAX;
    engine->kv = prefix_open_kv(config, options->kv_format, options->kv_bytes);
    engine->window = forward_window(config);
    prefix_open(&engine->prefix, &engine->kv, options->prefix_cache, engine->window);
    engine->batch = memory_try((size_t)batch, sizeof *engine->batch);
    const bool has_room = odds_room_open(&engine->room, config->vocabulary);
    engine->own_logits = memory_try((size_t)config->vocabulary, sizeof *engine->own_logits);
    if (!engine->batch || !has_room || !engine->own_logits)
        return error_set(error, ENOMEM, "no memory for a batch");
    return forward_open(&engine->model, engine->kernels, engine->threads, batch,
                        ENGINE_SEQUENCES_MAX, options->context, options->kv_format,
                        &engine->forward, error);
}

static int configure(struct engine *engine, const struct engine_options *options,
                     struct error *error)
{
    engine->context = options->context;
    engine->prefill_chunk = options->prefill_chunk;
    int status = embedding_is_for(&engine->model.config) ? embedding_open(engine, options, error)
                                                         : open_generation(engine, options, error);
    engine->loading.configured_us = clock_now_us();
    return status;
}

int engine_open_text(struct engine *engine, const char *path, struct error *error)
{
    int status = hf_folder_vocabulary(path, engine->gguf, &engine->vocabulary, error);
    if (!status)
        status = tokenizer_open(&engine->vocabulary, &engine->tokenizer, error);
    if (status)
        return status;
    engine->piece_bytes_max = tokenizer_piece_bytes_max(engine->tokenizer);
    engine->piece = memory_try(engine->piece_bytes_max, 1);
    if (!engine->piece)
        return error_set(error, ENOMEM, "no memory for a token");
    /* A template that does not compile leaves raw completion. */
    chat_format_open(&engine->vocabulary, engine->tokenizer, &engine->chat, &engine->chat_error);
    malloc_trim(0); /* what reading and indexing took beside the result, which the plan counts */
    return 0;
}

static int open_all(struct engine *engine, const char *path, const struct engine_options *options,
                    struct error *error)
{
    struct engine_options settled;
    int status = kernels_choose(options->kernels, &engine->kernels, error);
    if (!status)
        status = open_file(engine, path, error);
    if (!status)
        status = engine_settle_options(options, &engine->model.config, &settled, error);
    if (!status)
        status = populate(engine, &settled, error);
    if (!status)
        status = configure(engine, &settled, error);
    if (!status)
        status = engine_open_text(engine, path, error);
    if (!status)
        engine->plan = engine_make_plan(engine, &settled);
    engine->loading.ready_us = clock_now_us();
    return status;
}

static struct engine *new_engine(struct error *error)
{
    struct engine *engine = memory_try(1, sizeof *engine);
    if (!engine) {
        error_set(error, ENOMEM, "no memory for an engine");
        return NULL;
    }
    engine->queue_last = &engine->queue_first;
    engine->loading.started_us = clock_now_us();
    return engine;
}

static int close_unless(int status, struct engine *engine, struct engine **out)
{
    if (status)
        engine_close(engine);
    else
        *out = engine;
    return status;
}

int engine_open(const char *path, const struct engine_options *options, struct engine **out,
                struct error *error)
{
    struct engine *engine = new_engine(error);
    if (!engine)
        return -ENOMEM;
    return close_unless(open_all(engine, path, options, error), engine, out);
}

int engine_open_tokenizer(const char *path, struct engine **out, struct error *error)
{
    struct engine *engine = new_engine(error);
    if (!engine)
        return -ENOMEM;
    int status =
        folder_is(path) ? 0 : gguf_open(path, &engine->gguf, error); /* no weights needed */
    if (!status)
        status = engine_open_text(engine, path, error);
    return close_unless(status, engine, out);
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    for (int i = 0; i < engine->running_count; i++)
        sequence_close(engine->running[i], &engine->prefix);
    while (engine->queue_first) {
        struct sequence *next = engine->queue_first->next;
        sequence_close(engine->queue_first, &engine->prefix);
        engine->queue_first = next;
    }
    embedding_close(engine);
    prefix_close(&engine->prefix);
    kv_close(&engine->kv);
    forward_close(engine->forward);
    if (engine->threads)
        threads_close(engine->threads);
    chat_format_close(&engine->chat);
    tokenizer_close(engine->tokenizer);
    vocabulary_free(&engine->vocabulary);
    model_close(&engine->model);
    if (engine->gguf)
        gguf_close(engine->gguf);
    free(engine->piece);
    odds_room_close(&engine->room);
    free(engine->own_logits);
    free(engine->dry_breakers);
    token_trie_close(engine->trie);
    free(engine->batch);
    free(engine);
}

const struct engine_loading *engine_loading(const struct engine *engine)
{
    return &engine->loading;
}

const struct engine_plan *engine_plan(const struct engine *engine)
{
    return &engine->plan;
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
    return engine->tokenizer;
}

const char *engine_chat_error(const struct engine *engine)
{
    return engine->chat_error.text;
}

const struct chat_format *engine_chat_format(const struct engine *engine)
{
    return engine->chat_error.code ? NULL : &engine->chat;
}

const char *engine_kernels(const struct engine *engine)
{
    return kernels_name(engine->kernels);
}

bool engine_embeds(const struct engine *engine)
{
    return embedding_is_for(&engine->model.config);
}

int32_t engine_context(const struct engine *engine)
{
    return engine->context;
}

void engine_set_threads(struct engine *engine, int threads)
{
    int most = threads_count(engine->threads);
    engine->threads_used = threads < 1 ? 1 : threads > most ? most : threads;
}
