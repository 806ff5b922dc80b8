/* sequence.h - one request on its way from a prompt to an answer.
 *
 *   waiting in the queue -> reading its prompt -> writing its answer -> ended
 *
 * Owns:     its tokens, its KV pages, the state of its sampler and of its stop strings.  Pages that
 *           the index knows it shares with other sequences.
 * Promise:  everything but KV pages is allocated when it is opened.
 * Threads:  one.
 */
#ifndef GENERATE_SEQUENCE_H
#define GENERATE_SEQUENCE_H

#include "engine.h"
#include "generate/constraint.h"
#include "generate/draft.h"
#include "generate/prefix.h"
#include "generate/sampler.h"
#include "generate/stop.h"

struct sequence {
    struct sequence *next; /* in the queue */
    uint64_t id;
    uint32_t owner;     /* whose pages it may share */
    int32_t *tokens;    /* [count], room for the whole prompt and answer; guesses behind `count` */
    int32_t count;      /* of the prompt and the answer so far */
    int32_t answer_max; /* tokens; prompt and answer fit the context */
    int32_t position;   /* tokens whose keys and values are in the pages; below `count` */
    struct forward_page *pages; /* [page_count], room for the whole prompt and answer */
    int32_t page_count;
    int32_t forgotten_count;   /* of its first pages: their window part is not read any more */
    int32_t known_count;       /* of its first pages: full, and known to the index */
    struct prefix_note *known; /* the last of them */
    bool drafts;               /* whether it guesses */
    struct draft draft;
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

/* Gives its pages back, or leaves them to the index. */
void sequence_close(struct sequence *sequence, struct prefix *prefix);

/* The last token of the prompt has been read. */
static inline bool sequence_writes(const struct sequence *sequence)
{
    return sequence->usage.completion_tokens > 0;
}

/* Tokens that are not in the pages yet: of the prompt, or the last one of the answer.  At least 1
 * between two steps. */
static inline int32_t sequence_unread(const struct sequence *sequence)
{
    return sequence->count - sequence->position;
}

/* Skip what the index knows of the unread prompt, but not its last token: the answer begins with
 * the logits of that one. */
void sequence_skip(struct sequence *sequence, struct prefix *prefix);

/* The answer's next token. */
void sequence_append(struct sequence *sequence, int32_t token);

/* Guess tokens behind the known ones, in a step that has `others` columns already.  Returns how
 * many. */
int32_t sequence_guess(struct sequence *sequence, int32_t others);

/* Let the index know the pages that are full. */
void sequence_share(struct sequence *sequence, struct prefix *prefix);

/* Give back the window parts that no token from `position` on will read; known pages stay whole. */
void sequence_forget(struct sequence *sequence, struct kv *kv, int32_t window);

/* Take pages for `count` more tokens, as many as can be had.  Returns for how many there is room.
 */
int32_t sequence_reserve(struct sequence *sequence, struct prefix *prefix, int32_t count);

/* Bytes of the pages that it lacks for what it does next: its unread tokens, and `tokens` of its
 * answer.  It never holds more than `window_pages` window parts, besides those of the pages that
 * the index knows or will. */
uint64_t sequence_wanted_bytes(const struct sequence *sequence, const struct prefix *prefix,
                               int32_t tokens, int32_t window_pages);

#endif
