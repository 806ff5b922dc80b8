/* test_grammar_schema.c - JSON schemas: what they accept, what is refused by name, what is hostile.
 * tests/golden/check_json_schema.py compares more of them with another implementation. */
#include "generate/matcher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* '+' accepted, '~' the beginning of something accepted, '-' neither. */
static char verdict(struct matcher *matcher, const char *text)
{
    int32_t state = matcher_start(matcher);
    for (; *text && state > 0; text++)
        state = matcher_step(matcher, state, (uint8_t)*text, NULL);
    return state <= MATCHER_DEAD ? '-' : matcher_is_complete(matcher, state) ? '+' : '~';
}

static void documents_are_accepted_and_refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *texts[16]; /* the first character is the verdict */
    } samples[] = {
        {"{}",
         {"+1", "+{\"a\": [1,null]}", "+[ ]", "~[1,", "-[1,]", "-01", "-[  ]",
          "+\"\\ud83d\\ude00\"", "-\"\\ud83d\"", "-\"\\udc00", "-\"\\u0000", "-\"\n"}},
        {"{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}",
         {"+0", "+-12", "--13", "+105", "-106", "+99", "+7", "--0", "-00"}},
        {"{\"type\":\"integer\",\"minimum\":98,\"exclusiveMaximum\":102}",
         {"+98", "-97", "~9", "+101", "-102", "+100"}},
        {"{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":-9223372036854775807}",
         {"+-9223372036854775808", "+-9223372036854775807", "--9223372036854775806"}},
        {"{\"type\":[\"string\",\"null\"],\"maxLength\":2}",
         {"+null", "+\"\"", "+\"ab\"", "-\"abc", "+\"\\n\xC3\xA9\"", "-1"}},
        {"{\"enum\":[\"a\",1,{\"b\":[]}]}", {"+\"a\"", "+1", "+{\"b\":[]}", "-\"b", "-2"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}",
         {"-[]", "+[null]", "+[ null, null ]", "-[null,null,", "~[null,"}},
        {"{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false}",
         {"+[]", "+[1]", "+[1,2]", "-[2", "-[1,2,"}},
        {"{\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}},\"required\":[\"b\"]}",
         {"+{\"a\":1,\"b\":2}", "+{\"b\": 2}", "-{\"a\":1}", "-{}", "-{\"b\":2,\"a\":1}",
          "-{\"a\":2"}},
        {"{\"properties\":{\"ab\":{\"const\":1}},\"additionalProperties\":{\"const\":2}}",
         {"+{}", "+{\"ab\":1}", "-{\"ab\":2", "+{\"a\":2}", "+{\"abc\":2}", "-{\"a\":1",
          "+{\"ab\":1,\"\":2}", "+{\"x\":2,\"y\":2}"}},
        {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/"
         "$defs/n\"}}}}",
         {"+[]", "+[[],[[]]]", "-[1"}},
        {"{\"type\":\"string\",\"pattern\":\"^(?:a|\\\\d{2})\\\\\\\\\\\"?$\"}",
         {"+\"a\\\\\"", "+\"12\\\\\\\"\"", "-\"1a", "~\"1"}},
        {"{\"type\":\"string\",\"format\":\"date\"}",
         {"+\"2024-12-31\"", "-\"2024-13", "-\"2024-02-29", "~\"2024-0"}},
        {"{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":4}]}",
         {"+3", "+4", "-2", "-5"}},
        {"{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"null\"}],\"title\":\"t\"}",
         {"+true", "+null", "-1"}},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct grammar *grammar;
        struct matcher *matcher;
        struct error error;
        if (grammar_from_schema(text_of(samples[i].schema), &grammar, &error))
            fail_msg("%s: %s", samples[i].schema, error.text);
        assert_int_equal(matcher_open(grammar, &matcher, NULL), 0);
        for (const char *const *text = samples[i].texts; *text; text++)
            if (verdict(matcher, *text + 1) != **text)
                fail_msg("%s: %s is not so", samples[i].schema, *text);
        matcher_close(matcher);
        grammar_close(grammar);
    }
}

static void assert_refused(const char *schema, const char *sentence)
{
    struct grammar *grammar = NULL;
    struct error error = {0};
    if (grammar_from_schema(text_of(schema), &grammar, &error) != -EINVAL)
        fail_msg("%.100s is not refused", schema);
    if (!strstr(error.text, sentence))
        fail_msg("%.100s: \"%s\", not \"%s\"", schema, error.text, sentence);
    assert_null(grammar);
}

