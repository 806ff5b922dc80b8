/* sample_schema.c - what a compiled schema (or grammar) accepts, for a script to judge.
 *
 *   sample_schema schema FILE COUNT SEED   print up to COUNT random texts that it accepts, a line
 * each sample_schema schema FILE              read lines, print 1 or 0 for each: accepted or not
 *
 * `grammar` instead of `schema` for GBNF.  Status 2 and the reason when it is refused. */
#include "base/memory.h"
#include "generate/matcher.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_BYTES_MAX = 4000, SOURCE_BYTES_MAX = 2 << 20 };

static struct text read_file(const char *path)
{
    char *bytes = malloc(SOURCE_BYTES_MAX);
    FILE *file = fopen(path, "r");
    if (!bytes || !file)
        exit(1);
    struct text text = {bytes, fread(bytes, 1, SOURCE_BYTES_MAX, file)};
    fclose(file);
    return text;
}

static uint64_t random_bits(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64 (Marsaglia 2003) */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A byte that may come next; the longer the text, the likelier one that closes something. */
static int choose(struct matcher *matcher, int32_t state, size_t length, uint64_t *random)
{
    unsigned char allowed[256];
    size_t count = 0, closing = 0;
    for (int byte = 0; byte < 256; byte++)
        if (matcher_step(matcher, state, (uint8_t)byte, NULL) > 0)
            allowed[count++] = (unsigned char)byte;
    for (size_t i = 0; i < count; i++)
        if (strchr("\"}]", allowed[i]) && allowed[i]) {
            unsigned char other = allowed[closing];
            allowed[closing++] = allowed[i];
            allowed[i] = other;
        }
    if (closing && random_bits(random) % 100 < 20 + length)
        count = closing;
    return count ? allowed[random_bits(random) % count] : -1;
}

static void sample(struct matcher *matcher, uint64_t *random)
{
    char text[TEXT_BYTES_MAX];
    size_t length = 0;
    int32_t state = matcher_start(matcher);
    for (;;) {
        if (matcher_is_complete(matcher, state) &&
            (!matcher_can_go_on(matcher, state) || random_bits(random) % 4 == 0))
            break;
        int byte = choose(matcher, state, length, random);
        if (byte < 0 || length == sizeof text)
            return;
        state = matcher_step(matcher, state, (uint8_t)byte, NULL);
        text[length++] = (char)byte;
    }
    fwrite(text, 1, length, stdout);
    putchar('\n');
}

static bool accepts(struct matcher *matcher, const char *line, size_t length)
{
    int32_t state = matcher_start(matcher);
    for (size_t i = 0; i < length && state > 0; i++)
        state = matcher_step(matcher, state, (uint8_t)line[i], NULL);
    return state > 0 && matcher_is_complete(matcher, state);
}

static void judge(struct matcher *matcher)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0)
        puts(accepts(matcher, line, (size_t)length - 1) ? "1" : "0");
    free(line);
}

int main(int argc, char **argv)
{
    struct grammar *grammar = NULL;
    struct matcher *matcher = NULL;
    struct error error = {0};
    if (argc < 3)
        return 1;
    struct text source = read_file(argv[2]);
    int status = strcmp(argv[1], "schema") == 0 ? grammar_from_schema(source, &grammar, &error)
                                                : grammar_parse(source, &grammar, &error);
    if (!status)
        status = matcher_open(grammar, &matcher, &error);
    if (status) {
        puts(error.text);
        return 2;
    }
    uint64_t random = argc > 4 ? strtoull(argv[4], NULL, 10) * 0x9e3779b97f4a7c15u + 1 : 1;
    for (int i = 0; argc > 3 && i < atoi(argv[3]); i++)
        sample(matcher, &random);
    if (argc == 3)
        judge(matcher);
    matcher_close(matcher);
    grammar_close(grammar);
    free((char *)(uintptr_t)source.bytes);
    return 0;
}
