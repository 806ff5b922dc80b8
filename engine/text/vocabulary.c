/* vocabulary.c - see vocabulary.h.  Everything that a file claims about its tokens is checked here,
 * once; the tokenizer then indexes without asking again.
 *
 * Source: the GGUF specification, keys tokenizer.ggml.*; the defaults are those of llama.cpp, whose
 * converters leave out keys that have their default value. */
#include "text/vocabulary.h"

#include "base/bytes.h"
#include "base/memory.h"
#include "load/gguf.h"
#include "text/index.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/seal.h"
#include "text/words.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MODEL_KEY    "tokenizer.ggml.model"
#define TOKENS_KEY   "tokenizer.ggml.tokens"
#define KINDS_KEY    "tokenizer.ggml.token_type"
#define SCORES_KEY   "tokenizer.ggml.scores"
#define MERGES_KEY   "tokenizer.ggml.merges"
#define CHARSMAP_KEY "tokenizer.ggml.precompiled_charsmap"

#define ID_ABSENT_ON_PURPOSE 0xFFFFFFFFu /* some converters write -1 for "none" */

/* What a file leaves out.  The ids count only if there are so many tokens. */
struct defaults {
    const char *name; /* tokenizer.ggml.model */
    const char *pre;  /* the pre-tokenizer whatever the file says, or NULL */
    enum vocabulary_model model;
    int32_t bos, eos, unknown, separator, padding;
    bool add_bos, add_eos, add_space_prefix;
};

enum { NONE = VOCABULARY_NONE };

static const struct defaults models[] = {
    {"gpt2", NULL, VOCABULARY_BPE, 11, 11, NONE, NONE, NONE, false, false, false},
    {"gemma4", "gemma4", VOCABULARY_BPE, NONE, NONE, NONE, NONE, NONE, false, false, false},
    {"llama", NULL, VOCABULARY_SPM, 1, 2, 0, NONE, NONE, true, false, true},
    {"bert", NULL, VOCABULARY_WORDPIECE, 101, NONE, 100, 102, 0, true, false, false},
    {"t5", NULL, VOCABULARY_UNIGRAM, NONE, 1, 2, NONE, 0, false, true, false},
};

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

/* An array of strings; *out is NULL where the key is absent. */
static int find_strings(const struct gguf *gguf, const char *key, int32_t count_max,
                        const struct gguf_value **out, struct error *error)
{
    *out = NULL;
    int status = gguf_get_array(gguf, key, GGUF_STRING, out, error);
    if (status)
        return status == -ENOENT ? 0 : status;
    if ((*out)->count > (uint64_t)count_max)
        return error_set(error, ENOEXEC, "%s has %llu items, more than %d", key,
                         (unsigned long long)(*out)->count, count_max);
    return 0;
}

/* Where the tokens and the merges are, and how many. */
static int find_tokens(const struct gguf *gguf, struct vocabulary *out,
                       const struct gguf_value **tokens, const struct gguf_value **merges,
                       struct error *error)
{
    int status = find_strings(gguf, TOKENS_KEY, VOCABULARY_TOKENS_MAX, tokens, error);
    if (!status)
        status = find_strings(gguf, MERGES_KEY, VOCABULARY_MERGES_MAX, merges, error);
    if (status)
        return status;
    if (!*tokens)
        return error_set(error, ENOEXEC, "key %s is missing", TOKENS_KEY);
    if ((*tokens)->count == 0)
        return error_set(error, ENOEXEC, "%s is empty", TOKENS_KEY);
    if (!*merges && out->model == VOCABULARY_BPE)
        return error_set(error, ENOEXEC, "key %s is missing", MERGES_KEY);
    out->token_count = (int32_t)(*tokens)->count;
    out->merge_count = *merges ? (int32_t)(*merges)->count : 0;
    out->packed = (struct packed_strings){(*tokens)->data, (*tokens)->bytes, NULL};
    return 0;
}

static struct text *read_strings(const struct gguf_value *value)
{
    struct text *strings = memory_try_huge(value->count, sizeof *strings);
    const uint8_t *at = value->data;
    for (uint64_t i = 0; strings && i < value->count; i++)
        strings[i] = gguf_next_string(&at);
    return strings;
}

