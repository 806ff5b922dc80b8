/* tokens.h - a growing list of token ids.
 *
 * Owns:     its ids; start from a zeroed struct, end with tokens_free().
 * Threads:  one list belongs to one thread at a time.
 * Limits:   TOKENS_MAX ids.
 */
#ifndef TEXT_TOKENS_H
#define TEXT_TOKENS_H

#include <stddef.h>
#include <stdint.h>

enum { TOKENS_MAX = 128 << 20 };

struct tokens {
    int32_t *ids;
    size_t count;
    size_t capacity;
};

/* Returns 0, -ENOMEM, or -EMSGSIZE past TOKENS_MAX; the list is unchanged on failure. */
int tokens_append(struct tokens *tokens, int32_t id);

/* The list is empty and usable again. */
void tokens_free(struct tokens *tokens);

#endif
