/* config.c - see config.h.
 *
 * A table says of every key what it is and what it accepts; parsing gives a value that belongs to
 * no config yet, so checking is parsing without the last step.  Numbers are matched against the
 * grammar here before the C library converts them: strtod(3) alone would take "nan", "0x1p3" and
 * "+1", and read the decimal point of the user's locale.
 */
#include "fs/config.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_BYTES_MAX = 63 };

enum kind { KIND_INTEGER, KIND_SEED, KIND_SWITCH, KIND_REAL, KIND_SECONDS, KIND_SYSTEM, KIND_STOP };

struct rule {
    const char *name;
    enum kind kind;
    size_t offset; /* of the member in struct config */
    double minimum, maximum;
    const char *accepted;
};

#define MEMBER(member) offsetof(struct config, member)

static const struct rule rules[CONFIG_KEYS] = {
    [CONFIG_CONTEXT] = {"context", KIND_INTEGER, MEMBER(context), CONFIG_CONTEXT_MIN,
                        CONFIG_CONTEXT_MAX, "a number of tokens from 16 to 16777216, or 0"},
    [CONFIG_MAX_TOKENS] = {"max_tokens", KIND_INTEGER, MEMBER(max_tokens), 0, CONFIG_CONTEXT_MAX,
                           "a number of tokens from 0 to 16777216"},
    [CONFIG_MIN_P] = {"min_p", KIND_REAL, MEMBER(min_p), 0, 1, "a number from 0 to 1"},
    [CONFIG_RAW] = {"raw", KIND_SWITCH, MEMBER(raw), 0, 1, "0 or 1"},
    [CONFIG_REPEAT_PENALTY] = {"repeat_penalty", KIND_REAL, MEMBER(repeat_penalty), 0.1, 10,
                               "a number from 0.1 to 10"},
    [CONFIG_SEED] = {"seed", KIND_SEED, MEMBER(seed), 0, 0,
                     "a whole number from 0 to 18446744073709551615"},
    [CONFIG_STOP] = {"stop", KIND_STOP, 0, 0, 0, "lines of text"},
    [CONFIG_SYSTEM] = {"system", KIND_SYSTEM, 0, 0, 0, "text"},
    [CONFIG_TEMPERATURE] = {"temperature", KIND_REAL, MEMBER(temperature), 0, 10,
                            "a number from 0 to 10"},
    [CONFIG_TIMEOUT] = {"timeout", KIND_SECONDS, MEMBER(timeout_s), 0, CONFIG_TIMEOUT_S_MAX,
                        "a number of seconds from 0 to 1000000000"},
    [CONFIG_TOP_K] = {"top_k", KIND_INTEGER, MEMBER(top_k), 0, INT32_MAX,
                      "a whole number from 0 to 2147483647"},
    [CONFIG_TOP_P] = {"top_p", KIND_REAL, MEMBER(top_p), FLT_TRUE_MIN, 1,
                      "a number above 0, up to 1"},
};

/* What a value is before it belongs to a config. */
struct parsed {
    uint64_t integer;
    double real;
    char *text;       /* malloc'ed: system, stop as written */
    char *stop_bytes; /* malloc'ed: the stops one after the other, each with a NUL */
    struct text stops[CONFIG_STOPS_MAX];
    uint32_t stop_count;
};

