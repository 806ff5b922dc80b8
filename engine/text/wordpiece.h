/* wordpiece.h - BERT's words: each is cut into the longest tokens from its start.
 *
 * Words stand between white space; each punctuation character is a word of its own, and so is each
 * CJK ideograph (the normalizer has put spaces around them).  A word that can't be cut to its end
 * becomes the unknown token as a whole.
 *
 * Owns:     a trie of the tokens.
 * Promise:  linear in the text.  CONTROL and UNKNOWN tokens are never produced but for unknown
 *           words, and those are dropped when the vocabulary names no unknown token.
 * Threads:  read-only after opening, any thread.
 * Source:   Schuster, Nakajima, "Japanese and Korean Voice Search"; BertPreTokenizer and WordPiece
 *           of tokenizer.json.
 */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include "text/tokens.h"
#include "text/vocabulary.h"

struct wordpiece;

/* Returns 0, -ENOMEM, or -ENOEXEC for a vocabulary past TRIE_NODES_MAX. */
int wordpiece_open(const struct vocabulary *vocabulary, struct wordpiece **out,
                   struct error *error);
void wordpiece_close(struct wordpiece *wordpiece);

/* What its trie takes. */
size_t wordpiece_bytes(const struct wordpiece *wordpiece);

/* Append the ids of a normalised text.  Returns 0, -ENOMEM or -EMSGSIZE. */
int wordpiece_encode(const struct wordpiece *wordpiece, struct text text, struct tokens *out);

#endif