static void what_is_not_supported_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *sentence;
    } refused[] = {
        {"", "line"},
        {"{", "line 1"},
        {"[]", "a schema is neither an object"},
        {"{\"type\":\"integer\"}x", "line 1"},
        {"{\"type\":\"integer\",\"multipleOf\":2}", "\"multipleOf\" is not supported"},
        {"{\"properties\":{\"age\":{\"not\":{}}}}", "in age: the keyword \"not\""},
        {"{\"type\":\"number\",\"maximum\":2}", "maximum is only supported with the type integer"},
        {"{\"type\":\"string\",\"minLength\":-1}", "minLength is no whole number"},
        {"{\"type\":\"string\",\"minLength\":70000}", "minLength is no whole number"},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":1}", "minLength is above maxLength"},
        {"{\"type\":\"integer\",\"minimum\":9223372036854775807,\"exclusiveMinimum\":"
         "9223372036854775807}",
         "leaves no number"},
        {"{\"required\":[1]}", "required has what is no name"},
        {"{\"properties\":[]}", "properties is no object"},
        {"{\"enum\":3}", "enum is no list"},
        {"{\"allOf\":3}", "allOf is no list"},
        {"{\"anyOf\":{}}", "anyOf is no list"},
        {"{\"$ref\":3}", "$ref is no string"},
        {"{\"$ref\":\"#/$defs/none\"}", "leads nowhere"},
        {"{\"$ref\":\"#/%zz\"}", "leads nowhere"},
        {"{\"oneOf\":[{\"type\":\"string\"},{}]}", "oneOf: 1 and 2 may both hold"},
        {"{\"type\":\"string\",\"pattern\":\"^a|b$\"}", "a | outside of a group"},
        {"{\"type\":\"string\",\"pattern\":\"^(a$\"}", "no closing ')'"},
        {"{\"type\":\"string\",\"pattern\":\"^[a$\"}", "no closing ']'"},
        {"{\"type\":\"string\",\"pattern\":\"^(a)\\\\1$\"}", "an escape that is not supported"},
        {"{\"enum\":[1],\"minimum\":0}", "minimum beside enum"},
        {"false", "nothing can match"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_refused(refused[i].schema, refused[i].sentence);
}

static void schemas_that_only_contain_themselves_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"$ref\":\"#\"}", "begins with itself");
    assert_refused("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "begins with itself");
    assert_refused("{\"allOf\":[{\"$ref\":\"#\"}]}", "lead to each other without end");
    assert_refused("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
                   "\"b\":{\"$ref\":\"#/$defs/a\"}}}",
                   "begins with itself");
    assert_refused("{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
                   "nothing can match");
}

/* $defs of which each holds the next one twice: 2^25 schemas, if anybody made them. */
static void references_that_double_are_bounded(void **state)
{
    (void)state;
    char source[8192], *at = source;
    at += sprintf(at, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 25; i++)
        at += sprintf(
            at, "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},", i,
            i + 1, i + 1);
    sprintf(at, "\"d25\":{\"type\":\"null\"}}}");
    assert_refused(source, "steps");
}

static void deep_schemas_do_not_recurse(void **state)
{
    (void)state;
    enum { DEPTH = 900 }; /* of arrays; the JSON parser takes 2048 levels */
    char *source = malloc(DEPTH * 40), *at = source;
    struct grammar *grammar = NULL;
    assert_non_null(source);
    for (int i = 0; i < DEPTH; i++)
        at = stpcpy(at, "{\"type\":\"array\",\"items\":");
    at = stpcpy(at, "{}");
    for (int i = 0; i < DEPTH; i++)
        at = stpcpy(at, "}");
    assert_int_equal(grammar_from_schema(text_of(source), &grammar, NULL), 0);
    grammar_close(grammar);
    memset(source, '[', DEPTH * 40 - 1);
    source[DEPTH * 40 - 1] = 0;
    assert_refused(source, "line 1");
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_accepted_and_refused),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(schemas_that_only_contain_themselves_are_refused),
        cmocka_unit_test(references_that_double_are_bounded),
        cmocka_unit_test(deep_schemas_do_not_recurse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
