/* sequence.c - see sequence.h. */
#include "generate/sequence.h"

#include "math/attention.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static int32_t pages_for(int64_t tokens)
{
    return (int32_t)((tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS);
}

static int check(const struct engine_request *request, size_t prompt_count, int32_t context,
                 struct error *error)
{
    if (prompt_count == 0)
        return error_set(error, EINVAL, "the prompt is empty");
    if (request->max_tokens < 0)
        return error_set(error, EINVAL, "max_tokens is %d, below 0", request->max_tokens);
    if (prompt_count >= (size_t)context)
        return error_set(error, EMSGSIZE,
                         "a prompt of %zu tokens leaves no room in a context of %d", prompt_count,
                         context);
    if ((int64_t)prompt_count + request->max_tokens > context)
        return error_set(error, EMSGSIZE,
                         "a prompt of %zu tokens and %d more do not fit a context of %d",
                         prompt_count, request->max_tokens, context);
    if (request->stop_token_count > SAMPLING_STOP_TOKENS_MAX)
        return error_set(error, EINVAL, "%zu stop tokens, more than %d", request->stop_token_count,
                         SAMPLING_STOP_TOKENS_MAX);
    if (request->bias_count > SAMPLING_BIASES_MAX)
        return error_set(error, EINVAL, "%zu biases, more than %d", request->bias_count,
                         SAMPLING_BIASES_MAX);
    if (request->wants_logprobs &&
        (request->logprobs < 0 || request->logprobs > SAMPLING_LOGPROBS_MAX))
        return error_set(error, EINVAL, "logprobs is %d, not 0 to %d", request->logprobs,
                         SAMPLING_LOGPROBS_MAX);
    for (size_t i = 0; i < request->bias_count; i++)
        if (!isfinite(request->biases[i].bias))
            return error_set(error, EINVAL, "the bias of token %d is not a number",
                             request->biases[i].token);
    return sampling_check(&request->sampling, error);
}

/* The caller's lists, which end with the call. */
static int copy_lists(struct sequence *sequence, const struct engine_request *request)
{
    sequence->wants_logprobs = request->wants_logprobs;
    sequence->logprobs = request->logprobs;
    sequence->stop_token_count = request->stop_token_count;
    for (size_t i = 0; i < request->stop_token_count; i++)
        sequence->stop_tokens[i] = request->stop_tokens[i];
    if (request->bias_count == 0)
        return 0;
    sequence->biases = memory_try(request->bias_count, sizeof *sequence->biases);
    if (!sequence->biases)
        return -ENOMEM;
    memcpy(sequence->biases, request->biases, request->bias_count * sizeof *sequence->biases);
    sequence->sampler.biases = sequence->biases;
    sequence->sampler.bias_count = request->bias_count;
    return 0;
}

static void watch_prompt(struct sequence *sequence)
{
    const struct tokens *prompt = &sequence->prompt;
    size_t recent =
        prompt->count < SAMPLING_HISTORY_TOKENS ? prompt->count : SAMPLING_HISTORY_TOKENS;
    for (size_t i = prompt->count - recent; i < prompt->count; i++)
        sampler_saw(&sequence->sampler, prompt->ids[i]);
}

static int32_t answer_max(const struct engine_request *request, int32_t room)
{
    if (request->max_tokens)
        return request->max_tokens;
    return request->default_tokens && request->default_tokens < room ? request->default_tokens
                                                                     : room;
}

int sequence_open(uint64_t id, const struct engine_request *request, struct tokens *prompt,
                  int32_t context, size_t piece_bytes_max, struct sequence **out,
                  struct error *error)
{
    struct sequence *sequence = memory_try(1, sizeof *sequence);
    int status = sequence ? check(request, prompt->count, context, error)
                          : error_set(error, ENOMEM, "no memory for a request");
    if (!status)
        status =
            stop_open(&sequence->stop, request->stops, request->stop_count, piece_bytes_max, error);
    if (status) {
        tokens_free(prompt);
        free(sequence);
        return status;
    }
    sequence->id = id;
    sequence->prompt = *prompt;
    *prompt = (struct tokens){0};
    int32_t read = (int32_t)sequence->prompt.count;
    sequence->answer_max = answer_max(request, context - read);
    sequence->sampler = sampler_new(&request->sampling);
    watch_prompt(sequence);
    sequence->usage.prompt_tokens = read;
    sequence->pages = memory_try((size_t)pages_for((int64_t)read + sequence->answer_max),
                                 sizeof *sequence->pages);
    if (!sequence->pages || copy_lists(sequence, request)) {
        sequence_close(sequence, NULL);
        return error_set(error, ENOMEM, "no memory for a request");
    }
    *out = sequence;
    return 0;
}

void sequence_close(struct sequence *sequence, struct kv *kv)
{
    for (int32_t i = 0; i < sequence->page_count; i++)
        kv_give(kv, sequence->pages[i]);
    free(sequence->pages);
    free(sequence->biases);
    constraint_close(sequence->constraint);
    tokens_free(&sequence->prompt);
    stop_close(&sequence->stop);
    free(sequence);
}

int32_t sequence_reserve(struct sequence *sequence, struct kv *kv, int32_t count)
{
    int32_t wanted = pages_for((int64_t)sequence->position + count);
    while (sequence->page_count < wanted) {
        void *page = kv_take(kv);
        if (!page)
            break;
        sequence->pages[sequence->page_count++] = page;
    }
    int32_t room = sequence->page_count * KV_PAGE_TOKENS - sequence->position;
    return room < count ? room : count;
}

uint64_t sequence_wanted_pages(const struct sequence *sequence, int32_t tokens)
{
    int64_t all = (int64_t)sequence->prompt.count + sequence->answer_max;
    int64_t unread = sequence_unread(sequence);
    int64_t next = sequence->position + (unread > 0 ? unread : 0) + tokens;
    int32_t pages = pages_for(next < all ? next : all);
    return pages > sequence->page_count ? (uint64_t)(pages - sequence->page_count) : 0;
}
