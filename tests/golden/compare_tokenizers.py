#!/usr/bin/env python3
"""compare_tokenizers.py - our ids against llama.cpp's and the `tokenizers` library's, on many
strings; and the small file of such ids that test_tokenizer.c reads.  Run by hand, not by tests/run.sh.

    compare_tokenizers.py gguf ENGINE MODEL.gguf [COUNT [SEED]]
        `ENGINE tokenize MODEL.gguf` against llama.cpp.
    compare_tokenizers.py bert ENGINE MODEL.gguf TOKENIZER.json [COUNT [SEED]]
        The same against `tokenizers`, for a WordPiece GGUF made from that tokenizer.json: shows where
        llama.cpp's reading of BERT differs from BERT's own.
    compare_tokenizers.py write MODEL.gguf... > tokenizer_strings.txt
        COUNT_WRITTEN strings and llama.cpp's ids of them for each vocabulary.

llama.cpp is the library $INFERFS_LLAMA_LIB, by way of the Python package llama_cpp.
"""
import ctypes
import os
import pathlib
import subprocess
import sys

from random_strings import strings

COUNT_WRITTEN = 500
SEED_WRITTEN = 4
SHOWN = 5


class Llama:
    """A vocabulary of llama.cpp."""

    def __init__(self, path):
        library = pathlib.Path(os.environ["INFERFS_LLAMA_LIB"])
        os.environ["LLAMA_CPP_LIB_PATH"] = str(library.parent)
        from llama_cpp import llama_cpp
        self.library = llama_cpp
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        self.vocabulary = llama_cpp.llama_model_get_vocab(model)

    def ids(self, text, special=False):
        data = text.encode()
        room = len(data) * 4 + 16
        out = (ctypes.c_int32 * room)()
        count = self.library.llama_tokenize(self.vocabulary, data, len(data), out, room, False,
                                            special)
        return list(out[:count])


def engine_ids(engine, model, texts):
    """The ids of each text, by one run."""
    lines = subprocess.run([engine, "tokenize", model, "--null"], check=True, capture_output=True,
                           input=b"\0".join(text.encode() for text in texts)).stdout.decode()
    return [[int(word) for word in line.split()] for line in lines.split("\n")[:len(texts)]]


def compare(texts, ours, reference):
    """Print the first differences; returns their number."""
    wrong = 0
    for text, got in zip(texts, ours):
        wanted = reference(text)
        if got != wanted:
            wrong += 1
            if wrong <= SHOWN:
                print(f"{text!r}\n  ours       {got}\n  reference  {wanted}")
    print(f"{len(texts)} strings, {wrong} differences")
    return wrong


def numbers(arguments):
    return int(arguments[0]) if arguments else 10000, int(arguments[1]) if arguments[1:] else 1


def compare_gguf(engine, model, *rest):
    count, seed = numbers(rest)
    texts = strings(seed, count)
    return compare(texts, engine_ids(engine, model, texts), Llama(model).ids)


def compare_bert(engine, model, reference, *rest):
    from tokenizers import Tokenizer
    count, seed = numbers(rest)
    texts = strings(seed, count)
    tokenizer = Tokenizer.from_file(reference)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return compare(texts, engine_ids(engine, model, texts),
                   lambda text: tokenizer.encode(text, add_special_tokens=False).ids)


def write(*models):
    """A line for each string: its UTF-8 in hexadecimal digits, then for each vocabulary a tab and the
    ids.  The first line names the vocabularies."""
    texts = [text for text in strings(SEED_WRITTEN, 4 * COUNT_WRITTEN) if len(text) < 100]
    texts = texts[:COUNT_WRITTEN // 2] + texts[-(COUNT_WRITTEN // 2):]
    names = [pathlib.Path(model).stem.removeprefix("ggml-vocab-") for model in models]
    vocabularies = [Llama(model) for model in models]
    print("\t".join(["text"] + names))
    for text in texts:
        ids = [" ".join(map(str, vocabulary.ids(text))) for vocabulary in vocabularies]
        print("\t".join([text.encode().hex()] + ids))
    return 0


def main():
    commands = {"gguf": compare_gguf, "bert": compare_bert, "write": write}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]) != 0)


if __name__ == "__main__":
    main()
