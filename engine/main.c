/* main.c - inferfs-engine: finds the sub-command. */
#include "cli.h"
#include "cli_bench.h"
#include "cli_embed.h"
#include "cli_generate.h"
#include "cli_model.h"
#include "cli_text.h"
#include "cli_worker.h"
#include "base/kernel_names.h"

#include <stdio.h>

#ifndef INFERFS_VERSION
#define INFERFS_VERSION "0.1.0"
#endif

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"info", cli_model_info},    {"tokenize", cli_text_tokenize},
    {"generate", cli_generate},  {"detokenize", cli_text_detokenize},
    {"render", cli_text_render}, {"logits", cli_model_logits},
    {"nll", cli_model_nll},      {"bench", cli_bench},
    {"worker", cli_worker},      {"embed", cli_embed},
};

static const char help[] =
    "usage: inferfs-engine COMMAND MODEL [options]\n"
    "\n"
    "  info MODEL            metadata as JSON\n"
    "  tokenize MODEL        text on stdin -> token ids\n"
    "    --special             special tokens written in the text become their id\n"
    "    --null                NUL-separated texts, one line of ids each\n"
    "  detokenize MODEL      token ids on stdin -> text\n"
    "  render MODEL          [{\"role\":\"user\",\"content\":\"...\"}] on stdin -> the rendered "
    "prompt\n"
    "    --thinking on|off     the template's enable_thinking\n"
    "    --template FILE       of this Jinja template instead of MODEL's; [--bos S] [--eos S]\n"
    "  generate MODEL        prompt on stdin (one newline at its end is dropped) -> completion\n"
    "    --chat | --raw        as a user's turn (default) or as it is\n"
    "    --system TEXT         a system message before it\n"
    "    --thinking on|off     the template's enable_thinking\n"
    "    --max-tokens N        0: as many as the context leaves room for (default)\n"
    "    --temperature T       0: always the likeliest token (default)\n"
    "    --top-k K  --top-p P  --min-p P  --typical-p P  --seed S\n"
    "    --repeat-penalty R  --presence-penalty P  --frequency-penalty P\n"
    "    --dry-multiplier M  --dry-base B  --dry-allowed-length N\n"
    "    --mirostat 2  --mirostat-tau T  --mirostat-eta E\n"
    "    --logit-bias ID=BIAS  add to the logit of a token; up to 512 times\n"
    "    --grammar FILE        GBNF that the answer follows\n"
    "    --json-schema FILE    a JSON schema that the answer follows\n"
    "    --stop TEXT           end before this text; up to 16 times\n"
    "    --stop-token ID       end before this token; up to 16 times\n"
    "    --logprobs N          print JSON lines: each token and its N likeliest alternatives\n"
    "    --ids                 print token ids\n"
    "    --no-speculate        guess no tokens that repeat; the answer is the same\n"
    "    --chunk N             prompt tokens in one step\n"
    "    --batch N             N copies at once, which must agree\n"
    "  logits MODEL --out F  ids on stdin -> float32 [tokens][vocabulary]\n"
    "  nll MODEL             text on stdin -> {\"tokens\":[],\"nll\":[],\"mean\":x}\n"
    "  embed MODEL           a text per line on stdin (or a JSON string) -> a JSON array per line\n"
    "    --null                NUL-separated texts\n"
    "    --format f32          little-endian floats instead of JSON\n"
    "  bench MODEL           speed; [-p 512] prompt tokens, [-n 128] tokens, [-b 1,8] sequences "
    "at\n"
    "                        once, the median of [-r 5] runs; --json\n"
    "  worker MODEL          serve inferfs on descriptor 3\n"
    "\n"
    "What computes (generate, logits, nll, embed, bench, worker) takes besides:\n"
    "  -t N                  threads (default: the physical cores that may be used)\n"
    "  --kernels NAME        as $INFERFS_KERNELS, one of\n"
    "                        " KERNEL_NAMES "\n"
    "  --kv f16|q8_0         how keys and values are kept: q8_0 takes about half the memory\n"
    "\n"
    "MODEL is a GGUF file or a Hugging Face folder.  The status is 0, 1 for a failure, 2 for a "
    "mistake in the command.\n";

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        fputs(help, stdout);
        return cli_finish("--help", 0);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("inferfs-engine " INFERFS_VERSION);
        return cli_finish("--version", 0);
    }
    fprintf(stderr, "inferfs-engine: %s%s (see inferfs-engine --help)\n",
            *name ? "unknown command " : "a command is missing", name);
    return CLI_USAGE;
}