static int read_tokens(const struct gguf_value *tokens, const struct gguf_value *merges,
                       struct vocabulary *out, struct error *error)
{
    out->tokens = read_strings(tokens);
    out->merges = merges ? read_strings(merges) : NULL;
    if (!out->tokens || (merges && !out->merges))
        return error_set(error, ENOMEM, "no memory for %d tokens and %d merges", out->token_count,
                         out->merge_count);
    for (int32_t id = 0; id < out->token_count; id++)
        if (out->tokens[id].length > VOCABULARY_TOKEN_BYTES_MAX)
            return error_set(error, ENOEXEC, "%s: token %d has %zu bytes, more than %d", TOKENS_KEY,
                             id, out->tokens[id].length, VOCABULARY_TOKEN_BYTES_MAX);
    return 0;
}

struct text vocabulary_packed_token(const struct vocabulary *vocabulary, int32_t id)
{
    const struct packed_strings *packed = &vocabulary->packed;
    const uint64_t at = packed->offsets[id], next = packed->offsets[id + 1];
    uint64_t length;
    if (at > next || next > packed->bytes || next - at < sizeof length)
        return (struct text){"", 0};
    length = bytes_u64(packed->data + at);
    if (length != next - at - sizeof length || length > vocabulary->token_bytes_max)
        return (struct text){"", 0};
    return (struct text){(const char *)packed->data + at + sizeof length, length};
}

/* Is this "<|...|>", or the same with the full-width bars of DeepSeek? */
static bool looks_like_marker(struct text token)
{
    static const struct text bars[] = {{"|", 1}, {"\xEF\xBD\x9C", 3}};
    for (size_t i = 0; i < sizeof bars / sizeof *bars; i++) {
        struct text bar = bars[i];
        if (token.length > 2 * (bar.length + 1) && token.bytes[0] == '<' &&
            token.bytes[token.length - 1] == '>' &&
            memcmp(token.bytes + 1, bar.bytes, bar.length) == 0 &&
            memcmp(token.bytes + token.length - 1 - bar.length, bar.bytes, bar.length) == 0)
            return true;
    }
    return false;
}

/* A file without kinds means NORMAL; its turn markers must be special all the same.  In a file with
 * kinds a NORMAL "</s>" is just text (Qwen has one), a USER_DEFINED one is a converter's mistake;
 * and so is a marker that a folder calls not special (DeepSeek's <|User|>): converters to GGUF make
 * them CONTROL too.
 */
enum token_kind vocabulary_settle_kind(struct text token, int32_t kind, bool has_kinds)
{
    if (kind == TOKEN_USER_DEFINED && looks_like_marker(token))
        return TOKEN_CONTROL;
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
        out->kinds[id] = (uint8_t)vocabulary_settle_kind(out->tokens[id], kind, value != NULL);
    }
    return 0;
}

static bool needs_scores(const struct vocabulary *vocabulary)
{
    return vocabulary->model == VOCABULARY_SPM || vocabulary->model == VOCABULARY_UNIGRAM;
}

/* Floats, or the integers of some converters; what is not finite has no order. */
static int read_scores(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    if (!needs_scores(out))
        return 0;
    const struct gguf_value *value = gguf_find(gguf, SCORES_KEY);
    if (!value)
        return error_set(error, ENOEXEC, "key %s is missing", SCORES_KEY);
    bool whole = value->item_type == GGUF_INT32;
    if (value->type != GGUF_ARRAY || (!whole && value->item_type != GGUF_FLOAT32))
        return error_set(error, ENOEXEC, "%s is not an array of f32 or i32", SCORES_KEY);
    if (value->count != (uint64_t)out->token_count)
        return error_set(error, ENOEXEC, "%s has %llu items for %d tokens", SCORES_KEY,
                         (unsigned long long)value->count, out->token_count);
    out->scores = memory_try((size_t)out->token_count, sizeof *out->scores);
    if (!out->scores)
        return error_set(error, ENOMEM, "no memory for %s", SCORES_KEY);
    for (int32_t id = 0; id < out->token_count; id++) {
        out->scores[id] =
            whole ? (float)gguf_item_i32(value, (uint64_t)id) : gguf_item_f32(value, (uint64_t)id);
        if (!isfinite(out->scores[id]))
            return error_set(error, ENOEXEC, "%s: the score of token %d is not finite", SCORES_KEY,
                             id);
    }
    return 0;
}

/* An id that the file gives must be in range; a default that is not means "none".  *id is the
 * default at first. */
static int read_id(const struct gguf *gguf, const char *key, int32_t count, int32_t *id,
                   struct error *error)
{
    uint32_t given;
    int status = gguf_get_u32(gguf, key, &given, error);
    if (status == -ENOENT) {
        *id = *id < count ? *id : VOCABULARY_NONE;
        return 0;
    }
    *id = VOCABULARY_NONE;
    if (status || given == ID_ABSENT_ON_PURPOSE)
        return status;
    if (given >= (uint32_t)count)
        return error_set(error, ENOEXEC, "%s is %u, but there are %d tokens", key, given, count);
    *id = (int32_t)given;
    return 0;
}

