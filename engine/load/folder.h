/* folder.h - a Hugging Face folder as a model: config.json, *.safetensors, and what lies beside
 * them.
 *
 * GGUF's names are this engine's own language.  A folder is translated at opening into the same
 * struct gguf that a file gives: its configuration into keys, its tensors into views with GGUF
 * names that point into the mapped files.  So whoever reads a model reads folders too.
 *
 * Owns:     nothing here; what is opened belongs to the struct gguf.
 * Promise:  the same as gguf.h.  No name that a file contains leads out of the folder; symbolic
 *           links in it are followed, because download caches consist of them.
 * Threads:  any.
 * Limits:   FOLDER_* below, SAFETENSORS_* and GGUF_*.
 * Source:   the folders that the transformers and sentence-transformers libraries write.
 */
#ifndef LOAD_FOLDER_H
#define LOAD_FOLDER_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

enum {
    FOLDER_CONFIG_BYTES_MAX = 4 << 20, /* of a .json that describes the model */
    FOLDER_INDEX_BYTES_MAX = 16 << 20, /* of model.safetensors.index.json */
};

/* Is there a directory at `path`? */
bool folder_is(const char *path);

/* Append the whole file `name` of the folder to *out, which takes `bytes_max` at most (its own
 * limit counts too).  `name` is one that the code knows, or passed folder_name_is_plain().
 * Returns 0 or
 *   -ENOENT          no such file (no error text: most files are optional)
 *   -ENOEXEC         not a regular file, or longer than bytes_max
 *   -EACCES, -EIO .. as open(2), fstat(2), read(2) said
 *   -ENOMEM          no memory for it */
int folder_read_file(const char *folder, const char *name, size_t bytes_max, struct buffer *out,
                     struct error *error);

struct gguf;

/* Open the folder as a model; gguf_open() calls this.  Returns 0, or
 *   -ENOEXEC  no config.json or no tensors; config.json, a header or an index that breaks its
 *             format or a limit, or an architecture, option or type of tensor that is not read;
 *             error->text says what and where (file, key or tensor)
 *   -ENOENT   a file that the index names is missing
 *   -EACCES, -EIO, -ENOMEM ...  as folder_read_file() */
int folder_translate(const char *path, struct gguf **out, struct error *error);

/* The texts that describe a model; empty where there is none, but for `config`. */
struct folder_texts {
    struct text config;   /* config.json */
    struct text modules;  /* modules.json */
    struct text pooling;  /* 1_Pooling/config.json */
    struct text sentence; /* sentence_bert_config.json */
};

/* The same from memory, for the fuzzer and the tests: `data`, the bytes of one model.safetensors,
 * must outlive *out. */
int folder_translate_memory(const struct folder_texts *texts, const void *data, size_t bytes,
                            struct gguf **out, struct error *error);

/* May a name that stands in a file be opened in the folder: not empty, at most 255 bytes, no '/',
 * no zero byte, no leading dot? */
bool folder_name_is_plain(struct text name);

#endif
