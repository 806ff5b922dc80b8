#!/usr/bin/env python3
"""random_strings.py - nasty Unicode strings, and tokenizers compared on them.

strings(seed, count) gives the same strings for the same arguments on every machine: each is a few
fragments glued together, because the differences between tokenizers sit where kinds of text meet.
All of them are valid UTF-8 without NUL, so that they survive a pipe and `tokenize --null`.

    random_strings.py ENGINE MODEL REFERENCE [COUNT [SEED]]

compares `ENGINE tokenize MODEL` with the `tokenizers` library reading REFERENCE, a tokenizer.json
(where it is installed; else exit status 77), prints the first differences, and fails if there are
any.  --special as the last argument compares with special strings parsed.
"""
import random
import subprocess
import sys

# Ranges that are cheap to draw from: every script that some pre-tokenizer or normaliser treats
# specially, and the planes' edges.
RANGES = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF), (0x400, 0x52F),
    (0x531, 0x586), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x900, 0x97F),
    (0x980, 0x9FF), (0xB80, 0xBFF), (0xE00, 0xE7F), (0xE80, 0xEFF), (0xF00, 0xFFF),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF),
    (0x16A0, 0x16FF), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1C80, 0x1CBF), (0x1E00, 0x1EFF),
    (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20CF), (0x2100, 0x214F),
    (0x2150, 0x218F), (0x2190, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x27BF), (0x2C00, 0x2C5F),
    (0x2E80, 0x2EFF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3130, 0x318F), (0x3200, 0x33FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xA960, 0xA97F), (0xAC00, 0xD7A3),
    (0xD7B0, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFB50, 0xFDFF),
    (0xFE00, 0xFE2F), (0xFE70, 0xFEFF), (0xFF00, 0xFFEF), (0xFFF0, 0xFFFD), (0x10000, 0x100FF),
    (0x10400, 0x1044F), (0x104B0, 0x104FF), (0x10C80, 0x10CFF), (0x1D100, 0x1D1FF),
    (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F000, 0x1F2FF), (0x1F300, 0x1F6FF),
    (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F), (0xE0001, 0xE007F),
    (0xE0100, 0xE01EF), (0xF0000, 0xF00FF), (0x10FF00, 0x10FFFD),
]
MARKS = [(0x300, 0x36F), (0x483, 0x489), (0x591, 0x5BD), (0x64B, 0x65F), (0x93A, 0x94F),
         (0xE31, 0xE3A), (0x1AB0, 0x1ABE), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0x302A, 0x302F),
         (0x3099, 0x309A), (0xFE20, 0xFE2F)]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", "\v", "\f", "\x1c", "\x1d", "\x1e",
          "\x1f", "\x85", "\xa0", "\u1680", "\u180e", "\u2000", "\u2003", "\u2009", "\u200a",
          "\u200b", "\u200c", "\u200d", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000",
          "\ufeff"]
WORDS = ["the", "The", "THE", "hello", "world", "I'm", "don't", "WE'LL", "it's", "O'Neill", "naïve",
         "café", "Zürich", "Straße", "İstanbul", "ΟΔΥΣΣΕΥΣ", "ǅ", "ﬁne", "Ｆｕｌｌ", "слово", "Привет",
         "שלום", "مرحبا", "नमस्ते", "สวัสดี", "ជំរាបសួរ", "你好", "世界", "日本語", "カタカナ", "ひらがな",
         "한국어", "각", "ㄱㅏ", "Việt", "ĳ", "ŀ", "½", "²", "Ⅷ", "①", "㎏", "℃", "Å", "Å", "K",
         "int", "main()", "return", "x_1", "snake_case", "CamelCase", "http://a.b/c?d=e&f",
         "a@b.org", "C:\\dir", "<b>", "&amp;", "3.14159", "1,000,000", "1e-9", "0x1F", "2026-01-31",
         "١٢٣", "१२३", "४", "1234567890123", "'s", "'S", "’s", "'re", "'VE", "'ſ", "'", "''",
         "...", "…", "--", "—", "==", "!=", "/*", "*/", "\\n", "▁", "▁▁", "Ġ", "Ċ", "##", "##ing",
         "\u0130", "\u1e9e", "\u00df", "\u017f", "\u212a", "\u03c2"]
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "❤️", "🇩🇪", "🇩", "1️⃣", "👩🏾‍🚀", "☃", "🫠", "🤷‍♂️", "\ufe0f",
         "\u200d", "\U000e0067", "🏴\U000e0067\U000e0062\U000e007f"]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>",
            "<|start_header_id|>", "</s>", "<s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]",
            "[UNK]", "[PAD]", "<mask>", "<bos>", "<eos>", "<start_of_turn>", "<0x0A>", "<0x41>",
            "<|im_", "<|endoftext", "[INST]", "[/INST]", "<tool_call>", "<think>", "</think>"]
