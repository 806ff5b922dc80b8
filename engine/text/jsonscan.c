/* jsonscan.c - see jsonscan.h.  Source: RFC 8259. */
#include "text/jsonscan.h"

#include <stdlib.h>

enum { INTEGER_DIGITS_MAX = 18, NUMBER_TEXT_BYTES_MAX = 63 };

static void skip_space(struct jsonscan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

bool jsonscan_take(struct jsonscan *scan, char byte)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

bool jsonscan_is_done(struct jsonscan *scan)
{
    skip_space(scan);
    return scan->at == scan->end;
}

/* `at` is behind the opening quote; go behind the closing one. */
static bool skip_string(struct jsonscan *scan)
{
    while (scan->at < scan->end) {
        char byte = *scan->at++;
        if (byte == '"')
            return true;
        if (byte == '\\' && scan->at < scan->end)
            scan->at++;
    }
    return false;
}

static bool is_delimiter(char byte)
{
    return byte == ',' || byte == ']' || byte == '}' || byte == ':' || byte == ' ' ||
           byte == '\n' || byte == '\r' || byte == '\t';
}

bool jsonscan_skip(struct jsonscan *scan, struct text *value)
{
    skip_space(scan);
    const char *begin = scan->at;
    size_t depth = 0;
    while (scan->at < scan->end) {
        char byte = *scan->at;
        if (depth == 0 && is_delimiter(byte))
            break;
        scan->at++;
        if (byte == '"' && !skip_string(scan))
            return false;
        if (byte == '[' || byte == '{')
            depth++;
        else if (byte == ']' || byte == '}')
            depth--;
        if (depth == 0 && (byte == '"' || byte == ']' || byte == '}'))
            break;
    }
    *value = (struct text){begin, (size_t)(scan->at - begin)};
    return depth == 0 && value->length > 0;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* The four digits after \u, or -1. */
static long code_unit(struct jsonscan *scan)
{
    long unit = 0;
    if (scan->end - scan->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*scan->at++);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Behind \u: a character as UTF-8.  A half of a surrogate pair alone is no character. */
static long decode_unicode(struct jsonscan *scan, char *out)
{
    long code = code_unit(scan);
    if (code < 0 || (code >= 0xDC00 && code <= 0xDFFF))
        return -1;
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (scan->end - scan->at < 2 || *scan->at++ != '\\' || *scan->at++ != 'u')
            return -1;
        long low = code_unit(scan);
        if (low < 0xDC00 || low > 0xDFFF)
            return -1;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[length] | code);
    return length;
}

/* Behind a backslash.  Returns how many bytes were written, or -1. */
static long decode_escape(struct jsonscan *scan, char *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->end)
        return -1;
    char letter = *scan->at++;
    if (letter == 'u')
        return decode_unicode(scan, out);
    const char *found = memchr(letters, letter, sizeof letters - 1);
    if (!found)
        return -1;
    *out = meanings[found - letters];
    return 1;
}

long jsonscan_string(struct jsonscan *scan, char *out)
{
    if (!jsonscan_take(scan, '"'))
        return -1;
    long length = 0;
    while (scan->at < scan->end) {
        char byte = *scan->at++;
        if (byte == '"')
            return length;
        if ((unsigned char)byte < 0x20)
            return -1;
        if (byte != '\\') {
            out[length++] = byte;
            continue;
        }
        long decoded = decode_escape(scan, out + length);
        if (decoded < 0)
            return -1;
        length += decoded;
    }
    return -1;
}

bool jsonscan_integer(struct jsonscan *scan, int64_t *out)
{
    bool negative = jsonscan_take(scan, '-');
    int64_t value = 0;
    int digits = 0;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; digits++) {
        if (digits == INTEGER_DIGITS_MAX)
            return false;
        value = value * 10 + (*scan->at++ - '0');
    }
    *out = negative ? -value : value;
    return digits > 0;
}

bool jsonscan_number(struct jsonscan *scan, double *out)
{
    char text[NUMBER_TEXT_BYTES_MAX + 1];
    size_t length = 0;
    skip_space(scan);
    while (scan->at < scan->end && *scan->at && strchr("+-.0123456789eE", *scan->at)) {
        if (length == NUMBER_TEXT_BYTES_MAX)
            return false;
        text[length++] = *scan->at++;
    }
    text[length] = 0;
    char *end;
    *out = strtod(text, &end); /* in the C locale: nothing here calls setlocale() */
    return length > 0 && *end == 0;
}
