#!/usr/bin/env python3
"""Writes tiny_references.json: what transformers computes for every tiny model, in float32.

    make_references.py [--compare]

Keys and values of decoders are rounded to f16 as they are in our cache. That alone moves a logit
of these models by up to 0.009 (`rounding` in the file, for each model), which is more than most
mistakes do; with it in the reference the tests can ask for much less.

Run once when a model is added; the numbers are committed, so tests need neither torch nor
transformers. --compare also runs the GGUF form through llama.cpp (the llama-cpp-python package;
LLAMA_CPP_LIB_PATH may name another build) with its KV cache in float32 and says how far it is off:
two implementations, two file formats, one result. Known and meant differences are in KNOWN.
Needs: numpy, gguf, torch, transformers 5, tokenizers; llama-cpp-python for --compare.
"""
import ctypes
import importlib
import json
import pathlib
import sys
import tempfile

import numpy
import tokenizers
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tiny_models  # noqa: E402
import tiny_vocabularies  # noqa: E402

LONG, SHORT = 64, 24
PROBE = [0, 1, 2, 3, 40, 77, 101, 130, 199, 256, 290, 300, 333, 350, 380, 383]
TEXTS = ["the first water", "he said that it was a long way down.", "who called the people?",
         "she will find some other way to get there, and then we may see what they make of it; "
         "no one knows how many days it could take", "x", "Oil (and water) don't mix!", "zebra 42"]
KNOWN = {
    "tiny-phi3": "only what the window holds: llama.cpp has no window for phi3",
    "tiny-llama-yarn-factor": "llama.cpp does not read yarn_attn_factor of a llama",
}


def text_ids(name):
    """Ids without meaning, but always the same, for any of the vocabularies."""
    shape = tiny_models.MODELS[name]
    count = LONG if shape.window or shape.scaling or shape.layers > 2 else SHORT
    return numpy.random.default_rng(7).integers(4, tiny_vocabularies.SIZE, count).tolist()


def load(name, folder):
    embeds = tiny_models.MODELS[name].pooling
    kind = transformers.AutoModel if embeds else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return model.eval()


# --- transformers ---------------------------------------------------------------------------------

def run(model, ids):
    with torch.no_grad():
        output = model(torch.tensor([ids]))
    return (output.logits if "logits" in output else output.last_hidden_state)[0].double()


def run_with_cache(model, ids):
    """The same with keys (already turned by RoPE) and values as an f16 cache gives them back."""
    module = importlib.import_module(type(model).__module__)
    attention = module.eager_attention_forward

    def through_cache(owner, queries, keys, values, *rest, **more):
        return attention(owner, queries, keys.half().float(), values.half().float(), *rest, **more)

    module.eager_attention_forward = through_cache
    result = run(model, ids)
    module.eager_attention_forward = attention
    return result


def decoder_reference(model, ids):
    exact, logits = run(model, ids), run_with_cache(model, ids)
    best = logits.topk(2).values
    return exact.numpy(), {
        "rounding": round(float((exact - logits).abs().max()), 5), "tokens": ids, "argmax": logits.argmax(-1).tolist(),
        "gap": rounded(best[:, 0] - best[:, 1], 3),
        "logsumexp": rounded(logits.logsumexp(-1)),
        "logits": [rounded(row) for row in logits[:, PROBE]]}


def embedding_reference(model, folder, shape):
    """Sentence vectors; a token's own vectors only to compare with llama.cpp."""
    encoder = shape.vocabulary == "words"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts, states = [], []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        exact = run(model, ids)
        hidden = exact if encoder else run_with_cache(model, ids)
        states.append(exact.numpy())
        texts.append({"text": text, "tokens": ids, "mean": rounded(unit(hidden.mean(0)))})
        if encoder:
            texts[-1]["cls"] = rounded(unit(hidden[0]))
        else:
            texts[-1]["lasttoken"] = rounded(unit(hidden[-1]))
    return states, {"texts": texts}


def unit(vector):
    return vector / vector.norm()


def rounded(values, digits=5):
    return [round(float(value), digits) for value in values]


# --- llama.cpp ------------------------------------------------------------------------------------

def llama_rows(path, all_ids, shape):
    """Logits, or the states of a model that embeds, of each text."""
    encoder, scaling = shape.vocabulary == "words", shape.scaling or {}
    import llama_cpp
    llama_cpp.llama_log_set(SILENT, None)
    options = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)
    context_options = llama_cpp.llama_context_default_params()
    context_options.n_ctx = llama_cpp.llama_model_n_ctx_train(model)
    context_options.n_batch = context_options.n_ubatch = 256
    context_options.type_k = context_options.type_v = 0  # F32
    context_options.flash_attn_type = 0
    context_options.embeddings = shape.pooling is not None
    context_options.pooling_type = 0
    for beta in {"beta_fast", "beta_slow"} & {*scaling}:  # which it does not read for a llama
        setattr(context_options, "yarn_" + beta, scaling[beta])
    context_options.n_threads = context_options.n_threads_batch = 1
    rows = []
    for ids in all_ids:
        context = llama_cpp.llama_init_from_model(model, context_options)
        rows.append(llama_run(llama_cpp, context, ids, encoder, shape.pooling))
        llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return rows


def llama_run(llama_cpp, context, ids, encoder, embeds):
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.logits[i] = token, i, 1
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
    step = llama_cpp.llama_encode if encoder else llama_cpp.llama_decode
    if step(context, batch):
        sys.exit("llama.cpp fails")
    get = llama_cpp.llama_get_embeddings_ith if embeds else llama_cpp.llama_get_logits_ith
    width = 64 if embeds else tiny_vocabularies.SIZE
    return numpy.array([numpy.ctypeslib.as_array(get(context, i), (width,)).copy()
                        for i in range(len(ids))])


SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
    lambda level, text, data: None)


def compare(name, folder, all_ids, ours):
    path = folder / "model.gguf"
    tiny_models.write_gguf(name, path)
    shape = tiny_models.MODELS[name]
    rows = llama_rows(path, all_ids, shape)
    count = shape.window if shape.architecture == "phi3" and shape.window else LONG
    error = max(float(numpy.abs(a - b)[:count].max()) for a, b in zip(rows, ours))
    note = f" ({KNOWN[name]})" if name in KNOWN else ""
    print(f"{name}: llama.cpp off by {error:.6f}{note}", flush=True)


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    models = {}
    for name in tiny_models.MODELS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            tiny_models.write_folder(name, folder)
            model = load(name, folder)
            if tiny_models.MODELS[name].pooling:
                states, models[name] = embedding_reference(model, folder,
                                                           tiny_models.MODELS[name])
                all_ids = [text["tokens"] for text in models[name]["texts"]]
            else:
                ids = text_ids(name)
                logits, models[name] = decoder_reference(model, ids)
                states, all_ids = [logits], [ids]
            if "--compare" in sys.argv:
                compare(name, folder, all_ids, states)
    version = f"transformers {transformers.__version__}, torch {torch.__version__}, float32"
    lines = [f'  {json.dumps(name)}: {json.dumps(value, separators=(",", ":"))}'
             for name, value in models.items()]
    (HERE / "tiny_references.json").write_text(
        f'{{"made_by": "{version}",\n "probe": {json.dumps(PROBE)},\n "models": {{\n'
        + ",\n".join(lines) + "\n}}\n")


main()
