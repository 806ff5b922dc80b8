/* lexer.c - see lexer.h.  Source: jinja2's documentation of white space control, and its behaviour
 * where that is silent (a raw block, a comment, nested braces before "}}"). */
#include "text/template/lexer.h"

#include "base/memory.h"
#include "text/template.h"
#include "text/template/characters.h"

#include <errno.h>
#include <stdlib.h>

enum { BRACKETS_MAX = 2 * TEMPLATE_DEPTH_MAX };

struct lexer {
    struct text source;
    size_t at;
    uint32_t line;
    size_t line_counted; /* newlines before this are in `line` */
    bool line_starting;  /* the last thing read ended with a newline, or nothing was read */
    char brackets[BRACKETS_MAX];
    size_t bracket_count;
    struct lexer_token *tokens;
    size_t count, capacity;
    struct error *error;
};

static uint32_t line_at(struct lexer *lexer, size_t at)
{
    for (; lexer->line_counted < at; lexer->line_counted++)
        lexer->line += lexer->source.bytes[lexer->line_counted] == '\n';
    return lexer->line;
}

static int fail(struct lexer *lexer, const char *what)
{
    return error_set(lexer->error, ENOEXEC, "chat template, line %u: %s", line_at(lexer, lexer->at),
                     what);
}

static int add(struct lexer *lexer, enum lexer_kind kind, size_t begin, size_t end)
{
    int status = memory_grow((void **)&lexer->tokens, &lexer->capacity, lexer->count + 1,
                             sizeof *lexer->tokens, SIZE_MAX / sizeof *lexer->tokens);
    if (status)
        return error_set(lexer->error, ENOMEM, "no memory for a chat template");
    lexer->tokens[lexer->count++] = (struct lexer_token){
        kind, line_at(lexer, begin), (struct text){lexer->source.bytes + begin, end - begin}};
    return 0;
}

static bool starts(const struct lexer *lexer, size_t at, const char *string)
{
    size_t length = strlen(string);
    return lexer->source.length - at >= length &&
           memcmp(lexer->source.bytes + at, string, length) == 0;
}

static char byte_at(const struct lexer *lexer, size_t at)
{
    return at < lexer->source.length ? lexer->source.bytes[at] : '\0';
}

/* The first place at or after `at` without white space. */
static size_t skip_space(const struct lexer *lexer, size_t at)
{
    while (at < lexer->source.length) {
        size_t length;
        struct text rest = {lexer->source.bytes + at, lexer->source.length - at};
        if (!characters_is_space(characters_first(rest, &length)))
            break;
        at += length;
    }
    return at;
}

/* The end of [begin, end) without the white space before it. */
static size_t trim_end(const struct lexer *lexer, size_t begin, size_t end)
{
    while (end > begin) {
        struct text text = {lexer->source.bytes + begin, end - begin};
        size_t length = characters_length_before(text, end - begin), read;
        text = (struct text){lexer->source.bytes + end - length, length};
        if (!characters_is_space(characters_first(text, &read)))
            break;
        end -= length;
    }
    return end;
}

static void move(struct lexer *lexer, size_t to)
{
    lexer->line_starting = to > 0 && lexer->source.bytes[to - 1] == '\n';
    lexer->at = to;
}

/* Text up to a tag at `end`, stripped as the sign after the tag's opening says. */
static int add_data(struct lexer *lexer, size_t end, char sign, bool is_variable)
{
    size_t begin = lexer->at, kept = end;
    if (sign == '-') {
        kept = trim_end(lexer, begin, end);
    } else if (sign != '+' && !is_variable) {
        const char *newline =
            end > begin ? memrchr(lexer->source.bytes + begin, '\n', end - begin) : NULL;
        size_t start = newline ? (size_t)(newline - lexer->source.bytes) + 1 : begin;
        if ((newline || lexer->line_starting) && trim_end(lexer, start, end) == start)
            kept = start;
    }
    return kept > begin ? add(lexer, LEXER_DATA, begin, kept) : 0;
}

/* Where `string` next stands, or the end of the source. */
static size_t find(const struct lexer *lexer, size_t at, const char *string)
{
    const char *found =
        at < lexer->source.length
            ? memmem(lexer->source.bytes + at, lexer->source.length - at, string, strlen(string))
            : NULL;
    return found ? (size_t)(found - lexer->source.bytes) : lexer->source.length;
}

/* Behind a closing tag of `length` bytes at `at` whose sign is `sign`. */
static size_t after_tag(const struct lexer *lexer, size_t at, char sign)
{
    at += 2;
    if (sign == '-')
        return skip_space(lexer, at);
    return sign != '+' && byte_at(lexer, at) == '\n' ? at + 1 : at;
}

