/* hf_model.c - the model of a tokenizer.json: tokens, their scores, merges.
 *
 * The two lists are read with jsonscan.h, as they stand in the file.  A token's id is what the file
 * says; ids that it leaves out are empty UNUSED tokens.
 *
 * Source: the models of `tokenizers` 0.22: BPE, WordPiece, Unigram. */
#include "text/hf_reading.h"

#include "text/jsonscan.h"

#include <errno.h>
#include <math.h>

enum { WORD_CHARACTERS_MAX = 1 << 16, WORD_CHARACTERS_DEFAULT = 100 };

/* A list that the file does not have is empty. */
static struct jsonscan scan_of(struct text list)
{
    list = list.bytes ? list : text_of("");
    return (struct jsonscan){list.bytes, list.bytes + list.length};
}

/* A string at the end of the memory, which is taken. */
static int take_string(struct hf_reading *reading, struct jsonscan *scan, struct text *out)
{
    size_t left = (size_t)(scan->end - scan->at);
    if (left > reading->capacity - reading->used)
        return error_set(reading->error, ENOMEM, "tokenizer.json: no memory for its strings");
    char *bytes = reading->memory + reading->used;
    long length = jsonscan_string(scan, bytes);
    if (length < 0)
        return -ENOEXEC;
    reading->used += (size_t)length;
    *out = (struct text){bytes, (size_t)length};
    return 0;
}

static int set_token(struct hf_reading *reading, int64_t id, struct text token, float score)
{
    if (token.length > VOCABULARY_TOKEN_BYTES_MAX)
        return hf_refuse(reading, "token %lld has %zu bytes, more than %d", (long long)id,
                         token.length, VOCABULARY_TOKEN_BYTES_MAX);
    if (id < 0)
        return hf_refuse(reading, "token id %lld", (long long)id);
    int status = hf_reserve_tokens(reading, id + 1);
    if (status)
        return status;
    reading->out->tokens[id] = token;
    reading->out->kinds[id] = TOKEN_NORMAL;
    reading->out->scores[id] = score;
    return 0;
}

/* {"token": id, ...} */
static int read_vocab_object(struct hf_reading *reading)
{
    struct jsonscan scan = scan_of(reading->vocab);
    if (!jsonscan_take(&scan, '{'))
        return hf_refuse(reading, "model.vocab is not an object");
    if (jsonscan_take(&scan, '}'))
        return 0;
    do {
        struct text token;
        int64_t id;
        int status = take_string(reading, &scan, &token);
        if (!status && (!jsonscan_take(&scan, ':') || !jsonscan_integer(&scan, &id)))
            status = -ENOEXEC;
        if (status == -ENOEXEC)
            return hf_refuse(reading, "model.vocab is malformed after token %d",
                             reading->out->token_count);
        if (!status)
            status = set_token(reading, id, token, 0);
        if (status)
            return status;
    } while (jsonscan_take(&scan, ','));
    return jsonscan_take(&scan, '}') ? 0 : hf_refuse(reading, "model.vocab is malformed");
}

/* [["piece", score], ...]; the id is the place. */
static int read_vocab_array(struct hf_reading *reading)
{
    struct jsonscan scan = scan_of(reading->vocab);
    if (!jsonscan_take(&scan, '['))
        return hf_refuse(reading, "model.vocab is not an array");
    if (jsonscan_take(&scan, ']'))
        return 0;
    do {
        struct text token;
        double score;
        int status = jsonscan_take(&scan, '[') ? take_string(reading, &scan, &token) : -ENOEXEC;
        if (!status && (!jsonscan_take(&scan, ',') || !jsonscan_number(&scan, &score) ||
                        !jsonscan_take(&scan, ']')))
            status = -ENOEXEC;
        if (status == -ENOEXEC)
            return hf_refuse(reading, "model.vocab is malformed at token %d",
                             reading->out->token_count);
        if (!status && !isfinite((float)score))
            return hf_refuse(reading, "the score of token %d is not finite",
                             reading->out->token_count);
        if (!status)
            status = set_token(reading, reading->out->token_count, token, (float)score);
        if (status)
            return status;
    } while (jsonscan_take(&scan, ','));
    return jsonscan_take(&scan, ']') ? 0 : hf_refuse(reading, "model.vocab is malformed");
}

/* "left right" or ["left", "right"], as "left right". */
static int read_merge(struct hf_reading *reading, struct jsonscan *scan, struct text *merge)
{
    struct text left, right;
    char *space;
    if (!jsonscan_take(scan, '['))
        return take_string(reading, scan, merge);
    int status = take_string(reading, scan, &left);
    if (status)
        return status;
    if (!jsonscan_take(scan, ',') || !(space = hf_take(reading, 1)))
        return -ENOEXEC;
    *space = ' ';
    status = take_string(reading, scan, &right);
    if (status)
        return status;
    *merge = (struct text){left.bytes, left.length + 1 + right.length};
    return jsonscan_take(scan, ']') ? 0 : -ENOEXEC;
}