static int read_ids(const struct gguf *gguf, const struct defaults *defaults,
                    struct vocabulary *out, struct error *error)
{
    out->bos = defaults->bos;
    out->eos = defaults->eos;
    out->unknown = defaults->unknown;
    out->padding = defaults->padding;
    out->separator = defaults->separator;
    out->eot = out->eom = VOCABULARY_NONE;
    const struct {
        const char *key;
        int32_t *id;
    } ids[] = {
        {"tokenizer.ggml.cls_token_id", &out->bos}, /* BERT's name of it */
        {"tokenizer.ggml.bos_token_id", &out->bos},
        {"tokenizer.ggml.eos_token_id", &out->eos},
        {"tokenizer.ggml.eot_token_id", &out->eot},
        {"tokenizer.ggml.eom_token_id", &out->eom},
        {"tokenizer.ggml.unknown_token_id", &out->unknown},
        {"tokenizer.ggml.padding_token_id", &out->padding},
        {"tokenizer.ggml.seperator_token_id", &out->separator}, /* (sic) */
    };
    int status = 0;
    size_t first = out->model == VOCABULARY_WORDPIECE ? 0 : 1;
    for (size_t i = first; i < sizeof ids / sizeof *ids && !status; i++)
        status = read_id(gguf, ids[i].key, out->token_count, ids[i].id, error);
    return status;
}

/* What a text to be embedded ends with.  BERT's always has its separator. */
static int read_suffix(const struct gguf *gguf, const struct defaults *defaults,
                       struct vocabulary *out, struct error *error)
{
    bool add_eos = defaults->add_eos, add_separator = out->model == VOCABULARY_WORDPIECE;
    int status = gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", &add_eos, error);
    if (!add_separator && (!status || status == -ENOENT))
        status = gguf_get_bool(gguf, "tokenizer.ggml.add_sep_token", &add_separator, error);
    out->suffix = add_separator ? out->separator : add_eos ? out->eos : VOCABULARY_NONE;
    return status == -ENOENT ? 0 : status;
}

/* The row of the file's tokenizer model, or NULL with the error set. */
static const struct defaults *find_model(const struct gguf *gguf, struct error *error)
{
    struct text model;
    int status = gguf_get_string(gguf, MODEL_KEY, &model, error);
    if (status) {
        if (status == -ENOENT)
            error_set(error, ENOEXEC, "key %s is missing", MODEL_KEY);
        return NULL;
    }
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (text_is(model, models[i].name))
            return &models[i];
    error_set(error, ENOEXEC, "unknown tokenizer model \"%.*s\"", TEXT_ARGUMENTS(model));
    return NULL;
}

/* Absent keys leave the empty text and the default of the model, or of the pre-tokenizer. */
static int read_settings(const struct gguf *gguf, const struct defaults *defaults,
                         struct vocabulary *out, struct error *error)
{
    int status = gguf_get_string(gguf, "tokenizer.ggml.pre", &out->pre, error);
    if (!status || status == -ENOENT)
        status = gguf_get_string(gguf, "tokenizer.chat_template", &out->chat_template, error);
    if (status && status != -ENOENT)
        return status;
    if (defaults->pre)
        out->pre = text_of(defaults->pre);
    out->add_bos = defaults->add_bos;
    if (out->model == VOCABULARY_BPE) {
        out->rule = pretokenizer_rule(out->pre);
        if (!out->rule)
            return error_set(error, ENOEXEC, "unknown pre-tokenizer \"%.*s\"",
                             TEXT_ARGUMENTS(out->pre));
        out->add_bos = out->rule->adds_bos;
    }
    out->add_space_prefix = defaults->add_space_prefix;
    if (needs_scores(out))
        status =
            gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", &out->add_space_prefix, error);
    if (out->model != VOCABULARY_WORDPIECE && (!status || status == -ENOENT))
        status = gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", &out->add_bos, error);
    return status == -ENOENT ? 0 : status;
}

/* --- what happens to a text first ------------------------------------------------------------- */

static void add_step(struct vocabulary *out, enum normalizer_kind kind, struct text from,
                     struct text to)
{
    out->steps[out->step_count++] = (struct normalizer_step){kind, from, to};
}

