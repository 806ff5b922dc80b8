/* hf_normalizer.c - the normalizer of a tokenizer.json as steps of normalizer.h.
 *
 * Source: the components of `tokenizers` 0.22, normalizers/. */
#include "text/hf_reading.h"

#include <errno.h>

int hf_add_step(struct hf_reading *reading, struct normalizer_step step)
{
    struct vocabulary *out = reading->out;
    if (out->step_count == NORMALIZER_STEPS_MAX)
        return hf_refuse(reading, "more than %d steps of normalization", NORMALIZER_STEPS_MAX);
    if (!out->steps)
        out->steps = memory_try(NORMALIZER_STEPS_MAX, sizeof *out->steps);
    if (!out->steps)
        return error_set(reading->error, ENOMEM, "no memory for the normalizer");
    out->steps[out->step_count++] = step;
    return 0;
}

static int add_if(struct hf_reading *reading, bool wanted, enum normalizer_kind kind)
{
    return wanted ? hf_add_step(reading, (struct normalizer_step){.kind = kind}) : 0;
}

/* strip_accents null means: as lowercase. */
static int read_bert(struct hf_reading *reading, const json_t *component)
{
    bool lowercase = hf_is_true(component, "lowercase", true);
    bool accents = hf_is_true(component, "strip_accents", lowercase);
    int status = add_if(reading, hf_is_true(component, "clean_text", true), NORMALIZE_CLEAN);
    if (!status)
        status = add_if(reading, hf_is_true(component, "handle_chinese_chars", true),
                        NORMALIZE_SPACE_CJK);
    if (!status)
        status = add_if(reading, accents, NORMALIZE_NFD);
    if (!status)
        status = add_if(reading, accents, NORMALIZE_STRIP_ACCENTS);
    return status ? status : add_if(reading, lowercase, NORMALIZE_LOWERCASE);
}

static int read_strip(struct hf_reading *reading, const json_t *component)
{
    int status = add_if(reading, hf_is_true(component, "strip_left", true), NORMALIZE_STRIP_LEFT);
    return status
               ? status
               : add_if(reading, hf_is_true(component, "strip_right", true), NORMALIZE_STRIP_RIGHT);
}

static int read_prepend(struct hf_reading *reading, const json_t *component)
{
    struct normalizer_step step = {.kind = NORMALIZE_PREPEND};
    int status = hf_keep(reading, hf_string(component, "prepend"), &step.to);
    return status ? status : hf_add_step(reading, step);
}

/* Of the expressions only runs of spaces are in use: the others are written as strings. */
static int read_replace(struct hf_reading *reading, const json_t *component)
{
    const json_t *pattern = json_object_get(component, "pattern");
    struct text from = hf_string(pattern, "String"), regex = hf_string(pattern, "Regex");
    struct text to = hf_string(component, "content");
    struct normalizer_step step = {.kind = NORMALIZE_REPLACE};
    if (text_is(regex, " {2,}") || (text_is(regex, " +") && text_is(to, " "))) {
        step.kind = NORMALIZE_REPLACE_RUNS;
        from = text_of(" ");
    } else if (regex.length) {
        return hf_refuse(reading, "normalizer \"Replace\" of the expression \"%.*s\"",
                         TEXT_ARGUMENTS(regex));
    }
    if (from.length == 0)
        return hf_refuse(reading, "normalizer \"Replace\" of nothing");
    int status = hf_keep(reading, from, &step.from);
    if (!status)
        status = hf_keep(reading, to, &step.to);
    return status ? status : hf_add_step(reading, step);
}

static int base64_digit(char letter)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? (int)(found - letters) : -1;
}

/* Source: RFC 4648, section 4. */
static int read_precompiled(struct hf_reading *reading, const json_t *component)
{
    struct text map = hf_string(component, "precompiled_charsmap");
    struct normalizer_step step = {.kind = NORMALIZE_CHARSMAP};
    if (map.length == 0) /* the identity */
        return 0;
    while (map.length && map.bytes[map.length - 1] == '=')
        map.length--;
    char *bytes = hf_take(reading, map.length);
    if (!bytes)
        return error_set(reading->error, ENOMEM, "no memory for the normalizer");
    size_t length = 0;
    unsigned bits = 0, bit_count = 0;
    for (size_t i = 0; i < map.length; i++) {
        int digit = base64_digit(map.bytes[i]);
        if (digit < 0)
            return hf_refuse(reading, "precompiled_charsmap is not base64");
        bits = (bits << 6 | (unsigned)digit) & 0xFFFF;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            bytes[length++] = (char)(bits >> bit_count);
        }
    }
    step.from = (struct text){bytes, length};
    return hf_add_step(reading, step);
}

static int read_component(struct hf_reading *reading, const json_t *component)
{
    static const struct {
        const char *type;
        enum normalizer_kind kind;
    } plain[] = {
        {"NFC", NORMALIZE_NFC},
        {"NFD", NORMALIZE_NFD},
        {"NFKC", NORMALIZE_NFKC},
        {"NFKD", NORMALIZE_NFKD},
        {"Lowercase", NORMALIZE_LOWERCASE},
        {"StripAccents", NORMALIZE_STRIP_MARKS},
    };
    static const struct {
        const char *type;
        int (*read)(struct hf_reading *reading, const json_t *component);
    } others[] = {
        {"BertNormalizer", read_bert},     {"Strip", read_strip},
        {"Prepend", read_prepend},         {"Replace", read_replace},
        {"Precompiled", read_precompiled},
    };
    struct text type = hf_string(component, "type");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (text_is(type, plain[i].type))
            return add_if(reading, true, plain[i].kind);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (text_is(type, others[i].type))
            return others[i].read(reading, component);
    return hf_unknown(reading, "normalizer", component);
}

int hf_normalizer_read(struct hf_reading *reading)
{
    struct vocabulary *out = reading->out;
    int status = hf_each_component(reading, json_object_get(reading->root, "normalizer"),
                                   "normalizers", read_component);
    return status ? status : normalizer_check(out->steps, out->step_count, reading->error);
}