/* Can the parts be told apart by the one space between them?  GPT-2's alphabet has no space, so a
 * merge of strings with one can never happen there. */
static bool is_plain_merge(struct text merge)
{
    const char *space = merge.length ? memchr(merge.bytes, ' ', merge.length) : NULL;
    size_t after = space ? (size_t)(merge.bytes + merge.length - space - 1) : 0;
    return space && space > merge.bytes && after > 0 && !memchr(space + 1, ' ', after);
}

static int add_merge(struct hf_reading *reading, size_t *capacity, struct text merge)
{
    struct vocabulary *out = reading->out;
    if (merge.length >= 8 && memcmp(merge.bytes, "#version", 8) == 0)
        return 0;
    if (!is_plain_merge(merge))
        return reading->is_byte_level ? 0
                                      : hf_refuse(reading, "merge \"%.*s\" has a space in a part",
                                                  TEXT_ARGUMENTS(merge));
    size_t needed = (size_t)out->merge_count + 1;
    size_t wanted = needed > *capacity && needed < 1024 ? 1024 : needed;
    int status = memory_grow((void **)&out->merges, capacity, wanted, sizeof *out->merges,
                             VOCABULARY_MERGES_MAX);
    if (status == -EMSGSIZE)
        return hf_refuse(reading, "more than %d merges", VOCABULARY_MERGES_MAX);
    if (status)
        return error_set(reading->error, ENOMEM, "no memory for the merges");
    out->merges[out->merge_count++] = merge;
    return 0;
}

static int read_merges(struct hf_reading *reading)
{
    struct jsonscan scan = scan_of(reading->merges);
    size_t capacity = 0;
    if (!jsonscan_take(&scan, '['))
        return hf_refuse(reading, "model.merges is not an array");
    if (jsonscan_take(&scan, ']'))
        return 0;
    do {
        struct text merge;
        int status = read_merge(reading, &scan, &merge);
        if (status == -ENOEXEC)
            return hf_refuse(reading, "model.merges is malformed after merge %d",
                             reading->out->merge_count);
        if (!status)
            status = add_merge(reading, &capacity, merge);
        if (status)
            return status;
    } while (jsonscan_take(&scan, ','));
    return jsonscan_take(&scan, ']') ? 0 : hf_refuse(reading, "model.merges is malformed");
}

static int32_t find_token(const struct vocabulary *vocabulary, struct text token)
{
    for (int32_t id = 0; token.bytes && id < vocabulary->token_count; id++)
        if (vocabulary->kinds[id] != TOKEN_UNUSED && text_equals(vocabulary->tokens[id], token))
            return id;
    return VOCABULARY_NONE;
}

static void set_unknown(struct vocabulary *out, int32_t id)
{
    out->unknown = id;
    if (id != VOCABULARY_NONE)
        out->kinds[id] = TOKEN_UNKNOWN;
}

/* "<0x0A>" and its like stand for a byte where the model says that it falls back to them. */
static void mark_bytes(struct vocabulary *out)
{
    for (int32_t id = 0; id < out->token_count; id++) {
        struct text token = out->tokens[id];
        if (token.length == 6 && memcmp(token.bytes, "<0x", 3) == 0 && token.bytes[5] == '>' &&
            out->kinds[id] == TOKEN_NORMAL)
            out->kinds[id] = TOKEN_BYTE;
    }
}

/* Is there a step that makes each space U+2581? */
static bool replaces_spaces(const struct vocabulary *vocabulary)
{
    for (size_t i = 0; i < vocabulary->step_count + vocabulary->piece_step_count; i++)
        if (vocabulary->steps[i].kind == NORMALIZE_REPLACE &&
            text_is(vocabulary->steps[i].from, " ") &&
            text_is(vocabulary->steps[i].to, HF_SPACE_MARK))
            return true;
    return false;
}

static int read_bpe(struct hf_reading *reading, const json_t *model)
{
    struct vocabulary *out = reading->out;
    out->model = VOCABULARY_BPE;
    if (hf_string(model, "continuing_subword_prefix").length ||
        hf_string(model, "end_of_word_suffix").length)
        return hf_refuse(reading, "a BPE model that marks the parts of words");
    bool has_bytes = hf_is_true(model, "byte_fallback", false);
    if (!reading->is_byte_level && !has_bytes) /* it would need unknown tokens */
        return hf_refuse(reading, "a BPE model with neither \"ByteLevel\" nor byte_fallback");
    int status = read_vocab_object(reading);
    if (!status)
        status = read_merges(reading);
    if (status)
        return status;
    out->rule = reading->rule;
    reading->rule->ignores_merges = hf_is_true(model, "ignore_merges", false);
    reading->rule->characters = !reading->is_byte_level;
    reading->rule->marks_spaces = !reading->is_byte_level && replaces_spaces(out);
    for (size_t i = 0; i < out->step_count; i++)
        out->add_space_prefix |=
            out->steps[i].kind == NORMALIZE_PREPEND && text_is(out->steps[i].to, HF_SPACE_MARK);
    set_unknown(out, find_token(out, hf_string(model, "unk_token")));
    if (has_bytes)
        mark_bytes(out);
    return 0;
}

