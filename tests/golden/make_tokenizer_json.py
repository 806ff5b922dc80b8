#!/usr/bin/env python3
"""make_tokenizer_json.py - folders with a tokenizer.json of every kind, by the `tokenizers` library.

    make_tokenizer_json.py OUT_DIR [VOCABULARIES_DIR]

Small ones are trained on a few hundred lines of random_strings.py; with VOCABULARIES_DIR (the
ggml-vocab-*.gguf files that llama.cpp tests with) also the real vocabularies of GPT-2, Qwen2,
Llama 3 and Llama 2, with the components that their tokenizer.json has.  Then, for each folder,

    random_strings.py ENGINE OUT_DIR/NAME OUT_DIR/NAME/tokenizer.json
"""
import json
import pathlib
import sys

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

import random_strings

MARK = "\u2581"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
         "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
         "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}"
         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(prefix=False, regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def texts():
    lines = random_strings.strings(7, 3000) + random_strings.WORDS * 20
    lines += ["the quick brown fox jumps over the lazy dog"] * 20
    special = random_strings.SPECIALS + [MARK]  # no merge must lead to them
    return [line for line in lines if line and not any(word in line for word in special)]


def trained(model, trainer, normalizer=None, pre_tokenizer=None, added=(), post=None, lines=None):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(lines or texts(), trainer)
    tokenizer.add_tokens(list(added))
    if post:
        tokenizer.post_processor = post
    return tokenizer


def bpe(normalizer=None, pre_tokenizer=None, added=(), **options):
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return trained(models.BPE(**options), trainer, normalizer, pre_tokenizer, added)


def marked_bpe(normalizer, pre_tokenizer=None, added=()):
    """Characters, with tokens for bytes, as SentencePiece models are converted."""
    specials = SPECIALS + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=specials, show_progress=False,
                                  limit_alphabet=300)
    tokenizer = trained(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), trainer,
                        normalizer, pre_tokenizer, added)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"]
                            if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(data))


def wordpiece(normalizer, added=()):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=2000, special_tokens=names, show_progress=False,
                                        limit_alphabet=400)
    post = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return trained(models.WordPiece(unk_token="[UNK]"), trainer, normalizer,
                   pre_tokenizers.BertPreTokenizer(), added, post)


def unigram(normalizer, pre_tokenizer):
    plain = [line for line in texts() if line.isascii()] + random_strings.WORDS
    trainer = trainers.UnigramTrainer(vocab_size=1500, special_tokens=SPECIALS, unk_token="<unk>",
                                      show_progress=False)
    return trained(models.Unigram(), trainer, normalizer, pre_tokenizer, lines=plain)


def flagged():
    """Added tokens with every flag."""
    return [AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True),
            AddedToken("<|lr|>", lstrip=True, rstrip=True, special=True),
            AddedToken("the", single_word=True), AddedToken("Hello", normalized=True),
            AddedToken("WORLD", normalized=False), AddedToken("  ", normalized=False),
            AddedToken("<think>"), AddedToken("</think>", normalized=False)]


