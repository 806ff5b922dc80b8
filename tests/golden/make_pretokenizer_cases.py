#!/usr/bin/env python3
"""make_pretokenizer_cases.py - where texts are cut, by the expressions as their authors wrote them.

Needs the `regex` module.  Writes pretokenizer_cases.json: the texts, and for each rule the lengths in
bytes of the pieces of each text; tests/unit/test_pretokenizer.c compares.  With a program as argument
(RULE in its argument, texts separated by NUL on standard input, a line of lengths for each out) and
a count, it compares that many random strings instead.

The engine spells most expressions in another way, so this file is the check that they mean the same.
"""
import json
import pathlib
import subprocess
import sys
import unicodedata

import regex

import random_strings

HERE = pathlib.Path(__file__).parent
FIXED = 210  # one by one, the fragments of which the others are made: not repeated here
TEXTS = 120

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
CONTRACTION = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
ENDING = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def llama3(digits):
    return CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + ENDING


def cased(upper, lower, ending, digits):
    before = r"[^\r\n\p{L}\p{N}]?"
    return (before + upper + "*" + lower + "+" + ending + "|" + before + upper + "+" + lower + "*" + ending
            + "|" + digits + ENDING.replace(r"[\r\n]*|", r"[\r\n/]*|", 1))


ASCII_CASES = (r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))")
CASES = (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]")
KIMI_UPPER = r"[[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]&&[^\p{Han}]]"
KIMI_LOWER = r"[[\p{Ll}\p{Lm}\p{Lo}\p{M}]&&[^\p{Han}]]"
HAN = "[一-龥぀-ゟ゠-ヿ]+"
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# As escapes: the characters themselves would not survive an editor that normalises.
DEEPSEEK_LETTERS = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-"
    "\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-"
    "\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf"
    "\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-"
    "\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115"
    "\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e"
    "\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-"
    "\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-"
    "\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943")
THREES = r"{0}{{1,3}}(?=(?:{0}{{3}})*{1})"

RULES = {
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "chameleon": ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )",
                  r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "llama-bpe": [llama3(r"\p{N}{1,3}")],
    "minicpm5": [r"\p{N}{1,3}", llama3(r"\p{N}+")],
    "jais-2": [llama3(r"\p{N}{1,3}").removesuffix(r"\s+(?!\S)|\s+")
               + "|".join(r"\s{%d}(?!\S)" % count for count in (512, 256, 128, 64, 32, 16, 8, 4))
               + r"|\s{1,2}(?!\S)|\s{1}"],
    "qwen2": [llama3(r"\p{N}")],
    "ufakzeka": [llama3(r"\p{N}").removeprefix(CONTRACTION + "|")],
    "qwen35": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
               r"|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "seed-coder": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+"
                   r"|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "bailingmoe": [r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
                   r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "exaone-moe": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
                   r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "laguna": [r"[^\n]+|[\n]+", llama3(r"\p{N}")],
    "tekken": [cased(*ASCII_CASES, "", r"\p{N}")],
    "gpt-4o": [cased(*ASCII_CASES, CONTRACTION + "?", r"\p{N}{1,3}")],
    "granite-embed-multi-97m": [cased(*(case.replace(r"\p{L}", r"\p{L}\p{M}") for case in ASCII_CASES),
                                      CONTRACTION + "?", r"\p{N}{1,3}")],
    "kimi-k2": [r"[\p{Han}]+|" + cased(KIMI_UPPER, KIMI_LOWER, CONTRACTION + "?", r"\p{N}{1,3}")
                .replace(r"[\r\n/]*", r"[\r\n]*")],
    # The module's \w has the joiners U+200C and U+200D, that of tokenizer.json's Oniguruma has not.
    "tiny_aya": [THREES.format(r"\d", r"(?!(?!\p{Join_Control})\w)"), cased(*CASES, CONTRACTION + "?", r"\p{N}{1,3}")],
    "youtu": ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + HAN,
              cased(*CASES, CONTRACTION + "?", r"\p{N}")],
    "deepseek-llm": ["[\r\n]", r"\s?[" + DEEPSEEK_LETTERS + "]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
                     r"\s+$", "[一-龥ࠀ-一가-퟿]+", r"\p{N}+"],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", HAN, DEEPSEEK3],
    "spark2_5": [r"\p{N}{1,3}", HAN, DEEPSEEK3.replace(r"[\r\n]*|\s*[\r\n]+", r"|[\r\n]"), r"\p{N}"],
    "afmoe": [THREES.format(r"\p{N}", r"(?!\p{N})"),
              "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+", DEEPSEEK3],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
    "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
    "viking": [r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"],
    "gemma4": [r"[^\n]+|[\n]+"],
    "whitespace": [r"\S+"],
}


def split(pattern, pieces):
    for piece in pieces:
        done = 0
        for match in pattern.finditer(piece):
            yield piece[done:match.start()]
            yield match.group()
            done = match.end()
        yield piece[done:]


def lengths(patterns, text):
    pieces = [text]
    for pattern in patterns:
        pieces = [piece for piece in split(pattern, pieces) if piece]
    return [len(piece.encode()) for piece in pieces]


def texts(count):
    """Without the characters that younger versions of Unicode than 14 have added."""
    young = regex.compile(r"\P{Cn}")
    for text in random_strings.strings(20, FIXED + count)[FIXED:]:
        yield "".join(char for char in text
                      if unicodedata.category(char) != "Cn" or not young.match(char))


def main():
    rules = {name: [regex.compile(pattern, regex.V1 if "&&" in pattern else regex.V0)
                    for pattern in patterns] for name, patterns in RULES.items()}
    program = sys.argv[1:2]
    cases = list(texts(int(sys.argv[2]) if program else TEXTS))
    if program:
        for name, patterns in rules.items():
            data = "\0".join(cases).encode() + b"\0"
            output = subprocess.run([program[0], name], input=data, check=True, capture_output=True)
            lines = output.stdout.decode().split("\n")
            wrong = [(text, line, want) for text, line in zip(cases, lines)
                     if list(map(int, line.split())) != (want := lengths(patterns, text))]
            print(name, len(cases), "strings,", len(wrong), "differences", *wrong[:2])
        return
    with open(HERE / "pretokenizer_cases.json", "w", encoding="utf-8") as file:
        json.dump({"texts": cases,
                   "rules": {name: [lengths(patterns, text) for text in cases]
                             for name, patterns in rules.items()}}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
