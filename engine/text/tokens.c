/* tokens.c - see tokens.h. */
#include "text/tokens.h"

#include "base/memory.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

int tokens_append(struct tokens *tokens, int32_t id)
{
    if (tokens->count == tokens->capacity) {
        size_t needed = tokens->count ? tokens->count + 1 : FIRST_CAPACITY;
        int status = memory_grow((void **)&tokens->ids, &tokens->capacity, needed,
                                 sizeof *tokens->ids, TOKENS_MAX);
        if (status)
            return status;
    }
    tokens->ids[tokens->count++] = id;
    return 0;
}

void tokens_free(struct tokens *tokens)
{
    free(tokens->ids);
    *tokens = (struct tokens){0};
}
