/* embedding.c - see embedding.h. */
#include "generate/embedding.h"

#include "base/clock.h"
#include "generate/engine_internal.h"
#include "generate/vectors.h"
#include "model/encoder.h"

#include <errno.h>
#include <stdlib.h>

/* One request. */
struct embedding {
    struct embedding *next;
    uint64_t id;
    char *bytes;        /* of all texts */
    struct text *texts; /* [text_count] */
    size_t text_count;
    size_t position; /* texts whose vectors are out */
    enum engine_format format;
    bool cancelled;
    struct engine_usage usage;
};

struct embedder {
    struct blas *blas;
    struct encoder *encoder;
    int32_t tokens_max; /* of a batch */
    int32_t text_max;   /* tokens of a text */
    struct embedding *first, **last;
    int count;

    struct tokens tokens; /* of this batch's texts */
    struct encoder_text texts[EMBEDDING_BATCH_TEXTS_MAX];
    int32_t text_count;
    struct tokens spare;  /* of a text that is being read */
    struct buffer answer; /* the vectors of a batch, written out */
    float *vector;        /* [width] */
};

enum { ANSWER_BYTES_MAX = 64 << 20 };

bool embedding_is_for(const struct model_config *config)
{
    return config->family->encoder;
}

static int32_t batch_tokens(int32_t context)
{
    return context > EMBEDDING_BATCH_TOKENS ? context : EMBEDDING_BATCH_TOKENS;
}

size_t embedding_bytes(const struct model_config *config, int32_t context, int threads)
{
    return encoder_bytes(config, batch_tokens(context), threads) + sizeof(struct embedder) +
           (size_t)config->width * sizeof(float);
}

int embedding_open(struct engine *engine, struct error *error)
{
    const struct model_config *config = &engine->model.config;
    struct embedder *embedder = memory_try(1, sizeof *embedder);
    if (!embedder)
        return error_set(error, ENOMEM, "no memory for embeddings");
    engine->embedder = embedder;
    embedder->last = &embedder->first;
    embedder->tokens_max = batch_tokens(engine->context);
    embedder->text_max = engine->context;
    embedder->answer = buffer_new(ANSWER_BYTES_MAX);
    embedder->vector = memory_try((size_t)config->width, sizeof(float));
    if (!embedder->vector)
        return error_set(error, ENOMEM, "no memory for embeddings");
    int status = blas_open(&embedder->blas, error);
    return status ? status
                  : encoder_open(&engine->model, engine->kernels, embedder->blas, engine->threads,
                                 embedder->tokens_max, &embedder->encoder, error);
}

static void free_embedding(struct embedding *embedding)
{
    free(embedding->bytes);
    free(embedding->texts);
    free(embedding);
}

void embedding_close(struct embedder *embedder)
{
    if (!embedder)
        return;
    while (embedder->first) {
        struct embedding *next = embedder->first->next;
        free_embedding(embedder->first);
        embedder->first = next;
    }
    encoder_close(embedder->encoder);
    blas_close(embedder->blas);
    tokens_free(&embedder->tokens);
    tokens_free(&embedder->spare);
    buffer_free(&embedder->answer);
    free(embedder->vector);
    free(embedder);
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

int embedding_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                     struct error *error)
{
    struct embedder *embedder = engine->embedder;
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
    *embedder->last = embedding;
    embedder->last = &embedding->next;
    embedder->count++;
    return 0;
}

void embedding_cancel(struct engine *engine, uint64_t id)
{
    for (struct embedding *at = engine->embedder->first; at; at = at->next)
        if (at->id == id)
            at->cancelled = true;
}

static struct embedding *take_first(struct embedder *embedder)
{
    struct embedding *embedding = embedder->first;
    embedder->first = embedding->next;
    if (!embedder->first)
        embedder->last = &embedder->first;
    embedding->next = NULL;
    return embedding;
}

static void put_last(struct embedder *embedder, struct embedding *embedding)
{
    *embedder->last = embedding;
    embedder->last = &embedding->next;
}

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

/* ---- a batch ---- */

