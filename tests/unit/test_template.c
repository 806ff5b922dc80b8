/* test_template.c - chat templates: what they render, what ends them, and whose bytes are whose.
 *
 * The expected texts are what Python's jinja2 3.1 renders with the environment of transformers
 * (trim_blocks, lstrip_blocks, loop controls, its own tojson); check_templates.py compares the
 * templates of real models. */
#include "text/template.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What a rendering gave. */
struct outcome {
    int status;
    struct error error;
    struct template_text text;
};

static const struct template_limits small_limits = {
    .steps = 1 << 20, .memory_bytes = 32 << 20, .text_bytes = 1 << 20};

static struct outcome render_with(struct text source, struct text user,
                                  const struct template_limits *limits)
{
    const struct template_string strings[] = {{text_of("bos_token"), text_of("<s>"), true},
                                              {text_of("eos_token"), text_of("</s>"), true}};
    const struct template_string fields[] = {
        {text_of("role"), text_of("system"), true},
        {text_of("content"), text_of(" sys\n"), false},
        {text_of("role"), text_of("user"), true},
        {text_of("content"), user, false},
    };
    const struct template_message messages[] = {{fields, 2}, {fields + 2, 2}};
    const struct template_flag flag = {text_of("enable_thinking"), false};
    const struct template_inputs inputs = {
        .messages = messages,
        .message_count = 2,
        .strings = strings,
        .string_count = 2,
        .flags = &flag,
        .flag_count = 1,
        .add_generation_prompt = true,
        .now = {.tm_year = 126, .tm_mon = 1, .tm_mday = 3, .tm_hour = 4, .tm_wday = 2},
    };
    struct outcome outcome = {.text = {.text = buffer_new(0)}};
    struct template *compiled;
    outcome.status = template_compile(source, &compiled, &outcome.error);
    if (!outcome.status) {
        outcome.status = template_render(compiled, &inputs, limits, &outcome.text, &outcome.error);
        template_free(compiled);
    }
    return outcome;
}

static struct outcome render(const char *source, const char *user)
{
    return render_with(text_of(source), text_of(user), &small_limits);
}

struct row {
    const char *source, *expected;
};

static void assert_rows(const struct row *rows)
{
    for (; rows->source; rows++) {
        struct outcome outcome = render(rows->source, "h\xC3\xA9llo");
        if (outcome.status)
            print_error("%s: %s\n", rows->source, outcome.error.text);
        assert_int_equal(outcome.status, 0);
        size_t length = strlen(rows->expected);
        if (outcome.text.text.length != length ||
            (length && memcmp(outcome.text.text.bytes, rows->expected, length) != 0)) {
            print_error("%s\n  gives %.*s\n  not   %s\n", rows->source,
                        TEXT_ARGUMENTS(buffer_text(&outcome.text.text)), rows->expected);
            fail();
        }
        template_text_free(&outcome.text);
    }
}

/* ---- what templates render ---- */

