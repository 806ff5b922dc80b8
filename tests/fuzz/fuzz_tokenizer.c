/* fuzz_tokenizer.c - any bytes, encoded by any model: BPE and SPM must decode to the same bytes,
 * the others give ids in range; normal forms must be those of utf8proc.
 *
 * The first byte chooses the model, the pre-tokenizer or the steps of the normalizer, and whether
 * control strings match; the rest is the text, or for a character map its length (two bytes), the
 * map and the text.  Build with -fsanitize=fuzzer,address,undefined. */
#include "tests/lib/sample_vocabulary.h"
#include "text/normalizer.h"
#include "text/tokenizer.h"

#include <errno.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { RULES = 5 };
enum kind { BPE, SPM = BPE + RULES, WORDPIECE, UNIGRAM, UNIGRAM_MAPPED, NORMAL_FORM, KINDS };
enum { BUFFER_BYTES = 64 << 20 };

static const struct text none = {"", 0};

static const struct sample_token pieces[] = {
    {"<unk>", TOKEN_UNKNOWN, 0},    {"<s>", TOKEN_CONTROL, 0},
    {"_", TOKEN_NORMAL, -4},        {"a", TOKEN_NORMAL, -5},
    {"aa", TOKEN_NORMAL, -3},       {"_a", TOKEN_NORMAL, -2},
    {"aaaa", TOKEN_NORMAL, -3},     {"__", TOKEN_NORMAL, -1},
    {"th", TOKEN_NORMAL, -2},       {"_the", TOKEN_NORMAL, -2.5f},
    {"t", TOKEN_NORMAL, -8},        {"h", TOKEN_NORMAL, -9},
    {"the", TOKEN_NORMAL, 1},       {"e", TOKEN_NORMAL, -7},
    {"\xC3\xA9", TOKEN_NORMAL, -6}, {"\xF0\x9F\xA6\x99", TOKEN_NORMAL, -6},
    {"<x>", TOKEN_USER_DEFINED, 0}, {"<", TOKEN_USER_DEFINED, 0},
    {"_<", TOKEN_NORMAL, -1},       {"_.", TOKEN_NORMAL, -1},
    {"ee", TOKEN_UNUSED, -1},       {NULL, TOKEN_NORMAL, 0}};

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

static struct vocabulary *vocabulary_of(enum kind kind)
{
    static struct vocabulary *vocabularies[KINDS];
    static const enum vocabulary_model models[KINDS] = {[SPM] = VOCABULARY_SPM,
                                                        [WORDPIECE] = VOCABULARY_WORDPIECE,
                                                        [UNIGRAM] = VOCABULARY_UNIGRAM,
                                                        [UNIGRAM_MAPPED] = VOCABULARY_UNIGRAM};
    if (!vocabularies[kind]) {
        vocabularies[kind] = sample_vocabulary_of(models[kind], pieces, kind == SPM);
        vocabularies[kind]->steps = calloc(NORMALIZER_STEPS_MAX, sizeof(struct normalizer_step));
        if (!vocabularies[kind]->steps)
            abort();
    }
    return vocabularies[kind];
}

/* Of every model but BPE; it reads the steps of its vocabulary as they are at the moment. */
static struct tokenizer *tokenizer_of_kind(enum kind kind)
{
    static struct tokenizer *tokenizers[KINDS];
    if (!tokenizers[kind] && tokenizer_open(vocabulary_of(kind), &tokenizers[kind], NULL))
        abort();
    return tokenizers[kind];
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

static void check_in_range(const struct tokenizer *tokenizer, const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->ids[i] < 0 || tokens->ids[i] >= tokenizer_vocabulary_size(tokenizer))
            abort();
}

/* The steps that the bits of `choice` name, in a fixed order. */
static void choose_steps(struct vocabulary *vocabulary, unsigned choice)
{
    static const enum normalizer_kind kinds[] = {
        NORMALIZE_CLEAN,     NORMALIZE_SPACE_CJK,       NORMALIZE_NFKC, NORMALIZE_STRIP_ACCENTS,
        NORMALIZE_LOWERCASE, NORMALIZE_COLLAPSE_SPACES, NORMALIZE_NFD,  NORMALIZE_BASE_LETTERS,
    };
    vocabulary->step_count = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (choice >> i & 1)
            vocabulary->steps[vocabulary->step_count++] =
                (struct normalizer_step){kinds[i], none, none};
    vocabulary->steps[vocabulary->step_count++] =
        (struct normalizer_step){NORMALIZE_REPLACE, {" ", 1}, {"\xE2\x96\x81", 3}};
}

