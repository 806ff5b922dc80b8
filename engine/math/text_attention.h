/* text_attention.h - attention inside one text, whose tokens all see each other.
 *
 * Promise:  as kernels.h; a text's result depends on nothing but the text.
 * Threads:  different threads may work on different heads and texts.
 * Source:   Vaswani et al. 2017.
 */
#ifndef MATH_TEXT_ATTENTION_H
#define MATH_TEXT_ATTENTION_H

#include "math/kernels.h"

#include <stddef.h>
#include <stdint.h>

enum { TEXT_QUERIES = 4 }; /* that share each load of a key or a value */

/* One head of one text.  A token's query, key, value and result have head_size floats; the next
 * token's are a stride further. */
struct text_attention {
    int32_t count; /* tokens */
    int32_t head_size;
    const float *query;
    float *out;
    size_t query_stride; /* of `out`, too */
    const float *key, *value;
    size_t key_stride; /* of `value`, too */
    float scale;       /* of the scores, usually 1/sqrt(head_size) */
    float *room;       /* text_attention_room() floats, aligned to 64 bytes */
};

size_t text_attention_room(int32_t count, int32_t head_size);

/* out = softmax(scale * query . K) V for every token. */
void text_attention_attend(const struct kernels *kernels, const struct text_attention *attention);

#endif
