/* config_parse.c - see config_parse.h. */
#include "fs/config_parse.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_BYTES_MAX = 63 };

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

struct text config_trim(struct text text)
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

int config_parse_whole(struct text text, uint64_t *out)
{
    bool negative = text.length && text.bytes[0] == '-';
    size_t first = negative, at = first;
    if (!skip_digits(text, &at) || at != text.length)
        return -EINVAL;
    bool fits = !negative;
    *out = 0;
    for (at = first; at < text.length && fits; at++)
        fits = !__builtin_mul_overflow(*out, 10, out) &&
               !__builtin_add_overflow(*out, (uint64_t)(text.bytes[at] - '0'), out);
    return fits ? 0 : -ERANGE;
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

int config_parse_real(struct text text, double *out)
{
    if (!is_real(text) || text.length > NUMBER_BYTES_MAX)
        return -EINVAL;
    char digits[NUMBER_BYTES_MAX + 1];
    memcpy(digits, text.bytes, text.length);
    digits[text.length] = 0;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return -ENOMEM;
    errno = 0;
    *out = strtod_l(digits, NULL, plain) + 0.0; /* -0 becomes 0 */
    int overflow = errno;
    freelocale(plain);
    return overflow ? -ERANGE : 0;
}

int config_format_real(double value, bool is_float, struct buffer *out)
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
    if (value >= 1e6 && value < 0x1p64 && value == (double)(uint64_t)value) /* 2000000, not 2e+06 */
        snprintf(digits, sizeof digits, "%.0f", value);
    uselocale(user);
    freelocale(plain);
    return buffer_printf(out, "%s\n", digits);
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

int config_parse_stops(struct text text, char **bytes, struct text stops[CONFIG_STOPS_MAX],
                       uint32_t *count, struct error *error)
{
    *bytes = memory_try(text.length + 1, 1);
    if (!*bytes)
        return error_set(error, ENOMEM, "out of memory");
    char *end = *bytes;
    *count = 0;
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
        if (*count == CONFIG_STOPS_MAX)
            return error_set(error, EMSGSIZE, "stop takes up to %d lines", CONFIG_STOPS_MAX);
        stops[(*count)++] = (struct text){end, (size_t)length};
        end += length + 1;
    }
    return 0;
}

/* The next word of *text, which moves behind it; empty at the end. */
static struct text next_word(struct text *text)
{
    *text = config_trim(*text);
    size_t length = 0;
    while (length < text->length && !is_space(text->bytes[length]))
        length++;
    struct text word = {text->bytes, length};
    *text = (struct text){text->bytes + length, text->length - length};
    return word;
}

static bool read_token(struct text word, int32_t *out)
{
    uint64_t id;
    if (config_parse_whole(word, &id) || id > INT32_MAX)
        return false;
    *out = (int32_t)id;
    return true;
}

int config_parse_tokens(struct text text, int32_t tokens[SAMPLING_STOP_TOKENS_MAX], uint32_t *count,
                        struct error *error)
{
    *count = 0;
    for (struct text word = next_word(&text); word.length; word = next_word(&text)) {
        if (*count == SAMPLING_STOP_TOKENS_MAX)
            return error_set(error, EMSGSIZE, "stop_tokens takes up to %d ids",
                             SAMPLING_STOP_TOKENS_MAX);
        if (!read_token(word, &tokens[(*count)++]))
            return error_set(error, EINVAL, "stop_tokens takes token ids");
    }
    return 0;
}

int config_parse_biases(struct text text, struct token_bias biases[SAMPLING_BIASES_MAX],
                        uint32_t *count, struct error *error)
{
    *count = 0;
    for (struct text word = next_word(&text); word.length; word = next_word(&text)) {
        double bias = 0;
        if (*count == SAMPLING_BIASES_MAX)
            return error_set(error, EMSGSIZE, "logit_bias takes up to %d lines",
                             SAMPLING_BIASES_MAX);
        struct token_bias *item = &biases[(*count)++];
        if (!read_token(word, &item->token) || config_parse_real(next_word(&text), &bias))
            return error_set(error, EINVAL, "logit_bias takes lines of a token id and a number");
        if (!(fabs(bias) <= FLT_MAX))
            return error_set(error, ERANGE, "logit_bias takes numbers that a float can hold");
        item->bias = (float)bias;
    }
    return 0;
}
