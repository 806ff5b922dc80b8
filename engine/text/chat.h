/* chat.h - a conversation rendered by the model's template, injection-safe.
 *
 * A rendered conversation is a list of spans; only text that the template itself wrote may become
 * special tokens, so nothing that a user types can end a turn or open a system turn.  A marker is
 * found only where all of its bytes are the template's (text/template.h marks each byte).
 *
 * Owns:     chat_render() allocates the spans and their bytes inside struct chat_text; a format
 *           owns its compiled template.
 * Threads:  read-only after opening, any thread.
 * Limits:   CHAT_MESSAGES_MAX messages, CHAT_TEXT_BYTES_MAX bytes of rendered text; those of
 *           text/template.h.
 */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "text/template.h"
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
    CHAT_NONE,     /* plain completion: no template, and no ChatML tokens in the vocabulary */
    CHAT_TEMPLATE, /* the model's own, or ChatML: <|im_start|>role\ncontent<|im_end|>\n */
};

/* How this model's conversations look.  Zero: CHAT_NONE. */
struct chat_format {
    enum chat_family family;
    struct template *template;
    const struct tokenizer *tokenizer; /* whose special tokens are looked for; NULL: none are */
    struct text bos, eos; /* the template's bos_token and eos_token; empty: undefined */
};

/* The format of a model.  One without a template gets ChatML when its vocabulary has <|im_start|>
 * and <|im_end|>, else CHAT_NONE.  Vocabulary and tokenizer must outlive it.  Returns 0, -ENOMEM,
 * or what template_compile() returns for a template that is none (*out is CHAT_NONE then; the
 * caller may still complete raw text). */
int chat_format_open(const struct vocabulary *vocabulary, const struct tokenizer *tokenizer,
                     struct chat_format *out, struct error *error);

/* The format of a template alone, without a tokenizer.  Errors as template_compile(). */
int chat_format_compile(struct text source, struct text bos, struct text eos,
                        struct chat_format *out, struct error *error);
void chat_format_close(struct chat_format *format);

/* The template's variable enable_thinking. */
enum chat_thinking { CHAT_THINKING_UNSET, CHAT_THINKING_ON, CHAT_THINKING_OFF };

struct chat_options { /* zero: the defaults */
    enum chat_thinking thinking;
    const struct tm *now; /* the date that a template may write; NULL: the clock's, local time */
};

/* Render, with the generation prompt added.  CHAT_NONE joins user messages with a newline and adds
 * nothing.  Returns 0, -ENOMEM, -EMSGSIZE, -ENOEXEC (an error of the template, or a limit), or
 * -EINVAL for an unknown role, no message at all, a conversation that the template refuses or
 * writes nothing for, or for CHAT_NONE with anything but user messages; *out is empty on failure.
 */
int chat_render(const struct chat_format *format, const struct chat_message *messages, size_t count,
                const struct chat_options *options, struct chat_text *out, struct error *error);

/* Tokenise spans: special ones as TOKENIZER_SPECIAL, the rest as TOKENIZER_PLAIN; appends.  Returns
 * what tokenizer_encode() returns; *out keeps its old ids on failure. */
int chat_encode(const struct tokenizer *tokenizer, const struct chat_text *text,
                struct tokens *out);

#endif