static void white_space_goes_where_tags_say_so(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"  {% if true %}\n  x\n  {% endif %}\n y", "  x\n y"},
        {"{% if true %}\n\nx{% endif %}\n\n", "\nx"},
        {"{{ 1 }}\n\n{{ 2 }}\n", "1\n\n2"},
        {"a\r\nb\rc\n", "a\nb\nc"},
        {"{% raw %}\n a {% endraw %}\nb", "\n a b"},
        {"{%- raw -%} a {%- endraw -%} b", "ab"},
        {" {# c #}\nx", "x"},
        {"x {# c #}\ny", "x y"},
        {"x\n  {#- c #}\n y", "x y"},
        {"{% raw %} {% raw %} {{ x }} {% endraw %}", " {% raw %} {{ x }} "},
        {"   {{ 1 }}", "   1"},
        {"\n   {{- 1 }}", "1"},
        {"  {%+ if true %}x{% endif %}", "  x"},
        {"a{% if true %}\n{% endif %}\nb\n\n", "ab\n"},
        {"\t{% if 1 %}\t{% endif %}\t\n", "\t\t"},
        {"a {%- if true -%}  b  {%- endif -%} c", "abc"},
        {"{{- 'a' -}}   {{- 'b' }}  {{ 'c' -}} \n", "ab  c"},
        {"a\xE3\x80\x80{{- 1 -}}\xE2\x80\x83"
         "b",
         "a1b"},
        {"{{ '}}' }}{{ {'a': {'b': 1}} }}{{ '%}' }}", "}}{'a': {'b': 1}}%}"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void literals_and_what_they_print_as(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ [1,2.5,'a',none,true,{'x':'y'},(1,),()] }}",
         "[1, 2.5, 'a', None, True, {'x': 'y'}, (1,), ()]"},
        {"{{ 1e20 }} {{ 0.1+0.2 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.0001 }}",
         "1e+20 0.30000000000000004 1.0 1e+16 1e-05 0.0001"},
        {"{{ \"a\\x41\\u00e9\\101\\q\\'\" }}", "aA\xC3\xA9"
                                               "A\\q'"},
        {"{{ [\"it's\", 'a\"b', \"a'b\\\"c\", \"\\n\\t\\\\\"] }}",
         "[\"it's\", 'a\"b', 'a\\'b\"c', '\\n\\t\\\\']"},
        {"{{ 'a' 'b' \"c\" }}", "abc"},
        {"{{ 0x10 }}{{ 0b11 }}{{ 0o17 }}{{ 1_000 }}", "163151000"},
        {"{{ \"\\u200b\" ~ [\"\\u200b\\u00e9\\x07\\x7f\"] }}",
         "\xE2\x80\x8B['\\u200b\xC3\xA9\\x07\\x7f']"},
        {"{{ none }}{{ true }}{{ missing }}|", "NoneTrue|"},
        {"{{ 1, 2 }}", "(1, 2)"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void operators_bind_as_in_python(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ 1/2 }} {{ 7//2 }} {{ -7//2 }} {{ -7%3 }} {{ 7%-3 }} {{ 2**10 }} {{ 2**-1 }} {{ 5 // "
         "2.0 }} {{ 5 % 2.5 }}",
         "0.5 3 -4 2 -2 1024 0.5 2.0 0.0"},
        {"{{ -2 ** 2 }}{{ 2 ** 3 ** 2 }}{{ -1|abs }}{{ +3 }}", "46413"},
        {"{{ 1 ~ 2 + 3 ~ 4 }}{{ 'a' ~ none ~ true ~ 1.5 }}", "1234aNoneTrue1.5"},
        {"{{ 'x' * 3 }}{{ [1] * 2 }}{{ [1] + [2] }}{{ (1,) + (2,) }}", "xxx[1, 1][1, 2](1, 2)"},
        {"{{ not true and false or true }}{{ 0 or 'x' }}{{ 1 and 'y' }}{{ not 'x' in 'y' }}",
         "TruexyTrue"},
        {"{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 }}{{ [1,2] < [1,3] }}{{ {'a':1} == {'a':1.0} "
         "}}{{ [1] == (1,) }}",
         "TrueFalseTrueTrueTrueFalse"},
        {"{{ 'a' in 'abc' }}{{ 'x' not in 'abc' }}{{ 1 in [1,2] }}{{ 'a' in {'a':1} }}",
         "TrueTrueTrueTrue"},
        {"{{ 'a' if true }}{{ 'a' if false }}{{ 'a' if 0 else 'b' if 0 else 'c' }}", "ac"},
        {"{{ \"abc\"[1] }}{{ \"abc\"[-1] }}{{ \"abc\"[::-1] }}{{ \"abc\"[:-1] }}{{ "
         "\"h\xC3\xA9llo\"[1:3] }}{{ [1,2,3][5:0:-1] }}{{ [1,2,3,4,5][::2] }}",
         "bccbaab\xC3\xA9l[3, 2][1, 3, 5]"},
        {"{{ {'a':{'b':[1,2]}}.a.b[1] }}{{ {'a':{'b':[1,2]}}.a.b.1 }}{{ none.x is defined }}",
         "22False"},
        {"{{ 'a' ~ 'b'|upper }}{{ ('a' ~ 'b')|upper }}{{ 1 + 2|string|length }}", "aBAB2"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void statements_and_their_scopes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{% for x in [1,2,3] %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.revindex "
         "}}|{% endfor %}",
         "1TrueFalse3|2FalseFalse2|3FalseTrue1|"},
        {"{% for x in [] %}a{% else %}b{% endfor %}{% for k, v in {'a':1}.items() %}{{k}}={{v}}{% "
         "endfor %}",
         "ba=1"},
        {"{% for x in range(5) if x is odd %}{{ x }}{{ loop.index }}{{ loop.last }}{% endfor %}",
         "11False32True"},
        {"{% for x in range(10) %}{% if x == 3 %}{% continue %}{% endif %}{% if x > 5 %}{% break "
         "%}{% endif %}{{ x }}{% endfor %}",
         "01245"},
        {"{% set x = 1 %}{% for i in [1,2] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "221"},
        {"{% set ns = namespace(a=1) %}{% for i in [1,2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ "
         "ns.a }}{{ ns.c is defined }}",
         "4False"},
        {"{% macro m(a, b=2, c='z') %}{{ a }}{{ b }}{{ c }};{% endmacro %}{{ m(1) }}{{ m(1, c=5) "
         "}}{{ m(b=1, a=9) }}{{ m() }}",
         "12z;125;91z;2z;"},
        {"{% macro m() %}<{{ caller(5) }}>{% endmacro %}{% call(x) m() %}in{{ x }}{% endcall %}",
         "<in5>"},
        {"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(5) }}",
         "543210"},
        {"{% macro f() %}{{ y }}{% endmacro %}{% set y = 5 %}{{ f() }}", "5"},
        {"{% filter replace('a','b')|upper %}abc{% endfilter %}", "BBC"},
        {"{% set x | upper | trim %} hello {% endset %}[{{ x }}]", "[HELLO]"},
        {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% with c = 3 %}{{ c }}{% endwith %}{{ c is defined "
         "}}",
         "123False"},
        {"{% if false %}1{% elif true %}{% elif true %}3{% else %}4{% endif %}|{% if false %}{% "
         "else %}{% if true %}5{% endif %}6{% endif %}",
         "|56"},
        {"{% generation %}gen{% set z = 1 %}{% endgeneration %}{{ z is defined }}", "genFalse"},
        {"{% for x in [1,1,2] %}{{ loop.changed(x) }}{{ loop.cycle('a','b') }}{{ loop.previtem "
         "}}{{ loop.nextitem }};{% endfor %}",
         "Truea1;Falseb12;Truea1;"},
        {"{% for a in [1,2] %}{% for b in [3,4] %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}{{ "
         "loop.index }}{% endfor %}",
         "113 214 1123 224 2"},
        {"{% for c in 'h\xC3\xA9' %}{{ c }}-{% endfor %}", "h-\xC3\xA9-"},
        {"{% set g = [1,2]|map('string') %}{{ g|list }}{{ g|list }}", "['1', '2'][]"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void filters_of_values(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ \"hello world foo-bar it's (x)\".title() }}{{ \"hello world foo-bar it's (x)\"|title "
         "}}{{ \"hELLO wORLD\"|capitalize }}{{ \"aB\".upper() }}{{ \"aB\".lower() }}",
         "Hello World Foo-Bar It'S (X)Hello World Foo-Bar It's (X)Hello worldABab"},
        {"{{ \", \".join(['a','b']) }}{{ ['a',1,none]|join('-') }}{{ [1,2]|join }}{{ "
         "[{'a':1},{'a':2}]|join(',', attribute='a') }}",
         "a, ba-1-None121,2"},
        {"{{ "
         "{'a':1,'b':[1,2,{'c':none}],'d':\"\xC3\xA9\\\"\\n\\u2028<&>'\",'e':1.5,'f':true}|tojson "
         "}}",
         "{\"a\": 1, \"b\": [1, 2, {\"c\": null}], \"d\": \"\xC3\xA9\\\"\\n\xE2\x80\xA8<&>'\", "
         "\"e\": 1.5, \"f\": true}"},
        {"{{ {'a':1,'b':[1,2,{'c':none}],'g':[],'h':{}}|tojson(indent=2) }}",
         "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    2,\n    {\n      \"c\": null\n    }\n  ],\n  "
         "\"g\": [],\n  \"h\": {}\n}"},
        {"{{ {'b':1,'a':2}|tojson(sort_keys=true) }}{{ "
         "{'b':\"\xC3\xA9\xF0\x9F\x99\x82\"}|tojson(ensure_ascii=true) }}{{ "
         "{'a':[1,2]}|tojson(separators=(',',':')) }}{{ {1:2,none:3,true:4,1.5:6}|tojson }}{{ "
         "[1e100,1e16,-0.0]|tojson }}",
         "{\"a\": 2, \"b\": 1}{\"b\": \"\\u00e9\\ud83d\\ude42\"}{\"a\":[1,2]}{\"1\": 4, \"null\": "
         "3, \"1.5\": 6}[1e+100, 1e+16, -0.0]"},
        {"{{ \"a\\nb\\n\\nc\"|indent }}|{{ \"a\\nb\\n\\nc\"|indent(2, true) }}|{{ "
         "\"a\\nb\\n\\nc\"|indent(2, blank=true) }}|{{ \"a\\n\"|indent('--') }}|",
         "a\n    b\n\n    c|  a\n  b\n\n  c|a\n  b\n  \n  c|a\n|"},
        {"{{ x|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|default('d') "
         "}}{{ none|d('e', boolean=true) }}",
         "ddNonee"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void filters_of_sequences_and_tests(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ [3,1,2]|sort }}{{ ['b','A','c']|sort }}{{ ['b','A','c']|sort(case_sensitive=true) "
         "}}{{ [3,1,2]|sort(reverse=true) }}{{ [{'a':2},{'a':1}]|sort(attribute='a') }}{{ "
         "[{'a':{'b':2}},{'a':{'b':1}}]|sort(attribute='a.b') }}",
         "[1, 2, 3]['A', 'b', 'c']['A', 'b', 'c'][3, 2, 1][{'a': 1}, {'a': 2}][{'a': {'b': 1}}, "
         "{'a': {'b': 2}}]"},
        {"{{ {'b':1,'A':2}|dictsort }}{{ {'b':1,'a':2}|dictsort(by='value') }}{{ "
         "{'b':1,'a':2}|dictsort(reverse=true) }}{{ {'b':1,'a':2}|items|list }}",
         "[('A', 2), ('b', 1)][('b', 1), ('a', 2)][('b', 1), ('a', 2)][('b', 1), ('a', 2)]"},
        {"{{ [1,2,3]|first }}{{ [1,2,3]|last }}{{ []|first is defined }}{{ 'abc'|first }}{{ "
         "'abc'|last }}{{ [1,2]|reverse|list }}{{ 'abc'|reverse }}",
         "13Falseac[2, 1]cba"},
        {"{{ [1,2,3,4]|select('odd')|list }}{{ [1,2,3,4]|reject('odd')|list }}{{ "
         "[0,1,'']|select|list }}{{ [{'r':'a','x':1},{'r':'b'}]|selectattr('r','equalto','a')|list "
         "}}{{ [{'r':'a','x':1},{'r':'b'}]|selectattr('x')|list }}{{ "
         "[{'r':'a','x':1},{'r':'b'}]|rejectattr('x','defined')|list }}",
         "[1, 3][2, 4][1][{'r': 'a', 'x': 1}][{'r': 'a', 'x': 1}][{'r': 'b'}]"},
        {"{{ ['a','b']|map('upper')|list }}{{ [{'a':1},{'b':2}]|map(attribute='a', default=9)|list "
         "}}{{ [' a ']|map('trim')|map('upper')|join }}{{ none|map('upper')|list }}",
         "['A', 'B'][1, 9]A[]"},
        {"{{ [[7,8,9]]|map(attribute='0123456789'[1:2])|list }}{{ [[7]]|map(attribute='0_')|list "
         "}}",
         "[8][Undefined]"},
        {"{{ [1,2,1,'a','A']|unique|list }}{{ [3,1]|min }}{{ [3,1]|max }}{{ ['b','A']|min }}{{ "
         "[1,2,3]|sum }}{{ [{'a':1}]|sum(attribute='a') }}{{ []|min is defined }}",
         "[1, 2, 'a']13A61False"},
        {"{{ '12'|int }}{{ 'x'|int }}{{ 'x'|int(5) }}{{ '1.9'|int }}{{ ' 7 '|int }}{{ 3.9|int }}{{ "
         "'1.5'|float }}{{ 'z'|float }}{{ 3|float }}{{ true|int }}{{ '1e3'|float }}{{ '1_000'|int "
         "}}",
         "12051731.50.03.011000.01000"},
        {"{{ 3.14159|round(2) }}{{ 2.5|round }}{{ 3|round }}{{ 2.1|round(0,'ceil') }}{{ "
         "2.9|round(0,'floor') }}{{ 0.125|round(2) }}",
         "3.142.033.02.00.12"},
        {"{{ \"a\" is string }}{{ 1 is string }}{{ 1 is number }}{{ true is number }}{{ true is "
         "integer }}{{ 1.0 is float }}{{ {} is mapping }}{{ [] is sequence }}{{ 'a' is sequence "
         "}}{{ {} is sequence }}{{ [] is iterable }}{{ 1 is iterable }}{{ none is none }}{{ true "
         "is true }}{{ 1 is true }}{{ false is false }}{{ true is boolean }}{{ x is undefined }}{{ "
         "4 is even }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}{{ 1 is eq 1 }}{{ 1 is "
         "ne(2) }}{{ 1 is in [1] }}{{ 'a' is lower }}{{ 'A' is upper }}{{ x is iterable }}{{ x is "
         "sequence }}{{ range is callable }}{{ 1 is sameas 1 }}{{ 2 is gt 1 }}",
         "TrueFalseTrueTrueFalseTrueTrueTrueTrueTrueTrueFalseTrueTrueFalseTrueTrueTrueTrueTrueFalse"
         "TrueTrueTrueTrueTrueTrueTrueTrueTrueTrue"},
        {"{{ messages|tojson }}", "[{\"role\": \"system\", \"content\": \" sys\\n\"}, {\"role\": "
                                  "\"user\", \"content\": \"h\xC3\xA9llo\"}]"},
        {"{{ [[1,2],[3]]|map('join','-')|list }}{{ [1,2]|map('string')|join(',') }}",
         "['1-2', '3']1,2"},
        {"{{ messages|map(attribute='role')|list }}{{ messages|map(attribute='role')|join('+') }}",
         "['system', 'user']system+user"},
        {"{{ messages|selectattr('role','in',['user'])|map(attribute='content')|list }}",
         "['h\xC3\xA9llo']"},
        {"{% set g = messages|map(attribute='role') %}{{ g|list }}{{ g|list }}",
         "['system', 'user'][]"},
        {"{{ (1,2)|list }}{{ 'ab'|list|tojson }}{{ ((1))|string }}", "[1, 2][\"a\", \"b\"]1"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void methods_and_formats(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ \"  a b \".strip() }}|{{ \"xxaxx\".strip('x') }}|{{ \"xxa\".lstrip('x') }}|{{ "
         "\"axx\".rstrip('x') }}|{{ \"\\u00a0a\\u3000\".strip() }}|",
         "a b|a|a|a|a|"},
        {"{{ \"a,b,,c\".split(',') }}{{ \" a  b \".split() }}{{ \"a,b,c\".split(',', 1) }}{{ \"a b "
         "c\".split(none, 1) }}{{ \"a,b,c\".rsplit(',', 1) }}{{ \" a b  c \".rsplit(none, 1) }}{{ "
         "\"\".split() }}{{ \"\".split(',') }}",
         "['a', 'b', '', 'c']['a', 'b']['a', 'b,c']['a', 'b c']['a,b', 'c'][' a b', 'c'][]['']"},
        {"{{ \"a\\nb\\r\\nc\\n\".splitlines() }}{{ \"a\\nb\".splitlines(true) }}",
         "['a', 'b', 'c']['a\\n', 'b']"},
        {"{{ \"abcabc\".replace('b','X') }}{{ \"abcabc\".replace('b','X',1) }}{{ "
         "\"abc\".replace('','-') }}{{ \"aaa\"|replace('a','b',2) }}",
         "aXcaXcaXcabc-a-b-c-bba"},
        {"{{ \"abc\".startswith('ab') }}{{ \"abc\".endswith('bc') }}{{ "
         "\"abc\".startswith(('x','a')) }}{{ \"abc\".find('c') }}{{ \"abc\".find('z') }}{{ "
         "\"h\xC3\xA9"
         "c\".find('c') }}{{ \"aXbX\".count('X') }}",
         "TrueTrueTrue2-122"},
        {"{{ '%s and %d and %5.1f|%-5s|%05d|%x|%%|%r' % ('a', 3, 2.55, 'b', 42, 255, 'q') }}{{ "
         "'%s' % 'x' }}{{ '%(a)s' % {'a':1} }}{{ '%s %s'|format('a', 2) }}",
         "a and 3 and   2.5|b    |00042|ff|%|'q'x1a 2"},
        {"{{ '{} {}'.format('a', 3) }}{{ '{1}{0}'.format('a','b') }}{{ '{x}'.format(x=1) }}{{ "
         "'{{}}'.format() }}{{ "
         "'{:>5}|{:<5}|{:^5}|{:05.1f}|{:d}|{!r}|{:x}'.format('a','b','c',2.5,3,'d',255) }}",
         "a 3ba1{}    a|b    |  c  |002.5|3|'d'|ff"},
        {"{{ dict(a=1, b=2) }}{{ dict({'x':1}, y=2) }}{{ dict([('a',1)]) }}",
         "{'a': 1, 'b': 2}{'x': 1, 'y': 2}{'a': 1}"},
        {"{{ {'a':1}.keys()|list }}{{ {'a':1}.values()|list }}{{ {'a':1}.items()|list }}{{ "
         "{'a':1}.get('a') }}{{ {'a':1}.get('b') }}{{ {'a':1}.get('b', 5) }}{{ "
         "{'a':1}.items()|length }}",
         "['a'][1][('a', 1)]1None51"},
        {"{{ [1,2,1].count(1) }}{{ [1,2].index(2) }}{{ 'a-b'.upper().split('-')[0] }}", "21A"},
        {"{{ \"%d\" % 3.7 }}{{ \"%5s|\" % \"ab\" }}{{ \"%.2s\" % \"abc\" }}{{ \"%e\" % 12345.678 "
         "}}{{ \"%g\" % 0.00001 }}",
         "3   ab|ab1.234568e+041e-05"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

static void inputs_are_there_under_their_names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{{ messages[0].role }}{{ messages[-1]['content'] }}{{ messages|length }}{{ messages[0] "
         "}}",
         "systemh\xC3\xA9llo2{'role': 'system', 'content': ' sys\\n'}"},
        {"{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}{{ tools }}{{ documents }}{{ "
         "enable_thinking }}",
         "<s></s>TrueNoneNoneFalse"},
        {"{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}{{ m.role "
         "}};{% endfor %}",
         "system;systemuser;"},
        {"{{ strftime_now('%d %b %Y %H') }}", "03 Feb 2026 04"},
        {NULL, NULL},
    };
    assert_rows(rows);
}

/* ---- what ends a template ---- */

struct failure {
    const char *source;
    int status;
    const char *text; /* is in the sentence */
};

static void assert_failures(const struct failure *rows)
{
    for (; rows->source; rows++) {
        struct outcome outcome = render(rows->source, "x");
        if (outcome.status != rows->status || !strstr(outcome.error.text, rows->text))
            print_error("%s: %d %s\n", rows->source, outcome.status, outcome.error.text);
        assert_int_equal(outcome.status, rows->status);
        assert_int_equal(outcome.error.code, -rows->status);
        assert_non_null(strstr(outcome.error.text, rows->text));
        assert_null(outcome.text.text.bytes);
        assert_null(outcome.text.spans);
    }
}

static void what_is_no_template_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct failure rows[] = {
        {"\n\n{{ 'a }}", -ENOEXEC, "line 3: a string is not closed"},
        {"{{ a", -ENOEXEC, "line 1: a tag is not closed"},
        {"\n{% if x", -ENOEXEC, "line 2: a tag is not closed"},
        {"{# a\n#", -ENOEXEC, "a comment is not closed"},
        {"{#}", -ENOEXEC, "a comment is not closed"},
        {"{% raw %}{{", -ENOEXEC, "a raw block is not closed"},
        {"{{ (a }}", -ENOEXEC, "a bracket is closed"},
        {"{{ (a] }}", -ENOEXEC, "a bracket is closed"},
        {"{{ a) }}", -ENOEXEC, "a bracket is closed"},
        {"{{ \"\\", -ENOEXEC, "a string is not closed"},
        {"{{ ! }}", -ENOEXEC, "an unexpected character"},
        {"{{ }}", -ENOEXEC, "an expression is missing"},
        {"{{ a b }}", -ENOEXEC, "the expression should end before \"b\""},
        {"{{ a. }}", -ENOEXEC, "a name is missing"},
        {"{{ a[] }}", -ENOEXEC, "an index is missing"},
        {"{{ f(a=1, 2) }}", -ENOEXEC, "an argument without a name"},
        {"{{ {1 2} }}", -ENOEXEC, "\":\" is missing"},
        {"{{ 99999999999999999999 }}", -ENOEXEC, "no number"},
        {"{{ 1 if }}", -ENOEXEC, "an expression is missing"},
        {"{% if true %}", -ENOEXEC, "the template ends before \"elif\""},
        {"{% for x in y %}", -ENOEXEC, "the template ends before"},
        {"{% for x y %}{% endfor %}", -ENOEXEC, "\"in\" is missing"},
        {"{% for x in y recursive %}{% endfor %}", -ENOEXEC, "not supported"},
        {"{% endif %}", -ENOEXEC, "an unknown tag"},
        {"{% include 'x' %}", -ENOEXEC, "an unknown tag or one out of place: \"include\""},
        {"{% set 1 = 2 %}", -ENOEXEC, "a name is missing"},
        {"{% break %}", -ENOEXEC, "no loop around"},
        {"{% for i in [1] %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", -ENOEXEC,
         "no loop around"},
        {"{% macro f( %}{% endmacro %}", -ENOEXEC, "a bracket is closed"},
        {"{% call 5 %}{% endcall %}", -ENOEXEC, "a call is missing"},
        {NULL, 0, NULL},
    };
    assert_failures(rows);
}

static void errors_of_a_template_name_their_line(void **state)
{
    (void)state;
    static const struct failure rows[] = {
        {"{{ raise_exception('No ' ~ 'system!') }}", -EINVAL, "No system!"},
        {"\n\n{{ missing.x }}", -ENOEXEC, "line 3: \"missing\" is undefined"},
        {"{{ missing() }}", -ENOEXEC, "\"missing\" is undefined"},
        {"{{ messages[0].nothing.more }}", -ENOEXEC, "\"nothing\" is undefined"},
        {"{{ [1].append(2) }}", -ENOEXEC, "\"append\" is undefined"},
        {"{{ {}.update({}) }}", -ENOEXEC, "\"update\" is undefined"},
        {"{{ ''.__class__.mro() }}", -ENOEXEC, "\"__class__\" is undefined"},
        {"{{ 1 + 'a' }}", -ENOEXEC, "\"+\" between an integer and a string"},
        {"{{ 1 < 'a' }}", -ENOEXEC, "\"<\" between"},
        {"{{ 1 // 0 }}", -ENOEXEC, "division by zero"},
        {"{{ 9223372036854775807 + 1 }}", -ENOEXEC, "64 bits"},
        {"{{ -(-9223372036854775807 - 1) }}", -ENOEXEC, "64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}", -ENOEXEC, "64 bits"},
        {"{{ 10 ** 100 }}", -ENOEXEC, "64 bits"},
        {"{{ none|length }}", -ENOEXEC, "none has no length"},
        {"{% for x in 5 %}{% endfor %}", -ENOEXEC, "an integer can't be iterated"},
        {"{% set a, b = [1] %}", -ENOEXEC, "1 values for 2 names"},
        {"{{ 'a'|nosuch }}", -ENOEXEC, "there is no filter \"nosuch\""},
        {"{{ 1 is nosuch }}", -ENOEXEC, "there is no test \"nosuch\""},
        {"{% set m = messages %}{% set m.x = 1 %}", -ENOEXEC, "\"m\" is no namespace"},
        {"{% set ns = namespace() %}{% set ns._x = 1 %}", -ENOEXEC, "begins with \"_\""},
        {"{{ {[]: 1} }}", -ENOEXEC, "a list can't be a key"},
        {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", -ENOEXEC, "an argument too many"},
        {"{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", -ENOEXEC, "an argument too many"},
        {"{{ missing|tojson }}", -ENOEXEC, "an undefined value can't be written as JSON"},
        {"{{ 'x'.split('') }}", -ENOEXEC, "an empty separator"},
        {"{{ '%s %s' % 'a' }}", -ENOEXEC, "too few values"},
        {"{{ '%s' % ('a', 'b') }}", -ENOEXEC, "too many values"},
        {"{{ '{'.format() }}", -ENOEXEC, "is alone"},
        {"{{ range }}", -ENOEXEC, "a function can't be written"},
        {"{{ [1][::0] }}", -ENOEXEC, "a step"},
        {NULL, 0, NULL},
    };
    assert_failures(rows);
}

static void no_loop_runs_past_its_budget(void **state)
{
    (void)state;
    static const struct failure rows[] = {
        {"{% set r = range(9999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{{ range(100001) }}", -ENOEXEC, "range() of more than 100000"},
        {"{{ range(9223372036854775807)|length }}", -ENOEXEC, "range() of more than"},
        {"{{ range(-9223372036854775807, 9223372036854775807)|length }}", -ENOEXEC, "range()"},
        {"{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}",
         -EMSGSIZE, "line 1: a text of more than"},
        {"{{ 'x' * 9223372036854775807 }}", -EMSGSIZE, "a text of more than"},
        {"{% set s = 'x' * 900000 %}{% for i in range(99) %}{{ '' if s|upper }}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{{ [1] * 9223372036854775807 }}", -ENOEXEC, "more than"},
        {"{{ '%999999999s' % 'a' * 9999 }}", -EMSGSIZE, "a text of more than"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}"
         "{% endfor %}{{ ns.l }}",
         -ENOEXEC, "more than"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}"
         "{% endfor %}{{ ns.l == ns.l|list }}",
         -ENOEXEC, "more than"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l|tojson }}",
         -ENOEXEC, "nested deeper than"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l }}",
         -ENOEXEC, "nested deeper than"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", -ENOEXEC, "nested deeper than"},
        {"{% macro f(x) %}{{ x() }}{% endmacro %}{{ f(f) }}", -ENOEXEC, "is undefined"},
        {"{% set s = 'ab' * 50000 %}{% for i in range(99999) %}{{ s|length }}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{% set s = 'a' * 50000 %}{{ s|list|join|list|join|replace('a', s) }}", -EMSGSIZE,
         "a text of more than"},
        {"{% set s = 'a' * 999999 %}{{ s.strip(s) }}{{ s.lstrip('b' * 99999 ~ 'a') }}", -ENOEXEC,
         "more than"},
        {NULL, 0, NULL},
    };
    assert_failures(rows);
}

static void comparing_costs_what_it_compares(void **state)
{
    (void)state;
    static const struct failure rows[] = {
        {"{% set a = range(9999)|list %}{% set b = range(9999)|list %}{% for i in range(999) %}"
         "{{ '' if a == b }}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{% set a = range(9999)|list %}{% set b = range(9999)|list %}{% for i in range(999) %}"
         "{{ '' if a < b }}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{% set s = 'a' * 500000 %}{% set d = {s ~ 'b': 1} %}{% set key = s ~ 'c' %}"
         "{% for i in range(999) %}{{ d[key] }}{% endfor %}",
         -ENOEXEC, "more than"},
        {"{{ ('a' * 500000).rsplit('a' * 250000 ~ 'b')|length }}", -ENOEXEC, "more than"},
        {NULL, 0, NULL},
    };
    assert_failures(rows);
}

/* Bytes that the template and a user write by turns. */
static void spans_are_part_of_the_memory(void **state)
{
    (void)state;
    struct template_limits limits = small_limits;
    limits.memory_bytes = 8 << 20;
    struct outcome outcome =
        render_with(text_of("{{ ('a' ~ messages[1].content) * 500000 }}"), text_of("b"), &limits);
    assert_int_equal(outcome.status, -ENOEXEC);
    assert_non_null(strstr(outcome.error.text, "mixed in more than"));
    assert_null(outcome.text.spans);
}

/* `text` `count` times, with a NUL. */
static char *repeated(const char *text, size_t count)
{
    size_t length = strlen(text);
    char *out = malloc(length * count + 1);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * length, text, length);
    out[length * count] = 0;
    return out;
}

static void assert_refused(const char *begin, const char *part, size_t count, int expected)
{
    char *parts = repeated(part, count);
    size_t size = strlen(begin) + strlen(parts) + 1;
    char *source = malloc(size);
    assert_non_null(source);
    snprintf(source, size, "%s%s", begin, parts);
    struct outcome outcome = render(source, "x");
    assert_int_equal(outcome.status, expected);
    assert_int_equal(outcome.error.code, -expected);
    free(source);
    free(parts);
}

static void nesting_of_any_kind_has_an_end(void **state)
{
    (void)state;
    static const char *const parts[] = {"(",     "[", "{1:",          "-",    "not ",    "f(",
                                        "a[",    "{", "a if b else ", "x|f(", "x is f(", "(((",
                                        "1 ** -"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_refused("{{ ", parts[i], 80000, -ENOEXEC);
    static const char *const blocks[] = {"{% if x %}",
                                         "{% for x in y %}",
                                         "{% set x %}",
                                         "{% macro f() %}",
                                         "{% filter upper %}",
                                         "{% with %}",
                                         "{% call f() %}",
                                         "{% generation %}",
                                         "{% raw %}",
                                         "{% if x %}{% elif x %}",
                                         "{#",
                                         "{{"};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        assert_refused("", blocks[i], 40000, -ENOEXEC);
    assert_refused("{{ 1", " + 1", 100000, -ENOEXEC);
    assert_refused("{{ 1", "|abs", 100000, -ENOEXEC);
    assert_refused("{{ a", ".a", 100000, -ENOEXEC);
    assert_refused("{% set a", ",a", 100000, -ENOEXEC);
}

static void long_but_flat_templates_are_fine(void **state)
{
    (void)state;
    char *source = repeated("{% if false %}{% elif true %}x{% endif %}{{ 'y' }}", 20000);
    struct outcome outcome = render(source, "x");
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.text.text.length, 40000);
    template_text_free(&outcome.text);
    free(source);
    assert_refused("", "x", TEMPLATE_SOURCE_BYTES_MAX + 1, -EMSGSIZE);
}

/* Each of these was quadratic in a first version or could be. */
static void hostile_sources_take_no_time(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "{% raw %}{% endraw", "{% ",  "{%- ",        "\n \n", "{{ '", "{# ", " {#- -#} ",
        "{%raw%}{%endraw%}",  "'\\'", "\xE3\x80\x80"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *source = repeated(parts[i], (TEMPLATE_SOURCE_BYTES_MAX - 100) / strlen(parts[i]));
        struct outcome outcome = render(source, "x");
        template_text_free(&outcome.text);
        free(source);
    }
}

