/* methods.c - text.strip(), dict.get() and their like; see render.h.  As in jinja2's immutable
 * sandbox there is none that changes its object. */
#include "text/template/characters.h"
#include "text/template/strings.h"

#include <errno.h>

typedef struct value method_function(struct render *render, struct value self,
                                     const struct arguments *arguments);

/* ---- arguments ---- */

/* A string; NULL for none or nothing given. */
static struct rope *string_argument(struct render *render, const struct arguments *arguments,
                                    size_t index, const char *name)
{
    struct value value = calls_argument(arguments, index, name, value_none());
    if (value.kind == VALUE_STRING)
        return value.string;
    if (value.kind != VALUE_NONE)
        render_fail(render, ENOEXEC, "%s where a string is needed", value_type_name(value));
    return NULL;
}

static struct rope *needed_string(struct render *render, const struct arguments *arguments,
                                  size_t index)
{
    struct rope *string = string_argument(render, arguments, index, "");
    if (!string)
        render_fail(render, ENOEXEC, "a string is missing in a call");
    return string ? string : rope_of(render, (struct text){0}, ROPE_USER);
}

static int64_t limit_argument(const struct arguments *arguments, size_t index, const char *name)
{
    struct value value = calls_argument(arguments, index, name, value_integer(-1));
    return value_is_whole(value) ? value_whole(value) : -1;
}

/* ---- strings ---- */

static struct value string_strip(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    struct rope *set = string_argument(render, arguments, 0, "chars");
    return value_string(strings_strip(render, self.string, set, STRINGS_BOTH));
}

static struct value string_lstrip(struct render *render, struct value self,
                                  const struct arguments *arguments)
{
    struct rope *set = string_argument(render, arguments, 0, "chars");
    return value_string(strings_strip(render, self.string, set, STRINGS_LEFT));
}

static struct value string_rstrip(struct render *render, struct value self,
                                  const struct arguments *arguments)
{
    struct rope *set = string_argument(render, arguments, 0, "chars");
    return value_string(strings_strip(render, self.string, set, STRINGS_RIGHT));
}

static struct value split(struct render *render, struct value self,
                          const struct arguments *arguments, bool from_right)
{
    struct rope *separator = string_argument(render, arguments, 0, "sep");
    return list_value(strings_split(render, self.string, separator,
                                    limit_argument(arguments, 1, "maxsplit"), from_right));
}

static struct value string_split(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    return split(render, self, arguments, false);
}

static struct value string_rsplit(struct render *render, struct value self,
                                  const struct arguments *arguments)
{
    return split(render, self, arguments, true);
}

static struct value string_splitlines(struct render *render, struct value self,
                                      const struct arguments *arguments)
{
    bool keep = value_is_true(calls_argument(arguments, 0, "keepends", value_bool(false)));
    return list_value(strings_lines(render, self.string, keep));
}

static struct value string_replace(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    return value_string(strings_replace(render, self.string, needed_string(render, arguments, 0),
                                        needed_string(render, arguments, 1),
                                        limit_argument(arguments, 2, "count")));
}

static struct value string_upper(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(rope_map(render, self.string, characters_upper));
}

static struct value string_lower(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(rope_map(render, self.string, characters_lower));
}

static struct value string_title(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    (void)arguments;
    return value_string(strings_title(render, self.string, false));
}

static struct value string_capitalize(struct render *render, struct value self,
                                      const struct arguments *arguments)
{
    (void)arguments;
    return value_string(strings_capitalize(render, self.string));
}

/* Does the string have this at one of its ends? */
static bool has_affix(struct render *render, struct rope *string, struct rope *affix, bool at_end)
{
    struct text text = rope_text(render, string), wanted = rope_text(render, affix);
    render_work(render, wanted.length);
    if (wanted.length == 0 || wanted.length > text.length)
        return wanted.length == 0;
    const char *place = at_end ? text.bytes + text.length - wanted.length : text.bytes;
    return memcmp(place, wanted.bytes, wanted.length) == 0;
}

/* One string, or a tuple of which one will do. */
static struct value has_affixes(struct render *render, struct value self,
                                const struct arguments *arguments, bool at_end)
{
    struct value wanted = calls_argument(arguments, 0, "", value_none());
    if (!calls_check(render, arguments, text_of("startswith or endswith"), 1, 1))
        return value_bool(false);
    if (wanted.kind != VALUE_LIST || wanted.list->kind != LIST_TUPLE)
        return value_bool(
            has_affix(render, self.string, needed_string(render, arguments, 0), at_end));
    for (size_t i = 0; i < wanted.list->count && render_step(render, 1); i++)
        if (wanted.list->items[i].kind == VALUE_STRING &&
            has_affix(render, self.string, wanted.list->items[i].string, at_end))
            return value_bool(true);
    return value_bool(false);
}

static struct value string_startswith(struct render *render, struct value self,
                                      const struct arguments *arguments)
{
    return has_affixes(render, self, arguments, false);
}

