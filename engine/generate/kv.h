/* kv.h - the pages that hold keys and values, and how much of them was granted.
 *
 * A page holds KV_PAGE_TOKENS positions of one sequence, in parts: of the layers that see the whole
 * text, and of those that see a window of it.  Parts come from the kernel when they are first
 * needed and go to a list of free ones afterwards: the grant is what the model is charged for,
 * whether its pages are in use or not.  A free part goes back to the kernel when the other kind
 * needs its memory.
 *
 * Owns:     every page.
 * Promise:  what is mapped never passes the grant.
 * Threads:  one.
 */
#ifndef GENERATE_KV_H
#define GENERATE_KV_H

#include "model/forward.h"

#include <stddef.h>
#include <stdint.h>

struct kv {
    size_t part_bytes[FORWARD_PARTS]; /* multiples of the system's page; 0: no such part */
    uint64_t granted_bytes;
    uint64_t mapped_bytes;     /* used, at rest, or free */
    uint64_t used_bytes;       /* of them, and not at rest */
    uint64_t resting_bytes;    /* see kv_rest() */
    void *free[FORWARD_PARTS]; /* the first free one; each begins with the address of the next */
};

/* What a part of `bytes` takes: whole pages of the system. */
size_t kv_round(size_t bytes);

/* `part_bytes` as from kv_round().  Nothing is allocated yet. */
struct kv kv_open(const size_t part_bytes[FORWARD_PARTS], uint64_t granted_bytes);

/* Unmap every page; those in use must have been given back. */
void kv_close(struct kv *kv);

/* Allow `bytes` more. */
void kv_grant(struct kv *kv, uint64_t bytes);

/* Bytes of a whole page. */
uint64_t kv_page_total(const struct kv *kv);

/* How many more whole pages may be taken, or woken. */
uint64_t kv_available(const struct kv *kv);

/* A whole page, its contents arbitrary.  False when none is available that does not rest, or the
 * system has no memory. */
bool kv_take(struct kv *kv, struct forward_page *page);

/* What is there of a page goes back: all of it, or one part. */
void kv_give(struct kv *kv, struct forward_page *page);
void kv_give_part(struct kv *kv, struct forward_page *page, enum forward_part part);

/* A whole page in use rests from now on: its contents stay, and whoever keeps it wakes it as soon
 * as nothing else is left to take. */
void kv_rest(struct kv *kv);
void kv_wake(struct kv *kv);

/* The bytes that must be granted before `bytes` more can be taken; 0 when they can be now. */
uint64_t kv_missing_bytes(const struct kv *kv, uint64_t bytes);

#endif
