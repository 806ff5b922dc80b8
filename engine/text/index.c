/* index.c - see index.h.
 *
 *   header | slots of the merges | whole of the merges | slots of the words (where there are any)
 *
 * in the byte order of this machine.  The file is mapped, not read: a process that loads a model
 * again shares these pages with whoever has it loaded.  A file that is cut while it is mapped would
 * end the process with SIGBUS; nobody cuts it but its owner, who would be doing it to himself
 * (files are replaced by renaming), and the same holds for the model itself. */
#define XXH_INLINE_ALL
#include "text/index.h"

#include "base/memory.h"
#include "text/indexfolder.h"
#include "text/pretokenizer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

static const char magic[8] = "INFERFI1"; /* the number grows with every change of a table */

struct table_header {
    uint64_t seed;
    uint32_t bits; /* 0: no table */
    uint32_t probes_max;
};

struct header {
    char magic[8];
    uint64_t checksum; /* of all that follows it */
    uint64_t fingerprint[2];
    uint64_t file_bytes;
    int32_t token_count, merge_count;
    struct table_header merges, words;
    int32_t byte_ids[256];
};
static_assert(sizeof(struct header) % 8 == 0, "slots follow, aligned");

struct index {
    struct text file;
};

/* --- fingerprint ------------------------------------------------------------------------------ */

/* The strings as they lie in a GGUF, each after its length as eight bytes: one run of bytes that
 * says all about them.  Empty when they do not lie so. */
static struct text packed_strings(const struct text *strings, int32_t count)
{
    if (count == 0)
        return (struct text){0};
    const char *end = strings[0].bytes + strings[0].length;
    for (int32_t i = 1; i < count; i++) {
        uint64_t length;
        if (!end || strings[i].bytes != end + sizeof length)
            return (struct text){0};
        memcpy(&length, end, sizeof length);
        if (length != strings[i].length)
            return (struct text){0};
        end = strings[i].bytes + length;
    }
    return (struct text){strings[0].bytes, (size_t)(end - strings[0].bytes)};
}

static void hash_strings(XXH3_state_t *state, const struct text *strings, int32_t count)
{
    struct text packed = packed_strings(strings, count);
    if (packed.length) {
        XXH3_128bits_update(state, &strings[0].length, sizeof strings[0].length);
        XXH3_128bits_update(state, packed.bytes, packed.length);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        XXH3_128bits_update(state, &strings[i].length, sizeof strings[i].length);
        XXH3_128bits_update(state, strings[i].bytes, strings[i].length);
    }
}

static int fingerprint(const struct vocabulary *vocabulary, uint64_t out[2])
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return -ENOMEM;
    const struct pretokenizer_rule *rule = vocabulary->rule;
    int32_t facts[] = {vocabulary->token_count, vocabulary->merge_count, rule->characters,
                       rule->ignores_merges};
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, magic, sizeof magic);
    XXH3_128bits_update(state, facts, sizeof facts);
    XXH3_128bits_update(state, vocabulary->kinds, (size_t)vocabulary->token_count);
    hash_strings(state, vocabulary->tokens, vocabulary->token_count);
    hash_strings(state, vocabulary->merges, vocabulary->merge_count);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    out[0] = hash.low64;
    out[1] = hash.high64;
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static size_t whole_bytes(int32_t merge_count)
{
    return ((size_t)merge_count + 1) / 2 * 2 * sizeof(uint32_t);
}

static bool is_sound(const struct table_header *table)
{
    return table->bits >= SLOTS_BITS_MIN && table->bits <= SLOTS_BITS_MAX &&
           table->probes_max <= INDEX_PROBES_MAX;
}

static uint64_t checksum(const struct header *header, size_t length)
{
    size_t skipped = offsetof(struct header, fingerprint);
    return XXH3_64bits((const char *)header + skipped, length - skipped);
}

static bool needs_words(const struct vocabulary *vocabulary)
{
    return vocabulary->rule->ignores_merges || vocabulary->rule->characters;
}

