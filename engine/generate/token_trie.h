/* token_trie.h - the tokens of a vocabulary by their bytes, for looking at many at once.
 *
 * The nodes lie in depth-first order with the number of those below, so that a walk goes through
 * one array from left to right and skips what a byte has ruled out.
 *
 * Owns:     a copy of the tokens' bytes, as nodes.
 * Promise:  tokens without bytes (control tokens), those that end an answer and those longer than
 *           TOKEN_TRIE_DEPTH_MAX are not in it; equal tokens all are.
 * Threads:  read-only after opening, any thread.
 */
#ifndef GENERATE_TOKEN_TRIE_H
#define GENERATE_TOKEN_TRIE_H

#include "base/error.h"
#include "text/tokenizer.h"

#include <stdint.h>

enum {
    TOKEN_TRIE_DEPTH_MAX = 512,       /* bytes of a token */
    TOKEN_TRIE_BYTES_MAX = 256 << 20, /* of all tokens */
};

struct token_trie_node {
    uint32_t skip;  /* how far the next node is that is not below this one */
    uint16_t depth; /* 1 for the first byte of a token */
    uint8_t byte;
    uint8_t ends;        /* tokens end here */
    int32_t first_token; /* in `tokens`; those that end here go on to the next node's first */
};

struct token_trie {
    struct token_trie_node *nodes;
    size_t node_count;
    int32_t *tokens; /* [token_count], by their bytes */
    size_t token_count;
    int32_t vocabulary; /* every token is below it */
};

/* The tokens of a vocabulary whose ids are below `vocabulary`.  Returns 0, -ENOMEM, or -EMSGSIZE
 * when they have more than TOKEN_TRIE_BYTES_MAX. */
int token_trie_open(const struct tokenizer *tokenizer, int32_t vocabulary, struct token_trie **out,
                    struct error *error);
void token_trie_close(struct token_trie *trie);

#endif
