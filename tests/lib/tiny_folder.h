/* tiny_folder.h - a small Hugging Face folder that can be loaded: a qwen2 of one layer, and a
 * tokenizer.json of as many tokens as wanted.
 *
 * Tokens 0..25 are 'a' to 'z', which never merge; 26..61 are 'A' to 'Z' and '0' to '9'; the others
 * are strings of two or three of these 36, each with its merge.
 *
 * Owns:     the files, until tiny_folder_remove().
 * Promise:  out of memory or of disk aborts the test program.
 * Threads:  any.
 */
#ifndef TESTS_LIB_TINY_FOLDER_H
#define TESTS_LIB_TINY_FOLDER_H

enum { TINY_FOLDER_TOKENS_MAX = 26 + 36 + 36 * 36 + 36 * 36 * 36 };

/* In an empty directory: weights with `rows` rows of the vocabulary, a tokenizer of `tokens`. */
void tiny_folder_save(const char *directory, int rows, int tokens);

/* The files and the directory. */
void tiny_folder_remove(const char *directory);

#endif
