/* gguf_pages.c - the pages of a model's files: which are in the page cache, and bringing them
 * there.
 *
 * Looking takes the kernel 25 to 100 ns a page: 5 to 20 ms for 800 MB.  So of large files a
 * sixteenth is looked at first, spread evenly: if all of that is cached, so is the rest, as far as
 * it matters.  What the kernel takes from the cache it takes here and there, which shows, or in
 * long runs.  Otherwise all threads look, a window at a time, whoever is free.  Reading is one
 * thread's work, in the order of the file, as disks want it. */
#include "load/gguf_internal.h"

#include "base/threads.h"

#include <stdatomic.h>

enum {
    WINDOWS_PER_THREAD = 16, /* fewer are not worth waking another for */
    SAMPLED_BYTES_MIN = 128 << 20,
    SAMPLE_BYTES = MAPPING_WINDOW_BYTES / 16,
};

struct look {
    const struct gguf *gguf;
    atomic_size_t next; /* the first window that nobody has looked at, over all parts */
    atomic_uint_fast64_t resident_bytes;
    atomic_bool unproven;
};

static size_t window_count(const struct mapping *part)
{
    return (part->length + MAPPING_WINDOW_BYTES - 1) / MAPPING_WINDOW_BYTES;
}

/* The part that a window over all parts is of, and its offset there; NULL past the last. */
static const struct mapping *find_window(const struct gguf *gguf, size_t window, size_t *offset)
{
    for (size_t i = 0; i < gguf->part_count; i++) {
        size_t count = window_count(&gguf->parts[i]);
        if (window < count) {
            *offset = window * MAPPING_WINDOW_BYTES;
            return &gguf->parts[i];
        }
        window -= count;
    }
    return NULL;
}

static void look_at_windows(const struct team *team, void *argument)
{
    struct look *look = argument;
    const struct mapping *part;
    uint64_t bytes = 0;
    bool proven = true;
    size_t offset;
    (void)team;
    while ((part = find_window(look->gguf, atomic_fetch_add(&look->next, 1), &offset)))
        bytes += mapping_resident_bytes(part, offset, &proven);
    atomic_fetch_add(&look->resident_bytes, bytes);
    if (!proven)
        atomic_store(&look->unproven, true);
}

/* Are the beginning of each window and the end of each file cached? */
static bool is_sample_cached(const struct gguf *gguf)
{
    for (size_t i = 0; i < gguf->part_count; i++) {
        const struct mapping *part = &gguf->parts[i];
        if (part->length == 0)
            continue;
        for (size_t at = 0; at < part->length; at += MAPPING_WINDOW_BYTES)
            if (!mapping_is_cached(part, at, SAMPLE_BYTES))
                return false;
        size_t last = (part->length - 1) / SAMPLE_BYTES * SAMPLE_BYTES;
        if (!mapping_is_cached(part, last, SAMPLE_BYTES))
            return false;
    }
    return true;
}

uint64_t gguf_resident_bytes(const struct gguf *gguf, struct threads *threads, bool *cached)
{
    struct look look = {.gguf = gguf};
    *cached = gguf_file_bytes(gguf) >= SAMPLED_BYTES_MIN && is_sample_cached(gguf);
    if (*cached)
        return gguf_file_bytes(gguf);
    uint64_t windows = gguf_file_bytes(gguf) / MAPPING_WINDOW_BYTES;
    int helpers = windows / WINDOWS_PER_THREAD < THREADS_MAX ? (int)windows / WINDOWS_PER_THREAD
                                                             : THREADS_MAX;
    threads_run(threads, 1 + helpers, look_at_windows, &look); /* as many as there are */
    *cached = !look.unproven;
    return look.resident_bytes;
}

int gguf_populate(const struct gguf *gguf, struct error *error)
{
    int status = 0;
    for (size_t i = 0; i < gguf->part_count && !status; i++)
        status = mapping_populate(&gguf->parts[i], error);
    return status;
}
