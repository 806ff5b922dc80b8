/* folder.c - a folder becomes a struct gguf: see folder.h, and folder_internal.h for who does what.
 */
#include "load/folder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WEIGHTS_FILE "model.safetensors"
#define INDEX_FILE   "model.safetensors.index.json"

/* A folder that is being opened. */
struct opening {
    const char *path;
    int directory;
    struct folder_config config;
    struct gguf *gguf;
};

/* ---- keys ---- */

static int write_keys(const json_t *root, const struct folder_texts *texts, struct opening *opening,
                      struct error *error)
{
    struct folder_keys keys = {0};
    void *header;
    size_t bytes;
    if (!json_is_object(root))
        return error_set(error, ENOEXEC, "config.json is not an object");
    int status = folder_config_read(root, &opening->config, &keys, error);
    if (!status)
        status = folder_pooling_keys(texts, &keys, error);
    if (!status)
        status = folder_keys_finish(&keys, &header, &bytes, error);
    if (status) {
        buffer_free(&keys.bytes);
        return status;
    }
    status = gguf_build(header, bytes, &opening->gguf, error);
    if (!status && opening->config.family->rotated)
        status = folder_rope_tensors(&opening->config, opening->gguf, error);
    return status;
}

/* The tree of config.json is not needed once the keys are written. */
static int translate_config(const struct folder_texts *texts, struct opening *opening,
                            struct error *error)
{
    json_t *root;
    int status = jsonload_parse(texts->config, "config.json", &root, error);
    if (status)
        return status;
    status = write_keys(root, texts, opening, error);
    opening->config.json = NULL;
    json_decref(root);
    return status;
}

static int add_tensors(struct opening *opening, const void *data, size_t bytes, const char *name,
                       struct error *error)
{
    struct safetensors *file;
    struct error reason = {0};
    int status = safetensors_parse(data, bytes, &file, &reason);
    if (!status) {
        status = folder_tensors_add(&opening->config, file, opening->gguf, &reason);
        safetensors_close(file);
    }
    return status ? error_set(error, -status, "%s: %s", name, reason.text) : 0;
}

int folder_translate_memory(const struct folder_texts *texts, const void *data, size_t bytes,
                            struct gguf **out, struct error *error)
{
    struct opening opening = {.directory = -1};
    int status = translate_config(texts, &opening, error);
    if (!status)
        status = gguf_build_part(opening.gguf, mapping_borrow(data, bytes), error);
    if (!status)
        status = add_tensors(&opening, data, bytes, WEIGHTS_FILE, error);
    if (!status)
        status = gguf_tensors_index(opening.gguf, error);
    if (status)
        gguf_close(opening.gguf);
    else
        *out = opening.gguf;
    return status;
}

/* ---- files ---- */

static int read_text(const char *path, const char *name, struct buffer *buffer, struct text *out,
                     struct error *error)
{
    *buffer = buffer_new(FOLDER_CONFIG_BYTES_MAX);
    int status = folder_read_file(path, name, FOLDER_CONFIG_BYTES_MAX, buffer, error);
    *out = buffer_text(buffer);
    return status;
}

static int read_config(struct opening *opening, struct error *error)
{
    struct folder_texts texts = {0};
    struct {
        const char *name;
        struct text *text;
        struct buffer buffer;
    } files[] = {
        {"config.json", &texts.config, {0}},
        {"modules.json", &texts.modules, {0}},
        {"1_Pooling/config.json", &texts.pooling, {0}},
        {"sentence_bert_config.json", &texts.sentence, {0}},
    };
    enum { FILES = sizeof files / sizeof *files };
    int status = 0;
    for (size_t i = 0; i < FILES && !status; i++) {
        status = read_text(opening->path, files[i].name, &files[i].buffer, files[i].text, error);
        if (status == -ENOENT && i > 0)
            status = 0;
        else if (status == -ENOENT)
            status = error_set(error, ENOEXEC, "not a model: the folder has no config.json");
    }
    if (!status)
        status = translate_config(&texts, opening, error);
    for (size_t i = 0; i < FILES; i++)
        buffer_free(&files[i].buffer);
    return status;
}

static int add_file(struct opening *opening, const char *name, struct error *error)
{
    struct mapping mapping;
    struct error reason = {0};
    int status = mapping_open_at(opening->directory, name, &mapping, &reason);
    if (status)
        return error_set(error, -status, "%s: %s", name, reason.text);
    status = gguf_build_part(opening->gguf, mapping, error);
    return status ? status : add_tensors(opening, mapping.bytes, mapping.length, name, error);
}

/* Each file of the index once; files[i] are its names in the tree. */
static int add_listed(struct opening *opening, json_t *map, struct error *error)
{
    const char *files[GGUF_SPLITS_MAX], *tensor;
    size_t count = 0;
    json_t *value;
    if (json_object_size(map) > GGUF_TENSORS_MAX)
        return error_set(error, ENOEXEC, INDEX_FILE ": more than %d tensors", GGUF_TENSORS_MAX);
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        size_t known = 0;
        if (!file || !folder_name_is_plain(text_of(file)))
            return error_set(error, ENOEXEC,
                             INDEX_FILE ": tensor %.100s is in no file of this folder", tensor);
        while (known < count && strcmp(files[known], file) != 0)
            known++;
        if (known < count)
            continue;
        if (count == GGUF_SPLITS_MAX)
            return error_set(error, ENOEXEC, INDEX_FILE ": more than %d files", GGUF_SPLITS_MAX);
        files[count++] = file;
    }
    int status = 0;
    for (size_t i = 0; i < count && !status; i++)
        status = add_file(opening, files[i], error);
    return status;
}

static int add_indexed(struct opening *opening, struct error *error)
{
    struct buffer buffer = buffer_new(FOLDER_INDEX_BYTES_MAX);
    json_t *root = NULL;
    int status =
        folder_read_file(opening->path, INDEX_FILE, FOLDER_INDEX_BYTES_MAX, &buffer, error);
    if (status == -ENOENT)
        status = error_set(error, ENOEXEC,
                           "not a model: the folder has neither " WEIGHTS_FILE " nor " INDEX_FILE);
    if (!status)
        status = jsonload_parse(buffer_text(&buffer), INDEX_FILE, &root, error);
    if (!status) {
        json_t *map = json_object_get(root, "weight_map");
        status = json_object_size(map) ? add_listed(opening, map, error)
                                       : error_set(error, ENOEXEC, INDEX_FILE " has no weight_map");
    }
    json_decref(root);
    buffer_free(&buffer);
    return status;
}

static int add_weights(struct opening *opening, struct error *error)
{
    if (faccessat(opening->directory, WEIGHTS_FILE, F_OK, 0) == 0)
        return add_file(opening, WEIGHTS_FILE, error);
    return add_indexed(opening, error);
}

int folder_translate(const char *path, struct gguf **out, struct error *error)
{
    struct opening opening = {.path = path};
    opening.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opening.directory < 0)
        return error_set(error, errno, "cannot be opened: %s", strerror(errno));
    int status = read_config(&opening, error);
    if (!status)
        status = add_weights(&opening, error);
    if (!status)
        status = gguf_tensors_index(opening.gguf, error);
    close(opening.directory);
    if (status)
        gguf_close(opening.gguf);
    else
        *out = opening.gguf;
    return status;
}
