#!/usr/bin/env python3
"""1,000 short sentences embedded by inferfs-engine and by sentence-transformers, alternating.

usage: embed.py MODEL_FOLDER [RUNS]     (needs sentence-transformers; INFERFS_ENGINE, or build/)

Ours is timed from the start of the process to its end, loading included; theirs from loaded to done,
at its default batch of 32, with as many threads as ours.  Prints both medians and the ratio.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

WORDS = """a the of and to in that it was for on are with as his they at be this have from or one had
by word but not what all were we when your can said there use an each which she do how their if will
up other about out many then them these so some her would make like him into time has look two more
write go see number no way could people my than first water been call who oil its now find long down
day did get come made may part over new sound take only little work know place year live me back give
most very after thing our just name good sentence man think say great where help through much before
line right too mean old any same tell boy follow came want show also around form three small set put
end does another well large must big even such because turn here why ask went men read need land""".split()


def sentences(count):
    chance = random.Random(7)
    return [" ".join(chance.choices(WORDS, k=chance.randint(5, 20))).capitalize() + "."
            for _ in range(count)]


def ours(engine, model, texts):
    begin = time.perf_counter()
    done = subprocess.run([engine, "embed", model], input="\n".join(texts).encode(),
                          capture_output=True, check=True)
    seconds = time.perf_counter() - begin
    return seconds, [json.loads(line) for line in done.stdout.splitlines()]


def theirs(model, texts):
    begin = time.perf_counter()
    vectors = model.encode(texts, normalize_embeddings=True)
    return time.perf_counter() - begin, vectors


def main():
    folder = sys.argv[1]
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    root = pathlib.Path(__file__).resolve().parents[2]
    engine = os.environ.get("INFERFS_ENGINE", str(root / "build/inferfs-engine"))
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = SentenceTransformer(folder, device="cpu")
    texts = sentences(1000)
    model.encode(texts[:64])
    times = {"inferfs": [], "sentence-transformers": []}
    for _ in range(runs):
        seconds, mine = ours(engine, folder, texts)
        times["inferfs"].append(seconds)
        seconds, reference = theirs(model, texts)
        times["sentence-transformers"].append(seconds)
    worst = min(float(sum(a * b for a, b in zip(one, other)))
                for one, other in zip(mine, reference))
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:24}{len(texts) / median:9.0f} texts/s  (median {median:.3f} s of {runs})")
    ratio = (statistics.median(times["sentence-transformers"]) /
             statistics.median(times["inferfs"]))
    print(f"ratio {ratio:.2f}, least cosine between them {worst:.6f}")


main()
