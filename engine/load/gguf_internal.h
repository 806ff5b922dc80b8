/* gguf_internal.h - what the files behind gguf.h share; nobody else includes it.
 *
 * The order of work: gguf_split.c says which files, mapping.c maps each, gguf_parse.c reads the
 * 24 bytes at its start, gguf_keys.c and gguf_tensors.c what they announce, gguf_index.c makes the
 * names findable and refuses duplicates.  gguf.c joins the parts; gguf_values.c answers questions.
 */
#ifndef LOAD_GGUF_INTERNAL_H
#define LOAD_GGUF_INTERNAL_H

#include "base/bytes.h"
#include "load/gguf.h"
#include "load/mapping.h"

enum { GGUF_HEADER_BYTES = 24, GGUF_TENSORS_OFFSET = 8, GGUF_KEYS_OFFSET = 16 };

/* Names in sorted order, each with its position in an array. */
struct gguf_name {
    struct text text;
    size_t position;
};

struct gguf_index {
    struct gguf_name *names;
    size_t count;
};

/* A part of a split file is first opened as a struct gguf of its own, so that the same getters read
 * its keys; then the first part adopts its mapping and its tensors. */
struct gguf {
    struct mapping *parts; /* part_count of them; `keys` point into parts[0], or into own memory */
    size_t part_count;
    size_t part_capacity;
    void **own; /* what a folder needs beside its files: keys, converted vectors */
    size_t own_count;
    size_t own_capacity;
    uint64_t own_bytes;
    uint32_t version;
    struct gguf_value *keys;
    size_t key_count;
    struct gguf_index key_index;
    struct tensor *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    struct gguf_index tensor_index;
};

/* Where the reading is, for the bounds and for the sentence of an error. */
struct gguf_parser {
    struct bytes_cursor cursor; /* over the file, or its first GGUF_HEADER_BYTES_MAX bytes */
    uint64_t file_bytes;
    const char *kind; /* what is being read: "the header", "key" or "tensor" */
    uint64_t number;  /* which one of its kind, from 1 */
    struct text name; /* its name, empty as long as that was not read */
    struct error *error;
};

/* ---- gguf_parse.c: each returns 0, or -ENOEXEC with an error text ---- */

/* Check parts[0] and fill the rest of *gguf, but for tensor_index.  Also -ENOMEM.  After a failure
 * gguf_close() frees what is there. */
int gguf_parse(struct gguf *gguf, struct error *error);

/* Returns -ENOEXEC with "<kind> <name> <sentence> (at byte <offset>)". */
int gguf_parse_refuse(const struct gguf_parser *parser, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next number; the next string of at most `length_max` bytes; the same, but neither empty nor
 * with a zero byte in it, as parser->name. */
int gguf_parse_u32(struct gguf_parser *parser, uint32_t *out);
int gguf_parse_u64(struct gguf_parser *parser, uint64_t *out);
int gguf_parse_string(struct gguf_parser *parser, uint64_t length_max, struct text *out);
int gguf_parse_name(struct gguf_parser *parser, uint64_t length_max);

/* Error for bytes that end too early. */
int gguf_parse_short(const struct gguf_parser *parser);

/* Is there room for `count` things of at least `item_bytes_min` in the bytes left, and does the
 * limit allow them?  `offset` is where the header claims it. */
int gguf_parse_check_count(const struct gguf_parser *parser, const char *things, uint64_t offset,
                           uint64_t count, uint64_t item_bytes_min, uint64_t count_max);

/* ---- the two tables of a file: 0, -ENOEXEC or -ENOMEM ---- */

int gguf_keys_parse(struct gguf_parser *parser, struct gguf *gguf, uint64_t count);
int gguf_tensors_parse(struct gguf_parser *parser, struct gguf *gguf, uint64_t count);

/* Index the tensors of all parts.  Returns 0, -ENOMEM, or -ENOEXEC when a name appears twice. */
int gguf_tensors_index(struct gguf *gguf, struct error *error);

/* ---- gguf_index.c ---- */

/* Room for `count` names, which the caller fills in before sorting.  Returns 0 or -ENOMEM. */
int gguf_index_new(struct gguf_index *index, size_t count, struct error *error);
void gguf_index_free(struct gguf_index *index);

/* Sort; returns NULL, or the later one of two equal names. */
const struct gguf_name *gguf_index_sort(struct gguf_index *index);

/* True with the position of `text`, or false. */
bool gguf_index_find(const struct gguf_index *index, struct text text, size_t *position);

/* ---- gguf_split.c ---- */

enum { GGUF_SPLIT_SUFFIX_BYTES = 20 }; /* "-00001-of-00004.gguf" */

/* The numbers in a path that ends with "-00001-of-00004.gguf"; 1 of 1 for any other. */
struct gguf_split {
    uint32_t number; /* from 1 */
    uint32_t count;
};

struct gguf_split gguf_split_of(const char *path);

/* Rewrite the number in such a path. */
void gguf_split_rename(char *path, struct gguf_split split);

/* Do the keys split.* of `part` agree with its name and with the first part?  0 or -ENOEXEC. */
int gguf_split_check(const struct gguf *first, const struct gguf *part, struct gguf_split split,
                     struct error *error);

/* Are all tensors there that the first part announces?  0 or -ENOEXEC. */
int gguf_split_check_total(const struct gguf *first, struct error *error);

/* ---- gguf_build.c: what does not stand in one file ---- */

/* A view of the keys that stand in a GGUF header, which it takes over (from malloc) even when it
 * fails; parts and tensors are added by the caller, who at the end calls gguf_tensors_index().
 * Returns 0, -ENOMEM, or -ENOEXEC as gguf_parse(). */
int gguf_build(void *header, size_t bytes, struct gguf **out, struct error *error);

/* Take over a mapping.  Returns 0, -ENOMEM, or -ENOEXEC when there are GGUF_SPLITS_MAX: then the
 * mapping was closed. */
int gguf_build_part(struct gguf *gguf, struct mapping part, struct error *error);

/* Add tensors.  Returns 0, -ENOMEM, or -ENOEXEC when there would be more than GGUF_TENSORS_MAX. */
int gguf_build_tensors(struct gguf *gguf, const struct tensor *tensors, size_t count,
                       struct error *error);

/* Room for a vector of `count` floats that lives as long as the view, or NULL. */
float *gguf_build_vector(struct gguf *gguf, size_t count);

#endif
