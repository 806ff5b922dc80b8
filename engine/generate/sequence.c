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
    const int32_t count = sequence->count;
    for (int32_t i = count > SAMPLING_HISTORY_TOKENS ? count - SAMPLING_HISTORY_TOKENS : 0;
         i < count; i++)
        sampler_saw(&sequence->sampler, sequence->tokens[i]);
}

static int32_t answer_max(const struct engine_request *request, int32_t room)
{
    if (request->max_tokens)
        return request->max_tokens;
    return request->default_tokens && request->default_tokens < room ? request->default_tokens
                                                                     : room;
}

/* The caller's prompt, with room for the answer behind it. */
static int take_tokens(struct sequence *sequence, struct tokens *prompt)
{
    size_t room = prompt->count + (size_t)sequence->answer_max;
    sequence->count = (int32_t)prompt->count;
    sequence->tokens = realloc(prompt->ids, room * sizeof *prompt->ids);
    if (!sequence->tokens)
        return -ENOMEM;
    *prompt = (struct tokens){0};
    return 0;
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
    const int32_t read = (int32_t)prompt->count;
    sequence->id = id;
    sequence->owner = request->owner;
    sequence->drafts = request->speculate;
    sequence->draft = draft_new();
    sequence->answer_max = answer_max(request, context - read);
    sequence->sampler = sampler_new(&request->sampling);
    sequence->usage.prompt_tokens = read;
    sequence->pages = memory_try((size_t)pages_for((int64_t)read + sequence->answer_max),
                                 sizeof *sequence->pages);
    if (!sequence->pages || take_tokens(sequence, prompt) || copy_lists(sequence, request)) {
        tokens_free(prompt);
        sequence_close(sequence, NULL);
        return error_set(error, ENOMEM, "no memory for a request");
    }
    watch_prompt(sequence);
    *out = sequence;
    return 0;
}

void sequence_close(struct sequence *sequence, struct prefix *prefix)
{
    if (sequence->page_count) {
        sequence_share(sequence, prefix);
        prefix_release(prefix, sequence->known);
    }
    for (int32_t i = sequence->known_count; i < sequence->page_count; i++)
        kv_give(prefix->kv, &sequence->pages[i]);
    free(sequence->pages);
    free(sequence->tokens);
    free(sequence->biases);
    constraint_close(sequence->constraint);
    stop_close(&sequence->stop);
    free(sequence);
}

static void add_known(struct sequence *sequence, struct prefix_note *note)
{
    sequence->pages[sequence->known_count++] = prefix_page(note);
    sequence->known = note;
}

void sequence_skip(struct sequence *sequence, struct prefix *prefix)
{
    while (sequence->position == sequence->known_count * KV_PAGE_TOKENS &&
           sequence->page_count == sequence->known_count &&
           sequence_unread(sequence) > KV_PAGE_TOKENS) {
        struct prefix_note *note = prefix_find(prefix, sequence->owner, sequence->known,
                                               sequence->tokens + sequence->position);
        if (!note)
            return;
        add_known(sequence, note);
        sequence->page_count++;
        sequence->position += KV_PAGE_TOKENS;
        sequence->usage.cached_tokens += KV_PAGE_TOKENS;
    }
}

void sequence_append(struct sequence *sequence, int32_t token)
{
    sequence->tokens[sequence->count++] = token;
    sampler_saw(&sequence->sampler, token);
    if (sequence->drafts)
        draft_watch(&sequence->draft, sequence->tokens, sequence->count);
}

int32_t sequence_guess(struct sequence *sequence, int32_t others)
{
    const int32_t left = sequence->answer_max - sequence->usage.completion_tokens - 1;
    if (!sequence->drafts || left <= 0)
        return 0;
    return draft_write(&sequence->draft, sequence->tokens, sequence->count,
                       left < DRAFT_TOKENS_MAX ? left : DRAFT_TOKENS_MAX, others);
}

void sequence_share(struct sequence *sequence, struct prefix *prefix)
{
    while (sequence->known_count < prefix->depth_max &&
           (sequence->known_count + 1) * KV_PAGE_TOKENS <= sequence->position) {
        const int32_t at = sequence->known_count;
        add_known(sequence,
                  prefix_add(prefix, sequence->owner, sequence->known,
                             sequence->tokens + at * KV_PAGE_TOKENS, &sequence->pages[at]));
    }
}

void sequence_forget(struct sequence *sequence, struct kv *kv, int32_t window)
{
    const int32_t first = sequence->position + 1 - window;
    for (; (sequence->forgotten_count + 1) * KV_PAGE_TOKENS <= first; sequence->forgotten_count++)
        if (sequence->forgotten_count >= sequence->known_count)
            kv_give_part(kv, &sequence->pages[sequence->forgotten_count], FORWARD_WINDOW);
}

int32_t sequence_reserve(struct sequence *sequence, struct prefix *prefix, int32_t count)
{
    int32_t wanted = pages_for((int64_t)sequence->position + count);
    while (sequence->page_count < wanted &&
           prefix_take(prefix, &sequence->pages[sequence->page_count]))
        sequence->page_count++;
    int32_t room = sequence->page_count * KV_PAGE_TOKENS - sequence->position;
    return room < count ? room : count;
}

/* How many window parts `lacking` more pages take: those of pages that the index knows stay, of the
 * others there are never more than `most`. */
static int32_t lacking_windows(const struct sequence *sequence, int32_t depth_max, int32_t lacking,
                               int32_t most)
{
    const int32_t count = sequence->page_count, all = count + lacking;
    const int32_t known = depth_max < all ? depth_max : all;
    const int32_t first = sequence->forgotten_count > known ? sequence->forgotten_count : known;
    const int32_t held = count > first ? count - first : 0;
    const int32_t stay = known > count ? known - count : 0;
    const int32_t pass = lacking - stay, room = most > held ? most - held : 0;
    return stay + (pass < room ? pass : room);
}

uint64_t sequence_wanted_bytes(const struct sequence *sequence, const struct prefix *prefix,
                               int32_t tokens, int32_t window_pages)
{
    const size_t *part_bytes = prefix->kv->part_bytes;
    const int64_t all = (int64_t)sequence->usage.prompt_tokens + sequence->answer_max;
    const int64_t next = (int64_t)sequence->count + tokens;
    const int32_t lacking = pages_for(next < all ? next : all) - sequence->page_count;
    if (lacking <= 0)
        return 0;
    const int32_t windows = lacking_windows(sequence, prefix->depth_max, lacking, window_pages);
    return (uint64_t)lacking * part_bytes[FORWARD_GLOBAL] +
           (uint64_t)windows * part_bytes[FORWARD_WINDOW];
}
