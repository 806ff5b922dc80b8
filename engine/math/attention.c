/* attention.c - see attention.h. */
#include "math/attention.h"

#include "base/half.h"
#include "math/table.h"

enum { POSITIONS = 16 }; /* of a key tile */

size_t kv_page_bytes(int32_t kv_heads, int32_t head_size)
{
    return (size_t)kv_heads * (size_t)head_size * 2 * KV_PAGE_TOKENS * sizeof(uint16_t);
}

void kv_store(void *page, int32_t kv_head, int32_t head_size, int32_t slot, const float *key,
              const float *value)
{
    size_t size = (size_t)head_size;
    uint16_t *keys = (uint16_t *)page + (size_t)kv_head * 2 * KV_PAGE_TOKENS * size;
    uint16_t *values = keys + (KV_PAGE_TOKENS + (size_t)slot) * size;
    uint16_t *column = keys + (size_t)(slot / POSITIONS * POSITIONS) * size + slot % POSITIONS;
    uint16_t halves[ATTENTION_HEAD_SIZE_MAX];
    for (size_t d = 0; d < size; d++)
        values[d] = half_of_float(value[d]);
    for (size_t d = 0; d < size; d++) /* apart from the scatter: this loop is vector code */
        halves[d] = half_of_float(key[d]);
    for (size_t d = 0; d < size; d++)
        column[d * POSITIONS] = halves[d];
}

void attention_attend(const struct kernels *kernels, const struct attention *attention)
{
    kernels->attend(attention);
}