/* The ids of a text in embedder->spare: start token, text, end token, at most text_max of them. */
static int read_text(const struct engine *engine, struct embedding *embedding, struct text text)
{
    struct embedder *embedder = engine->embedder;
    struct tokens *ids = &embedder->spare;
    const int32_t start = tokenizer_bos(engine->tokenizer), last = engine->vocabulary.suffix;
    ids->count = 0;
    int status = start == VOCABULARY_NONE ? 0 : tokens_append(ids, start);
    if (!status)
        status = tokenizer_encode(engine->tokenizer, text, TOKENIZER_PLAIN, ids);
    const size_t room = (size_t)embedder->text_max - (last != VOCABULARY_NONE);
    if (!status && ids->count > room) {
        ids->count = room;
        embedding->usage.truncated_texts++;
    }
    if (!status && last != VOCABULARY_NONE)
        status = tokens_append(ids, last);
    return !status && ids->count == 0 ? -ENODATA : status;
}

/* Append embedder->spare to the batch. */
static int add_to_batch(struct embedder *embedder)
{
    struct encoder_text *text = &embedder->texts[embedder->text_count++];
    *text = (struct encoder_text){(int32_t)embedder->tokens.count, (int32_t)embedder->spare.count};
    int status = 0;
    for (size_t i = 0; i < embedder->spare.count && !status; i++)
        status = tokens_append(&embedder->tokens, embedder->spare.ids[i]);
    return status;
}

/* As many of the next texts as fit.  */
static int fill_batch(struct engine *engine, struct embedding *embedding)
{
    struct embedder *embedder = engine->embedder;
    embedder->tokens.count = 0;
    embedder->text_count = 0;
    size_t next = embedding->position;
    while (next < embedding->text_count && embedder->text_count < EMBEDDING_BATCH_TEXTS_MAX) {
        int32_t truncated = embedding->usage.truncated_texts;
        int status = read_text(engine, embedding, embedding->texts[next]);
        if (status)
            return status;
        bool fits = embedder->tokens.count + embedder->spare.count <= (size_t)embedder->tokens_max;
        if (!fits) {
            embedding->usage.truncated_texts = truncated; /* it is read again in its own batch */
            return 0;
        }
        status = add_to_batch(embedder);
        if (status)
            return status;
        next++;
    }
    return 0;
}

/* Write out the vectors of the batch. */
static int answer(struct engine *engine, struct embedding *embedding, const float *states)
{
    struct embedder *embedder = engine->embedder;
    const struct model_config *config = &engine->model.config;
    embedder->answer.length = 0;
    for (int32_t i = 0; i < embedder->text_count; i++) {
        const struct encoder_text *text = &embedder->texts[i];
        vectors_pool(config->pooling, states + (size_t)text->begin * (size_t)config->width,
                     text->count, config->width, embedder->vector);
        if (!vectors_normalise(embedder->vector, config->width))
            return -EIO;
        int status = embedding->format == ENGINE_F32
                         ? vectors_write_f32(embedder->vector, config->width, &embedder->answer)
                         : vectors_write_json(embedder->vector, config->width, &embedder->answer);
        if (status)
            return status;
    }
    return 0;
}

static int run_batch(struct engine *engine, struct embedding *embedding)
{
    struct embedder *embedder = engine->embedder;
    int status = fill_batch(engine, embedding);
    if (status)
        return status;
    const float *states = encoder_run(embedder->encoder, engine->threads_used, embedder->tokens.ids,
                                      embedder->texts, embedder->text_count);
    return answer(engine, embedding, states);
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
    default:
        return strerror(-status);
    }
}

bool embedding_step(struct engine *engine, const struct engine_sink *sink)
{
    struct embedder *embedder = engine->embedder;
    if (!embedder->first)
        return false;
    struct embedding *embedding = take_first(embedder);
    if (embedding->cancelled) {
        end(embedder, sink, embedding, ENGINE_CANCELLED, NULL);
        return embedder->first != NULL;
    }
    struct engine_usage *usage = &embedding->usage;
    if (usage->started_us == 0)
        usage->started_us = clock_now_us();
    int status = run_batch(engine, embedding);
    if (status) {
        struct error error;
        error_set(&error, -status, "%s", reason(status));
        end(embedder, sink, embedding, ENGINE_FAILED, &error);
        return embedder->first != NULL;
    }
    if (usage->first_token_us == 0)
        usage->first_token_us = clock_now_us();
    usage->prompt_tokens += (int32_t)embedder->tokens.count;
    embedding->position += (size_t)embedder->text_count;
    sink->text(sink->owner, embedding->id, buffer_text(&embedder->answer));
    if (embedding->position == embedding->text_count)
        end(embedder, sink, embedding, ENGINE_STOP, NULL);
    else
        put_last(embedder, embedding);
    return embedder->first != NULL;
}
