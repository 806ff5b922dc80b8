/* prefix.c - see prefix.h. */
#include "generate/prefix.h"

#include <string.h>
#include <xxhash.h>

struct prefix_note {
    struct forward_page page;
    struct prefix_note *before;        /* NULL: the text begins here */
    struct prefix_note *next;          /* in its bucket */
    struct prefix_note *older, *newer; /* while it rests */
    uint64_t key;                      /* a hash of the chain up to here */
    uint32_t owner;
    uint32_t users; /* sequences; 0: it rests */
    int32_t tokens[KV_PAGE_TOKENS];
};

/* The part that has the note about a page at its end. */
static enum forward_part noted_part(const size_t part_bytes[FORWARD_PARTS])
{
    return part_bytes[FORWARD_GLOBAL] ? FORWARD_GLOBAL : FORWARD_WINDOW;
}

struct kv prefix_open_kv(const struct model_config *config, enum kv_format format,
                         uint64_t granted_bytes)
{
    size_t bytes[FORWARD_PARTS];
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
        bytes[part] = forward_part_bytes(config, part, format);
    bytes[noted_part(bytes)] += sizeof(struct prefix_note);
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
        bytes[part] = kv_round(bytes[part]);
    return kv_open(bytes, granted_bytes);
}

void prefix_open(struct prefix *prefix, struct kv *kv, bool enabled, int32_t window)
{
    *prefix = (struct prefix){.kv = kv};
    if (enabled)
        prefix->depth_max = window ? window / KV_PAGE_TOKENS : INT32_MAX;
}

struct forward_page prefix_page(const struct prefix_note *note)
{
    return note->page;
}

static struct prefix_note *note_of(const struct prefix *prefix, const struct forward_page *page)
{
    const enum forward_part part = noted_part(prefix->kv->part_bytes);
    return (struct prefix_note *)((char *)page->parts[part] + prefix->kv->part_bytes[part]) - 1;
}

static struct prefix_note **bucket_of(struct prefix *prefix, uint64_t key)
{
    return &prefix->buckets[key % PREFIX_BUCKETS];
}

/* ---- those that rest, the oldest first ---- */

static void rest(struct prefix *prefix, struct prefix_note *note)
{
    note->newer = NULL;
    note->older = prefix->newest;
    *(note->older ? &note->older->newer : &prefix->oldest) = note;
    prefix->newest = note;
    kv_rest(prefix->kv);
}

static void wake(struct prefix *prefix, struct prefix_note *note)
{
    *(note->older ? &note->older->newer : &prefix->oldest) = note->newer;
    *(note->newer ? &note->newer->older : &prefix->newest) = note->older;
    kv_wake(prefix->kv);
}

/* Nothing known comes behind the oldest: whoever used that would have used this too, and for
 * longer, since chains are released from their end. */
static void give_up_oldest(struct prefix *prefix)
{
    struct prefix_note *note = prefix->oldest, **link = bucket_of(prefix, note->key);
    wake(prefix, note);
    while (*link != note)
        link = &(*link)->next;
    *link = note->next;
    struct forward_page page = note->page; /* the note lies in it */
    kv_give(prefix->kv, &page);
}

/* ---- the index ---- */

static uint64_t key_of(uint32_t owner, const struct prefix_note *before, const int32_t *tokens)
{
    return XXH3_64bits_withSeed(tokens, KV_PAGE_TOKENS * sizeof *tokens,
                                before ? before->key : owner);
}

static struct prefix_note *look_up(struct prefix *prefix, uint64_t key, uint32_t owner,
                                   const struct prefix_note *before, const int32_t *tokens)
{
    struct prefix_note *note = *bucket_of(prefix, key);
    while (note && (note->key != key || note->owner != owner || note->before != before ||
                    memcmp(note->tokens, tokens, sizeof note->tokens) != 0))
        note = note->next;
    return note;
}

static struct prefix_note *use(struct prefix *prefix, struct prefix_note *note)
{
    if (note && note->users++ == 0)
        wake(prefix, note);
    return note;
}

struct prefix_note *prefix_find(struct prefix *prefix, uint32_t owner, struct prefix_note *before,
                                const int32_t *tokens)
{
    return use(prefix, look_up(prefix, key_of(owner, before, tokens), owner, before, tokens));
}

struct prefix_note *prefix_add(struct prefix *prefix, uint32_t owner, struct prefix_note *before,
                               const int32_t *tokens, struct forward_page *page)
{
    const uint64_t key = key_of(owner, before, tokens);
    struct prefix_note *known = use(prefix, look_up(prefix, key, owner, before, tokens));
    if (known) {
        kv_give(prefix->kv, page);
        return known;
    }
    struct prefix_note *note = note_of(prefix, page), **bucket = bucket_of(prefix, key);
    *note = (struct prefix_note){
        .page = *page, .before = before, .next = *bucket, .key = key, .owner = owner, .users = 1};
    memcpy(note->tokens, tokens, sizeof note->tokens);
    *bucket = note;
    return note;
}

void prefix_release(struct prefix *prefix, struct prefix_note *last)
{
    for (struct prefix_note *note = last; note; note = note->before)
        if (--note->users == 0)
            rest(prefix, note);
}

bool prefix_take(struct prefix *prefix, struct forward_page *page)
{
    if (kv_take(prefix->kv, page))
        return true;
    if (!prefix->oldest)
        return false;
    give_up_oldest(prefix);
    return kv_take(prefix->kv, page);
}

void prefix_close(struct prefix *prefix)
{
    while (prefix->oldest)
        give_up_oldest(prefix);
}
