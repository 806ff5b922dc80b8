/* tokenizer.h - text <-> token ids.
 *
 * Owns:     what the model needs, the pre-tokenizer and the special strings; the token strings stay
 *           in the model file, so the vocabulary (and the mapping behind it) must outlive it.
 * Promise:  encoding is linear (or n log n) in the text: no pattern, run or vocabulary makes it
 *           quadratic.  Every byte string can be encoded, valid UTF-8 or not.  With BPE and SPM it
 *           decodes to the same bytes where the vocabulary has all 256 of them; a byte without a
 *           token is dropped (SmolLM2 lacks 21: some control characters, and bytes that UTF-8
 *           rarely or never has).  The other models, and steps of a normalizer, change the text.
 * Threads:  read-only after opening, any thread.
 * Limits:   a text of TOKENIZER_TEXT_BYTES_MAX.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/tokens.h"
#include "text/vocabulary.h"

#include <stddef.h>

enum { TOKENIZER_TEXT_BYTES_MAX = 64 << 20 };

struct tokenizer;

/* Returns 0, -ENOMEM, or -ENOEXEC naming an unknown tokenizer model or pre-tokenizer, or a merge
 * that is not two strings. */
int tokenizer_open(const struct vocabulary *vocabulary, struct tokenizer **out,
                   struct error *error);
void tokenizer_close(struct tokenizer *tokenizer);

/* What it takes beside the vocabulary: its tables, and nothing of a text that is being encoded. */
size_t tokenizer_bytes(const struct tokenizer *tokenizer);

/* What a text is, combined with |. */
enum tokenizer_text {
    TOKENIZER_PLAIN = 0,     /* a user's: only USER_DEFINED tokens match */
    TOKENIZER_SPECIAL = 1,   /* the template's: CONTROL and UNKNOWN tokens match too */
    TOKENIZER_CONTINUES = 2, /* goes on where another ended: gets no prefix for a start */
};

/* Append the ids of `text` to *out; adds no BOS or EOS.  Returns 0, -ENOMEM or -EMSGSIZE; *out
 * keeps its old ids on failure. */
int tokenizer_encode(const struct tokenizer *tokenizer, struct text text, enum tokenizer_text kind,
                     struct tokens *out);

/* The bytes of one token as they stand in a completion: byte-level characters and byte tokens
 * decoded, U+2581 a space where the model writes it for one (WordPiece: before each word), CONTROL
 * and UNKNOWN tokens empty unless `special`.  The result may be part of a UTF-8 character.  Writes
 * up to `capacity` bytes into `out`, returns the token's full length, or -EINVAL for an id out of
 * range. */
long tokenizer_decode(const struct tokenizer *tokenizer, int32_t id, bool special, char *out,
                      size_t capacity);

/* No decoded token has more bytes. */
size_t tokenizer_piece_bytes_max(const struct tokenizer *tokenizer);

/* Does this token end a generation (eos, eot, eom and the well-known end strings)? */
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id);

/* The id that starts a prompt, or VOCABULARY_NONE when this model adds none.  None ends one,
 * whatever the file's add_eos_token says: what is completed has not ended. */
int32_t tokenizer_bos(const struct tokenizer *tokenizer);

/* Does encoding put a space before a text, which the first decoded token then begins with? */
bool tokenizer_adds_space(const struct tokenizer *tokenizer);

/* The id of an exact special token string, or VOCABULARY_NONE. */
int32_t tokenizer_special_id(const struct tokenizer *tokenizer, struct text string);

/* The next CONTROL or UNKNOWN token's string in the text, at or after `from`: its id and bounds,
 * with the white space that it takes, or VOCABULARY_NONE. */
int32_t tokenizer_next_special(const struct tokenizer *tokenizer, struct text text, size_t from,
                               size_t *begin, size_t *end);

int32_t tokenizer_vocabulary_size(const struct tokenizer *tokenizer);

#endif
