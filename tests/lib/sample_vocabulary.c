/* sample_vocabulary.c - see sample_vocabulary.h. */
#include "tests/lib/sample_vocabulary.h"

#include "text/bytelevel.h"
#include "text/pretokenizer.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLE_TOKENS_MAX = 1024 };

static struct text copy_of(struct text text)
{
    char *bytes = malloc(text.length + 1);
    if (!bytes)
        abort();
    if (text.length)
        memcpy(bytes, text.bytes, text.length);
    return (struct text){bytes, text.length};
}

static void add_token(struct vocabulary *vocabulary, struct text token, enum token_kind kind)
{
    if (vocabulary->token_count == SAMPLE_TOKENS_MAX)
        abort();
    vocabulary->tokens[vocabulary->token_count] = copy_of(token);
    vocabulary->kinds[vocabulary->token_count++] = (uint8_t)kind;
}

static int32_t find_token(const struct vocabulary *vocabulary, struct text token)
{
    for (int32_t id = vocabulary->token_count - 1; id >= 0; id--)
        if (text_equals(vocabulary->tokens[id], token))
            return id;
    return VOCABULARY_NONE;
}

static void add_merge(struct vocabulary *vocabulary, const char *merge)
{
    const char *space = strchr(merge + 1, ' ');
    char whole[256];
    size_t left = space ? (size_t)(space - merge) : 0, length = strlen(merge) - 1;
    if (!space || length > sizeof whole || vocabulary->merge_count == SAMPLE_TOKENS_MAX)
        abort();
    memcpy(whole, merge, left);
    memcpy(whole + left, space + 1, length - left);
    vocabulary->merges[vocabulary->merge_count++] = copy_of(text_of(merge));
    struct text token = {whole, length};
    if (find_token(vocabulary, token) == VOCABULARY_NONE)
        add_token(vocabulary, token, TOKEN_NORMAL);
}

static struct vocabulary *new_vocabulary(enum vocabulary_model model)
{
    struct vocabulary *vocabulary = calloc(1, sizeof *vocabulary);
    if (!vocabulary)
        abort();
    *vocabulary = (struct vocabulary){
        .model = model,
        .tokens = calloc(SAMPLE_TOKENS_MAX, sizeof(struct text)),
        .kinds = calloc(SAMPLE_TOKENS_MAX, 1),
        .merges = calloc(SAMPLE_TOKENS_MAX, sizeof(struct text)),
        .bos = VOCABULARY_NONE,
        .eos = VOCABULARY_NONE,
        .eot = VOCABULARY_NONE,
        .eom = VOCABULARY_NONE,
        .unknown = VOCABULARY_NONE,
        .padding = VOCABULARY_NONE,
        .separator = VOCABULARY_NONE,
        .suffix = VOCABULARY_NONE,
    };
    if (!vocabulary->tokens || !vocabulary->kinds || !vocabulary->merges)
        abort();
    return vocabulary;
}

static void add_score(struct vocabulary *vocabulary, float score)
{
    if (!vocabulary->scores)
        vocabulary->scores = calloc(SAMPLE_TOKENS_MAX, sizeof *vocabulary->scores);
    if (!vocabulary->scores)
        abort();
    vocabulary->scores[vocabulary->token_count - 1] = score;
}

struct vocabulary *sample_vocabulary_of(enum vocabulary_model model,
                                        const struct sample_token *tokens, bool bytes)
{
    struct vocabulary *vocabulary = new_vocabulary(model);
    for (; tokens->string; tokens++) {
        char string[2048];
        size_t marks = strspn(tokens->string, "_"), length = 0;
        for (size_t i = 0; i < marks; i++)
            length += (size_t)snprintf(string + length, sizeof string - length, "\xE2\x96\x81");
        snprintf(string + length, sizeof string - length, "%s", tokens->string + marks);
        add_token(vocabulary, text_of(string), tokens->kind);
        add_score(vocabulary, tokens->score);
        if (tokens->kind == TOKEN_UNKNOWN && vocabulary->unknown == VOCABULARY_NONE)
            vocabulary->unknown = vocabulary->token_count - 1;
    }
    for (unsigned byte = 0; bytes && byte < 256; byte++) {
        char string[8];
        snprintf(string, sizeof string, "<0x%02X>", byte);
        add_token(vocabulary, text_of(string), TOKEN_BYTE);
        add_score(vocabulary, 0);
    }
    return vocabulary;
}

struct vocabulary *sample_vocabulary(const char *pre, const char *const *merges,
                                     const struct sample_special *specials)
{
    struct vocabulary *vocabulary = new_vocabulary(VOCABULARY_BPE);
    vocabulary->pre = text_of(pre);
    vocabulary->rule = pretokenizer_rule(text_of(pre));
    for (unsigned byte = 0; byte < 256; byte++) {
        char character[BYTELEVEL_CHARACTER_BYTES_MAX];
        size_t length = bytelevel_encode((unsigned char)byte, character);
        add_token(vocabulary, (struct text){character, length}, TOKEN_NORMAL);
    }
    for (; specials && specials->string; specials++)
        add_token(vocabulary, text_of(specials->string), specials->kind);
    for (; merges && *merges; merges++)
        add_merge(vocabulary, *merges);
    return vocabulary;
}

static void free_strings(struct text *strings, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)strings[i].bytes); /* copy_of() made them */
}

void sample_vocabulary_free(struct vocabulary *vocabulary)
{
    free_strings(vocabulary->tokens, vocabulary->token_count);
    free_strings(vocabulary->merges, vocabulary->merge_count);
    vocabulary_free(vocabulary);
    free(vocabulary);
}

int32_t sample_vocabulary_id(const struct vocabulary *vocabulary, const char *token)
{
    int32_t id = find_token(vocabulary, text_of(token));
    if (id == VOCABULARY_NONE)
        abort();
    return id;
}
