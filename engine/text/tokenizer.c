/* tokenizer.c - see tokenizer.h.
 *
 *   text --special.c--> special ids and fragments --normalizer.c--> --pretokenizer.c--> pieces
 *        --bpe.c, spm.c, wordpiece.c or unigram.c--> ids
 *
 * This file only joins the steps. */
#include "text/tokenizer.h"

#include "base/memory.h"
#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/special.h"
#include "text/spm.h"
#include "text/unigram.h"
#include "text/wordpiece.h"
#include "text/words.h"

#include <errno.h>
#include <stdlib.h>

struct tokenizer {
    const struct vocabulary *vocabulary;
    struct special *special;
    struct pretokenizer *pretokenizer; /* NULL: a fragment is one piece */
    struct bpe *bpe;                   /* one of these four, by the vocabulary's model */
    struct spm *spm;
    struct wordpiece *wordpiece;
    struct unigram *unigram;
    size_t piece_bytes_max;
};

/* What one call of tokenizer_encode() hands from piece to piece. */
struct encoding {
    const struct tokenizer *tokenizer;
    bool control;  /* do CONTROL and UNKNOWN tokens match? */
    bool is_start; /* nothing of the text has been read */
    struct bpe_scratch bpe;
    struct spm_scratch spm;
    struct unigram_scratch unigram;
    struct buffer normalised; /* what stands between raw special tokens */
    struct buffer prepared;   /* what stands between those and the normalised ones */
    struct tokens *out;
};

/* Was this token, by its kind, written as plain text and not in the byte-level alphabet? */
static bool is_verbatim(const struct vocabulary *vocabulary, int32_t id)
{
    uint8_t kind = vocabulary->kinds[id];
    return kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED;
}

/* Are the tokens written in the characters of the text, not in the byte-level alphabet? */
static bool spells_out(const struct vocabulary *vocabulary)
{
    return vocabulary->model != VOCABULARY_BPE || vocabulary->rule->characters;
}

static size_t decode(const struct vocabulary *vocabulary, int32_t id, char *out, size_t capacity)
{
    struct text token = vocabulary_token(vocabulary, id);
    int byte = vocabulary->kinds[id] == TOKEN_BYTE ? words_byte(token) : -1;
    if (byte >= 0 && spells_out(vocabulary)) {
        if (capacity)
            *out = (char)byte;
        return 1;
    }
    if (!is_verbatim(vocabulary, id))
        return spells_out(vocabulary) ? words_unescape(token, out, capacity)
                                      : bytelevel_decode(token, out, capacity);
    size_t length = token.length < capacity ? token.length : capacity;
    if (length)
        memcpy(out, token.bytes, length);
    return token.length;
}

/* Decoding never makes a token longer.  The charge of a model counts this length, so it must be the
 * same whether the tokens were read or an index knows them. */
static size_t longest_token(const struct vocabulary *vocabulary)
{
    size_t longest = 0;
    if (!vocabulary->tokens)
        return vocabulary->token_bytes_max;
    for (int32_t id = 0; id < vocabulary->token_count; id++)
        if (vocabulary->tokens[id].length > longest)
            longest = vocabulary->tokens[id].length;
    return longest;
}

static int open_model(struct tokenizer *tokenizer, struct error *error)
{
    const struct vocabulary *vocabulary = tokenizer->vocabulary;
    switch (vocabulary->model) {
    case VOCABULARY_BPE:
        return bpe_open(vocabulary, &tokenizer->bpe, error);
    case VOCABULARY_SPM:
        if (spm_open(vocabulary, &tokenizer->spm))
            return error_set(error, ENOMEM, "no memory for %d tokens", vocabulary->token_count);
        return 0;
    case VOCABULARY_WORDPIECE:
        return wordpiece_open(vocabulary, &tokenizer->wordpiece, error);
    case VOCABULARY_UNIGRAM:
        return unigram_open(vocabulary, &tokenizer->unigram, error);
    }
    return error_set(error, EINVAL, "unknown tokenizer model");
}

