/* gguf_parse.c - the first 24 bytes of a file, and the reads that all its parsers share.
 *
 * A claim of the file (a count, a length) is compared with the bytes that are left before anything
 * is done with it.  Reading stops GGUF_HEADER_BYTES_MAX bytes into a part: a sparse file of many
 * TiB costs its author nothing, and must not cost us a walk through it.
 */
#include "load/gguf_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { NAME_SHOWN_MAX = 100, VERSION_MIN = 2, VERSION_MAX = 3 };

/* "key general.name", "key 3" or "the header". */
static void describe(const struct gguf_parser *parser, char *out, size_t out_bytes)
{
    if (parser->name.length) {
        size_t length = parser->name.length;
        snprintf(out, out_bytes, "%s %.*s", parser->kind,
                 length > NAME_SHOWN_MAX ? NAME_SHOWN_MAX : (int)length, parser->name.bytes);
    } else if (parser->number) {
        snprintf(out, out_bytes, "%s %" PRIu64, parser->kind, parser->number);
    } else {
        snprintf(out, out_bytes, "%s", parser->kind);
    }
}

int gguf_parse_refuse(const struct gguf_parser *parser, uint64_t offset, const char *format, ...)
{
    char subject[NAME_SHOWN_MAX + 32], sentence[ERROR_TEXT_BYTES];
    describe(parser, subject, sizeof subject);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(parser->error, ENOEXEC, "%s %s (at byte %" PRIu64 ")", subject, sentence,
                     offset);
}

int gguf_parse_short(const struct gguf_parser *parser)
{
    char subject[NAME_SHOWN_MAX + 32];
    describe(parser, subject, sizeof subject);
    if (parser->file_bytes > GGUF_HEADER_BYTES_MAX)
        return error_set(parser->error, ENOEXEC,
                         "%s goes past byte %d, the limit for everything before the tensor data",
                         subject, GGUF_HEADER_BYTES_MAX);
    return error_set(parser->error, ENOEXEC, "the file ends at byte %" PRIu64 ", inside %s",
                     parser->file_bytes, subject);
}

int gguf_parse_u32(struct gguf_parser *parser, uint32_t *out)
{
    return bytes_take_u32(&parser->cursor, out) ? 0 : gguf_parse_short(parser);
}

int gguf_parse_u64(struct gguf_parser *parser, uint64_t *out)
{
    return bytes_take_u64(&parser->cursor, out) ? 0 : gguf_parse_short(parser);
}

int gguf_parse_string(struct gguf_parser *parser, uint64_t length_max, struct text *out)
{
    uint64_t length;
    uint64_t offset = bytes_offset(&parser->cursor);
    int status = gguf_parse_u64(parser, &length);
    if (status)
        return status;
    if (length > length_max)
        return gguf_parse_refuse(
            parser, offset, "has a string of %" PRIu64 " bytes, where at most %" PRIu64 " are read",
            length, length_max);
    const uint8_t *bytes = bytes_take(&parser->cursor, length);
    if (!bytes)
        return gguf_parse_short(parser);
    *out = (struct text){(const char *)bytes, length};
    return 0;
}

int gguf_parse_name(struct gguf_parser *parser, uint64_t length_max)
{
    struct text name;
    uint64_t offset = bytes_offset(&parser->cursor);
    parser->name = (struct text){0};
    int status = gguf_parse_string(parser, length_max, &name);
    if (status)
        return status;
    if (name.length == 0)
        return gguf_parse_refuse(parser, offset, "has an empty name");
    if (memchr(name.bytes, 0, name.length)) /* "a" and "a\0b" must not be one name to strcmp() */
        return gguf_parse_refuse(parser, offset, "has a zero byte in its name");
    parser->name = name;
    return 0;
}

int gguf_parse_check_count(const struct gguf_parser *parser, const char *things, uint64_t offset,
                           uint64_t count, uint64_t item_bytes_min, uint64_t count_max)
{
    uint64_t room = bytes_left(&parser->cursor) / item_bytes_min;
    if (count <= room && count <= count_max)
        return 0;
    if (count > count_max)
        return gguf_parse_refuse(parser, offset,
                                 "claims %" PRIu64 " %s, where at most %" PRIu64 " are read", count,
                                 things, count_max);
    return gguf_parse_refuse(parser, offset,
                             "claims %" PRIu64 " %s, but there is room for %" PRIu64 " at most",
                             count, things, room);
}

static int check_version(const struct gguf_parser *parser, uint32_t version)
{
    enum { VERSION_OFFSET = 4 };
    if (version >= VERSION_MIN && version <= VERSION_MAX)
        return 0;
    if (version && (version & 0xffff) == 0) /* a small number with its bytes swapped */
        return gguf_parse_refuse(parser, VERSION_OFFSET,
                                 "is big-endian, but only little-endian files are read");
    return gguf_parse_refuse(parser, VERSION_OFFSET,
                             "says GGUF version %" PRIu32 ", but only versions %d and %d are read",
                             version, VERSION_MIN, VERSION_MAX);
}

static int parse_header(struct gguf_parser *parser, uint32_t *version, uint64_t *tensor_count,
                        uint64_t *key_count)
{
    const uint8_t *magic = bytes_take(&parser->cursor, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return error_set(parser->error, ENOEXEC,
                         "not a GGUF file: it does not start with \"GGUF\"");
    if (parser->file_bytes < GGUF_HEADER_BYTES)
        return gguf_parse_short(parser);
    int status = gguf_parse_u32(parser, version);
    if (!status)
        status = check_version(parser, *version);
    if (!status)
        status = gguf_parse_u64(parser, tensor_count);
    if (!status)
        status = gguf_parse_u64(parser, key_count);
    return status;
}

int gguf_parse(struct gguf *gguf, struct error *error)
{
    const struct mapping *file = &gguf->parts[0];
    if (file->length == 0)
        return error_set(error, ENOEXEC, "not a GGUF file: it is empty");
    size_t readable = file->length;
    if (readable > GGUF_HEADER_BYTES_MAX)
        readable = GGUF_HEADER_BYTES_MAX;
    struct gguf_parser parser = {
        .cursor = bytes_cursor_of(file->bytes, readable),
        .file_bytes = file->length,
        .kind = "the header",
        .error = error,
    };
    uint64_t tensor_count, key_count;
    int status = parse_header(&parser, &gguf->version, &tensor_count, &key_count);
    if (!status)
        status = gguf_keys_parse(&parser, gguf, key_count);
    if (!status)
        status = gguf_tensors_parse(&parser, gguf, tensor_count);
    return status;
}
