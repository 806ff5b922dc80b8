/* hf_pretokenizer.c - the pre_tokenizer of a tokenizer.json as a rule of pretokenizer.h.
 *
 * An expression that a known model has becomes that model's own, which is known to be linear; any
 * other makes the rule foreign, so that it runs under a budget.
 *
 * Source: the components of `tokenizers` 0.22, pre_tokenizers/. */
#include "text/hf_reading.h"

#include <ctype.h>
#include <errno.h>

/* Inside [...]: White_Space, the word characters and the punctuation of Rust. */
#define SPACE                                                                                      \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORD        "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define PUNCTUATION "!-/:-@\\[-`{-~\\p{P}"

#define GPT2_REGEX                                                                                 \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

#define LLAMA3_REGEX(digits)                                                                       \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits                     \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define DEEPSEEK3_REGEX                                                                            \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}"      \
    "\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

/* Expressions of models, and which stage of which rule is the same. */
static const struct {
    const char *regex, *pre;
    size_t stage;
} known[] = {
    {GPT2_REGEX, "gpt-2", 0},
    {LLAMA3_REGEX("{1,3}"), "llama-bpe", 0},
    {LLAMA3_REGEX(""), "qwen2", 0},
    {"\\p{N}", "smollm", 0},
    {"\\p{N}{1,3}", "deepseek-v3", 0},
    {"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "deepseek-v3", 1},
    {DEEPSEEK3_REGEX, "deepseek-v3", 2},
    {" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+", "bloom", 0},
};

static int add(struct hf_reading *reading, struct pretokenizer_stage stage)
{
    if (reading->stage_count == PRETOKENIZER_STAGES_MAX)
        return hf_refuse(reading, "more than %d stages of pre-tokenization",
                         PRETOKENIZER_STAGES_MAX);
    reading->rule->stages[reading->stage_count++] = stage;
    return 0;
}

static int add_pattern(struct hf_reading *reading, const char *pattern,
                       enum pretokenizer_match match)
{
    return add(reading, (struct pretokenizer_stage){.pattern = pattern, .match = match});
}

/* What a component says becomes of its matches. */
static int read_behavior(struct hf_reading *reading, struct text name,
                         enum pretokenizer_match *match)
{
    static const struct {
        const char *name;
        enum pretokenizer_match match;
    } behaviors[] = {
        {"Isolated", PRETOKENIZER_ISOLATE},
        {"Contiguous", PRETOKENIZER_CONTIGUOUS},
        {"Removed", PRETOKENIZER_REMOVE},
        {"MergedWithPrevious", PRETOKENIZER_MERGE_PREVIOUS},
        {"MergedWithNext", PRETOKENIZER_MERGE_NEXT},
    };
    for (size_t i = 0; i < sizeof behaviors / sizeof *behaviors; i++)
        if (text_is(name, behaviors[i].name)) {
            *match = behaviors[i].match;
            return 0;
        }
    return hf_refuse(reading, "unknown behavior \"%.*s\"", TEXT_ARGUMENTS(name));
}

/* The expression of a model that the engine knows, or NULL. */
static const char *find_known(struct text regex)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (text_is(regex, known[i].regex))
            return pretokenizer_rule(text_of(known[i].pre))->stages[known[i].stage].pattern;
    return NULL;
}

/* A copy that ends with a zero.  Of a plain string each punctuation mark is escaped. */
static int keep_pattern(struct hf_reading *reading, struct text pattern, bool is_regex,
                        const char **out)
{
    char *kept = hf_take(reading, 2 * pattern.length + 1), *end = kept;
    if (!kept)
        return error_set(reading->error, ENOMEM, "no memory for the pre-tokenizer");
    if (memchr(pattern.bytes, 0, pattern.length))
        return hf_refuse(reading, "a pattern of a pre_tokenizer has a zero byte");
    for (size_t i = 0; i < pattern.length; i++) {
        if (!is_regex && ispunct((unsigned char)pattern.bytes[i]))
            *end++ = '\\';
        *end++ = pattern.bytes[i];
    }
    *end = 0;
    *out = kept;
    return 0;
}

static int read_split(struct hf_reading *reading, const json_t *component)
{
    const json_t *pattern = json_object_get(component, "pattern");
    struct text regex = hf_string(pattern, "Regex"), string = hf_string(pattern, "String");
    struct pretokenizer_stage stage = {.inverted = hf_is_true(component, "invert", false)};
    if (regex.length == 0 && string.length == 0)
        return hf_refuse(reading, "pre_tokenizer \"Split\" has no pattern");
    int status = read_behavior(reading, hf_string(component, "behavior"), &stage.match);
    if (status)
        return status;
    stage.pattern = find_known(regex);
    if (!stage.pattern) {
        reading->rule->foreign |= regex.length > 0;
        status =
            keep_pattern(reading, regex.length ? regex : string, regex.length > 0, &stage.pattern);
    }
    return status ? status : add(reading, stage);
}

/* add_prefix_space is for each piece that reaches this component; the rule has it for a text. */
static int read_byte_level(struct hf_reading *reading, const json_t *component)
{
    bool adds_space = hf_is_true(component, "add_prefix_space", true);
    if (adds_space && reading->stage_count)
        return hf_refuse(reading, "add_prefix_space after another pre_tokenizer");
    reading->rule->adds_space = adds_space;
    reading->is_byte_level = true;
    if (!hf_is_true(component, "use_regex", true))
        return 0;
    return add_pattern(reading, find_known(text_of(GPT2_REGEX)), PRETOKENIZER_ISOLATE);
}

