/* fuzz_pattern.c - any expression, run over any text under the budget of foreign ones: it ends, and
 * its pieces are the text.
 *
 * The input is the expression, a NUL, and the text.  Build with
 * -fsanitize=fuzzer,address,undefined. */
#include "text/pretokenizer.h"

#include "text/pattern.h"

#include <errno.h>
#include <stdlib.h>

struct cover {
    const char *at;
};

static int cover(void *context, struct text piece)
{
    struct cover *covered = context;
    if (piece.bytes != covered->at || piece.length == 0)
        abort();
    covered->at += piece.length;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (!nul)
        return 0;
    const struct pretokenizer_rule rule = {.stages = {{(const char *)data}}, .foreign = true};
    struct text text = {(const char *)nul + 1, size - (size_t)(nul - data) - 1};
    struct cover covered = {text.bytes};
    struct pretokenizer *pretokenizer;
    struct error error = {0};
    int status = pretokenizer_open(&rule, &pretokenizer, &error);
    if (status) {
        if (status != -ENOEXEC || !error.text[0])
            abort();
        return 0;
    }
    status = pretokenizer_split(pretokenizer, text, cover, &covered);
    if (status ? status != -EMSGSIZE : covered.at != text.bytes + text.length)
        abort();
    pretokenizer_close(pretokenizer);
    return 0;
}
