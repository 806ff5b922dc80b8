/* report.c - see report.h. */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* The bytes of a token: a string where they are UTF-8, or a list of numbers. */
static int add_piece(json_t *object, const struct tokenizer *tokenizer, int32_t token)
{
    long length = tokenizer_decode(tokenizer, token, true, NULL, 0);
    char *piece = malloc(length > 0 ? (size_t)length : 1);
    if (!piece)
        return -ENOMEM;
    if (length > 0)
        tokenizer_decode(tokenizer, token, true, piece, (size_t)length);
    json_t *text = json_stringn(piece, length > 0 ? (size_t)length : 0);
    if (text) {
        free(piece);
        return json_object_set_new(object, "token", text);
    }
    json_t *bytes = json_array();
    for (long i = 0; i < length; i++)
        json_array_append_new(bytes, json_integer((unsigned char)piece[i]));
    free(piece);
    return json_object_set_new(object, "bytes", bytes);
}

static json_t *describe(const struct tokenizer *tokenizer, struct logprob logprob)
{
    json_t *object = json_object();
    if (!object || add_piece(object, tokenizer, logprob.token) ||
        json_object_set_new(object, "id", json_integer(logprob.token)) ||
        json_object_set_new(object, "logprob",
                            isfinite(logprob.logprob) ? json_real((double)logprob.logprob)
                                                      : json_null())) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int report_logprobs(const struct tokenizer *tokenizer, const struct logprobs *logprobs,
                    bool wants_top, struct buffer *out)
{
    const size_t compact = JSON_COMPACT | JSON_REAL_PRECISION(7);
    json_t *line = describe(tokenizer, logprobs->chosen);
    json_t *top = wants_top ? json_array() : NULL;
    for (int32_t i = 0; top && i < logprobs->top_count; i++)
        json_array_append_new(top, describe(tokenizer, logprobs->top[i]));
    if (top)
        json_object_set_new(line, "top", top);
    char *text = line && (top || !wants_top) ? json_dumps(line, compact) : NULL;
    json_decref(line);
    if (!text)
        return -ENOMEM;
    int status = buffer_printf(out, "%s\n", text);
    free(text);
    return status;
}
