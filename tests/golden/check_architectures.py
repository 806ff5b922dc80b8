#!/usr/bin/env python3
"""Every architecture and variant, as a GGUF file and as a folder, against transformers' numbers.

    check_architectures.py [NAME...]

The models are made here (tests/lib/tiny_models.py); tiny_references.json was written once by
make_references.py. A folder is tried as the Hub has it, and in shards with the config.json that
transformers 5 writes."""
import json
import math
import pathlib
import sys
import tempfile

import golden

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
try:
    import tiny_models
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(golden.SKIPPED)

LOGIT_ERROR_MAX = 2e-3
GAP_MIN = 2 * LOGIT_ERROR_MAX
COSINE_MIN = 0.9999
FOLDERS = {"llama", "qwen2", "qwen3", "gemma3_text", "gpt2", "bert"}


def forms(name, folder):
    """Makes the model in every form; yields what to call it and where it is."""
    path = folder / "model.gguf"
    tiny_models.write_gguf(name, path)
    yield name, path
    if tiny_models.MODELS[name].hf in FOLDERS:
        tiny_models.write_folder(name, folder / "hub")
        yield name + " folder", folder / "hub"
        tiny_models.write_folder(name, folder / "shards", shards=3, style="parameters")
        yield name + " shards", folder / "shards"


def check_logits(report, name, model, expected, probe, file):
    rows = golden.logits(model, expected["tokens"], file)
    error = max(abs(row[id_] - wanted) for row, numbers in zip(rows, expected["logits"])
                for id_, wanted in zip(probe, numbers))
    error = max(error, *(abs(log_sum_exp(row) - wanted)
                         for row, wanted in zip(rows, expected["logsumexp"])))
    clear = [i for i, gap in enumerate(expected["gap"]) if gap > GAP_MIN]
    equal = sum(golden.argmax(rows[i]) == expected["argmax"][i] for i in clear)
    report.check(error <= LOGIT_ERROR_MAX and equal == len(clear),
                 f"{name}: logits within {error:.6f}, {equal} of {len(clear)} argmaxes equal")


def log_sum_exp(row):
    top = max(row)
    return top + math.log(sum(math.exp(value - top) for value in row))


def check_embeddings(report, name, model, expected, pooling):
    texts = expected["texts"]
    output = golden.engine("embed", model, text="".join(case["text"] + "\n" for case in texts))
    vectors = [json.loads(line) for line in output.splitlines()]
    if len(vectors) != len(texts):
        sys.exit(f"{len(vectors)} vectors for {len(texts)} texts")
    cosine = min(sum(a * b for a, b in zip(vector, case[pooling]))
                 for vector, case in zip(vectors, texts))
    length = max(abs(math.hypot(*vector) - 1) for vector in vectors)
    report.check(cosine >= COSINE_MIN and length < 1e-4,
                 f"{name}: cosine {cosine:.6f} or more, lengths within {length:.6f} of 1")


def main():
    golden.need("INFERFS_ENGINE")
    reference = json.loads(pathlib.Path(__file__).with_name("tiny_references.json").read_text())
    report = golden.Report()
    for name in sys.argv[1:] or reference["models"]:
        expected, shape = reference["models"][name], tiny_models.MODELS[name]
        with tempfile.TemporaryDirectory() as folder:
            for title, model in forms(name, pathlib.Path(folder)):
                try:
                    if "texts" in expected:
                        check_embeddings(report, title, model, expected, shape.pooling)
                    else:
                        check_logits(report, title, model, expected, reference["probe"],
                                     pathlib.Path(folder, "logits"))
                except SystemExit as failure:
                    report.check(False, f"{title}: {failure}")
    report.exit()


main()