/* "##ing" continues a word, "ing" begins one; vocabulary.h marks the beginning instead. */
static int mark_words(struct hf_reading *reading, struct text prefix)
{
    struct vocabulary *out = reading->out;
    for (int32_t id = 0; id < out->token_count; id++) {
        struct text *token = &out->tokens[id];
        if (out->kinds[id] != TOKEN_NORMAL)
            continue;
        if (token->length > prefix.length &&
            memcmp(token->bytes, prefix.bytes, prefix.length) == 0) {
            token->bytes += prefix.length;
            token->length -= prefix.length;
            continue;
        }
        if (token->length > VOCABULARY_TOKEN_BYTES_MAX - strlen(HF_SPACE_MARK))
            return hf_refuse(reading, "token %d has %zu bytes", id, token->length);
        char *marked = hf_take(reading, token->length + strlen(HF_SPACE_MARK));
        if (!marked)
            return error_set(reading->error, ENOMEM, "no memory for %d tokens", out->token_count);
        memcpy(marked, HF_SPACE_MARK, strlen(HF_SPACE_MARK));
        memcpy(marked + strlen(HF_SPACE_MARK), token->bytes, token->length);
        *token = (struct text){marked, token->length + strlen(HF_SPACE_MARK)};
    }
    return 0;
}

static int read_wordpiece(struct hf_reading *reading, const json_t *model)
{
    struct vocabulary *out = reading->out;
    struct text prefix = hf_string(model, "continuing_subword_prefix");
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    out->model = VOCABULARY_WORDPIECE;
    if (!reading->is_bert || reading->stage_count > 2)
        return hf_refuse(reading, "a WordPiece model without \"BertPreTokenizer\" alone");
    json_int_t characters =
        json_is_integer(longest) ? json_integer_value(longest) : WORD_CHARACTERS_DEFAULT;
    if (characters < 1 || characters > WORD_CHARACTERS_MAX)
        return hf_refuse(reading, "max_input_chars_per_word is %lld", (long long)characters);
    out->word_characters_max = (int32_t)characters;
    if (!prefix.bytes)
        prefix = text_of("##");
    if (prefix.length == 0)
        return hf_refuse(reading, "continuing_subword_prefix is empty");
    int status = read_vocab_object(reading);
    if (status)
        return status;
    struct text unknown = hf_string(model, "unk_token");
    set_unknown(out, find_token(out, unknown.bytes ? unknown : text_of("[UNK]")));
    return mark_words(reading, prefix);
}

static int read_unigram(struct hf_reading *reading, const json_t *model)
{
    struct vocabulary *out = reading->out;
    const json_t *unknown = json_object_get(model, "unk_id");
    out->model = VOCABULARY_UNIGRAM;
    if (!reading->is_metaspace)
        return hf_refuse(reading, "a Unigram model without \"Metaspace\"");
    int status = read_vocab_array(reading);
    if (status)
        return status;
    if (json_is_integer(unknown)) {
        json_int_t id = json_integer_value(unknown);
        if (id < 0 || id >= out->token_count)
            return hf_refuse(reading, "unk_id is %lld, but there are %d tokens", (long long)id,
                             out->token_count);
        set_unknown(out, (int32_t)id);
    }
    if (hf_is_true(model, "byte_fallback", false))
        mark_bytes(out);
    if (reading->stage_count)
        out->rule = reading->rule;
    return 0;
}

int hf_model_read(struct hf_reading *reading)
{
    static const struct {
        const char *type;
        int (*read)(struct hf_reading *reading, const json_t *model);
    } models[] = {{"BPE", read_bpe}, {"WordPiece", read_wordpiece}, {"Unigram", read_unigram}};
    const json_t *model = json_object_get(reading->root, "model");
    struct text type = hf_string(model, "type");
    int status = -ENOEXEC;
    if (!json_is_object(model) || !reading->vocab.length)
        return hf_refuse(reading, "model has no vocab");
    if (!type.length) /* files before `tokenizers` 0.9 name none */
        type = reading->merges.length ? text_of("BPE") : text_of("WordPiece");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (text_is(type, models[i].type)) {
            status = models[i].read(reading, model);
            break;
        } else if (i + 1 == sizeof models / sizeof *models) {
            return hf_unknown(reading, "model", model);
        }
    if (!status && reading->out->token_count == 0)
        return hf_refuse(reading, "model.vocab is empty");
    return status;
}
