/* hf_vocabulary.c - see hf_vocabulary.h.
 *
 *   tokenizer.json --cut--> model.vocab, model.merges --hf_model.c-->  tokens, merges
 *                  --cut--> the rest, a jansson tree  --hf_normalizer.c, hf_pretokenizer.c,
 *                                                       hf_tokens.c-->  steps, rule, special ids
 *
 * All strings go into one block of memory whose size is known before: no string grows by decoding,
 * and one may be copied once more, with a U+2581 that is shorter than the punctuation around it. */
#include "text/hf_reading.h"

#include "text/jsonscan.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COMPONENT_BYTES_MAX =
        64 << 10, /* what patterns and rules may take beside the files' own size */
    SENTENCE_BYTES_MAX = 200,
};

char *hf_take(struct hf_reading *reading, size_t length)
{
    if (length > reading->capacity - reading->used)
        return NULL;
    char *taken = reading->memory + reading->used;
    reading->used += length;
    return taken;
}

int hf_keep(struct hf_reading *reading, struct text text, struct text *out)
{
    char *copy = hf_take(reading, text.length);
    if (!copy)
        return error_set(reading->error, ENOMEM, "tokenizer.json: no memory for its strings");
    if (text.length)
        memcpy(copy, text.bytes, text.length);
    *out = (struct text){copy, text.length};
    return 0;
}

struct text hf_string(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct text){json_string_value(value), json_string_length(value)};
}

