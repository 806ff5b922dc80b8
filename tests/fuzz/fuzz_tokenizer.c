/* fuzz_tokenizer.c - any bytes, encoded by any rule, must decode to the same bytes.
 *
 * The first byte chooses the pre-tokenizer and whether control strings match; the rest is the text.
 * Build with -fsanitize=fuzzer,address,undefined. */
#include "tests/lib/sample_vocabulary.h"
#include "text/tokenizer.h"

#include <stdlib.h>

enum { RULES = 5 };

static const char *const pres[RULES] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"};

static const char *const merges[] = {"a a",
                                     "aa aa",
                                     "t h",
                                     "th e",
                                     "\xC4\xA0 the",
                                     "\xC4\xA0 \xC4\xA0",
                                     "\xC4\x8A \xC4\x8A",
                                     "0 0",
                                     "\xC3\xBF \xC3\xBE",
                                     "\xC3\xB0 \xC4\xB2",
                                     "\xC3\xA2 \xC4\xA2",
                                     "aaaa aaaa",
                                     "' s",
                                     NULL};

static const struct sample_special specials[] = {{"<|im_start|>", TOKEN_CONTROL},
                                                 {"<|im_end|>", TOKEN_CONTROL},
                                                 {"<unk>", TOKEN_UNKNOWN},
                                                 {"<think>", TOKEN_USER_DEFINED},
                                                 {"\n\n\n", TOKEN_USER_DEFINED},
                                                 {"<", TOKEN_USER_DEFINED},
                                                 {NULL, TOKEN_NORMAL}};

/* Made once: the point is the text, not the opening. */
static struct tokenizer *tokenizer_of(size_t rule)
{
    static struct tokenizer *tokenizers[RULES];
    if (!tokenizers[rule] &&
        tokenizer_open(sample_vocabulary(pres[rule], merges, specials), &tokenizers[rule], NULL))
        abort();
    return tokenizers[rule];
}

static void check_decodes_to(const struct tokenizer *tokenizer, const struct tokens *tokens,
                             struct text text)
{
    size_t at = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        char piece[64];
        long length = tokenizer_decode(tokenizer, tokens->ids[i], true, piece, sizeof piece);
        if (length < 0 || (size_t)length > sizeof piece || (size_t)length > text.length - at ||
            memcmp(piece, text.bytes + at, (size_t)length) != 0)
            abort();
        at += (size_t)length;
    }
    if (at != text.length)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct tokenizer *tokenizer = tokenizer_of(data[0] % RULES);
    enum tokenizer_special special = data[0] & 0x80 ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN;
    struct text text = {(const char *)data + 1, size - 1};
    struct tokens tokens = {0};
    if (tokenizer_encode(tokenizer, text, special, &tokens))
        abort();
    check_decodes_to(tokenizer, &tokens, text);
    tokens_free(&tokens);
    return 0;
}
