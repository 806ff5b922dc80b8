/* pretokenizer.c - see pretokenizer.h.
 *
 * The expressions are those that the models were trained with, spelled so that PCRE2 reads them
 * alike: white space is written out, because PCRE2's \s has U+180E, which Unicode took out of
 * White_Space.  Each stays linear: a run of white space is scanned at most once by each alternative
 * before one of them consumes it, no repeated group needs a stack, and match limits can therefore
 * be off.
 *
 * Source: tokenizer.json of the models named in the table; llama.cpp's names for them. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretokenizer.h"

#include "base/memory.h"
#include "text/utf8.h"

#include <errno.h>
#include <pcre2.h>
#include <stdint.h>
#include <stdlib.h>

/* Inside [...]: Unicode White_Space. */
#define SPACE                                                                                      \
    "\\t-\\r "                                                                                     \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

/* All white space of a run but the character before a word, which belongs to the word. */
#define SPACES_BEFORE_WORD "[" SPACE "]+(?![^" SPACE "])"

#define GPT2                                                                                       \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|" SPACES_BEFORE_WORD

#define LLAMA3(digits)                                                                             \
    "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"                                        \
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*"         \
    "|[" SPACE "]*[\\r\\n]+|" SPACES_BEFORE_WORD "|[" SPACE "]+"

static const struct pretokenizer_rule gpt2 = {.stages = {{GPT2}}};
static const struct pretokenizer_rule gpt2_digits = {.stages = {{"\\p{N}"}, {GPT2}}};
static const struct pretokenizer_rule unnamed = {
    .stages = {{"[\\p{P}$+<=>^~|]+"}, {GPT2}, {"\\p{N}+"}, {"[0-9][0-9][0-9]"}}};
static const struct pretokenizer_rule llama3 = {
    .stages = {{LLAMA3("{1,3}")}}, .ignores_merges = true, .adds_bos = true};
static const struct pretokenizer_rule llama3_merging = {.stages = {{LLAMA3("{1,3}")}}};
static const struct pretokenizer_rule qwen2 = {.stages = {{LLAMA3("")}}};

static const struct {
    const char *pre;
    const struct pretokenizer_rule *rule;
} names[] = {
    {"", &unnamed},
    {"default", &unnamed},
    {"gpt-2", &gpt2},
    {"phi-2", &gpt2},
    {"gigachat", &gpt2},
    {"a.x-4.0", &gpt2},
    {"mellum", &gpt2},
    {"exaone4", &gpt2},
    {"mpt", &gpt2},
    {"olmo", &gpt2},
    {"jais", &gpt2},
    {"trillion", &gpt2},
    {"granite-docling", &gpt2},
    {"smollm", &gpt2_digits},
    {"command-r", &gpt2_digits},
    {"starcoder", &gpt2_digits},
    {"refact", &gpt2_digits},
    {"codeshell", &gpt2_digits},
    {"exaone", &gpt2_digits},
    {"minerva-7b", &gpt2_digits},
    {"mellum2", &gpt2_digits},
    {"llama-bpe", &llama3},
    {"llama3", &llama3},
    {"llama-v3", &llama3},
    {"falcon3", &llama3},
    {"falcon-h1", &llama3},
    {"pixtral", &llama3},
    {"midm-2.0", &llama3},
    {"lfm2", &llama3},
    {"jina-v5-nano", &llama3},
    {"dbrx", &llama3_merging},
    {"smaug-bpe", &llama3_merging},
    {"qwen2", &qwen2},
    {"deepseek-r1-qwen", &qwen2},
    {"kormo", &qwen2},
    {"f2llmv2", &qwen2},
    {"hunyuan", &qwen2},
    {"solar-open", &qwen2},
    {"megrez", &qwen2},
    {"stablelm2", &qwen2},
    {"grok-2", &qwen2},
};

