/* embedding.c - see embedding.h; embedding_internal.h lists the parts. */
#include "generate/embedding_internal.h"

#include "base/clock.h"
#include "generate/vectors.h"

#include <errno.h>
#include <stdlib.h>

enum { ANSWER_BYTES_MAX = 64 << 20 };

bool embedding_is_for(const struct model_config *config)
{
    return config->family->encoder || config->pooling != CONFIG_POOLING_NONE;
}

/* Of an encoder's batch. */
static int32_t encoder_tokens(int32_t context)
{
    return context > EMBEDDING_BATCH_TOKENS ? context : EMBEDDING_BATCH_TOKENS;
}

/* A pass's answer is written here, gathered by the worker and put into its messages; each of the
 * three buffers may be twice as large as it must, once it has grown. */
size_t embedding_bytes(const struct model_config *config, const struct engine_options *options)
{
    const size_t width = (size_t)config->width;
    const size_t answer = 2 * EMBEDDING_BATCH_TEXTS_MAX * width * VECTORS_NUMBER_BYTES;
    return sizeof(struct embedder) + width * sizeof(float) + 3 * answer +
           (config->family->encoder
                ? encoder_bytes(config, encoder_tokens(options->context), options->threads)
                : embedding_decoder_bytes(config, options));
}

static int open_encoder(struct engine *engine, struct error *error)
{
    struct embedder *embedder = engine->embedder;
    embedder->tokens_max = encoder_tokens(engine->context);
    return encoder_open(&engine->model, engine->kernels, engine->threads, embedder->tokens_max,
                        &embedder->encoder, error);
}

int embedding_open(struct engine *engine, const struct engine_options *options, struct error *error)
{
    struct embedder *embedder = memory_try(1, sizeof *embedder);
    if (!embedder)
        return error_set(error, ENOMEM, "no memory for embeddings");
    engine->embedder = embedder;
    embedder->last = &embedder->first;
    embedder->tokens_max = engine->prefill_chunk;
    embedder->text_max = engine->context;
    embedder->answer = buffer_new(ANSWER_BYTES_MAX);
    embedder->vector = memory_try((size_t)engine->model.config.width, sizeof(float));
    if (!embedder->vector)
        return error_set(error, ENOMEM, "no memory for embeddings");
    return embedding_is_encoder(engine) ? open_encoder(engine, error)
                                        : embedding_decoder_open(engine, options, error);
}

static void free_embedding(struct embedding *embedding)
{
    free(embedding->bytes);
    free(embedding->texts);
    free(embedding);
}

void embedding_close(struct engine *engine)
{
    struct embedder *embedder = engine->embedder;
    if (!embedder)
        return;
    if (embedder->running)
        free_embedding(embedder->running);
    while (embedder->first) {
        struct embedding *next = embedder->first->next;
        free_embedding(embedder->first);
        embedder->first = next;
    }
    embedding_decoder_close(engine);
    encoder_close(embedder->encoder);
    tokens_free(&embedder->batch.tokens);
    tokens_free(&embedder->spare);
    buffer_free(&embedder->answer);
    free(embedder->vector);
    free(embedder);
    engine->embedder = NULL;
}

/* ---- requests ---- */

static int copy_texts(struct embedding *embedding, const struct engine_request *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->text_count; i++)
        if (__builtin_add_overflow(bytes, request->texts[i].length, &bytes))
            return -ENOMEM;
    embedding->bytes = memory_try(bytes ? bytes : 1, 1);
    embedding->texts = memory_try(request->text_count, sizeof *embedding->texts);
    if (!embedding->bytes || !embedding->texts)
        return -ENOMEM;
    char *at = embedding->bytes;
    for (size_t i = 0; i < request->text_count; i++) {
        struct text text = request->texts[i];
        if (text.length)
            memcpy(at, text.bytes, text.length);
        embedding->texts[i] = (struct text){at, text.length};
        at += text.length;
    }
    embedding->text_count = request->text_count;
    return 0;
}

static void put_last(struct embedder *embedder, struct embedding *embedding)
{
    *embedder->last = embedding;
    embedder->last = &embedding->next;
}

int embedding_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                     struct error *error)
{
    struct embedder *embedder = engine->embedder;
    if (request->message_count)
        return error_set(error, EINVAL, "the model makes embeddings; it does not generate");
    if (request->text_count == 0)
        return error_set(error, EINVAL, "the prompt has no text to embed");
    if (embedder->count >= ENGINE_REQUESTS_MAX)
        return error_set(error, EAGAIN, "%d requests are waiting already", ENGINE_REQUESTS_MAX);
    struct embedding *embedding = memory_try(1, sizeof *embedding);
    if (!embedding)
        return error_set(error, ENOMEM, "no memory for a request");
    embedding->id = id;
    embedding->format = request->format;
    if (copy_texts(embedding, request)) {
        free_embedding(embedding);
        return error_set(error, ENOMEM, "no memory for the texts");
    }
    put_last(embedder, embedding);
    embedder->count++;
    return 0;
}

void embedding_cancel(struct engine *engine, uint64_t id)
{
    struct embedding *running = engine->embedder->running;
    if (running && running->id == id)
        running->cancelled = true;
    for (struct embedding *at = engine->embedder->first; at; at = at->next)
        if (at->id == id)
            at->cancelled = true;
}

/* ---- turns ---- */

