/* config.c - see config.h.
 *
 * A rule says of every key what it is and what it accepts; parsing gives a value that belongs to
 * no config yet, so checking is parsing without the last step.
 */
#include "fs/config.h"

#include "fs/config_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum kind {
    KIND_INTEGER,
    KIND_SEED,
    KIND_SWITCH,
    KIND_CHOICE, /* one of the words in `accepted` */
    KIND_REAL,
    KIND_SECONDS,
    KIND_TEXT,
    KIND_STOP,
    KIND_TOKENS,
    KIND_BIASES,
};

struct rule {
    const char *name;
    enum kind kind;
    size_t offset; /* of the member in struct config */
    double minimum, maximum;
    const char *accepted; /* NULL: a number in the range */
};

#define MEMBER(member) offsetof(struct config, member)

/* All but the sampling parameters. */
static const struct rule rules[CONFIG_KEYS - SAMPLING_PARAMETERS] = {
    {"context", KIND_INTEGER, MEMBER(context), CONFIG_CONTEXT_MIN, CONFIG_CONTEXT_MAX,
     "a number of tokens from 16 to 16777216, or 0"},
    {"format", KIND_CHOICE, MEMBER(format), 0, 0, "json or f32"},
    {"grammar", KIND_TEXT, MEMBER(grammar), 0, 0, "text"},
    {"json_schema", KIND_TEXT, MEMBER(json_schema), 0, 0, "text"},
    {"kv", KIND_CHOICE, MEMBER(kv), 0, 0, "f16 or q8_0"},
    {"logit_bias", KIND_BIASES, 0, 0, 0, NULL},
    {"logprobs", KIND_INTEGER, MEMBER(logprobs), 0, SAMPLING_LOGPROBS_MAX, NULL},
    {"max_tokens", KIND_INTEGER, MEMBER(max_tokens), 0, CONFIG_CONTEXT_MAX,
     "a number of tokens from 0 to 16777216"},
    {"raw", KIND_SWITCH, MEMBER(raw), 0, 1, "0 or 1"},
    {"seed", KIND_SEED, MEMBER(sampling.seed), 0, 0,
     "a whole number from 0 to 18446744073709551615"},
    {"speculate", KIND_SWITCH, MEMBER(speculate), 0, 1, "0 or 1"},
    {"stop", KIND_STOP, 0, 0, 0, "lines of text"},
    {"stop_tokens", KIND_TOKENS, 0, 0, 0, NULL},
    {"system", KIND_TEXT, MEMBER(system), 0, 0, "text"},
    {"thinking", KIND_CHOICE, MEMBER(thinking), 0, 0, "auto, on or off"},
    {"timeout", KIND_SECONDS, MEMBER(timeout_s), 0, CONFIG_TIMEOUT_S_MAX,
     "a number of seconds from 0 to 1000000000"},
};

static const char *const format_words[] = {"json", "f32", NULL};
static const char *const kv_words[] = {"f16", "q8_0", NULL};
static const char *const thinking_words[] = {"auto", "on", "off", NULL};

static struct rule rule_of(enum config_key key)
{
    if (key >= (int)SAMPLING_PARAMETERS)
        return rules[key - (int)SAMPLING_PARAMETERS];
    const struct sampling_parameter *parameter = &sampling_parameters[key];
    return (struct rule){
        .name = parameter->name,
        .kind = parameter->kind == SAMPLING_INTEGER ? KIND_INTEGER : KIND_REAL,
        .offset = MEMBER(sampling) + parameter->offset,
        .minimum = parameter->minimum,
        .maximum = parameter->maximum,
        .accepted = key == CONFIG_MIROSTAT ? "0 or 2" : NULL,
    };
}

/* What a value is before it belongs to a config. */
struct parsed {
    uint64_t integer;
    double real;
    char *text;       /* malloc'ed: a text, stops as written */
    char *stop_bytes; /* malloc'ed: the stops one after the other, each with a NUL */
    struct text stops[CONFIG_STOPS_MAX];
    int32_t tokens[SAMPLING_STOP_TOKENS_MAX];
    struct token_bias biases[SAMPLING_BIASES_MAX];
    uint32_t count; /* of one of the three */
};

static int refuse(const struct rule *rule, int code, struct error *error)
{
    if (code == ENOMEM)
        return error_set(error, ENOMEM, "out of memory");
    if (rule->accepted)
        return error_set(error, code, "%s takes %s", rule->name, rule->accepted);
    return error_set(error, code, "%s takes a %snumber from %.10g to %.10g", rule->name,
                     rule->kind == KIND_INTEGER ? "whole " : "", rule->minimum, rule->maximum);
}

