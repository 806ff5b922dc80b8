#!/usr/bin/env python3
"""Write all-MiniLM-L6-v2, a Hugging Face folder, as a GGUF file with F16 matrices.

usage: minilm_gguf.py FOLDER OUT.gguf          (needs numpy and gguf)
"""
import json
import pathlib
import sys

import gguf
import numpy

NAMES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def tensors(path):
    """Name and values of each tensor of a safetensors file in float32."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            values = numpy.frombuffer(raw[8 + size + begin:8 + size + end], "<f4")
            yield name, values.reshape(entry["shape"])


def name_of(name):
    """The GGUF name of a tensor, or None for one that is not used."""
    prefix, rest = "", name
    if name.startswith("encoder.layer."):
        number, rest = name[len("encoder.layer."):].split(".", 1)
        prefix = f"blk.{number}."
    for theirs, ours in sorted(NAMES.items(), key=lambda pair: -len(pair[0])):
        if rest == theirs or rest.startswith(theirs + "."):
            return prefix + ours + rest[len(theirs):]
    return None


def write_tokenizer(writer, folder):
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

    def spelled(token):
        if token in special or token.startswith("[unused"):
            return token
        return token[2:] if token.startswith("##") else "\u2581" + token

    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list([spelled(token) for token in tokens])
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_type_count(2)
    writer.add_bos_token_id(vocabulary["[CLS]"])
    writer.add_unk_token_id(vocabulary["[UNK]"])
    writer.add_sep_token_id(vocabulary["[SEP]"])
    writer.add_pad_token_id(vocabulary["[PAD]"])


def write(folder, out):
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(256)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    write_tokenizer(writer, folder)
    for name, values in tensors(folder / "model.safetensors"):
        ours = name_of(name)
        if ours is None:
            continue
        matrix = values.ndim == 2 and not ours.startswith(("position", "token_types"))
        writer.add_tensor(ours, values.astype(numpy.float16 if matrix else numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), sys.argv[2])
