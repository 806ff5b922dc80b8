#!/usr/bin/env python3
"""Write quants.txt: for each tensor type, bytes of blocks and what they dequantise to.

Needs the PyPI package `gguf`, whose dequantisation is the reference.  One line a case:
type name, hex of the blocks, hex of the little-endian float32 values.
"""
import os
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

NAMES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
FLOATS = {"F32": np.float32, "F16": np.float16}


def blocks(name, rng, scale):
    """A super-block, two blocks or 16 floats whose f16 fields are `scale`."""
    weights, size = GGML_QUANT_SIZES[Type[name]]
    count = {1: 16, 32: 2, 256: 1}[weights]
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name in FLOATS:
        return rng.standard_normal(count).astype(FLOATS[name]).view(np.uint8).reshape(count, -1)
    if name == "BF16":
        raw[:, 1] = rng.integers(0x3d, 0x42, count)
        return raw
    half = np.array([scale, -scale / 3], dtype=np.float16).view(np.uint8)
    at = 208 if name == "Q6_K" else 0
    raw[:, at:at + 2] = half[:2]
    if name in ("Q4_1", "Q5_1", "Q4_K", "Q5_K"):
        raw[:, 2:4] = half[2:]
    return raw


def main():
    rng = np.random.default_rng(1)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quants.txt")
    with open(path, "w", encoding="ascii") as out:
        for name in NAMES:
            for scale in (0.0173, -1.5, 3e-6):  # ordinary, negative, a subnormal half
                raw = blocks(name, rng, scale)
                values = dequantize(raw.reshape(-1).view(np.float32) if name == "F32" else
                                    raw.reshape(-1).view(np.float16) if name == "F16" else
                                    raw.reshape(1, -1), Type[name])
                values = np.ascontiguousarray(values, dtype="<f4")
                out.write(f"{name} {raw.tobytes().hex()} {values.tobytes().hex()}\n")


if __name__ == "__main__":
    main()
