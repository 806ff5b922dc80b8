#!/usr/bin/env python3
"""A small llama whose matrices are random blocks of each quantised type against the same model in
F32, its weights dequantised by the `gguf` package: what remains is the rounding of activations to
int8.  Whatever unpacks a block wrongly, anywhere between the file and the logits, shows here."""
import pathlib
import sys
import tempfile

import golden

try:
    import gguf
    import numpy as np
    from gguf.quants import dequantize
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(golden.SKIPPED)

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD, HIDDEN, CONTEXT = 2, 256, 4, 2, 64, 512, 128
TOKENS = 24
ERROR_MAX = 0.03  # root mean square of the logits' differences, of that of the logits

# For each type: where its f16 scale is, and how many scales its minimum must be for a mean of 0.
SCALES = {
    "Q4_0": (0, None), "Q4_1": (0, -7.5), "Q5_0": (0, None), "Q5_1": (0, -15.5), "Q8_0": (0, None),
    "Q2_K": (80, 1.5), "Q3_K": (108, None), "Q4_K": (0, 7.5), "Q5_K": (0, 15.5),
    "Q6_K": (208, None), "Q8_K": (0, None), "IQ4_NL": (0, None), "IQ4_XS": (0, None),
    "MXFP4": (0, None), "TQ1_0": (52, None), "TQ2_0": (64, None),
}


def put_scale(raw, name, scale):
    at, minimum = SCALES[name]
    if name == "MXFP4":
        raw[..., 0] = 128 + round(np.log2(scale))
    elif name == "Q8_K":
        raw[..., :4] = np.array([scale], "<f4").view(np.uint8)
    else:
        raw[..., at:at + 2] = np.array([scale], "<f2").view(np.uint8)
        if minimum is not None:
            raw[..., at + 2:at + 4] = np.array([scale * minimum], "<f2").view(np.uint8)


def values_of(raw, name, columns):
    rows = raw.shape[0]
    if name == "Q8_K":
        values = raw[..., :4].copy().view("<f4") * raw[..., 4:260].view(np.int8)
        return values.astype(np.float32).reshape(rows, columns)
    return dequantize(raw.reshape(rows, -1), gguf.GGMLQuantizationType[name])


def random_matrix(rng, name, rows, columns):
    """Bytes of blocks, and their values: of the size that keeps a layer's outputs near 1."""
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    raw = rng.integers(0, 256, (rows, columns // block, size), dtype=np.uint8)
    if name == "TQ2_0":  # without the fourth code, which no file has: the mean would not be 0
        digits = rng.integers(0, 3, (4, *raw.shape), dtype=np.uint8)
        raw = digits[0] | digits[1] << 2 | digits[2] << 4 | digits[3] << 6
    put_scale(raw, name, 1 / 64)
    put_scale(raw, name, float(columns ** -0.5 / values_of(raw, name, columns).std() / 64))
    return raw.reshape(rows, -1), values_of(raw, name, columns)


def writer_of(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    # The letters of byte-level BPE stand for the bytes that print; the rest for those that do not.
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printing] + [chr(256 + i) for i in range(256 - len(printing))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*letters, "ab", "<end>"])
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
    return writer


def shapes():
    keys = KV_HEADS * HEAD
    yield "token_embd.weight", 258, WIDTH
    for layer in range(LAYERS):
        for name, rows, columns in [
                ("attn_q", WIDTH, WIDTH), ("attn_k", keys, WIDTH), ("attn_v", keys, WIDTH),
                ("attn_output", WIDTH, WIDTH), ("ffn_gate", HIDDEN, WIDTH),
                ("ffn_up", HIDDEN, WIDTH), ("ffn_down", WIDTH, HIDDEN)]:
            yield f"blk.{layer}.{name}.weight", rows, columns
    yield "output.weight", 258, WIDTH


def make_models(rng, name, quantised, floats):
    writers = writer_of(quantised), writer_of(floats)
    for tensor, rows, columns in shapes():
        raw, values = random_matrix(rng, name, rows, columns)
        writers[0].add_tensor(tensor, raw, raw_dtype=gguf.GGMLQuantizationType[name])
        writers[1].add_tensor(tensor, np.ascontiguousarray(values, dtype=np.float32))
    norms = ["output_norm.weight"]
    norms += [f"blk.{i}.{norm}.weight" for i in range(LAYERS) for norm in ("attn_norm", "ffn_norm")]
    for norm in norms:
        values = (1 + 0.1 * rng.standard_normal(WIDTH)).astype(np.float32)
        for writer in writers:
            writer.add_tensor(norm, values)
    for writer in writers:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def main():
    golden.need("INFERFS_ENGINE")
    report = golden.Report()
    rng = np.random.default_rng(7)
    tokens = [int(token) for token in rng.integers(0, 256, TOKENS)]
    for name in SCALES:
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder, kind + ".gguf") for kind in ("quantised", "floats")]
            make_models(rng, name, *paths)
            got, expected = (np.array(golden.logits(path, tokens, path.with_suffix(".logits")))
                             for path in paths)
        error = np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected ** 2))
        report.check(error <= ERROR_MAX and np.isfinite(got).all(),
                     f"{name}: logits within {error:.4f} of their size, "
                     f"at most {np.abs(got - expected).max():.4f} of {np.abs(expected).max():.1f}")
    report.exit()


main()
