/* cli_text.h - the sub-commands about text and tokens: nothing is computed.
 *
 *   tokenize    text -> ids, one line; --null: one line for each of the NUL-separated texts
 *   detokenize  ids -> the bytes they stand for, special tokens as they are written
 *   render      [{"role":...,"content":...}] -> the prompt that the model would see
 *
 * Each returns an exit status, see cli.h.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

int cli_text_tokenize(int argc, char **argv);
int cli_text_detokenize(int argc, char **argv);
int cli_text_render(int argc, char **argv);

#endif
