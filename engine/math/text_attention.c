/* text_attention.c - see text_attention.h. */
#include "math/text_attention.h"

#include "math/table.h"

static size_t rounded(int32_t count)
{
    return ((size_t)count + 15) / 16 * 16;
}

size_t text_attention_room(int32_t count, int32_t head_size)
{
    const size_t keys = rounded(count) * (size_t)head_size;
    const size_t values = (size_t)count * rounded(head_size);
    return keys + values + TEXT_QUERIES * rounded(count);
}

void text_attention_attend(const struct kernels *kernels, const struct text_attention *attention)
{
    kernels->wide->attend_text(attention);
}
