/* engine.h - one loaded model that answers many requests at once.
 *
 * The worker and the command line sit on this header; neither sees a tensor.
 *
 * Owns:     the mapping, the tokenizer, the KV pages, the scratch and a team of threads.
 * Promise:  a request's tokens do not depend on what else runs, on the chunking of its prompt or on
 *           the number of threads: the same request gives the same bytes.
 *           Generating allocates nothing but KV pages within what was granted.
 * Threads:  one thread calls all functions (its team computes inside).
 * Limits:   ENGINE_* below.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "base/error.h"
#include "base/sampling.h"
#include "base/text.h"
#include "generate/logprobs.h"
#include "math/attention.h"
#include "text/chat.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ENGINE_SEQUENCES_MAX = 32, /* run at once; more requests wait inside */
    ENGINE_REQUESTS_MAX = 4096,
    ENGINE_PREFILL_CHUNK = 256, /* prompt tokens in one step, so that streams do not stall */
    ENGINE_PREFILL_CHUNK_MAX = 2048,
    ENGINE_STOPS_MAX = 16,
    ENGINE_STOP_BYTES_MAX = 256,
    ENGINE_KV_TOKENS_INITIAL = 1024, /* KV that a load reserves; more is asked for when needed */
};

struct engine_options {
    int threads;              /* 0: threads_available() */
    const char *kernels;      /* NULL: the best for this CPU */
    int32_t context;          /* tokens a sequence may hold; 0: what the model was trained for */
    int32_t prefill_chunk;    /* 0: ENGINE_PREFILL_CHUNK */
    enum kv_format kv_format; /* of the KV pages */
    uint64_t kv_bytes;        /* granted for KV pages at the start */
    bool prefix_cache;        /* texts that begin alike share the pages of what is alike */
    bool populate;            /* read the weights at opening, if not cached */
};

/* What loading a model will hold, from its header alone. */
struct engine_plan {
    uint64_t weight_bytes;  /* mapped: the file(s) */
    uint64_t fixed_bytes;   /* anonymous, an upper bound: tokenizer, scratch, threads */
    uint64_t kv_page_bytes; /* one page of all layers: KV_PAGE_TOKENS positions */
    int32_t context;        /* the model's */
    uint64_t charge_bytes;  /* weight + fixed + KV of min(context, ENGINE_KV_TOKENS_INITIAL) */
};

/* Metadata and plan of a model with pages of a format, without loading it.  *json is malloc'ed: one
 * line.  The object holds name, architecture, quantisation, parameters, context, file_bytes, the
 * plan's numbers, chat (bool), vocabulary, layers, and the general.* strings.  Errors as
 * engine_open(). */
int engine_inspect(const char *path, enum kv_format format, struct engine_plan *plan, char **json,
                   struct error *error);

/* When the phases of opening ended, CLOCK_MONOTONIC microseconds, and what they moved. */
struct engine_loading {
    int64_t started_us, opened_us, populated_us, configured_us, ready_us;
    uint64_t loaded_bytes; /* mapped, and read where that was wanted */
    uint64_t cold_bytes;   /* of them not in the page cache before, see gguf_resident_bytes() */
};

struct engine;

/* Open a model.  Returns 0, or
 *   -ENOEXEC  not a model that this engine runs: the text says what (key, tensor, type) and where
 *   -ENOENT, -EACCES, -EIO  the file, as the system said
 *   -ENOMEM   no memory for scratch or tokenizer
 *   -EINVAL   an option out of range */
int engine_open(const char *path, const struct engine_options *options, struct engine **out,
                struct error *error);
void engine_close(struct engine *engine);

/* Open only what turns text into tokens and back, of any model: no weights are needed.  Nothing but
 * engine_tokenizer(), engine_chat_format() and engine_close() may be called then.  Errors as
 * engine_open(). */
int engine_open_tokenizer(const char *path, struct engine **out, struct error *error);

const struct engine_loading *engine_loading(const struct engine *engine);
const struct engine_plan *engine_plan(const struct engine *engine);
const struct tokenizer *engine_tokenizer(const struct engine *engine);
const char *engine_kernels(const struct engine *engine);

/* Does the model turn texts into vectors?  Then that is all it does. */
bool engine_embeds(const struct engine *engine);
int32_t engine_context(const struct engine *engine);

/* How conversations look; NULL when the model's template does not compile: engine_chat_error() says
 * why. */
const struct chat_format *engine_chat_format(const struct engine *engine);
const char *engine_chat_error(const struct engine *engine);

/* Compute with this many threads from the next step on, or with fewer while other programs keep
 * their cores busy: at least 1, at most as many as opened. */
void engine_set_threads(struct engine *engine, int threads);

/* A JSON array and a newline for each vector, or little-endian floats one after the other. */
enum engine_format { ENGINE_JSON, ENGINE_F32 };

