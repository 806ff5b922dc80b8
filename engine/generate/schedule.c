/* schedule.c - continuous batching: which tokens a step computes, and what becomes of its logits.
 *
 * A step takes one token of every decoding sequence and up to a chunk of unread prompt tokens, the
 * oldest sequence first.  Where few sequences decode and nothing else is to be done, tokens that
 * are guessed to come next go with them: of each the logits are computed, and as long as what is
 * drawn is what was guessed, the next row of logits is drawn from too.  Sequences come and go
 * between steps.  One that lacks a KV page sits out; the owner is asked once for what all of them
 * lack. */
#include "generate/engine_internal.h"

#include "base/clock.h"
#include "generate/embedding.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert((int)ENGINE_STOPS_MAX == (int)STOP_STRINGS_MAX,
               "engine.h promises what stop.h does");
_Static_assert((int)ENGINE_STOP_BYTES_MAX == (int)STOP_BYTES_MAX, "see above");

/* Tokens of an answer for which memory is asked in advance: a need is an exchange of messages. */
enum { NEED_TOKENS = 256 };

/* More sequences than these fill the kernels' columns without guesses. */
enum { DRAFTING_SEQUENCES_MAX = 2 };
_Static_assert(DRAFTING_SEQUENCES_MAX *(1 + DRAFT_TOKENS_MAX) <= ENGINE_SEQUENCES_MAX,
               "guesses have room in the rows of logits");

/* A sequence that has logits to choose from: of its last token, and of the guesses behind it. */
struct choice {
    struct sequence *sequence;
    int32_t rows;
};

/* A step in the making: whose tokens want logits, in the batch's order. */
struct step {
    struct engine *engine;
    const struct engine_sink *sink;
    struct choice choices[ENGINE_SEQUENCES_MAX];
    int32_t choice_count;
};

const char *engine_finish_name(enum engine_finish finish)
{
    switch (finish) {
    case ENGINE_STOP:
        return "stop";
    case ENGINE_LENGTH:
        return "length";
    case ENGINE_CANCELLED:
        return "cancelled";
    case ENGINE_FAILED:
        break;
    }
    return "failed";
}

/* ---- requests ---- */

/* A raw prompt begins with the model's start token; a rendered one too, unless its template has
 * written it. */
static int encode_raw(const struct engine *engine, struct text text, struct tokens *out)
{
    int32_t bos = tokenizer_bos(engine->tokenizer);
    int status = bos == VOCABULARY_NONE ? 0 : tokens_append(out, bos);
    return status ? status : tokenizer_encode(engine->tokenizer, text, TOKENIZER_PLAIN, out);
}

static int encode_chat(const struct engine *engine, const struct engine_request *request,
                       struct tokens *out, struct error *error)
{
    struct chat_text rendered = {0};
    int32_t bos = tokenizer_bos(engine->tokenizer);
    int status = chat_render(&engine->chat, request->messages, request->message_count,
                             &request->chat, &rendered, error);
    if (status)
        return status;
    if (bos != VOCABULARY_NONE)
        status = tokens_append(out, bos);
    if (!status)
        status = chat_encode(engine->tokenizer, &rendered, out);
    if (!status && bos != VOCABULARY_NONE && out->count > 1 && out->ids[1] == bos)
        memmove(out->ids, out->ids + 1, --out->count * sizeof *out->ids);
    chat_text_free(&rendered);
    return status ? error_set(error, -status, "the prompt can't be tokenised") : 0;
}

int engine_check_tokens(const struct engine *engine, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->ids[i] < 0 || tokens->ids[i] >= engine->model.config.vocabulary)
            return -EINVAL;
    return 0;
}

static int encode(const struct engine *engine, const struct engine_request *request,
                  struct tokens *out, struct error *error)
{
    size_t index = request->raw || !request->message_count ? 0 : request->message_count - 1;
    if (request->message_count == 0 || request->messages[index].content.length == 0)
        return error_set(error, EINVAL, "the prompt is empty");
    if (!request->raw && engine->chat_error.code)
        return error_set(error, EINVAL, "%s; only raw completion works", engine->chat_error.text);
    if (!request->raw && engine->chat.family != CHAT_NONE)
        return encode_chat(engine, request, out, error);
    int status = encode_raw(engine, request->messages[index].content, out);
    return status ? error_set(error, -status, "the prompt can't be tokenised") : 0;
}

