#!/usr/bin/env python3
"""Tiny models of every architecture, with seeded random weights, as GGUF files and as folders.

    tiny_models.py --list
    tiny_models.py NAME OUT [--format gguf|folder] [--type f32|f16|bf16] [--shards N]
                            [--vocabulary bytes|ended|pieces|words] [--style hub|parameters]

Both forms hold the same weights under the names, in the layout and with the keys that the usual
converter and the transformers library give them. The weights are large enough, and no norm is one
and no bias zero, that a step left out or done in another order shows in the logits. Needs: numpy,
gguf. --style parameters writes config.json as transformers 5 does (`rope_parameters`), hub as the
folders on the Hub are (`rope_theta`, `rope_scaling`).
"""
import argparse
import dataclasses
import json
import math
import pathlib
import zlib

import gguf
import numpy

import safetensors_file
import tiny_vocabularies

MATRIX_DEVIATION = 0.15
EMBEDDING_DEVIATION = 0.2
NORM_DEVIATION = 0.2
BIAS_DEVIATION = 0.2
POOLINGS = {1: "mean", 2: "cls", 3: "lasttoken"}


@dataclasses.dataclass
class Shape:
    """What a model is like; a tiny model is one of these and a name."""
    architecture: str  # general.architecture of the GGUF file
    hf: str            # model_type of config.json
    hf_class: str      # architectures of config.json
    vocabulary: str = "bytes"
    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 16
    hidden: int = 160
    context: int = 256
    epsilon: float = 1e-5
    base: float = 1e4
    tied: bool = True
    permuted: bool = False     # GGUF keeps the rows of Q and K in pairs
    qkv_bias: bool = False
    all_biases: bool = False   # also of the output and of the feed-forward
    qk_norm: bool = False
    gemma: bool = False        # norms hold weight - 1 in a folder; norms behind the blocks too
    fused: bool = False        # qkv_proj, gate_up_proj
    window: int = 0
    window_every: int = 0      # each so many layers one sees everything
    rotary: float = 1.0        # share of a head that is rotated
    scaling: dict = None       # rope_scaling of config.json
    experts: int = 0
    experts_used: int = 0
    expert_names: tuple = ()
    config: dict = dataclasses.field(default_factory=dict)  # more of config.json
    keys: dict = dataclasses.field(default_factory=dict)    # more of the GGUF file, with types

    @property
    def pooling(self):
        """How a text's vector is made; None of a model that generates."""
        usual = 1 if self.vocabulary == "words" else 0
        return POOLINGS.get(self.keys.get("pooling_type", ("uint32", usual))[1])

    @property
    def rotated(self):
        return int(self.rotary * self.head_size)


LLAMA = Shape("llama", "llama", "LlamaForCausalLM", permuted=True, tied=False)
QWEN2 = Shape("qwen2", "qwen2", "Qwen2ForCausalLM", qkv_bias=True, base=1e6, epsilon=1e-6,
              config={"use_sliding_window": False})
QWEN3 = Shape("qwen3", "qwen3", "Qwen3ForCausalLM", qk_norm=True, base=1e6, epsilon=1e-6,
              head_size=32)
GEMMA3 = Shape("gemma3", "gemma3_text", "Gemma3ForCausalLM", "pieces", layers=7, gemma=True,
               qk_norm=True, head_size=32, base=1e6, epsilon=1e-6, window=16, window_every=6,
               config={"rope_local_base_freq": 1e4, "query_pre_attn_scalar": 32})
PHI3 = Shape("phi3", "phi3", "Phi3ForCausalLM", "pieces", fused=True, rotary=0.75, tied=False)
MIXTRAL = ("block_sparse_moe.gate", "block_sparse_moe.experts.{}.w1", "block_sparse_moe.experts.{}.w3",
           "block_sparse_moe.experts.{}.w2")
QWEN_MOE = ("mlp.gate", "mlp.experts.{}.gate_proj", "mlp.experts.{}.up_proj",
            "mlp.experts.{}.down_proj")
LONGROPE = {"type": "longrope", "short_factor": [1.0, 1.1, 1.25, 1.4, 1.5, 1.6],
            "long_factor": [1.2, 1.9, 3.1, 4.5, 6.0, 8.5]}


