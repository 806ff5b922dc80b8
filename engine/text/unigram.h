/* unigram.h - SentencePiece's unigram model: the segmentation with the highest sum of scores.
 *
 * A character that no token covers costs UNIGRAM_UNKNOWN_PENALTY more than the worst token; a run
 * of them is one unknown token, or their bytes' tokens where the vocabulary has those.  A
 * USER_DEFINED token scores 0.
 *
 * Owns:     a trie of the tokens.
 * Promise:  linear in the text.  CONTROL and UNKNOWN tokens are never produced but for what no
 *           token covers, which is dropped when the vocabulary names no unknown token.
 * Threads:  read-only after opening, any thread; each caller brings a scratch of its own.
 * Limits:   a word longer than WORDS_PIECE_BYTES_MAX is cut there, which bounds the scratch to 20
 *           bytes for each of its bytes.
 * Source:   Kudo, "Subword Regularization" (2018), and SentencePiece.
 */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H

#include "text/tokens.h"
#include "text/vocabulary.h"

#define UNIGRAM_UNKNOWN_PENALTY 10.0f

struct unigram;

/* Returns 0, -ENOMEM, or -ENOEXEC for a vocabulary past TRIE_NODES_MAX. */
int unigram_open(const struct vocabulary *vocabulary, struct unigram **out, struct error *error);
void unigram_close(struct unigram *unigram);

/* What its trie takes. */
size_t unigram_bytes(const struct unigram *unigram);

/* Memory kept from text to text; start from a zeroed struct. */
struct unigram_scratch {
    struct unigram_best *best;
    size_t capacity;
};
void unigram_scratch_free(struct unigram_scratch *scratch);

/* Append the ids of a normalised text, U+2581 for its spaces.  Returns 0, -ENOMEM or -EMSGSIZE. */
int unigram_encode(const struct unigram *unigram, struct text text, struct unigram_scratch *scratch,
                   struct tokens *out);

#endif
