/* cli_model.h - the sub-commands that look into a model.
 *
 *   info    its metadata and what loading it will hold, one line of JSON
 *   logits  ids -> float32 [tokens][vocabulary] in the file of --out
 *   nll     text -> {"tokens":[...],"nll":[...],"mean":x}: how surprised the model is by each token
 *           after the first, in nats; a model that starts raw prompts with BOS gets it as token 0
 *
 * Each returns an exit status, see cli.h.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

int cli_model_info(int argc, char **argv);
int cli_model_logits(int argc, char **argv);
int cli_model_nll(int argc, char **argv);

#endif
