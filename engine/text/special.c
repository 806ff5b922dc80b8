/* special.c - see special.h.
 *
 * The strings are sorted; those that begin with the bytes read so far are then one range of the
 * list, which each further byte narrows.  That is a walk through a trie without the trie. */
#include "text/special.h"

#include "base/memory.h"
#include "text/normalizer.h"

#include <errno.h>
#include <stdlib.h>
#include <utf8proc.h>

struct entry {
    struct text string; /* 1..SPECIAL_BYTES_MAX bytes */
    int32_t id;
    bool control;       /* only the template may write it */
    bool is_normalised; /* is not looked for in the text as it is */
    uint8_t flags;      /* enum token_flag */
};

struct list {
    struct entry *entries; /* sorted, no two strings equal */
    size_t count, capacity;
    size_t first[257]; /* the entries that start with byte b are [first[b], first[b + 1]) */
};

struct special {
    struct list sets[SPECIAL_SETS]; /* SPECIAL_RAW has all, to be found by their own string */
    char *normalised;               /* the strings of SPECIAL_NORMALIZED */
    size_t normalised_capacity;
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

static uint8_t flags_of(const struct vocabulary *vocabulary, int32_t id)
{
    return vocabulary->flags ? vocabulary->flags[id] : 0;
}

static bool is_special(const struct vocabulary *vocabulary, int32_t id)
{
    uint8_t kind = vocabulary->kinds[id];
    size_t length = vocabulary_token(vocabulary, id).length;
    return (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED) &&
           length > 0 && length <= SPECIAL_BYTES_MAX;
}

/* Without a normalizer every text is normalised. */
static bool is_normalised(const struct vocabulary *vocabulary, int32_t id)
{
    return vocabulary->step_count && flags_of(vocabulary, id) & TOKEN_NORMALIZED;
}

static bool belongs(const struct vocabulary *vocabulary, enum special_set set, int32_t id)
{
    return is_special(vocabulary, id) && (set == SPECIAL_RAW || is_normalised(vocabulary, id));
}

static void drop_duplicates(struct list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || !text_equals(list->entries[kept - 1].string, list->entries[i].string))
            list->entries[kept++] = list->entries[i];
    list->count = kept;
}

static void index_first_bytes(struct list *list)
{
    size_t at = 0;
    for (size_t byte = 0; byte <= 256; byte++) {
        while (at < list->count && (unsigned char)list->entries[at].string.bytes[0] < byte)
            at++;
        list->first[byte] = at;
    }
}

/* Normalise the strings of a set.  They lie one after the other in special->normalised, where each
 * gets its place only when all are there: the memory moves while it grows. */
static int normalise(const struct vocabulary *vocabulary, struct list *list,
                     struct special *special)
{
    struct buffer all = buffer_new(SIZE_MAX);
    int status = 0;
    for (size_t i = 0; i < list->count && !status; i++) {
        size_t before = all.length;
        status = normalizer_apply(vocabulary->steps, vocabulary->step_count,
                                  list->entries[i].string, &all);
        list->entries[i].string.length = all.length - before;
    }
    special->normalised = all.bytes;
    special->normalised_capacity = all.capacity;
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < list->count && !status; i++) {
        struct entry entry = list->entries[i];
        entry.string.bytes = all.bytes + at;
        at += entry.string.length;
        if (entry.string.length > 0 && entry.string.length <= SPECIAL_BYTES_MAX)
            list->entries[kept++] = entry;
    }
    list->count = kept;
    return status;
}

/* The first id from `id` on that may be special: nearly all tokens are NORMAL, and are passed over
 * eight at a time. */
static int32_t skip_normal(const struct vocabulary *vocabulary, int32_t id)
{
    static const uint8_t normal[8] = {TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL,
                                      TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL, TOKEN_NORMAL};
    const int32_t step = sizeof normal;
    while (vocabulary->token_count - id >= step &&
           memcmp(vocabulary->kinds + id, normal, sizeof normal) == 0)
        id += step;
    return id;
}