def variant(shape, **changes):
    return dataclasses.replace(shape, **changes)


MODELS = {
    "tiny-llama": LLAMA,
    "tiny-llama-biases": variant(LLAMA, qkv_bias=True, all_biases=True, tied=True,
                                 config={"attention_bias": True, "mlp_bias": True}),
    "tiny-llama-linear": variant(LLAMA, scaling={"type": "linear", "factor": 4.0}),
    "tiny-llama-yarn": variant(LLAMA, base=100.0, scaling={
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}),
    "tiny-llama-yarn-ramp": variant(LLAMA, base=100.0, scaling={
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
        "beta_fast": 2.0, "beta_slow": 0.25}),
    "tiny-llama-yarn-factor": variant(LLAMA, base=100.0, scaling={
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
        "attention_factor": 0.9}),
    "tiny-llama3": variant(LLAMA, base=1e3, tied=True, scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}),
    "tiny-llama-longrope": variant(LLAMA, scaling={
        **LONGROPE, "original_max_position_embeddings": 32, "factor": 8.0,
        "short_factor": [1.0, 1.05, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6],
        "long_factor": [1.1, 1.4, 2.0, 2.9, 3.8, 5.0, 6.5, 8.0]}),
    "tiny-mistral": variant(LLAMA, hf="mistral", hf_class="MistralForCausalLM", vocabulary="pieces",
                            head_size=32, config={"head_dim": 32, "sliding_window": None}),
    "tiny-mixtral": variant(LLAMA, hf="mixtral", hf_class="MixtralForCausalLM", experts=8,
                            experts_used=2, hidden=96, expert_names=MIXTRAL,
                            config={"sliding_window": None}),
    "tiny-smollm3": variant(LLAMA, architecture="smollm3", hf="smollm3", tied=True, layers=5,
                            hf_class="SmolLM3ForCausalLM",
                            config={"no_rope_layer_interval": 4, "no_rope_layers": [1, 1, 1, 0, 1],
                                    "pad_token_id": 0, "use_sliding_window": False}),
    "tiny-qwen2": QWEN2,
    "tiny-qwen2-yarn": variant(QWEN2, tied=False, base=1e4, scaling={
        "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}),
    "tiny-qwen3": QWEN3,
    "tiny-qwen3moe": variant(QWEN3, architecture="qwen3moe", hf="qwen3_moe",
                             hf_class="Qwen3MoeForCausalLM", experts=8, experts_used=4,
                             expert_names=QWEN_MOE,
                             config={"norm_topk_prob": True, "moe_intermediate_size": 48,
                                     "decoder_sparse_step": 1, "mlp_only_layers": []},
                             keys={"expert_feed_forward_length": ("uint32", 48)}),
    "tiny-gemma2": Shape("gemma2", "gemma2", "Gemma2ForCausalLM", "pieces", layers=4, gemma=True,
                         epsilon=1e-6, head_size=32, window=16, window_every=2,
                         config={"attn_logit_softcapping": 4.0, "final_logit_softcapping": 6.0,
                                 "query_pre_attn_scalar": 32},
                         keys={"attn_logit_softcapping": ("float32", 4.0),
                               "final_logit_softcapping": ("float32", 6.0)}),
    "tiny-gemma3": GEMMA3,
    "tiny-gemma3-linear": variant(GEMMA3, scaling={"rope_type": "linear", "factor": 8.0}),
    "tiny-gpt2": Shape("gpt2", "gpt2", "GPT2LMHeadModel", kv_heads=4, hidden=256, context=128),
    "tiny-phi3": variant(PHI3, window=16, rotary=1.0),
    "tiny-phi3-longrope": variant(PHI3, scaling=LONGROPE,
                                  config={"original_max_position_embeddings": 32}),
    "tiny-phi3-longrope-short": variant(PHI3, scaling=LONGROPE,
                                        config={"original_max_position_embeddings": 256}),
    "tiny-bert": Shape("bert", "bert", "BertModel", "words", layers=3, kv_heads=4, context=64,
                       epsilon=1e-12),
    "tiny-bert-cls": Shape("bert", "bert", "BertModel", "words", layers=2, kv_heads=4, context=64,
                           epsilon=1e-12, keys={"pooling_type": ("uint32", 2)}),
    "tiny-qwen3-embedding": variant(QWEN3, vocabulary="ended", hf_class="Qwen3Model",
                                    keys={"pooling_type": ("uint32", 3)}),
    "tiny-llama-embedding": variant(LLAMA, hf_class="LlamaModel",
                                    keys={"pooling_type": ("uint32", 1)}),
    "tiny-nomic-bert": Shape("nomic-bert", "nomic_bert", "NomicBertModel", "words", layers=3,
                             kv_heads=4, base=1e3, epsilon=1e-12),
}


class Weights:
    """The tensors of one model under both names, in the order in which they are drawn."""

    def __init__(self, name):
        self.random = numpy.random.default_rng(zlib.crc32(name.encode()))
        self.folder, self.gguf = {}, {}

    def draw(self, shape, deviation, mean=0.0):
        values = mean + deviation * self.random.standard_normal(shape)
        return values.astype(numpy.float32)

    def put(self, hf, values, to_gguf, gguf_values=None):
        if hf:
            self.folder[hf] = values
        if to_gguf:
            self.gguf[to_gguf] = values if gguf_values is None else gguf_values

    def matrix(self, hf, to_gguf, rows, columns, bias=False, pairs_of=0):
        """A weight [rows][columns] and perhaps its bias; `pairs_of` heads have their rows paired."""
        values = self.draw((rows, columns), MATRIX_DEVIATION)
        self.put(f"{hf}.weight", values, f"{to_gguf}.weight", in_pairs(values, pairs_of))
        if bias:
            values = self.draw(rows, BIAS_DEVIATION)
            self.put(f"{hf}.bias", values, f"{to_gguf}.bias", in_pairs(values, pairs_of))

    def norm(self, hf, to_gguf, size, bias=False, offset=0.0):
        """A norm's weight; a folder holds it without `offset`."""
        values = self.draw(size, NORM_DEVIATION, 1.0 - offset)
        shown = values + numpy.float32(offset)
        self.put(f"{hf}.weight", values, f"{to_gguf}.weight", shown)
        if bias:
            self.put(f"{hf}.bias", self.draw(size, BIAS_DEVIATION), f"{to_gguf}.bias")

    def embedding(self, hf, to_gguf, rows, columns):
        self.put(f"{hf}.weight", self.draw((rows, columns), EMBEDDING_DEVIATION),
                 f"{to_gguf}.weight")


def in_pairs(values, heads):
    """Rows i and i + size/2 of each head side by side, as the converter does for llama's RoPE."""
    if not heads:
        return None
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


# --- weights --------------------------------------------------------------------------------------

def attention(weights, shape, hf, to_gguf):
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    if shape.fused:
        weights.matrix(hf + "qkv_proj", to_gguf + "attn_qkv", queries + 2 * keys, shape.width)
    else:
        for letter, rows in (("q", queries), ("k", keys), ("v", keys)):
            paired = {"q": shape.heads, "k": shape.kv_heads}.get(letter, 0) * shape.permuted
            weights.matrix(f"{hf}{letter}_proj", f"{to_gguf}attn_{letter}", rows, shape.width,
                           shape.qkv_bias, paired)
    weights.matrix(hf + "o_proj", to_gguf + "attn_output", shape.width, queries, shape.all_biases)
    if shape.qk_norm:
        for letter in "qk":
            weights.norm(f"{hf}{letter}_norm", f"{to_gguf}attn_{letter}_norm", shape.head_size,
                         offset=1.0 * shape.gemma)


def feed_forward(weights, shape, hf, to_gguf):
    if shape.experts:
        experts(weights, shape, hf, to_gguf)
    elif shape.fused:
        weights.matrix(hf + "mlp.gate_up_proj", to_gguf + "ffn_up", 2 * shape.hidden, shape.width)
        weights.matrix(hf + "mlp.down_proj", to_gguf + "ffn_down", shape.width, shape.hidden)
    else:
        for part, rows, columns in (("gate", shape.hidden, shape.width),
                                    ("up", shape.hidden, shape.width),
                                    ("down", shape.width, shape.hidden)):
            weights.matrix(f"{hf}mlp.{part}_proj", f"{to_gguf}ffn_{part}", rows, columns,
                           shape.all_biases)


def experts(weights, shape, hf, to_gguf):
    """One tensor for each expert in a folder, one for all in a GGUF file."""
    router, *parts = shape.expert_names
    hidden = shape.config.get("moe_intermediate_size", shape.hidden)
    weights.matrix(hf + router, to_gguf + "ffn_gate_inp", shape.experts, shape.width)
    for name, part, rows, columns in zip(parts, ("gate", "up", "down"),
                                         (hidden, hidden, shape.width),
                                         (shape.width, shape.width, hidden)):
        all_ = [weights.draw((rows, columns), MATRIX_DEVIATION) for _ in range(shape.experts)]
        for expert, values in enumerate(all_):
            weights.put(f"{hf}{name.format(expert)}.weight", values, None)
        weights.put(None, None, f"{to_gguf}ffn_{part}_exps.weight", numpy.stack(all_))


def decoder(name, shape):
    weights = Weights(name)
    offset = 1.0 * shape.gemma
    front = "model." if "For" in shape.hf_class else ""  # a class without a head has bare names
    weights.embedding(front + "embed_tokens", "token_embd", tiny_vocabularies.SIZE, shape.width)
    for layer in range(shape.layers):
        hf, to_gguf = f"{front}layers.{layer}.", f"blk.{layer}."
        weights.norm(hf + "input_layernorm", to_gguf + "attn_norm", shape.width, offset=offset)
        attention(weights, shape, hf + "self_attn.", to_gguf)
        if shape.gemma:
            for theirs, ours in (("post_attention", "post_attention_norm"),
                                 ("pre_feedforward", "ffn_norm"),
                                 ("post_feedforward", "post_ffw_norm")):
                weights.norm(f"{hf}{theirs}_layernorm", to_gguf + ours, shape.width, offset=offset)
        else:
            weights.norm(hf + "post_attention_layernorm", to_gguf + "ffn_norm", shape.width)
        feed_forward(weights, shape, hf, to_gguf)
    weights.norm(front + "norm", "output_norm", shape.width, offset=offset)
    if front and not shape.tied:
        weights.embedding("lm_head", "output", tiny_vocabularies.SIZE, shape.width)
    for part, factors in rope_factors(shape).items():
        weights.put(None, None, part, numpy.array(factors, numpy.float32))
    return weights


def gpt2(name, shape):
    """Folders keep GPT-2's matrices as [inputs][outputs]."""
    weights = Weights(name)
    weights.embedding("transformer.wte", "token_embd", tiny_vocabularies.SIZE, shape.width)
    weights.embedding("transformer.wpe", "position_embd", shape.context, shape.width)
    for layer in range(shape.layers):
        hf, to_gguf = f"transformer.h.{layer}.", f"blk.{layer}."
        weights.norm(hf + "ln_1", to_gguf + "attn_norm", shape.width, bias=True)
        weights.norm(hf + "ln_2", to_gguf + "ffn_norm", shape.width, bias=True)
        for theirs, ours, rows, columns in (
                ("attn.c_attn", "attn_qkv", 3 * shape.width, shape.width),
                ("attn.c_proj", "attn_output", shape.width, shape.width),
                ("mlp.c_fc", "ffn_up", shape.hidden, shape.width),
                ("mlp.c_proj", "ffn_down", shape.width, shape.hidden)):
            weights.matrix(hf + theirs, to_gguf + ours, rows, columns, bias=True)
            turned = numpy.ascontiguousarray(weights.folder[f"{hf}{theirs}.weight"].T)
            weights.folder[f"{hf}{theirs}.weight"] = turned
    weights.norm("transformer.ln_f", "output_norm", shape.width, bias=True)
    return weights


def bert_embeddings(weights, shape, norm):
    weights.embedding("embeddings.word_embeddings", "token_embd", tiny_vocabularies.SIZE,
                      shape.width)
    weights.embedding("embeddings.token_type_embeddings", "token_types", 2, shape.width)
    weights.norm(norm, "token_embd_norm", shape.width, bias=True)


def bert(name, shape):
    weights = Weights(name)
    bert_embeddings(weights, shape, "embeddings.LayerNorm")
    weights.embedding("embeddings.position_embeddings", "position_embd", shape.context, shape.width)
    for layer in range(shape.layers):
        hf, to_gguf = f"encoder.layer.{layer}.", f"blk.{layer}."
        for theirs, ours, rows, columns in (
                ("attention.self.query", "attn_q", shape.width, shape.width),
                ("attention.self.key", "attn_k", shape.width, shape.width),
                ("attention.self.value", "attn_v", shape.width, shape.width),
                ("attention.output.dense", "attn_output", shape.width, shape.width),
                ("intermediate.dense", "ffn_up", shape.hidden, shape.width),
                ("output.dense", "ffn_down", shape.width, shape.hidden)):
            weights.matrix(hf + theirs, to_gguf + ours, rows, columns, bias=True)
        weights.norm(hf + "attention.output.LayerNorm", to_gguf + "attn_output_norm", shape.width,
                     bias=True)
        weights.norm(hf + "output.LayerNorm", to_gguf + "layer_output_norm", shape.width, bias=True)
    pooler = weights.draw((shape.width, shape.width), MATRIX_DEVIATION)
    weights.put("pooler.dense.weight", pooler, None)
    weights.put("pooler.dense.bias", weights.draw(shape.width, BIAS_DEVIATION), None)
    return weights


def nomic_bert(name, shape):
    weights = Weights(name)
    bert_embeddings(weights, shape, "emb_ln")
    for layer in range(shape.layers):
        hf, to_gguf = f"encoder.layers.{layer}.", f"blk.{layer}."
        for theirs, ours, rows, columns in (
                ("attn.Wqkv", "attn_qkv", 3 * shape.width, shape.width),
                ("attn.out_proj", "attn_output", shape.width, shape.width),
                ("mlp.fc11", "ffn_up", shape.hidden, shape.width),
                ("mlp.fc12", "ffn_gate", shape.hidden, shape.width),
                ("mlp.fc2", "ffn_down", shape.width, shape.hidden)):
            weights.matrix(hf + theirs, to_gguf + ours, rows, columns)
        weights.norm(hf + "norm1", to_gguf + "attn_output_norm", shape.width, bias=True)
        weights.norm(hf + "norm2", to_gguf + "layer_output_norm", shape.width, bias=True)
    return weights


BUILDERS = {"gpt2": gpt2, "bert": bert, "nomic-bert": nomic_bert}


def build(name):
    shape = MODELS[name]
    return shape, BUILDERS.get(shape.architecture, decoder)(name, shape)


# --- RoPE -----------------------------------------------------------------------------------------

def scaling_type(shape):
    scaling = shape.scaling or {}
    return scaling.get("type", scaling.get("rope_type"))


def original_context(shape):
    places = (shape.config, shape.scaling or {})
    return next((place["original_max_position_embeddings"] for place in places
                 if "original_max_position_embeddings" in place), shape.context)


def rope_factors(shape):
    """The tensors by which frequencies are divided."""
    scaling = shape.scaling
    if scaling_type(shape) == "longrope":
        return {f"rope_factors_{part}.weight": scaling[f"{part}_factor"]
                for part in ("long", "short")}
    if scaling_type(shape) != "llama3":
        return {}
    factors = []
    for i in range(0, shape.head_size, 2):
        length = 2 * math.pi * shape.base ** (i / shape.head_size)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        turns = scaling["original_max_position_embeddings"] / length
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return {"rope_freqs.weight": factors}


def scaling_keys(shape):
    """rope.scaling.*, as the converter derives it from config.json."""
    scaling, kind = shape.scaling or {}, scaling_type(shape)
    keys = {}
    if kind in ("linear", "yarn"):
        keys["type"] = ("string", kind)
        keys["factor"] = ("float32", scaling["factor"])
    if kind == "yarn":
        for theirs, ours in (("attention_factor", "yarn_attn_factor"),
                             ("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")):
            if theirs in scaling:
                keys[ours] = ("float32", scaling[theirs])
    if kind == "longrope":
        if shape.architecture != "phi3":  # the converter writes no type for phi3
            keys["type"] = ("string", kind)
        factor = shape.context / original_context(shape)
        stretch = math.log(factor) / math.log(original_context(shape))
        keys["attn_factor"] = ("float32", math.sqrt(1 + stretch))
    if kind in ("yarn", "longrope") or shape.architecture == "phi3":
        keys["original_context_length"] = ("uint32", original_context(shape))
    return {f"rope.scaling.{key}": value for key, value in keys.items()}


# --- GGUF -----------------------------------------------------------------------------------------

def gguf_keys(shape):
    keys = {"context_length": ("uint32", shape.context),
            "embedding_length": ("uint32", shape.width),
            "block_count": ("uint32", shape.layers),
            "feed_forward_length": ("uint32", shape.hidden),
            "attention.head_count": ("uint32", shape.heads)}
    encoder = shape.vocabulary == "words"
    if shape.architecture == "gpt2" or encoder:
        keys["attention.layer_norm_epsilon"] = ("float32", shape.epsilon)
    else:
        keys["attention.layer_norm_rms_epsilon"] = ("float32", shape.epsilon)
        keys["attention.head_count_kv"] = ("uint32", shape.kv_heads)
        if shape.head_size * shape.heads != shape.width:
            keys["attention.key_length"] = ("uint32", shape.head_size)
            keys["attention.value_length"] = ("uint32", shape.head_size)
        if shape.permuted or shape.fused:
            keys["rope.dimension_count"] = ("uint32", shape.rotated)
    if shape.architecture not in ("gpt2", "bert", "gemma2"):
        keys["rope.freq_base"] = ("float32", shape.base)
    if encoder:
        keys["attention.causal"] = ("bool", False)
        keys["pooling_type"] = ("uint32", 1)
    if shape.window or shape.fused:
        keys["attention.sliding_window"] = ("uint32", shape.window)
    if shape.experts:
        keys["expert_count"] = ("uint32", shape.experts)
        keys["expert_used_count"] = ("uint32", shape.experts_used)
    if shape.architecture in ("llama", "smollm3"):
        keys["vocab_size"] = ("uint32", tiny_vocabularies.SIZE)
    return {**keys, **scaling_keys(shape), **shape.keys}


def write_gguf(name, path, kind="F32", vocabulary=None):
    shape, weights = build(name)
    writer = gguf.GGUFWriter(path, shape.architecture)
    for key, (type_, value) in gguf_keys(shape).items():
        getattr(writer, "add_" + type_)(f"{shape.architecture}.{key}", value)
    writer.add_file_type({"F32": 0, "F16": 1, "BF16": 32}[kind])
    words = tiny_vocabularies.VOCABULARIES[vocabulary or shape.vocabulary]()
    tiny_vocabularies.add_to_gguf(words, writer)
    for tensor, values in weights.gguf.items():
        small = values.ndim == 1 or kind == "F32" or "ffn_gate_inp" in tensor
        if small:
            writer.add_tensor(tensor, values)
        elif kind == "F16":
            writer.add_tensor(tensor, values.astype(numpy.float16))
        else:
            halves = safetensors_file.to_bfloat16(values).view(numpy.uint8)
            writer.add_tensor(tensor, halves, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- folders --------------------------------------------------------------------------------------

def decoder_config(shape):
    config = {"hidden_size": shape.width, "intermediate_size": shape.hidden,
              "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
              "num_key_value_heads": shape.kv_heads, "max_position_embeddings": shape.context,
              "rms_norm_eps": shape.epsilon, "rope_theta": shape.base, "rope_scaling": shape.scaling,
              "tie_word_embeddings": shape.tied, "hidden_act": "silu"}
    if shape.head_size * shape.heads != shape.width:
        config["head_dim"] = shape.head_size
    if shape.gemma:
        config["hidden_activation"] = "gelu_pytorch_tanh"
        del config["hidden_act"]
    if shape.window:
        config["sliding_window"] = shape.window
    if shape.window_every == 6:
        config["sliding_window_pattern"] = 6
    if shape.fused:
        config["original_max_position_embeddings"] = original_context(shape)
        config["partial_rotary_factor"] = shape.rotary
        config["pad_token_id"] = 0
    if shape.experts:
        count = "num_local_experts" if shape.hf == "mixtral" else "num_experts"
        config.update({count: shape.experts, "num_experts_per_tok": shape.experts_used})
    return config


def gpt2_config(shape):
    return {"n_embd": shape.width, "n_layer": shape.layers, "n_head": shape.heads,
            "n_positions": shape.context, "n_ctx": shape.context, "n_inner": None,
            "layer_norm_epsilon": shape.epsilon, "activation_function": "gelu_new",
            "tie_word_embeddings": True}


def encoder_config(shape):
    config = {"hidden_size": shape.width, "intermediate_size": shape.hidden,
              "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
              "max_position_embeddings": shape.context, "layer_norm_eps": shape.epsilon,
              "type_vocab_size": 2, "pad_token_id": 0, "hidden_act": "gelu"}
    if shape.hf == "nomic_bert":
        config.update(hidden_act="silu", rope_parameters={"rope_type": "default",
                                                          "rope_theta": shape.base})
    else:
        config["position_embedding_type"] = "absolute"
    return config


def with_parameters(config):
    """config.json as transformers 5 writes it: all of RoPE in one place."""
    config = dict(config)
    if "rope_theta" not in config:
        return config
    scaling = dict(config.pop("rope_scaling") or {})
    scaling["rope_type"] = scaling.pop("type", scaling.get("rope_type", "default"))
    scaling["rope_theta"] = config.pop("rope_theta")
    if "partial_rotary_factor" in config:
        scaling["partial_rotary_factor"] = config.pop("partial_rotary_factor")
    if "rope_local_base_freq" in config:
        local = {"rope_type": "default", "rope_theta": config.pop("rope_local_base_freq")}
        every = config.pop("sliding_window_pattern")
        config["layer_types"] = ["sliding_attention" if (layer + 1) % every else "full_attention"
                                 for layer in range(config["num_hidden_layers"])]
        scaling = {"full_attention": scaling, "sliding_attention": local}
    config["rope_parameters"] = scaling
    return config


def folder_config(shape, kind, words, style):
    make = {"gpt2": gpt2_config, "bert": encoder_config, "nomic_bert": encoder_config}
    config = {"architectures": [shape.hf_class], "model_type": shape.hf,
              **make.get(shape.hf, decoder_config)(shape), **shape.config,
              "vocab_size": tiny_vocabularies.SIZE}
    if words.kind != "bert":
        config.update(bos_token_id=words.roles["bos"], eos_token_id=words.roles["eos"])
    dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[kind]
    if style == "hub":
        return {**config, "torch_dtype": dtype}
    return with_parameters({**config, "dtype": dtype})


def write_pooling(shape, folder):
    """What sentence-transformers adds to a folder."""
    pooling = {"word_embedding_dimension": shape.width,
               "pooling_mode_cls_token": shape.pooling == "cls",
               "pooling_mode_mean_tokens": shape.pooling == "mean",
               "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False,
               "pooling_mode_lasttoken": shape.pooling == "lasttoken"}
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(folder / "modules.json",
               [{"idx": index, "name": str(index), "path": path,
                 "type": "sentence_transformers.models." + kind}
                for index, (kind, path) in enumerate(modules)])
    write_json(folder / "sentence_bert_config.json",
               {"max_seq_length": shape.context, "do_lower_case": False})


def write_json(path, content):
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_folder(name, path, kind="F32", shards=1, vocabulary=None, style="hub"):
    shape, weights = build(name)
    folder = pathlib.Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    words = tiny_vocabularies.VOCABULARIES[vocabulary or shape.vocabulary]()
    write_json(folder / "config.json", folder_config(shape, kind, words, style))
    safetensors_file.write_folder(folder, weights.folder, kind, shards)
    tiny_vocabularies.write_folder(words, folder)
    if shape.pooling:
        write_pooling(shape, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=MODELS, metavar="NAME")
    parser.add_argument("out", nargs="?", metavar="OUT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--format", choices=("gguf", "folder"), default="gguf")
    parser.add_argument("--type", choices=("f32", "f16", "bf16"), default="f32")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--vocabulary", choices=tiny_vocabularies.VOCABULARIES)
    parser.add_argument("--style", choices=("hub", "parameters"), default="hub")
    options = parser.parse_args()
    if options.list:
        print("\n".join(MODELS))
    elif not options.out:
        parser.error("NAME and OUT are needed")
    elif options.format == "gguf":
        write_gguf(options.name, options.out, options.type.upper(), options.vocabulary)
    else:
        write_folder(options.name, options.out, options.type.upper(), options.shards,
                     options.vocabulary, options.style)


if __name__ == "__main__":
    main()
