/* inspect.c - what a model is and what it will hold, without loading it; see ../engine.h. */
#include "generate/engine_internal.h"

#include "generate/embedding.h"
#include "math/attention.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* Upper bounds of what allocates in many places.  The scratch, the tokenizer and the template count
 * theirs exactly. */
enum {
    TENSOR_BYTES = 3 * sizeof(struct tensor), /* table, twice that while it grows; index */
    KEY_BYTES = 2 * sizeof(struct gguf_value),
    THREAD_BYTES = 256 << 10, /* stack that the kernels touch, and the C library's share */
    PROCESS_BYTES = 4 << 20,  /* C library, pages that a program writes at its start, requests */
};

enum { STRING_BYTES_MAX = 4096 }; /* of a general.* string in the description */

/* Scratch: what embedding or generating takes. */
static uint64_t scratch_bytes(const struct model_config *config,
                              const struct engine_options *options)
{
    int32_t batch = options->prefill_chunk + ENGINE_SEQUENCES_MAX;
    if (embedding_is_for(config))
        return embedding_bytes(config, options);
    return forward_bytes(config, batch, ENGINE_SEQUENCES_MAX, options->context, options->threads) +
           (uint64_t)batch * sizeof(struct forward_token) + odds_room_bytes(config->vocabulary) +
           (uint64_t)config->vocabulary * sizeof(float);
}

static uint64_t text_bytes(const struct engine *engine)
{
    uint64_t bytes = vocabulary_bytes(&engine->vocabulary) + tokenizer_bytes(engine->tokenizer) +
                     engine->piece_bytes_max;
    return engine->chat.template ? bytes + template_bytes(engine->chat.template) : bytes;
}

static uint64_t fixed_bytes(const struct engine *engine, const struct engine_options *options)
{
    const struct gguf *gguf = engine->gguf;
    const struct model_config *config = &engine->model.config;
    return sizeof *engine + scratch_bytes(config, options) + model_bytes(config) +
           text_bytes(engine) + gguf_own_bytes(gguf) + gguf_tensor_count(gguf) * TENSOR_BYTES +
           gguf_key_count(gguf) * KEY_BYTES + (uint64_t)options->threads * THREAD_BYTES +
           PROCESS_BYTES;
}

struct engine_plan engine_make_plan(const struct engine *engine,
                                    const struct engine_options *options)
{
    const struct model_config *config = &engine->model.config;
    const struct kv kv = prefix_open_kv(config, options->kv_format, 0);
    struct engine_plan plan = {
        .weight_bytes = gguf_file_bytes(engine->gguf),
        .fixed_bytes = fixed_bytes(engine, options),
        .kv_page_bytes = config->family->encoder ? 0 : kv_page_total(&kv),
        .context = config->context,
    };
    uint64_t tokens = config->context < ENGINE_KV_TOKENS_INITIAL ? (uint64_t)config->context
                                                                 : ENGINE_KV_TOKENS_INITIAL;
    plan.charge_bytes = plan.weight_bytes + plan.fixed_bytes +
                        (tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS * plan.kv_page_bytes;
    return plan;
}

/* ---- the description ---- */

/* general.file_type, in the words that people know from file names. */
static const char *file_type_name(uint32_t type)
{
    static const struct {
        uint32_t type;
        const char *name;
    } names[] = {
        {0, "F32"},     {1, "F16"},     {2, "Q4_0"},       {3, "Q4_1"},    {7, "Q8_0"},
        {8, "Q5_0"},    {9, "Q5_1"},    {10, "Q2_K"},      {11, "Q3_K_S"}, {12, "Q3_K_M"},
        {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"},    {16, "Q5_K_S"}, {17, "Q5_K_M"},
        {18, "Q6_K"},   {21, "Q2_K_S"}, {25, "IQ4_NL"},    {30, "IQ4_XS"}, {32, "BF16"},
        {36, "TQ1_0"},  {37, "TQ2_0"},  {38, "MXFP4_MOE"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type)
            return names[i].name;
    return NULL;
}

/* The type that most bytes of the file have. */
static const char *commonest_type(const struct gguf *gguf)
{
    const struct tensor_format *best = NULL;
    uint64_t best_bytes = 0;
    for (uint32_t type = TENSOR_F32; type < TENSOR_TYPES; type++) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < gguf_tensor_count(gguf); i++)
            if ((uint32_t)gguf_tensor_at(gguf, i)->type == type)
                bytes += gguf_tensor_at(gguf, i)->bytes;
        if (bytes > best_bytes) {
            best = tensor_format(type);
            best_bytes = bytes;
        }
    }
    return best ? best->name : "unknown";
}

static const char *quantisation(const struct gguf *gguf)
{
    uint32_t type;
    const char *name = NULL;
    if (gguf_get_u32(gguf, "general.file_type", &type, NULL) == 0)
        name = file_type_name(type);
    return name ? name : commonest_type(gguf);
}

static uint64_t parameters(const struct gguf *gguf)
{
    uint64_t total = 0;
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct tensor *tensor = gguf_tensor_at(gguf, i);
        const struct tensor_format *format = tensor_format((uint32_t)tensor->type);
        total += tensor->bytes / format->block_bytes * format->block;
    }
    return total;
}

