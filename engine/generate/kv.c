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

struct kv kv_open(const size_t part_bytes[FORWARD_PARTS], uint64_t granted_bytes)
{
    struct kv kv = {.granted_bytes = granted_bytes};
    memcpy(kv.part_bytes, part_bytes, sizeof kv.part_bytes);
    return kv;
}

static void *pop_free(struct kv *kv, enum forward_part part)
{
    void *memory = kv->free[part];
    memcpy(&kv->free[part], memory, sizeof memory);
    return memory;
}

static void unmap_free(struct kv *kv, enum forward_part part)
{
    munmap(pop_free(kv, part), kv->part_bytes[part]);
    kv->mapped_bytes -= kv->part_bytes[part];
}

void kv_close(struct kv *kv)
{
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
        while (kv->free[part])
            unmap_free(kv, part);
    *kv = (struct kv){0};
}

void kv_grant(struct kv *kv, uint64_t bytes)
{
    if (__builtin_add_overflow(kv->granted_bytes, bytes, &kv->granted_bytes))
        kv->granted_bytes = UINT64_MAX;
}

uint64_t kv_page_total(const struct kv *kv)
{
    return kv->part_bytes[FORWARD_GLOBAL] + kv->part_bytes[FORWARD_WINDOW];
}

uint64_t kv_available(const struct kv *kv)
{
    return (kv->granted_bytes - kv->used_bytes) / kv_page_total(kv);
}

/* Within the grant: the caller has seen to it that there is room once the other kind's free parts
 * have gone. */
static void *take_part(struct kv *kv, enum forward_part part)
{
    const enum forward_part other = part == FORWARD_GLOBAL ? FORWARD_WINDOW : FORWARD_GLOBAL;
    const size_t bytes = kv->part_bytes[part];
    void *memory = NULL;
    if (kv->free[part]) {
        memory = pop_free(kv, part);
    } else {
        while (kv->mapped_bytes + bytes > kv->granted_bytes)
            unmap_free(kv, other);
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return NULL;
        kv->mapped_bytes += bytes;
    }
    kv->used_bytes += bytes;
    return memory;
}

bool kv_take(struct kv *kv, struct forward_page *page)
{
    *page = (struct forward_page){0};
    if (kv->granted_bytes - kv->used_bytes - kv->resting_bytes < kv_page_total(kv))
        return false;
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++) {
        if (kv->part_bytes[part] == 0)
            continue;
        page->parts[part] = take_part(kv, part);
        if (!page->parts[part]) {
            kv_give(kv, page);
            return false;
        }
    }
    return true;
}

void kv_give_part(struct kv *kv, struct forward_page *page, enum forward_part part)
{
    void *memory = page->parts[part];
    if (!memory)
        return;
    memcpy(memory, &kv->free[part], sizeof memory);
    kv->free[part] = memory;
    kv->used_bytes -= kv->part_bytes[part];
    page->parts[part] = NULL;
}

void kv_give(struct kv *kv, struct forward_page *page)
{
    for (enum forward_part part = 0; part < FORWARD_PARTS; part++)
        kv_give_part(kv, page, part);
}

void kv_rest(struct kv *kv)
{
    kv->used_bytes -= kv_page_total(kv);
    kv->resting_bytes += kv_page_total(kv);
}

void kv_wake(struct kv *kv)
{
    kv->resting_bytes -= kv_page_total(kv);
    kv->used_bytes += kv_page_total(kv);
}

uint64_t kv_missing_bytes(const struct kv *kv, uint64_t bytes)
{
    uint64_t wanted;
    if (__builtin_add_overflow(kv->used_bytes, bytes, &wanted))
        wanted = UINT64_MAX;
    return wanted > kv->granted_bytes ? wanted - kv->granted_bytes : 0;
}
