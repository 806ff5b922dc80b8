/* index.c - see index.h.
 *
 *   header | slots of the merges | whole of the merges | where each string is | kinds
 *          | slots of the words (where there are any)
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
#include "text/seal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

static const char magic[8] = "INFERFI2"; /* the number grows with every change of a table */

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
    uint64_t token_bytes_max;
    int32_t byte_ids[256];
};
static_assert(sizeof(struct header) % 8 == 0, "slots follow, aligned");

/* Where the parts begin, from the start of the file; each at a multiple of 8 bytes. */
struct layout {
    size_t merges, whole, offsets, kinds, words, end;
};

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

static size_t round_up(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static struct layout layout_of(const struct header *header)
{
    struct layout layout = {.merges = sizeof *header};
    const size_t tokens = (size_t)header->token_count, merges = (size_t)header->merge_count;
    layout.whole = layout.merges + slots_bytes(header->merges.bits);
    layout.offsets = layout.whole + round_up(merges * sizeof(uint32_t));
    layout.kinds = layout.offsets + round_up((tokens + 1) * sizeof(uint32_t));
    layout.words = layout.kinds + round_up(tokens);
    layout.end = layout.words + slots_bytes(header->words.bits);
    return layout;
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

/* All but the checksum, which touches every page. */
static bool is_index_of(const struct header *header, size_t length,
                        const struct vocabulary *vocabulary, const uint64_t key[2])
{
    if (length < sizeof *header || memcmp(header->magic, magic, sizeof magic) != 0 ||
        memcmp(header->fingerprint, key, sizeof header->fingerprint) != 0 ||
        header->file_bytes != length || header->token_count != vocabulary->token_count ||
        header->merge_count != vocabulary->merge_count || !is_sound(&header->merges) ||
        header->token_bytes_max > VOCABULARY_TOKEN_BYTES_MAX)
        return false;
    if (needs_words(vocabulary) ? !is_sound(&header->words) : header->words.bits != 0)
        return false;
    if (length != layout_of(header).end)
        return false;
    for (int byte = 0; byte < 256; byte++)
        if (header->byte_ids[byte] < VOCABULARY_NONE ||
            header->byte_ids[byte] >= vocabulary->token_count)
            return false;
    return true;
}

static struct slots view(const struct table_header *table, const uint64_t *items)
{
    return (struct slots){items, table->bits, table->probes_max, table->seed, NULL};
}

static void use(const struct header *header, const struct vocabulary *vocabulary,
                const struct index_tables *tables)
{
    const struct layout layout = layout_of(header);
    const char *file = (const char *)header;
    *tables->merges = (struct mergetable){
        view(&header->merges, (const void *)(file + layout.merges)),
        (const void *)(file + layout.whole), NULL, header->token_count, header->merge_count};
    *tables->words = (struct wordtable){.vocabulary = vocabulary};
    if (header->words.bits)
        tables->words->slots = view(&header->words, (const void *)(file + layout.words));
    memcpy(tables->byte_ids, header->byte_ids, sizeof header->byte_ids);
}

/* The file of that key, if it is an index of this vocabulary; its checksum was not looked at. */
static struct index *open_file(const struct vocabulary *vocabulary, const uint64_t key[2],
                               struct identity *identity)
{
    struct text file;
    if (indexfolder_map(key, &file, identity))
        return NULL;
    struct index *index = memory_try(1, sizeof *index);
    if (!index || !is_index_of((const void *)file.bytes, file.length, vocabulary, key)) {
        indexfolder_unmap(file);
        free(index);
        return NULL;
    }
    index->file = file;
    return index;
}

static const struct header *header_of(const struct index *index)
{
    return (const void *)index->file.bytes;
}

struct index *index_open(const struct vocabulary *vocabulary, const struct index_tables *tables)
{
    struct seal seal;
    if (vocabulary->token_count < INDEX_TOKENS_MIN || !indexfolder_is_on() ||
        fingerprint(vocabulary, seal.index_key))
        return NULL;
    struct index *index = open_file(vocabulary, seal.index_key, &seal.index);
    if (!index)
        return NULL;
    const struct header *header = header_of(index);
    if (header->checksum != checksum(header, index->file.length)) {
        index_close(index);
        return NULL;
    }
    if (vocabulary->is_sealable)
        seal_write(vocabulary->seal, &seal);
    use(header, vocabulary, tables);
    return index;
}

/* Are these all kinds?  Nearly all are NORMAL: eight at a time. */
static bool are_kinds(const uint8_t *kinds, size_t count)
{
    const uint64_t normal = 0x0101010101010101u * TOKEN_NORMAL;
    for (size_t i = 0; i < count; i++) {
        uint64_t eight;
        for (; count - i >= sizeof eight; i += sizeof eight) {
            memcpy(&eight, kinds + i, sizeof eight);
            if (eight != normal)
                break;
        }
        if (i < count && (kinds[i] < TOKEN_NORMAL || kinds[i] > TOKEN_BYTE))
            return false;
    }
    return true;
}

static uint8_t *copy_kinds(const char *kinds, size_t count)
{
    uint8_t *copy = memory_try(count, 1);
    if (!copy)
        return NULL;
    memcpy(copy, kinds, count);
    if (are_kinds(copy, count))
        return copy;
    free(copy);
    return NULL;
}

bool index_open_sealed(struct vocabulary *vocabulary)
{
    struct seal seal;
    struct identity identity;
    if (vocabulary->token_count < INDEX_TOKENS_MIN || !indexfolder_is_on() ||
        !seal_read(vocabulary->seal, &seal))
        return false;
    struct index *index = open_file(vocabulary, seal.index_key, &identity);
    if (!index)
        return false;
    const struct header *header = header_of(index);
    const struct layout layout = layout_of(header);
    if (memcmp(&identity, &seal.index, sizeof identity) == 0)
        vocabulary->kinds =
            copy_kinds(index->file.bytes + layout.kinds, (size_t)header->token_count);
    if (!vocabulary->kinds) {
        index_close(index);
        return false;
    }
    vocabulary->packed.offsets = (const void *)(index->file.bytes + layout.offsets);
    vocabulary->token_bytes_max = header->token_bytes_max;
    vocabulary->index = index;
    return true;
}

void index_use(const struct vocabulary *vocabulary, const struct index_tables *tables)
{
    use(header_of(vocabulary->index), vocabulary, tables);
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

/* Where each string would be if they lay as in a GGUF. */
static void put_offsets(const struct vocabulary *vocabulary, struct header *header,
                        uint32_t *offsets)
{
    size_t at = 0;
    for (int32_t id = 0; id < vocabulary->token_count; id++) {
        size_t length = vocabulary_token(vocabulary, id).length;
        offsets[id] = (uint32_t)at;
        at += sizeof(uint64_t) + length;
        if (length > header->token_bytes_max)
            header->token_bytes_max = length;
    }
    offsets[vocabulary->token_count] = (uint32_t)at;
}

/* `file` is zeroed. */
static void fill(char *file, const struct header *header, const struct vocabulary *vocabulary,
                 const struct index_tables *tables)
{
    const struct layout layout = layout_of(header);
    const struct slots *words = &tables->words->slots;
    struct header *written = (void *)file;
    *written = *header;
    memcpy(file + layout.merges, tables->merges->slots.items, slots_bytes(header->merges.bits));
    memcpy(file + layout.whole, tables->merges->whole,
           (size_t)header->merge_count * sizeof(uint32_t));
    put_offsets(vocabulary, written, (void *)(file + layout.offsets));
    memcpy(file + layout.kinds, vocabulary->kinds, (size_t)vocabulary->token_count);
    if (header->words.bits)
        memcpy(file + layout.words, words->items, slots_bytes(header->words.bits));
    written->checksum = checksum(written, layout.end);
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
    header.file_bytes = layout_of(&header).end;
    char *file = memory_try(header.file_bytes, 1);
    if (file) {
        fill(file, &header, vocabulary, tables);
        indexfolder_write(header.fingerprint, (struct text){file, header.file_bytes});
    }
    free(file);
}
