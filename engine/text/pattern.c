/* pattern.c - see pattern.h.
 *
 * PCRE2's own limits do not bound the time of a search: its match limit starts again at every
 * character of the text, and counts only backtracking.  So a foreign expression is compiled with a
 * callout before each of its items, and the callout counts: a step for the item, more for the run
 * that the item before it consumed, and for a run that a repeat by number may look at in vain.  All
 * that is not behind a callout is bounded by the limits on numbers, look-behind and length. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include "base/memory.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>

enum {
    PATTERN_GROWTH_MAX = 64, /* what a translated expression may be longer: \s becomes a class */
    STEPS_FREE = 1 << 16,    /* of a short text, on top of those of its bytes */
    MESSAGE_BYTES = 120,
};

struct pattern {
    pcre2_code *code;
    char *source; /* as compiled, for callouts; NULL: not foreign */
};

struct pattern_search {
    pcre2_match_data *match;
    pcre2_match_context *free_context;    /* no limits */
    pcre2_match_context *counted_context; /* counts steps */
    const struct pattern *pattern;        /* that runs now */
    size_t position;                      /* of the last callout */
    int64_t steps_left;
};

/* --- translation ------------------------------------------------------------------------------ */

/* What is being read of a foreign expression. */
struct translation {
    const char *at;
    bool in_class;
    const char *class_start; /* the first character of the class: a ']' there is literal */
    struct buffer out;
};

static int refuse(struct error *error, const char *what)
{
    return error_set(error, ENOEXEC, "the model's expression has %s", what);
}

/* A backslash and what follows it. */
static int translate_escape(struct translation *state, struct error *error)
{
    char letter = state->at[1];
    bool digit = letter >= '1' && letter <= '9';
    if (!state->in_class && (digit || letter == 'k' || letter == 'g'))
        return refuse(error, "a back reference or a call");
    if (letter && strchr("XQhH", letter))
        return refuse(error, "\\X, \\Q or \\h");
    const char *replacement = NULL;
    if (letter == 's')
        replacement = state->in_class ? PATTERN_SPACE : "[" PATTERN_SPACE "]";
    else if (letter == 'S' && !state->in_class)
        replacement = "[^" PATTERN_SPACE "]";
    size_t length = letter ? 2 : 1;
    struct text text = replacement ? text_of(replacement) : (struct text){state->at, length};
    state->at += length;
    return buffer_append_text(&state->out, text);
}

static int check_class_character(struct translation *state, struct error *error)
{
    const char *at = state->at;
    if (at[0] == '&' && at[1] == '&')
        return refuse(error, "an intersection of classes");
    if (at[0] == '[')
        return refuse(error, "a class inside a class");
    if (at[0] == ']' && at != state->class_start)
        state->in_class = false;
    return 0;
}

static void enter_class(struct translation *state)
{
    state->in_class = true;
    state->class_start = state->at + (state->at[1] == '^' ? 2 : 1);
}

/* An opening parenthesis: plain and non-capturing groups, names, look-around, atomic groups, and
 * (?i: or (?i). */
static int check_group(const char *at, struct error *error)
{
    if (at[1] == '*')
        return refuse(error, "a verb");
    if (at[1] != '?')
        return 0;
    at += 2;
    if (*at && strchr(":=!><", *at))
        return 0;
    const char *letter = at;
    while (*letter == 'i' || *letter == '-')
        letter++;
    if (letter > at && (*letter == ':' || *letter == ')'))
        return 0;
    return refuse(error, "a group of an unknown kind");
}

/* Is this {n}, {n,} or {n,m}?  Then the larger of its numbers, or -1. */
static long repeat_count(const char *at)
{
    char *after;
    if (at[0] != '{' || at[1] < '0' || at[1] > '9')
        return -1;
    long low = strtol(at + 1, &after, 10), high = low;
    if (*after == ',' && after[1] >= '0' && after[1] <= '9')
        high = strtol(after + 1, &after, 10);
    else if (*after == ',')
        after++;
    if (*after != '}')
        return -1;
    return low > high ? low : high;
}

static int check_repeat(const char *at, struct error *error)
{
    long count = repeat_count(at);
    if (count > PATTERN_REPEAT_MAX)
        return error_set(error, ENOEXEC, "the model's expression repeats more than %d times",
                         PATTERN_REPEAT_MAX);
    if (count >= 0 && strchr(at, '}')[1] == '+')
        return refuse(error, "a repeat of a repeat");
    return at[1] == ',' ? refuse(error, "a repeat without a lower bound") : 0;
}

static int check_character(struct translation *state, struct error *error)
{
    switch (*state->at) {
    case '[':
        enter_class(state);
        return 0;
    case '(':
        return check_group(state->at, error);
    case '{':
        return check_repeat(state->at, error);
    default:
        return 0;
    }
}

/* The same expression for PCRE2, or -ENOEXEC where it would be another one.  free() *out. */
static int translate(const char *source, char **out, struct error *error)
{
    struct translation state = {source, false, NULL,
                                buffer_new((size_t)PATTERN_BYTES_MAX * PATTERN_GROWTH_MAX)};
    int status = 0;
    while (*state.at && !status) {
        if (*state.at == '\\') {
            status = translate_escape(&state, error);
            continue;
        }
        status =
            state.in_class ? check_class_character(&state, error) : check_character(&state, error);
        if (!status)
            status = buffer_append(&state.out, state.at, 1);
        if (!status && state.in_class && state.class_start == state.at + 2) /* "[^" as one */
            status = buffer_append(&state.out, ++state.at, 1);
        state.at++;
    }
    if (!status)
        status = buffer_append(&state.out, "", 1);
    if (status)
        buffer_free(&state.out);
    *out = state.out.bytes;
    return status == -ENOMEM ? error_set(error, ENOMEM, "no memory for an expression") : status;
}

