/* hf_tokens.c - the special tokens of a folder: which strings are one token as a whole, which of
 * them begin, end and separate texts, and the chat template that uses them.
 *
 * The files may contradict each other.  What surrounds a text is what tokenizer.json's
 * post_processor says; tokenizer_config.json's add_bos_token and add_eos_token count only without
 * one, as in transformers 5.  Every end token of generation_config.json ends a generation.
 *
 * Source: AddedToken and the post-processors of `tokenizers` 0.22; transformers. */
#include "text/hf_reading.h"

#include <errno.h>

/* The id of a string: of equal ones an added token before the others.  The empty text is none. */
static int32_t find_id(const struct vocabulary *vocabulary, struct text string)
{
    int32_t found = VOCABULARY_NONE;
    for (int32_t id = 0; string.length && id < vocabulary->token_count; id++) {
        if (!text_equals(vocabulary->tokens[id], string))
            continue;
        uint8_t kind = vocabulary->kinds[id];
        if (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN || kind == TOKEN_USER_DEFINED)
            return id;
        if (found == VOCABULARY_NONE)
            found = id;
    }
    return found;
}

/* --- added tokens ----------------------------------------------------------------------------- */

static uint8_t flags_of(const json_t *token)
{
    unsigned flags = 0;
    flags |= hf_is_true(token, "lstrip", false) ? TOKEN_STRIPS_LEFT : 0;
    flags |= hf_is_true(token, "rstrip", false) ? TOKEN_STRIPS_RIGHT : 0;
    flags |= hf_is_true(token, "single_word", false) ? TOKEN_SINGLE_WORD : 0;
    flags |= hf_is_true(token, "normalized", false) ? TOKEN_NORMALIZED : 0;
    return (uint8_t)flags;
}

static int read_added_token(struct hf_reading *reading, const json_t *token)
{
    struct vocabulary *out = reading->out;
    const json_t *number = json_object_get(token, "id");
    struct text content = hf_string(token, "content");
    json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
    if (id < 0 || !content.bytes || content.length > VOCABULARY_TOKEN_BYTES_MAX)
        return hf_refuse(reading, "an added token has no id, or no content of at most %d bytes",
                         VOCABULARY_TOKEN_BYTES_MAX);
    int status = hf_reserve_tokens(reading, id < VOCABULARY_TOKENS_MAX ? id + 1 : INT64_MAX);
    if (!status)
        status = hf_keep(reading, content, &out->tokens[id]);
    if (status)
        return status;
    bool is_special = hf_is_true(token, "special", false);
    if (id != out->unknown)
        out->kinds[id] = (uint8_t)vocabulary_settle_kind(
            content, is_special ? TOKEN_CONTROL : TOKEN_USER_DEFINED, true);
    out->flags[id] = flags_of(token);
    return 0;
}

static int read_added_tokens(struct hf_reading *reading)
{
    size_t index;
    json_t *token;
    int status = 0;
    json_array_foreach(json_object_get(reading->root, "added_tokens"), index, token)
    {
        status = read_added_token(reading, token);
        if (status)
            break;
    }
    return status;
}

/* --- post-processor --------------------------------------------------------------------------- */

static int check_id(struct hf_reading *reading, const json_t *number, int32_t *out)
{
    json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
    if (id < 0 || id >= reading->out->token_count)
        return hf_refuse(reading, "post_processor: token id %lld, but there are %d tokens",
                         (long long)id, reading->out->token_count);
    *out = (int32_t)id;
    return 0;
}

static int surround(struct hf_reading *reading, int32_t id, bool before)
{
    struct vocabulary *out = reading->out;
    if (before ? out->add_bos : out->suffix != VOCABULARY_NONE)
        return hf_refuse(reading, "post_processor puts more than one token %s a text",
                         before ? "before" : "behind");
    if (before) {
        out->bos = id;
        out->add_bos = true;
    } else {
        out->suffix = id;
    }
    return 0;
}

/* "single": a list of {"SpecialToken": {"id": "[CLS]"}} and one {"Sequence": ...}; the ids are in
 * "special_tokens": {"[CLS]": {"ids": [101]}}. */
static int read_template(struct hf_reading *reading, const json_t *component)
{
    const json_t *tokens = json_object_get(component, "special_tokens");
    bool before = true;
    size_t index;
    json_t *item;
    int status = 0;
    json_array_foreach(json_object_get(component, "single"), index, item)
    {
        const json_t *special = json_object_get(item, "SpecialToken");
        if (!special) {
            before = false;
            continue;
        }
        struct text name = hf_string(special, "id");
        const json_t *ids =
            json_object_get(name.bytes ? json_object_get(tokens, name.bytes) : NULL, "ids");
        int32_t id;
        if (json_array_size(ids) != 1)
            return hf_refuse(reading, "post_processor: \"%.*s\" is not one token",
                             TEXT_ARGUMENTS(name));
        status = check_id(reading, json_array_get(ids, 0), &id);
        if (!status)
            status = surround(reading, id, before);
        if (status)
            break;
    }
    return status;
}

