/* attention.c - see attention.h. */
#include "math/attention.h"

#include "base/half.h"
#include "math/table.h"

#include <math.h>
#include <string.h>

enum { POSITIONS = 16 }; /* of a key tile */

size_t kv_page_bytes(int32_t kv_heads, int32_t head_size, enum kv_format format)
{
    const size_t size = (size_t)head_size, groups = (size_t)(head_size + KV_GROUP - 1) / KV_GROUP;
    const size_t row =
        format == KV_F16 ? size * sizeof(uint16_t) : size + groups * sizeof(uint16_t);
    return (size_t)kv_heads * 2 * KV_PAGE_TOKENS * row;
}

/* Element d of slot's key is at key_at(...) + d * POSITIONS. */
static size_t key_at(size_t size, int32_t slot)
{
    return (size_t)(slot / POSITIONS * POSITIONS) * size + (size_t)(slot % POSITIONS);
}

static void store_halves(uint16_t *keys, size_t size, int32_t slot, const float *key,
                         const float *value)
{
    uint16_t *values = keys + (KV_PAGE_TOKENS + (size_t)slot) * size;
    uint16_t *column = keys + key_at(size, slot);
    uint16_t halves[ATTENTION_HEAD_SIZE_MAX];
    for (size_t d = 0; d < size; d++)
        values[d] = half_of_float(value[d]);
    for (size_t d = 0; d < size; d++) /* apart from the scatter: this loop is vector code */
        halves[d] = half_of_float(key[d]);
    for (size_t d = 0; d < size; d++)
        column[d * POSITIONS] = halves[d];
}

/* Round one group to q * scale; returns the scale. */
static uint16_t quantise(int8_t *q, const float *x, size_t count)
{
    uint32_t most = 0; /* of the magnitudes' bits: larger than infinity's when any is NaN */
    for (size_t k = 0; k < count; k++) {
        uint32_t magnitude = float_bits(x[k]) & 0x7fffffff;
        most = magnitude > most ? magnitude : most;
    }
    const uint16_t half = half_of_float(float_of_bits(most) / 127.0f);
    const float scale = half_to_float(half);
    if (!(scale > 0 && isfinite(scale))) { /* zeros; NaN where a half can't hold them */
        memset(q, 0, count);
        return scale > 0 || isnan(scale) ? 0x7e00 : 0;
    }
    const float inverse = 1.0f / scale;
    for (size_t k = 0; k < count; k++) { /* the scale was rounded too: up to 190 with a small one */
        float a = x[k] * inverse;
        a = a < -127.0f ? -127.0f : a;
        a = a > 127.0f ? 127.0f : a;
        q[k] = (int8_t)(int32_t)(a + 0x1.8p23f - 0x1.8p23f); /* to the nearest even integer */
    }
    return half;
}

static void store_bytes(uint8_t *keys, size_t size, int32_t slot, const float *key,
                        const float *value)
{
    const size_t bytes = kv_page_bytes(1, (int32_t)size, KV_Q8_0) / 2;
    int8_t *values = (int8_t *)(keys + bytes) + (size_t)slot * size;
    int8_t *column = (int8_t *)keys + key_at(size, slot), q[KV_GROUP];
    uint16_t *key_scales = (uint16_t *)(void *)(keys + size * KV_PAGE_TOKENS) + slot;
    uint16_t *value_scales = (uint16_t *)(void *)(keys + bytes + size * KV_PAGE_TOKENS) + slot;
    for (size_t d = 0; d < size; d += KV_GROUP) {
        const size_t count = size - d < KV_GROUP ? size - d : KV_GROUP;
        key_scales[d / KV_GROUP * KV_PAGE_TOKENS] = quantise(q, key + d, count);
        value_scales[d / KV_GROUP * KV_PAGE_TOKENS] = quantise(values + d, value + d, count);
        for (size_t k = 0; k < count; k++)
            column[(d + k) * POSITIONS] = q[k];
    }
}

void kv_store(void *page, enum kv_format format, int32_t kv_head, int32_t head_size, int32_t slot,
              const float *key, const float *value)
{
    uint8_t *at = (uint8_t *)page + (size_t)kv_head * kv_page_bytes(1, head_size, format);
    if (format == KV_F16)
        store_halves((uint16_t *)(void *)at, (size_t)head_size, slot, key, value);
    else
        store_bytes(at, (size_t)head_size, slot, key, value);
}

void attention_attend(const struct kernels *kernels, const struct attention *attention)
{
    kernels->attend(attention);
}
