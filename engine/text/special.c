/* special.c - see special.h.
 *
 * The strings are sorted; those that begin with the bytes read so far are then one range of the
 * list, which each further byte narrows.  That is a walk through a trie without the trie. */
#include "text/special.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

struct entry {
    struct text string; /* 1..SPECIAL_BYTES_MAX bytes */
    int32_t id;
    bool control; /* only the template may write it */
};

struct special {
    struct entry *entries; /* sorted, no two strings equal */
    size_t count;
    size_t first[257]; /* the entries that start with byte b are [first[b], first[b + 1]) */
};

struct range {
    size_t begin, end;
};

/* By string; of equal strings the last id first, which is the one to keep. */
static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    size_t common = a->string.length < b->string.length ? a->string.length : b->string.length;
    int order = memcmp(a->string.bytes, b->string.bytes, common);
    if (order)
        return order;
    if (a->string.length != b->string.length)
        return a->string.length < b->string.length ? -1 : 1;
    return a->id > b->id ? -1 : 1;
}

static bool is_special(const struct vocabulary *vocabulary, int32_t id)
{
    uint8_t kind = vocabulary->kinds[id];
    size_t length = vocabulary->tokens[id].length;
    return (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED) &&
           length > 0 && length <= SPECIAL_BYTES_MAX;
}

static void drop_duplicates(struct special *special)
{
    size_t kept = 0;
    for (size_t i = 0; i < special->count; i++)
        if (kept == 0 ||
            !text_equals(special->entries[kept - 1].string, special->entries[i].string))
            special->entries[kept++] = special->entries[i];
    special->count = kept;
}

static void index_first_bytes(struct special *special)
{
    size_t at = 0;
    for (size_t byte = 0; byte <= 256; byte++) {
        while (at < special->count && (unsigned char)special->entries[at].string.bytes[0] < byte)
            at++;
        special->first[byte] = at;
    }
}

int special_open(const struct vocabulary *vocabulary, struct special **out)
{
    size_t count = 0;
    for (int32_t id = 0; id < vocabulary->token_count; id++)
        count += is_special(vocabulary, id);
    struct special *special = memory_try(1, sizeof *special);
    struct entry *entries = memory_try(count, sizeof *entries);
    if (!special || !entries) {
        free(special);
        free(entries);
        return -ENOMEM;
    }
    special->entries = entries;
    for (int32_t id = 0; id < vocabulary->token_count; id++)
        if (is_special(vocabulary, id))
            entries[special->count++] = (struct entry){vocabulary->tokens[id], id,
                                                       vocabulary->kinds[id] != TOKEN_USER_DEFINED};
    qsort(entries, special->count, sizeof *entries, compare_entries);
    drop_duplicates(special);
    index_first_bytes(special);
    *out = special;
    return 0;
}

void special_close(struct special *special)
{
    if (!special)
        return;
    free(special->entries);
    free(special);
}

/* The first entry of the range whose byte at `depth` is not below `byte`; all of them are longer
 * than `depth` and equal before it. */
static size_t lower_bound(const struct special *special, struct range range, size_t depth,
                          unsigned byte)
{
    while (range.begin < range.end) {
        size_t middle = range.begin + (range.end - range.begin) / 2;
        if ((unsigned char)special->entries[middle].string.bytes[depth] < byte)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    return range.begin;
}

/* The longest entry that `text` (not empty) starts with, or NULL. */
static const struct entry *longest_at(const struct special *special, struct text text, bool control)
{
    unsigned byte = (unsigned char)text.bytes[0];
    struct range range = {special->first[byte], special->first[byte + 1]};
    const struct entry *longest = NULL;
    for (size_t depth = 1; range.begin < range.end; depth++) {
        const struct entry *shortest = &special->entries[range.begin];
        if (shortest->string.length == depth) {
            if (control || !shortest->control)
                longest = shortest;
            range.begin++;
        }
        if (depth == text.length)
            break;
        byte = (unsigned char)text.bytes[depth];
        range.begin = lower_bound(special, range, depth, byte);
        range.end = lower_bound(special, range, depth, byte + 1);
    }
    return longest;
}

int32_t special_next(const struct special *special, struct text text, size_t from, bool control,
                     size_t *begin, size_t *end)
{
    for (size_t at = from; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if (special->first[byte] == special->first[byte + 1])
            continue;
        struct text rest = {text.bytes + at, text.length - at};
        const struct entry *found = longest_at(special, rest, control);
        if (found) {
            *begin = at;
            *end = at + found->string.length;
            return found->id;
        }
    }
    return VOCABULARY_NONE;
}

int32_t special_find(const struct special *special, struct text string)
{
    struct entry wanted = {string, INT32_MAX, false};
    struct range range = {0, special->count};
    while (range.begin < range.end) { /* the first entry after `wanted`, which has the last id */
        size_t middle = range.begin + (range.end - range.begin) / 2;
        if (compare_entries(&special->entries[middle], &wanted) < 0)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    bool found =
        range.begin < special->count && text_equals(special->entries[range.begin].string, string);
    return found ? special->entries[range.begin].id : VOCABULARY_NONE;
}
