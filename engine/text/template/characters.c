/* characters.c - see characters.h. */
#include "text/template/characters.h"

#include "text/utf8.h"

uint32_t characters_first(struct text text, size_t *length)
{
    static const unsigned char first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned char lead = (unsigned char)text.bytes[0];
    size_t count = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    *length = 1;
    if (count == 1)
        return lead;
    if (count == 0 || count > text.length || utf8_valid_length(text.bytes, count) != count)
        return 0xDC00U + lead;
    uint32_t character = lead & first_bits[count];
    for (size_t i = 1; i < count; i++)
        character = character << 6 | ((unsigned char)text.bytes[i] & 0x3F);
    *length = count;
    return character;
}

size_t characters_length_before(struct text text, size_t end)
{
    for (size_t back = 2; back <= 4 && back <= end; back++) {
        size_t length;
        characters_first((struct text){text.bytes + end - back, back}, &length);
        if (length == back)
            return back;
    }
    return 1;
}

size_t characters_count(struct text text)
{
    size_t count = 0;
    for (size_t at = 0, length; at < text.length; at += length, count++)
        characters_first((struct text){text.bytes + at, text.length - at}, &length);
    return count;
}

size_t characters_offset(struct text text, size_t index)
{
    size_t at = 0;
    for (size_t length; at < text.length && index > 0; at += length, index--)
        characters_first((struct text){text.bytes + at, text.length - at}, &length);
    return at;
}

size_t characters_encode(uint32_t character, char out[4])
{
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t count = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, character >>= 6)
        out[i] = (char)(0x80 | (character & 0x3F));
    out[0] = (char)(leads[count] | character);
    return count;
}

bool characters_is_space(uint32_t character)
{
    return character == ' ' || (character >= '\t' && character <= '\r') ||
           (character >= 0x1C && character <= 0x1F) || character == 0x85 || character == 0xA0 ||
           character == 0x1680 || (character >= 0x2000 && character <= 0x200A) ||
           character == 0x2028 || character == 0x2029 || character == 0x202F ||
           character == 0x205F || character == 0x3000;
}

bool characters_is_printable(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {{0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
                  {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x1680, 0x1680},   {0x180E, 0x180E},
                  {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
                  {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},
                  {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF}};
    if (character < ' ')
        return false;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (character >= hidden[i].first && character <= hidden[i].last)
            return false;
    return true;
}
