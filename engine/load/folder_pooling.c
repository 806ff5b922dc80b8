/* folder_pooling.c - how a sentence encoder makes one vector of a text: modules.json lists its
 * steps (Transformer, Pooling, Normalize), each with a folder of its own.
 *
 * pooling_type has llama.cpp's numbers; what GGUF has no words for are keys of ours:
 * inferfs.embedding.tokens_max.
 */
#include "load/folder_internal.h"

#include <errno.h>

enum { POOLING_NONE, POOLING_MEAN, POOLING_CLS, POOLING_LAST, TOKENS_MAX = 1 << 24 };

/* The flags of older folders, and the word that stands for each in newer ones. */
static const struct {
    const char *flag, *word;
    uint32_t type;
} modes[] = {
    {"pooling_mode_mean_tokens", "mean", POOLING_MEAN},
    {"pooling_mode_cls_token", "cls", POOLING_CLS},
    {"pooling_mode_lasttoken", "lasttoken", POOLING_LAST},
    {"pooling_mode_max_tokens", "max", POOLING_NONE},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", POOLING_NONE},
    {"pooling_mode_weightedmean_tokens", "weightedmean", POOLING_NONE},
};

static int write_pooling(const json_t *json, struct folder_keys *keys, struct error *error)
{
    const char *word = json_string_value(json_object_get(json, "pooling_mode"));
    uint32_t type = POOLING_NONE;
    size_t chosen = 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (json_is_true(json_object_get(json, modes[i].flag)) ||
            (word && strcmp(word, modes[i].word) == 0)) {
            type = modes[i].type;
            chosen++;
        }
    if (chosen != 1 || type == POOLING_NONE)
        return error_set(error, ENOEXEC,
                         "1_Pooling/config.json: only the mean, the first or the last token alone "
                         "is supported");
    folder_keys_u32(keys, ".pooling_type", type);
    return 0;
}

static int read_pooling(struct text text, struct folder_keys *keys, struct error *error)
{
    json_t *json;
    int status = jsonload_parse(text, "1_Pooling/config.json", &json, error);
    if (status)
        return status;
    status = write_pooling(json, keys, error);
    json_decref(json);
    return status;
}

/* A step that is not known would be left out in silence. */
static int check_steps(const json_t *json, struct error *error)
{
    size_t i;
    const json_t *module;
    if (!json_is_array(json))
        return error_set(error, ENOEXEC, "modules.json is not a list");
    json_array_foreach(json, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *word = type ? strrchr(type, '.') : NULL;
        word = word ? word + 1 : type;
        if (!word || (strcmp(word, "Transformer") != 0 && strcmp(word, "Pooling") != 0 &&
                      strcmp(word, "Normalize") != 0))
            return error_set(error, ENOEXEC, "modules.json: step %zu, \"%.100s\", is not supported",
                             i, word ? word : "?");
    }
    return 0;
}

static int check_modules(struct text text, struct error *error)
{
    json_t *json;
    int status = jsonload_parse(text, "modules.json", &json, error);
    if (status)
        return status;
    status = check_steps(json, error);
    json_decref(json);
    return status;
}

static int read_sentence(struct text text, struct folder_keys *keys, struct error *error)
{
    json_t *json;
    struct error reason = {0};
    int64_t tokens = 0;
    int status = jsonload_parse(text, "sentence_bert_config.json", &json, error);
    if (status)
        return status;
    status = jsonload_count(json, "max_seq_length", 1, TOKENS_MAX, &tokens, &reason);
    json_decref(json);
    if (status == -ENOENT)
        return 0;
    if (status)
        return error_set(error, -status, "sentence_bert_config.json: %s", reason.text);
    folder_keys_u32(keys, "inferfs.embedding.tokens_max", (uint32_t)tokens);
    return 0;
}

int folder_pooling_keys(const struct folder_texts *texts, struct folder_keys *keys,
                        struct error *error)
{
    int status = texts->modules.length ? check_modules(texts->modules, error) : 0;
    if (!status && texts->pooling.length)
        status = read_pooling(texts->pooling, keys, error);
    if (!status && texts->sentence.length)
        status = read_sentence(texts->sentence, keys, error);
    return status;
}
