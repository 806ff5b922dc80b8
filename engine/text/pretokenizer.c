/* pretokenizer.c - see pretokenizer.h.
 *
 * A stage turns a piece into segments: matches, and what lies between them.  Neighbours may be
 * joined; what results goes to the next stage at once, so that nothing is kept but the segment that
 * may still grow. */
#include "text/pretokenizer.h"

#include "base/memory.h"
#include "text/pattern.h"
#include "text/utf8.h"

#include <errno.h>
#include <stdlib.h>

#define SPACE_MARK "\xE2\x96\x81" /* U+2581 */

struct pretokenizer {
    const struct pretokenizer_rule *rule;
    struct pattern *patterns[PRETOKENIZER_STAGES_MAX];
    size_t stage_count;
};

/* One call of pretokenizer_split(). */
struct walk {
    const struct pretokenizer *pretokenizer;
    struct pattern_search *search;
    int (*take)(void *context, struct text piece);
    void *context;
};

/* One stage at work on one piece. */
struct cut {
    const struct walk *walk;
    size_t stage;
    struct text segment; /* that may still grow; empty: none */
    bool is_match;       /* was its last part a match? */
};

int pretokenizer_open(const struct pretokenizer_rule *rule, struct pretokenizer **out,
                      struct error *error)
{
    struct pretokenizer *pretokenizer = memory_try(1, sizeof *pretokenizer);
    *out = NULL;
    if (!pretokenizer)
        return error_set(error, ENOMEM, "no memory for the pre-tokenizer");
    pretokenizer->rule = rule;
    for (size_t i = 0; i < PRETOKENIZER_STAGES_MAX && rule->stages[i].pattern; i++) {
        int status =
            pattern_open(rule->stages[i].pattern, rule->foreign, &pretokenizer->patterns[i], error);
        if (status) {
            pretokenizer_close(pretokenizer);
            return status;
        }
        pretokenizer->stage_count++;
    }
    *out = pretokenizer;
    return 0;
}

void pretokenizer_close(struct pretokenizer *pretokenizer)
{
    if (!pretokenizer)
        return;
    for (size_t i = 0; i < pretokenizer->stage_count; i++)
        pattern_close(pretokenizer->patterns[i]);
    free(pretokenizer);
}

static int split_piece(const struct walk *walk, size_t stage, struct text piece);

/* Does a segment become part of the one before it? */
static bool joins(enum pretokenizer_match match, bool before_is_match, bool is_match)
{
    switch (match) {
    case PRETOKENIZER_MERGE_PREVIOUS:
        return is_match && !before_is_match;
    case PRETOKENIZER_MERGE_NEXT:
        return before_is_match && !is_match;
    case PRETOKENIZER_CONTIGUOUS:
        return is_match && before_is_match;
    case PRETOKENIZER_ISOLATE:
    case PRETOKENIZER_REMOVE:
        break;
    }
    return false;
}

/* Hand the segment on. */
static int flush(struct cut *cut)
{
    struct text segment = cut->segment;
    cut->segment.length = 0;
    return split_piece(cut->walk, cut->stage + 1, segment);
}

static int add_segment(struct cut *cut, struct text segment, bool is_match)
{
    const struct pretokenizer_stage *stage = &cut->walk->pretokenizer->rule->stages[cut->stage];
    is_match = is_match != stage->inverted;
    if (segment.length == 0)
        return 0;
    if (cut->segment.length && joins(stage->match, cut->is_match, is_match)) {
        cut->segment.length += segment.length;
        cut->is_match = is_match;
        return 0;
    }
    int status = flush(cut);
    if (status || (is_match && stage->match == PRETOKENIZER_REMOVE))
        return status;
    cut->segment = segment;
    cut->is_match = is_match;
    return 0;
}

static size_t character_bytes(struct text text, size_t at)
{
    size_t next = at + 1;
    while (next < text.length && ((unsigned char)text.bytes[next] & 0xC0) == 0x80)
        next++;
    return next - at;
}

/* Cut a piece of valid UTF-8 by the stages from `stage` on. */
static int split_piece(const struct walk *walk, size_t stage, struct text piece)
{
    if (piece.length == 0)
        return 0;
    if (stage == walk->pretokenizer->stage_count)
        return walk->take(walk->context, piece);
    struct cut cut = {.walk = walk, .stage = stage};
    size_t done = 0, begin, end;
    int found, status = 0;
    for (size_t from = 0; !status && from < piece.length; from = end) {
        found = pattern_find(walk->pretokenizer->patterns[stage], walk->search, piece, from, &begin,
                             &end);
        if (found < 0)
            return found;
        if (!found)
            break;
        status = add_segment(&cut, (struct text){piece.bytes + done, begin - done}, false);
        if (!status)
            status = add_segment(&cut, (struct text){piece.bytes + begin, end - begin}, true);
        done = end;
        if (begin == end && end < piece.length) /* empty: not the same one again */
            end += character_bytes(piece, end);
    }
    if (!status)
        status = add_segment(&cut, (struct text){piece.bytes + done, piece.length - done}, false);
    return status ? status : flush(&cut);
}

/* The text with a space put first, or with its spaces marked, as the rule wants it. */
static int prepare(const struct pretokenizer_rule *rule, struct text text, struct buffer *out)
{
    int status = 0;
    if (rule->adds_space && text.bytes[0] != ' ')
        status = buffer_append_text(out, text_of(rule->marks_spaces ? SPACE_MARK : " "));
    while (text.length && !status) {
        const char *space = rule->marks_spaces ? memchr(text.bytes, ' ', text.length) : NULL;
        size_t length = space ? (size_t)(space - text.bytes) : text.length;
        status = buffer_append(out, text.bytes, length);
        if (!status && space)
            status = buffer_append_text(out, text_of(SPACE_MARK));
        length += space ? 1 : 0;
        text = (struct text){text.bytes + length, text.length - length};
    }
    return status;
}

static bool needs_preparing(const struct pretokenizer_rule *rule, struct text text)
{
    return (rule->adds_space && text.bytes[0] != ' ') ||
           (rule->marks_spaces && memchr(text.bytes, ' ', text.length));
}

static int split_text(const struct walk *walk, struct text text)
{
    int status = 0;
    for (size_t at = 0; at < text.length && !status;) {
        const char *bytes = text.bytes + at;
        size_t valid = utf8_valid_length(bytes, text.length - at);
        size_t invalid = utf8_invalid_length(bytes + valid, text.length - at - valid);
        status = split_piece(walk, 0, (struct text){bytes, valid});
        if (!status && invalid)
            status = walk->take(walk->context, (struct text){bytes + valid, invalid});
        at += valid + invalid;
    }
    return status;
}

int pretokenizer_split(const struct pretokenizer *pretokenizer, struct text text,
                       int (*take)(void *context, struct text piece), void *context)
{
    if (text.length == 0)
        return 0;
    struct buffer prepared = buffer_new((text.length + 1) * (sizeof SPACE_MARK - 1));
    int status = 0;
    if (needs_preparing(pretokenizer->rule, text)) {
        status = prepare(pretokenizer->rule, text, &prepared);
        text = buffer_text(&prepared);
    }
    struct walk walk = {pretokenizer, pattern_search_open(text.length), take, context};
    if (!status)
        status = walk.search ? split_text(&walk, text) : -ENOMEM;
    pattern_search_close(walk.search);
    buffer_free(&prepared);
    return status;
}