/* "cls": ["[CLS]", 101], "sep": ["[SEP]", 102] */
static int read_pair(struct hf_reading *reading, const json_t *component)
{
    int32_t id;
    int status = check_id(reading, json_array_get(json_object_get(component, "cls"), 1), &id);
    if (!status)
        status = surround(reading, id, true);
    if (!status)
        status = check_id(reading, json_array_get(json_object_get(component, "sep"), 1), &id);
    return status ? status : surround(reading, id, false);
}

static int read_component(struct hf_reading *reading, const json_t *component)
{
    struct text type = hf_string(component, "type");
    if (text_is(type, "TemplateProcessing"))
        return read_template(reading, component);
    if (text_is(type, "BertProcessing") || text_is(type, "RobertaProcessing"))
        return read_pair(reading, component);
    return text_is(type, "ByteLevel") /* it only moves offsets */
               ? 0
               : hf_unknown(reading, "post_processor", component);
}

/* --- the files beside it ---------------------------------------------------------------------- */

/* A file that is not there is an empty object. */
static int parse_side_file(struct hf_reading *reading, const char *name, struct text file,
                           json_t **out)
{
    json_error_t problem;
    if (file.length > HF_FILE_BYTES_MAX)
        return error_set(reading->error, ENOEXEC, "%s has %zu bytes, more than %d", name,
                         file.length, HF_FILE_BYTES_MAX);
    *out =
        file.length ? json_loadb(file.bytes, file.length, JSON_ALLOW_NUL, &problem) : json_object();
    if (!*out && file.length)
        return error_set(reading->error, ENOEXEC, "%s: line %d: %s", name, problem.line,
                         problem.text);
    return *out ? 0 : error_set(reading->error, ENOMEM, "no memory for %s", name);
}

/* A special token is its string, or an AddedToken with its content. */
static struct text token_string(const json_t *file, const char *key)
{
    const json_t *value = json_object_get(file, key);
    return json_is_object(value) ? hf_string(value, "content") : hf_string(file, key);
}

/* tokenizer_config.json names the special tokens; special_tokens_map.json those that it leaves out.
 */
static void read_names(struct vocabulary *out, const json_t *config, const json_t *map)
{
    const struct {
        const char *key;
        int32_t *id;
    } names[] = {
        {"bos_token", &out->bos},     {"eos_token", &out->eos},       {"unk_token", &out->unknown},
        {"pad_token", &out->padding}, {"sep_token", &out->separator},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int32_t id = find_id(out, token_string(config, names[i].key));
        if (id == VOCABULARY_NONE)
            id = find_id(out, token_string(map, names[i].key));
        if (*names[i].id == VOCABULARY_NONE) /* what tokenizer.json says comes first */
            *names[i].id = id;
    }
}

/* One end token of a generation.  An id that no token has ends none. */
static void add_end(struct vocabulary *out, const json_t *number)
{
    json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
    if (id < 0 || id >= out->token_count)
        return;
    for (size_t i = 0; i < out->end_count; i++)
        if (out->ends[i] == id)
            return;
    if (out->eos == VOCABULARY_NONE)
        out->eos = (int32_t)id;
    if (out->end_count < VOCABULARY_ENDS_MAX)
        out->ends[out->end_count++] = (int32_t)id;
}

static void read_ends(struct vocabulary *out, const json_t *generation)
{
    const json_t *ids = json_object_get(generation, "eos_token_id");
    size_t index;
    json_t *id;
    if (json_is_integer(ids))
        add_end(out, ids);
    json_array_foreach(ids, index, id) add_end(out, id);
}

/* A string, or a list of {"name", "template"} of which "default" counts. */
static struct text template_of(const json_t *config)
{
    const json_t *templates = json_object_get(config, "chat_template");
    size_t index;
    json_t *item;
    json_array_foreach(
        templates, index,
        item) if (text_is(hf_string(item, "name"), "default")) return hf_string(item, "template");
    return hf_string(config, "chat_template");
}

/* Without a post_processor: does the configuration want them? */
static void read_additions(struct vocabulary *out, const json_t *config)
{
    out->add_bos = hf_is_true(config, "add_bos_token", false) && out->bos != VOCABULARY_NONE;
    if (hf_is_true(config, "add_eos_token", false))
        out->suffix = out->eos;
}

static int read_side_files(struct hf_reading *reading, const struct hf_files *files)
{
    struct vocabulary *out = reading->out;
    json_t *config = NULL, *map = NULL, *generation = NULL;
    int status =
        parse_side_file(reading, "tokenizer_config.json", files->tokenizer_config, &config);
    if (!status)
        status =
            parse_side_file(reading, "special_tokens_map.json", files->special_tokens_map, &map);
    if (!status)
        status = parse_side_file(reading, "generation_config.json", files->generation_config,
                                 &generation);
    if (!status) {
        read_names(out, config, map);
        read_ends(out, generation);
        if (!json_is_object(json_object_get(reading->root, "post_processor")))
            read_additions(out, config);
        struct text template =
            files->chat_template.length ? files->chat_template : template_of(config);
        status = hf_keep(reading, template, &out->chat_template);
    }
    json_decref(config);
    json_decref(map);
    json_decref(generation);
    return status;
}

int hf_tokens_read(struct hf_reading *reading, const struct hf_files *files)
{
    int status = read_added_tokens(reading);
    if (!status)
        status = hf_each_component(reading, json_object_get(reading->root, "post_processor"),
                                   "processors", read_component);
    return status ? status : read_side_files(reading, files);
}
