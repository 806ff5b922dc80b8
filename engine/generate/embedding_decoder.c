/* embedding_decoder.c - a batch of texts through the model that others generate with; see
 * embedding_internal.h. */
#include "generate/embedding_internal.h"

#include "generate/vectors.h"
#include "math/attention.h"

#include <errno.h>
#include <stdlib.h>

static int32_t pages_for(int32_t tokens)
{
    return (tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
}

/* Either one long text, or short ones, the shortest of one token. */
static size_t pages_max(const struct engine_options *options)
{
    const int32_t longest = pages_for(options->context);
    return (size_t)(longest > options->prefill_chunk ? longest : options->prefill_chunk);
}

size_t embedding_decoder_bytes(const struct model_config *config,
                               const struct engine_options *options)
{
    return forward_bytes(config, options->prefill_chunk, 0, options->context, options->threads) +
           (size_t)options->prefill_chunk * sizeof(struct forward_token) +
           pages_max(options) * sizeof(struct forward_page) + (size_t)config->width * sizeof(float);
}

int embedding_decoder_open(struct engine *engine, const struct engine_options *options,
                           struct error *error)
{
    struct embedder *embedder = engine->embedder;
    engine->kv = prefix_open_kv(&engine->model.config, options->kv_format, options->kv_bytes);
    engine->batch = memory_try((size_t)options->prefill_chunk, sizeof *engine->batch);
    embedder->pages = memory_try(pages_max(options), sizeof *embedder->pages);
    embedder->state = memory_try((size_t)engine->model.config.width, sizeof *embedder->state);
    if (!engine->batch || !embedder->pages || !embedder->state)
        return error_set(error, ENOMEM, "no memory for a batch");
    return forward_open(&engine->model, engine->kernels, engine->threads, options->prefill_chunk, 0,
                        options->context, options->kv_format, &engine->forward, error);
}

static void give_back(struct engine *engine, int32_t kept)
{
    struct embedder *embedder = engine->embedder;
    while (embedder->page_count > kept)
        kv_give(&engine->kv, &embedder->pages[--embedder->page_count]);
}

void embedding_decoder_release(struct engine *engine)
{
    give_back(engine, 0);
}

void embedding_decoder_close(struct engine *engine)
{
    embedding_decoder_release(engine);
    free(engine->embedder->pages);
    free(engine->embedder->state);
}

int embedding_decoder_reserve(struct engine *engine, int32_t count)
{
    struct embedder *embedder = engine->embedder;
    const int32_t before = embedder->page_count, wanted = pages_for(count);
    if (kv_available(&engine->kv) < (uint64_t)wanted) {
        embedder->pages_wanted = wanted;
        return -EDQUOT;
    }
    while (embedder->page_count < before + wanted) {
        if (!kv_take(&engine->kv, &embedder->pages[embedder->page_count])) {
            give_back(engine, before);
            return -ENOMEM;
        }
        embedder->page_count++;
    }
    return 0;
}

/* The tokens [begin, end) of the batch that belong to a text, as the model reads them. */
static void add_text(struct engine *engine, const struct encoder_text *text,
                     const struct forward_page *pages, int32_t begin, int32_t end)
{
    const struct embedding_batch *batch = &engine->embedder->batch;
    const enum config_pooling pooling = engine->model.config.pooling;
    for (int32_t n = begin > text->begin ? begin : text->begin;
         n < end && n < text->begin + text->count; n++)
        engine->batch[n - begin] = (struct forward_token){
            .token = batch->tokens.ids[n],
            .position = n - text->begin,
            .pages = pages,
            .wants_state = vectors_needs(pooling, n - text->begin, text->count)};
}

/* Their states, of which `taken` were of the texts before. */
static int take_text(struct engine *engine, const struct encoder_text *text, int32_t begin,
                     int32_t end, int32_t *taken)
{
    float *state = engine->embedder->state;
    int status = 0;
    for (int32_t n = begin > text->begin ? begin : text->begin;
         n < end && n < text->begin + text->count && !status; n++) {
        const int32_t index = n - text->begin;
        if (engine->batch[n - begin].wants_state)
            forward_state(engine->forward, (*taken)++, state);
        status = embedding_take_state(engine, text, index, state);
    }
    return status;
}

int embedding_decoder_compute(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    struct embedding_batch *batch = &embedder->batch;
    const int32_t begin = batch->computed, left = (int32_t)batch->tokens.count - begin;
    const int32_t end = begin + (left < engine->prefill_chunk ? left : engine->prefill_chunk);
    const struct forward_page *pages = embedder->pages;
    int32_t taken = 0;
    int status = 0;
    for (int32_t i = 0; i < batch->text_count; i++) {
        add_text(engine, &batch->texts[i], pages, begin, end);
        pages += pages_for(batch->texts[i].count);
    }
    forward_run(engine->forward, engine->threads_used, engine->batch, end - begin);
    for (int32_t i = 0; i < batch->text_count && !status; i++)
        status = take_text(engine, &batch->texts[i], begin, end, &taken);
    batch->computed = end;
    return status;
}