def small():
    mark = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    collapse = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    sequence = pre_tokenizers.Sequence
    return {
        "bpe-bytes": bpe(None, byte_level()),
        "bpe-prefix": bpe(None, byte_level(prefix=True)),
        "bpe-nfc": bpe(normalizers.NFC(), sequence([split(QWEN2), byte_level(regex=False)])),
        "bpe-nfd": bpe(normalizers.NFD(), sequence([split(LLAMA3), byte_level(regex=False)]),
                       ignore_merges=True),
        "bpe-nfkd": bpe(normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(),
                                              normalizers.Lowercase(), normalizers.Strip()]),
                        byte_level(), flagged()),
        "bpe-flags": bpe(normalizers.Lowercase(), byte_level(), flagged()),
        "bpe-gpt4o": bpe(None, sequence([split(GPT4O), byte_level(regex=False)])),
        "bpe-digits": bpe(None, sequence([pre_tokenizers.Digits(True), byte_level()])),
        "bpe-digit-runs": bpe(None, sequence([pre_tokenizers.Digits(False), byte_level()])),
        "bpe-punctuation": bpe(None, sequence([pre_tokenizers.Punctuation("contiguous"),
                                               byte_level()])),
        "bpe-previous": bpe(None, sequence([split("[aeiou]", "merged_with_previous"),
                                            byte_level(regex=False)])),
        "bpe-next": bpe(None, sequence([split("[aeiou ]", "merged_with_next"),
                                        byte_level(regex=False)])),
        "bpe-inverted": bpe(None, sequence([split(r"\S+", "removed", True),
                                            byte_level(regex=False)])),
        "bpe-string": bpe(None, sequence([pre_tokenizers.Split(".", "isolated"), byte_level()])),
        "llama2": marked_bpe(mark),
        "llama2-flags": marked_bpe(mark, added=flagged()),
        "mistral": marked_bpe(None, metaspace),
        "gemma": marked_bpe(normalizers.Replace(" ", MARK),
                            pre_tokenizers.Split(" ", "merged_with_previous")),
        "mistral-first": marked_bpe(None, pre_tokenizers.Metaspace(prepend_scheme="first",
                                                                   split=False), flagged()),
        "metaspace-flags": marked_bpe(None, pre_tokenizers.Metaspace(prepend_scheme="always"),
                                      flagged()),
        "metaspace-split": marked_bpe(None, pre_tokenizers.Metaspace(prepend_scheme="always")),
        "bert": wordpiece(normalizers.BertNormalizer()),
        "bert-cased": wordpiece(normalizers.BertNormalizer(lowercase=False), flagged()[:3]),
        "bert-accents": wordpiece(normalizers.BertNormalizer(strip_accents=False,
                                                             handle_chinese_chars=False)),
        "t5": unigram(collapse, pre_tokenizers.Metaspace()),
        "xlm": unigram(collapse, sequence([pre_tokenizers.WhitespaceSplit(),
                                           pre_tokenizers.Metaspace()])),
    }


def gguf_fields(path):
    import gguf
    fields = gguf.GGUFReader(path).fields
    return {key.removeprefix("tokenizer.ggml."): field.contents()
            for key, field in fields.items() if key.startswith("tokenizer.")}


def added_tokens(fields):
    """The UNKNOWN, CONTROL and USER_DEFINED tokens of a GGUF."""
    return [{"id": number, "content": token, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": kind != 4}
            for number, (token, kind) in enumerate(zip(fields["tokens"], fields["token_type"]))
            if kind in (2, 3, 4)]


def real_bpe(path, normalizer, pre_tokenizer, **options):
    fields = gguf_fields(path)
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
             "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": False, **options,
             "vocab": {token: number for number, token in enumerate(fields["tokens"])},
             "merges": [merge.split(" ") for merge in fields["merges"]]}
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    data = json.loads(tokenizer.to_str())
    data |= {"model": model, "added_tokens": added_tokens(fields)}
    return data


def real_llama2(path):
    """SentencePiece's scores as merges, in the way that transformers converts them."""
    fields = gguf_fields(path)
    vocab = {token: number for number, token in enumerate(fields["tokens"])}
    scores = dict(zip(fields["tokens"], fields["scores"]))
    merges = []
    for token, score in scores.items():
        parts = [(token[:cut], token[cut:], score) for cut in range(1, len(token))
                 if token[:cut] in vocab and token[cut:] in vocab]
        merges += sorted(parts, key=lambda part: (vocab[part[0]], vocab[part[1]]))
    merges.sort(key=lambda part: part[2], reverse=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK),
                                                 normalizers.Replace(" ", MARK)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(),
                                           decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    data = json.loads(tokenizer.to_str())
    data["model"] = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True,
                     "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
                     "merges": [[left, right] for left, right, _ in merges]}
    data["added_tokens"] = added_tokens(fields)
    return data


def real(folder):
    split_bytes = lambda pattern: pre_tokenizers.Sequence([split(pattern), byte_level(regex=False)])
    return {
        "gpt-2": real_bpe(folder / "ggml-vocab-gpt-2.gguf", None, byte_level()),
        "qwen2": real_bpe(folder / "ggml-vocab-qwen2.gguf", normalizers.NFC(), split_bytes(QWEN2)),
        "llama-bpe": real_bpe(folder / "ggml-vocab-llama-bpe.gguf", None, split_bytes(LLAMA3),
                              ignore_merges=True),
        "llama-spm": real_llama2(folder / "ggml-vocab-llama-spm.gguf"),
    }


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    made = {name: json.loads(tokenizer.to_str()) for name, tokenizer in small().items()}
    if len(sys.argv) > 2:
        made |= real(pathlib.Path(sys.argv[2]))
    for name, data in made.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False, indent=1))
    print(" ".join(made))


if __name__ == "__main__":
    main()
