"""What the golden tests share: where things are, and how the engine is called.

INFERFS_ENGINE   the inferfs-engine binary
INFERFS_SHARED   a folder with vectors/ and tools/ (reference numbers of other implementations)
INFERFS_SMOLLM2  SmolLM2-135M-Instruct.Q4_1.gguf
A test that lacks what it needs exits with 77: skipped.
"""
import array
import json
import os
import pathlib
import subprocess
import sys

SKIPPED = 77


def need(variable):
    """The path in an environment variable."""
    path = os.environ.get(variable)
    if not path or not os.path.exists(path):
        print(f"skipped: {variable} names nothing that is there")
        sys.exit(SKIPPED)
    return pathlib.Path(path).resolve()


def vectors(name):
    path = need("INFERFS_SHARED") / "vectors" / name
    if not path.exists():
        print(f"skipped: no {path}")
        sys.exit(SKIPPED)
    return json.loads(path.read_text())


def engine(*arguments, text=""):
    """Run inferfs-engine with `text` on its standard input; its output, as text."""
    command = [str(need("INFERFS_ENGINE")), *map(str, arguments)]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr.decode()}")
    return done.stdout.decode(errors="surrogateescape")


def ids(output):
    return [int(word) for word in output.split()]


def logits(model, tokens, file, *options):
    """The rows of logits of a text, one array of floats per position."""
    engine("logits", model, "--out", file, *options, text=" ".join(map(str, tokens)))
    values = array.array("f")
    values.frombytes(pathlib.Path(file).read_bytes())
    count = len(values) // len(tokens)
    if count == 0 or count * len(tokens) != len(values):
        sys.exit(f"{len(values)} logits for {len(tokens)} tokens")
    return [values[i * count:(i + 1) * count] for i in range(len(tokens))]


def argmax(row):
    return row.index(max(row))


class Report:
    """Counts failures and says each on one line."""

    def __init__(self):
        self.failures = 0

    def check(self, holds, text):
        print(("ok      " if holds else "FAILED  ") + text)
        self.failures += not holds

    def exit(self):
        sys.exit(1 if self.failures else 0)