static void any_bytes_are_text(void **state)
{
    (void)state;
    static const char source[] = "\xFF{{ '\xC3' ~ messages[1].content|upper }}\x80{{ "
                                 "messages[1].content|length }}{{ messages[1].content[1] }}";
    struct outcome outcome = render_with((struct text){source, sizeof source - 1},
                                         (struct text){"a\x00\xF0\x9F\xC3\xA9", 6}, &small_limits);
    assert_int_equal(outcome.status, 0);
    static const char expected[] = "\xFF\xC3"
                                   "A\x00\xF0\x9F\xC3\xA9\x80"
                                   "5\x00";
    assert_int_equal(outcome.text.text.length, sizeof expected - 1);
    assert_memory_equal(outcome.text.text.bytes, expected, sizeof expected - 1);
    template_text_free(&outcome.text);
}

/* ---- whose bytes are whose ---- */

/* The trusted bytes of a rendering, one after another, with a | where others stand between. */
static void assert_trusted(const char *source, const char *user, const char *expected)
{
    char trusted[256] = "";
    struct outcome outcome = render(source, user);
    assert_int_equal(outcome.status, 0);
    size_t end = 0, length = 0;
    for (size_t i = 0; i < outcome.text.span_count; i++) {
        const struct template_span *span = &outcome.text.spans[i];
        assert_int_equal(span->begin, end);
        assert_true(span->end > span->begin);
        end = span->end;
        length += (size_t)snprintf(trusted + length, sizeof trusted - length, "%.*s",
                                   span->trusted ? (int)(span->end - span->begin) : 1,
                                   span->trusted ? outcome.text.text.bytes + span->begin : "|");
    }
    assert_int_equal(end, outcome.text.text.length);
    if (strcmp(trusted, expected) != 0)
        print_error("%s\n", source);
    assert_string_equal(trusted, expected);
    template_text_free(&outcome.text);
}

