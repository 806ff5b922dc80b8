#!/usr/bin/env python3
"""`tokenize` and `detokenize` on files that hold a vocabulary and no weights: the reference ids, and
the text back where the tokenizer keeps it."""
import golden

SEPARATOR = "\n__ggml_vocab_test__\n"
KEEPS_THE_TEXT = {"gpt-2": True, "llama-bpe": True, "qwen2": True, "llama-spm": True,
                  "bert-bge": False}


def main():
    folder = golden.need("INFERFS_SHARED") / "vectors" / "tokenizers"
    report = golden.Report()
    for name, keeps_the_text in KEEPS_THE_TEXT.items():
        model = folder / f"ggml-vocab-{name}.gguf"
        texts = (folder / f"{model.name}.inp").read_bytes().decode().split(SEPARATOR)[:-1]
        wanted = [golden.ids(line) for line in (folder / f"{model.name}.out").read_text().split("\n")]
        lines = golden.engine("tokenize", model, "--null", text="\0".join(texts)).split("\n")
        got = [golden.ids(line) for line in lines]
        report.check(got[:len(texts)] == wanted[:len(texts)], f"{name}: ids of {len(texts)} texts")
        if keeps_the_text:
            long = "".join(texts)
            ids = golden.engine("tokenize", model, text=long)
            report.check(golden.engine("detokenize", model, text=ids) == long,
                         f"{name}: the text comes back")
    report.exit()


main()