static struct value string_endswith(struct render *render, struct value self,
                                    const struct arguments *arguments)
{
    return has_affixes(render, self, arguments, true);
}

static struct value string_removeprefix(struct render *render, struct value self,
                                        const struct arguments *arguments)
{
    struct rope *affix = needed_string(render, arguments, 0);
    size_t length = affix->length;
    if (!has_affix(render, self.string, affix, false))
        return self;
    return value_string(rope_slice(render, self.string, length, self.string->length - length));
}

static struct value string_removesuffix(struct render *render, struct value self,
                                        const struct arguments *arguments)
{
    struct rope *affix = needed_string(render, arguments, 0);
    if (!has_affix(render, self.string, affix, true))
        return self;
    return value_string(rope_slice(render, self.string, 0, self.string->length - affix->length));
}

/* In characters, -1 when it is not there. */
static int64_t position_of(struct render *render, struct value self,
                           const struct arguments *arguments)
{
    struct text text = rope_text(render, self.string);
    struct text wanted = rope_text(render, needed_string(render, arguments, 0));
    if (!calls_check(render, arguments, text_of("find"), 1, 1) || !render_work(render, text.length))
        return -1;
    const char *found = wanted.length == 0 ? text.bytes
                        : text.length ? memmem(text.bytes, text.length, wanted.bytes, wanted.length)
                                      : NULL;
    if (!found)
        return -1;
    return (int64_t)characters_count((struct text){text.bytes, (size_t)(found - text.bytes)});
}

static struct value string_find(struct render *render, struct value self,
                                const struct arguments *arguments)
{
    return value_integer(position_of(render, self, arguments));
}

static struct value string_index(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    int64_t position = position_of(render, self, arguments);
    return position < 0 ? render_fail(render, ENOEXEC, "the string is not there")
                        : value_integer(position);
}

static struct value string_count(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    struct rope *wanted = needed_string(render, arguments, 0);
    if (wanted->length == 0)
        return value_integer(value_length(render, self) + 1);
    const struct list *parts = strings_split(render, self.string, wanted, -1, false);
    return value_integer((int64_t)parts->count - 1);
}

static struct value string_join(struct render *render, struct value self,
                                const struct arguments *arguments)
{
    struct list *items = list_items_of(render, calls_argument(arguments, 0, "", value_none()));
    for (size_t i = 0; i < items->count && !render->status; i++)
        if (items->items[i].kind != VALUE_STRING)
            return render_fail(render, ENOEXEC, "join() of %s", value_type_name(items->items[i]));
    return value_string(strings_join(render, self.string, items));
}

static struct value string_format(struct render *render, struct value self,
                                  const struct arguments *arguments)
{
    return format_braces(render, self.string, arguments);
}

/* ---- what kind of characters a string has; only ASCII letters and digits count ---- */

static bool is_space(char byte)
{
    return characters_is_space((unsigned char)byte);
}

static bool is_letter_or_digit(char byte)
{
    return characters_is_letter(byte) || characters_is_digit(byte);
}

static struct value all_are(struct render *render, struct value self, bool (*kind)(char byte))
{
    struct text text = rope_text(render, self.string);
    render_work(render, text.length);
    for (size_t i = 0; i < text.length; i++)
        if (!kind(text.bytes[i]))
            return value_bool(false);
    return value_bool(text.length > 0);
}

static struct value string_isdigit(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return all_are(render, self, characters_is_digit);
}

static struct value string_isalpha(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return all_are(render, self, characters_is_letter);
}

static struct value string_isalnum(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return all_are(render, self, is_letter_or_digit);
}

static struct value string_isspace(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return all_are(render, self, is_space);
}

static struct value string_isupper(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return value_bool(test_apply(render, text_of("upper"), self, &(struct arguments){0}));
}

static struct value string_islower(struct render *render, struct value self,
                                   const struct arguments *arguments)
{
    (void)arguments;
    return value_bool(test_apply(render, text_of("lower"), self, &(struct arguments){0}));
}

/* ---- dicts ---- */

static struct value dict_get(struct render *render, struct value self,
                             const struct arguments *arguments)
{
    if (!calls_check(render, arguments, text_of("get"), 1, 2))
        return value_none();
    const struct value *found =
        dict_find(render, self.dict, calls_argument(arguments, 0, "key", value_none()));
    return found ? *found : calls_argument(arguments, 1, "default", value_none());
}

static struct value dict_items(struct render *render, struct value self,
                               const struct arguments *arguments)
{
    struct list *list = list_new(render, LIST_VIEW, self.dict->count);
    (void)arguments;
    for (size_t i = 0; i < self.dict->count && !render->status; i++)
        list_append(render, list, list_pair(render, self.dict->keys[i], self.dict->values[i]));
    return list_value(list);
}