struct engine_request {
    uint32_t owner;                      /* only requests of one owner share pages */
    bool raw;                            /* complete messages[0].content as it is */
    const struct chat_message *messages; /* else render them with the model's template; a model of
                                          * CHAT_NONE completes the last one raw */
    size_t message_count;
    struct chat_options chat; /* of the rendering */
    bool speculate;           /* guess tokens that repeat and check several at once: faster, and the
                               * same answer */
    struct sampling sampling;
    int32_t max_tokens;       /* 0: as many as the context leaves room for ... */
    int32_t default_tokens;   /* ... but then, if this is above 0, at most so many */
    const struct text *stops; /* the answer ends before the first of these */
    size_t stop_count;
    const int32_t *stop_tokens; /* or at the first of these; it is not shown */
    size_t stop_token_count;
    const struct token_bias *biases;
    size_t bias_count;
    bool wants_logprobs;
    int32_t logprobs;         /* alternatives of each token */
    struct text grammar;      /* GBNF that the answer must follow; empty: none */
    struct text json_schema;  /* a JSON schema that it must follow; empty: none */
    const struct text *texts; /* of a model that embeds: a vector for each; all of the above but
                               * `format` counts for models that generate */
    size_t text_count;
    enum engine_format format; /* of the vectors */
};

enum engine_finish { ENGINE_STOP, ENGINE_LENGTH, ENGINE_CANCELLED, ENGINE_FAILED };
const char *engine_finish_name(enum engine_finish finish); /* "stop", "length", ... */

struct engine_usage {
    int32_t prompt_tokens, completion_tokens;
    int32_t cached_tokens;                   /* of the prompt: their pages were there already */
    int32_t drafted_tokens, accepted_tokens; /* guessed; and rightly, up to the answer's end */
    int32_t truncated_texts;                 /* of those to embed: longer than the model reads */
    int64_t started_us;                      /* its first prefill step began */
    int64_t first_token_us;                  /* its first token was chosen; 0 when none was */
    int64_t ended_us;
};

/* What a step says about one request.  Text is whole UTF-8 characters only (bytes that can't become
 * one are passed on at the end); text that may be the beginning of a stop string is held back.  The
 * functions may call engine_submit(), engine_cancel() and engine_grant(). */
struct engine_sink {
    void *owner;
    /* Each chosen id, also one that ends the answer; `logprobs` is NULL when none were asked for.
     * May be NULL. */
    void (*token)(void *owner, uint64_t id, int32_t token, const struct logprobs *logprobs);
    void (*text)(void *owner, uint64_t id, struct text text);
    void (*done)(void *owner, uint64_t id, enum engine_finish finish,
                 const struct engine_usage *usage, const struct error *error);
    /* KV pages for `bytes` more are wanted; answered by engine_grant() or engine_refuse().  Asked
     * once until answered. */
    void (*need)(void *owner, uint64_t bytes);
};

/* Queue a request; the strings are copied.  Returns 0, or
 *   -EMSGSIZE  prompt (plus max_tokens) does not fit the context: the text has the numbers
 *   -EINVAL    empty prompt (a conversation's: its last message), unknown role in a conversation,
 *              a parameter or stop string out of range, a conversation for a model whose chat
 *              template does not compile, or which the template refuses
 *   -ENOEXEC   an error of the chat template, or one of its limits
 *   -EAGAIN    ENGINE_REQUESTS_MAX
 *   -ENOMEM */
int engine_submit(struct engine *engine, uint64_t id, const struct engine_request *request,
                  struct error *error);

/* End a request at the next step with ENGINE_CANCELLED; unknown ids are ignored. */
void engine_cancel(struct engine *engine, uint64_t id);

/* Run one step of everything that can run: at most one prefill chunk plus one token of every
 * decoding sequence, or a few of those that guess.  Returns whether work remains that does not wait
 * for memory. */
bool engine_step(struct engine *engine, const struct engine_sink *sink);

/* KV memory: `bytes` more may be used; or none, and of the requests that wait for it the youngest
 * end with ENOMEM and this text, until an older one can go on with their pages and asks again. */
void engine_grant(struct engine *engine, uint64_t bytes);
void engine_refuse(struct engine *engine, const struct engine_sink *sink, const char *text);

/* Logits of every position of `tokens`, one call of `row` per position in order; a false return
 * ends it.  For `logits`, `nll` and tests; no request may be running.  Returns 0, -EMSGSIZE,
 * -ENOMEM (also when its KV pages were not granted), -EINVAL (an id out of range, or a model that
 * embeds), or -EIO when they are not finite. */
int engine_logits(struct engine *engine, const int32_t *tokens, size_t count,
                  bool (*row)(void *owner, size_t position, const float *logits, int32_t count),
                  void *owner, struct error *error);

#endif