static int read_comment(struct lexer *lexer, size_t body)
{
    size_t close = find(lexer, body, "#}");
    if (close == lexer->source.length)
        return fail(lexer, "a comment is not closed");
    char sign = close > body ? lexer->source.bytes[close - 1] : '\0';
    move(lexer, after_tag(lexer, close, sign));
    return 0;
}

/* `{% name %}` at a tag whose body begins at `body`: where its closing "%}" is, or 0.  *sign is
 * that before it. */
static size_t only_name(const struct lexer *lexer, size_t body, const char *name, char *sign)
{
    size_t at = skip_space(lexer, body);
    if (!starts(lexer, at, name))
        return 0;
    at = skip_space(lexer, at + strlen(name));
    *sign = byte_at(lexer, at) == '-' || byte_at(lexer, at) == '+' ? byte_at(lexer, at) : '\0';
    at += *sign != '\0';
    return at < lexer->source.length && starts(lexer, at, "%}") ? at : 0;
}

static char sign_at(const struct lexer *lexer, size_t at)
{
    char byte = byte_at(lexer, at);
    return byte == '-' || byte == '+' ? byte : '\0';
}

/* The text up to `{% endraw %}`. */
static int read_raw(struct lexer *lexer, size_t begin)
{
    for (size_t at = begin; (at = find(lexer, at, "{%")) < lexer->source.length; at += 2) {
        char sign = sign_at(lexer, at + 2), end_sign;
        size_t close = only_name(lexer, at + 2 + (sign != '\0'), "endraw", &end_sign);
        if (!close)
            continue;
        move(lexer, begin);
        int status = add_data(lexer, at, sign, false);
        move(lexer, after_tag(lexer, close, end_sign));
        return status;
    }
    return fail(lexer, "a raw block is not closed");
}

/* ---- inside of tags ---- */

static bool is_name_byte(char byte)
{
    return characters_is_letter(byte) || characters_is_digit(byte) || byte == '_' ||
           (unsigned char)byte >= 0x80;
}

static size_t skip_digits(const struct lexer *lexer, size_t at)
{
    while (characters_is_digit(byte_at(lexer, at)) ||
           (byte_at(lexer, at) == '_' && characters_is_digit(byte_at(lexer, at + 1))))
        at++;
    return at;
}

static int read_number(struct lexer *lexer)
{
    size_t begin = lexer->at, at;
    enum lexer_kind kind = LEXER_INTEGER;
    char second = characters_lower(byte_at(lexer, begin + 1));
    if (byte_at(lexer, begin) == '0' && (second == 'x' || second == 'o' || second == 'b')) {
        for (at = begin + 2; is_name_byte(byte_at(lexer, at));)
            at++;
    } else {
        at = skip_digits(lexer, begin);
        /* "a.0.1" has two indices, no fraction */
        bool is_index = begin > 0 && byte_at(lexer, begin - 1) == '.';
        if (!is_index && byte_at(lexer, at) == '.' && characters_is_digit(byte_at(lexer, at + 1))) {
            at = skip_digits(lexer, at + 1);
            kind = LEXER_FLOAT;
        }
        size_t exponent = at + 1 + (sign_at(lexer, at + 1) != '\0');
        if (!is_index && characters_lower(byte_at(lexer, at)) == 'e' &&
            characters_is_digit(byte_at(lexer, exponent))) {
            at = skip_digits(lexer, exponent);
            kind = LEXER_FLOAT;
        }
    }
    lexer->at = at;
    return add(lexer, kind, begin, at);
}

static int read_string(struct lexer *lexer)
{
    size_t begin = lexer->at + 1, at = begin;
    char quote = byte_at(lexer, lexer->at);
    while (at < lexer->source.length && lexer->source.bytes[at] != quote)
        at += lexer->source.bytes[at] == '\\' ? 2 : 1;
    if (at >= lexer->source.length)
        return fail(lexer, "a string is not closed");
    lexer->at = at + 1;
    return add(lexer, LEXER_STRING, begin, at);
}

static int balance(struct lexer *lexer, char byte)
{
    static const char open[] = "([{", close[] = ")]}";
    const char *found = strchr(open, byte);
    if (found) {
        if (lexer->bracket_count == BRACKETS_MAX)
            return fail(lexer, "brackets are nested too deeply");
        lexer->brackets[lexer->bracket_count++] = close[found - open];
    } else if (strchr(close, byte)) {
        if (lexer->bracket_count == 0 || lexer->brackets[--lexer->bracket_count] != byte)
            return fail(lexer, "a bracket is closed that is not open");
    }
    return 0;
}

static int read_operator(struct lexer *lexer)
{
    static const char *const operators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                            "*",  "%",  "~",  "(",  ")",  "[",  "]", "{", "}",
                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!starts(lexer, lexer->at, operators[i]))
            continue;
        size_t begin = lexer->at, length = strlen(operators[i]);
        int status = length == 1 ? balance(lexer, operators[i][0]) : 0;
        if (status)
            return status;
        lexer->at += length;
        return add(lexer, LEXER_OPERATOR, begin, lexer->at);
    }
    return fail(lexer, "an unexpected character");
}

