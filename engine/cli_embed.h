/* cli_embed.h - `embed`: texts on standard input, their vectors on standard output.
 *
 * One text a line (or a JSON string a line, texts.h), or NUL-separated texts with --null; a JSON
 * array a line, or raw floats with --format f32.  Returns an exit status, see cli.h.
 */
#ifndef CLI_EMBED_H
#define CLI_EMBED_H

int cli_embed(int argc, char **argv);

#endif
