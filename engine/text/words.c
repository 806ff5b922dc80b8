/* words.c - see words.h. */
#include "text/words.h"

static bool is_space_at(struct text text, size_t at)
{
    return text.length - at >= WORDS_SPACE_BYTES &&
           memcmp(text.bytes + at, WORDS_SPACE, WORDS_SPACE_BYTES) == 0;
}

/* The next U+2581 at or after `from` that follows another character, or text.length. */
static size_t next_word(struct text text, size_t from)
{
    size_t at = from;
    while (at < text.length && is_space_at(text, at))
        at += WORDS_SPACE_BYTES;
    while (at < text.length) {
        const char *lead = memchr(text.bytes + at, WORDS_SPACE[0], text.length - at);
        at = lead ? (size_t)(lead - text.bytes) : text.length;
        if (!lead || is_space_at(text, at))
            break;
        at++;
    }
    return at;
}

bool words_are_separate(const struct vocabulary *vocabulary)
{
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        uint8_t kind = vocabulary->kinds[id];
        if (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_BYTE)
            continue;
        if (next_word(vocabulary_token(vocabulary, id), 0) <
            vocabulary_token(vocabulary, id).length)
            return false;
    }
    return true;
}

size_t words_end(struct text text, size_t from, bool separate)
{
    size_t end =
        text.length - from > WORDS_PIECE_BYTES_MAX ? from + WORDS_PIECE_BYTES_MAX : text.length;
    for (int back = 0; back < 3 && end < text.length && (text.bytes[end] & 0xC0) == 0x80; back++)
        end--; /* not inside a character */
    struct text piece = {text.bytes, end};
    return separate ? next_word(piece, from) : end;
}

size_t words_unescape(struct text token, char *out, size_t capacity)
{
    size_t length = 0;
    for (size_t at = 0; at < token.length; length++) {
        bool space = is_space_at(token, at);
        if (length < capacity)
            out[length] = space ? ' ' : token.bytes[at];
        at += space ? WORDS_SPACE_BYTES : 1;
    }
    return length;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int words_byte(struct text token)
{
    if (token.length != 6 || memcmp(token.bytes, "<0x", 3) != 0 || token.bytes[5] != '>')
        return -1;
    int high = hex_digit(token.bytes[3]), low = hex_digit(token.bytes[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}
