/* hf_reading.h - what the parts of the reader of tokenizer.json share: the parsed file, the
 * vocabulary that grows, and its memory.
 *
 * Owns:     nothing by itself; hf_vocabulary_read() makes and ends it.
 * Promise:  `memory` never moves, so views into it stay.
 * Threads:  one.
 */
#ifndef TEXT_HF_READING_H
#define TEXT_HF_READING_H

#include "text/hf_vocabulary.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"

#include <jansson.h>

#define HF_SPACE_MARK "\xE2\x96\x81" /* U+2581 */

struct hf_reading {
    json_t *root;              /* tokenizer.json without the two lists below */
    struct text vocab, merges; /* model.vocab and model.merges as they stand in the file */
    struct vocabulary *out;
    size_t token_capacity; /* of the arrays of `out` that have an entry for each token */
    char *memory;          /* [capacity], becomes out->memory */
    size_t used, capacity;
    struct pretokenizer_rule *rule; /* in `memory` */
    size_t stage_count;
    bool is_byte_level; /* ByteLevel: bytes become GPT-2's alphabet */
    bool is_bert;       /* BertPreTokenizer */
    bool is_metaspace;  /* Metaspace: spaces become U+2581 */
    bool is_words;      /* WhitespaceSplit was the last component */
    struct error *error;
};

/* Take `length` bytes of the memory.  Returns NULL when it is used up: it was made as large as the
 * files need, so only a file with absurd components meets that. */
char *hf_take(struct hf_reading *reading, size_t length);

/* A copy of `text` in the memory.  Returns 0 or -ENOMEM. */
int hf_keep(struct hf_reading *reading, struct text text, struct text *out);

/* Let there be at least `count` tokens; new ones are empty and UNUSED.  Returns 0, -ENOMEM, or
 * -ENOEXEC when that is more than VOCABULARY_TOKENS_MAX. */
int hf_reserve_tokens(struct hf_reading *reading, int64_t count);

/* The string at `key` of an object, or the empty text. */
struct text hf_string(const json_t *object, const char *key);

/* Is `key` of an object true?  `otherwise` when it is neither true nor false. */
bool hf_is_true(const json_t *object, const char *key, bool otherwise);

/* Call read() for a component, or for each of a Sequence of them; null is none.  `list` is the key
 * of the components of a Sequence.  Returns what read() returned first that is not 0, or -ENOEXEC.
 */
int hf_each_component(struct hf_reading *reading, const json_t *component, const char *list,
                      int (*read)(struct hf_reading *reading, const json_t *component));

/* -ENOEXEC: "tokenizer.json: unknown KIND "TYPE"". */
int hf_unknown(struct hf_reading *reading, const char *kind, const json_t *component);

/* -ENOEXEC: "tokenizer.json: " and the sentence. */
int hf_refuse(struct hf_reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One more thing that happens to a text first; the texts of the step must stay.  Returns 0,
 * -ENOMEM, or -ENOEXEC past NORMALIZER_STEPS_MAX. */
int hf_add_step(struct hf_reading *reading, struct normalizer_step step);

/* The parts.  Each returns 0, -ENOMEM or -ENOEXEC. */
int hf_model_read(struct hf_reading *reading);        /* tokens, kinds, scores, merges */
int hf_normalizer_read(struct hf_reading *reading);   /* steps */
int hf_pretokenizer_read(struct hf_reading *reading); /* rule */
int hf_tokens_read(struct hf_reading *reading, const struct hf_files *files); /* special tokens */

#endif
