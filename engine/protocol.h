/* protocol.h - what the daemon and its workers say to each other.
 *
 * One SOCK_STREAM socketpair per worker.  A message is a header and `bytes` of payload, host byte
 * order (both ends are one build on one machine; the version is checked all the same).  The worker
 * speaks first: PLAN (in probe mode, then it exits), READY, or FAILED (then it exits).
 *
 *   daemon -> worker   GENERATE  CANCEL  GRANT  REFUSE  THREADS  STOP
 *   worker -> daemon   PLAN  READY  FAILED  TEXT  LOGPROBS  DONE  NEED
 *
 * Owns:     nothing; a parsed message borrows from the input buffer until it is consumed.
 * Promise:  protocol_parse() trusts nothing: every length is checked, so neither end can hurt the
 *           other by what it sends.
 * Threads:  any, one buffer per thread.
 * Limits:   PROTOCOL_* below.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "base/error.h"
#include "base/memory.h"
#include "base/sampling.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PROTOCOL_VERSION = 3,
    PROTOCOL_FD = 3, /* the worker's end of the socketpair */
    PROTOCOL_PAYLOAD_BYTES_MAX = 64 << 20,
    PROTOCOL_MESSAGES_MAX = 1024, /* chat messages in a GENERATE */
    PROTOCOL_STOPS_MAX = 16,
    PROTOCOL_GRAMMAR_BYTES_MAX = 1 << 20,
    PROTOCOL_TEXT_BYTES_MAX = 64 << 10,  /* of one TEXT or LOGPROBS message */
    PROTOCOL_INFO_BYTES_MAX = 256 << 10, /* of the description in a PLAN */
    PROTOCOL_WORD_BYTES_MAX = 64,        /* a finish, the name of kernels */
};

enum protocol_type {
    PROTOCOL_GENERATE = 1,
    PROTOCOL_CANCEL,
    PROTOCOL_GRANT,
    PROTOCOL_REFUSE,
    PROTOCOL_THREADS,
    PROTOCOL_STOP,
    PROTOCOL_PLAN = 64,
    PROTOCOL_READY,
    PROTOCOL_FAILED,
    PROTOCOL_TEXT,
    PROTOCOL_DONE,
    PROTOCOL_NEED,
    PROTOCOL_LOGPROBS,
};

struct protocol_header {
    uint32_t bytes; /* of the payload */
    uint16_t type;
    uint16_t version;
    uint64_t request; /* GENERATE CANCEL TEXT LOGPROBS DONE; else 0 */
};

struct protocol_chat_message {
    struct text role, content;
};

/* Whether a template that knows the word may think first. */
enum protocol_thinking { PROTOCOL_THINKING_AUTO, PROTOCOL_THINKING_ON, PROTOCOL_THINKING_OFF };

/* How embeddings are written: a JSON array a line, or little-endian floats one after the other. */
enum protocol_format { PROTOCOL_FORMAT_JSON, PROTOCOL_FORMAT_F32 };

/* GENERATE: run this request.  A model that embeds takes the content of the last message for its
 * texts, one a line, and answers with their vectors. */
struct protocol_generate {
    uint32_t owner; /* the user: only requests of one share what the worker keeps of texts */
    bool raw;
    enum protocol_thinking thinking;
    enum protocol_format format;
    bool speculate; /* guess tokens that repeat; the answer is the same */
    struct sampling sampling;
    int32_t max_tokens;
    int32_t logprobs;        /* alternatives to report for each token; -1: no report */
    struct text grammar;     /* GBNF; empty: none */
    struct text json_schema; /* empty: none */
    uint32_t message_count, stop_count, stop_token_count, bias_count;
    struct protocol_chat_message messages[PROTOCOL_MESSAGES_MAX];
    struct text stops[PROTOCOL_STOPS_MAX];
    int32_t stop_tokens[SAMPLING_STOP_TOKENS_MAX];
    struct token_bias biases[SAMPLING_BIASES_MAX];
};

/* PLAN: what loading would hold, and the model's description (one line of JSON). */
struct protocol_plan {
    uint64_t charge_bytes, weight_bytes, kv_page_bytes;
    int32_t context;
    struct text info;
};

/* READY: loaded.  Times are CLOCK_MONOTONIC microseconds. */
struct protocol_ready {
    int64_t started_us;    /* main() entered */
    int64_t loaded_us;     /* mapped and populated */
    int64_t configured_us; /* KV, threads, scratch */
    int64_t ready_us;      /* tokenizer and template */
    uint64_t loaded_bytes, cold_bytes;
    uint64_t charge_bytes; /* measured: resident now, plus what is granted and not yet touched */
    int32_t context;
    struct text kernels;
};

/* FAILED: it will not load, or can't go on. */
struct protocol_failed {
    int32_t code; /* errno */
    struct text text;
};

/* DONE: the end of a request; its text came before. */
struct protocol_done {
    int32_t code; /* 0, or errno: ECANCELED, ENOMEM, EMSGSIZE, EIO ... */
    int32_t prompt_tokens, cached_tokens, completion_tokens;
    int32_t drafted_tokens, accepted_tokens; /* guessed; and rightly */
    int32_t truncated_texts; /* of a request to embed: longer than the model reads */
    int64_t started_us, first_token_us, ended_us; /* 0 when it did not happen */
    struct text finish;                           /* "stop", "length", "cancelled", "failed" */
    struct text text;                             /* why it failed; empty otherwise */
};

/* A parsed message; which member holds depends on header.type (CANCEL and STOP have none). */
struct protocol_message {
    struct protocol_header header;
    struct protocol_generate generate;
    struct protocol_plan plan;
    struct protocol_ready ready;
    struct protocol_failed failed;
    struct protocol_done done;
    struct text text; /* TEXT: the answer's next bytes; LOGPROBS: whole lines; REFUSE: why */
    uint64_t bytes;   /* GRANT, NEED */
    int32_t threads;  /* THREADS */
};

/* Parse the message at the start of `input`.  Returns 1 and *consumed bytes when one is there, 0
 * when more input is needed, -EPROTO (with a text) when the peer is not a peer of this version.  A
 * bad header is seen before its payload arrives.  Of *out only the header and the members of its
 * type are set. */
int protocol_parse(struct text input, struct protocol_message *out, size_t *consumed,
                   struct error *error);

/* Append a message to `output`.  Each returns 0, -ENOMEM or -EMSGSIZE (past the buffer's limit or
 * past one of this protocol); then the buffer is as it was. */
int protocol_put_generate(struct buffer *output, uint64_t request,
                          const struct protocol_generate *generate);
int protocol_put_cancel(struct buffer *output, uint64_t request);
int protocol_put_grant(struct buffer *output, uint64_t bytes);
int protocol_put_refuse(struct buffer *output, struct text why);
int protocol_put_threads(struct buffer *output, int32_t threads);
int protocol_put_stop(struct buffer *output);
int protocol_put_plan(struct buffer *output, const struct protocol_plan *plan);
int protocol_put_ready(struct buffer *output, const struct protocol_ready *ready);
int protocol_put_failed(struct buffer *output, const struct protocol_failed *failed);
/* A text longer than PROTOCOL_TEXT_BYTES_MAX becomes several messages, an empty one none. */
int protocol_put_text(struct buffer *output, uint64_t request, struct text text);
/* The same of lines of JSON; one that is too long for a message is an error. */
int protocol_put_logprobs(struct buffer *output, uint64_t request, struct text lines);
int protocol_put_done(struct buffer *output, uint64_t request, const struct protocol_done *done);
int protocol_put_need(struct buffer *output, uint64_t bytes);

#endif
