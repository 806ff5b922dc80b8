/* vocabulary.c - see vocabulary.h.  Everything that a file claims about its tokens is checked here,
 * once; the tokenizer then indexes without asking again.
 *
 * Source: the GGUF specification, keys tokenizer.ggml.*; the defaults are those of llama.cpp, whose
 * converters leave out keys that have their default value. */
#include "text/vocabulary.h"

#include "base/memory.h"
#include "load/gguf.h"
#include "text/pretokenizer.h"

#include <errno.h>
#include <stdlib.h>

#define TOKENS_KEY "tokenizer.ggml.tokens"
#define KINDS_KEY  "tokenizer.ggml.token_type"
#define MERGES_KEY "tokenizer.ggml.merges"

enum { GPT2_DEFAULT_ID = 11 };           /* both bos and eos */
#define ID_ABSENT_ON_PURPOSE 0xFFFFFFFFu /* some converters write -1 for "none" */

bool vocabulary_ends_turn(struct text token)
{
    static const char *const ends[] = {
        "<|im_end|>", "<|endoftext|>", "<|end_of_text|>",    "<|eot_id|>", "<|eom_id|>",
        "<|end|>",    "<|return|>",    "<|call|>",           "<eos>",      "</s>",
        "<EOT>",      "<end_of_turn>", "<end_of_utterance>",
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (text_is(token, ends[i]))
            return true;
    return false;
}

static int read_strings(const struct gguf_value *value, struct text **out, int32_t *count,
                        int32_t count_max, struct error *error)
{
    if (value->count > (uint64_t)count_max)
        return error_set(error, ENOEXEC, "%.*s has %llu items, more than %d",
                         TEXT_ARGUMENTS(value->key), (unsigned long long)value->count, count_max);
    struct text *strings = memory_try(value->count, sizeof *strings);
    if (!strings)
        return error_set(error, ENOMEM, "no memory for %.*s", TEXT_ARGUMENTS(value->key));
    const uint8_t *at = value->data;
    for (uint64_t i = 0; i < value->count; i++)
        strings[i] = gguf_next_string(&at);
    *out = strings;
    *count = (int32_t)value->count;
    return 0;
}

static int read_tokens(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    const struct gguf_value *value;
    int status = gguf_get_array(gguf, TOKENS_KEY, GGUF_STRING, &value, error);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "key %s is missing", TOKENS_KEY);
    if (status)
        return status;
    status = read_strings(value, &out->tokens, &out->token_count, VOCABULARY_TOKENS_MAX, error);
    if (status)
        return status;
    if (out->token_count == 0)
        return error_set(error, ENOEXEC, "%s is empty", TOKENS_KEY);
    for (int32_t id = 0; id < out->token_count; id++)
        if (out->tokens[id].length > VOCABULARY_TOKEN_BYTES_MAX)
            return error_set(error, ENOEXEC, "%s: token %d has %zu bytes, more than %d", TOKENS_KEY,
                             id, out->tokens[id].length, VOCABULARY_TOKEN_BYTES_MAX);
    return 0;
}

/* A file without kinds means NORMAL; its turn markers must be special all the same.  In a file with
 * kinds a NORMAL "</s>" is just text (Qwen has one), a USER_DEFINED one is a converter's mistake.
 */
static enum token_kind settle_kind(struct text token, int32_t kind, bool has_kinds)
{
    if ((kind == TOKEN_USER_DEFINED || !has_kinds) &&
        (vocabulary_ends_turn(token) || text_is(token, "<|im_start|>")))
        return TOKEN_CONTROL;
    return kind == 0 ? TOKEN_NORMAL : (enum token_kind)kind; /* 0: "undefined" */
}

static int read_kinds(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    const struct gguf_value *value = NULL;
    int status = gguf_get_array(gguf, KINDS_KEY, GGUF_INT32, &value, error);
    if (status && status != -ENOENT)
        return status;
    if (value && value->count != (uint64_t)out->token_count)
        return error_set(error, ENOEXEC, "%s has %llu items for %d tokens", KINDS_KEY,
                         (unsigned long long)value->count, out->token_count);
    out->kinds = memory_try((size_t)out->token_count, sizeof *out->kinds);
    if (!out->kinds)
        return error_set(error, ENOMEM, "no memory for %s", KINDS_KEY);
    for (int32_t id = 0; id < out->token_count; id++) {
        int32_t kind = value ? gguf_item_i32(value, (uint64_t)id) : TOKEN_NORMAL;
        if (kind < 0 || kind > TOKEN_BYTE)
            return error_set(error, ENOEXEC, "%s: token %d has type %d", KINDS_KEY, id, kind);
        out->kinds[id] = (uint8_t)settle_kind(out->tokens[id], kind, value != NULL);
    }
    return 0;
}

