/* safetensors_writer.c - see safetensors_writer.h. */
#include "tests/lib/safetensors_writer.h"

#include "base/half.h"

#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 64 << 20 };

static void need(int status)
{
    if (status) {
        fprintf(stderr, "safetensors_writer: status %d\n", status);
        abort();
    }
}

struct safetensors_writer safetensors_writer_new(void)
{
    struct safetensors_writer writer = {buffer_new(BYTES_MAX), buffer_new(BYTES_MAX)};
    need(buffer_printf(&writer.header, "{\"__metadata__\":{\"format\":\"pt\"}"));
    return writer;
}

void safetensors_writer_free(struct safetensors_writer *writer)
{
    buffer_free(&writer->header);
    buffer_free(&writer->data);
}

static void put_item(struct safetensors_writer *writer, const char *dtype, uint64_t index)
{
    float value = (float)(index % 64) / 64;
    uint16_t narrow = half_of_float(value);
    if (strcmp(dtype, "BF16") == 0)
        narrow = (uint16_t)(float_bits(value) >> 16);
    if (strcmp(dtype, "F32") == 0)
        need(buffer_append(&writer->data, &value, sizeof value));
    else
        need(buffer_append(&writer->data, &narrow, sizeof narrow));
}

void safetensors_writer_tensor(struct safetensors_writer *writer, const char *name,
                               const char *dtype, uint64_t rows, uint64_t columns)
{
    size_t begin = writer->data.length;
    for (uint64_t i = 0; i < (rows ? rows : 1) * columns; i++)
        put_item(writer, dtype, i);
    need(buffer_printf(&writer->header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", name, dtype));
    if (rows)
        need(buffer_printf(&writer->header, "%llu,", (unsigned long long)rows));
    need(buffer_printf(&writer->header, "%llu],\"data_offsets\":[%zu,%zu]}",
                       (unsigned long long)columns, begin, writer->data.length));
}

static uint8_t *join(const char *header, size_t header_bytes, const void *data, size_t data_bytes,
                     size_t *bytes)
{
    uint64_t padded = (header_bytes + 7) / 8 * 8;
    *bytes = 8 + padded + data_bytes;
    uint8_t *file = calloc(1, *bytes + 1);
    if (!file)
        abort();
    memcpy(file, &padded, 8);
    memset(file + 8, ' ', padded);
    memcpy(file + 8, header, header_bytes);
    if (data)
        memcpy(file + 8 + padded, data, data_bytes);
    return file;
}

uint8_t *safetensors_writer_finish(const struct safetensors_writer *writer, size_t *bytes)
{
    struct buffer header = buffer_new(BYTES_MAX);
    need(buffer_append(&header, writer->header.bytes, writer->header.length));
    need(buffer_append(&header, "}", 1));
    uint8_t *file =
        join(header.bytes, header.length, writer->data.bytes, writer->data.length, bytes);
    buffer_free(&header);
    return file;
}

uint8_t *safetensors_writer_raw(const char *header, size_t data_bytes, size_t *bytes)
{
    return join(header, strlen(header), NULL, data_bytes, bytes);
}
