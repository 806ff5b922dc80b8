/* folder_internal.h - what the files behind folder.h share; nobody else includes it.
 *
 * The order of work: folder_files.c opens, jsonload.c and safetensors.c check, folder_config.c
 * finds the family and writes its keys (folder_rope.c those of the rotation, folder_pooling.c those
 * of sentence encoders) with folder_keys.c; folder_tensors.c gives the tensors their GGUF names.
 * folder.c puts it together.
 */
#ifndef LOAD_FOLDER_INTERNAL_H
#define LOAD_FOLDER_INTERNAL_H

#include "load/folder.h"
#include "load/gguf_internal.h"
#include "load/jsonload.h"
#include "load/safetensors.h"

/* ---- folder_keys.c: a GGUF header in memory, which gguf_parse() then checks as any other ---- */

enum { FOLDER_KEYS_BYTES_MAX = 1 << 20, FOLDER_KEY_BYTES = 128 };

/* The first failure stays in `status`, so that a row of calls is checked once. */
struct folder_keys {
    struct buffer bytes;
    const char *family; /* put in front of names that begin with a dot: ".block_count" */
    uint64_t count;
    int status; /* 0, -ENOMEM or -EMSGSIZE */
};

struct folder_keys folder_keys_new(const char *family);
void folder_keys_u32(struct folder_keys *keys, const char *name, uint32_t value);
void folder_keys_f32(struct folder_keys *keys, const char *name, double value);
void folder_keys_bool(struct folder_keys *keys, const char *name, bool value);
void folder_keys_bools(struct folder_keys *keys, const char *name, const uint8_t *values,
                       uint64_t count);
void folder_keys_string(struct folder_keys *keys, const char *name, const char *value);

/* The finished header, which the caller owns then.  Returns 0, -ENOMEM or -ENOEXEC (too long). */
int folder_keys_finish(struct folder_keys *keys, void **out, size_t *bytes, struct error *error);

/* ---- the families ---- */

enum folder_number_kind { FOLDER_COUNT, FOLDER_FLOAT };

enum { FOLDER_NUMBER_REQUIRED = -1, FOLDER_NUMBER_OPTIONAL = 0 };

/* One number of config.json: both its names, and what stands for it when it is absent (REQUIRED,
 * OPTIONAL or the value itself). */
struct folder_number {
    const char *name;
    const char *key; /* ".block_count" */
    enum folder_number_kind kind;
    double otherwise;
};

/* One kind of tensor: both names without ".weight" or ".bias"; '#' stands for the layer. */
struct folder_name {
    const char *name;
    const char *gguf;
    enum folder_change {
        FOLDER_AS_IS,
        FOLDER_PLUS_ONE,   /* the norm multiplies by 1 + weight; GGUF holds the sum */
        FOLDER_TRANSPOSED, /* stored [in][out] */
        FOLDER_HEAD,       /* the output's matrix, unused where it is tied to the embedding */
    } change;
};

struct folder_family {
    const char *name;           /* general.architecture */
    const char *classes;        /* names in "architectures", each between two spaces */
    const char *activation_key; /* its name in config.json */
    const char *activations;    /* those that this family is computed with, the same way */
    bool tied;                  /* when tie_word_embeddings is absent */
    bool rotated;               /* positions are a rotation of queries and keys */
    bool halves;                /* ... of (i, i + size/2), where GGUF's family has (2i, 2i + 1) */
    const struct folder_number *numbers; /* ends with a NULL name */
    const struct folder_name *tensors;   /* ends with a NULL name */
};

/* The family that config.json names.  Returns 0 or -ENOEXEC. */
int folder_family_find(const json_t *config, const struct folder_family **out, struct error *error);

/* ---- folder_config.c ---- */

/* What was read of the texts, and what the translation needs of it again. */
struct folder_config {
    const json_t *json; /* config.json, or its text_config */
    const struct folder_family *family;
    bool tied;
};

/* Fill *config from the tree of config.json and write the keys.  Returns 0 or -ENOEXEC. */
int folder_config_read(const json_t *root, struct folder_config *config, struct folder_keys *keys,
                       struct error *error);

/* ---- folder_rope.c ---- */

/* The keys of the rotation.  Returns 0 or -ENOEXEC. */
int folder_rope_keys(const struct folder_config *config, struct folder_keys *keys,
                     struct error *error);

/* Add the divisors of the frequencies as tensors where the scaling is a list of them.  Returns 0,
 * -ENOMEM or -ENOEXEC. */
int folder_rope_tensors(const struct folder_config *config, struct gguf *gguf, struct error *error);

/* ---- folder_pooling.c ---- */

/* The keys of a sentence encoder.  Returns 0, -ENOMEM or -ENOEXEC. */
int folder_pooling_keys(const struct folder_texts *texts, struct folder_keys *keys,
                        struct error *error);

/* ---- folder_tensors.c ---- */

/* Add the tensors of a file that the family knows, others not.  Returns 0, -ENOMEM, or -ENOEXEC
 * naming a tensor that is needed and of a dtype or shape that is not read. */
int folder_tensors_add(const struct folder_config *config, const struct safetensors *file,
                       struct gguf *gguf, struct error *error);

#endif
