/* fuzz_grammar.c - any GBNF or JSON schema, and any bytes against it.
 *
 * The first byte chooses between the two; the text ends at the first NUL, and what follows is
 * matched.  Checked: a refusal has a reason, and a state that is neither dead nor the end of every
 * text has a byte that may follow.  Build with -fsanitize=fuzzer,address,undefined. */
#include "generate/matcher.h"

#include <stdlib.h>

static void match(struct matcher *matcher, const uint8_t *bytes, size_t length)
{
    struct error error = {0};
    int32_t state = matcher_start(matcher);
    for (size_t i = 0; i < length && state > MATCHER_DEAD; i++) {
        state = matcher_step(matcher, state, bytes[i], &error);
        if (state > MATCHER_DEAD && i % 16 == 15 && matcher_trim(matcher, &state, &error) < 0)
            break;
    }
    if (state < 0 && !error.text[0])
        abort();
    if (state <= MATCHER_DEAD)
        return;
    int32_t next = MATCHER_DEAD;
    for (int byte = 0; byte < 256 && next == MATCHER_DEAD; byte++)
        next = matcher_step(matcher, state, (uint8_t)byte, &error);
    if ((next == MATCHER_DEAD) == matcher_can_go_on(matcher, state) ||
        (next == MATCHER_DEAD && !matcher_is_complete(matcher, state)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *grammar = NULL;
    struct matcher *matcher = NULL;
    struct error error = {0};
    if (size == 0)
        return 0;
    struct text source = {(const char *)data + 1, size - 1};
    const char *end = memchr(source.bytes, 0, source.length);
    source.length = end ? (size_t)(end - source.bytes) : source.length;
    int status = data[0] & 1 ? grammar_from_schema(source, &grammar, &error)
                             : grammar_parse(source, &grammar, &error);
    if (!status)
        status = matcher_open(grammar, &matcher, &error);
    if (status && !error.text[0])
        abort();
    if (!status && end)
        match(matcher, (const uint8_t *)end + 1, size - 2 - source.length);
    matcher_close(matcher);
    grammar_close(grammar);
    return 0;
}
