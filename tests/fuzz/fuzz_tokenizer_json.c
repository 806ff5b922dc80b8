/* fuzz_tokenizer_json.c - any bytes as tokenizer.json and the files beside it.
 *
 * The input is cut at its zero bytes: tokenizer.json, tokenizer_config.json,
 * generation_config.json, special_tokens_map.json, a text.  What opens must keep the promises of
 * vocabulary.h, and its tokenizer must encode the text.
 * Build with -fsanitize=fuzzer,address,undefined. */
#include "text/hf_vocabulary.h"
#include "text/tokenizer.h"

#include <errno.h>
#include <stdlib.h>

enum { TEXT_BYTES = 256, DIGITS = 3 };

static struct text take_part(struct text *rest)
{
    const char *zero = rest->length ? memchr(rest->bytes, 0, rest->length) : NULL;
    struct text part = {rest->bytes, zero ? (size_t)(zero - rest->bytes) : rest->length};
    size_t taken = part.length + (zero ? 1 : 0);
    *rest = (struct text){rest->bytes + taken, rest->length - taken};
    return part;
}

static void check_id(const struct vocabulary *vocabulary, int32_t id)
{
    if (id != VOCABULARY_NONE && (id < 0 || id >= vocabulary->token_count))
        abort();
}

static void check(const struct vocabulary *vocabulary)
{
    const int32_t ids[] = {vocabulary->bos,     vocabulary->eos,       vocabulary->unknown,
                           vocabulary->padding, vocabulary->separator, vocabulary->suffix};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        check_id(vocabulary, ids[i]);
    for (size_t i = 0; i < vocabulary->end_count; i++)
        check_id(vocabulary, vocabulary->ends[i]);
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        uint8_t kind = vocabulary->kinds[id];
        if (kind < TOKEN_NORMAL || kind > TOKEN_BYTE ||
            vocabulary->tokens[id].length > VOCABULARY_TOKEN_BYTES_MAX ||
            (kind == TOKEN_USER_DEFINED && vocabulary_ends_turn(vocabulary->tokens[id])))
            abort();
    }
}

static void encode(const struct vocabulary *vocabulary, struct text text)
{
    struct tokenizer *tokenizer;
    struct tokens tokens = {0};
    if (tokenizer_open(vocabulary, &tokenizer, NULL))
        return;
    int status = tokenizer_encode(tokenizer, text, TOKENIZER_SPECIAL, &tokens);
    if (status && status != -EMSGSIZE)
        abort();
    for (size_t i = 0; i < tokens.count; i++) {
        char piece[64];
        if (tokenizer_decode(tokenizer, tokens.ids[i], true, piece, sizeof piece) < 0)
            abort();
    }
    tokens_free(&tokens);
    tokenizer_close(tokenizer);
}

/* A far id makes a large vocabulary of nothing, which is slow and teaches nothing. */
static bool has_long_number(struct text text)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.length && digits <= DIGITS; i++)
        digits = text.bytes[i] >= '0' && text.bytes[i] <= '9' ? digits + 1 : 0;
    return digits > DIGITS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = {size ? (const char *)data : "", size};
    struct hf_files files = {.tokenizer = take_part(&rest)};
    struct vocabulary vocabulary;
    struct error error = {0};
    files.tokenizer_config = take_part(&rest);
    files.generation_config = take_part(&rest);
    files.special_tokens_map = take_part(&rest);
    if (has_long_number(files.tokenizer))
        return 0;
    if (hf_vocabulary_read(&files, &vocabulary, &error)) {
        if (!error.text[0] || vocabulary.tokens || vocabulary.memory)
            abort();
        return 0;
    }
    check(&vocabulary);
    if (rest.length) {
        rest.length = rest.length < TEXT_BYTES ? rest.length : TEXT_BYTES;
        encode(&vocabulary, rest);
    }
    vocabulary_free(&vocabulary);
    return 0;
}
