/* charsmap.h - the precompiled character map of SentencePiece: what a prefix of a text becomes.
 *
 * The map is the size of a trie in bytes (u32, little-endian), the trie, and a pool of strings that
 * end with 0.  The trie is a Darts-clone double array of u32 units: bits 0-7 and 31 are the label,
 * bit 8 says that a string ends here, bits 10-30 (times 256 when bit 9 is set) lead to the children
 * by XOR.  The value of an end is an offset into the pool.
 *
 * Owns:     nothing; the map lies in the model file and is never trusted.
 * Promise:  no read outside the map, whatever it holds; a walk ends after CHARSMAP_PREFIX_BYTES_MAX
 *           bytes of the text.
 * Threads:  pure functions.
 * Source:   SentencePiece's normalizer.cc and Darts-clone describe the format.
 */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H

#include "base/error.h"
#include "base/text.h"

enum { CHARSMAP_PREFIX_BYTES_MAX = 64 };

/* Do the sizes agree?  Returns 0 or -ENOEXEC. */
int charsmap_check(struct text map, struct error *error);

/* The longest prefix of `text` in a checked map: returns its length and where *to points to what it
 * becomes, or 0. */
size_t charsmap_find(struct text map, struct text text, struct text *to);

#endif
