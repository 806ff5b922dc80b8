#!/usr/bin/env python3
"""Writes SmolLM2's weights as float32 GGUF and as a Hugging Face folder in BF16.

    make_smollm2_folder.py MODEL.gguf [--gguf OUT.gguf] [--rounded OUT.gguf] [--folder OUT]
                           [--type bf16|f16|f32]

The weights are those of a quantised llama GGUF file (MODEL.gguf), taken out of their blocks.
--gguf holds them as they are, --rounded what is left of them after rounding to --type, the folder
the same rounded values in that type: a GGUF file and a folder that must give the same logits, and a
third file that says what the rounding costs. Needs: numpy, gguf.
"""
import argparse
import json
import pathlib
import sys

import gguf
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import safetensors_file  # noqa: E402

NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
         "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
CONTROL = 3


def folder_name(name):
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`."""
    *block, part, kind = name.split(".")
    return f"model.layers.{block[1]}.{NAMES[part]}.{kind}" if block else f"{NAMES[part]}.{kind}"


def out_of_pairs(values, heads):
    """The converter put rows i and i + size/2 of a head side by side; this puts them back."""
    pairs = values.reshape(heads, -1, 2, values.shape[1])
    return numpy.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def read(path):
    reader = gguf.GGUFReader(path)
    keys = {field.name: field.contents() for field in reader.fields.values()}
    tensors = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
               .astype(numpy.float32) for tensor in reader.tensors}
    return reader, keys, tensors


def rounded(values, kind):
    coded = safetensors_file.encode(values, kind)
    if kind == "BF16":
        return (coded.astype(numpy.uint32) << 16).view(numpy.float32)
    return coded.astype(numpy.float32)


def write_gguf(path, reader, tensors):
    """A copy with all keys but the file's type, and all tensors in float32."""
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture",
                                                            "general.file_type"):
            continue
        of = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], of)
    writer.add_file_type(0)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- the folder -----------------------------------------------------------------------------------

def config(keys, kind, tied):
    heads = keys["llama.attention.head_count"]
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False,
            "bos_token_id": keys["tokenizer.ggml.bos_token_id"],
            "eos_token_id": keys["tokenizer.ggml.eos_token_id"],
            "pad_token_id": keys["tokenizer.ggml.padding_token_id"],
            "hidden_size": keys["llama.embedding_length"],
            "intermediate_size": keys["llama.feed_forward_length"],
            "num_hidden_layers": keys["llama.block_count"], "num_attention_heads": heads,
            "num_key_value_heads": keys["llama.attention.head_count_kv"],
            "max_position_embeddings": keys["llama.context_length"],
            "rms_norm_eps": round(keys["llama.attention.layer_norm_rms_epsilon"], 9),
            "rope_theta": keys["llama.rope.freq_base"], "rope_scaling": None,
            "tie_word_embeddings": tied, "vocab_size": len(keys["tokenizer.ggml.tokens"]),
            "torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[kind]}


def added_tokens(keys):
    types = keys["tokenizer.ggml.token_type"]
    return {id_: {"content": text, "lstrip": False, "normalized": False, "rstrip": False,
                  "single_word": False, "special": True}
            for id_, text in enumerate(keys["tokenizer.ggml.tokens"]) if types[id_] == CONTROL}


def tokenizer(keys):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": id_, **token} for id_, token in added_tokens(keys).items()],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Digits", "individual_digits": True}, level]},
            "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": {text: id_ for id_, text in
                                enumerate(keys["tokenizer.ggml.tokens"])},
                      "merges": keys["tokenizer.ggml.merges"]}}


def tokenizer_config(keys):
    tokens = keys["tokenizer.ggml.tokens"]
    roles = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding",
             "unk_token": "unknown"}
    return {"add_prefix_space": False, "added_tokens_decoder": added_tokens(keys),
            **{theirs: tokens[keys[f"tokenizer.ggml.{ours}_token_id"]]
               for theirs, ours in roles.items()},
            "chat_template": keys["tokenizer.chat_template"],
            "clean_up_tokenization_spaces": False, "model_max_length": keys["llama.context_length"],
            "tokenizer_class": "GPT2Tokenizer", "vocab_size": len(tokens)}


def write_folder(path, keys, tensors, kind):
    folder = pathlib.Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    heads = {"attn_q": keys["llama.attention.head_count"],
             "attn_k": keys["llama.attention.head_count_kv"]}
    named = {}
    for name, values in tensors.items():
        part = name.split(".")[-2]
        named[folder_name(name)] = out_of_pairs(values, heads[part]) if part in heads else values
    safetensors_file.write_folder(folder, named, kind)
    for name, content in (("config.json", config(keys, kind, "output.weight" not in tensors)),
                          ("tokenizer.json", tokenizer(keys)),
                          ("tokenizer_config.json", tokenizer_config(keys))):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n",
                                   encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("--gguf", metavar="OUT.gguf")
    parser.add_argument("--rounded", metavar="OUT.gguf")
    parser.add_argument("--folder", metavar="OUT")
    parser.add_argument("--type", choices=("bf16", "f16", "f32"), default="bf16")
    options = parser.parse_args()
    kind = options.type.upper()
    reader, keys, tensors = read(options.model)
    if options.gguf:
        write_gguf(options.gguf, reader, tensors)
    if options.rounded:
        write_gguf(options.rounded, reader,
                   {name: rounded(values, kind) for name, values in tensors.items()})
    if options.folder:
        write_folder(options.folder, keys, tensors, kind)


if __name__ == "__main__":
    main()