/* --- compilation ------------------------------------------------------------------------------ */

static int compile_foreign(struct pattern *pattern, struct error *error)
{
    int code;
    PCRE2_SIZE offset;
    uint32_t lookbehind = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return error_set(error, ENOMEM, "no memory for an expression");
    pcre2_set_parens_nest_limit(context, PATTERN_NESTING_MAX);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pattern->code =
        pcre2_compile((PCRE2_SPTR)pattern->source, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_AUTO_CALLOUT |
                          PCRE2_NO_START_OPTIMIZE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
                      &code, &offset, context);
    pcre2_compile_context_free(context);
    if (!pattern->code) {
        PCRE2_UCHAR message[MESSAGE_BYTES] = "";
        pcre2_get_error_message(code, message, sizeof message);
        return error_set(error, ENOEXEC, "the model's expression is malformed: %s", message);
    }
    pcre2_pattern_info(pattern->code, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
    if (lookbehind > PATTERN_LOOKBEHIND_MAX)
        return error_set(error, ENOEXEC, "the model's expression looks behind %u characters",
                         lookbehind);
    return 0;
}

static int compile_own(struct pattern *pattern, const char *source, struct error *error)
{
    int code;
    PCRE2_SIZE offset;
    pattern->code = pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                  &code, &offset, NULL);
    if (!pattern->code)
        return error_set(error, ENOMEM, "no memory for an expression");
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* where it cannot, it is interpreted */
    return 0;
}

int pattern_open(const char *source, bool foreign, struct pattern **out, struct error *error)
{
    *out = NULL;
    if (foreign && strlen(source) > PATTERN_BYTES_MAX)
        return error_set(error, ENOEXEC, "the model's expression is longer than %d bytes",
                         PATTERN_BYTES_MAX);
    struct pattern *pattern = memory_try(1, sizeof *pattern);
    if (!pattern)
        return error_set(error, ENOMEM, "no memory for an expression");
    int status =
        foreign ? translate(source, &pattern->source, error) : compile_own(pattern, source, error);
    if (!status && foreign)
        status = compile_foreign(pattern, error);
    if (status) {
        pattern_close(pattern);
        return status;
    }
    *out = pattern;
    return 0;
}

void pattern_close(struct pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    free(pattern->source);
    free(pattern);
}

/* --- search ----------------------------------------------------------------------------------- */

/* How much of a run the next item may look at before it fails without another callout. */
static size_t scan_bytes(const char *item, size_t length)
{
    if (length < 3 || item[length - 1] != '}')
        return 0;
    const char *brace = item + length - 1;
    while (brace > item && *brace != '{')
        brace--;
    long count = repeat_count(brace);
    return count > 0 ? (size_t)count : 0;
}

/* Before each item of a foreign expression; not 0 ends the search. */
static int count_step(pcre2_callout_block *block, void *context)
{
    struct pattern_search *search = context;
    size_t scanned =
        block->current_position > search->position ? block->current_position - search->position : 0;
    scanned +=
        scan_bytes(search->pattern->source + block->pattern_position, block->next_item_length);
    search->position = block->current_position;
    search->steps_left -= 1 + (int64_t)(scanned / PATTERN_SCAN_BYTES);
    return search->steps_left < 0 ? PCRE2_ERROR_MATCHLIMIT : 0;
}

struct pattern_search *pattern_search_open(size_t bytes)
{
    struct pattern_search *search = memory_try(1, sizeof *search);
    if (!search)
        return NULL;
    bool most = bytes > (PATTERN_STEPS_MAX - STEPS_FREE) / PATTERN_STEPS_PER_BYTE_MAX;
    search->steps_left =
        most ? PATTERN_STEPS_MAX : (int64_t)bytes * PATTERN_STEPS_PER_BYTE_MAX + STEPS_FREE;
    search->match = pcre2_match_data_create(1, NULL);
    search->free_context = pcre2_match_context_create(NULL);
    search->counted_context = pcre2_match_context_create(NULL);
    if (!search->match || !search->free_context || !search->counted_context) {
        pattern_search_close(search);
        return NULL;
    }
    pcre2_set_match_limit(search->free_context, UINT32_MAX);
    pcre2_set_match_limit(search->counted_context, UINT32_MAX); /* the steps are the limit */
    pcre2_set_heap_limit(search->counted_context, PATTERN_HEAP_BYTES_MAX / 1024);
    pcre2_set_callout(search->counted_context, count_step, search);
    return search;
}

void pattern_search_close(struct pattern_search *search)
{
    if (!search)
        return;
    pcre2_match_data_free(search->match);
    pcre2_match_context_free(search->free_context);
    pcre2_match_context_free(search->counted_context);
    free(search);
}

int pattern_find(const struct pattern *pattern, struct pattern_search *search, struct text text,
                 size_t from, size_t *begin, size_t *end)
{
    search->pattern = pattern;
    search->position = from;
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)text.bytes, text.length, from,
                            PCRE2_NO_UTF_CHECK, search->match,
                            pattern->source ? search->counted_context : search->free_context);
    if (found == PCRE2_ERROR_NOMATCH)
        return 0;
    if (found < 0)
        return pattern->source && found != PCRE2_ERROR_NOMEMORY ? -EMSGSIZE : -ENOMEM;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(search->match);
    *begin = bounds[0];
    *end = bounds[1];
    return *begin < from || *begin > *end ? -EMSGSIZE : 1; /* \K in a foreign one */
}
