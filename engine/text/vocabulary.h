/* vocabulary.h - what a tokenizer is built from, whatever kind of file it came from.
 *
 * Owns:     the arrays of views; the bytes they view belong to the model file's mapping.
 * Promise:  counts agree, every special id is in range or VOCABULARY_NONE, every kind is one of
 *           enum token_kind, no token is longer than VOCABULARY_TOKEN_BYTES_MAX; the strings that
 *           open or end a turn are never USER_DEFINED, so no user text can become one.  Equal and
 *           empty token strings are allowed (published files have them).
 * Threads:  read-only after filling.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct gguf;

enum {
    VOCABULARY_TOKENS_MAX = 1 << 20,
    VOCABULARY_MERGES_MAX = 4 << 20,
    VOCABULARY_TOKEN_BYTES_MAX = 64 << 10,
};
enum { VOCABULARY_NONE = -1 };

/* tokenizer.ggml.token_type */
enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

struct vocabulary {
    struct text model;   /* "gpt2": byte-level BPE */
    struct text pre;     /* "smollm", "qwen2", ...; empty when the file names none */
    struct text *tokens; /* [token_count] */
    uint8_t *kinds;      /* [token_count], enum token_kind */
    int32_t token_count;
    struct text *merges; /* [merge_count], "left right" */
    int32_t merge_count;
    int32_t bos, eos, eot, eom, unknown, padding; /* ids or VOCABULARY_NONE */
    bool add_bos;              /* the file's flag, or the default of its pre-tokenizer */
    struct text chat_template; /* Jinja source, empty when there is none */
};

/* Fill from the tokenizer.* keys of a GGUF.  Returns 0, -ENOMEM, or -ENOEXEC with a text that names
 * the key (missing tokens, wrong element type, counts that disagree, an id out of range).  On
 * failure *out is empty. */
int vocabulary_from_gguf(const struct gguf *gguf, struct vocabulary *out, struct error *error);
void vocabulary_free(struct vocabulary *vocabulary);

/* Is this one of the well-known strings that end a turn or a text ("<|im_end|>", "</s>", ...)? */
bool vocabulary_ends_turn(struct text token);

#endif
