/* cli_generate.h - `generate`: a prompt on standard input, its completion on standard output.
 *
 * Exactly one newline at the end of the input is taken off (echo and editors add it); what else
 * the input holds is the prompt.  Returns an exit status, see cli.h.
 */
#ifndef CLI_GENERATE_H
#define CLI_GENERATE_H

int cli_generate(int argc, char **argv);

#endif