int engine_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                  struct error *error)
{
    struct tokens prompt = {0};
    struct sequence *sequence;
    if (engine->embedder && request->message_count)
        return error_set(error, EINVAL, "the model makes embeddings; it does not generate");
    if (engine->embedder)
        return embedding_submit(engine, id, request, error);
    if (request->text_count)
        return error_set(error, EINVAL, "the model generates; it makes no embeddings");
    if (engine->running_count + engine->queue_count >= ENGINE_REQUESTS_MAX)
        return error_set(error, EAGAIN, "%d requests are waiting already", ENGINE_REQUESTS_MAX);
    int status = encode(engine, request, &prompt, error);
    if (!status && engine_check_tokens(engine, &prompt))
        status =
            error_set(error, EINVAL, "the prompt has a token that the model has no weights for");
    if (status) {
        tokens_free(&prompt);
        return status;
    }
    status = sequence_open(id, request, &prompt, engine->context, engine->piece_bytes_max,
                           &sequence, error);
    if (status)
        return status;
    status = engine_prepare_choice(engine, request, sequence, error);
    if (status) {
        sequence_close(sequence, &engine->prefix);
        return status;
    }
    *engine->queue_last = sequence;
    engine->queue_last = &sequence->next;
    engine->queue_count++;
    return 0;
}

void engine_cancel(struct engine *engine, uint64_t id)
{
    if (engine->embedder)
        embedding_cancel(engine, id);
    for (int i = 0; i < engine->running_count; i++)
        if (engine->running[i] && engine->running[i]->id == id)
            engine->running[i]->cancelled = true;
    for (struct sequence *at = engine->queue_first; at; at = at->next)
        if (at->id == id)
            at->cancelled = true;
}

/* ---- the end of a request ---- */

/* Tell the sink, then free it: the caller has unlinked it. */
static void end(struct engine *engine, const struct engine_sink *sink, struct sequence *sequence,
                enum engine_finish finish, const struct error *error)
{
    sequence->usage.ended_us = clock_now_us();
    struct engine_usage usage = sequence->usage;
    uint64_t id = sequence->id;
    sequence_close(sequence, &engine->prefix);
    sink->done(sink->owner, id, finish, &usage, error);
}

/* Leaves a hole in `running`, for loops that are under way. */
static void end_running(struct engine *engine, const struct engine_sink *sink,
                        struct sequence *sequence, enum engine_finish finish,
                        const struct error *error)
{
    for (int i = 0; i < engine->running_count; i++)
        if (engine->running[i] == sequence)
            engine->running[i] = NULL;
    end(engine, sink, sequence, finish, error);
}

static void close_holes(struct engine *engine)
{
    int kept = 0;
    for (int i = 0; i < engine->running_count; i++)
        if (engine->running[i])
            engine->running[kept++] = engine->running[i];
    engine->running_count = kept;
}

static void fail(struct engine *engine, const struct engine_sink *sink, struct sequence *sequence,
                 int code, const char *text)
{
    struct error error;
    error_set(&error, code, "%s", text);
    end_running(engine, sink, sequence, ENGINE_FAILED, &error);
}

static struct sequence *unlink_queued(struct engine *engine, struct sequence **link)
{
    struct sequence *sequence = *link;
    *link = sequence->next;
    if (!*link)
        engine->queue_last = link;
    engine->queue_count--;
    return sequence;
}

static void end_cancelled(struct engine *engine, const struct engine_sink *sink)
{
    for (int i = 0; i < engine->running_count; i++)
        if (engine->running[i]->cancelled)
            end_running(engine, sink, engine->running[i], ENGINE_CANCELLED, NULL);
    close_holes(engine);
    struct sequence **link = &engine->queue_first;
    while (*link)
        if ((*link)->cancelled)
            end(engine, sink, unlink_queued(engine, link), ENGINE_CANCELLED, NULL);
        else
            link = &(*link)->next;
}

static void admit(struct engine *engine)
{
    while (engine->queue_first && engine->running_count < ENGINE_SEQUENCES_MAX)
        engine->running[engine->running_count++] = unlink_queued(engine, &engine->queue_first);
}

/* ---- a batch ---- */

/* The sequence's next tokens, known ones and then guesses.  The logits of the last known one and of
 * those behind it are wanted. */
