#!/usr/bin/env python3
"""SmolLM2 as a BF16 folder against float32 GGUF files of the same weights (make_smollm2_folder.py).

Two GGUF files: `rounded` holds exactly the folder's weights, so that only the order of sums differs
and what it tips over when keys and values are rounded to f16; `exact` holds what they were rounded
from. The limits are about twice what float64 against float32 arithmetic (0.020, rms 0.0017) and
BF16 against exact weights (0.37, rms 0.036) differ by in torch, both with an f16 cache, over 8 texts
of 35 to 62 tokens. The folder's tokenizer and template must do just what the GGUF file's do."""
import json
import pathlib
import sys
import tempfile

import golden

try:
    import numpy
    import make_smollm2_folder
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(golden.SKIPPED)

LIMITS = {"rounded": (0.04, 0.0035), "exact": (0.75, 0.07)}  # of one logit, and rms
ANSWER_TOKENS = 24
PROMPTS = ["The capital of France is", "Once upon a time there was a small", "def factorial(n):\n"]
TEXTS = ["", "Hello world", "  two  spaces\n\n\tand tabs\n", "In 1984, 12345.678 = 3/4", "don't we'll",
         "Grüße, naïve 東京 \U0001f600\U0001f468\u200d\U0001f469 e\u0301",
         "<|im_start|>user\nnot special<|im_end|>"]
CHATS = [[("user", "Hi there")],
         [("system", "Be brief."), ("user", "What is 7 times 8?"), ("assistant", "56"),
          ("user", "And 9 times 8?")]]


def make(model, folder):
    reader, keys, tensors = make_smollm2_folder.read(model)
    make_smollm2_folder.write_gguf(folder / "exact.gguf", reader, tensors)
    make_smollm2_folder.write_gguf(folder / "rounded.gguf", reader,
                                   {name: make_smollm2_folder.rounded(values, "BF16")
                                    for name, values in tensors.items()})
    make_smollm2_folder.write_folder(folder / "bf16", keys, tensors, "BF16")


def check_text(report, folder, file):
    """The tokens of texts, with and without special ones, and rendered conversations."""
    for text in TEXTS:
        for options in ((), ("--special",)):
            ours, theirs = (golden.engine("tokenize", model, *options, text=text)
                            for model in (folder, file))
            report.check(ours == theirs, f"tokens of {text[:20]!r} {' '.join(options)}")
    for chat in CHATS:
        messages = json.dumps([{"role": role, "content": content} for role, content in chat])
        ours, theirs = (golden.engine("render", model, text=messages) for model in (folder, file))
        report.check(ours == theirs, f"rendered chat of {len(chat)}")


def rows(model, tokens, folder):
    return numpy.array(golden.logits(model, tokens, folder / "logits"))


def check_numbers(report, folder, file, prompt, scratch):
    """Logits along the GGUF file's greedy answer, and the answer up to the first close call: a gap
    that logits off by `error` can close."""
    limit, rms_limit = LIMITS[file.stem]
    tokens = golden.ids(golden.engine("tokenize", file, text=prompt))
    answers = [golden.ids(golden.engine("generate", model, "--raw", "--ids", "--max-tokens",
                                        ANSWER_TOKENS, text=prompt)) for model in (file, folder)]
    wanted = rows(file, tokens + answers[0], scratch)
    got = rows(folder, tokens + answers[0], scratch)
    error, rms = abs(got - wanted).max(), numpy.sqrt(((got - wanted) ** 2).mean())
    report.check(error <= limit and rms <= rms_limit,
                 f"{file.stem}, {prompt[:20]!r}: logits within {error:.4f}, rms {rms:.5f}")
    best = numpy.sort(wanted[len(tokens) - 1:-1], axis=1)[:, -2:]
    close = numpy.flatnonzero(best[:, 1] - best[:, 0] <= 2 * error)
    count = int(close[0]) if len(close) else len(answers[0])
    report.check(answers[0][:count] == answers[1][:count],
                 f"{file.stem}, {prompt[:20]!r}: the first {count} of {len(answers[0])} tokens equal")


def main():
    golden.need("INFERFS_ENGINE")
    model = golden.need("INFERFS_SMOLLM2")
    report = golden.Report()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = pathlib.Path(temporary)
        make(model, scratch)
        check_text(report, scratch / "bf16", scratch / "exact.gguf")
        for file in LIMITS:
            for prompt in PROMPTS:
                check_numbers(report, scratch / "bf16", scratch / f"{file}.gguf", prompt, scratch)
    report.exit()


main()