static int refuse(const struct rule *rule, int code, struct error *error)
{
    return error_set(error, code, "%s takes %s", rule->name, rule->accepted);
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static struct text trim(struct text text)
{
    while (text.length && is_space(text.bytes[0]))
        text = (struct text){text.bytes + 1, text.length - 1};
    while (text.length && is_space(text.bytes[text.length - 1]))
        text.length--;
    return text;
}

/* Takes the digits at *at and moves it behind them; false when there are none. */
static bool skip_digits(struct text text, size_t *at)
{
    size_t first = *at;
    while (*at < text.length && is_digit(text.bytes[*at]))
        ++*at;
    return *at > first;
}

/* [-]digits; one that is below 0 or does not fit into 64 bits is out of every range here. */
static int parse_whole(const struct rule *rule, struct text text, uint64_t *out,
                       struct error *error)
{
    bool negative = text.length && text.bytes[0] == '-';
    size_t first = negative, at = first;
    if (!skip_digits(text, &at) || at != text.length)
        return refuse(rule, EINVAL, error);
    bool fits = !negative;
    *out = 0;
    for (at = first; at < text.length && fits; at++)
        fits = !__builtin_mul_overflow(*out, 10, out) &&
               !__builtin_add_overflow(*out, (uint64_t)(text.bytes[at] - '0'), out);
    return fits ? 0 : refuse(rule, ERANGE, error);
}

static int parse_integer(const struct rule *rule, struct text text, uint64_t *out,
                         struct error *error)
{
    int status = parse_whole(rule, text, out, error);
    if (status || rule->kind == KIND_SEED || *out == 0)
        return status;
    bool inside = (double)*out >= rule->minimum && (double)*out <= rule->maximum;
    return inside ? 0 : refuse(rule, ERANGE, error);
}

/* [-] (digits [. [digits]] | . digits) [e [+-] digits] */
static bool is_real(struct text text)
{
    size_t at = text.length && text.bytes[0] == '-';
    bool has_digits = skip_digits(text, &at);
    if (at < text.length && text.bytes[at] == '.') {
        at++;
        has_digits = skip_digits(text, &at) || has_digits;
    }
    if (has_digits && at < text.length && (text.bytes[at] == 'e' || text.bytes[at] == 'E')) {
        at++;
        if (at < text.length && (text.bytes[at] == '-' || text.bytes[at] == '+'))
            at++;
        has_digits = skip_digits(text, &at);
    }
    return has_digits && at == text.length;
}

static int parse_real(const struct rule *rule, struct text text, double *out, struct error *error)
{
    if (!is_real(text) || text.length > NUMBER_BYTES_MAX)
        return refuse(rule, EINVAL, error);
    char digits[NUMBER_BYTES_MAX + 1];
    memcpy(digits, text.bytes, text.length);
    digits[text.length] = 0;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return error_set(error, ENOMEM, "out of memory");
    errno = 0;
    *out = strtod_l(digits, NULL, plain) + 0.0; /* -0 becomes 0 */
    int overflow = errno;
    freelocale(plain);
    if (overflow || *out < rule->minimum || *out > rule->maximum)
        return refuse(rule, ERANGE, error);
    return 0;
}

/* One stop string to the end of its line; returns its length, or -EINVAL. */
static ptrdiff_t unescape(struct text line, char *out)
{
    static const char letters[] = "ntr\\", bytes[] = "\n\t\r\\";
    ptrdiff_t length = 0;
    for (size_t i = 0; i < line.length; i++) {
        char byte = line.bytes[i];
        if (byte == '\\') {
            const char *letter =
                ++i < line.length ? memchr(letters, line.bytes[i], sizeof letters - 1) : NULL;
            if (!letter)
                return -EINVAL;
            byte = bytes[letter - letters];
        }
        out[length++] = byte;
    }
    return length;
}

static int parse_stops(struct text text, struct parsed *out, struct error *error)
{
    out->stop_bytes = memory_try(text.length + 1, 1);
    if (!out->stop_bytes)
        return error_set(error, ENOMEM, "out of memory");
    char *end = out->stop_bytes;
    for (size_t first = 0, next; first < text.length; first = next + 1) {
        const char *newline = memchr(text.bytes + first, '\n', text.length - first);
        next = newline ? (size_t)(newline - text.bytes) : text.length;
        if (next == first)
            continue;
        ptrdiff_t length = unescape((struct text){text.bytes + first, next - first}, end);
        if (length < 0)
            return error_set(error, EINVAL, "stop knows the escapes \\n, \\t, \\r and \\\\");
        if (length > CONFIG_STOP_BYTES_MAX)
            return error_set(error, EMSGSIZE, "a line of stop takes up to %d bytes",
                             CONFIG_STOP_BYTES_MAX);
        if (out->stop_count == CONFIG_STOPS_MAX)
            return error_set(error, EMSGSIZE, "stop takes up to %d lines", CONFIG_STOPS_MAX);
        out->stops[out->stop_count++] = (struct text){end, (size_t)length};
        end += length + 1;
    }
    return 0;
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
        int status = parse_stops(text, out, error);
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
    const struct rule *rule = &rules[key];
    *out = (struct parsed){0};
    switch (rule->kind) {
    case KIND_INTEGER:
    case KIND_SEED:
    case KIND_SWITCH:
        return parse_integer(rule, trim(value), &out->integer, error);
    case KIND_REAL:
    case KIND_SECONDS:
        return parse_real(rule, trim(value), &out->real, error);
    case KIND_SYSTEM:
    case KIND_STOP:
        break;
    }
    return parse_text(rule, value, out, error);
}

/* The texts of `parsed` move into the config. */
static void assign(struct config *config, const struct rule *rule, struct parsed *parsed)
{
    void *member = (char *)config + rule->offset;
    switch (rule->kind) {
    case KIND_INTEGER:
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
    case KIND_SYSTEM:
        free(config->system);
        config->system = parsed->text;
        parsed->text = NULL;
        break;
    case KIND_STOP:
        free(config->stop_text);
        free(config->stop_bytes);
        config->stop_text = parsed->text;
        config->stop_bytes = parsed->stop_bytes;
        memcpy(config->stops, parsed->stops, sizeof config->stops);
        config->stop_count = parsed->stop_count;
        parsed->text = parsed->stop_bytes = NULL;
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
        assign(config, &rules[key], &parsed);
    free_parsed(&parsed);
    return status;
}

int config_open(struct config *config)
{
    *config = (struct config){
        .temperature = 0.7f,
        .top_p = 0.95f,
        .top_k = 40,
        .min_p = 0.05f,
        .repeat_penalty = 1,
        .system = strdup(""),
        .stop_text = strdup(""),
    };
    if (config->system && config->stop_text)
        return 0;
    config_close(config);
    return -ENOMEM;
}

void config_close(struct config *config)
{
    free(config->system);
    free(config->stop_text);
    free(config->stop_bytes);
    *config = (struct config){0};
}

int config_copy(const struct config *from, struct config *to)
{
    *to = *from;
    to->system = strdup(from->system);
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
    if (to->system && to->stop_text && (to->stop_bytes || !to->stop_count))
        return 0;
    config_close(to);
    return -ENOMEM;
}

const char *config_key_name(enum config_key key)
{
    return rules[key].name;
}

int config_key_find(const char *name, enum config_key *out)
{
    for (int key = 0; key < CONFIG_KEYS; key++)
        if (strcmp(rules[key].name, name) == 0) {
            *out = (enum config_key)key;
            return 0;
        }
    return -ENOENT;
}

bool config_is_multiline(enum config_key key)
{
    return rules[key].kind == KIND_SYSTEM || rules[key].kind == KIND_STOP;
}

/* The fewest digits, from 6 on, that parse_real() makes the same value of. */
static int format_real(double value, bool is_float, struct buffer *out)
{
    char digits[NUMBER_BYTES_MAX + 1];
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return -ENOMEM;
    locale_t user = uselocale(plain);
    for (int precision = 6; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        double back = strtod(digits, NULL);
        if (back == value || (is_float && (float)back == (float)value))
            break;
    }
    if (value >= 1e6 && value == (double)(uint64_t)value) /* 2000000, not 2e+06 */
        snprintf(digits, sizeof digits, "%.0f", value);
    uselocale(user);
    freelocale(plain);
    return buffer_printf(out, "%s\n", digits);
}

int config_format(const struct config *config, enum config_key key, struct buffer *out)
{
    const void *member = (const char *)config + rules[key].offset;
    const char *text = config->system;
    switch (rules[key].kind) {
    case KIND_INTEGER:
        return buffer_printf(out, "%" PRId32 "\n", *(const int32_t *)member);
    case KIND_SEED:
        return buffer_printf(out, "%" PRIu64 "\n", *(const uint64_t *)member);
    case KIND_SWITCH:
        return buffer_printf(out, "%d\n", *(const bool *)member);
    case KIND_REAL:
        return format_real((double)*(const float *)member, true, out);
    case KIND_SECONDS:
        return format_real(*(const double *)member, false, out);
    case KIND_STOP:
        text = config->stop_text;
        break;
    case KIND_SYSTEM:
        break;
    }
    return text[0] ? buffer_printf(out, "%s\n", text) : 0;
}
