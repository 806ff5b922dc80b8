#!/usr/bin/env python3
"""Embeddings of all-MiniLM-L6-v2 against sentence-transformers': the folder, and a GGUF in F16.

INFERFS_MINILM   the folder, see examples/fetch-minilm.sh
"""
import array
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import golden

COSINE_FOLDER_MIN = 0.9999
COSINE_F16_MIN = 0.999


def embed(model, texts):
    """The vectors of texts, which may hold line feeds."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    return [json.loads(line) for line in golden.engine("embed", model, text=lines).splitlines()]


def cosine(one, other):
    length = math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))
    return sum(x * y for x, y in zip(one, other)) / length


def check_vectors(report, name, vectors, reference, least):
    worst = min(cosine(one, other) for one, other in zip(vectors, reference["embeddings"]))
    report.check(len(vectors) == len(reference["texts"]) and worst >= least,
                 f"{name}: cosine {worst:.6f} or more for {len(vectors)} texts")
    lengths = [math.sqrt(sum(x * x for x in vector)) for vector in vectors]
    report.check(all(abs(length - 1) < 1e-5 for length in lengths), f"{name}: vectors of length 1")


def check_ids(report, name, model, reference):
    """The reference has [CLS] and [SEP] around."""
    texts = "\0".join(reference["texts"])
    lines = golden.engine("tokenize", model, "--null", text=texts).split("\n")
    same = all(golden.ids(line) == wanted[1:-1]
               for line, wanted in zip(lines, reference["tokens"]))
    report.check(same, f"{name}: the ids of {len(reference['texts'])} texts are equal")


def check_formats(report, model, texts):
    """Each way to ask gives the same vectors: one by one, NUL-separated, as raw floats."""
    together = embed(model, texts)
    alone = [embed(model, [text])[0] for text in texts]
    report.check(together == alone, "alone and together: the same digits")
    plain = "\n".join(texts[:4])
    command = [str(golden.need("INFERFS_ENGINE")), "embed", str(model), "--format", "f32"]
    raw = array.array("f")
    raw.frombytes(subprocess.run(command, input=plain.encode(), capture_output=True,
                                 check=True).stdout)
    flat = array.array("f", (x for vector in embed(model, texts[:4]) for x in vector))
    report.check(raw == flat,
                 "f32 holds what JSON says")
    nul = golden.engine("embed", model, "--null", text=plain.replace("\n", "\0"))
    report.check([json.loads(line) for line in nul.splitlines()] == embed(model, texts[:4]),
                 "NUL-separated texts are the same texts")


def main():
    golden.need("INFERFS_ENGINE")
    folder = golden.need("INFERFS_MINILM")
    reference = golden.vectors("minilm.json")
    report = golden.Report()
    check_ids(report, "folder", folder, reference)
    check_vectors(report, "folder", embed(folder, reference["texts"]), reference,
                  COSINE_FOLDER_MIN)
    check_formats(report, folder, reference["texts"])
    try:
        import minilm_gguf
    except ImportError as missing:
        print(f"skipped: {missing}")
        sys.exit(golden.SKIPPED)
    with tempfile.TemporaryDirectory() as work:
        file = pathlib.Path(work, "minilm.gguf")
        minilm_gguf.write(folder, file)
        check_ids(report, "F16", file, reference)
        check_vectors(report, "F16", embed(file, reference["texts"]), reference, COSINE_F16_MIN)
    report.exit()


main()
