/* prefix.h - full pages of keys and values, kept for the next text that begins alike.
 *
 * The keys and values of a page follow from the tokens before it and in it, so a page is known by
 * its chain: the known page before it, and its own KV_PAGE_TOKENS tokens.  Chains of different
 * owners never meet: what one user sent can't be found out by how fast an answer to another comes.
 *
 * The notes about a page lie behind its keys and values, so that a page costs what it is charged
 * for, used or kept, and nothing is allocated here.  A page that no sequence uses rests: it stays
 * known until a sequence needs memory that the grant has no more of, and the one that rests longest
 * is given up.  So the index holds what the grant has beyond the running sequences, and never asks
 * for more.
 *
 * Where layers see a window, the first window of a text is known and no more: up to there all of a
 * page is needed by whoever goes on from it.  Further on its window part is given back.
 *
 * Owns:     the pages that rest.
 * Promise:  a page is found by comparing tokens, never by a hash alone; a page that is known is
 *           never written to.  A known page's predecessors are known: a chain rests from its end.
 * Threads:  one.
 * Limits:   PREFIX_BUCKETS hash buckets.
 */
#ifndef GENERATE_PREFIX_H
#define GENERATE_PREFIX_H

#include "generate/kv.h"
#include "math/attention.h"

#include <stdbool.h>

enum { PREFIX_BUCKETS = 4096 };

struct prefix_note; /* about one known page */

struct prefix {
    struct kv *kv;
    int32_t depth_max; /* pages of a chain: those of one window, where layers have one; 0: none */
    struct prefix_note *buckets[PREFIX_BUCKETS];
    struct prefix_note *oldest, *newest; /* of the pages that rest */
};

/* The pages of a model, with room for the notes.  As kv_open(). */
struct kv prefix_open_kv(const struct model_config *config, enum kv_format format,
                         uint64_t granted_bytes);

/* An index of the pages of `kv`, which must outlive it and was opened as above; `window` as of
 * forward_window(). */
void prefix_open(struct prefix *prefix, struct kv *kv, bool enabled, int32_t window);

/* Give all pages back; none may be in use. */
void prefix_close(struct prefix *prefix);

/* A page to write to, its contents arbitrary: as kv_take(), but gives up a page that rests if need
 * be.  It goes back by kv_give(), or becomes known. */
bool prefix_take(struct prefix *prefix, struct forward_page *page);

/* The known page of these KV_PAGE_TOKENS tokens behind `before` (NULL: at a text's beginning), in
 * use once more; NULL when there is none. */
struct prefix_note *prefix_find(struct prefix *prefix, uint32_t owner, struct prefix_note *before,
                                const int32_t *tokens);

/* Make the caller's full page, the `depth_max`-th of its text at most, known.  If an equal one is
 * known already that one is used instead and the caller's goes back.  Returns the note, in use once
 * more. */
struct prefix_note *prefix_add(struct prefix *prefix, uint32_t owner, struct prefix_note *before,
                               const int32_t *tokens, struct forward_page *page);

struct forward_page prefix_page(const struct prefix_note *note);

/* One use less of a page and of all before it (NULL: of none). */
void prefix_release(struct prefix *prefix, struct prefix_note *last);

#endif