static void add_tokens(struct step *step, struct sequence *sequence, int32_t count)
{
    struct engine *engine = step->engine;
    if (sequence->usage.started_us == 0)
        sequence->usage.started_us = clock_now_us();
    for (int32_t n = 0; n < count; n++, sequence->position++)
        engine->batch[engine->batch_count++] = (struct forward_token){
            .token = sequence->tokens[sequence->position],
            .position = sequence->position,
            .pages = sequence->pages,
            .wants_logits = sequence_unread(sequence) <= 1,
        };
    if (sequence_unread(sequence) <= 0)
        step->choices[step->choice_count++] =
            (struct choice){sequence, 1 - sequence_unread(sequence)};
}

/* Room for up to `count` tokens; none marks the sequence, or ends it when it is not the grant but
 * the system that has no page. */
static int32_t reserve(struct step *step, struct sequence *sequence, int32_t count)
{
    struct engine *engine = step->engine;
    int32_t room = sequence_reserve(sequence, &engine->prefix, count);
    sequence->starved = room == 0;
    if (room == 0 && kv_available(&engine->kv) > 0)
        fail(engine, step->sink, sequence, ENOMEM, "the system has no memory for KV pages");
    return room;
}

/* Whether guesses may go with the step: a prompt's tokens are not kept waiting for them. */
static bool has_room_for_guesses(const struct engine *engine)
{
    for (int i = 0; i < engine->running_count; i++)
        if (!sequence_writes(engine->running[i]))
            return false;
    return engine->running_count <= DRAFTING_SEQUENCES_MAX;
}

/* Older sequences first, so that whoever lacks a page waits for older ones only. */
static void compose(struct step *step)
{
    struct engine *engine = step->engine;
    const bool guesses = has_room_for_guesses(engine);
    int32_t chunk = engine->prefill_chunk;
    engine->batch_count = 0;
    for (int i = 0; i < engine->running_count; i++) {
        struct sequence *sequence = engine->running[i];
        const bool writes = sequence_writes(sequence);
        sequence->starved = false;
        if (engine->window)
            sequence_forget(sequence, &engine->kv, engine->window);
        if (!writes && chunk == 0)
            continue;
        if (!writes)
            sequence_skip(sequence, &engine->prefix);
        int32_t wanted = sequence_unread(sequence);
        if (!writes && wanted > chunk)
            wanted = chunk;
        if (guesses)
            wanted += sequence_guess(sequence, engine->running_count - 1);
        const int32_t room = reserve(step, sequence, wanted);
        if (room == 0)
            continue;
        if (!writes)
            chunk -= room;
        add_tokens(step, sequence, room);
    }
    close_holes(engine);
}

/* ---- what becomes of the logits ---- */

static void show(const struct step *step, const struct sequence *sequence, struct text text)
{
    if (text.length)
        step->sink->text(step->sink->owner, sequence->id, text);
}

/* Decode a token and show what may be shown.  Returns whether a stop string is complete. */
static bool show_token(struct step *step, struct sequence *sequence, int32_t token)
{
    struct engine *engine = step->engine;
    struct text text;
    long length =
        tokenizer_decode(engine->tokenizer, token, false, engine->piece, engine->piece_bytes_max);
    bool stopped =
        stop_feed(&sequence->stop, engine->piece, length > 0 ? (size_t)length : 0, &text);
    show(step, sequence, text);
    return stopped;
}

static bool is_stop_token(const struct sequence *sequence, int32_t token)
{
    for (size_t i = 0; i < sequence->stop_token_count; i++)
        if (sequence->stop_tokens[i] == token)
            return true;
    return false;
}

/* The next token from a row of logits.  Returns whether the answer goes on. */
static bool choose(struct step *step, struct sequence *sequence, float *logits)
{
    struct engine *engine = step->engine;
    const struct engine_sink *sink = step->sink;
    struct logprobs logprobs;
    struct error error;
    int32_t token;
    if (engine_choose(engine, sequence, logits, &token, &logprobs, &error)) {
        fail(engine, sink, sequence, error.code, error.text);
        return false;
    }
    if (token == VOCABULARY_NONE) {
        show(step, sequence, stop_flush(&sequence->stop));
        end_running(engine, sink, sequence, ENGINE_STOP, NULL);
        return false;
    }
    struct engine_usage *usage = &sequence->usage;
    if (usage->completion_tokens++ == 0)
        usage->first_token_us = clock_now_us();
    sequence_append(sequence, token);
    if (sink->token)
        sink->token(sink->owner, sequence->id, token, sequence->wants_logprobs ? &logprobs : NULL);
    bool ends = tokenizer_is_end(engine->tokenizer, token) || is_stop_token(sequence, token);
    bool stopped = !ends && show_token(step, sequence, token);
    ends |= sequence->constraint && constraint_is_finished(sequence->constraint);
    bool full = usage->completion_tokens == sequence->answer_max;
    if (!stopped && (ends || full))
        show(step, sequence, stop_flush(&sequence->stop));
    if (stopped || ends || full)
        end_running(engine, sink, sequence, stopped || ends ? ENGINE_STOP : ENGINE_LENGTH, NULL);
    return !(stopped || ends || full);
}

