#!/usr/bin/env python3
"""The same request gives the same tokens whatever computes it: any number of threads, any chunking
of its prompt, alone or beside other requests, with guesses or without, every instruction set."""
import itertools

import golden

TOKENS = 40
PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n",
    "Once upon a time there was a shepherd who " + "counted his sheep and " * 60,
    "one two three four five six seven eight nine ten, " * 3 + "one two",
]
RUNS = [
    ["-t", 1],
    ["-t", 2, "--no-speculate"],
    ["-t", 2],
    ["-t", 3],
    ["-t", 2, "--chunk", 1],
    ["-t", 2, "--chunk", 7],
    ["-t", 2, "--chunk", 64],
    ["-t", 1, "--chunk", 1024],
    ["-t", 2, "--batch", 8],
]
FEWER_RUNS = [RUNS[0], RUNS[4], RUNS[-1]]


def main():
    golden.need("INFERFS_ENGINE")
    model = golden.need("INFERFS_SMOLLM2")
    report = golden.Report()
    cases = itertools.product((("f16", RUNS), ("q8_0", FEWER_RUNS)), PROMPTS)
    for (kv, runs), prompt in cases:
        answers = [golden.ids(golden.engine("generate", model, "--raw", "--ids", "--max-tokens",
                                            TOKENS, "--kv", kv, *run, text=prompt))
                   for run in runs]
        for run, answer in zip(runs, answers):
            report.check(answer == answers[0] and len(answer) > 1,
                         f"{kv} {prompt[:20]!r} {' '.join(map(str, run))}: {len(answer)} tokens")
    report.exit()


main()
