/* vocabulary.h - what a tokenizer is built from, whatever kind of file it came from.
 *
 * Owns:     the arrays and the index; the bytes that views point to belong to the model file's
 *           mapping, or to `memory`.
 * Promise:  counts agree, every special id is in range or VOCABULARY_NONE, every kind is one of
 *           enum token_kind, no token is longer than VOCABULARY_TOKEN_BYTES_MAX; the strings that
 *           open or end a turn, and all that look like <|marker|>, are never USER_DEFINED, so no
 *           user text can become one.  Equal and empty token strings are allowed (published files
 *           have them).
 * Threads:  read-only after filling.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf;
struct index;
struct normalizer_step;
struct pretokenizer_rule;

enum {
    VOCABULARY_TOKENS_MAX = 1 << 20,
    VOCABULARY_MERGES_MAX = 4 << 20,
    VOCABULARY_TOKEN_BYTES_MAX = 64 << 10,
};
enum { VOCABULARY_ENDS_MAX = 16 };
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

/* How text becomes tokens. */
enum vocabulary_model {
    VOCABULARY_BPE,       /* "gpt2": byte-level pieces, merged by the rank of their merges */
    VOCABULARY_SPM,       /* "llama": characters, merged by the score of what they become */
    VOCABULARY_WORDPIECE, /* "bert": the longest prefix of a word, again and again */
    VOCABULARY_UNIGRAM,   /* "t5": the most probable segmentation */
};

/* What a special string takes with it when it is found in a text (added tokens of a folder). */
enum token_flag {
    TOKEN_STRIPS_LEFT = 1,  /* the white space before it */
    TOKEN_STRIPS_RIGHT = 2, /* the white space after it */
    TOKEN_SINGLE_WORD = 4,  /* only where no letter or digit touches it */
    TOKEN_NORMALIZED = 8,   /* is looked for in the normalised text */
};

/* Strings as they lie in a GGUF, each behind its length, and where: that is not trusted. */
struct packed_strings {
    const uint8_t *data;
    uint64_t bytes;
    const uint32_t *offsets; /* [token_count + 1]; NULL: unknown */
};

struct vocabulary {
    enum vocabulary_model model;
    struct text pre; /* the name of its pre-tokenizer, for people; may be empty */
    const struct pretokenizer_rule *rule; /* how the text is cut before it is merged: a row of the
                                           * table, or own memory (folders); NULL: not at all */
    struct normalizer_step *steps;        /* [step_count], what happens to the text first */
    size_t step_count;
    size_t piece_step_count; /* more of them behind those: for what stands between special tokens */
    bool prefix_at_start;    /* the last of these is for the start of a text alone */
    struct text *tokens; /* [token_count]; WordPiece: words begin with U+2581, what continues one
                          * has no mark; unigram and SPM: U+2581 stands for a space.  NULL: `index`
                          * has been there, vocabulary_token() finds them in `packed` */
    struct packed_strings packed; /* GGUF alone */
    size_t token_bytes_max;       /* no token is longer; 0: nobody has looked */
    struct index *index;          /* the tables, ready for use; NULL: they have to be looked for */
    uint64_t seal[2];             /* the name of the index's seal (seal.h) */
    bool is_sealable;
    uint8_t *kinds; /* [token_count], enum token_kind */
    uint8_t *flags; /* [token_count], enum token_flag; NULL: none */
    float *scores;  /* [token_count], SPM and unigram; NULL otherwise */
    int32_t token_count;
    struct text *merges; /* [merge_count], "left right"; BPE only; NULL: see `index` */
    int32_t merge_count;
    int32_t bos, eos, eot, eom, unknown, padding, separator; /* ids or VOCABULARY_NONE */
    int32_t ends[VOCABULARY_ENDS_MAX]; /* [end_count], more ids that end a generation */
    size_t end_count;
    bool add_bos;   /* a text begins with bos ([CLS] of a WordPiece vocabulary is its bos) */
    int32_t suffix; /* what a text to be embedded ends with ([SEP], eos), or VOCABULARY_NONE */
    bool add_space_prefix;       /* SPM, unigram: a text begins as if after a space */
    int32_t word_characters_max; /* WordPiece by BERT's own rules: a longer word is unknown, and a
                                  * U+2581 in the text never starts a token.  0: by llama.cpp's,
                                  * which have neither */
    struct text chat_template;   /* Jinja source, empty when there is none */
    void *memory;                /* of strings that lie in no file, or NULL */
    size_t memory_bytes;         /* how much of it is in use; the rest was never touched */
};

/* Fill from the tokenizer.* keys of a GGUF.  Returns 0, -ENOMEM, or -ENOEXEC with a text that names
 * the key (missing tokens, wrong element type, counts that disagree, an id out of range).  On
 * failure *out is empty. */
int vocabulary_from_gguf(const struct gguf *gguf, struct vocabulary *out, struct error *error);
void vocabulary_free(struct vocabulary *vocabulary);

/* The same as tokens[id] where there is no such array.  An offset that does not lead to a string of
 * the length that it promises gives the empty text: whatever the offsets are, only bytes of the
 * array of strings are seen. */
struct text vocabulary_packed_token(const struct vocabulary *vocabulary, int32_t id);

/* The string of a token, 0 <= id < token_count. */
static inline struct text vocabulary_token(const struct vocabulary *vocabulary, int32_t id)
{
    return vocabulary->tokens ? vocabulary->tokens[id] : vocabulary_packed_token(vocabulary, id);
}

/* What it takes at most, without an index; and nothing of the mapping that its views point to. */
size_t vocabulary_bytes(const struct vocabulary *vocabulary);

/* Is this one of the well-known strings that end a turn or a text ("<|im_end|>", "</s>", ...)? */
bool vocabulary_ends_turn(struct text token);

/* The kind of a token whose file says `kind` (0: undefined; NORMAL in a file without kinds), such
 * that the Promise about turns holds. */
enum token_kind vocabulary_settle_kind(struct text token, int32_t kind, bool has_kinds);

#endif
