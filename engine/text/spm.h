/* spm.h - SentencePiece's BPE: characters merged by the score of what they become.
 *
 * Again and again the two neighbours whose concatenation is the token with the highest score
 * (leftmost of equals) become one.  A character that is no token becomes its bytes' tokens.
 *
 * Owns:     a table of the token strings, which it views.
 * Promise:  n log n in the text.  CONTROL, UNKNOWN and BYTE tokens are never produced by merging.
 * Threads:  read-only after opening, any thread; each caller brings a scratch of its own.
 * Limits:   a text is merged in pieces of WORDS_PIECE_BYTES_MAX, which bounds the scratch to 44
 *           bytes for each of its bytes; a token longer than SPM_TOKEN_BYTES_MAX is not merged to.
 *           A byte that has no token becomes the unknown token, or nothing where there is none.
 * Source:   SentencePiece (Kudo, Richardson 2018), with llama.cpp's reading of the spaces.
 */
#ifndef TEXT_SPM_H
#define TEXT_SPM_H

#include "base/memory.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

enum { SPM_TOKEN_BYTES_MAX = 512 };

struct spm;

/* Returns 0 or -ENOMEM. */
int spm_open(const struct vocabulary *vocabulary, struct spm **out);
void spm_close(struct spm *spm);

/* What its tables take. */
size_t spm_bytes(const struct spm *spm);

/* Memory kept from text to text; start from a zeroed struct. */
struct spm_scratch {
    struct buffer escaped;
    struct spm_symbol *symbols;
    size_t symbol_capacity;
    uint64_t *heap;
    size_t heap_capacity;
};
void spm_scratch_free(struct spm_scratch *scratch);

/* Append the ids of `text`, which begins as if after a space where the vocabulary says so.  Returns
 * 0, -ENOMEM or -EMSGSIZE. */
int spm_encode(const struct spm *spm, struct text text, struct spm_scratch *scratch,
               struct tokens *out);

#endif
