/* hf_vocabulary.h - a vocabulary from the tokenizer.json of a Hugging Face folder and the files
 * beside it.
 *
 * tokenizer.json is a program of components (normalizer, pre_tokenizer, model, post_processor);
 * each is translated into the parts of struct vocabulary, or refused by its name: what is not
 * understood would give subtly wrong tokens.
 *
 * Owns:     nothing; the vocabulary has copies.
 * Promise:  the same as vocabulary.h: everything is checked, whatever the bytes are.  The tokens of
 *           a text are those of the `tokenizers` library.
 * Threads:  any.
 * Limits:   HF_FILE_BYTES_MAX a file, HF_COMPONENTS_MAX components of a kind, nested up to
 *           HF_NESTING_MAX; VOCABULARY_*, NORMALIZER_STEPS_MAX, PRETOKENIZER_STAGES_MAX.
 * Source:   the documentation and the observed behaviour of `tokenizers` 0.22; transformers for
 *           tokenizer_config.json.
 */
#ifndef TEXT_HF_VOCABULARY_H
#define TEXT_HF_VOCABULARY_H

#include "text/vocabulary.h"

enum { HF_FILE_BYTES_MAX = 64 << 20, HF_COMPONENTS_MAX = 64, HF_NESTING_MAX = 8 };

/* The bytes of the files; empty where there is none.  Only tokenizer.json must be there. */
struct hf_files {
    struct text tokenizer;          /* tokenizer.json */
    struct text tokenizer_config;   /* tokenizer_config.json */
    struct text special_tokens_map; /* special_tokens_map.json */
    struct text chat_template;      /* chat_template.jinja */
    struct text generation_config;  /* generation_config.json, or else config.json */
};

/* Returns 0, -ENOMEM, or -ENOEXEC with a text that names the file and the component.  On failure
 * *out is empty.  On success vocabulary_free() frees it. */
int hf_vocabulary_read(const struct hf_files *files, struct vocabulary *out, struct error *error);

#endif