/* Is the end of the tag here?  Then *next is behind it. */
static bool at_end(const struct lexer *lexer, const char *close, size_t *next)
{
    if (lexer->bracket_count)
        return false;
    char sign = sign_at(lexer, lexer->at);
    size_t at = lexer->at + (sign != '\0');
    bool is_block = close[0] == '%';
    if (!starts(lexer, at, close) || (sign == '+' && !is_block))
        return false;
    if (is_block)
        *next = after_tag(lexer, at, sign);
    else
        *next = sign ? skip_space(lexer, at + 2) : at + 2;
    return true;
}

static int read_tag(struct lexer *lexer, size_t body, const char *close, enum lexer_kind kind_end)
{
    int status = 0;
    size_t next;
    lexer->bracket_count = 0;
    lexer->at = body;
    while (!status) {
        lexer->at = skip_space(lexer, lexer->at);
        if (lexer->at >= lexer->source.length)
            return fail(lexer, "a tag is not closed");
        if (at_end(lexer, close, &next)) {
            status = add(lexer, kind_end, lexer->at, lexer->at + 2);
            move(lexer, next);
            return status;
        }
        char byte = byte_at(lexer, lexer->at);
        size_t begin = lexer->at;
        if (characters_is_digit(byte)) {
            status = read_number(lexer);
        } else if (is_name_byte(byte)) {
            while (is_name_byte(byte_at(lexer, lexer->at)))
                lexer->at++;
            status = add(lexer, LEXER_NAME, begin, lexer->at);
        } else if (byte == '\'' || byte == '"') {
            status = read_string(lexer);
        } else {
            status = read_operator(lexer);
        }
    }
    return status;
}

/* The next "{{", "{%" or "{#", or the end of the source. */
static size_t next_tag(const struct lexer *lexer)
{
    for (size_t at = lexer->at; (at = find(lexer, at, "{")) < lexer->source.length; at++) {
        char second = byte_at(lexer, at + 1);
        if (second == '{' || second == '%' || second == '#')
            return at;
    }
    return lexer->source.length;
}

static int read_piece(struct lexer *lexer)
{
    size_t tag = next_tag(lexer);
    if (tag == lexer->source.length) {
        size_t begin = lexer->at;
        lexer->at = tag;
        return add(lexer, LEXER_DATA, begin, tag);
    }
    char kind = byte_at(lexer, tag + 1), sign = sign_at(lexer, tag + 2), end_sign;
    size_t body = tag + 2 + (sign != '\0');
    int status = add_data(lexer, tag, sign, kind == '{');
    lexer->at = tag;
    if (status)
        return status;
    if (kind == '#')
        return read_comment(lexer, body);
    size_t close = kind == '%' ? only_name(lexer, body, "raw", &end_sign) : 0;
    if (close && end_sign != '+') /* the newline after it stays */
        return read_raw(lexer, end_sign ? skip_space(lexer, close + 2) : close + 2);
    status = add(lexer, kind == '%' ? LEXER_BLOCK_BEGIN : LEXER_VARIABLE_BEGIN, tag, body);
    if (status)
        return status;
    return kind == '%' ? read_tag(lexer, body, "%}", LEXER_BLOCK_END)
                       : read_tag(lexer, body, "}}", LEXER_VARIABLE_END);
}

/* The source with "\n" for every line end, and without the last one. */
static struct text normalize(struct text source, struct arena *arena)
{
    char *bytes = arena_allocate(arena, source.length + 1, 1);
    size_t length = 0;
    for (size_t i = 0; bytes && i < source.length; i++) {
        char byte = source.bytes[i];
        if (byte == '\r' && i + 1 < source.length && source.bytes[i + 1] == '\n')
            continue;
        bytes[length++] = byte == '\r' ? '\n' : byte;
    }
    if (length && bytes[length - 1] == '\n')
        length--;
    return (struct text){bytes, length};
}

int lexer_read(struct text source, struct arena *arena, struct lexer_token **tokens, size_t *count,
               struct error *error)
{
    struct lexer lexer = {
        .source = normalize(source, arena), .line = 1, .line_starting = true, .error = error};
    int status = lexer.source.bytes ? 0 : error_set(error, ENOMEM, "no memory for a chat template");
    while (!status && lexer.at < lexer.source.length)
        status = read_piece(&lexer);
    if (!status)
        status = add(&lexer, LEXER_END, lexer.at, lexer.at);
    if (status) {
        free(lexer.tokens);
        return status;
    }
    *tokens = lexer.tokens;
    *count = lexer.count;
    return 0;
}
