/* engine_internal.h - what the files behind engine.h share; nobody else includes it.
 *
 *   engine.c     opening and closing        schedule.c  requests, batches, memory
 *   inspect.c    the plan, the description  logits.c    logits of a given text
 *   choose.c     from a row of logits to a token
 */
#ifndef GENERATE_ENGINE_INTERNAL_H
#define GENERATE_ENGINE_INTERNAL_H

#include "engine.h"
#include "generate/constraint.h"
#include "generate/prefix.h"
#include "generate/sequence.h"
#include "load/gguf.h"
#include "model/forward.h"
#include "text/chat.h"

struct engine {
    struct gguf *gguf;
    struct model model;
    struct vocabulary vocabulary;
    struct tokenizer *tokenizer;
    struct chat_format chat;
    struct error chat_error; /* why the model's template can't be used, if it can't */

    const struct kernels *kernels;
    struct threads *threads;
    int threads_used;
    struct forward *forward;
    struct kv kv;
    struct prefix prefix;
    int32_t window; /* positions that the window parts of pages are needed for; 0: none are */
    struct embedder *embedder; /* NULL: the model generates */
    int32_t context;
    int32_t prefill_chunk;
    struct engine_plan plan;
    struct engine_loading loading;

    struct forward_token *batch; /* [prefill_chunk + ENGINE_SEQUENCES_MAX] */
    int32_t batch_count;
    struct odds_room room;   /* for the choice of a token */
    float *own_logits;       /* [vocabulary]: a row as the model gave it, for logprobs */
    uint64_t *dry_breakers;  /* one bit a token; NULL until a request asks for DRY */
    struct token_trie *trie; /* NULL until a request has a grammar */
    char *piece;             /* [piece_bytes_max]: one decoded token */
    size_t piece_bytes_max;

    struct sequence *running[ENGINE_SEQUENCES_MAX]; /* the oldest first */
    int running_count;
    struct sequence *queue_first, **queue_last;
    int queue_count;
    bool need_asked; /* and not yet answered */
};

/* The options with their defaults filled in, against the model's own context.  Returns 0 or
 * -EINVAL. */
int engine_settle_options(const struct engine_options *options, const struct model_config *config,
                          struct engine_options *out, struct error *error);

/* What a model holds with settled options; it has its tensors and its text. */
struct engine_plan engine_make_plan(const struct engine *engine,
                                    const struct engine_options *options);

/* Get ready for what a request says about choosing tokens.  Returns 0, -ENOMEM, or -EINVAL: also
 * what is wrong with a grammar or a schema, or that it passes a limit. */
int engine_prepare_choice(struct engine *engine, const struct engine_request *request,
                          struct sequence *sequence, struct error *error);

/* The next token of a sequence, from its row of logits, which is changed; VOCABULARY_NONE when the
 * answer is complete and the model has no token that says so.  *logprobs is filled if the sequence
 * wants it.  Returns 0, or -EIO when the logits are not finite, nothing is allowed, or the grammar
 * passes a limit here; -ENOMEM. */
int engine_choose(struct engine *engine, struct sequence *sequence, float *logits, int32_t *token,
                  struct logprobs *logprobs, struct error *error);

/* Whether the model has weights for these tokens: a tokenizer beside it may have more.  Returns 0
 * or -EINVAL. */
int engine_check_tokens(const struct engine *engine, const struct tokens *tokens);

/* Vocabulary, tokenizer and chat format of the model at `path`.  Returns 0, -ENOEXEC or -ENOMEM;
 * what was opened is in *engine and is closed with it. */
int engine_open_text(struct engine *engine, const char *path, struct error *error);

#endif
