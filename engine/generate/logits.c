/* logits.c - the logits of every position of a given text; see engine_logits() in ../engine.h. */
#include "generate/engine_internal.h"

#include "math/attention.h"
#include "math/vector.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A text and the pages that it fills. */
struct reading {
    struct engine *engine;
    const int32_t *tokens;
    size_t count;
    struct forward_page *pages;
    size_t page_count;
};

static int take_pages(struct reading *reading, struct error *error)
{
    const struct kv *kv = &reading->engine->kv;
    size_t wanted = (reading->count + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    reading->pages = memory_try(wanted, sizeof *reading->pages);
    while (reading->pages && reading->page_count < wanted) {
        if (!prefix_take(&reading->engine->prefix, &reading->pages[reading->page_count]))
            return error_set(error, ENOMEM, "%zu tokens need %zu bytes of KV, %llu are granted",
                             reading->count, (size_t)kv_page_total(kv) * wanted,
                             (unsigned long long)kv->granted_bytes);
        reading->page_count++;
    }
    return reading->pages ? 0
                          : error_set(error, ENOMEM, "no memory for %zu tokens", reading->count);
}

/* Compute `count` positions from `first` on: at most as many as there are rows of logits. */
static void read_some(const struct reading *reading, size_t first, size_t count)
{
    struct engine *engine = reading->engine;
    for (size_t i = 0; i < count; i++)
        engine->batch[i] = (struct forward_token){
            .token = reading->tokens[first + i],
            .position = (int32_t)(first + i),
            .pages = reading->pages,
            .wants_logits = true,
        };
    forward_run(engine->forward, engine->threads_used, engine->batch, (int32_t)count);
}

static bool is_finite(const struct engine *engine, const float *logits)
{
    int32_t best = vector_argmax(engine->kernels, logits, engine->model.config.vocabulary);
    return best >= 0 && isfinite(logits[best]);
}

static int read_all(struct reading *reading,
                    bool (*row)(void *owner, size_t position, const float *logits, int32_t count),
                    void *owner, struct error *error)
{
    struct engine *engine = reading->engine;
    for (size_t first = 0; first < reading->count; first += ENGINE_SEQUENCES_MAX) {
        size_t left = reading->count - first;
        size_t count = left < ENGINE_SEQUENCES_MAX ? left : ENGINE_SEQUENCES_MAX;
        read_some(reading, first, count);
        for (size_t i = 0; i < count; i++) {
            const float *logits = forward_logits(engine->forward, (int32_t)i);
            if (!is_finite(engine, logits))
                return error_set(error, EIO, "the logits are not finite");
            if (!row(owner, first + i, logits, engine->model.config.vocabulary))
                return 0;
        }
    }
    return 0;
}

int engine_logits(struct engine *engine, const int32_t *tokens, size_t count,
                  bool (*row)(void *owner, size_t position, const float *logits, int32_t count),
                  void *owner, struct error *error)
{
    struct reading reading = {.engine = engine, .tokens = tokens, .count = count};
    if (engine->embedder)
        return error_set(error, EINVAL, "the model makes embeddings; it has no logits");
    if (count > (size_t)engine->context)
        return error_set(error, EMSGSIZE, "%zu tokens do not fit a context of %d", count,
                         engine->context);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] < 0 || tokens[i] >= engine->model.config.vocabulary)
            return error_set(error, EINVAL, "token %d at %zu is not in a vocabulary of %d",
                             tokens[i], i, engine->model.config.vocabulary);
    int status = take_pages(&reading, error);
    if (!status)
        status = read_all(&reading, row, owner, error);
    for (size_t i = 0; i < reading.page_count; i++)
        kv_give(&engine->kv, &reading.pages[i]);
    free(reading.pages);
    return status;
}
