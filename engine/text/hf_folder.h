/* hf_folder.h - the vocabulary of a model, whether it is a GGUF file or a folder.
 *
 * Owns:     nothing; the vocabulary of a folder has copies, that of a GGUF views.
 * Threads:  any.
 */
#ifndef TEXT_HF_FOLDER_H
#define TEXT_HF_FOLDER_H

#include "text/vocabulary.h"

/* Read the tokenizer files of the folder `path`; where that is no folder, the keys of `gguf`.
 * Returns 0, the errors of vocabulary_from_gguf() and hf_vocabulary_read(), or those of
 * folder_read_file() but -ENOENT. */
int hf_folder_vocabulary(const char *path, const struct gguf *gguf, struct vocabulary *out,
                         struct error *error);

#endif