EDGES = [0x01, 0x02, 0x07, 0x08, 0x0E, 0x1B, 0x7F, 0x80, 0x84, 0x86, 0x9F, 0xAD, 0x34F, 0x61C,
         0x7FF, 0x800, 0x115F, 0x17B4, 0x180B, 0x200E, 0x202E, 0x2066, 0xD7FF, 0xE000, 0xF8FF,
         0xFDD0, 0xFDEF, 0xFFF9, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000, 0x1FFFE, 0x1FFFF,
         0xE0000, 0x10FFFE, 0x10FFFF]

# Characters of Unicode 9 and later, of which the tables in `tokenizers` know nothing (to its
# normalizers they are unassigned), and one whose category changed since.
NEWER = """
a9bd cf3 ece 10efc-10eff 11240-11241 113b8-113e2 11f00-11f59 13430-13455 16100-1613f 1e4d0-1e4f9
560 588 5ef 61d 7fd-7ff 860-89f 8b5-8e2 9fc-9fe a76 afa-aff b55 c04 c3c c5d c77 c80 c84 cdd
d00 d04 d3b-d3c d4f-d56 d58-d5e d76-d78 d81 e86 e89 e8c e8e-e93 e98 ea0 ea8-ea9 eac eba 170d
1715-171f 180f 1878 1abf-1ace 1b4c 1b7d-1b7e 1c80-1cbf 1cf7 1cfa 1df6-1dfb 20bf-20c0 23fb-23ff
2b97 2bba-2bbc 2bc9 2bd2-2beb 2bf0-2bff 2c2f 2c5f 2e43-2e5d 312e-312f 31bb-31bf 32ff 4db6-4dbf
9fd6-9fff a7ae-a7af a7b8-a7f6 a82c a8c5 a8fe-a8ff ab66-ab6b fbc2 fd40-fd4f fdcf fdfe-fdff
1018d-1018e 1019c 1032d-1032f 104b0-104fb 10570-105bc 10780-107ba 10a34-10a35 10a48
10d00-10d39 10e80-10ff6 11070-11075 110c2-110cd 11144-11147 111ce-111cf 1123e 1133b
11400-11461 11660-1166c 116b8-116b9 1171a 11740-1183b 11900-11abf 11c00-11fff 12f90-12ff2
13430-13438 16a70-16ac9 16e40-16e9a 16f45-16f4f 16f7f-16f87 16fe0-1affe 1b002-1b2fb
1cf00-1cfc3 1d1e9-1d1ea 1d2e0-1d2f3 1d372-1d378 1df00-1e7fe 1e900-1ed3d 1f10d-1f10f 1f12f
1f16c-1f16f 1f19b-1f1ad 1f23b 1f260-1f265 1f57a 1f5a4 1f6d1-1f6df 1f6f4-1f6fc 1f7d5-1f7f0
1f8b0-1f90f 1f919-1f97f 1f985-1f9bf 1f9c1-1fbf9 2a6d7-2a6df 2b735-2b738 2ceb0-2ebe0
30000-3134a
"""


def newer_characters():
    out = set()
    for word in NEWER.split():
        low, _, high = word.partition("-")
        out |= set(range(int(low, 16), int(high or low, 16) + 1))
    return out