static int parse_integer(enum config_key key, const struct rule *rule, struct text text,
                         uint64_t *out, struct error *error)
{
    int status = config_parse_whole(text, out);
    if (status)
        return refuse(rule, -status, error);
    if (rule->kind == KIND_SEED || *out == 0)
        return 0;
    bool inside = (double)*out >= rule->minimum && (double)*out <= rule->maximum &&
                  !(key == CONFIG_MIROSTAT && *out == 1);
    return inside ? 0 : refuse(rule, ERANGE, error);
}

static int parse_real(const struct rule *rule, struct text text, double *out, struct error *error)
{
    int status = config_parse_real(text, out);
    if (!status && (*out < rule->minimum || *out > rule->maximum))
        status = -ERANGE;
    return status ? refuse(rule, -status, error) : 0;
}

static const char *const *words_of(enum config_key key)
{
    return key == CONFIG_FORMAT ? format_words : key == CONFIG_KV ? kv_words : thinking_words;
}

static int parse_choice(enum config_key key, const struct rule *rule, struct text text,
                        uint64_t *out, struct error *error)
{
    const char *const *words = words_of(key);
    for (*out = 0; words[*out]; ++*out)
        if (text_is(text, words[*out]))
            return 0;
    return refuse(rule, EINVAL, error);
}

/* The texts are kept as C strings. */
static int parse_text(const struct rule *rule, struct text text, struct parsed *out,
                      struct error *error)
{
    if (text.length && text.bytes[text.length - 1] == '\n')
        text.length--;
    if (text.length > CONFIG_TEXT_BYTES_MAX)
        return error_set(error, EMSGSIZE, "%s takes up to %d bytes", rule->name,
                         CONFIG_TEXT_BYTES_MAX);
    if (text.length && memchr(text.bytes, 0, text.length))
        return error_set(error, EINVAL, "%s takes text without NUL bytes", rule->name);
    if (rule->kind == KIND_STOP) {
        int status = config_parse_stops(text, &out->stop_bytes, out->stops, &out->count, error);
        if (status)
            return status;
    }
    out->text = memory_try(text.length + 1, 1);
    if (!out->text)
        return error_set(error, ENOMEM, "out of memory");
    if (text.length)
        memcpy(out->text, text.bytes, text.length);
    return 0;
}

static void free_parsed(struct parsed *parsed)
{
    free(parsed->text);
    free(parsed->stop_bytes);
}

/* The caller frees *out, after a failure too. */
static int parse(enum config_key key, struct text value, struct parsed *out, struct error *error)
{
    const struct rule rule = rule_of(key);
    *out = (struct parsed){0};
    switch (rule.kind) {
    case KIND_INTEGER:
    case KIND_SEED:
    case KIND_SWITCH:
        return parse_integer(key, &rule, config_trim(value), &out->integer, error);
    case KIND_CHOICE:
        return parse_choice(key, &rule, config_trim(value), &out->integer, error);
    case KIND_REAL:
    case KIND_SECONDS:
        return parse_real(&rule, config_trim(value), &out->real, error);
    case KIND_TOKENS:
        return config_parse_tokens(value, out->tokens, &out->count, error);
    case KIND_BIASES:
        return config_parse_biases(value, out->biases, &out->count, error);
    case KIND_TEXT:
    case KIND_STOP:
        break;
    }
    return parse_text(&rule, value, out, error);
}

static void assign_stops(struct config *config, struct parsed *parsed)
{
    free(config->stop_text);
    free(config->stop_bytes);
    config->stop_text = parsed->text;
    config->stop_bytes = parsed->stop_bytes;
    memcpy(config->stops, parsed->stops, sizeof config->stops);
    config->stop_count = parsed->count;
    parsed->text = parsed->stop_bytes = NULL;
}

/* The texts of `parsed` move into the config. */
static void assign(struct config *config, enum config_key key, struct parsed *parsed)
{
    const struct rule rule = rule_of(key);
    void *member = (char *)config + rule.offset;
    switch (rule.kind) {
    case KIND_INTEGER:
    case KIND_CHOICE:
        *(int32_t *)member = (int32_t)parsed->integer;
        break;
    case KIND_SEED:
        *(uint64_t *)member = parsed->integer;
        break;
    case KIND_SWITCH:
        *(bool *)member = parsed->integer != 0;
        break;
    case KIND_REAL:
        *(float *)member = (float)parsed->real;
        break;
    case KIND_SECONDS:
        *(double *)member = parsed->real;
        break;
    case KIND_TEXT:
        free(*(char **)member);
        *(char **)member = parsed->text;
        parsed->text = NULL;
        break;
    case KIND_STOP:
        assign_stops(config, parsed);
        break;
    case KIND_TOKENS:
        memcpy(config->stop_tokens, parsed->tokens, sizeof config->stop_tokens);
        config->stop_token_count = parsed->count;
        break;
    case KIND_BIASES:
        memcpy(config->biases, parsed->biases, sizeof config->biases);
        config->bias_count = parsed->count;
        break;
    }
}

