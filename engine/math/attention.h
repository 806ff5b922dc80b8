/* attention.h - one page of keys and values, and attention over a list of pages.
 *
 * A page holds KV_PAGE_TOKENS positions of one layer, all kv heads.  Inside it, per kv head:
 *     K  f16 [KV_PAGE_TOKENS/16][head_size][16]   lanes are positions
 *     V  f16 [KV_PAGE_TOKENS][head_size]          lanes are the head's dimensions
 * so that neither product has a horizontal operation.
 *
 * Promise:  what a query attends to depends on its own position alone, not on the batch: page
 *           borders are fixed, positions go in ascending order, online softmax per page.
 * Threads:  different threads may work on different (token, kv head) pairs.
 */
#ifndef MATH_ATTENTION_H
#define MATH_ATTENTION_H

#include "math/kernels.h"

#include <stddef.h>
#include <stdint.h>

enum { KV_PAGE_TOKENS = 64, ATTENTION_HEAD_SIZE_MAX = 512 };

/* Bytes of one layer's page. */
size_t kv_page_bytes(int32_t kv_heads, int32_t head_size);

/* Store the key and the value (head_size floats each, already rotated) of kv head `kv_head` at
 * `slot` (0..KV_PAGE_TOKENS-1) of a layer's page, rounded to f16 (to nearest even). */
void kv_store(void *page, int32_t kv_head, int32_t head_size, int32_t slot, const float *key,
              const float *value);

/* The queries of one token that share one kv head. */
struct attention {
    const void *const *pages; /* this layer's pages, position p in pages[p / KV_PAGE_TOKENS] */
    int32_t first;            /* positions first..length-1 are attended to; first < length */
    int32_t length;
    int32_t kv_head;
    int32_t head_size;  /* a multiple of 8, at most ATTENTION_HEAD_SIZE_MAX */
    int32_t queries;    /* query heads of this kv head's group */
    const float *query; /* [queries][head_size] */
    float *out;         /* [queries][head_size] */
    float scale;        /* usually 1/sqrt(head_size) */
    float softcap;      /* scores are softcap * tanh(score / softcap); 0: as they are */
};

/* out = softmax(scale * query . K) V for each query, with online softmax (Milakov and
 * Gimelshein 2018) over pages in ascending order; pages wholly before `first` are
 * neither read nor needed. */
void attention_attend(const struct kernels *kernels, const struct attention *attention);

#endif
