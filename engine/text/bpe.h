/* bpe.h - byte-pair merging of one piece of text into token ids.
 *
 * A piece starts as one token per byte, or per character where the rule says so; then, again and
 * again, the neighbours whose merge has the lowest rank (leftmost of equals) become one token.
 *
 * Owns:     its tables; they view the vocabulary's strings.
 * Promise:  n log n in the piece.  CONTROL and UNKNOWN tokens are never produced.
 * Threads:  read-only after opening, any thread; each caller brings a scratch of its own.
 * Limits:   a piece longer than BPE_PIECE_BYTES_MAX is cut there, which bounds the scratch to
 *           32 bytes for each of its bytes.  A character that has no token is its bytes; a byte
 * that has none is dropped.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "base/memory.h"
#include "text/tokens.h"
#include "text/vocabulary.h"

enum { BPE_PIECE_BYTES_MAX = 1 << 20 };

struct bpe;

/* By the vocabulary's rule.  Returns 0, -ENOMEM, or -ENOEXEC for a merge that is not two strings.
 */
int bpe_open(const struct vocabulary *vocabulary, struct bpe **out, struct error *error);
void bpe_close(struct bpe *bpe);

/* What its tables take, in its own memory or in the file that they lie in. */
size_t bpe_bytes(const struct bpe *bpe);

/* Memory for long pieces, kept from piece to piece; start from a zeroed struct. */
struct bpe_scratch {
    struct bpe_symbol *symbols;
    size_t symbol_capacity;
    uint64_t *heap;
    size_t heap_capacity;
};
void bpe_scratch_free(struct bpe_scratch *scratch);

/* Append the ids of `piece`.  Returns 0, -ENOMEM or -EMSGSIZE. */
int bpe_encode(const struct bpe *bpe, struct text piece, struct bpe_scratch *scratch,
               struct tokens *out);

#endif
