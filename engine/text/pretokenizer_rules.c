/* pretokenizer_rules.c - the rule of every name that a GGUF may give its pre-tokenizer.
 *
 * The expressions are those that the models were trained with, spelled so that PCRE2 reads them
 * alike and every one is linear in the text:
 *
 * - White space is written out, see pattern.h.
 * - "A letter that is not a-z" is one class by double negation: a repeated group with a look-ahead,
 *   as it is usually written, needs a stack frame for each character.
 * - What looks ahead over a whole run (digits in threes counted from the right, white space up to
 *   the end) does so once a run: it may start only where the run does, and \G goes on from there.
 * - Of two repeats that follow each other and share characters the first gives back at most to the
 *   last character that both may have; what it scanned and gave back is a piece by the next match.
 *
 * Source: tokenizer.json of the models; the names, and what they stand for, are llama.cpp's. */
#include "text/pretokenizer.h"

#include "text/pattern.h"

#define BLANK PATTERN_BLANK
#define SPACE PATTERN_SPACE

/* Inside [...]: letters and numbers.  The PCRE2 at hand may know an older Unicode than the
 * tokenizers of today do: what versions 15 and 16 have added is named. */
#define LETTER                                                                                     \
    "\\p{L}\\x{1c89}\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}"          \
    "\\x{10d4a}-\\x{10d65}\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}\\x{11240}"          \
    "\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}" \
    "\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{11f33}\\x{1342f}"          \
    "\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}\\x{16d40}-\\x{16d6c}"         \
    "\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}"                     \
    "\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}"          \
    "\\x{31350}-\\x{323af}"
#define NUMBER                                                                                     \
    "\\p{N}\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}"   \
    "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}"         \
    "\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"

/* All white space of a run but the character before a word, which belongs to the word. */
#define SPACES_BEFORE_WORD "[" SPACE "]+(?![^" SPACE "])"

#define SYMBOLS "| ?[^" SPACE LETTER NUMBER "]+"
#define GPT2                                                                                       \
    "'s|'t|'re|'ve|'m|'ll|'d| ?[" LETTER "]+| ?[" NUMBER "]+" SYMBOLS "|" SPACES_BEFORE_WORD

#define CONTRACTION    "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
#define BEFORE_LETTERS "[^\\r\\n" LETTER NUMBER "]?"
#define SPACES_LEFT    "|" SPACES_BEFORE_WORD "|[" SPACE "]+"
#define SPACES         "|[" SPACE "]*[\\r\\n]+" SPACES_LEFT

#define LLAMA3_WORDS(digits)                                                                       \
    BEFORE_LETTERS "[" LETTER "]+|[" NUMBER "]" digits SYMBOLS "[\\r\\n]*" SPACES
#define LLAMA3(digits) CONTRACTION "|" LLAMA3_WORDS(digits)

/* Words of `upper` then `lower` letters, in which one of the two may be missing. */
#define CASED_WORDS(upper, lower, ending)                                                          \
    BEFORE_LETTERS upper "*" lower "+" ending "|" BEFORE_LETTERS upper "+" lower "*" ending
#define NOT_LOWER                 "[^\\P{L}a-z]" /* letters; only ASCII's are told apart */
#define NOT_UPPER                 "[^\\P{L}A-Z]"
#define UPPER                     "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER                     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define AFTER_CASED_WORDS(digits) "|[" NUMBER "]" digits SYMBOLS "[\\r\\n/]*" SPACES

#define GPT4O CASED_WORDS(NOT_LOWER, NOT_UPPER, "(?:" CONTRACTION ")?") AFTER_CASED_WORDS("{1,3}")

/* Letters and marks of a case that are not Han: what the classes leave out of everything. */
#define NOT_HAN(others) "[^\\p{sc:Han}\\p{C}\\p{Z}\\p{N}\\p{P}\\p{S}" others "]"

#define HAN_AND_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define WIDE         "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define DEEPSEEK3_WORDS                                                                            \
    "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+"

/* Letters of scripts that have cases. */
#define DEEPSEEK_LETTERS                                                                           \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}"    \
    "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}"                 \
    "\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"                 \
    "\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"         \
    "\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"        \
    "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}"                 \
    "\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}"         \
    "\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}"         \
    "\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}"                   \
    "\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}"                  \
    "\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}"                 \
    "\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"                 \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"             \
    "\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"         \
    "\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_SYMBOLS                                                                           \
    "!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}"