struct pretokenizer {
    pcre2_code *stages[PRETOKENIZER_STAGES_MAX];
    size_t stage_count;
    pcre2_match_context *limits;
};

/* One call of pretokenizer_split(). */
struct walk {
    const struct pretokenizer *pretokenizer;
    pcre2_match_data *match; /* shared by the stages: each reads it before the next one runs */
    int (*take)(void *context, struct text piece);
    void *context;
};

const struct pretokenizer_rule *pretokenizer_rule(struct text pre)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_is(pre, names[i].pre))
            return names[i].rule;
    return NULL;
}

static pcre2_code *compile(const char *pattern)
{
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_UCP, &code, &offset, NULL);
    if (compiled)
        pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* where it cannot, it is interpreted */
    return compiled;
}

int pretokenizer_open(const struct pretokenizer_rule *rule, struct pretokenizer **out,
                      struct error *error)
{
    struct pretokenizer *pretokenizer = memory_try(1, sizeof *pretokenizer);
    *out = NULL;
    if (!pretokenizer)
        return error_set(error, ENOMEM, "no memory for the pre-tokenizer");
    pretokenizer->limits = pcre2_match_context_create(NULL);
    bool complete = pretokenizer->limits != NULL;
    if (complete)
        pcre2_set_match_limit(pretokenizer->limits, UINT32_MAX);
    for (size_t i = 0; complete && i < PRETOKENIZER_STAGES_MAX && rule->stages[i].pattern; i++) {
        pretokenizer->stages[i] = compile(rule->stages[i].pattern);
        complete = pretokenizer->stages[i] != NULL;
        pretokenizer->stage_count++;
    }
    if (!complete) {
        pretokenizer_close(pretokenizer);
        return error_set(error, ENOMEM, "no memory for the pre-tokenizer");
    }
    *out = pretokenizer;
    return 0;
}

void pretokenizer_close(struct pretokenizer *pretokenizer)
{
    if (!pretokenizer)
        return;
    for (size_t i = 0; i < pretokenizer->stage_count; i++)
        pcre2_code_free(pretokenizer->stages[i]);
    pcre2_match_context_free(pretokenizer->limits);
    free(pretokenizer);
}

/* Cut a piece of valid UTF-8 by the expressions from `stage` on. */
static int split_piece(const struct walk *walk, size_t stage, struct text piece)
{
    if (piece.length == 0)
        return 0;
    if (stage == walk->pretokenizer->stage_count)
        return walk->take(walk->context, piece);
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(walk->match);
    size_t done = 0;
    int status = 0;
    while (done < piece.length && !status) {
        int found = pcre2_match(walk->pretokenizer->stages[stage], (PCRE2_SPTR)piece.bytes,
                                piece.length, done, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                                walk->match, walk->pretokenizer->limits);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH)
            return -ENOMEM; /* the only thing that these patterns can run out of */
        size_t begin = found < 0 ? piece.length : bounds[0];
        size_t end = found < 0 ? piece.length : bounds[1];
        status = split_piece(walk, stage + 1, (struct text){piece.bytes + done, begin - done});
        if (!status)
            status = split_piece(walk, stage + 1, (struct text){piece.bytes + begin, end - begin});
        done = end;
    }
    return status;
}

int pretokenizer_split(const struct pretokenizer *pretokenizer, struct text text,
                       int (*take)(void *context, struct text piece), void *context)
{
    struct walk walk = {pretokenizer, pcre2_match_data_create(1, NULL), take, context};
    if (!walk.match)
        return -ENOMEM;
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        const char *bytes = text.bytes + at;
        size_t valid = utf8_valid_length(bytes, text.length - at);
        size_t invalid = utf8_invalid_length(bytes + valid, text.length - at - valid);
        status = split_piece(&walk, 0, (struct text){bytes, valid});
        if (!status && invalid)
            status = take(context, (struct text){bytes + valid, invalid});
        at += valid + invalid;
    }
    pcre2_match_data_free(walk.match);
    return status;
}
