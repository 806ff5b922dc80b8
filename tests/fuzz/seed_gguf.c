/* seed_gguf.c - writes the first corpus for fuzz_gguf into a folder: an empty file, one with every
 * type of key, one per type of tensor, one that is a part of a split model, and arrays of strings
 * that end where the file does, before, or behind. */
#include "tests/lib/gguf_writer.h"

#include <stdio.h>
#include <stdlib.h>

static void save(struct gguf_writer *writer, const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int status = gguf_writer_save(writer, path);
    gguf_writer_free(writer);
    if (status) {
        fprintf(stderr, "%s: %s\n", path, strerror(-status));
        exit(1);
    }
}

static void add_every_type_of_key(struct gguf_writer *writer)
{
    static const enum gguf_type integers[] = {GGUF_UINT8,  GGUF_INT8,  GGUF_UINT16, GGUF_INT16,
                                              GGUF_UINT32, GGUF_INT32, GGUF_UINT64, GGUF_INT64};
    char key[16];
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        snprintf(key, sizeof key, "i%zu", i);
        gguf_writer_integer(writer, key, integers[i], 100);
        snprintf(key, sizeof key, "a%zu", i);
        gguf_writer_array(writer, key, integers[i], 1, "12345678",
                          i < 2   ? 1
                          : i < 4 ? 2
                          : i < 6 ? 4
                                  : 8);
    }
    gguf_writer_f32(writer, "f", 0.5f);
    gguf_writer_number(writer, "d", GGUF_FLOAT64, 0.25);
    gguf_writer_bool(writer, "b", true);
    gguf_writer_string(writer, "s", text_of("llama"));
    gguf_writer_strings(writer, "t", 3, (struct text[]){text_of("a"), text_of(""), text_of("bc")});
    gguf_writer_array(writer, "bools", GGUF_BOOL, 2, "\0\1", 2);
}

static void add_tensor(struct gguf_writer *writer, uint32_t type, const char *name)
{
    static const uint8_t bytes[1024] = {1, 2, 3};
    const struct tensor_format *format = tensor_format(type);
    gguf_writer_tensor(writer, name, type, 2, (uint64_t[]){format->block, 2}, bytes,
                       (size_t)format->block_bytes * 2);
}

/* Arrays whose last string has each of these lengths, with three bytes behind it: where the walk
 * over strings has to stop. */
static void save_string_arrays(const char *folder)
{
    static const uint64_t lengths[] = {3,         4, 2, 0, 16 << 20, (16 << 20) + 1, UINT64_MAX - 7,
                                       UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t strings[4 * 8 + 1 + 3] = {[16] = 1, [24] = 'a'}; /* "", "", "a", and the last */
        char name[32];
        memcpy(strings + 25, &lengths[i], sizeof lengths[i]);
        struct gguf_writer writer = gguf_writer_new();
        gguf_writer_array(&writer, "t", GGUF_STRING, 4, strings, sizeof strings);
        snprintf(name, sizeof name, "strings%zu", i);
        save(&writer, folder, name);
    }
}

int main(int count, char **arguments)
{
    static const uint32_t types[] = {
        TENSOR_F32,    TENSOR_F16,   TENSOR_BF16,  TENSOR_Q4_0,  TENSOR_Q4_1,
        TENSOR_Q5_0,   TENSOR_Q5_1,  TENSOR_Q8_0,  TENSOR_Q2_K,  TENSOR_Q3_K,
        TENSOR_Q4_K,   TENSOR_Q5_K,  TENSOR_Q6_K,  TENSOR_Q8_K,  TENSOR_IQ4_NL,
        TENSOR_IQ4_XS, TENSOR_TQ1_0, TENSOR_TQ2_0, TENSOR_MXFP4,
    };
    if (count != 2) {
        fprintf(stderr, "usage: seed_gguf FOLDER\n");
        return 2;
    }
    const char *folder = arguments[1];
    struct gguf_writer writer = gguf_writer_new();
    save(&writer, folder, "empty");
    writer = gguf_writer_new();
    add_every_type_of_key(&writer);
    add_tensor(&writer, TENSOR_F32, "x");
    save(&writer, folder, "keys");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        writer = gguf_writer_new();
        gguf_writer_align(&writer, 8);
        add_tensor(&writer, types[i], "blk.0.w");
        add_tensor(&writer, TENSOR_F16, "blk.1.w");
        save(&writer, folder, tensor_format(types[i])->name);
    }
    writer = gguf_writer_new();
    gguf_writer_integer(&writer, "split.no", GGUF_UINT16, 0);
    gguf_writer_integer(&writer, "split.count", GGUF_UINT16, 2);
    gguf_writer_integer(&writer, "split.tensors.count", GGUF_INT32, 2);
    add_tensor(&writer, TENSOR_F32, "t");
    save(&writer, folder, "split");
    save_string_arrays(folder);
    return 0;
}
