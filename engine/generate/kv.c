/* kv.c - see kv.h. */
#include "generate/kv.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

size_t kv_round(size_t bytes)
{
    size_t unit = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + unit - 1) / unit * unit;
}

struct kv kv_open(size_t page_bytes, uint64_t granted_bytes)
{
    return (struct kv){.page_bytes = page_bytes, .granted_bytes = granted_bytes};
}

static void *pop_free(struct kv *kv)
{
    void *page = kv->free;
    memcpy(&kv->free, page, sizeof kv->free);
    return page;
}

void kv_close(struct kv *kv)
{
    while (kv->free)
        munmap(pop_free(kv), kv->page_bytes);
    *kv = (struct kv){0};
}

void kv_grant(struct kv *kv, uint64_t bytes)
{
    if (__builtin_add_overflow(kv->granted_bytes, bytes, &kv->granted_bytes))
        kv->granted_bytes = UINT64_MAX;
}

uint64_t kv_available(const struct kv *kv)
{
    return kv->granted_bytes / kv->page_bytes - kv->used;
}

void *kv_take(struct kv *kv)
{
    void *page;
    if (kv_available(kv) == 0)
        return NULL;
    if (kv->free) {
        page = pop_free(kv);
    } else {
        page =
            mmap(NULL, kv->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return NULL;
        kv->pages++;
    }
    kv->used++;
    return page;
}

void kv_give(struct kv *kv, void *page)
{
    memcpy(page, &kv->free, sizeof kv->free);
    kv->free = page;
    kv->used--;
}

uint64_t kv_missing_bytes(const struct kv *kv, uint64_t pages)
{
    uint64_t wanted;
    if (__builtin_mul_overflow(kv->used + pages, kv->page_bytes, &wanted))
        wanted = UINT64_MAX;
    return wanted > kv->granted_bytes ? wanted - kv->granted_bytes : 0;
}