static struct embedding *unlink_waiting(struct embedder *embedder, struct embedding **link)
{
    struct embedding *embedding = *link;
    *link = embedding->next;
    if (!*link)
        embedder->last = link;
    embedding->next = NULL;
    return embedding;
}

/* The first that has something to do: all but those that wait for pages. */
static struct embedding **next_turn(struct embedder *embedder)
{
    struct embedding **link = &embedder->first;
    while (*link && (*link)->starved && !(*link)->cancelled)
        link = &(*link)->next;
    return link;
}

/* Tell the sink, then free it: the caller has unlinked it. */
static void end(struct embedder *embedder, const struct engine_sink *sink,
                struct embedding *embedding, enum engine_finish finish, const struct error *error)
{
    embedding->usage.ended_us = clock_now_us();
    struct engine_usage usage = embedding->usage;
    uint64_t id = embedding->id;
    embedder->count--;
    free_embedding(embedding);
    sink->done(sink->owner, id, finish, &usage, error);
}

static void end_running(struct engine *engine, const struct engine_sink *sink,
                        enum engine_finish finish, const struct error *error)
{
    struct embedding *embedding = engine->embedder->running;
    embedding_clear(engine);
    engine->embedder->running = NULL;
    end(engine->embedder, sink, embedding, finish, error);
}

static const char *reason(int status)
{
    switch (-status) {
    case EIO:
        return "a vector is not finite";
    case ENODATA:
        return "a text is empty, and the model has no token that begins or ends one";
    case EMSGSIZE:
        return "a text is too long to be tokenised";
    case EINVAL:
        return "a text has a token that the model has no weights for";
    case ENOMEM:
        return "the system has no memory for the texts";
    default:
        return strerror(-status);
    }
}

/* Pass on the vectors of a batch that is computed; the next one is another request's. */
static void hand_out(struct engine *engine, const struct engine_sink *sink)
{
    struct embedder *embedder = engine->embedder;
    struct embedding *embedding = embedder->running;
    struct engine_usage *usage = &embedding->usage;
    if (usage->first_token_us == 0)
        usage->first_token_us = clock_now_us();
    usage->prompt_tokens += (int32_t)embedder->batch.tokens.count;
    embedding->position += (size_t)embedder->batch.text_count;
    sink->text(sink->owner, embedding->id, buffer_text(&embedder->answer));
    if (embedding->position == embedding->text_count) {
        end_running(engine, sink, ENGINE_STOP, NULL);
        return;
    }
    embedding_clear(engine);
    embedder->running = NULL;
    put_last(embedder, embedding);
}

/* The running request keeps its place in the queue until there are pages for its next text. */
static void wait_for_pages(struct engine *engine, const struct engine_sink *sink)
{
    struct embedder *embedder = engine->embedder;
    struct embedding *embedding = embedder->running;
    const uint64_t bytes = kv_missing_bytes(&engine->kv, (uint64_t)embedder->pages_wanted *
                                                             kv_page_total(&engine->kv));
    embedding->starved = true;
    embedding->next = embedder->first;
    if (!embedder->first)
        embedder->last = &embedding->next;
    embedder->first = embedding;
    embedder->running = NULL;
    if (engine->need_asked)
        return;
    engine->need_asked = true;
    embedding->asked = true;
    sink->need(sink->owner, bytes);
}

/* The next part of the running request's batch, which is made if there is none. */
static void advance(struct engine *engine, const struct engine_sink *sink)
{
    struct embedder *embedder = engine->embedder;
    const struct embedding_batch *batch = &embedder->batch;
    struct engine_usage *usage = &embedder->running->usage;
    struct error error;
    int status = batch->text_count ? 0 : embedding_fill(engine);
    if (status == -EDQUOT) {
        wait_for_pages(engine, sink);
        return;
    }
    if (usage->started_us == 0)
        usage->started_us = clock_now_us();
    if (!status)
        status = embedding_compute(engine);
    if (status) {
        error_set(&error, -status, "%s", reason(status));
        end_running(engine, sink, ENGINE_FAILED, &error);
    } else if (batch->computed == (int32_t)batch->tokens.count) {
        hand_out(engine, sink);
    }
}

bool embedding_step(struct engine *engine, const struct engine_sink *sink)
{
    struct embedder *embedder = engine->embedder;
    struct embedding **next = next_turn(embedder);
    if (!embedder->running && *next)
        embedder->running = unlink_waiting(embedder, next);
    if (embedder->running && embedder->running->cancelled)
        end_running(engine, sink, ENGINE_CANCELLED, NULL);
    else if (embedder->running)
        advance(engine, sink);
    return embedder->running || *next_turn(embedder);
}

/* ---- memory ---- */

/* All that wait try again: those that still lack pages ask anew. */
void embedding_granted(struct engine *engine)
{
    for (struct embedding *at = engine->embedder->first; at; at = at->next)
        at->starved = at->asked = false;
}

void embedding_refuse(struct engine *engine, const struct engine_sink *sink, const char *text)
{
    struct embedder *embedder = engine->embedder;
    struct embedding **link = &embedder->first;
    while (*link && !(*link)->asked)
        link = &(*link)->next;
    struct embedding *refused = *link ? unlink_waiting(embedder, link) : NULL;
    embedding_granted(engine);
    if (refused) {
        struct error error;
        error_set(&error, ENOMEM, "%s", text);
        end(embedder, sink, refused, ENGINE_FAILED, &error);
    }
}
