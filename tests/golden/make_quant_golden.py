#!/usr/bin/env python3
"""Write quants.txt: for each tensor type, bytes of blocks and what they dequantise to.

Needs the PyPI package `gguf`, whose dequantisation is the reference; it does not read Q8_K, whose
values are its f32 scale times its bytes.  Lines of two kinds:

    NAME BLOCKS VALUES      hex of the blocks, hex of the little-endian float32 values
    NAME crc COUNT CRC      CRC-32 of the values of COUNT blocks of pseudo-random bytes: every scale
                            there is, NaN and infinite ones too (each NaN counted as 7fc00000)
"""
import os
import zlib
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

NAMES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K",
         "Q2_K", "Q3_K", "Q8_K", "IQ4_NL", "IQ4_XS", "MXFP4", "TQ1_0", "TQ2_0"]
FLOATS = {"F32": np.float32, "F16": np.float16}
# Where the f16 scale (and minimum) of a block are; 0 (and 2) elsewhere.
SCALE_AT = {"Q6_K": 208, "Q2_K": 80, "Q3_K": 108, "TQ1_0": 52, "TQ2_0": 64}
MINIMA = ("Q4_1", "Q5_1", "Q4_K", "Q5_K", "Q2_K")
RANDOM_BLOCKS = 1024


def blocks(name, rng, scale):
    """A super-block, two blocks or 16 floats whose scales are `scale`."""
    weights, size = GGML_QUANT_SIZES[Type[name]]
    count = {1: 16, 32: 2, 256: 1}[weights]
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name in FLOATS:
        return rng.standard_normal(count).astype(FLOATS[name]).view(np.uint8).reshape(count, -1)
    if name == "BF16":
        raw[:, 1] = rng.integers(0x3d, 0x42, count)
        return raw
    if name == "MXFP4":  # the first two powers of two are subnormal
        raw[:, 0] = 127 - np.arange(count) if scale > 1e-3 else np.arange(count) if scale > 0 else 255
        return raw
    if name == "Q8_K":
        raw[:, :4] = np.array([scale], dtype="<f4").view(np.uint8)
        return raw
    half = np.array([scale, -scale / 3], dtype=np.float16).view(np.uint8)
    at = SCALE_AT.get(name, 0)
    raw[:, at:at + 2] = half[:2]
    if name in MINIMA:
        raw[:, at + 2:at + 4] = half[2:]
    return raw


def random_blocks(name):
    """The bytes that test_quant.c makes, too."""
    count = RANDOM_BLOCKS * GGML_QUANT_SIZES[Type[name]][1]
    raw, state = bytearray(count), 1
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        raw[i] = state >> 24
    return np.frombuffer(raw, np.uint8).reshape(RANDOM_BLOCKS, -1)


def values_of(raw, name):
    if name == "Q8_K":
        scale = np.ascontiguousarray(raw[:, :4]).view("<f4")
        values = scale * raw[:, 4:260].view(np.int8).astype(np.float32)
    else:
        values = dequantize(raw.reshape(-1).view(np.float32) if name == "F32" else
                            raw.reshape(-1).view(np.float16) if name == "F16" else
                            raw.reshape(1, -1), Type[name])
    return np.ascontiguousarray(values, dtype="<f4")


def main():
    np.seterr(all="ignore")
    rng = np.random.default_rng(1)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quants.txt")
    with open(path, "w", encoding="ascii") as out:
        for name in NAMES:
            for scale in (0.0173, -1.5, 3e-6):  # ordinary, negative, a subnormal half
                raw = blocks(name, rng, scale)
                out.write(f"{name} {raw.tobytes().hex()} {values_of(raw, name).tobytes().hex()}\n")
        for name in NAMES:
            values = values_of(random_blocks(name), name)
            bits = np.where(np.isnan(values), np.uint32(0x7fc00000), values.view(np.uint32))
            crc = zlib.crc32(bits.astype("<u4").tobytes())
            out.write(f"{name} crc {RANDOM_BLOCKS} {crc:08x}\n")


if __name__ == "__main__":
    main()