static void only_the_templates_own_bytes_are_trusted(void **state)
{
    (void)state;
    static const char *const kept[] = {
        "<i>{{ messages[1].content }}<e>",
        "{{ '<i>' + messages[1].content + '<e>' }}",
        "{{ '<i>' ~ messages[1].content ~ '<e>' }}",
        "{{ ('<i>' + messages[1].content + '<e>')|string }}",
        "{% set x %}<i>{{ messages[1].content }}<e>{% endset %}{{ x }}",
        "{% macro f(x) %}<i>{{ x }}<e>{% endmacro %}{{ f(messages[1].content) }}",
        "{{ ['<i>', messages[1].content, '<e>']|join }}",
        "{{ '%s%s<e>' % ('<i>', messages[1].content) }}",
        "{{ '<i>{}{x}'.format(messages[1].content, x='<e>') }}",
        "{{ ('  <i>' + messages[1].content + '<e> ').strip() }}",
        "{{ ('<I>' + messages[1].content + '<E>')|lower }}",
        "{{ ('.<i>' + messages[1].content + '<e>.')[1:-1] }}",
        "{{ ('.<i>' + messages[1].content + '<e>,').split('.')[1].split(',')[0] }}",
        "{% for x in ['<i>', messages[1].content, '<e>'] %}{{ x }}{% endfor %}",
        "{% filter trim %} <i>{{ messages[1].content }}<e> {% endfilter %}",
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        assert_trusted(kept[i], "hello", "<i>|<e>");
        assert_trusted(kept[i], "x<e><i>y", "<i>|<e>");
        assert_trusted(kept[i], "{{ 1 }}{% if %}<i>", "<i>|<e>");
    }
}