static int fill(const struct vocabulary *vocabulary, enum special_set set, struct special *special)
{
    struct list *list = &special->sets[set];
    const int32_t end = vocabulary->token_count;
    size_t count = 0;
    for (int32_t id = skip_normal(vocabulary, 0); id < end; id = skip_normal(vocabulary, id + 1))
        count += belongs(vocabulary, set, id);
    list->entries = memory_try(count, sizeof *list->entries);
    if (!list->entries)
        return -ENOMEM;
    list->capacity = count;
    for (int32_t id = skip_normal(vocabulary, 0); id < end; id = skip_normal(vocabulary, id + 1))
        if (belongs(vocabulary, set, id))
            list->entries[list->count++] = (struct entry){
                .string = vocabulary_token(vocabulary, id),
                .id = id,
                .control = vocabulary->kinds[id] != TOKEN_USER_DEFINED,
                .is_normalised = set == SPECIAL_RAW && is_normalised(vocabulary, id),
                .flags = flags_of(vocabulary, id),
            };
    int status = set == SPECIAL_NORMALIZED && count ? normalise(vocabulary, list, special) : 0;
    qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
    drop_duplicates(list);
    index_first_bytes(list);
    return status;
}

int special_open(const struct vocabulary *vocabulary, struct special **out)
{
    struct special *special = memory_try(1, sizeof *special);
    *out = NULL;
    if (!special)
        return -ENOMEM;
    int status = fill(vocabulary, SPECIAL_RAW, special);
    if (!status)
        status = fill(vocabulary, SPECIAL_NORMALIZED, special);
    if (status)
        special_close(special);
    else
        *out = special;
    return status;
}

void special_close(struct special *special)
{
    if (!special)
        return;
    for (size_t i = 0; i < SPECIAL_SETS; i++)
        free(special->sets[i].entries);
    free(special->normalised);
    free(special);
}

size_t special_bytes(const struct special *special)
{
    size_t bytes = sizeof *special + special->normalised_capacity;
    for (size_t i = 0; i < SPECIAL_SETS; i++)
        bytes += special->sets[i].capacity * sizeof *special->sets[i].entries;
    return bytes;
}

/* The first entry of the range whose byte at `depth` is not below `byte`; all of them are longer
 * than `depth` and equal before it. */
static size_t lower_bound(const struct list *list, struct range range, size_t depth, unsigned byte)
{
    while (range.begin < range.end) {
        size_t middle = range.begin + (range.end - range.begin) / 2;
        if ((unsigned char)list->entries[middle].string.bytes[depth] < byte)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    return range.begin;
}

/* The entries of the range that have `byte` at `depth`.  That may be all of them, and a hostile
 * list is so for every byte of a long common start: then nothing is searched. */
static struct range narrow(const struct list *list, struct range range, size_t depth, unsigned byte)
{
    const struct entry *first = &list->entries[range.begin], *last = &list->entries[range.end - 1];
    if ((unsigned char)first->string.bytes[depth] == byte &&
        (unsigned char)last->string.bytes[depth] == byte)
        return range;
    range.begin = lower_bound(list, range, depth, byte);
    range.end = lower_bound(list, range, depth, byte + 1);
    return range;
}

/* May this entry be found? */
static bool is_wanted(const struct entry *entry, enum special_set set, bool control)
{
    return (control || !entry->control) && (set == SPECIAL_VERBATIM || !entry->is_normalised);
}

static const struct list *list_of(const struct special *special, enum special_set set)
{
    return &special->sets[set == SPECIAL_VERBATIM ? SPECIAL_RAW : set];
}

/* The longest entry that `text` (not empty) starts with, or NULL. */
static const struct entry *longest_at(const struct special *special, enum special_set set,
                                      struct text text, bool control)
{
    const struct list *list = list_of(special, set);
    unsigned char byte = (unsigned char)text.bytes[0];
    struct range range = {list->first[byte], list->first[byte + 1]};
    const struct entry *longest = NULL;
    for (size_t depth = 1; range.begin < range.end; depth++) {
        const struct entry *shortest = &list->entries[range.begin];
        if (shortest->string.length == depth) {
            if (is_wanted(shortest, set, control))
                longest = shortest;
            range.begin++;
        }
        if (depth == text.length || range.begin == range.end)
            break;
        range = narrow(list, range, depth, (unsigned char)text.bytes[depth]);
    }
    return longest;
}

/* The character that starts at `at`, or U+FFFD, and its length. */
static size_t character_at(struct text text, size_t at, int32_t *point)
{
    utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text.bytes + at,
                                               (utf8proc_ssize_t)(text.length - at), point);
    if (length > 0)
        return (size_t)length;
    *point = 0xFFFD;
    return 1;
}

