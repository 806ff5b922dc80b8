/* chat.h - a conversation rendered as the model's template wants it, injection-safe.
 *
 * A rendered conversation is a list of spans; only the markers that the template itself wrote may
 * become special tokens, so nothing that a user types can end a turn or open a system turn.  No
 * template is interpreted: its family is recognised, and one function renders each family.
 *
 * Owns:     chat_render() allocates the spans and their bytes inside struct chat_text.
 * Threads:  read-only after opening, any thread.
 * Limits:   CHAT_MESSAGES_MAX messages, CHAT_TEXT_BYTES_MAX bytes of rendered text.
 */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "base/memory.h"
#include "text/tokenizer.h"

enum { CHAT_MESSAGES_MAX = 1024, CHAT_TEXT_BYTES_MAX = 64 << 20 };

struct chat_message {
    struct text role; /* "system", "user", "assistant", "tool" */
    struct text content;
};

struct chat_span {
    size_t begin, end; /* in chat_text.text */
    bool special;      /* a marker, written by the template */
};

struct chat_text {
    struct buffer text;
    struct chat_span *spans; /* they cover the text, in order */
    size_t count, capacity;
};
void chat_text_free(struct chat_text *text);

enum chat_family {
    CHAT_NONE,   /* plain completion: no template, and no ChatML tokens in the vocabulary */
    CHAT_CHATML, /* <|im_start|>role\ncontent<|im_end|>\n */
};

/* How this model's conversations look. */
struct chat_format {
    enum chat_family family;
    struct text default_system; /* what the template puts first when no system message is given, as
                                 * its source spells it; empty: nothing */
    bool escaped;               /* default_system stands in a string: it may hold \n, \' ... */
    bool trims;                 /* the template strips each content */
};

/* Recognise the template of a vocabulary; a model without one gets ChatML when its vocabulary has
 * <|im_start|> and <|im_end|>, else CHAT_NONE.  Returns 0, or -ENOEXEC for a template of a family
 * that this version does not know (*out is CHAT_NONE then; the caller may still complete raw
 * text). */
int chat_format_detect(const struct vocabulary *vocabulary, const struct tokenizer *tokenizer,
                       struct chat_format *out, struct error *error);

/* Render, with the generation prompt added.  CHAT_NONE joins user messages with a newline and adds
 * nothing.  Returns 0, -ENOMEM, -EMSGSIZE, or -EINVAL for an unknown role, no message at all, or
 * for CHAT_NONE with anything but user messages; *out is empty on failure. */
int chat_render(const struct chat_format *format, const struct chat_message *messages, size_t count,
                struct chat_text *out, struct error *error);

/* Tokenise spans: special ones as TOKENIZER_SPECIAL, the rest as TOKENIZER_PLAIN; appends.  Returns
 * what tokenizer_encode() returns; *out keeps its old ids on failure. */
int chat_encode(const struct tokenizer *tokenizer, const struct chat_text *text,
                struct tokens *out);

#endif
