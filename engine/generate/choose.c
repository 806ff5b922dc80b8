/* choose.c - from a row of logits to a token: what the model says, what the request asks for, what
 * was drawn. */
#include "generate/engine_internal.h"

#include <errno.h>

/* A passage that DRY sees does not reach across a token with one of these bytes. */
static bool breaks_passages(const char *piece, long length)
{
    for (long i = 0; i < length; i++)
        if (piece[i] == '\n' || piece[i] == ':' || piece[i] == '"' || piece[i] == '*')
            return true;
    return false;
}

static int find_breakers(struct engine *engine)
{
    const int32_t count = engine->model.config.vocabulary;
    uint64_t *set = memory_try(((size_t)count + 63) / 64, sizeof *set);
    if (!set)
        return -ENOMEM;
    for (int32_t token = 0; token < count; token++) {
        long length = tokenizer_decode(engine->tokenizer, token, false, engine->piece,
                                       engine->piece_bytes_max);
        if (breaks_passages(engine->piece, length))
            set[token / 64] |= UINT64_C(1) << token % 64;
    }
    engine->dry_breakers = set;
    return 0;
}

int engine_prepare_choice(struct engine *engine, const struct engine_request *request,
                          struct sequence *sequence, struct error *error)
{
    if (request->sampling.dry_multiplier > 0 && !engine->dry_breakers && find_breakers(engine))
        return error_set(error, ENOMEM, "no memory for the tokens that break passages");
    sequence->sampler.breakers = engine->dry_breakers;
    return 0;
}

int32_t engine_choose(struct engine *engine, struct sequence *sequence, float *logits,
                      struct logprobs *logprobs)
{
    const int32_t count = engine->model.config.vocabulary;
    if (sequence->wants_logprobs)
        memcpy(engine->own_logits, logits, (size_t)count * sizeof *logits);
    sampler_penalise(&sequence->sampler, logits, count);
    int32_t token =
        sampler_choose(&sequence->sampler, engine->kernels, logits, count, engine->candidates);
    if (token >= 0 && sequence->wants_logprobs)
        *logprobs = logprobs_read(engine->own_logits, count, token, sequence->logprobs);
    return token;
}
