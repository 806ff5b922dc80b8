/* utf8.c - see utf8.h.  One row-by-row reading of table 3-7 answers every question. */
#include "text/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ILL_FORMED = 0, UNFINISHED = -1 };

/* The length 1..4 of the character that starts at `bytes`, ILL_FORMED, or UNFINISHED when the text
 * ends inside a character that was well-formed so far.  length > 0. */
static int character_length(const unsigned char *bytes, size_t length)
{
    unsigned lead = bytes[0], low = 0x80, high = 0xBF; /* bounds of the second byte */
    int expected;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
        expected = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        expected = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;  /* no overlong forms */
        high = lead == 0xED ? 0x9F : 0xBF; /* no surrogates */
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        expected = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF; /* nothing past U+10FFFF */
    } else {
        return ILL_FORMED;
    }
    for (int i = 1; i < expected; i++) {
        if ((size_t)i == length)
            return UNFINISHED;
        if (bytes[i] < low || bytes[i] > high)
            return ILL_FORMED;
        low = 0x80;
        high = 0xBF;
    }
    return expected;
}

size_t utf8_complete_length(const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    for (size_t back = 1; back <= 3 && back <= length; back++)
        if (character_length(text + length - back, back) == UNFINISHED)
            return length - back;
    return length;
}

static bool is_ascii_word(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return (word & 0x8080808080808080u) == 0;
}

size_t utf8_valid_length(const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < length) {
        if (length - at >= sizeof(uint64_t) && is_ascii_word(bytes + at)) {
            at += sizeof(uint64_t);
            continue;
        }
        int step = character_length(text + at, length - at);
        if (step <= 0)
            break;
        at += (size_t)step;
    }
    return at;
}

size_t utf8_invalid_length(const char *bytes, size_t length)
{
    const unsigned char *text = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < length && character_length(text + at, length - at) <= 0)
        at++;
    return at;
}