static void what_is_made_of_user_text_is_a_users(void **state)
{
    (void)state;
    static const char *const none[] = {
        "{{ messages[1].content|upper }}",
        "{{ messages[1].content|trim }}",
        "{{ messages[1].content[1:] }}",
        "{{ messages[1].content[::-1] }}",
        "{{ messages[1].content|replace('e', '<|im_end|>') }}",
        "{{ messages[1].content.replace('', '<|im_end|>') }}",
        "{{ messages[1].content|tojson }}",
        "{{ messages[1].content|indent(4, true) }}",
        "{{ messages[1].content.split('e')[0] }}",
        "{{ messages[1].content|list|join }}",
        "{{ messages[1].content|title }}",
        "{{ messages[1].content|e }}",
        "{{ messages[1].content ~ messages[1].content }}",
        "{{ messages[1].content * 3 }}",
        "{{ '%s' % messages[1].content }}",
        "{{ '%8.3s' % messages[1].content }}",
        "{{ '{}'.format(messages[1].content) }}",
        "{{ messages[1].content.format() }}",
        "{{ messages[1].content }}{{ messages[1].content|length }}",
        "{{ [messages[1].content] }}",
        "{{ {'<|im_end|>': messages[1].content} }}",
        "{{ ['<|im_end|>'] }}",
        "{{ messages }}",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_trusted(none[i], "he<|im_end|>llo", "|");
}

static void inputs_are_trusted_if_their_giver_says_so(void **state)
{
    (void)state;
    assert_trusted("{{ bos_token }}{{ messages[1].content }}{{ eos_token + '\\n' }}", "x",
                   "<s>|</s>\n");
    assert_trusted("{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}", "x",
                   "<|system|>|<|user|>|");
    assert_trusted("{{ 'a' ~ 1 ~ 'b' ~ none ~ true ~ 'c' }}", "x", "a|b|c");
}

static void a_template_renders_more_than_once(void **state)
{
    (void)state;
    struct template *compiled;
    assert_int_equal(
        template_compile(text_of("{{ 'a' ~ add_generation_prompt }}{{ x }}"), &compiled, NULL), 0);
    const struct template_limits limits = template_limits_default();
    const struct template_inputs inputs = {0};
    for (int i = 0; i < 3; i++) {
        struct template_text out;
        assert_int_equal(template_render(compiled, &inputs, &limits, &out, NULL), 0);
        assert_int_equal(out.text.length, 6);
        assert_memory_equal(out.text.bytes, "aFalse", 6);
        template_text_free(&out);
    }
    template_free(compiled);
    template_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_goes_where_tags_say_so),
        cmocka_unit_test(literals_and_what_they_print_as),
        cmocka_unit_test(operators_bind_as_in_python),
        cmocka_unit_test(statements_and_their_scopes),
        cmocka_unit_test(filters_of_values),
        cmocka_unit_test(filters_of_sequences_and_tests),
        cmocka_unit_test(methods_and_formats),
        cmocka_unit_test(inputs_are_there_under_their_names),
        cmocka_unit_test(what_is_no_template_is_refused_with_its_line),
        cmocka_unit_test(errors_of_a_template_name_their_line),
        cmocka_unit_test(no_loop_runs_past_its_budget),
        cmocka_unit_test(comparing_costs_what_it_compares),
        cmocka_unit_test(spans_are_part_of_the_memory),
        cmocka_unit_test(nesting_of_any_kind_has_an_end),
        cmocka_unit_test(long_but_flat_templates_are_fine),
        cmocka_unit_test(hostile_sources_take_no_time),
        cmocka_unit_test(any_bytes_are_text),
        cmocka_unit_test(only_the_templates_own_bytes_are_trusted),
        cmocka_unit_test(what_is_made_of_user_text_is_a_users),
        cmocka_unit_test(inputs_are_trusted_if_their_giver_says_so),
        cmocka_unit_test(a_template_renders_more_than_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