/* Digits in threes, counted from the right of their run. */
#define THREES(digit, end) "(?=(?:" digit digit digit ")*+" end ")"
#define DIGITS_FROM_RIGHT(digit, end)                                                              \
    "\\G(?<=" digit ")" digit digit digit "|(?<!" digit ")" digit "{1,3}" THREES(digit, end)
#define NOT_IN_WORD "(?![\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}])"

/* Cuts a piece of `SPACE` that holds no end of a line, and nothing else. */
#define BLANKS(count) "|[" BLANK "]" count "(?![^" BLANK "])"

static const struct pretokenizer_rule unnamed = {
    .stages = {{"[\\p{P}$+<=>^~|]+"}, {GPT2}, {"\\p{N}+"}, {"[0-9][0-9][0-9]"}}};
static const struct pretokenizer_rule falcon = {
    .stages = {{"[\\p{P}$+<=>^~|`]+"}, {GPT2}, {"[0-9][0-9][0-9]"}}};
static const struct pretokenizer_rule gpt2 = {.stages = {{GPT2}}};
static const struct pretokenizer_rule gpt2_digits = {.stages = {{"\\p{N}"}, {GPT2}}};
static const struct pretokenizer_rule chameleon = {.stages = {{"<sentinel:[0-9]+>"},
                                                              {"IMGIMG[A-I]{1,4}Z"},
                                                              {"[\\t\\n]|    |  "},
                                                              {"\\p{N}"},
                                                              {"[\\p{P}!-/:-@\\[-`{-~]"},
                                                              {GPT2}},
                                                   .adds_bos = true};

static const struct pretokenizer_rule llama3 = {
    .stages = {{LLAMA3("{1,3}")}}, .ignores_merges = true, .adds_bos = true};
static const struct pretokenizer_rule llama3_merging = {.stages = {{LLAMA3("{1,3}")}}};
static const struct pretokenizer_rule glm4 = {.stages = {{LLAMA3("{1,3}")}},
                                              .ignores_merges = true};
static const struct pretokenizer_rule minicpm5 = {.stages = {{"\\p{N}{1,3}"}, {LLAMA3("+")}},
                                                  .ignores_merges = true};
static const struct pretokenizer_rule jais2 = {
    .stages = {{LLAMA3("{1,3}")},
               {"^[" SPACE "]*[\\r\\n]+" BLANKS("{512}") BLANKS("{256}") BLANKS("{128}")
                    BLANKS("{64}") BLANKS("{32}") BLANKS("{16}") BLANKS("{8}") BLANKS("{4}")
                        BLANKS("{1,2}")}}};