static int read_digits(struct hf_reading *reading, const json_t *component)
{
    bool individual = hf_is_true(component, "individual_digits", false);
    return add_pattern(reading, individual ? "\\p{N}" : "\\p{N}+", PRETOKENIZER_ISOLATE);
}

static int read_punctuation(struct hf_reading *reading, const json_t *component)
{
    enum pretokenizer_match match = PRETOKENIZER_ISOLATE;
    struct text behavior = hf_string(component, "behavior");
    int status = behavior.length ? read_behavior(reading, behavior, &match) : 0;
    return status ? status : add_pattern(reading, "[" PUNCTUATION "]", match);
}

static int read_whitespace(struct hf_reading *reading, const json_t *component)
{
    (void)component;
    return add(reading, (struct pretokenizer_stage){
                            .pattern = "[" WORD "]+|[^" WORD SPACE "]+",
                            .match = PRETOKENIZER_REMOVE,
                            .inverted = true,
                        });
}

static int read_whitespace_split(struct hf_reading *reading, const json_t *component)
{
    (void)component;
    reading->is_words = true;
    return add_pattern(reading, "[" SPACE "]+", PRETOKENIZER_REMOVE);
}

static int read_bert(struct hf_reading *reading, const json_t *component)
{
    reading->is_bert = true;
    int status = read_whitespace_split(reading, component);
    return status ? status : add_pattern(reading, "[" PUNCTUATION "]", PRETOKENIZER_ISOLATE);
}

/* Words, of which each begins with U+2581: as steps, runs of spaces become one. */
static int join_words(struct hf_reading *reading)
{
    reading->stage_count = 0;
    reading->rule->stages[0] = (struct pretokenizer_stage){0};
    int status = hf_add_step(reading, (struct normalizer_step){.kind = NORMALIZE_SPACES});
    return status
               ? status
               : hf_add_step(reading, (struct normalizer_step){.kind = NORMALIZE_COLLAPSE_SPACES});
}

/* Spaces become U+2581, one stands before a text that does not begin with it, and each begins a
 * piece.  The first two are steps here, those of a normalizer's kind. */
static int read_metaspace(struct hf_reading *reading, const json_t *component)
{
    static const struct text space = {" ", 1}, mark = {HF_SPACE_MARK, sizeof HF_SPACE_MARK - 1};
    struct text replacement = hf_string(component, "replacement");
    struct text scheme = hf_string(component, "prepend_scheme");
    bool prepends = scheme.length ? !text_is(scheme, "never")
                                  : hf_is_true(component, "add_prefix_space", true); /* older */
    bool is_first = text_is(scheme, "first");
    bool after_words = reading->is_words && reading->stage_count == 1 && prepends && !is_first;
    if (replacement.length && !text_equals(replacement, mark))
        return hf_refuse(reading, "pre_tokenizer \"Metaspace\" with \"%.*s\"",
                         TEXT_ARGUMENTS(replacement));
    if (reading->stage_count && !after_words)
        return hf_refuse(reading, "pre_tokenizer \"Metaspace\" after another");
    reading->is_metaspace = true;
    reading->out->add_space_prefix = prepends;
    reading->out->prefix_at_start = is_first;
    int status = after_words ? join_words(reading) : 0;
    if (!status)
        status = hf_add_step(reading, (struct normalizer_step){
                                          .kind = NORMALIZE_REPLACE, .from = space, .to = mark});
    if (!status && prepends)
        status = hf_add_step(reading,
                             (struct normalizer_step){.kind = NORMALIZE_PREPEND_ONCE, .to = mark});
    if (status || !(after_words || hf_is_true(component, "split", true)))
        return status;
    return add_pattern(reading, HF_SPACE_MARK, PRETOKENIZER_MERGE_NEXT);
}

static int read_component(struct hf_reading *reading, const json_t *component)
{
    static const struct {
        const char *type;
        int (*read)(struct hf_reading *reading, const json_t *component);
    } components[] = {
        {"ByteLevel", read_byte_level},  {"Split", read_split},
        {"Digits", read_digits},         {"Whitespace", read_whitespace},
        {"BertPreTokenizer", read_bert}, {"WhitespaceSplit", read_whitespace_split},
        {"Metaspace", read_metaspace},   {"Punctuation", read_punctuation},
    };
    if (reading->is_byte_level) /* it would have to match bytes in GPT-2's alphabet */
        return hf_refuse(reading, "a pre_tokenizer after \"ByteLevel\"");
    struct text type = hf_string(component, "type");
    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (text_is(type, components[i].type))
            return components[i].read(reading, component);
    return hf_unknown(reading, "pre_tokenizer", component);
}

int hf_pretokenizer_read(struct hf_reading *reading)
{
    struct vocabulary *out = reading->out;
    size_t normalizer_steps = out->step_count;
    int status = hf_each_component(reading, json_object_get(reading->root, "pre_tokenizer"),
                                   "pretokenizers", read_component);
    out->piece_step_count = out->step_count - normalizer_steps;
    out->step_count = normalizer_steps;
    return status;
}