int tokenizer_open(const struct vocabulary *vocabulary, struct tokenizer **out, struct error *error)
{
    *out = NULL;
    struct tokenizer *tokenizer = memory_try(1, sizeof *tokenizer);
    if (!tokenizer || special_open(vocabulary, &tokenizer->special)) {
        free(tokenizer);
        return error_set(error, ENOMEM, "no memory for the tokenizer");
    }
    tokenizer->vocabulary = vocabulary;
    tokenizer->piece_bytes_max = longest_token(vocabulary);
    int status = 0;
    if (vocabulary->rule)
        status = pretokenizer_open(vocabulary->rule, &tokenizer->pretokenizer, error);
    if (!status)
        status = open_model(tokenizer, error);
    if (status) {
        tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return 0;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    special_close(tokenizer->special);
    pretokenizer_close(tokenizer->pretokenizer);
    bpe_close(tokenizer->bpe);
    spm_close(tokenizer->spm);
    wordpiece_close(tokenizer->wordpiece);
    unigram_close(tokenizer->unigram);
    free(tokenizer);
}

static size_t model_bytes(const struct tokenizer *tokenizer)
{
    switch (tokenizer->vocabulary->model) {
    case VOCABULARY_BPE:
        return bpe_bytes(tokenizer->bpe);
    case VOCABULARY_SPM:
        return spm_bytes(tokenizer->spm);
    case VOCABULARY_WORDPIECE:
        return wordpiece_bytes(tokenizer->wordpiece);
    case VOCABULARY_UNIGRAM:
        return unigram_bytes(tokenizer->unigram);
    }
    return 0;
}

size_t tokenizer_bytes(const struct tokenizer *tokenizer)
{
    return sizeof *tokenizer + special_bytes(tokenizer->special) + model_bytes(tokenizer);
}

static int encode_piece(void *context, struct text piece)
{
    struct encoding *encoding = context;
    const struct tokenizer *tokenizer = encoding->tokenizer;
    switch (tokenizer->vocabulary->model) {
    case VOCABULARY_BPE:
        return bpe_encode(tokenizer->bpe, piece, &encoding->bpe, encoding->out);
    case VOCABULARY_SPM:
        return spm_encode(tokenizer->spm, piece, &encoding->spm, encoding->out);
    case VOCABULARY_WORDPIECE:
        return wordpiece_encode(tokenizer->wordpiece, piece, encoding->out);
    case VOCABULARY_UNIGRAM:
        return unigram_encode(tokenizer->unigram, piece, &encoding->unigram, encoding->out);
    }
    return -EINVAL;
}

/* The steps of the pre-tokenizer, which see no special token. */
static int prepare(struct encoding *encoding, struct text *fragment)
{
    const struct vocabulary *vocabulary = encoding->tokenizer->vocabulary;
    size_t count = vocabulary->piece_step_count;
    if (count == 0)
        return 0;
    if (vocabulary->prefix_at_start && !encoding->is_start)
        count--;
    encoding->prepared.length = 0;
    int status = normalizer_apply(vocabulary->steps + vocabulary->step_count, count, *fragment,
                                  &encoding->prepared);
    *fragment = buffer_text(&encoding->prepared);
    return status;
}

/* What stands between two special tokens, normalised. */
static int encode_words(struct encoding *encoding, struct text fragment)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    if (fragment.length == 0)
        return 0;
    int status = prepare(encoding, &fragment);
    encoding->is_start = false;
    if (status || fragment.length == 0)
        return status;
    return tokenizer->pretokenizer
               ? pretokenizer_split(tokenizer->pretokenizer, fragment, encode_piece, encoding)
               : encode_piece(encoding, fragment);
}