static struct value view_of(struct render *render, const struct value *values, size_t count)
{
    struct list *list = list_new(render, LIST_VIEW, count);
    for (size_t i = 0; i < count && !render->status; i++)
        list_append(render, list, values[i]);
    return list_value(list);
}

static struct value dict_keys(struct render *render, struct value self,
                              const struct arguments *arguments)
{
    (void)arguments;
    return view_of(render, self.dict->keys, self.dict->count);
}

static struct value dict_values(struct render *render, struct value self,
                                const struct arguments *arguments)
{
    (void)arguments;
    return view_of(render, self.dict->values, self.dict->count);
}

/* Nothing changes, so a copy is the thing itself. */
static struct value copy(struct render *render, struct value self,
                         const struct arguments *arguments)
{
    (void)render;
    (void)arguments;
    return self;
}

/* ---- lists and loops ---- */

static struct value list_index(struct render *render, struct value self,
                               const struct arguments *arguments)
{
    struct value wanted = calls_argument(arguments, 0, "", value_none());
    for (size_t i = 0; i < self.list->count && render_step(render, 1); i++)
        if (operators_equal(render, self.list->items[i], wanted))
            return value_integer((int64_t)i);
    return render_fail(render, ENOEXEC, "the item is not there");
}

static struct value list_count(struct render *render, struct value self,
                               const struct arguments *arguments)
{
    struct value wanted = calls_argument(arguments, 0, "", value_none());
    int64_t count = 0;
    for (size_t i = 0; i < self.list->count && render_step(render, 1); i++)
        count += operators_equal(render, self.list->items[i], wanted);
    return value_integer(count);
}

static struct value loop_cycle(struct render *render, struct value self,
                               const struct arguments *arguments)
{
    if (arguments->positional == 0)
        return render_fail(render, ENOEXEC, "cycle() of nothing");
    return arguments->values[self.loop->index % arguments->positional];
}

/* Is this another value than in the round before? */
static struct value loop_changed(struct render *render, struct value self,
                                 const struct arguments *arguments)
{
    struct list *values = list_new(render, LIST_TUPLE, 0);
    for (size_t i = 0; i < arguments->positional; i++)
        list_append(render, values, arguments->values[i]);
    bool same = operators_equal(render, self.loop->changed, list_value(values));
    if (!same)
        self.loop->changed = list_value(values);
    return value_bool(!same);
}

/* ---- by name ---- */

static const struct method_row {
    enum value_kind kind;
    const char *name;
    method_function *function;
} rows[] = {
    {VALUE_STRING, "strip", string_strip},
    {VALUE_STRING, "lstrip", string_lstrip},
    {VALUE_STRING, "rstrip", string_rstrip},
    {VALUE_STRING, "split", string_split},
    {VALUE_STRING, "rsplit", string_rsplit},
    {VALUE_STRING, "splitlines", string_splitlines},
    {VALUE_STRING, "replace", string_replace},
    {VALUE_STRING, "upper", string_upper},
    {VALUE_STRING, "lower", string_lower},
    {VALUE_STRING, "title", string_title},
    {VALUE_STRING, "capitalize", string_capitalize},
    {VALUE_STRING, "startswith", string_startswith},
    {VALUE_STRING, "endswith", string_endswith},
    {VALUE_STRING, "removeprefix", string_removeprefix},
    {VALUE_STRING, "removesuffix", string_removesuffix},
    {VALUE_STRING, "find", string_find},
    {VALUE_STRING, "index", string_index},
    {VALUE_STRING, "count", string_count},
    {VALUE_STRING, "join", string_join},
    {VALUE_STRING, "format", string_format},
    {VALUE_STRING, "isdigit", string_isdigit},
    {VALUE_STRING, "isalpha", string_isalpha},
    {VALUE_STRING, "isalnum", string_isalnum},
    {VALUE_STRING, "isspace", string_isspace},
    {VALUE_STRING, "isupper", string_isupper},
    {VALUE_STRING, "islower", string_islower},
    {VALUE_DICT, "get", dict_get},
    {VALUE_DICT, "items", dict_items},
    {VALUE_DICT, "keys", dict_keys},
    {VALUE_DICT, "values", dict_values},
    {VALUE_DICT, "copy", copy},
    {VALUE_LIST, "index", list_index},
    {VALUE_LIST, "count", list_count},
    {VALUE_LIST, "copy", copy},
    {VALUE_LOOP, "cycle", loop_cycle},
    {VALUE_LOOP, "changed", loop_changed},
};

static const struct method_row *find_row(struct value self, struct text name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == self.kind && text_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

bool method_exists(struct value self, struct text name)
{
    if (self.kind == VALUE_LIST && self.list->kind >= LIST_VIEW)
        return false;
    return find_row(self, name) != NULL;
}

struct value method_call(struct render *render, const struct method *method,
                         const struct arguments *arguments)
{
    const struct method_row *row = find_row(method->self, method->name);
    return row ? row->function(render, method->self, arguments) : value_undefined(NULL);
}
