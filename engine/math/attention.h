/* attention.h - one page of keys and values, and attention over a list of pages.
 *
 * A page holds KV_PAGE_TOKENS positions of one layer, all kv heads.  Inside it, per kv head:
 *     KV_F16    K  f16  [KV_PAGE_TOKENS/16][head_size][16]   lanes are positions
 *               V  f16  [KV_PAGE_TOKENS][head_size]          lanes are the head's dimensions
 *     KV_Q8_0   K  int8 [KV_PAGE_TOKENS/16][head_size][16]   then their scales, f16
 *               kd f16  [groups][KV_PAGE_TOKENS]
 *               V  int8 [KV_PAGE_TOKENS][head_size]
 *               vd f16  [groups][KV_PAGE_TOKENS]
 * so that neither product has a horizontal operation.  A group is KV_GROUP dimensions of a head at
 * one position; the last may be shorter.
 *
 * Promise:  what a query attends to depends on its own position alone, not on the batch: page
 *           borders are fixed, positions go in ascending order, online softmax per page.
 * Threads:  different threads may work on different tokens, kv heads or queries.
 * Source:   docs/KERNELS.md holds the canonical arithmetic.
 */
#ifndef MATH_ATTENTION_H
#define MATH_ATTENTION_H

#include "math/kernels.h"

#include <stddef.h>
#include <stdint.h>

enum {
    KV_PAGE_TOKENS = 64,
    KV_GROUP = 32, /* dimensions that share a scale */
    ATTENTION_HEAD_SIZE_MAX = 512,
    ATTENTION_ROWS = 60, /* (token, query) pairs that go through the pages together */
};

enum kv_format { KV_F16, KV_Q8_0 };

/* Bytes of one layer's page. */
size_t kv_page_bytes(int32_t kv_heads, int32_t head_size, enum kv_format format);

/* Store the key and the value (head_size floats each, already rotated) of kv head `kv_head` at
 * `slot` (0..KV_PAGE_TOKENS-1) of a layer's page, rounded to the format. */
void kv_store(void *page, enum kv_format format, int32_t kv_head, int32_t head_size, int32_t slot,
              const float *key, const float *value);

/* The queries of a run of tokens of one sequence that share one kv head. */
struct attention {
    const void *const *pages; /* this layer's pages, position p in pages[p / KV_PAGE_TOKENS] */
    enum kv_format format;
    int32_t position; /* of the first token; the others follow */
    int32_t tokens;   /* each sees the positions up to its own, which are all stored ... */
    int32_t window;   /* ... and of them the last so many; 0: all */
    int32_t kv_head;
    int32_t head_size;  /* a multiple of 8, at most ATTENTION_HEAD_SIZE_MAX */
    int32_t queries;    /* query heads of each token: this kv head's group or some of it */
    size_t stride;      /* floats from a token's queries to the next one's */
    const float *query; /* [tokens][stride], of which [queries][head_size] */
    float *out;         /* the same */
    float scale;        /* usually 1/sqrt(head_size) */
    float softcap;      /* scores are softcap * tanh(score / softcap); 0: as they are */
};

/* out = softmax(scale * query . K) V for each query, with online softmax (Milakov and
 * Gimelshein 2018) over pages in ascending order; pages wholly before the first token's window are
 * neither read nor needed. */
void attention_attend(const struct kernels *kernels, const struct attention *attention);

#endif