/* A string from the file; NULL when it is too long or no UTF-8. */
static json_t *string_of(struct text text)
{
    return text.length <= STRING_BYTES_MAX ? json_stringn(text.bytes, text.length) : NULL;
}

/* The file's own name for the model, or the file's or the folder's name. */
static json_t *name_of(const struct gguf *gguf, const char *path)
{
    struct text name = {0};
    size_t end = strlen(path), start;
    while (end > 1 && path[end - 1] == '/')
        end--;
    for (start = end; start && path[start - 1] != '/'; start--)
        ;
    const char *base = path + start;
    size_t length = end - start;
    json_t *json = gguf_get_string(gguf, "general.name", &name, NULL) == 0 && name.length
                       ? string_of(name)
                       : NULL;
    if (json)
        return json;
    if (length > 5 && memcmp(base + length - 5, ".gguf", 5) == 0)
        length -= 5;
    json = json_stringn(base, length);
    return json ? json : json_string("?");
}

/* general.* strings without their prefix. */
static json_t *general_of(const struct gguf *gguf)
{
    const size_t prefix = strlen("general.");
    json_t *general = json_object();
    for (size_t i = 0; general && i < gguf_key_count(gguf); i++) {
        const struct gguf_value *value = gguf_key(gguf, i);
        char key[128];
        struct text string;
        if (value->type != GGUF_STRING || value->key.length >= sizeof key ||
            value->key.length <= prefix || memcmp(value->key.bytes, "general.", prefix) != 0)
            continue;
        memcpy(key, value->key.bytes, value->key.length);
        key[value->key.length] = 0;
        if (gguf_get_string(gguf, key, &string, NULL) == 0)
            json_object_set_new(general, key + prefix, string_of(string)); /* NULL: left out */
    }
    return general;
}

static char *describe(const struct engine *engine, const char *path)
{
    const struct engine_plan *plan = &engine->plan;
    const struct model_config *config = &engine->model.config;
    json_t *json = json_pack(
        /* in the order of the lines below: */
        "{s:o, s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:i, s:i, s:i, s:o}", "name",
        name_of(engine->gguf, path), "architecture", config->family->name, "quantisation",
        quantisation(engine->gguf), "parameters", (json_int_t)parameters(engine->gguf), "context",
        (int)plan->context, "file_bytes", (json_int_t)gguf_file_bytes(engine->gguf), "weight_bytes",
        (json_int_t)plan->weight_bytes, "fixed_bytes", (json_int_t)plan->fixed_bytes,
        "kv_page_bytes", (json_int_t)plan->kv_page_bytes, "charge_bytes",
        (json_int_t)plan->charge_bytes, "chat", engine->chat.family != CHAT_NONE, "embeds",
        embedding_is_for(config), "vocabulary", (int)config->vocabulary, "width",
        (int)config->width, "layers", (int)config->layers, "general", general_of(engine->gguf));
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return line;
}

int engine_inspect(const char *path, enum kv_format format, struct engine_plan *plan, char **json,
                   struct error *error)
{
    struct engine *engine = memory_try(1, sizeof *engine);
    if (!engine)
        return error_set(error, ENOMEM, "no memory for an engine");
    const struct engine_options defaults = {.kv_format = format};
    struct engine_options settled;
    int status = gguf_open(path, &engine->gguf, error);
    if (!status)
        status = model_open(engine->gguf, &engine->model, error);
    if (!status)
        status = engine_settle_options(&defaults, &engine->model.config, &settled, error);
    if (!status)
        status = engine_open_text(engine, path, error);
    if (!status) {
        engine->plan = engine_make_plan(engine, &settled);
        *plan = engine->plan;
        *json = describe(engine, path);
        if (!*json)
            status = error_set(error, ENOMEM, "no memory for a description");
    }
    engine_close(engine);
    return status;
}
