/* seal.c - see seal.h. */
#define XXH_INLINE_ALL
#include "text/seal.h"

#include "load/gguf.h"
#include "text/indexfolder.h"
#include "text/pretokenizer.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

enum { BOOT_ID_BYTES = 36 };

/* The file, in the byte order of this machine. */
struct record {
    char magic[8];
    uint64_t name[2];
    struct seal seal;
    uint64_t checksum; /* of all before it */
};
static_assert(sizeof(struct record) == 8 * 13, "no padding: it is hashed");

/* The number grows with every change of how a file's strings become kinds
 * (vocabulary_settle_kind()) or tables: a seal of an older program must not skip the new way. */
static const char magic[8] = "INFERFS1";

static bool read_boot_id(char out[BOOT_ID_BYTES])
{
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    ssize_t length = read(file, out, BOOT_ID_BYTES);
    close(file);
    return length == BOOT_ID_BYTES;
}

bool seal_name(const struct gguf *gguf, const struct gguf_value *tokens,
               const struct vocabulary *vocabulary, uint64_t out[2])
{
    struct {
        char magic[8];
        struct identity model;
        uint64_t tokens_offset, tokens_bytes;
        int32_t token_count, merge_count, characters, ignores_merges;
        char boot_id[BOOT_ID_BYTES + 4];
    } facts = {
        .tokens_bytes = vocabulary->packed.bytes,
        .token_count = vocabulary->token_count,
        .merge_count = vocabulary->merge_count,
        .characters = vocabulary->rule->characters,
        .ignores_merges = vocabulary->rule->ignores_merges,
    };
    static_assert(sizeof facts == 8 + 56 + 16 + 16 + 40, "no padding: it is hashed");
    memcpy(facts.magic, magic, sizeof magic);
    if (!gguf_identity(gguf, tokens, &facts.model, &facts.tokens_offset) ||
        !identity_is_settled(&facts.model) || !read_boot_id(facts.boot_id))
        return false;
    XXH128_hash_t hash = XXH3_128bits(&facts, sizeof facts);
    out[0] = hash.low64;
    out[1] = hash.high64;
    return true;
}

static uint64_t checksum(const struct record *record)
{
    return XXH3_64bits(record, offsetof(struct record, checksum));
}

bool seal_read(const uint64_t name[2], struct seal *out)
{
    struct text file;
    struct record record = {0};
    if (indexfolder_map(name, &file, NULL))
        return false;
    bool whole = file.length == sizeof record;
    if (whole)
        memcpy(&record, file.bytes, sizeof record);
    indexfolder_unmap(file);
    *out = record.seal;
    return whole && memcmp(record.magic, magic, sizeof magic) == 0 &&
           memcmp(record.name, name, sizeof record.name) == 0 &&
           record.checksum == checksum(&record);
}

void seal_write(const uint64_t name[2], const struct seal *seal)
{
    struct record record = {.name = {name[0], name[1]}, .seal = *seal};
    if (!identity_is_settled(&seal->index))
        return;
    memcpy(record.magic, magic, sizeof magic);
    record.checksum = checksum(&record);
    indexfolder_write(name, (struct text){(const char *)&record, sizeof record});
}
