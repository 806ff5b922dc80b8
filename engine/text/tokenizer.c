/* tokenizer.c - see tokenizer.h.
 *
 *   text --special.c--> special ids and fragments --pretokenizer.c--> pieces --bpe.c--> ids
 *
 * This file only joins the steps; it does no normalisation, because no byte-level vocabulary that
 * it accepts was trained with any. */
#include "text/tokenizer.h"

#include "base/memory.h"
#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/pretokenizer.h"
#include "text/special.h"

#include <errno.h>
#include <stdlib.h>

struct tokenizer {
    const struct vocabulary *vocabulary;
    struct special *special;
    struct pretokenizer *pretokenizer;
    struct bpe *bpe;
    size_t piece_bytes_max;
};

/* What one call of tokenizer_encode() hands from piece to piece. */
struct encoding {
    const struct bpe *bpe;
    struct bpe_scratch scratch;
    struct tokens *out;
};

/* Was this token, by its kind, written as plain text and not in the byte-level alphabet? */
static bool is_verbatim(const struct vocabulary *vocabulary, int32_t id)
{
    uint8_t kind = vocabulary->kinds[id];
    return kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED;
}

static size_t decode(const struct vocabulary *vocabulary, int32_t id, char *out, size_t capacity)
{
    struct text token = vocabulary->tokens[id];
    if (!is_verbatim(vocabulary, id))
        return bytelevel_decode(token, out, capacity);
    size_t length = token.length < capacity ? token.length : capacity;
    if (length)
        memcpy(out, token.bytes, length);
    return token.length;
}

static size_t longest_piece(const struct vocabulary *vocabulary)
{
    size_t longest = 0;
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        if (vocabulary->tokens[id].length <= longest) /* decoding never makes it longer */
            continue;
        size_t length = decode(vocabulary, id, NULL, 0);
        longest = length > longest ? length : longest;
    }
    return longest;
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
    tokenizer->piece_bytes_max = longest_piece(vocabulary);
    int status = pretokenizer_open(vocabulary->rule, &tokenizer->pretokenizer, error);
    if (!status)
        status = bpe_open(vocabulary, vocabulary->rule->ignores_merges, &tokenizer->bpe, error);
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
    free(tokenizer);
}

static int encode_piece(void *context, struct text piece)
{
    struct encoding *encoding = context;
    return bpe_encode(encoding->bpe, piece, &encoding->scratch, encoding->out);
}

int tokenizer_encode(const struct tokenizer *tokenizer, struct text text,
                     enum tokenizer_special special, struct tokens *out)
{
    if (text.length > TOKENIZER_TEXT_BYTES_MAX)
        return -EMSGSIZE;
    struct encoding encoding = {.bpe = tokenizer->bpe, .out = out};
    size_t count_before = out->count, at = 0;
    int status = 0;
    while (at < text.length && !status) {
        size_t begin = text.length, end = text.length;
        int32_t id =
            special_next(tokenizer->special, text, at, special == TOKENIZER_SPECIAL, &begin, &end);
        struct text fragment = {text.bytes + at, begin - at};
        status = pretokenizer_split(tokenizer->pretokenizer, fragment, encode_piece, &encoding);
        if (!status && id != VOCABULARY_NONE)
            status = tokens_append(out, id);
        at = end;
    }
    bpe_scratch_free(&encoding.scratch);
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
    return id == vocabulary->eos || id == vocabulary->eot || id == vocabulary->eom ||
           (is_verbatim(vocabulary, id) && vocabulary_ends_turn(vocabulary->tokens[id]));
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary->add_bos ? tokenizer->vocabulary->bos : VOCABULARY_NONE;
}

int32_t tokenizer_special_id(const struct tokenizer *tokenizer, struct text string)
{
    return special_find(tokenizer->special, string);
}

int32_t tokenizer_vocabulary_size(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary->token_count;
}