/* From the rows of a sequence: each behind the first counts if what was drawn from the one before
 * is the token that it was computed for.  Keys and values of wrong guesses are written over. */
static void choose_all(struct step *step, const struct choice *choice, int32_t first_row)
{
    struct sequence *sequence = choice->sequence;
    struct engine_usage *usage = &sequence->usage;
    usage->drafted_tokens += choice->rows - 1;
    for (int32_t row = 0; row < choice->rows; row++) {
        const int32_t guess = row + 1 < choice->rows ? sequence->tokens[sequence->count] : -1;
        sequence->position = sequence->count;
        if (!choose(step, sequence, forward_logits(step->engine->forward, first_row + row)) ||
            sequence->tokens[sequence->position] != guess)
            return;
        usage->accepted_tokens++;
    }
}

/* ---- memory ---- */

/* How many window parts a sequence holds at most besides those of pages that the index knows: those
 * of a window and of what a step adds to it, which begin and end somewhere in a page. */
static int32_t window_pages(const struct engine *engine)
{
    const int32_t step =
        engine->prefill_chunk > DRAFT_TOKENS_MAX ? engine->prefill_chunk : DRAFT_TOKENS_MAX + 1;
    return engine->window ? (engine->window + step) / KV_PAGE_TOKENS + 2 : 0;
}

static void ask_for_memory(struct engine *engine, const struct engine_sink *sink)
{
    uint64_t wanted_bytes = 0;
    if (engine->need_asked)
        return;
    for (int i = 0; i < engine->running_count; i++)
        if (engine->running[i]->starved)
            wanted_bytes += sequence_wanted_bytes(engine->running[i], &engine->prefix, NEED_TOKENS,
                                                  window_pages(engine));
    uint64_t bytes = wanted_bytes ? kv_missing_bytes(&engine->kv, wanted_bytes) : 0;
    if (bytes == 0)
        return;
    engine->need_asked = true;
    sink->need(sink->owner, bytes);
}

void engine_grant(struct engine *engine, uint64_t bytes)
{
    kv_grant(&engine->kv, bytes);
    engine->need_asked = false;
    if (engine->embedder)
        embedding_granted(engine);
}

/* The youngest first: the pages of each that ends may be all that an older one waits for. */
void engine_refuse(struct engine *engine, const struct engine_sink *sink, const char *text)
{
    engine->need_asked = false;
    if (engine->embedder)
        embedding_refuse(engine, sink, text);
    for (int i = engine->running_count - 1; i >= 0 && kv_available(&engine->kv) == 0; i--)
        if (engine->running[i]->starved && !engine->running[i]->cancelled)
            fail(engine, sink, engine->running[i], ENOMEM, text);
    close_holes(engine);
}

static bool can_go_on(const struct engine *engine)
{
    if (engine->queue_count && engine->running_count < ENGINE_SEQUENCES_MAX)
        return true;
    bool memory = kv_available(&engine->kv) > 0;
    for (int i = 0; i < engine->running_count; i++)
        if (!engine->running[i]->starved || memory || engine->running[i]->cancelled)
            return true;
    return false;
}

bool engine_step(struct engine *engine, const struct engine_sink *sink)
{
    struct step step = {.engine = engine, .sink = sink};
    if (engine->embedder)
        return embedding_step(engine, sink);
    end_cancelled(engine, sink);
    admit(engine);
    compose(&step);
    if (engine->batch_count)
        forward_run(engine->forward, engine->threads_used, engine->batch, engine->batch_count);
    for (int32_t i = 0, row = 0; i < step.choice_count; row += step.choices[i++].rows)
        choose_all(&step, &step.choices[i], row);
    close_holes(engine);
    for (int i = 0; i < engine->running_count; i++)
        sequence_share(engine->running[i], &engine->prefix);
    ask_for_memory(engine, sink);
    return can_go_on(engine);
}
