/* encoder.h - one pass of an encoder (BERT and its kin) over a batch of whole texts.
 *
 * Texts lie one behind the other without padding: all steps but attention look at single tokens, so
 * a batch costs what its tokens cost.  A pass runs as one parallel region: weight rows and heads
 * are dealt to the threads, which meet at barriers.  The products are those of math/wide.h.
 *
 * Owns:     the scratch of a pass, all of it allocated at opening.
 * Promise:  a text's states have the same bits whatever else is in the batch, on any number of
 *           threads.
 * Threads:  one caller at a time; the team computes inside.
 * Limits:   the tokens that it was opened for.
 * Source:   Devlin et al. 2019 (BERT); Nussbaum et al. 2024 (nomic-bert).
 */
#ifndef MODEL_ENCODER_H
#define MODEL_ENCODER_H

#include "base/threads.h"
#include "model/model.h"

#include <stddef.h>

struct encoder;

struct encoder_text {
    int32_t begin, count; /* its tokens, in the batch's list */
};

/* What the function below allocates. */
size_t encoder_bytes(const struct model_config *config, int32_t tokens_max, int threads);

/* Room for batches of up to `tokens_max` tokens in all.  The model, the kernels and the team must
 * outlive it.  Returns 0 or -ENOMEM. */
int encoder_open(const struct model *model, const struct kernels *kernels, struct threads *threads,
                 int32_t tokens_max, struct encoder **out, struct error *error);
void encoder_close(struct encoder *encoder);

/* Compute the texts on `threads` threads.  `tokens` holds ids below the vocabulary; no text is
 * empty or longer than the model's context.  The result is the last layer's output,
 * [tokens][width], valid until the next call. */
const float *encoder_run(struct encoder *encoder, int threads, const int32_t *tokens,
                         const struct encoder_text *texts, int32_t text_count);

#endif