/* Find the special tokens of a set, and give encode() what stands between them. */
static int encode_around(struct encoding *encoding, enum special_set set, struct text text,
                         int (*encode)(struct encoding *encoding, struct text fragment))
{
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        size_t begin = text.length, end = text.length;
        int32_t id = special_next(encoding->tokenizer->special, set, text, at, encoding->control,
                                  &begin, &end);
        status = encode(encoding, (struct text){text.bytes + at, begin - at});
        if (!status && id != VOCABULARY_NONE) {
            status = tokens_append(encoding->out, id);
            encoding->is_start = false;
        }
        at = end;
    }
    return status;
}

static int encode_fragment(struct encoding *encoding, struct text fragment)
{
    const struct vocabulary *vocabulary = encoding->tokenizer->vocabulary;
    if (fragment.length == 0 || vocabulary->step_count == 0)
        return encode_words(encoding, fragment);
    encoding->normalised.length = 0;
    int status = normalizer_apply(vocabulary->steps, vocabulary->step_count, fragment,
                                  &encoding->normalised);
    return status ? status
                  : encode_around(encoding, SPECIAL_NORMALIZED, buffer_text(&encoding->normalised),
                                  encode_words);
}

int tokenizer_encode(const struct tokenizer *tokenizer, struct text text, enum tokenizer_text kind,
                     struct tokens *out)
{
    if (text.length > TOKENIZER_TEXT_BYTES_MAX)
        return -EMSGSIZE;
    struct encoding encoding = {
        .tokenizer = tokenizer,
        .control = kind & TOKENIZER_SPECIAL,
        .is_start = !(kind & TOKENIZER_CONTINUES),
        .normalised = buffer_new(SIZE_MAX),
        .prepared = buffer_new(SIZE_MAX),
        .out = out,
    };
    size_t count_before = out->count;
    int status = encode_around(&encoding, SPECIAL_RAW, text, encode_fragment);
    bpe_scratch_free(&encoding.bpe);
    spm_scratch_free(&encoding.spm);
    unigram_scratch_free(&encoding.unigram);
    buffer_free(&encoding.normalised);
    buffer_free(&encoding.prepared);
    if (status)
        out->count = count_before;
    return status;
}

long tokenizer_decode(const struct tokenizer *tokenizer, int32_t id, bool special, char *out,
                      size_t capacity)
{
    const struct vocabulary *vocabulary = tokenizer->vocabulary;
    if (id < 0 || id >= vocabulary->token_count)
        return -EINVAL;
    uint8_t kind = vocabulary->kinds[id];
    if (!special && (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN))
        return 0;
    return (long)decode(vocabulary, id, out, capacity);
}

size_t tokenizer_piece_bytes_max(const struct tokenizer *tokenizer)
{
    return tokenizer->piece_bytes_max;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id)
{
    const struct vocabulary *vocabulary = tokenizer->vocabulary;
    if (id < 0 || id >= vocabulary->token_count)
        return false;
    for (size_t i = 0; i < vocabulary->end_count; i++)
        if (vocabulary->ends[i] == id)
            return true;
    return id == vocabulary->eos || id == vocabulary->eot || id == vocabulary->eom ||
           (is_verbatim(vocabulary, id) && vocabulary_ends_turn(vocabulary_token(vocabulary, id)));
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary->add_bos ? tokenizer->vocabulary->bos : VOCABULARY_NONE;
}

bool tokenizer_adds_space(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary->add_space_prefix;
}

int32_t tokenizer_special_id(const struct tokenizer *tokenizer, struct text string)
{
    return special_find(tokenizer->special, string);
}

int32_t tokenizer_next_special(const struct tokenizer *tokenizer, struct text text, size_t from,
                               size_t *begin, size_t *end)
{
    int32_t id;
    for (;; from = *end) {
        id = special_next(tokenizer->special, SPECIAL_VERBATIM, text, from, true, begin, end);
        if (id == VOCABULARY_NONE || tokenizer->vocabulary->kinds[id] != TOKEN_USER_DEFINED)
            return id;
    }
}

int32_t tokenizer_vocabulary_size(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary->token_count;
}