bool hf_is_true(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

int hf_refuse(struct hf_reading *reading, const char *format, ...)
{
    char sentence[SENTENCE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(reading->error, ENOEXEC, "tokenizer.json: %s", sentence);
}

int hf_unknown(struct hf_reading *reading, const char *kind, const json_t *component)
{
    struct text type = hf_string(component, "type");
    return error_set(reading->error, ENOEXEC, "tokenizer.json: unknown %s \"%.*s\"", kind,
                     TEXT_ARGUMENTS(type));
}

static int each_component(struct hf_reading *reading, const json_t *component, const char *list,
                          int (*read)(struct hf_reading *reading, const json_t *component),
                          int depth, int *count)
{
    if (!component || json_is_null(component))
        return 0;
    if (!text_is(hf_string(component, "type"), "Sequence"))
        return ++*count > HF_COMPONENTS_MAX
                   ? hf_refuse(reading, "more than %d components in one place", HF_COMPONENTS_MAX)
                   : read(reading, component);
    if (depth == HF_NESTING_MAX)
        return hf_refuse(reading, "a Sequence is nested more than %d deep", HF_NESTING_MAX);
    size_t index;
    json_t *item;
    int status = 0;
    json_array_foreach(json_object_get(component, list), index, item)
    {
        status = each_component(reading, item, list, read, depth + 1, count);
        if (status)
            break;
    }
    return status;
}

int hf_each_component(struct hf_reading *reading, const json_t *component, const char *list,
                      int (*read)(struct hf_reading *reading, const json_t *component))
{
    int count = 0;
    return each_component(reading, component, list, read, 0, &count);
}

static int grow(void **items, size_t old, size_t count, size_t size)
{
    void *moved = reallocarray(*items, count, size);
    if (!moved)
        return -ENOMEM;
    memset((char *)moved + old * size, 0, (count - old) * size);
    *items = moved;
    return 0;
}

static int grow_tokens(struct hf_reading *reading, size_t count)
{
    struct vocabulary *out = reading->out;
    size_t old = reading->token_capacity;
    if (grow((void **)&out->tokens, old, count, sizeof *out->tokens) ||
        grow((void **)&out->kinds, old, count, sizeof *out->kinds) ||
        grow((void **)&out->flags, old, count, sizeof *out->flags) ||
        grow((void **)&out->scores, old, count, sizeof *out->scores))
        return error_set(reading->error, ENOMEM, "no memory for %zu tokens", count);
    memset(out->kinds + old, TOKEN_UNUSED, count - old);
    reading->token_capacity = count;
    return 0;
}

int hf_reserve_tokens(struct hf_reading *reading, int64_t count)
{
    struct vocabulary *out = reading->out;
    if (count > VOCABULARY_TOKENS_MAX)
        return hf_refuse(reading, "token id %lld, where at most %d tokens are read",
                         (long long)count - 1, VOCABULARY_TOKENS_MAX);
    if (count <= out->token_count)
        return 0;
    size_t doubled = reading->token_capacity ? 2 * reading->token_capacity : 256;
    int status = 0;
    if ((size_t)count > reading->token_capacity)
        status = grow_tokens(reading, (size_t)count > doubled ? (size_t)count : doubled);
    if (!status)
        out->token_count = (int32_t)count;
    return status;
}

/* Append the bytes from *copied to the start of the next value, null for it, and go past it. */
static int cut_value(struct jsonscan *scan, struct text *value, const char **copied,
                     struct buffer *rest)
{
    struct jsonscan before = *scan;
    if (!jsonscan_skip(scan, value))
        return -ENOEXEC;
    *copied = value->bytes + value->length;
    int status = buffer_append(rest, before.at, (size_t)(value->bytes - before.at));
    return status ? status : buffer_append(rest, "null", 4);
}

/* A key of an object and its colon; its text is as it stands in the file, with quotes. */
static bool take_key(struct jsonscan *scan, struct text *key)
{
    return jsonscan_skip(scan, key) && key->bytes[0] == '"' && jsonscan_take(scan, ':');
}

/* Copy the object at `scan` to `rest`, but for the lists of the model.  Whatever is not an object
 * is copied as it is: it is not for this function to judge. */
static int cut_object(struct hf_reading *reading, struct jsonscan *scan, bool is_model,
                      struct buffer *rest)
{
    const char *copied = scan->at;
    int status = 0;
    struct text key, value;
    if (jsonscan_take(scan, '{') && !jsonscan_take(scan, '}')) {
        do {
            if (!take_key(scan, &key))
                return -ENOEXEC;
            bool is_vocab = is_model && text_is(key, "\"vocab\"");
            bool is_merges = is_model && text_is(key, "\"merges\"");
            bool descends = !is_model && text_is(key, "\"model\"");
            if (!is_vocab && !is_merges && !descends) {
                if (!jsonscan_skip(scan, &value))
                    return -ENOEXEC;
                continue;
            }
            status = buffer_append(rest, copied, (size_t)(scan->at - copied));
            if (!status && descends)
                status = cut_object(reading, scan, true, rest);
            else if (!status)
                status =
                    cut_value(scan, is_vocab ? &reading->vocab : &reading->merges, &copied, rest);
            if (status)
                return status;
            copied = scan->at;
        } while (jsonscan_take(scan, ','));
        if (!jsonscan_take(scan, '}'))
            return -ENOEXEC;
    } else if (scan->at == copied && !jsonscan_skip(scan, &value)) {
        return -ENOEXEC;
    }
    return buffer_append(rest, copied, (size_t)(scan->at - copied));
}

static int parse(struct hf_reading *reading, struct text file)
{
    if (file.length == 0)
        return hf_refuse(reading, "there is none");
    if (file.length > HF_FILE_BYTES_MAX)
        return hf_refuse(reading, "it has %zu bytes, more than %d", file.length, HF_FILE_BYTES_MAX);
    if (utf8_valid_length(file.bytes, file.length) != file.length)
        return hf_refuse(reading, "byte %zu is not UTF-8",
                         utf8_valid_length(file.bytes, file.length));
    struct jsonscan scan = {file.bytes, file.bytes + file.length};
    struct buffer rest = buffer_new(HF_FILE_BYTES_MAX);
    int status = cut_object(reading, &scan, false, &rest);
    if (!status && !jsonscan_is_done(&scan))
        status = -ENOEXEC;
    json_error_t problem;
    if (!status)
        reading->root = json_loadb(rest.bytes, rest.length, JSON_ALLOW_NUL, &problem);
    buffer_free(&rest);
    if (status == -ENOMEM)
        return error_set(reading->error, ENOMEM, "no memory for tokenizer.json");
    if (status)
        return hf_refuse(reading, "byte %zu is not JSON", (size_t)(scan.at - file.bytes));
    if (!reading->root)
        return hf_refuse(reading, "%s (beside vocab and merges)", problem.text);
    return json_is_object(reading->root) ? 0 : hf_refuse(reading, "it is not an object");
}

static int allocate(struct hf_reading *reading, const struct hf_files *files)
{
    reading->capacity = 2 * files->tokenizer.length + files->tokenizer_config.length +
                        files->special_tokens_map.length + files->chat_template.length +
                        files->generation_config.length + COMPONENT_BYTES_MAX;
    reading->memory = memory_try(reading->capacity, 1); /* untouched pages cost nothing */
    reading->out->memory = reading->memory;
    if (!reading->memory)
        return error_set(reading->error, ENOMEM, "no memory for tokenizer.json");
    reading->rule = (struct pretokenizer_rule *)(void *)hf_take(reading, sizeof *reading->rule);
    return 0;
}

/* Give back what an array has grown too much.  One that cannot shrink stays as it is. */
static void shrink(void **items, int32_t count, size_t size)
{
    void *moved = count ? reallocarray(*items, (size_t)count, size) : NULL;
    *items = moved ? moved : *items;
}

/* Leave out what says nothing, and what is not used. */
static void settle(struct hf_reading *reading)
{
    struct vocabulary *out = reading->out;
    bool has_flags = false;
    for (int32_t id = 0; id < out->token_count; id++)
        has_flags |= out->flags[id] != 0;
    if (!has_flags) {
        free(out->flags);
        out->flags = NULL;
    }
    if (out->model == VOCABULARY_BPE || out->model == VOCABULARY_WORDPIECE) {
        free(out->scores);
        out->scores = NULL;
    }
    shrink((void **)&out->tokens, out->token_count, sizeof *out->tokens);
    shrink((void **)&out->merges, out->merge_count, sizeof *out->merges);
    out->memory_bytes = reading->used;
}

int hf_vocabulary_read(const struct hf_files *files, struct vocabulary *out, struct error *error)
{
    struct hf_reading reading = {.out = out, .error = error};
    *out = (struct vocabulary){
        .bos = VOCABULARY_NONE,
        .eos = VOCABULARY_NONE,
        .eot = VOCABULARY_NONE,
        .eom = VOCABULARY_NONE,
        .unknown = VOCABULARY_NONE,
        .padding = VOCABULARY_NONE,
        .separator = VOCABULARY_NONE,
        .suffix = VOCABULARY_NONE,
    };
    int status = parse(&reading, files->tokenizer);
    if (!status)
        status = allocate(&reading, files);
    if (!status)
        status = hf_normalizer_read(&reading);
    if (!status)
        status = hf_pretokenizer_read(&reading);
    if (!status)
        status = hf_model_read(&reading);
    if (!status)
        status = hf_tokens_read(&reading, files);
    json_decref(reading.root);
    if (status)
        vocabulary_free(out);
    else
        settle(&reading);
    return status;
}