def draw(rng, ranges):
    return chr(rng.randint(*rng.choice(ranges)))


def letters_of_one_script(rng):
    low, high = rng.choice(RANGES)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 12)))


def any_characters(rng):
    out = []
    for _ in range(rng.randint(1, 8)):
        code = rng.randint(1, 0x10FFFF) if rng.random() < 0.5 else rng.randint(1, 0xFFFF)
        out.append(chr(code) if not 0xD800 <= code <= 0xDFFF else "\ue000")
    return "".join(out)


def combined(rng):
    base = draw(rng, RANGES[:20])
    return base + "".join(draw(rng, MARKS) for _ in range(rng.randint(1, 5)))


def long_run(rng):
    unit = rng.choice([" ", "a", "\n", "0", "é", "👍", "\u0301", ".", "\t", "한", "=", "\u00a0"])
    return unit * rng.choice([2, 3, 4, 7, 16, 17, 33, 101, 250])


def ascii_noise(rng):
    return "".join(chr(rng.randint(0x20, 0x7E)) for _ in range(rng.randint(1, 16)))


def digits(rng):
    return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 12)))


FRAGMENTS = [
    (6, lambda rng: rng.choice(WORDS)), (5, lambda rng: rng.choice(SPACES)),
    (4, lambda rng: " "), (2, lambda rng: rng.choice(EMOJI)), (3, letters_of_one_script),
    (2, any_characters), (2, combined), (1, lambda rng: chr(rng.choice(EDGES))), (1, long_run),
    (2, ascii_noise), (1, digits), (1, lambda rng: rng.choice(SPECIALS)),
    (1, lambda rng: rng.choice(WORDS).upper()), (1, lambda rng: rng.choice(WORDS).title()),
]


def strings(seed, count, settled=False):
    """`count` strings; the first ones are each fragment kind's fixed lists, one by one.  Without
    the NEWER characters if `settled`."""
    rng = random.Random(seed)
    fixed = [""] + WORDS + SPACES + EMOJI + SPECIALS + [chr(code) for code in EDGES]
    weights = [weight for weight, _ in FRAGMENTS]
    makers = [maker for _, maker in FRAGMENTS]
    out = fixed[:count]
    while len(out) < count:
        parts = rng.choices(makers, weights, k=rng.choice([1, 2, 3, 4, 6, 10, 20]))
        out.append("".join(part(rng) for part in parts))
    if settled:
        newer = newer_characters()
        out = ["".join(letter for letter in text if ord(letter) not in newer) for text in out]
    return out


def engine_ids(engine, model, texts, special):
    """The ids of each text, by one run of `tokenize --null`."""
    command = [engine, "tokenize", model, "--null"] + (["--special"] if special else [])
    data = b"\0".join(text.encode() for text in texts)
    lines = subprocess.run(command, input=data, check=True, capture_output=True).stdout.decode()
    rows = [[int(word) for word in line.split()] for line in lines.split("\n")[:-1]]
    assert len(rows) == len(texts), f"{len(rows)} lines for {len(texts)} texts"
    return rows


def main():
    arguments = [word for word in sys.argv[1:] if word != "--special"]
    special = "--special" in sys.argv
    if len(arguments) < 3:
        sys.exit(__doc__)
    try:
        from tokenizers import Tokenizer
    except ImportError:
        print("skipped: the tokenizers library is not installed")
        sys.exit(77)
    engine, model, reference = arguments[:3]
    count = int(arguments[3]) if len(arguments) > 3 else 10000
    seed = int(arguments[4]) if len(arguments) > 4 else 1
    tokenizer = Tokenizer.from_file(reference)
    texts = strings(seed, count, settled=tokenizer.normalizer is not None)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = not special
    wrong = 0
    for text, got in zip(texts, engine_ids(engine, model, texts, special)):
        want = tokenizer.encode(text, add_special_tokens=False).ids
        if got != want:
            wrong += 1
            if wrong <= 5:
                print(f"{text!r}\n  engine     {got}\n  tokenizers {want}")
    print(f"{len(texts)} strings, {wrong} differences")
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
