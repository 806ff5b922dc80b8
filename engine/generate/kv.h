/* kv.h - the pages that hold keys and values, and how much of them was granted.
 *
 * A page holds KV_PAGE_TOKENS positions of all layers of one sequence.  Pages come from the kernel
 * when they are first needed and go to a list of free pages afterwards, never back: the grant is
 * what the model is charged for, whether its pages are in use or not.
 *
 * Owns:     every page.
 * Promise:  pages times page bytes never pass the grant.
 * Threads:  one.
 */
#ifndef GENERATE_KV_H
#define GENERATE_KV_H

#include <stddef.h>
#include <stdint.h>

struct kv {
    size_t page_bytes; /* a multiple of the system's page */
    uint64_t granted_bytes;
    uint64_t pages; /* that exist, used or free */
    uint64_t used;  /* of them */
    void *free;     /* the first free page; each begins with the address of the next */
};

/* What a page of at least `bytes` takes: whole pages of the system. */
size_t kv_round(size_t bytes);

/* `page_bytes` as from kv_round().  Nothing is allocated yet. */
struct kv kv_open(size_t page_bytes, uint64_t granted_bytes);

/* Unmap every page; those in use must have been given back. */
void kv_close(struct kv *kv);

/* Allow `bytes` more. */
void kv_grant(struct kv *kv, uint64_t bytes);

/* How many more pages may be taken. */
uint64_t kv_available(const struct kv *kv);

/* A page, its contents arbitrary.  NULL when none is available, or the system has no memory. */
void *kv_take(struct kv *kv);
void kv_give(struct kv *kv, void *page);

/* The bytes that must be granted before `pages` more can be taken; 0 when they can be now. */
uint64_t kv_missing_bytes(const struct kv *kv, uint64_t pages);

#endif