/* The order is llama.cpp's, where white space counts before control characters. */
static int read_bert_steps(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    static const struct text none = {"", 0};
    bool lowercase = true, strip_accents = true;
    int status = gguf_get_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &lowercase, error);
    if (!status || status == -ENOENT)
        status =
            gguf_get_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &strip_accents, error);
    if (status && status != -ENOENT)
        return status;
    add_step(out, NORMALIZE_SPACES, none, none);
    if (strip_accents) {
        add_step(out, NORMALIZE_BASE_LETTERS, none, none);
        add_step(out, NORMALIZE_STRIP_MARKS, none, none);
    }
    add_step(out, NORMALIZE_CLEAN, none, none);
    add_step(out, NORMALIZE_SPACE_CJK, none, none);
    if (lowercase)
        add_step(out, NORMALIZE_LOWERCASE, none, none);
    return 0;
}

static int read_charsmap(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    const struct gguf_value *value = gguf_find(gguf, CHARSMAP_KEY);
    if (!value)
        return 0;
    if (value->type != GGUF_ARRAY ||
        (value->item_type != GGUF_UINT8 && value->item_type != GGUF_INT8))
        return error_set(error, ENOEXEC, "%s is not an array of bytes", CHARSMAP_KEY);
    struct text map = {(const char *)value->data, value->count};
    add_step(out, NORMALIZE_CHARSMAP, map, (struct text){"", 0});
    return normalizer_check(out->steps, out->step_count, error);
}

static int read_t5_steps(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    static const struct text none = {"", 0}, space = {" ", 1};
    bool collapse = false;
    int status = gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &collapse, error);
    if (!status || status == -ENOENT)
        status = read_charsmap(gguf, out, error);
    if (status)
        return status;
    if (collapse)
        add_step(out, NORMALIZE_COLLAPSE_SPACES, none, none);
    if (collapse || out->add_space_prefix)
        add_step(out, NORMALIZE_PREPEND, none, space);
    add_step(out, NORMALIZE_REPLACE, space, (struct text){WORDS_SPACE, WORDS_SPACE_BYTES});
    return 0;
}

static int read_steps(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    if (out->model != VOCABULARY_WORDPIECE && out->model != VOCABULARY_UNIGRAM)
        return 0;
    out->steps = memory_try(NORMALIZER_STEPS_MAX, sizeof *out->steps);
    if (!out->steps)
        return error_set(error, ENOMEM, "no memory for the steps of a normalizer");
    return out->model == VOCABULARY_WORDPIECE ? read_bert_steps(gguf, out, error)
                                              : read_t5_steps(gguf, out, error);
}

/* The strings, their kinds and scores; of BPE none of them where a sealed index has what is made of
 * them, which must have been made from this file as it is now. */
static int read_strings_and_kinds(const struct gguf *gguf, struct vocabulary *out,
                                  struct error *error)
{
    const struct gguf_value *tokens, *merges;
    int status = find_tokens(gguf, out, &tokens, &merges, error);
    if (status)
        return status;
    if (out->model == VOCABULARY_BPE) {
        out->is_sealable = seal_name(gguf, tokens, out, out->seal);
        if (out->is_sealable && index_open_sealed(out))
            return 0;
    }
    status = read_tokens(tokens, merges, out, error);
    if (!status)
        status = read_kinds(gguf, out, error);
    return status ? status : read_scores(gguf, out, error);
}

int vocabulary_from_gguf(const struct gguf *gguf, struct vocabulary *out, struct error *error)
{
    *out = (struct vocabulary){.suffix = VOCABULARY_NONE};
    const struct defaults *defaults = find_model(gguf, error);
    if (!defaults)
        return -ENOEXEC;
    out->model = defaults->model;
    int status = read_settings(gguf, defaults, out, error);
    if (!status)
        status = read_strings_and_kinds(gguf, out, error);
    if (!status)
        status = read_ids(gguf, defaults, out, error);
    if (!status)
        status = read_suffix(gguf, defaults, out, error);
    if (!status)
        status = read_steps(gguf, out, error);
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
    index_close(vocabulary->index);
    *vocabulary = (struct vocabulary){0};
}

size_t vocabulary_bytes(const struct vocabulary *vocabulary)
{
    size_t count = (size_t)vocabulary->token_count, token_bytes = sizeof *vocabulary->kinds;
    token_bytes += vocabulary->flags ? sizeof *vocabulary->flags : 0;
    token_bytes += vocabulary->scores ? sizeof *vocabulary->scores : 0;
    return memory_huge_bytes(count, sizeof *vocabulary->tokens) + count * token_bytes +
           memory_huge_bytes((size_t)vocabulary->merge_count, sizeof *vocabulary->merges) +
           vocabulary->memory_bytes;
}
