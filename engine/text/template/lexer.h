/* lexer.h - the source of a template cut into tokens, white space already controlled.
 *
 * As jinja2 does with trim_blocks and lstrip_blocks: the newline after a block or comment goes, and
 * the white space before one that begins its line; "-" takes all white space on its side, "+" keeps
 * it.  Line ends are "\n" in any case, and one at the end of the source is dropped.
 *
 * Owns:     the array of tokens is the caller's to free(); the bytes lie in the arena.
 * Promise:  linear in the source.
 * Threads:  pure functions.
 */
#ifndef TEXT_TEMPLATE_LEXER_H
#define TEXT_TEMPLATE_LEXER_H

#include "base/error.h"
#include "base/text.h"
#include "text/template/arena.h"

#include <stdint.h>

enum lexer_kind {
    LEXER_DATA, /* text to be written as it is */
    LEXER_VARIABLE_BEGIN,
    LEXER_VARIABLE_END,
    LEXER_BLOCK_BEGIN,
    LEXER_BLOCK_END,
    LEXER_NAME,
    LEXER_STRING, /* between its quotes, escapes not decoded */
    LEXER_INTEGER,
    LEXER_FLOAT,
    LEXER_OPERATOR,
    LEXER_END,
};

struct lexer_token {
    enum lexer_kind kind;
    uint32_t line;
    struct text text;
};

/* Returns 0, -ENOMEM, or -ENOEXEC for what is not closed or no token. */
int lexer_read(struct text source, struct arena *arena, struct lexer_token **tokens, size_t *count,
               struct error *error);

#endif
