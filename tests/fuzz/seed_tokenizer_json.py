#!/usr/bin/env python3
"""Write inputs for fuzz_tokenizer_json to start from: seed_tokenizer_json.py FOLDER

Each has one model and, in turn, one of the other components of each kind; small, so that many run.
"""
import itertools
import json
import pathlib
import sys

MODELS = [
    {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3, "<0x61>": 4},
     "merges": ["a b"], "byte_fallback": True, "unk_token": "a"},
    {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u2581": 3}, "merges": [["a", "b"]],
     "ignore_merges": True},
    {"type": "WordPiece", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4},
     "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    {"type": "Unigram", "vocab": [["<unk>", 0], ["\u2581", -1.5], ["a", -2], ["ab", -3]],
     "unk_id": 0, "byte_fallback": False},
]
NORMALIZERS = [
    None, {"type": "NFC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
     "strip_accents": None, "lowercase": True},
    {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
                                         {"type": "Replace", "pattern": {"String": " "},
                                          "content": "\u2581"}]},
    {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAAAYQA="},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
]
PRE_TOKENIZERS = [
    None, {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
    {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\s+"}, "behavior": "Isolated",
         "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
    {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"},
    {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"},
    {"type": "Punctuation", "behavior": "MergedWithPrevious"},
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
]
POST_PROCESSORS = [
    None, {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    {"type": "TemplateProcessing",
     "single": [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A"}}],
     "special_tokens": {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}},
]
ADDED = [[], [{"id": 5, "content": "<s>", "single_word": False, "lstrip": True, "rstrip": True,
               "normalized": False, "special": True},
              {"id": 9, "content": "x y", "single_word": True, "lstrip": False, "rstrip": False,
               "normalized": True, "special": False}]]
CONFIG = {"add_bos_token": True, "eos_token": {"content": "<s>"},
          "chat_template": [{"name": "default", "template": "{{ messages }}"}]}
GENERATION = {"eos_token_id": [0, 2], "bos_token_id": 1}


def main():
    folder = pathlib.Path(sys.argv[1])
    cycles = [itertools.cycle(part) for part in
              (MODELS, PRE_TOKENIZERS, POST_PROCESSORS, ADDED)]
    for number, normalizer in enumerate(NORMALIZERS * 4):
        model, pre_tokenizer, post_processor, added = map(next, cycles)
        document = {"model": model, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
                    "post_processor": post_processor, "added_tokens": added}
        document = {key: value for key, value in document.items() if value}
        beside = (CONFIG, GENERATION, {"eos_token": "<s>"}) if number % 6 == 0 else ({}, {}, {})
        parts = [json.dumps(part, separators=(",", ":"), ensure_ascii=number % 2 == 0)
                 for part in (document, *beside)]
        (folder / f"seed{number}").write_bytes("\0".join(parts + ["ab a x y <s>b"]).encode())


main()