/* Cut a character map off the text and make it the only step; returns false for one that is
 * refused. */
static bool choose_map(struct vocabulary *vocabulary, struct text *text)
{
    if (text->length < 2)
        return false;
    size_t length = (unsigned char)text->bytes[0] | (size_t)(unsigned char)text->bytes[1] << 8;
    *text = (struct text){text->bytes + 2, text->length - 2};
    if (length > text->length)
        length = text->length;
    vocabulary->steps[0] =
        (struct normalizer_step){NORMALIZE_CHARSMAP, {text->bytes, length}, none};
    vocabulary->step_count = 1;
    *text = (struct text){text->bytes + length, text->length - length};
    return normalizer_check(vocabulary->steps, 1, NULL) == 0;
}

static void check_normal_form(struct text text, unsigned choice)
{
    static const struct {
        enum normalizer_kind kind;
        utf8proc_option_t options;
    } forms[] = {
        {NORMALIZE_NFC, UTF8PROC_STABLE | UTF8PROC_COMPOSE},
        {NORMALIZE_NFD, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
        {NORMALIZE_NFKC, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
        {NORMALIZE_NFKD, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
    };
    struct normalizer_step step = {forms[choice % 4].kind, none, none};
    struct buffer valid = buffer_new(BUFFER_BYTES), got = buffer_new(BUFFER_BYTES);
    utf8proc_uint8_t *expected = NULL;
    if (normalizer_apply(NULL, 0, text, &valid) || normalizer_apply(&step, 1, text, &got))
        abort();
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)valid.bytes, (utf8proc_ssize_t)valid.length,
                     &expected, forms[choice % 4].options);
    if (length < 0 ||
        !text_equals(buffer_text(&got), (struct text){(const char *)expected, (size_t)length}))
        abort();
    free(expected);
    buffer_free(&valid);
    buffer_free(&got);
}

/* U+2581 comes back as the space that it stands for. */
static void check_spm_decodes_to(const struct tokenizer *tokenizer, const struct tokens *tokens,
                                 struct text text)
{
    const struct normalizer_step step = {NORMALIZE_REPLACE, {"\xE2\x96\x81", 3}, {" ", 1}};
    struct buffer spaced = buffer_new(BUFFER_BYTES);
    struct buffer valid = buffer_new(BUFFER_BYTES);
    if (normalizer_apply(NULL, 0, text, &valid) || normalizer_apply(&step, 1, text, &spaced))
        abort();
    if (text_equals(buffer_text(&valid), text)) /* bad bytes come back too, but not from here */
        check_decodes_to(tokenizer, tokens, buffer_text(&spaced));
    buffer_free(&valid);
    buffer_free(&spaced);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum kind kind = data[0] % KINDS;
    enum tokenizer_text special = data[0] & 0x80 ? TOKENIZER_SPECIAL : TOKENIZER_PLAIN;
    unsigned choice = data[1];
    struct text text = {(const char *)data + 2, size - 2};
    if (kind == NORMAL_FORM) {
        check_normal_form(text, choice);
        return 0;
    }
    const struct tokenizer *tokenizer = kind < SPM ? tokenizer_of(kind) : tokenizer_of_kind(kind);
    if (kind == WORDPIECE || kind == UNIGRAM)
        choose_steps(vocabulary_of(kind), choice);
    if (kind == UNIGRAM_MAPPED && !choose_map(vocabulary_of(kind), &text))
        return 0;
    struct tokens tokens = {0};
    int status = tokenizer_encode(tokenizer, text, special, &tokens);
    if (status && !(kind == UNIGRAM_MAPPED && status == -EMSGSIZE))
        abort();
    check_in_range(tokenizer, &tokens);
    if (kind < SPM)
        check_decodes_to(tokenizer, &tokens, text);
    else if (kind == SPM)
        check_spm_decodes_to(tokenizer, &tokens, text);
    tokens_free(&tokens);
    return 0;
}
