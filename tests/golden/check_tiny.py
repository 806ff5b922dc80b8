#!/usr/bin/env python3
"""Logits of tiny float32 models against llama.cpp's: the architectures without any quantisation."""
import pathlib
import subprocess
import sys
import tempfile

import golden

LOGIT_ERROR_MAX = 2e-3


def make_model(shape, vocabulary, seed, path):
    shared = golden.need("INFERFS_SHARED")
    try:
        import gguf, numpy  # noqa: F401, E401: what the tool needs
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(golden.SKIPPED)
    subprocess.run([sys.executable, shared / "tools/mkmodel.py", shape,
                    shared / f"vectors/tokenizers/ggml-vocab-{vocabulary}.gguf", path,
                    "--type", "f32", "--seed", str(seed)], check=True, capture_output=True)


def main():
    golden.need("INFERFS_ENGINE")
    reference = golden.vectors("tiny.json")
    report = golden.Report()
    for shape, expected in reference["models"].items():
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder, shape + ".gguf")
            make_model(shape, reference["vocab"], reference["seed"], model)
            rows = golden.logits(model, reference["tokens"], pathlib.Path(folder, "logits"))
        error = max(abs(row[probe] - wanted)
                    for row, numbers in zip(rows, expected["logits"])
                    for probe, wanted in zip(reference["probe"], numbers))
        equal = sum(max(row) - row[best] <= 2 * LOGIT_ERROR_MAX
                    for row, best in zip(rows, expected["argmax"]))
        report.check(error <= LOGIT_ERROR_MAX, f"{shape}: logits within {error:.6f}")
        report.check(equal == len(rows), f"{shape}: {equal} of {len(rows)} argmaxes as good as equal")
    report.exit()


main()