static const struct pretokenizer_rule qwen2 = {.stages = {{LLAMA3("")}}};
static const struct pretokenizer_rule ufakzeka = {.stages = {{LLAMA3_WORDS("")}}};
static const struct pretokenizer_rule qwen35 = {
    .stages = {{CONTRACTION "|" BEFORE_LETTERS "[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE
                            "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES}}};
static const struct pretokenizer_rule seed_coder = {
    .stages = {{CONTRACTION "|" BEFORE_LETTERS "[" LETTER "]+|[" NUMBER "]" SYMBOLS SPACES}}};
static const struct pretokenizer_rule bailing = {
    .stages = {{CONTRACTION "|" BEFORE_LETTERS "[" LETTER "]+|[" NUMBER "]" SYMBOLS
                            "[\\r\\n]*|[" SPACE "]*[\\r\\n]" SPACES_LEFT}}};
static const struct pretokenizer_rule exaone_moe = {
    .stages = {{CONTRACTION "|" BEFORE_LETTERS
                            "\\p{L}[\\p{L}\\p{M}]*+(?: \\p{L}[\\p{L}\\p{M}]*+)*+|\\p{N}" SYMBOLS
                            "[\\r\\n/]?|[" SPACE "]*[\\r\\n]" SPACES_LEFT}}};
static const struct pretokenizer_rule laguna = {.stages = {{"[^\\n]+|\\n+"}, {LLAMA3("")}}};

static const struct pretokenizer_rule tekken = {
    .stages = {{CASED_WORDS(NOT_LOWER, NOT_UPPER, "") AFTER_CASED_WORDS("")}},
    .ignores_merges = true,
    .adds_bos = true};
static const struct pretokenizer_rule gpt4o = {.stages = {{GPT4O}}};
static const struct pretokenizer_rule granite_multilingual = {
    .stages = {{CASED_WORDS("[^\\p{C}\\p{Z}\\p{N}\\p{P}\\p{S}a-z]",
                            "[^\\p{C}\\p{Z}\\p{N}\\p{P}\\p{S}A-Z]", "(?:" CONTRACTION ")?")
                    AFTER_CASED_WORDS("{1,3}")}},
    .ignores_merges = true};
static const struct pretokenizer_rule kimi = {
    .stages = {{"\\p{sc:Han}+|" CASED_WORDS(NOT_HAN("\\p{Ll}"), NOT_HAN("\\p{Lu}\\p{Lt}"),
                                            "(?:" CONTRACTION ")?") "|\\p{N}{1,3}" SYMBOLS
                                                                    "[\\r\\n]*" SPACES}}};
static const struct pretokenizer_rule tiny_aya = {
    .stages = {{DIGITS_FROM_RIGHT("\\d", NOT_IN_WORD)},
               {CASED_WORDS(UPPER, LOWER, "(?:" CONTRACTION ")?") AFTER_CASED_WORDS("{1,3}")}}};
static const struct pretokenizer_rule youtu = {
    .stages = {{"[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+"
                "|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}"
                "\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+"
                "|[\\x{3105}-\\x{312f}]+|" HAN_AND_KANA},
               {CASED_WORDS(UPPER, LOWER, "(?:" CONTRACTION ")?") AFTER_CASED_WORDS("")}},
    .ignores_merges = true};

static const struct pretokenizer_rule deepseek_llm = {
    .stages = {{"[\\r\\n]"},
               {"[" SPACE "]?[" DEEPSEEK_LETTERS "]+"},
               {"[" SPACE "]?[" DEEPSEEK_SYMBOLS "]+"},
               {"(?<![" SPACE "])[" SPACE "]+\\z"},
               {WIDE},
               {"\\p{N}+"}}};
static const struct pretokenizer_rule deepseek_coder = {
    .stages = {{"[\\r\\n]"}, {"[" SPACE "]?\\p{L}+"}, {"[" SPACE "]?\\p{P}+"}, {WIDE}, {"\\p{N}"}}};
static const struct pretokenizer_rule deepseek3 = {
    .stages = {{"\\p{N}{1,3}"}, {HAN_AND_KANA}, {DEEPSEEK3_WORDS "[\\r\\n]*" SPACES}}};
static const struct pretokenizer_rule spark = {
    .stages = {
        {"\\p{N}{1,3}"}, {HAN_AND_KANA}, {DEEPSEEK3_WORDS "|[\\r\\n]" SPACES_LEFT}, {"\\p{N}"}}};
static const struct pretokenizer_rule afmoe = {
    .stages = {{DIGITS_FROM_RIGHT("\\p{N}", "(?!\\p{N})")},
               {"[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{8c48}-\\x{faff}\\x{3040}-\\x{30ff}"
                "\\x{ff65}-\\x{ff9f}\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}"
                "\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}\\x{a9e0}-\\x{a9ff}"
                "\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+"},
               {DEEPSEEK3_WORDS "[\\r\\n]*" SPACES}}};

/* A cut before each group of three; what follows the run stays with the last one. */
static const struct pretokenizer_rule superbpe = {
    .stages = {{"\\p{N}+"},
               {"\\G(?<=\\d)\\d\\d\\d|(?<!\\d)\\d{0,2}\\K\\d\\d\\d" THREES("\\d", "(?!\\d)"),
                PRETOKENIZER_MERGE_NEXT}}};

#define BLOOM " ?[^(" SPACE "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
static const struct pretokenizer_rule bloom = {.stages = {{BLOOM}}};
static const struct pretokenizer_rule viking = {.stages = {{BLOOM}, {"\\p{N}"}}};

static const struct pretokenizer_rule gemma4 = {
    .stages = {{"[^\\n]+|\\n+"}}, .characters = true, .marks_spaces = true, .whole_lines = true};
static const struct pretokenizer_rule sarvam = {
    .stages = {{"[^\\n]+|\\n+"}}, .characters = true, .marks_spaces = true};
static const struct pretokenizer_rule whitespace = {.stages = {{"[^" SPACE "]+"}},
                                                    .characters = true};

static const struct {
    const char *pre;
    const struct pretokenizer_rule *rule;
} names[] = {
    {"", &unnamed},
    {"default", &unnamed},
    {"falcon", &falcon},
    {"gpt-2", &gpt2},
    {"phi-2", &gpt2},
    {"jina-es", &gpt2},
    {"jina-de", &gpt2},
    {"jina-v2-es", &gpt2},
    {"jina-v2-de", &gpt2},
    {"jina-v1-en", &gpt2},
    {"jina-v2-code", &gpt2},
    {"roberta-bpe", &gpt2},
    {"gigachat", &gpt2},
    {"a.x-4.0", &gpt2},
    {"mellum", &gpt2},
    {"modern-bert", &gpt2},
    {"exaone4", &gpt2},
    {"mpt", &gpt2},
    {"olmo", &gpt2},
    {"jais", &gpt2},
    {"trillion", &gpt2},
    {"granite-docling", &gpt2},
    {"smollm", &gpt2_digits},
    {"command-r", &gpt2_digits},
    {"starcoder", &gpt2_digits},
    {"refact", &gpt2_digits},
    {"codeshell", &gpt2_digits},
    {"exaone", &gpt2_digits},
    {"minerva-7b", &gpt2_digits},
    {"mellum2", &gpt2_digits},
    {"chameleon", &chameleon},
    {"llama-bpe", &llama3},
    {"llama3", &llama3},
    {"llama-v3", &llama3},
    {"falcon3", &llama3},
    {"falcon-h1", &llama3},
    {"pixtral", &llama3},
    {"midm-2.0", &llama3},
    {"lfm2", &llama3},
    {"jina-v5-nano", &llama3},
    {"dbrx", &llama3_merging},
    {"smaug-bpe", &llama3_merging},
    {"chatglm-bpe", &llama3_merging},
    {"glm4", &glm4},
    {"glm5", &glm4},
    {"minicpm5", &minicpm5},
    {"jais-2", &jais2},
    {"qwen2", &qwen2},
    {"deepseek-r1-qwen", &qwen2},
    {"kormo", &qwen2},
    {"f2llmv2", &qwen2},
    {"hunyuan", &qwen2},
    {"solar-open", &qwen2},
    {"megrez", &qwen2},
    {"stablelm2", &qwen2},
    {"grok-2", &qwen2},
    {"qwen35", &qwen35},
    {"ufakzeka", &ufakzeka},
    {"seed-coder", &seed_coder},
    {"bailingmoe", &bailing},
    {"bailingmoe2", &bailing},
    {"llada-moe", &bailing},
    {"exaone-moe", &exaone_moe},
    {"laguna", &laguna},
    {"tekken", &tekken},
    {"gpt-4o", &gpt4o},
    {"llama4", &gpt4o},
    {"kanana2", &gpt4o},
    {"talkie", &gpt4o},
    {"minimax-m2", &gpt4o},
    {"granite-embed-multi-97m", &granite_multilingual},
    {"kimi-k2", &kimi},
    {"tiny_aya", &tiny_aya},
    {"cohere2moe", &tiny_aya},
    {"youtu", &youtu},
    {"deepseek-llm", &deepseek_llm},
    {"deepseek-coder", &deepseek_coder},
    {"deepseek-v3", &deepseek3},
    {"hunyuan-dense", &deepseek3},
    {"joyai-llm", &deepseek3},
    {"hy_v4", &deepseek3},
    {"spark2_5", &spark},
    {"afmoe", &afmoe},
    {"superbpe", &superbpe},
    {"poro-chat", &bloom},
    {"bloom", &bloom},
    {"gpt3-finnish", &bloom},
    {"viking", &viking},
    {"gemma4", &gemma4},
    {"granite-embed-multi-311m", &gemma4},
    {"sarvam-moe", &sarvam},
    {"whitespace", &whitespace},
};

const struct pretokenizer_rule *pretokenizer_rule(struct text pre)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_is(pre, names[i].pre))
            return names[i].rule;
    return NULL;
}
