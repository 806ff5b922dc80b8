/* sequence.h - one request on its way from a prompt to an answer.
 *
 *   waiting in the queue -> prefilling: position < prompt.count -> decoding -> ended
 *
 * Owns:     its prompt, its KV pages, the state of its sampler and of its stop strings.
 * Promise:  everything but KV pages is allocated when it is opened.
 * Threads:  one.
 */
#ifndef GENERATE_SEQUENCE_H
#define GENERATE_SEQUENCE_H

#include "engine.h"
#include "generate/constraint.h"
#include "generate/kv.h"
#include "generate/sampler.h"
#include "generate/stop.h"

struct sequence {
    struct sequence *next; /* in the queue */
    uint64_t id;
    struct tokens prompt;
    int32_t answer_max; /* tokens; prompt and answer fit the context */
    int32_t position;   /* tokens whose keys and values are in the pages */
    int32_t token;      /* the last one chosen, not yet in the pages */
    void **pages;       /* [page_count], room for the whole prompt and answer */
    int32_t page_count;
    bool cancelled;
    bool starved; /* its last step lacked a page */
    struct sampler sampler;
    struct token_bias *biases; /* of the sampler */
    int32_t stop_tokens[SAMPLING_STOP_TOKENS_MAX];
    size_t stop_token_count;
    bool wants_logprobs;
    int32_t logprobs; /* alternatives of each token */
    struct stop stop;
    struct constraint *constraint; /* NULL: none */
    struct engine_usage usage;
};

/* Check the request's parameters and take over *prompt (which is left empty, also on failure).
 * Returns 0, -EMSGSIZE, -EINVAL or -ENOMEM as engine_submit(). */
int sequence_open(uint64_t id, const struct engine_request *request, struct tokens *prompt,
                  int32_t context, size_t piece_bytes_max, struct sequence **out,
                  struct error *error);

/* Gives its pages back to `kv`. */
void sequence_close(struct sequence *sequence, struct kv *kv);

static inline int32_t sequence_unread(const struct sequence *sequence)
{
    return (int32_t)sequence->prompt.count - sequence->position; /* of the prompt; <= 0: decoding */
}

/* Take pages for `count` more tokens, as many as can be had.  Returns for how many there is room.
 */
int32_t sequence_reserve(struct sequence *sequence, struct kv *kv, int32_t count);

/* Pages that it lacks for what it does next: the rest of its prompt, and `tokens` of its answer. */
uint64_t sequence_wanted_pages(const struct sequence *sequence, int32_t tokens);

#endif