int config_check(enum config_key key, struct text value, struct error *error)
{
    struct parsed parsed;
    int status = parse(key, value, &parsed, error);
    free_parsed(&parsed);
    return status;
}

int config_set(struct config *config, enum config_key key, struct text value, struct error *error)
{
    struct parsed parsed;
    int status = parse(key, value, &parsed, error);
    if (!status)
        assign(config, key, &parsed);
    free_parsed(&parsed);
    return status;
}

int config_open(struct config *config)
{
    *config = (struct config){
        .speculate = true,
        .system = strdup(""),
        .grammar = strdup(""),
        .json_schema = strdup(""),
        .stop_text = strdup(""),
    };
    for (int i = 0; i < SAMPLING_PARAMETERS; i++)
        sampling_set(&config->sampling, &sampling_parameters[i],
                     sampling_parameters[i].daemon_default);
    if (config->system && config->grammar && config->json_schema && config->stop_text)
        return 0;
    config_close(config);
    return -ENOMEM;
}

void config_close(struct config *config)
{
    free(config->system);
    free(config->grammar);
    free(config->json_schema);
    free(config->stop_text);
    free(config->stop_bytes);
    *config = (struct config){0};
}

int config_copy(const struct config *from, struct config *to)
{
    *to = *from;
    to->system = strdup(from->system);
    to->grammar = strdup(from->grammar);
    to->json_schema = strdup(from->json_schema);
    to->stop_text = strdup(from->stop_text);
    to->stop_bytes = NULL;
    if (from->stop_count) {
        const struct text *last = &from->stops[from->stop_count - 1];
        size_t bytes = (size_t)(last->bytes - from->stop_bytes) + last->length + 1;
        to->stop_bytes = memory_try(bytes, 1);
        for (uint32_t i = 0; to->stop_bytes && i < to->stop_count; i++)
            to->stops[i].bytes = to->stop_bytes + (from->stops[i].bytes - from->stop_bytes);
        if (to->stop_bytes)
            memcpy(to->stop_bytes, from->stop_bytes, bytes);
    }
    if (to->system && to->grammar && to->json_schema && to->stop_text &&
        (to->stop_bytes || !to->stop_count))
        return 0;
    config_close(to);
    return -ENOMEM;
}

const char *config_key_name(enum config_key key)
{
    return rule_of(key).name;
}

bool config_is_multiline(enum config_key key)
{
    enum kind kind = rule_of(key).kind;
    return kind == KIND_TEXT || kind == KIND_STOP || kind == KIND_TOKENS || kind == KIND_BIASES;
}

static int format_biases(const struct config *config, struct buffer *out)
{
    int status = 0;
    for (uint32_t i = 0; i < config->bias_count && !status; i++) {
        status = buffer_printf(out, "%" PRId32 " ", config->biases[i].token);
        if (!status)
            status = config_format_real((double)config->biases[i].bias, true, out);
    }
    return status;
}

static int format_tokens(const struct config *config, struct buffer *out)
{
    int status = 0;
    for (uint32_t i = 0; i < config->stop_token_count && !status; i++)
        status = buffer_printf(out, "%" PRId32 "\n", config->stop_tokens[i]);
    return status;
}

static int format_text(const char *text, struct buffer *out)
{
    return text[0] ? buffer_printf(out, "%s\n", text) : 0;
}

int config_format(const struct config *config, enum config_key key, struct buffer *out)
{
    const struct rule rule = rule_of(key);
    const void *member = (const char *)config + rule.offset;
    switch (rule.kind) {
    case KIND_INTEGER:
        return buffer_printf(out, "%" PRId32 "\n", *(const int32_t *)member);
    case KIND_CHOICE:
        return buffer_printf(out, "%s\n", words_of(key)[*(const int32_t *)member]);
    case KIND_SEED:
        return buffer_printf(out, "%" PRIu64 "\n", *(const uint64_t *)member);
    case KIND_SWITCH:
        return buffer_printf(out, "%d\n", *(const bool *)member);
    case KIND_REAL:
        return config_format_real((double)*(const float *)member, true, out);
    case KIND_SECONDS:
        return config_format_real(*(const double *)member, false, out);
    case KIND_TOKENS:
        return format_tokens(config, out);
    case KIND_BIASES:
        return format_biases(config, out);
    case KIND_TEXT:
        return format_text(*(char *const *)member, out);
    case KIND_STOP:
        break;
    }
    return format_text(config->stop_text, out);
}