/* Cheap checks first; the checksum touches every page. */
static bool is_index_of(const struct header *header, size_t length,
                        const struct vocabulary *vocabulary, const uint64_t key[2])
{
    if (length < sizeof *header || memcmp(header->magic, magic, sizeof magic) != 0 ||
        memcmp(header->fingerprint, key, sizeof header->fingerprint) != 0 ||
        header->file_bytes != length || header->token_count != vocabulary->token_count ||
        header->merge_count != vocabulary->merge_count || !is_sound(&header->merges))
        return false;
    if (needs_words(vocabulary) ? !is_sound(&header->words) : header->words.bits != 0)
        return false;
    if (length != sizeof *header + slots_bytes(header->merges.bits) +
                      whole_bytes(header->merge_count) + slots_bytes(header->words.bits))
        return false;
    for (int byte = 0; byte < 256; byte++)
        if (header->byte_ids[byte] < VOCABULARY_NONE ||
            header->byte_ids[byte] >= vocabulary->token_count)
            return false;
    return header->checksum == checksum(header, length);
}

static struct slots view(const struct table_header *table, const uint64_t *items)
{
    return (struct slots){items, table->bits, table->probes_max, table->seed, NULL};
}

static void use(const struct header *header, const struct vocabulary *vocabulary,
                const struct index_tables *tables)
{
    const uint64_t *merges = (const uint64_t *)(header + 1);
    const uint32_t *whole = (const uint32_t *)(merges + ((size_t)1 << header->merges.bits));
    const uint64_t *words =
        (const uint64_t *)((const char *)whole + whole_bytes(header->merge_count));
    *tables->merges = (struct mergetable){view(&header->merges, merges), whole, NULL,
                                          header->token_count, header->merge_count};
    *tables->words = (struct wordtable){.vocabulary = vocabulary};
    if (header->words.bits)
        tables->words->slots = view(&header->words, words);
    memcpy(tables->byte_ids, header->byte_ids, sizeof header->byte_ids);
}

struct index *index_open(const struct vocabulary *vocabulary, const struct index_tables *tables)
{
    uint64_t key[2];
    struct text file;
    if (vocabulary->token_count < INDEX_TOKENS_MIN || !indexfolder_is_on() ||
        fingerprint(vocabulary, key) || indexfolder_map(key, &file))
        return NULL;
    struct index *index = memory_try(1, sizeof *index);
    const struct header *header = (const void *)file.bytes;
    if (!index || !is_index_of(header, file.length, vocabulary, key)) {
        indexfolder_unmap(file);
        free(index);
        return NULL;
    }
    use(header, vocabulary, tables);
    index->file = file;
    return index;
}

void index_close(struct index *index)
{
    if (!index)
        return;
    indexfolder_unmap(index->file);
    free(index);
}

/* --- writing ---------------------------------------------------------------------------------- */

static struct table_header table_header(const struct slots *slots)
{
    return (struct table_header){slots->seed, slots->items ? slots->bits : 0, slots->probes_max};
}

static int append_all(struct buffer *file, const struct header *header,
                      const struct index_tables *tables)
{
    const uint32_t padding = 0;
    size_t merge_count = (size_t)header->merge_count;
    int status = buffer_append(file, header, sizeof *header);
    if (!status)
        status = buffer_append(file, tables->merges->slots.items, slots_bytes(header->merges.bits));
    if (!status)
        status = buffer_append(file, tables->merges->whole, merge_count * sizeof(uint32_t));
    if (!status && merge_count % 2)
        status = buffer_append(file, &padding, sizeof padding);
    if (!status && header->words.bits)
        status = buffer_append(file, tables->words->slots.items, slots_bytes(header->words.bits));
    return status;
}

void index_save(const struct vocabulary *vocabulary, const struct index_tables *tables)
{
    struct header header = {.token_count = vocabulary->token_count,
                            .merge_count = vocabulary->merge_count,
                            .merges = table_header(&tables->merges->slots),
                            .words = table_header(&tables->words->slots)};
    if (vocabulary->token_count < INDEX_TOKENS_MIN || !indexfolder_is_on() ||
        header.merges.probes_max > INDEX_PROBES_MAX || header.words.probes_max > INDEX_PROBES_MAX ||
        fingerprint(vocabulary, header.fingerprint))
        return;
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.byte_ids, tables->byte_ids, sizeof header.byte_ids);
    header.file_bytes = sizeof header + slots_bytes(header.merges.bits) +
                        whole_bytes(header.merge_count) + slots_bytes(header.words.bits);
    struct buffer file = buffer_new(header.file_bytes);
    if (!append_all(&file, &header, tables)) {
        struct header *written = (void *)file.bytes;
        written->checksum = checksum(written, file.length);
        indexfolder_write(header.fingerprint, buffer_text(&file));
    }
    buffer_free(&file);
}
