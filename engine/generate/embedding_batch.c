/* embedding_batch.c - from texts to tokens, from states to vectors; see embedding_internal.h. */
#include "generate/embedding_internal.h"

#include "generate/vectors.h"

#include <errno.h>

/* The ids of a text in embedder->spare: start token, text, end token, at most text_max of them. */
static int read_text(struct engine *engine, struct text text, bool *truncated)
{
    struct embedder *embedder = engine->embedder;
    struct tokens *ids = &embedder->spare;
    const int32_t start = tokenizer_bos(engine->tokenizer), last = engine->vocabulary.suffix;
    ids->count = 0;
    int status = start == VOCABULARY_NONE ? 0 : tokens_append(ids, start);
    if (!status)
        status = tokenizer_encode(engine->tokenizer, text, TOKENIZER_PLAIN, ids);
    const size_t room = (size_t)embedder->text_max - (last != VOCABULARY_NONE);
    *truncated = !status && ids->count > room;
    if (*truncated)
        ids->count = room;
    if (!status && last != VOCABULARY_NONE)
        status = tokens_append(ids, last);
    if (!status)
        status = engine_check_tokens(engine, ids);
    return !status && ids->count == 0 ? -ENODATA : status;
}

/* Append embedder->spare, which is never longer than an empty batch may be.  Returns -ENOSPC when
 * it must wait for the next batch, otherwise as embedding_fill(). */
static int add(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    struct embedding_batch *batch = &embedder->batch;
    const size_t count = embedder->spare.count;
    const bool first = batch->text_count == 0;
    int status = 0;
    if (!first && batch->tokens.count + count > (size_t)embedder->tokens_max)
        return -ENOSPC;
    if (!embedding_is_encoder(engine))
        status = embedding_decoder_reserve(engine, (int32_t)count);
    if (status)
        return first ? status : -ENOSPC;
    batch->texts[batch->text_count++] =
        (struct encoder_text){(int32_t)batch->tokens.count, (int32_t)count};
    for (size_t i = 0; i < count && !status; i++)
        status = tokens_append(&batch->tokens, embedder->spare.ids[i]);
    return status;
}

int embedding_fill(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    struct embedding *embedding = embedder->running;
    struct embedding_batch *batch = &embedder->batch;
    int status = 0;
    for (size_t next = embedding->position;
         next < embedding->text_count && batch->text_count < EMBEDDING_BATCH_TEXTS_MAX; next++) {
        bool truncated;
        status = read_text(engine, embedding->texts[next], &truncated);
        if (!status)
            status = add(engine);
        if (status)
            break;
        embedding->usage.truncated_texts += truncated;
    }
    return status == -ENOSPC ? 0 : status;
}

int embedding_take_state(struct engine *engine, const struct encoder_text *text, int32_t index,
                         const float *state)
{
    struct embedder *embedder = engine->embedder;
    const struct model_config *config = &engine->model.config;
    vectors_pool(config->pooling, state, index, text->count, config->width, embedder->vector);
    if (index < text->count - 1)
        return 0;
    if (!vectors_normalise(embedder->vector, config->width))
        return -EIO;
    return embedder->running->format == ENGINE_F32
               ? vectors_write_f32(embedder->vector, config->width, &embedder->answer)
               : vectors_write_json(embedder->vector, config->width, &embedder->answer);
}

static int compute_encoder(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    struct embedding_batch *batch = &embedder->batch;
    const float *states = encoder_run(embedder->encoder, engine->threads_used, batch->tokens.ids,
                                      batch->texts, batch->text_count);
    const size_t width = (size_t)engine->model.config.width;
    int status = 0;
    for (int32_t i = 0; i < batch->text_count; i++)
        for (int32_t n = 0; n < batch->texts[i].count && !status; n++)
            status = embedding_take_state(engine, &batch->texts[i], n,
                                          states + (size_t)(batch->texts[i].begin + n) * width);
    batch->computed = (int32_t)batch->tokens.count;
    return status;
}

int embedding_compute(struct engine *engine)
{
    return embedding_is_encoder(engine) ? compute_encoder(engine)
                                        : embedding_decoder_compute(engine);
}

void embedding_clear(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    embedder->batch.tokens.count = 0;
    embedder->batch.text_count = 0;
    embedder->batch.computed = 0;
    embedder->answer.length = 0;
    embedding_decoder_release(engine);
}
