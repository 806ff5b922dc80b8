/* hf_folder.c - see hf_folder.h. */
#include "text/hf_folder.h"

#include "load/folder.h"
#include "text/hf_vocabulary.h"

#include <errno.h>

enum { CONFIG, TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, TEMPLATE, GENERATION, FILES };

static const char *const names[FILES] = {
    "config.json",           "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja",   "generation_config.json",
};

static int read_folder(const char *path, struct vocabulary *out, struct error *error)
{
    struct buffer files[FILES];
    int status = 0;
    for (size_t i = 0; i < FILES; i++)
        files[i] = buffer_new(HF_FILE_BYTES_MAX);
    for (size_t i = 0; i < FILES && !status; i++) {
        status = folder_read_file(path, names[i], HF_FILE_BYTES_MAX, &files[i], error);
        if (status == -ENOENT) /* what must be there is missed later, with a reason */
            status = 0;
    }
    size_t generation = files[GENERATION].length ? GENERATION : CONFIG;
    struct hf_files views = {
        .tokenizer = buffer_text(&files[TOKENIZER]),
        .tokenizer_config = buffer_text(&files[TOKENIZER_CONFIG]),
        .special_tokens_map = buffer_text(&files[SPECIAL_TOKENS]),
        .chat_template = buffer_text(&files[TEMPLATE]),
        .generation_config = buffer_text(&files[generation]),
    };
    if (!status)
        status = hf_vocabulary_read(&views, out, error);
    for (size_t i = 0; i < FILES; i++)
        buffer_free(&files[i]);
    return status;
}

int hf_folder_vocabulary(const char *path, const struct gguf *gguf, struct vocabulary *out,
                         struct error *error)
{
    *out = (struct vocabulary){0};
    return folder_is(path) ? read_folder(path, out, error) : vocabulary_from_gguf(gguf, out, error);
}
