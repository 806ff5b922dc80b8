#!/usr/bin/env python3
"""Logits of a tiny float32 llama against llama.cpp's: the architecture without any quantisation."""
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
    for shape in ["tiny-llama"]:
        expected = reference["models"][shape]
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder, shape + ".gguf")
            make_model(shape, reference["vocab"], reference["seed"], model)
            rows = golden.logits(model, reference["tokens"], pathlib.Path(folder, "logits"))
        error = max(abs(row[probe] - wanted)
                    for row, numbers in zip(rows, expected["logits"])
                    for probe, wanted in zip(reference["probe"], numbers))
        best = [golden.argmax(row) for row in rows]
        report.check(error <= LOGIT_ERROR_MAX, f"{shape}: logits within {error:.6f}")
        report.check(best == expected["argmax"], f"{shape}: {len(best)} argmaxes equal")
    report.exit()


main()
