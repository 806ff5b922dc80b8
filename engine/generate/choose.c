/* choose.c - from a row of logits to a token: what the model says, what the request asks for, what
 * was drawn. */
#include "generate/engine_internal.h"

#include <errno.h>
#include <math.h>

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

/* The tree of tokens is made when the first request needs it. */
static int prepare_constraint(struct engine *engine, const struct engine_request *request,
                              struct sequence *sequence, struct error *error)
{
    const bool has_schema = request->json_schema.length > 0;
    int status = 0;
    if (request->grammar.length == 0 && !has_schema)
        return 0;
    if (request->grammar.length > 0 && has_schema)
        return error_set(error, EINVAL, "both a grammar and a JSON schema are given");
    if (!engine->trie)
        status = token_trie_open(engine->tokenizer, engine->model.config.vocabulary, &engine->trie,
                                 error);
    if (!status)
        status = constraint_open(has_schema ? CONSTRAINT_SCHEMA : CONSTRAINT_GRAMMAR,
                                 has_schema ? request->json_schema : request->grammar,
                                 engine->tokenizer, engine->trie, &sequence->constraint, error);
    if (status != -EMSGSIZE)
        return status;
    if (error)
        error->code = EINVAL;
    return -EINVAL;
}

int engine_prepare_choice(struct engine *engine, const struct engine_request *request,
                          struct sequence *sequence, struct error *error)
{
    if (request->sampling.dry_multiplier > 0 && !engine->dry_breakers && find_breakers(engine))
        return error_set(error, ENOMEM, "no memory for the tokens that break passages");
    sequence->sampler.breakers = engine->dry_breakers;
    return prepare_constraint(engine, request, sequence, error);
}

/* Apart from memory, what fails here is one answer, not a parameter. */
static int failed(int status, struct error *error)
{
    if (status == -ENOMEM)
        return status;
    error->code = EIO;
    return -EIO;
}

/* Why the sampler found no token in a row. */
static const char *reason(const struct sequence *sequence, const float *logits, int32_t count)
{
    bool numbers = true;
    for (int32_t i = 0; i < count && numbers; i++)
        numbers = !isnan(logits[i]);
    if (numbers && sequence->sampler.bias_count)
        return "the biases leave no token to choose";
    return sequence->constraint ? "the logits of what the grammar allows are not finite"
                                : "the logits are not finite";
}

int engine_choose(struct engine *engine, struct sequence *sequence, float *logits, int32_t *token,
                  struct logprobs *logprobs, struct error *error)
{
    const int32_t count = engine->model.config.vocabulary;
    struct constraint *constraint = sequence->constraint;
    *token = VOCABULARY_NONE;
    if (sequence->wants_logprobs)
        memcpy(engine->own_logits, logits, (size_t)count * sizeof *logits);
    sampler_penalise(&sequence->sampler, logits, count);
    if (constraint) {
        int32_t allowed = constraint_mask(constraint, logits, count, error);
        if (allowed <= 0)
            return allowed ? failed(allowed, error) : 0;
    }
    *token = sampler_choose(&sequence->sampler, engine->kernels, logits, count, engine->room);
    if (*token < 0)
        return error_set(error, EIO, "%s", reason(sequence, logits, count));
    if (sequence->wants_logprobs)
        *logprobs = logprobs_read(engine->kernels, engine->own_logits, count, *token,
                                  sequence->logprobs, engine->room);
    int status = constraint ? constraint_accept(constraint, *token, error) : 0;
    return status ? failed(status, error) : 0;
}
