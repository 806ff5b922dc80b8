/* gguf_writer.c - see gguf_writer.h. */
#include "tests/lib/gguf_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PART_BYTES_MAX = 1 << 30 };

static void put(struct buffer *buffer, const void *bytes, size_t length)
{
    if (buffer_append(buffer, bytes, length))
        abort();
}

static void put_little_endian(struct buffer *buffer, uint64_t value, int width_bytes)
{
    for (int i = 0; i < width_bytes; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        put(buffer, &byte, 1);
    }
}

void gguf_writer_put_u32(struct buffer *buffer, uint32_t value)
{
    put_little_endian(buffer, value, 4);
}

void gguf_writer_put_u64(struct buffer *buffer, uint64_t value)
{
    put_little_endian(buffer, value, 8);
}

void gguf_writer_put_string(struct buffer *buffer, struct text value)
{
    gguf_writer_put_u64(buffer, value.length);
    put(buffer, value.bytes, value.length);
}

struct gguf_writer gguf_writer_new(void)
{
    return (struct gguf_writer){
        .magic = {'G', 'G', 'U', 'F'},
        .version = 3,
        .alignment = 32,
        .keys = buffer_new(PART_BYTES_MAX),
        .table = buffer_new(PART_BYTES_MAX),
        .data = buffer_new(PART_BYTES_MAX),
    };
}

void gguf_writer_free(struct gguf_writer *writer)
{
    buffer_free(&writer->keys);
    buffer_free(&writer->table);
    buffer_free(&writer->data);
}

void gguf_writer_align(struct gguf_writer *writer, uint32_t alignment)
{
    writer->alignment = alignment;
    gguf_writer_u32(writer, "general.alignment", alignment);
}

static void begin_key(struct gguf_writer *writer, struct text key, uint32_t type)
{
    gguf_writer_put_string(&writer->keys, key);
    gguf_writer_put_u32(&writer->keys, type);
    writer->key_count++;
}

static int integer_bytes(enum gguf_type type)
{
    if (type == GGUF_UINT8 || type == GGUF_INT8)
        return 1;
    if (type == GGUF_UINT16 || type == GGUF_INT16)
        return 2;
    return type == GGUF_UINT64 || type == GGUF_INT64 ? 8 : 4;
}

void gguf_writer_integer(struct gguf_writer *writer, const char *key, enum gguf_type type,
                         int64_t value)
{
    begin_key(writer, text_of(key), type);
    put_little_endian(&writer->keys, (uint64_t)value, integer_bytes(type));
}

void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
    gguf_writer_integer(writer, key, GGUF_UINT32, value);
}

void gguf_writer_number(struct gguf_writer *writer, const char *key, enum gguf_type type,
                        double value)
{
    begin_key(writer, text_of(key), type);
    if (type == GGUF_FLOAT64) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        gguf_writer_put_u64(&writer->keys, bits);
    } else {
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        gguf_writer_put_u32(&writer->keys, bits);
    }
}

void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value)
{
    gguf_writer_number(writer, key, GGUF_FLOAT32, (double)value);
}

void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value)
{
    uint8_t byte = value;
    gguf_writer_raw_key(writer, text_of(key), GGUF_BOOL, &byte, 1);
}

void gguf_writer_string(struct gguf_writer *writer, const char *key, struct text value)
{
    begin_key(writer, text_of(key), GGUF_STRING);
    gguf_writer_put_string(&writer->keys, value);
}

static void begin_array(struct gguf_writer *writer, const char *key, enum gguf_type item_type,
                        uint64_t count)
{
    begin_key(writer, text_of(key), GGUF_ARRAY);
    gguf_writer_put_u32(&writer->keys, item_type);
    gguf_writer_put_u64(&writer->keys, count);
}

void gguf_writer_array(struct gguf_writer *writer, const char *key, enum gguf_type item_type,
                       uint64_t count, const void *items, size_t bytes)
{
    begin_array(writer, key, item_type, count);
    put(&writer->keys, items, bytes);
}

void gguf_writer_strings(struct gguf_writer *writer, const char *key, size_t count,
                         const struct text *strings)
{
    begin_array(writer, key, GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        gguf_writer_put_string(&writer->keys, strings[i]);
}

void gguf_writer_raw_key(struct gguf_writer *writer, struct text key, uint32_t type,
                         const void *value, size_t bytes)
{
    begin_key(writer, key, type);
    put(&writer->keys, value, bytes);
}

void gguf_writer_row(struct gguf_writer *writer, struct text name, uint32_t dimensions,
                     const uint64_t *shape, uint32_t type, uint64_t offset)
{
    gguf_writer_put_string(&writer->table, name);
    gguf_writer_put_u32(&writer->table, dimensions);
    for (uint32_t i = 0; i < dimensions; i++)
        gguf_writer_put_u64(&writer->table, shape[i]);
    gguf_writer_put_u32(&writer->table, type);
    gguf_writer_put_u64(&writer->table, offset);
    writer->tensor_count++;
}

static void pad(struct buffer *buffer, uint64_t alignment)
{
    static const uint8_t zero = 0;
    while (alignment && buffer->length % alignment != 0)
        put(buffer, &zero, 1);
}

void gguf_writer_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                        uint32_t dimensions, const uint64_t *shape, const void *bytes,
                        size_t length)
{
    pad(&writer->data, writer->alignment);
    gguf_writer_row(writer, text_of(name), dimensions, shape, type, writer->data.length);
    put(&writer->data, bytes, length);
}

uint8_t *gguf_writer_finish(const struct gguf_writer *writer, size_t *bytes)
{
    struct buffer whole = buffer_new((size_t)PART_BYTES_MAX * 4);
    put(&whole, writer->magic, sizeof writer->magic);
    gguf_writer_put_u32(&whole, writer->version);
    gguf_writer_put_u64(&whole, writer->tensor_count);
    gguf_writer_put_u64(&whole, writer->key_count);
    put(&whole, writer->keys.bytes, writer->keys.length);
    put(&whole, writer->table.bytes, writer->table.length);
    if (writer->data.length) {
        pad(&whole, writer->alignment);
        put(&whole, writer->data.bytes, writer->data.length);
    }
    /* A block of exactly this size: the address sanitizer then sees a read of one byte too many. */
    uint8_t *exact = malloc(whole.length);
    if (!exact)
        abort();
    memcpy(exact, whole.bytes, whole.length);
    *bytes = whole.length;
    buffer_free(&whole);
    return exact;
}

int gguf_writer_save(const struct gguf_writer *writer, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    size_t length;
    uint8_t *bytes = gguf_writer_finish(writer, &length);
    bool written = fwrite(bytes, 1, length, file) == length;
    free(bytes);
    return fclose(file) == 0 && written ? 0 : -EIO;
}