/* The character that ends at `at` > 0, and its length. */
static size_t character_before(struct text text, size_t at, int32_t *point)
{
    size_t length = 1;
    while (length < 4 && length < at && ((unsigned char)text.bytes[at - length] & 0xC0) == 0x80)
        length++;
    if (character_at(text, at - length, point) == length)
        return length;
    *point = 0xFFFD;
    return 1;
}

/* \w of Unicode Technical Standard 18. */
static bool is_word(int32_t point)
{
    static const unsigned words =
        1u << UTF8PROC_CATEGORY_LU | 1u << UTF8PROC_CATEGORY_LL | 1u << UTF8PROC_CATEGORY_LT |
        1u << UTF8PROC_CATEGORY_LM | 1u << UTF8PROC_CATEGORY_LO | 1u << UTF8PROC_CATEGORY_MN |
        1u << UTF8PROC_CATEGORY_MC | 1u << UTF8PROC_CATEGORY_ME | 1u << UTF8PROC_CATEGORY_ND |
        1u << UTF8PROC_CATEGORY_NL | 1u << UTF8PROC_CATEGORY_PC;
    return words >> utf8proc_category(point) & 1 || point == 0x200C ||
           point == 0x200D; /* joiners */
}

/* Does a letter, mark, digit or "_" touch text[begin, end)? */
static bool is_touched(struct text text, size_t begin, size_t end)
{
    int32_t point;
    if (begin > 0 && (character_before(text, begin, &point), is_word(point)))
        return true;
    return end < text.length && (character_at(text, end, &point), is_word(point));
}

/* Widen a match over the white space around it, not to before `from`. */
static void take_space(struct text text, size_t from, uint8_t flags, size_t *begin, size_t *end)
{
    int32_t point;
    while (flags & TOKEN_STRIPS_LEFT && *begin > from) {
        size_t length = character_before(text, *begin, &point);
        if (!normalizer_is_space(point) || length > *begin - from)
            break;
        *begin -= length;
    }
    while (flags & TOKEN_STRIPS_RIGHT && *end < text.length) {
        size_t length = character_at(text, *end, &point);
        if (!normalizer_is_space(point))
            break;
        *end += length;
    }
}

int32_t special_next(const struct special *special, enum special_set set, struct text text,
                     size_t from, bool control, size_t *begin, size_t *end)
{
    const struct list *list = list_of(special, set);
    for (size_t at = from; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if (list->first[byte] == list->first[byte + 1])
            continue;
        struct text rest = {text.bytes + at, text.length - at};
        const struct entry *found = longest_at(special, set, rest, control);
        if (!found)
            continue;
        size_t after = at + found->string.length;
        if (found->flags & TOKEN_SINGLE_WORD && is_touched(text, at, after)) {
            at = after - 1; /* nothing is looked for inside it */
            continue;
        }
        *begin = at;
        *end = after;
        take_space(text, from, found->flags, begin, end);
        return found->id;
    }
    return VOCABULARY_NONE;
}

int32_t special_find(const struct special *special, struct text string)
{
    const struct list *list = &special->sets[SPECIAL_RAW];
    struct entry wanted = {.string = string, .id = INT32_MAX};
    struct range range = {0, list->count};
    while (range.begin < range.end) { /* the first entry after `wanted`, which has the last id */
        size_t middle = range.begin + (range.end - range.begin) / 2;
        if (compare_entries(&list->entries[middle], &wanted) < 0)
            range.begin = middle + 1;
        else
            range.end = middle;
    }
    bool found =
        range.begin < list->count && text_equals(list->entries[range.begin].string, string);
    return found ? list->entries[range.begin].id : VOCABULARY_NONE;
}
