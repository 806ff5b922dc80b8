/* gguf_keys.c - the table of keys: each becomes a view of its value.
 *
 * Every value is seen as `count` items of one type, a scalar as one item: strings are walked one by
 * one, numbers skipped in one step.  Nothing is copied and nothing is allocated for a value.
 */
#include "load/gguf_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>

enum { STRING_BYTES_MIN = 8, KEY_BYTES_MIN = 8 + 1 + 4 + 1 /* name, type, value */ };

/* Bytes of one item; 0 for the types that have no fixed size. */
static const uint8_t item_bytes[] = {
    [GGUF_UINT8] = 1,  [GGUF_INT8] = 1,    [GGUF_UINT16] = 2,  [GGUF_INT16] = 2,  [GGUF_UINT32] = 4,
    [GGUF_INT32] = 4,  [GGUF_FLOAT32] = 4, [GGUF_BOOL] = 1,    [GGUF_STRING] = 0, [GGUF_ARRAY] = 0,
    [GGUF_UINT64] = 8, [GGUF_INT64] = 8,   [GGUF_FLOAT64] = 8,
};

static int parse_type(struct gguf_parser *parser, const char *role, enum gguf_type *out)
{
    uint32_t type;
    uint64_t offset = bytes_offset(&parser->cursor);
    int status = gguf_parse_u32(parser, &type);
    if (status)
        return status;
    if (type >= sizeof item_bytes)
        return gguf_parse_refuse(parser, offset, "has the unknown %stype %" PRIu32, role, type);
    *out = (enum gguf_type)type;
    return 0;
}

static int parse_array_header(struct gguf_parser *parser, struct gguf_value *value)
{
    uint64_t offset = bytes_offset(&parser->cursor);
    int status = parse_type(parser, "item ", &value->item_type);
    if (status)
        return status;
    if (value->item_type == GGUF_ARRAY)
        return gguf_parse_refuse(parser, offset, "is an array of arrays, which is not read");
    offset = bytes_offset(&parser->cursor);
    status = gguf_parse_u64(parser, &value->count);
    if (status)
        return status;
    uint64_t bytes =
        value->item_type == GGUF_STRING ? STRING_BYTES_MIN : item_bytes[value->item_type];
    return gguf_parse_check_count(parser, "items", offset, value->count, bytes,
                                  GGUF_ARRAY_ITEMS_MAX);
}

/* Step over strings that are as they should be; returns how many.  A vocabulary has hundreds of
 * thousands, and this walk is most of the time that a header takes: each step waits for the length
 * that the one before it led to. */
static uint64_t skip_strings(struct bytes_cursor *cursor, uint64_t count)
{
    const uint8_t *at = cursor->at, *end = cursor->end;
    uint64_t skipped = 0;
    while (skipped < count && end - at >= STRING_BYTES_MIN) {
        uint64_t length = bytes_u64(at);
        if (length > GGUF_STRING_BYTES_MAX || length > (uint64_t)(end - at) - STRING_BYTES_MIN)
            break;
        at += STRING_BYTES_MIN + length;
        skipped++;
    }
    cursor->at = at;
    return skipped;
}

static int parse_strings(struct gguf_parser *parser, uint64_t count)
{
    struct text wrong; /* reading it says why */
    return skip_strings(&parser->cursor, count) < count
               ? gguf_parse_string(parser, GGUF_STRING_BYTES_MAX, &wrong)
               : 0;
}

static int check_bools(const struct gguf_parser *parser, const struct gguf_value *value)
{
    for (uint64_t i = 0; i < value->count; i++)
        if (value->data[i] > 1)
            return gguf_parse_refuse(parser, (uint64_t)(value->data - parser->cursor.start) + i,
                                     "holds %u where a BOOL is 0 or 1", value->data[i]);
    return 0;
}

static int parse_items(struct gguf_parser *parser, struct gguf_value *value)
{
    value->data = parser->cursor.at;
    if (value->item_type == GGUF_STRING) {
        int status = parse_strings(parser, value->count);
        value->bytes = (uint64_t)(parser->cursor.at - value->data);
        return status;
    }
    value->bytes = value->count * item_bytes[value->item_type]; /* <= 64 Mi * 8 */
    if (!bytes_take(&parser->cursor, value->bytes))
        return gguf_parse_short(parser);
    return value->item_type == GGUF_BOOL ? check_bools(parser, value) : 0;
}

static int parse_key(struct gguf_parser *parser, struct gguf_value *value)
{
    int status = gguf_parse_name(parser, GGUF_KEY_BYTES_MAX);
    if (!status)
        status = parse_type(parser, "", &value->type);
    if (status)
        return status;
    value->key = parser->name;
    value->item_type = value->type;
    value->count = 1;
    if (value->type == GGUF_ARRAY)
        status = parse_array_header(parser, value);
    return status ? status : parse_items(parser, value);
}

static int index_keys(const struct gguf_parser *parser, struct gguf *gguf)
{
    int status = gguf_index_new(&gguf->key_index, gguf->key_count, parser->error);
    if (status)
        return status;
    for (size_t i = 0; i < gguf->key_count; i++)
        gguf->key_index.names[i] = (struct gguf_name){gguf->keys[i].key, i};
    const struct gguf_name *twice = gguf_index_sort(&gguf->key_index);
    if (!twice)
        return 0;
    const uint8_t *name = (const uint8_t *)twice->text.bytes;
    return error_set(parser->error, ENOEXEC, "key %.*s appears twice (at byte %zu)",
                     TEXT_ARGUMENTS(twice->text), (size_t)(name - parser->cursor.start));
}

int gguf_keys_parse(struct gguf_parser *parser, struct gguf *gguf, uint64_t count)
{
    int status = gguf_parse_check_count(parser, "keys", GGUF_KEYS_OFFSET, count, KEY_BYTES_MIN,
                                        GGUF_KEYS_MAX);
    if (status)
        return status;
    gguf->keys = memory_try(count, sizeof *gguf->keys);
    if (!gguf->keys)
        return error_set(parser->error, ENOMEM, "no memory for %" PRIu64 " keys", count);
    parser->kind = "key";
    for (gguf->key_count = 0; gguf->key_count < count; gguf->key_count++) {
        parser->number = gguf->key_count + 1;
        status = parse_key(parser, &gguf->keys[gguf->key_count]);
        if (status)
            return status;
    }
    return index_keys(parser, gguf);
}
