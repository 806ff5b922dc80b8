/* mapping.c - see mapping.h.
 *
 * Everything goes by windows: the answer of mincore(2) fits a small buffer however large the file
 * is, and an error while reading can say where.
 */
#include "load/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14; older C library headers lack it */
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5, the same on every machine */
#endif

enum { PAGE_BYTES_MIN = 4096, WINDOW_PAGES_MAX = MAPPING_WINDOW_BYTES / PAGE_BYTES_MIN };

static int map_descriptor(int descriptor, struct mapping *out, struct error *error)
{
    struct stat status;
    if (fstat(descriptor, &status))
        return error_set(error, errno, "cannot be examined: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, ENOEXEC, "not a regular file");
    if ((uint64_t)status.st_size > SIZE_MAX / 2)
        return error_set(error, ENOEXEC, "too large to be mapped");
    *out = (struct mapping){
        .length = (size_t)status.st_size, .descriptor = -1, .identity = identity_of(&status)};
    if (out->length == 0)
        return 0;
    void *bytes = mmap(NULL, out->length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED)
        return error_set(error, errno, "cannot be mapped: %s", strerror(errno));
    out->bytes = bytes;
    return 0;
}

int mapping_open(const char *path, struct mapping *out, struct error *error)
{
    return mapping_open_at(AT_FDCWD, path, out, error);
}

int mapping_open_at(int directory, const char *name, struct mapping *out, struct error *error)
{
    /* O_NONBLOCK: a pipe without a writer must not hold us. */
    int descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return error_set(error, errno, "cannot be opened: %s", strerror(errno));
    int status = map_descriptor(descriptor, out, error);
    if (status || !out->bytes || descriptor > MAPPING_DESCRIPTOR_MAX)
        close(descriptor);
    else
        out->descriptor = descriptor;
    return status;
}

struct mapping mapping_borrow(const void *bytes, size_t length)
{
    return (struct mapping){.bytes = bytes, .length = length, .descriptor = -1, .borrowed = true};
}

/* The system calls below take a plain pointer though they only read. */
static void *address(const struct mapping *mapping, size_t offset)
{
    return (void *)((uintptr_t)mapping->bytes + offset);
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->bytes && !mapping->borrowed) {
        munmap(address(mapping, 0), mapping->length);
        if (mapping->descriptor >= 0)
            close(mapping->descriptor);
    }
    *mapping = (struct mapping){0};
}

static size_t window_length(const struct mapping *mapping, size_t offset)
{
    size_t left = mapping->length - offset;
    return left < MAPPING_WINDOW_BYTES ? left : MAPPING_WINDOW_BYTES;
}

bool mapping_is_cached(const struct mapping *mapping, size_t offset, size_t length)
{
    const size_t left = mapping->length - offset;
    struct {
        uint64_t offset, length;
    } range = {offset, length < left ? length : left};
    struct {
        uint64_t cached, dirty, writeback, evicted, evicted_recently;
    } pages = {0};
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    return mapping->borrowed ||
           (mapping->descriptor >= 0 &&
            syscall(SYS_cachestat, mapping->descriptor, &range, &pages, 0) == 0 &&
            pages.cached == (range.length + page_bytes - 1) / page_bytes);
}

uint64_t mapping_resident_bytes(const struct mapping *mapping, size_t offset, bool *proven)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), length = window_length(mapping, offset);
    unsigned char cached[WINDOW_PAGES_MAX];
    uint64_t total = 0;
    if (mapping_is_cached(mapping, offset, length))
        return length;
    *proven = false;
    if (mincore(address(mapping, offset), length, cached))
        return 0; /* EAGAIN: the kernel is short of memory; what it cannot tell is not counted */
    for (size_t at = 0; at < length; at += page_bytes) {
        size_t left = length - at;
        if (cached[at / page_bytes] & 1)
            total += left < page_bytes ? left : page_bytes;
    }
    return total;
}

static void touch_pages(const struct mapping *mapping, size_t offset, size_t length)
{
    const volatile uint8_t *bytes = mapping->bytes + offset;
    for (size_t i = 0; i < length; i += PAGE_BYTES_MIN)
        (void)bytes[i];
}

int mapping_populate(const struct mapping *mapping, struct error *error)
{
    if (mapping->borrowed)
        return 0;
    for (size_t start = 0; start < mapping->length; start += MAPPING_WINDOW_BYTES) {
        size_t length = window_length(mapping, start);
        int result;
        do {
            result = madvise(address(mapping, start), length, MADV_POPULATE_READ);
        } while (result && errno == EINTR);
        if (result && errno == EINVAL) /* a kernel before 5.14 */
            touch_pages(mapping, start, length);
        else if (result)
            return error_set(error, EIO,
                             "cannot be read between bytes %zu and %zu (%s): truncated meanwhile, "
                             "or a bad disk",
                             start, start + length, strerror(errno));
    }
    return 0;
}
