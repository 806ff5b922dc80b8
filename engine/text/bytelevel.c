/* bytelevel.c - see bytelevel.h.  Three ranges of bytes are not printable in Latin-1: 00-20, 7F-A0
 * and AD; they got the code points from U+0100 on, one range after the other. */
#include "text/bytelevel.h"

enum { RANGE_1 = 0x100, RANGE_2 = RANGE_1 + 0x21, RANGE_3 = RANGE_2 + 0x22 };

static unsigned character_of(unsigned byte)
{
    if (byte <= 0x20)
        return RANGE_1 + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return RANGE_2 + byte - 0x7F;
    return byte == 0xAD ? RANGE_3 : byte;
}

/* The byte that a code point below U+0800 stands for, or -1. */
static int byte_of(unsigned character)
{
    if (character > RANGE_3)
        return -1;
    if (character == RANGE_3)
        return 0xAD;
    if (character >= RANGE_2)
        return (int)(character - RANGE_2 + 0x7F);
    if (character >= RANGE_1)
        return (int)(character - RANGE_1);
    return character_of(character) == character ? (int)character : -1;
}

size_t bytelevel_encode(unsigned char byte, char out[BYTELEVEL_CHARACTER_BYTES_MAX])
{
    unsigned character = character_of(byte);
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    out[0] = (char)(0xC0 | character >> 6);
    out[1] = (char)(0x80 | (character & 0x3F));
    return 2;
}

size_t bytelevel_decode(struct text token, char *out, size_t capacity)
{
    size_t length = 0;
    for (size_t i = 0; i < token.length; i++, length++) {
        unsigned char lead = (unsigned char)token.bytes[i], byte = lead;
        if (lead >= 0xC2 && lead <= 0xDF && i + 1 < token.length) {
            unsigned char next = (unsigned char)token.bytes[i + 1];
            int known = (next & 0xC0) == 0x80 ? byte_of((lead & 0x1Fu) << 6 | (next & 0x3Fu)) : -1;
            if (known >= 0) {
                byte = (unsigned char)known;
                i++;
            }
        }
        if (length < capacity)
            out[length] = (char)byte;
    }
    return length;
}