static int read_merges(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    const struct gguf_value *value;
    int status = gguf_get_array(gguf, MERGES_KEY, GGUF_STRING, &value, error);
    if (status == -ENOENT)
        return out->model == VOCABULARY_BPE
                   ? error_set(error, ENOEXEC, "key %s is missing", MERGES_KEY)
                   : 0;
    if (status)
        return status;
    return read_strings(value, &out->merges, &out->merge_count, VOCABULARY_MERGES_MAX, error);
}

/* An id that the file gives must be in range; a default that is not means "none". */
static int read_id(const struct gguf *gguf, const char *key, int32_t default_id, int32_t count,
                   int32_t *out, struct error *error)
{
    uint32_t id;
    int status = gguf_get_u32(gguf, key, &id, error);
    *out = VOCABULARY_NONE;
    if (status == -ENOENT) {
        *out = default_id < count ? default_id : VOCABULARY_NONE;
        return 0;
    }
    if (status || id == ID_ABSENT_ON_PURPOSE)
        return status;
    if (id >= (uint32_t)count)
        return error_set(error, ENOEXEC, "%s is %u, but there are %d tokens", key, id, count);
    *out = (int32_t)id;
    return 0;
}

static int read_ids(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    int32_t default_id = out->model == VOCABULARY_BPE ? GPT2_DEFAULT_ID : VOCABULARY_NONE;
    const struct {
        const char *key;
        int32_t default_id;
        int32_t *id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", default_id, &out->bos},
        {"tokenizer.ggml.eos_token_id", default_id, &out->eos},
        {"tokenizer.ggml.eot_token_id", VOCABULARY_NONE, &out->eot},
        {"tokenizer.ggml.eom_token_id", VOCABULARY_NONE, &out->eom},
        {"tokenizer.ggml.unknown_token_id", VOCABULARY_NONE, &out->unknown},
        {"tokenizer.ggml.padding_token_id", VOCABULARY_NONE, &out->padding},
        {"tokenizer.ggml.seperator_token_id", VOCABULARY_NONE, &out->separator}, /* (sic) */
    };
    int status = 0;
    for (size_t i = 0; i < sizeof ids / sizeof *ids && !status; i++)
        status = read_id(gguf, ids[i].key, ids[i].default_id, out->token_count, ids[i].id, error);
    return status;
}

static int read_model(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    struct text model;
    int status = gguf_get_string(gguf, "tokenizer.ggml.model", &model, error);
    if (status == -ENOENT)
        return error_set(error, ENOEXEC, "key tokenizer.ggml.model is missing");
    if (status)
        return status;
    if (!text_is(model, "gpt2"))
        return error_set(error, ENOEXEC, "unknown tokenizer model \"%.*s\"", TEXT_ARGUMENTS(model));
    out->model = VOCABULARY_BPE;
    return 0;
}

/* Absent keys leave the empty text and the pre-tokenizer's flag. */
static int read_settings(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    int status = gguf_get_string(gguf, "tokenizer.ggml.pre", &out->pre, error);
    if (!status || status == -ENOENT)
        status = gguf_get_string(gguf, "tokenizer.chat_template", &out->chat_template, error);
    if (status && status != -ENOENT)
        return status;
    out->rule = pretokenizer_rule(out->pre);
    if (!out->rule)
        return error_set(error, ENOEXEC, "unknown pre-tokenizer \"%.*s\"",
                         TEXT_ARGUMENTS(out->pre));
    out->add_bos = out->rule->adds_bos;
    status = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &out->add_bos, error);
    return status == -ENOENT ? 0 : status;
}

int vocabulary_from_gguf(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    *out = (struct vocabulary){.suffix = VOCABULARY_NONE};
    int status = read_model(gguf, out, error);
    if (!status)
        status = read_settings(gguf, out, error);
    if (!status)
        status = read_tokens(gguf, out, error);
    if (!status)
        status = read_kinds(gguf, out, error);
    if (!status)
        status = read_merges(gguf, out, error);
    if (!status)
        status = read_ids(gguf, out, error);
    if (status)
        vocabulary_free(out);
    return status;
}

void vocabulary_free(struct vocabulary *vocabulary)
{
    free(vocabulary->tokens);
    free(vocabulary->kinds);
    free(vocabulary->merges);
    free(vocabulary->flags);
    free(vocabulary->scores);
    free(vocabulary->steps);
    free(vocabulary->memory);
    *vocabulary = (struct vocabulary){0};
}
