/* constraint.h - an answer that follows a grammar, token by token.
 *
 * Owns:     the compiled grammar, the state of the answer, and masks of tokens that it has
 *           computed.
 * Promise:  a token is allowed if and only if its bytes can go on to a text of the grammar; a token
 *           that ends an answer if and only if the text is complete.  What can't be decided within
 *           the limits is an error: nothing is ever allowed because it could not be decided.
 * Threads:  one a constraint; the trie is shared.
 * Limits:   those of grammar.h and matcher.h; masks of CONSTRAINT_MASK_BYTES_MAX.
 */
#ifndef GENERATE_CONSTRAINT_H
#define GENERATE_CONSTRAINT_H

#include "generate/token_trie.h"

#include <stdbool.h>

enum {
    CONSTRAINT_MASK_BYTES_MAX = 4 << 20,
    CONSTRAINT_MASKS_MAX = 256, /* states whose masks are kept, if they are small */
};

struct constraint;

enum constraint_kind { CONSTRAINT_GRAMMAR, CONSTRAINT_SCHEMA };

/* Compile and start.  The trie and the tokenizer must outlive it.  Returns 0, -ENOMEM, -EINVAL (see
 * grammar.h), or -EMSGSIZE. */
int constraint_open(enum constraint_kind kind, struct text source,
                    const struct tokenizer *tokenizer, const struct token_trie *trie,
                    struct constraint **out, struct error *error);
void constraint_close(struct constraint *constraint);

/* Set the logits of tokens that may not come next to -INFINITY.  `count` is the trie's vocabulary.
 * Returns how many tokens may (0: the text is complete, and there is no token that ends an answer),
 * or
 *   -EMSGSIZE  a limit of the matcher
 *   -EILSEQ    the grammar asks for bytes that no token has
 *   -ENOMEM */
int32_t constraint_mask(struct constraint *constraint, float *logits, int32_t count,
                        struct error *error);

/* The answer goes on with this token (one that ends it changes nothing).  Returns 0, -EINVAL when
 * it is not allowed, -EMSGSIZE or -ENOMEM. */
int constraint_accept(struct constraint *constraint, int32_t token, struct error *error);

/* Nothing can follow any more. */
bool constraint_is_finished(const struct constraint *constraint);

#endif
